// A page of the documents in Chromium: it shows what is sent, whether it has a form for that or sends by itself.
//
//   node browser/docs.mjs BASE
//
// Prints {"log":…,"complaints":[…]} as JSON.

import { launch, watch } from "../support/browser.mjs";

const [base] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage();
const complaints = watch(page, /favicon/);
page.setDefaultTimeout(90000);
page.on("dialog", (dialog) => dialog.accept());
await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));

await page.goto(`${base}/`);
if (await page.locator("#enter").count()) {
  await page.fill("#name", "Ann");
  await page.click("#enter button");
}
if (await page.locator("#compose").count()) {
  await page.fill("#text", "hello");
  await page.click("#compose button");
}
const shown = page.locator("#log");
await page.waitForFunction(() => document.getElementById("log").textContent.includes("hello"));
console.log(JSON.stringify({ log: await shown.textContent(), complaints }));
await browser.close();
