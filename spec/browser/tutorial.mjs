// The pages of docs/tutorial in Chromium, in two windows.
//
//   node browser/tutorial.mjs STEP BASE          prints what the pages showed as JSON

import { launch, watch } from "../support/browser.mjs";

const step = Number(process.argv[2]);
const base = process.argv[3];
const browser = await launch();
const complaints = [];

async function open(name) {
  const context = await browser.newContext(); // another person's browser
  const page = await context.newPage();
  complaints.push(watch(page));
  page.setDefaultTimeout(90000);
  await page.goto(base);
  if (step >= 3) await enter(page, name);
  return page;
}

async function enter(page, name) {
  await page.fill("#name", name);
  await page.click("#enter button");
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const shows = (page, selector, text) =>
  page.waitForFunction(([where, wanted]) => document.querySelector(where).textContent.includes(wanted), [selector, text]);
const lines = (page) => page.locator("#log li").allTextContents();

const ann = await open("Ann");
await say(ann, "hello <b>there</b>");
await shows(ann, "#log", "hello <b>there</b>");
const ben = await open("Ben");
if (step >= 2) await shows(ben, "#log", "hello <b>there</b>"); // from the history
await say(ben, "good evening");
await shows(ann, "#log", "good evening");
await shows(ben, "#log", "good evening");
const seen = { ann: await lines(ann) };

if (step >= 2) {
  await say(ann, " ");
  await shows(ann, "#problem", "a message has 1 to 2000 characters");
  await ann.click("#older");
  await ann.waitForFunction(() => document.getElementById("older").hidden);
}

if (step >= 3) {
  const other = await open("ann");
  await shows(other, "#problem", "this name is taken");
  await enter(other, "Dora");
  await shows(other, "#log", "good evening");
  await other.context().close();
}

if (step >= 4) {
  await shows(ann, "#people", "Ben");
  seen.people = (await ann.locator("#people").textContent()).split(", ").filter((name) => name !== "Dora").sort();
  await ben.locator("#text").pressSequentially("I am writing a long message", { delay: 100 }); // longer than between two events
  await shows(ann, "#typing", "Ben is typing…");
}

if (step >= 5) {
  await ann.selectOption("#to", { label: "Ben" });
  await say(ann, "just between us");
  await shows(ben, "#log", "Ann to Ben: just between us");
  await shows(ann, "#log", "Ann to Ben: just between us");
}

console.log(JSON.stringify({ ...seen, complaints: complaints.flat() }));
await browser.close();
