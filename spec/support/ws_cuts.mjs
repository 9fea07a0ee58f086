// A WebSocket client that returns with its last id, behind a proxy that cuts it.
//
//   node support/ws_cuts.mjs BASE CHANNEL PUBLISH COUNT CUTS
//
// The messages are {"n":1}, {"n":2} … up to COUNT, published by posts to PUBLISH?count=n. Prints how often it subscribed.

import { WebSocket } from "ws";
import { CuttingProxy } from "./proxy.mjs";
import { publishAndCut } from "./cuts.mjs";

const [base, channel, publish, ...numbers] = process.argv.slice(2);
const [count, cuts] = numbers.map(Number);
const proxy = new CuttingProxy();
const address = (await proxy.listen(base)).replace(/^http/, "ws");
let last = 0;
let id;
let subscribed = 0;
let finish = () => {};

function fail(text) {
  console.error(text);
  process.exit(1);
}
setTimeout(() => fail(`too slow: it has ${last}`), 200000).unref();

function take(push) {
  if (push.error) fail(JSON.stringify(push));
  if (push.ok) {
    subscribed++;
    if (id !== undefined && push.ok.recovered !== true) fail(`it is not recovered behind ${id}: ${JSON.stringify(push)}`);
    id ??= push.ok.id;
  } else if (push.event === "item") {
    if (push.data.n !== last + 1) fail(`${push.data.n} follows ${last}`);
    last = push.data.n;
    id = push.id;
    if (last === count) finish();
  } else {
    fail(`unexpected: ${JSON.stringify(push)}`);
  }
}

function connect() {
  const socket = new WebSocket(`${address}/ws`);
  socket.on("open", () => socket.send(JSON.stringify({ subscribe: channel, since: id, ref: 1 })));
  socket.on("message", (text) => take(JSON.parse(text)));
  socket.on("error", () => {});
  socket.on("close", () => setTimeout(connect, Math.random() * 60));
}

connect();
const subscriber = { proxy, opens: () => subscribed, cuts: 0 };
while (subscribed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
const done = new Promise((resolve) => (finish = resolve));
await publishAndCut(base + publish, count, [subscriber], cuts);
if (last !== count) await done;
console.log(JSON.stringify({ last, subscribed, cuts: subscriber.cuts }));
process.exit(0);
