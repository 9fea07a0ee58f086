// examples/openresty in Chromium, through nginx:  node browser/openresty.mjs BASE SCREENSHOT. Prints what happened as JSON.

import { launch, watch } from "../support/browser.mjs";

const [base, screenshot] = process.argv.slice(2);
const browser = await launch();
const seen = { transports: {} };

async function logIn(name, password) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  await page.goto(base);
  await page.fill("[name=name]", name);
  await page.fill("[name=password]", password);
  await page.click("button");
  return page;
}

const wrong = await logIn("ann", "wrong");
seen.refused = await wrong.textContent("[role=alert]");
const bob = await logIn("bob", "sonata");
await bob.waitForURL(`${base}/`);

const ann = await logIn("ann", "moonlight");
await ann.waitForURL(`${base}/`);
const transports = ["websocket", "sse", "poll"];
const pages = await Promise.all(
  transports.map(async (transport) => {
    const page = await ann.context().newPage();
    seen.transports[transport] = watch(page);
    await page.goto(`${base}/?transport=${transport}`);
    await page.waitForFunction(() => document.getElementById("state").textContent === "open");
    return page;
  }),
);
await bob.fill("#text", "hello");
await bob.click("button");
for (const page of pages) {
  await page.waitForFunction(() => document.querySelector("#news li")?.textContent === "bob: hello");
  await page.waitForFunction(() => document.querySelectorAll("#requests li").length > 0 && document.getElementById("clock").textContent);
}
await pages[0].screenshot({ path: `${screenshot}.png` });
await browser.close();
console.log(JSON.stringify(seen));
