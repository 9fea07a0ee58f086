// Each example with two browsers: a reload, a network that is cut, a server that restarts, and hostile text.
//
//   node browser/stand.mjs [--nginx] EXAMPLE…
//
// Prints what went wrong as JSON, by example. stories.mjs has what is done in each of them. With --nginx, the pages come through
// nginx, which stays while the server restarts.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { launch, watch } from "../support/browser.mjs";
import { startNginx } from "../support/nginx.mjs";
import { CuttingProxy } from "../support/proxy.mjs";
import { HOSTILE, stories } from "./stories.mjs";

const LIMIT = 100_000; // milliseconds for each step, on a busy machine
const throughNginx = process.argv[2] === "--nginx";
const names = process.argv.slice(throughNginx ? 3 : 2);
// What pages write while they cannot reach the server, which may answer 503 while it stops; nginx answers 502 without it.
const EXPECTED = /ERR_|WebSocket connection|status of 50[234]/;

// None of them outlives this process.
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGTERM")));

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`too late: ${what}`)), LIMIT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Starts the example at a port, 0 for a free one.
async function startServer(name, port, env) {
  const args = ["bin/moonwire", `examples/${name}/app.lua`, "--listen", `127.0.0.1:${port}`];
  const child = spawn("lua5.4", args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const server = { log: "", ended: new Promise((resolve) => child.on("close", resolve)) };
  child.stderr.on("data", (text) => (server.log += text));
  children.add(child);
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      server.base ??= line.match(/^listening on (http:\S+)/)?.[1];
      if (line === "ready") return;
    }
    throw new Error(`${name} did not start: ${server.log}`);
  })();
  await within(ready, `start of ${name}`);
  server.stop = async () => {
    child.kill("SIGTERM");
    const code = await within(server.ended, `stop of ${name}`);
    if (code !== 0) throw new Error(`${name} ended with ${code}: ${server.log}`);
  };
  return server;
}

const isOnline = (page) => page.waitForSelector('.connection[data-state="online"]');
const isNotOnline = (page) => page.waitForSelector('.connection:not([data-state="online"])');
// The client tries again when the browser says so, which saves its delay.
const hurry = (page) => page.evaluate(() => dispatchEvent(new Event("online")));

async function run(browser, name) {
  const story = stories[name];
  const directory = await mkdtemp(`${tmpdir()}/stand-`);
  const env = story.env?.(directory) ?? {};
  story.seed?.(directory);
  let server = await startServer(name, 0, env);
  const port = new URL(server.base).port;
  const nginx = throughNginx && (await within(startNginx(directory, server.base), "start of nginx"));
  const proxy = new CuttingProxy();
  const address = await proxy.listen(nginx ? nginx.base : server.base);
  const stage = { base: server.base };
  const complaints = [];

  const open = async () => {
    const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT);
    complaints.push(watch(page, EXPECTED));
    await page.goto(`${address}/${story.path ?? ""}`);
    await story.enter?.(page);
    await isOnline(page);
    return page;
  };
  const both = (act) => Promise.all([act(stage.ann), act(stage.ben)]);
  const step = async (n) => {
    await story.act(stage, n);
    await both((page) => story.shows(page, n, stage));
  };

  stage.ann = await open();
  stage.ben = await open();
  await step(1);

  // a reload
  await stage.ben.reload();
  await story.enter?.(stage.ben);
  await isOnline(stage.ben);
  if (story.kept !== false || name === "progress") await story.shows(stage.ben, 1, stage);

  // a network that is cut
  proxy.cutAfter = () => 0;
  proxy.cut();
  await both(isNotOnline);
  await story.act(stage, 2);
  proxy.cutAfter = () => Infinity;
  await both(hurry);
  await both(isOnline);
  await both((page) => story.shows(page, 2, stage));
  if (story.cut) await both(story.cut);
  if (name === "polling") await story.finish(stage);

  // a browser that knows that it has no network
  await stage.ann.context().setOffline(true);
  await stage.ann.waitForSelector('.connection[data-state="offline"]');
  await stage.ann.context().setOffline(false);
  await isOnline(stage.ann);

  // a server that restarts
  await story.interrupted?.(stage);
  const stopped = server.stop();
  await both(isNotOnline);
  await stopped;
  server = await startServer(name, port, env);
  await both(story.returns ?? hurry);
  await both(isOnline);
  if (story.restarted) await both(story.restarted);
  if (story.kept !== false) {
    await stage.ben.reload();
    await story.enter?.(stage.ben);
    await both((page) => story.shows(page, 2, stage));
  }
  await step(3);

  // hostile text
  await story.hostile?.(stage);
  for (const page of [stage.ann, stage.ben]) {
    const found = await page.evaluate(() => [window.stolen ?? null, document.querySelectorAll("main :is(script, iframe, img:not([src$=\"icon.svg\"]))").length]);
    if (found[0] !== null || found[1] !== 0) complaints.push([`hostile text became markup: ${found}`]);
  }
  if (name !== "polling") await story.finish?.(stage);

  for (const page of [stage.ann, stage.ben]) await page.context().close();
  proxy.close();
  nginx?.stop?.();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
  return complaints.flat().filter((text) => !/^50[234] /.test(text) && !story.expected?.test(text));
}

const browser = await launch();
const seen = {};
const queue = [...names];
const runNext = async () => {
  for (let name = queue.shift(); name; name = queue.shift()) {
    seen[name] = await run(browser, name).catch((error) => [error.stack]);
  }
};
await Promise.all([runNext(), runNext()]);
console.log(JSON.stringify(seen));
await browser.close();
process.exit();
