// examples/tracking in two windows. `other` is the server after a restart. Both have TRACKING_SPEED=2, so that the van does not arrive.

import { Windows } from "../support/windows.mjs";

export const expected = /\b403\b/; // the codes that nobody gave out

export async function run(windows, base, other) {
  const ann = await windows.add(base, "/", { colorScheme: "dark" });
  await ann.waitForSelector("#map[aria-busy=false]");
  await ann.selectOption("#place", "3");
  await ann.focus("#place");
  await ann.keyboard.press("Tab");
  await ann.keyboard.press("Enter"); // the button
  await ann.waitForSelector('#delivery:not([hidden]) [aria-current="step"]');
  const code = new URL(ann.url()).hash;
  const ben = await windows.add(base, `/${code}`);
  const isPast = (page, step) => page.waitForFunction((state) => document.querySelector(`li[data-state=${state}]`).matches(".now, .past"), step);
  const left = async (page) => parseInt(await page.textContent("#left"), 10);
  await isPast(ben, "packing");
  const place = [await ann.textContent("#where"), await ben.textContent("#where")];

  // Offline, the page says so, and later shows where the van is by then.
  const before = await left(ann);
  await Windows.disconnect(ann);
  await ben.waitForFunction((seconds) => parseInt(document.getElementById("left").textContent, 10) < seconds, before - 1);
  await Windows.reconnect(ann);
  await ann.waitForFunction((seconds) => parseInt(document.getElementById("left").textContent, 10) < seconds, before - 1);
  await ann.reload();
  await isPast(ann, "packing");
  await Windows.restart(other, ann, ben);
  const restarted = await left(ann);
  await Promise.all([ann, ben].map((page) => page.waitForFunction((seconds) => parseInt(document.getElementById("left").textContent, 10) < seconds, restarted)));

  // One that was delivered long ago; and codes that nobody gave out.
  const old = `#${(Math.floor(Date.now() / 1000) - 3000).toString(16)}-2`;
  await ben.goto(`${new URL(ben.url()).origin}/${old}`);
  await ben.waitForFunction(() => document.getElementById("left").textContent === "Delivered");
  const problems = [];
  for (const bad of ["#<img src=x onerror=stolen=1>", "#00000000-1"]) {
    await ben.evaluate((hash) => (location.hash = hash), bad);
    await ben.waitForFunction(() => document.getElementById("problem").textContent !== "");
    problems.push(await ben.textContent("#problem"));
  }
  await ann.waitForFunction(() => document.querySelector("#done").getAttribute("d").includes("L"));
  await ann.setViewportSize({ width: 1100, height: 760 });
  await ann.emulateMedia({ colorScheme: "light" });
  await Windows.shoot(ann, "tracking-desktop");
  await ann.emulateMedia({ colorScheme: "dark" });
  const overflow = await Windows.overflow(ann);
  await Windows.shoot(ann, "tracking-phone");
  return { code: /^#[0-9a-f]{8}-3$/.test(code), place, problems, overflow };
}
