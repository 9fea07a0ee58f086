// The page of examples/job in Chromium:  node browser/job.mjs BASE. Prints what it says as JSON.

import { launch, watch } from "../support/browser.mjs";

const [base] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext();
const outputs = (page) => page.locator("output").allTextContents();
const done = (page) => page.waitForFunction(() => document.querySelector("output")?.textContent !== "" && document.querySelector("output"));

const page = await context.newPage();
const complaints = watch(page);
await page.goto(`${base}/`);
await page.click("#start");
await page.waitForFunction(() => document.querySelector("progress")?.value > 0);
const address = page.url();
const other = await context.newPage();
await other.goto(address);
await done(page);
const first = await outputs(page);
await done(other);
const reloaded = await outputs(other);
await other.reload();
await done(other);
const late = await outputs(other);
console.log(JSON.stringify({ first, reloaded, late, complaints }));
await browser.close();
