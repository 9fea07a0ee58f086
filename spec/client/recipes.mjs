// The recipes of docs/recipes, in Chromium against the server:  node client/recipes.mjs BASE. Prints what they saw as JSON.

import { build } from "esbuild";
import { join } from "node:path";
import { launch, watch } from "../support/browser.mjs";
import { here } from "./stage.mjs";

const [base] = process.argv.slice(2);
const contents = `
  import { createElement as h } from "react";
  import { createRoot } from "react-dom/client";
  import { useChannel } from "../../docs/recipes/react.js";
  import { channelStore } from "../../docs/recipes/store.js";
  function Room({ connection, name }) {
    const { status, messages, members, gap, error, send } = useChannel(connection, name, 2);
    window.send = send;
    return h("p", {}, [status, messages.map(({ data }) => data.what).join(), [...members.keys()].join(), gap, error?.code].join("|"));
  }
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  window.recipes = { channelStore, show: (connection, name) => root.render(name ? h(Room, { connection, name }) : null) };
`;
const options = { bundle: true, write: false, format: "iife", define: { "process.env.NODE_ENV": '"production"' } };
const { outputFiles } = await build({ ...options, stdin: { contents, resolveDir: here }, nodePaths: [join(here, "../../node_modules")] });

const browser = await launch();
const page = await browser.newPage();
const complaints = watch(page);
page.setDefaultTimeout(90000);
await page.goto(`${base}/page`);
await page.waitForFunction(() => window.moonwire);
await page.evaluate(outputFiles[0].text); // (the page's policy holds for scripts of the page)
const shows = (text) => page.waitForFunction((wanted) => document.querySelector("p")?.textContent === wanted, text);

await page.evaluate(() => {
  window.connection = moonwire.connect("/", { token: "ann" });
  recipes.show(connection, "room:react");
});
await shows("joined||ann|false|");
for (const what of [1, 2, 3]) await page.evaluate((data) => send("say", data), what);
await shows("joined|2,3|ann|false|");
await page.evaluate(() => recipes.show(connection, "closed:a"));
await shows("refused|||false|forbidden");
await page.evaluate(() => recipes.show(connection, null));
await page.waitForFunction(() => !document.querySelector("p"));

const store = await page.evaluate(async () => {
  const states = [];
  const made = recipes.channelStore(connection, "room:store", (sum, { event, data }) => (event === "said" ? sum + data.what : sum), 0);
  const until = async (check) => {
    while (!check()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const before = made.get();
  const off = made.subscribe((state) => states.push(state.value));
  await until(() => made.get().status === "joined");
  for (const n of [1, 2, 3]) await made.send("say", n);
  await until(() => made.get().value === 6);
  off();
  const left = await made.send("say", 4).catch(({ code }) => code);
  return { before: before.status, after: made.get(), rises: states.every((value, i) => i === 0 || value >= states[i - 1]), left };
});
console.log(JSON.stringify({ store, complaints }));
await browser.close();
process.exit(0);
