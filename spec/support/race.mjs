// Many clients that resume from an id while a publisher never stops: none may have a hole or a double.
//
//   node support/race.mjs BASE KIND CLIENTS PUBLISH STOP
//
// Each post to PUBLISH publishes some messages. This process posts without end, so that a slow machine has no more to do than it can.
// KIND is "stream", "envelope" or "websocket". The messages of "price:a", "price:b" and "price:c" are {"channel":…,"n":1…}. A watcher
// follows all of them; each client begins where the watcher was at one of its last messages, and so knows what must come. At most
// 100 stay at once: this process checks each message of each client. At the end a post to STOP answers the last n of each channel,
// which those who stayed must have seen. Prints what was counted.

import { WebSocket } from "ws";
import { BodyReader, EventParser, requestStream } from "./event_stream.mjs";

const [base, kind, clientCount, publish, stop] = process.argv.slice(2);
const clients = Number(clientCount);
const channels = ["price:a", "price:b", "price:c"];
const target = `/sse?${channels.map((channel) => `channel=${channel}`).join("&")}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function fail(text) {
  console.error(text);
  process.exit(1);
}
setTimeout(() => fail("too slow"), 200000).unref();

let replayed = 0; // messages that were older than the subscription
let events = 0;

// What one client has seen; `next` is the n that must come on each channel.
class Checker {
  ready = false;
  constructor(name, state) {
    this.name = name;
    this.seen = { ...state };
    this.arrived = new Promise((resolve) => (this.arrive = resolve)); // with a first message
  }
  leave() {
    this.gone = true;
    this.close();
  }
  fail(text) {
    if (!this.gone) fail(`${this.name}: ${text}`);
  }
  take(channel, n) {
    if (this.gone) return;
    const expected = (this.seen[channel] ?? 0) + 1;
    if (n !== expected) fail(`${this.name}: ${n < expected ? "a double" : "a hole"} on ${channel}: ${n} instead of ${expected}`);
    this.seen[channel] = n;
    this.arrive();
    events++;
  }
  has(last) {
    return Object.entries(last).every(([channel, n]) => (this.seen[channel] ?? 0) >= n);
  }
}

function openStream(checker, since, query, onEvent) {
  const parser = new EventParser((event) => onEvent(event), since);
  const body = new BodyReader((bytes) => {
    parser.push(bytes);
    checker.ready = true;
  }, () => checker.fail("the stream ended"));
  const socket = requestStream(base, target + query, since);
  checker.close = () => socket.destroy();
  socket.on("data", (bytes) => body.push(bytes));
  socket.on("error", (error) => checker.fail(error.message));
}

const open = {
  stream(checker, since) {
    let lastId = since;
    openStream(checker, since, "", ({ type, data, lastEventId }) => {
      if (type !== "tick") fail(`${checker.name}: ${type}`);
      if (lastEventId <= lastId) fail(`${checker.name}: ${lastEventId} follows ${lastId}`);
      lastId = lastEventId;
      const { channel, n } = JSON.parse(data);
      checker.take(channel, n);
    });
  },
  envelope(checker, since) {
    openStream(checker, since, "&envelope=1", ({ data }) => {
      const push = JSON.parse(data);
      if (push.event === "moonwire:open") {
        if (push.data.recovered !== true) fail(`${checker.name}: it is not recovered`);
      } else if (push.event === "tick") {
        checker.take(push.channel, push.data.n);
      } else if (push.event !== "moonwire:ping") {
        fail(`${checker.name}: ${data}`);
      }
    });
  },
  websocket(checker, since) {
    const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws`);
    let subscribed = 0;
    checker.close = () => socket.terminate();
    socket.on("open", () => {
      channels.forEach((channel, ref) => socket.send(JSON.stringify({ subscribe: channel, since, ref })));
    });
    socket.on("message", (text) => {
      const push = JSON.parse(text);
      if (push.ok) {
        if (push.ok.recovered !== true) fail(`${checker.name}: it is not recovered: ${text}`);
        checker.ready = ++subscribed === channels.length;
      } else if (push.event === "tick") {
        checker.take(push.channel, push.data.n);
      } else {
        fail(`${checker.name}: ${text}`);
      }
    });
    socket.on("error", (error) => checker.fail(error.message));
    socket.on("close", (code) => checker.fail(`closed with ${code}`));
  },
};

// The watcher: what stood where behind each of the last messages.
const marks = [];
const watcher = new Checker("the watcher", Object.fromEntries(channels.map((channel) => [channel, 0])));
openStream(watcher, "", "&since=0", ({ data, lastEventId }) => {
  const { channel, n } = JSON.parse(data);
  watcher.take(channel, n);
  marks.push({ id: lastEventId, state: { ...watcher.seen } });
  if (marks.length > 500) marks.shift();
});

const post = (path) => fetch(base + path, { method: "POST", headers: { "Content-Length": "0" } });
let isOver = false;
async function publishOn() {
  while (!isOver) {
    await (await post(publish)).text();
    await sleep(Math.random() * 4);
  }
}
const publisher = publishOn();
while (marks.length < 100) await sleep(5);

const checkers = []; // of those who stay
for (let i = 0; i < clients; i++) {
  // Now and then the newest, which is the narrowest race.
  const mark = Math.random() < 0.3 ? marks.at(-1) : marks[Math.floor(Math.random() * marks.length)];
  const checker = new Checker(`client ${i} from ${mark.id}`, mark.state);
  for (const channel of channels) replayed += watcher.seen[channel] - mark.state[channel];
  checkers.push(checker);
  open[kind](checker, mark.id);
  if (checkers.length > 100) {
    const first = checkers.shift();
    await first.arrived;
    first.leave();
  }
  if (i % 20 === 0) await sleep(Math.random() * 10);
}
while (!checkers.every((checker) => checker.ready)) await sleep(10);
await sleep(200);
isOver = true;
await publisher;
const last = await (await post(stop)).json();
while (!checkers.every((checker) => checker.has(last))) await sleep(10);
await sleep(50); // nothing may come behind it
for (const checker of checkers) {
  for (const channel of channels) {
    if (checker.seen[channel] !== last[channel]) fail(`${checker.name}: ${channel} ends at ${checker.seen[channel]} instead of ${last[channel]}`);
  }
}
console.log(JSON.stringify({ clients, replayed, events, last }));
process.exit(0);
