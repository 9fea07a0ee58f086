// Chromium's own EventSource against a bare page: what it is given and what it sends on its returns.
//
//   node browser/event_source.mjs BASE
//
// Prints {"events":[…],"gaps":n,"opens":n} as JSON.

import { launch, watch } from "../support/browser.mjs";
import { CuttingProxy } from "../support/proxy.mjs";

const [base] = process.argv.slice(2);
const proxy = new CuttingProxy();
const address = await proxy.listen(base);
const browser = await launch();
const page = await browser.newPage();
const complaints = watch(page, /ERR_/);
page.setDefaultTimeout(90000);

await page.goto(`${address}/page`);
await page.evaluate(() => {
  window.seen = { events: [], gaps: 0, opens: 0 };
  const source = new EventSource("/sse?channel=items");
  source.addEventListener("open", () => window.seen.opens++);
  source.addEventListener("item", (event) => window.seen.events.push(JSON.parse(event.data).n));
  source.addEventListener("moonwire:gap", () => window.seen.gaps++);
});

// The first stream is cut before its first event: only the cursor block has come.
await page.waitForFunction(() => window.seen.opens === 1);
proxy.cut();
await fetch(`${base}/publish?count=3`, { method: "POST" });
await page.waitForFunction(() => window.seen.events.length === 3);
for (let i = 2; i <= 4; i++) {
  proxy.cut();
  await fetch(`${base}/publish?count=3`, { method: "POST" });
  await page.waitForFunction((count) => window.seen.events.length >= count, 3 * i);
}
const seen = await page.evaluate(() => window.seen);
console.log(JSON.stringify({ ...seen, complaints }));
await browser.close();
proxy.close();
