// Runs scenarios of the browser client on one platform, some at a time, and prints what came of each as JSON: "ok", or what was wrong.
//
//   node client/run.mjs chromium|node [NAME…]
//   node client/run.mjs --names chromium|node      what there is

import assert from "node:assert/strict";
import { finish, stage } from "./stage.mjs";
import * as endings from "./endings.mjs";
import * as everyday from "./everyday.mjs";
import * as networks from "./networks.mjs";

const AT_ONCE = 4;
const asks = process.argv[2] === "--names";
const [platform, ...chosen] = process.argv.slice(asks ? 3 : 2);
// A scenario that is tried on one platform says so by `only`.
const all = Object.entries({ ...everyday, ...networks, ...endings }).filter(([, { only }]) => !only || only === platform);
if (asks) {
  console.log(all.map(([name]) => name).join("\n"));
  process.exit(0);
}
const waiting = all.filter(([name]) => chosen.length === 0 || chosen.includes(name));
const results = {};

assert(waiting.length > 0, "there is no such scenario");
process.on("unhandledRejection", (error) => (results.rejection = `${error?.stack}`));

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, scenario] = next;
    const began = Date.now();
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error("it took too long")), 150000).unref());
    results[name] = await Promise.race([stage(platform, scenario), limit]).then(
      () => "ok",
      (error) => `${error.stack}`,
    );
    if (process.env.VERBOSE) console.error(name, results[name], Date.now() - began, "ms");
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
await finish();
console.log(JSON.stringify(results));
process.exit(0);
