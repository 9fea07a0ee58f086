// Readers of event streams that pages use in place of the browser's EventSource, in Chromium, each behind a proxy that cuts it.
//
//   node browser/polyfills.mjs BASE COUNT CUTS
//
// Prints what each saw as JSON.

import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { launch, watch } from "../support/browser.mjs";
import { publishAndCut } from "../support/cuts.mjs";
import { CuttingProxy } from "../support/proxy.mjs";

const require = createRequire(import.meta.url);
const [base, ...numbers] = process.argv.slice(2);
const [count, cuts] = numbers.map(Number);

async function bundle(text) {
  const stdin = { contents: text, resolveDir: import.meta.dirname ?? process.cwd() };
  const { outputFiles } = await build({ stdin, bundle: true, write: false, format: "iife" });
  return outputFiles[0].text;
}

// Of each: a script to add, and what opens it in the page; `take(type, data)` is called for its events, `t.opens` counts.
const readers = {
  // It takes no id of an event without data: one that is cut before its first event returns as a new subscriber.
  "event-source-polyfill": {
    needsEvent: true,
    script: readFileSync(require.resolve("event-source-polyfill"), "utf8"),
    open() {
      const source = new EventSourcePolyfill("/sse?channel=items", { heartbeatTimeout: 20000 });
      source.onopen = () => t.opens++;
      for (const type of ["item", "moonwire:gap"]) source.addEventListener(type, ({ data }) => take(type, data));
    },
  },
  // It stays away for good when it is cut, but begins anew by itself when it has read 256 KiB.
  "eventsource-polyfill": {
    isNeverCut: true,
    script: `window._eventSourceImportPrefix = "Other";${readFileSync("node_modules/eventsource-polyfill/dist/eventsource.js", "utf8")}`,
    open() {
      const source = new OtherEventSource("/sse?channel=items");
      source.onopen = () => t.opens++;
      for (const type of ["item", "moonwire:gap"]) source.addEventListener(type, ({ data }) => take(type, data));
    },
  },
  "@microsoft/fetch-event-source": {
    script: await bundle('export * from "@microsoft/fetch-event-source"; import { fetchEventSource } from "@microsoft/fetch-event-source"; window.read = fetchEventSource;'),
    open() {
      read("/sse?channel=items", {
        openWhenHidden: true,
        async onopen(response) {
          if (!response.ok) throw new Error(`status ${response.status}`);
          t.opens++;
        },
        onclose() {
          throw new Error("it ended"); // without this it stays away
        },
        onmessage: ({ event, data }) => data !== "" && take(event, data),
        onerror() {}, // it comes back
      });
    },
  },
};

const browser = await launch();
const subscribers = [];
for (const [name, { script, open, isNeverCut, needsEvent }] of Object.entries(readers)) {
  const proxy = new CuttingProxy();
  const address = await proxy.listen(base);
  const page = await browser.newPage();
  page.setDefaultTimeout(90000);
  const complaints = watch(page, /ERR_|^(Error: )?EventSource|network error|Failed to fetch/); // what they say when they are cut
  await page.goto(`${address}/page`);
  await page.evaluate(() => {
    window.t = { last: 0, inOrder: true, gaps: 0, opens: 0 };
    window.take = (type, data) => {
      if (type === "moonwire:gap") t.gaps++;
      if (type !== "item") return;
      const { n } = JSON.parse(data);
      if (n !== t.last + 1) t.inOrder = false;
      t.last = n;
    };
  });
  await page.addScriptTag({ content: script });
  await page.evaluate(open);
  await page.waitForFunction(() => t.opens === 1);
  // an event of the stream must have come where only such a one has an id
  const opens = () => page.evaluate((needsEvent) => (needsEvent && t.last === 0 ? 0 : t.opens), needsEvent);
  subscribers.push({ name, proxy, page, complaints, cuts: isNeverCut ? cuts : 0, opens });
}

await publishAndCut(`${base}/publish`, count, subscribers, cuts);
const seen = {};
for (const { name, page, complaints, proxy } of subscribers) {
  await page.waitForFunction((last) => t.last >= last || !t.inOrder, count);
  const { last, inOrder, gaps, opens } = await page.evaluate(() => t);
  seen[name] = { last, inOrder, gaps, returned: opens > (readers[name].isNeverCut ? 1 : cuts), complaints };
  proxy.close();
}
console.log(JSON.stringify(seen));
await browser.close();
process.exit(0);
