// examples/openresty in Chromium, through nginx:  node browser/openresty.mjs BASE SCREENSHOT. Prints what happened as JSON.

import { launch, watch } from "../support/browser.mjs";

const [base, screenshot] = process.argv.slice(2);
const browser = await launch();
const seen = { transports: {} };

async function logIn(name, password) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
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

for (const transport of ["websocket", "sse", "poll"]) {
  const ann = await logIn("ann", "moonlight");
  const complaints = watch(ann);
  await ann.goto(`${base}/?transport=${transport}`);
  await ann.waitForFunction(() => document.getElementById("state").textContent === "open");
  const text = `hello by ${transport}`;
  await bob.fill("#text", text);
  await bob.click("button");
  await ann.waitForFunction((wanted) => document.querySelector("#news li")?.textContent === wanted, `bob: ${text}`);
  await ann.waitForFunction(() => document.querySelectorAll("#requests li").length > 0 && document.getElementById("clock").textContent);
  seen.transports[transport] = complaints;
  if (transport === "websocket") await ann.screenshot({ path: `${screenshot}.png` });
}
await browser.close();
console.log(JSON.stringify(seen));
