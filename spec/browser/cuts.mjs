// Chromium's own EventSource behind a proxy that cuts it, while messages are published unevenly.
//
//   node browser/cuts.mjs BASE COUNT CUTS
//
// Prints what it saw as JSON: {"count":…,"inOrder":true,"gaps":0,"opens":…,"cuts":…,"complaints":[]}.

import { launch, watch } from "../support/browser.mjs";
import { CuttingProxy } from "../support/proxy.mjs";
import { publishAndCut } from "../support/cuts.mjs";

const [base, ...numbers] = process.argv.slice(2);
const [count, cuts] = numbers.map(Number);
const proxy = new CuttingProxy();
const address = await proxy.listen(base);
const browser = await launch();
const page = await browser.newPage();
const complaints = watch(page, /ERR_/);
page.setDefaultTimeout(90000);

await page.goto(`${address}/page`);
await page.evaluate(() => {
  window.seen = { last: 0, inOrder: true, gaps: 0, opens: 0 };
  window.source = new EventSource("/sse?channel=items");
  const seen = window.seen;
  source.addEventListener("open", () => seen.opens++);
  source.addEventListener("item", (event) => {
    const { n } = JSON.parse(event.data);
    if (n !== seen.last + 1) seen.inOrder = false;
    seen.last = n;
  });
  source.addEventListener("moonwire:gap", () => seen.gaps++);
});

await page.waitForFunction(() => window.seen.opens === 1);
const subscriber = { proxy, cuts: 0, opens: () => page.evaluate(() => window.seen.opens) };
await publishAndCut(`${base}/publish`, count, [subscriber], cuts);
await page.waitForFunction((last) => window.seen.last >= last || !window.seen.inOrder, count);
const seen = await page.evaluate(() => window.seen);
console.log(JSON.stringify({ ...seen, cuts: subscriber.cuts, complaints }));
await browser.close();
proxy.close();
process.exit(0);
