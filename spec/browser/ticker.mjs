// The ticker in Chromium, its stream cut by a proxy.
//
//   node browser/ticker.mjs BASE PATH SCREENSHOT
//
// Prints what it saw as JSON.

import { launch, watch } from "../support/browser.mjs";
import { CuttingProxy } from "../support/proxy.mjs";

const [base, path, screenshot] = process.argv.slice(2);
const proxy = new CuttingProxy();
const address = await proxy.listen(base);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1200, height: 860 }, colorScheme: "dark" });
const complaints = watch(page, /ERR_/);
page.setDefaultTimeout(90000);

const number = async (id) => Number((await page.locator(`#${id}`).textContent()).replaceAll(",", ""));
const prices = () => page.locator(".price").allTextContents();
const points = () => page.locator(".line").evaluateAll((lines) => lines.map((line) => (line.getAttribute("d").match(/[ML]/g) ?? []).length));
const state = (name) => page.waitForSelector(`.connection[data-state="${name}"]`);
const received = (least) =>
  page.waitForFunction((count) => Number(document.getElementById("received").textContent.replaceAll(",", "")) >= count, least);

await page.goto(address + path);
await state("online");
await received(720);
const atFirst = { points: await points(), prices: await prices() };
await page.waitForFunction(
  (before) => [...document.querySelectorAll(".price")].every((price, i) => price.textContent !== before[i]),
  atFirst.prices,
);

// Cut, and it comes back by itself.
const cuts = 3;
for (let i = 1; i <= cuts; i++) {
  const before = await number("received");
  proxy.cut();
  await page.waitForFunction((returns) => document.getElementById("returns").textContent === String(returns), i);
  await state("online");
  await received(before + 10);
}

// Paused by its reader, it goes on where it was.
await page.click("#pause");
await state("paused");
const drawn = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
const published = async () => (await (await fetch(`${base}${path}market`)).json()).reduce((sum, asset) => sum + asset.count, 0);
await drawn();
const whenPaused = await number("received");
const goal = (await published()) + 10;
while ((await published()) < goal); // something passes meanwhile
const beforeResuming = await number("received");
await page.click("#pause");
await state("online");
await received(whenPaused + 15);

const counters = {};
for (const id of ["received", "missed", "repeated", "gaps", "returns"]) counters[id] = await number(id);
const charts = await page.locator(".chart").evaluateAll((elements) =>
  elements.map((chart) => {
    const box = chart.querySelector(".line").getBoundingClientRect();
    return { width: box.width, height: box.height, label: chart.getAttribute("aria-label") };
  }),
);
await page.screenshot({ path: screenshot });

await page.setViewportSize({ width: 390, height: 844 });
const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

console.log(
  JSON.stringify({
    complaints,
    cuts,
    heldStill: beforeResuming === whenPaused,
    symbols: await page.locator(".symbol").allTextContents(),
    points: atFirst.points,
    counters,
    charts,
    overflow,
  }),
);
await browser.close();
proxy.close();
