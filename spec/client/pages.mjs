// The examples of docs/how-to in Chromium.
//
//   node client/pages.mjs browser BASE                       the page that "In the browser" begins with, served at "/"
//   node client/pages.mjs bare BASE EVENT_SOURCE WEB_SOCKET  the files of the scripts of bare.md, at an app that has POST /fill
//
// Prints what they showed as JSON.

import { readFileSync } from "node:fs";
import { launch, watch } from "../support/browser.mjs";
import { Gate } from "./gate.mjs";
import { until } from "./stage.mjs";

const [what, base, ...files] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage();
const complaints = watch(page, /ERR_|status of 502/);
page.setDefaultTimeout(90000);

async function show_browser() {
  await page.goto(`${base}/`);
  await page.waitForFunction(() => document.getElementById("log").textContent !== "");
  return { text: await page.locator("#log").innerText() };
}

async function show_bare() {
  const gate = new Gate();
  const address = await gate.listen(base);
  const fill = (count) => fetch(`${base}/fill?count=${count}`, { method: "POST", headers: { "Content-Length": "0" } });
  const shown = () => page.evaluate(() => window.shown);
  await page.goto(`${address}/page`);
  const [eventSource, webSocket] = files.map((file) => readFileSync(file, "utf8"));
  await page.evaluate(() => {
    window.shown = [];
    window.show = (data) => shown.push(data.event ? [data.event, data.data] : data.n);
  });
  await page.evaluate(`{${eventSource}}`);
  await until("the stream is open", () => gate.seen.includes("GET /sse"));
  await until("the first came", async () => (await fill(1)) && (await shown()).length > 0);
  // The proxy answers 502 for a while, which ends an EventSource.
  gate.requests = () => 502;
  gate.cut();
  const before = gate.seen.length;
  await until("it was refused", () => gate.seen.length > before);
  await fill(3);
  gate.requests = () => "pass";
  const { published } = await (await fill(1)).json();
  await until("it has all", async () => (await shown()).at(-1) === published);
  const numbers = await shown();
  const inOrder = numbers.every((n, i) => i === 0 || n === numbers[i - 1] + 1);
  await page.evaluate(() => (shown.length = 0));
  await page.evaluate(`{ const token = undefined; const location = { host: "${new URL(address).host}" }; ${webSocket.replace("wss:", "ws:")} }`);
  await until("the socket shows something", async () => (await fetch(`${base}/say`, { method: "POST", headers: { "Content-Length": "0" } })) && (await shown()).length > 0);
  const [first] = await shown();
  gate.close();
  return { inOrder, first };
}

const seen = await (what === "browser" ? show_browser : show_bare)();
console.log(JSON.stringify({ ...seen, complaints: complaints.filter((text) => !/^502 /.test(text)) }));
await browser.close();
process.exit(0);
