// Chromium for the specs of pages, without anything that would ask the network for more than the page does.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// The same engine without the windows around it, where the distribution has it, takes a third of the time for a page.
const executables = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"];

// A browser with a profile of its own, which goes with it. CHROMIUM names another executable.
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? executables.find(existsSync), args: flags });
}

// Collects what a page complains about: errors of scripts, refusals of its Content-Security-Policy, resources that are missing.
// `expected` is a pattern of console errors that the test provokes.
export function watch(page, expected = /$^/) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.test(message.text())) complaints.push(message.text());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
  });
  return complaints;
}
