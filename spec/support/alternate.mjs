// Clients that move to another worker with each poll or connection, beside others that stay: each receives every message in order, or is
// told of the gap, and is told of no other.
//
//   node support/alternate.mjs BASE KEY MESSAGES CHANNELS EACH
//
// Publishes MESSAGES messages with the data 1, 2, 3 … on each of the channels "c:0" to "c:<CHANNELS - 1>", by POST /publish with KEY, in
// bursts and with pauses. EACH is how many clients there are of each kind. The server has four workers, of which the one with the fewest
// connections gets the next: a client that alternates keeps four connections, opened one after the other. Prints for each kind what its
// clients received.

import http from "node:http";
import net from "node:net";
import { WebSocket } from "ws";
import { BodyReader, EventParser } from "./event_stream.mjs";

const [base, key, messages, channelCount, each] = process.argv.slice(2);
const WORKERS = 4;
const { hostname, port } = new URL(base);
const channels = Array.from({ length: Number(channelCount) }, (_, i) => `c:${i}`);
const query = channels.map((channel) => `channel=${channel}`).join("&");
const published = Object.fromEntries(channels.map((channel) => [channel, 0]));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let target = null; // the id of the last message that counts, when it has been published, and what was published then

function fail(text) {
  console.error(text);
  process.exit(1);
}

// ---- What a client receives -----------------------------------------------------------------------------------------

class Checker {
  constructor(name) {
    this.name = name;
    this.seen = Object.fromEntries(channels.map((channel) => [channel, 0]));
    this.missed = new Set(); // channels that have a gap after what was seen
    this.counts = { messages: 0, gaps: 0, moves: 0 };
    this.cursor = "";
    this.started = new Promise((resolve) => (this.start = resolve));
  }
  gap(channel) {
    if (!(channel in this.seen)) fail(`${this.name}: a gap on ${channel}`);
    if (!this.missed.has(channel)) this.counts.gaps++;
    this.missed.add(channel);
  }
  take(channel, n) {
    const expected = this.seen[channel] + 1;
    const where = `on ${channel}: ${n} instead of ${expected}, after ${this.cursor}`;
    if (n < expected) fail(`${this.name}: a double ${where}`);
    if (n > expected && !this.missed.has(channel)) fail(`${this.name}: a hole ${where}`);
    if (n === expected && this.missed.has(channel)) fail(`${this.name}: a gap in which nothing is missing ${where}`);
    this.missed.delete(channel);
    this.seen[channel] = n;
    this.counts.messages++;
  }
  // Of a client with one cursor for all channels.
  move(id) {
    if (id < this.cursor) fail(`${this.name}: ${id} follows ${this.cursor}`);
    this.cursor = id;
  }
  isDone() {
    return target !== null && this.cursor >= target.id;
  }
  check() {
    for (const channel of channels)
      if (this.seen[channel] < target.published[channel] && !this.missed.has(channel))
        fail(`${this.name}: ${channel} ends at ${this.seen[channel]} instead of ${target.published[channel]}, with ${this.cursor}`);
  }
}

// ---- Connections ----------------------------------------------------------------------------------------------------

// Opens a connection, and makes sure that a worker has it. Resolves with its socket.
function connect() {
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), hostname, () => socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
    socket.setNoDelay(true);
    socket.once("error", (error) => fail(`connecting: ${error.message}`));
    let text = "";
    socket.on("data", function take(bytes) {
      text += bytes;
      if (!text.endsWith('"}') && !text.endsWith('"}\n')) return;
      socket.removeAllListeners();
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

// Connections to all workers, for what takes a connection of its own each time: the next one is to the next worker.
class Connections {
  static async open(count) {
    const self = new Connections();
    self.list = [];
    for (let i = 0; i < count; i++) self.list.push(await connect());
    return self;
  }
  next() {
    const socket = this.list.shift();
    return socket;
  }
  async replace(socket) {
    socket.destroy();
    this.list.push(await connect());
  }
}

// Sends a request over one of the connections, which is used again. Resolves with the body of the answer.
function ask(socket, text) {
  return new Promise((resolve) => {
    let buffered = Buffer.alloc(0);
    let length = -1;
    let start = 0;
    const onData = (bytes) => {
      buffered = buffered.length ? Buffer.concat([buffered, bytes]) : bytes;
      if (length < 0) {
        const end = buffered.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = buffered.toString("latin1", 0, end);
        if (!head.startsWith("HTTP/1.1 200 ")) fail(buffered.toString());
        length = Number(/\r\nContent-Length: (\d+)/i.exec(head)[1]);
        start = end + 4;
      }
      if (buffered.length < start + length) return;
      socket.off("data", onData);
      socket.off("close", onClose);
      resolve(buffered.toString("utf8", start));
    };
    const onClose = () => fail("a connection was closed");
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.write(text);
  });
}

// ---- Clients --------------------------------------------------------------------------------------------------------

// Polls over `count` connections in turn. With `lasts`, as one client of client=.
async function poll(checker, count, lasts) {
  const { list } = await Connections.open(count);
  let client = "";
  for (let i = 0; !checker.isDone(); i++) {
    const name = lasts ? `&client=${client}` : "";
    const since = checker.cursor ? `&since=${checker.cursor}` : "";
    const text = await ask(list[i % count], `GET /poll?${query}${name}${since}&wait=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    const answer = JSON.parse(text);
    for (const channel of answer.gaps) checker.gap(channel);
    if (since && (answer.recovered ?? answer.gaps.length === 0) !== (answer.gaps.length === 0)) fail(`${checker.name}: ${text}`);
    if (lasts && client && answer.client !== client) fail(`${checker.name}: it has become another`);
    client = answer.client;
    for (const message of answer.messages) {
      if (!message.id) continue;
      checker.move(message.id);
      checker.take(message.channel, message.data.n);
    }
    checker.move(answer.id);
    if (count > 1) checker.counts.moves++;
    checker.start();
    if (Math.random() < 0.3) await sleep(Math.random() * 20);
  }
  for (const socket of list) socket.destroy();
}

// Reads a stream, or, with `moves`, a random number of bytes of each of many.
async function stream(checker, moves) {
  const connections = await Connections.open(moves ? WORKERS : 1);
  while (!checker.isDone()) {
    const socket = await connections.next();
    const id = checker.cursor;
    // The cursor moves when a block is complete, and only then.
    const parser = new EventParser(({ type, data, lastEventId }) => {
      if (type === "moonwire:gap") {
        checker.gap(JSON.parse(data).channel);
        return;
      }
      const { channel, n } = JSON.parse(data);
      checker.move(lastEventId);
      checker.take(channel, n);
    }, id);
    await new Promise((resolve) => {
      let left = moves && Math.random() < 0.9 ? 100 + Math.floor(Math.random() * 20000) : Infinity;
      const late = moves ? setTimeout(resolve, 300) : null;
      const body = new BodyReader((bytes) => parser.push(bytes), () => fail(`${checker.name}: the stream ended`));
      socket.on("close", () => fail(`${checker.name}: the stream was closed`));
      socket.on("data", (bytes) => {
        const part = bytes.subarray(0, left);
        left -= part.length;
        body.push(part);
        if (parser.lastEventId > checker.cursor) checker.move(parser.lastEventId);
        if (checker.cursor) checker.start();
        if (left > 0 && !checker.isDone()) return;
        clearTimeout(late);
        resolve();
      });
      const last = id ? `Last-Event-ID: ${id}\r\n` : "";
      socket.write(`GET /sse?${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n${last}\r\n`);
    });
    socket.removeAllListeners();
    socket.on("error", () => {});
    checker.counts.moves++;
    if (checker.isDone() || !moves) socket.destroy();
    else await connections.replace(socket);
    if (moves && Math.random() < 0.3) await sleep(Math.random() * 100);
  }
  for (const socket of connections.list) socket.destroy();
}

// A WebSocket, which returns to each channel with the last id that it has of it.
async function socket(checker, moves) {
  const connections = await Connections.open(moves ? WORKERS : 1);
  const cursors = {};
  const isDone = () => target !== null && channels.every((channel) => cursors[channel] >= target.id);
  while (!isDone()) {
    const connection = await connections.next();
    const client = new WebSocket(`${base.replace(/^http/, "ws")}/ws`, { createConnection: () => connection, perMessageDeflate: false });
    await new Promise((resolve) => {
      let left = moves && Math.random() < 0.9 ? Math.floor(Math.random() * 300) : Infinity;
      const late = moves ? setTimeout(resolve, 300) : null;
      let acknowledged = 0;
      client.on("error", (error) => fail(`${checker.name}: ${error.message}`));
      client.on("open", () => channels.forEach((channel) => client.send(JSON.stringify({ subscribe: channel, since: cursors[channel], ref: channel }))));
      client.on("message", (text) => {
        if (left <= 0) return;
        const push = JSON.parse(text);
        if (push.ok) {
          if (push.ok.recovered === false) checker.gap(push.ref);
          cursors[push.ref] ??= push.ok.id;
          if (++acknowledged === channels.length) checker.start();
        } else if (push.event === "moonwire:gap") {
          checker.gap(push.data.channel);
        } else if (push.event === "item") {
          if (push.id <= cursors[push.channel]) fail(`${checker.name}: ${push.id} follows ${cursors[push.channel]}`);
          checker.take(push.channel, push.data.n);
          cursors[push.channel] = push.id;
        } else if (!push.ping) {
          fail(`${checker.name}: ${text}`);
        }
        left--;
        if (left > 0 && !isDone()) return;
        clearTimeout(late);
        resolve();
      });
    });
    client.removeAllListeners();
    client.on("error", () => {});
    client.terminate();
    checker.counts.moves++;
    if (!isDone()) await connections.replace(connection);
    if (moves && Math.random() < 0.3) await sleep(Math.random() * 100);
  }
  for (const connection of connections.list) connection.destroy();
}

const kinds = {
  "a poll that stays": (checker) => poll(checker, 1, false),
  "a poll that alternates": (checker) => poll(checker, WORKERS, false),
  "a client that polls and stays": (checker) => poll(checker, 1, true),
  "a client that polls and alternates": (checker) => poll(checker, WORKERS, true),
  "a stream that stays": (checker) => stream(checker, false),
  "a stream that alternates": (checker) => stream(checker, true),
  "a WebSocket that stays": (checker) => socket(checker, false),
  "a WebSocket that alternates": (checker) => socket(checker, true),
};

// ---- Publishing -----------------------------------------------------------------------------------------------------

const publisher = await connect();

async function publish(names) {
  const body = JSON.stringify(names.map((channel) => ({ channel, event: "item", data: { channel, n: ++published[channel] } })));
  const head = `POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const answers = JSON.parse(await ask(publisher, head + body));
  for (const answer of answers) if (!answer.id) fail(`a publish is answered with ${JSON.stringify(answer)}`);
  return answers.at(-1).id;
}

async function publishAll(count) {
  let id;
  for (let done = 0; done < count; ) {
    const chance = Math.random();
    // Few channels at times: then the rings of the others last as long as `ttl`.
    const some = chance < 0.5 ? channels : channels.slice(0, 1 + Math.floor(Math.random() * 4));
    const burst = Math.min(count - done, chance < 0.2 ? 1 : 1 + Math.floor(Math.random() * 200));
    id = await publish(Array.from({ length: burst }, () => some[Math.floor(Math.random() * some.length)]));
    done += burst;
    if (Math.random() < 0.1) await sleep(Math.random() * 20);
    if (Math.random() < 0.0005) await sleep(1500); // everything expires
  }
  return id;
}

const checkers = {};
const running = [];
for (const [name, run] of Object.entries(kinds)) {
  checkers[name] = [];
  for (let i = 0; i < Number(each); i++) {
    const checker = new Checker(`${name} (${i})`);
    checkers[name].push(checker);
    running.push(run(checker).then(() => checker));
    await checker.started;
  }
}
const begin = performance.now();
let id = await publishAll(Number(messages));
// On a busy machine, messages may be faster than moves.
const hasMoved = () => Object.entries(checkers).every(([name, list]) => !name.includes("alternates") || list.every(({ counts }) => counts.moves >= 2));
while (!hasMoved()) {
  id = await publishAll(100);
  await sleep(20);
}
target = { id, published: { ...published } };
const seconds = (performance.now() - begin) / 1000;
// A client is done with the next message of each channel.
let done = false;
const ending = Promise.all(running).then(() => (done = true));
while (!done) {
  await publish(channels);
  await sleep(50);
}
await ending;
const result = {};
for (const [name, list] of Object.entries(checkers)) {
  for (const checker of list) checker.check();
  result[name] = list.map(({ counts }) => counts).reduce((a, b) => Object.fromEntries(Object.keys(a).map((word) => [word, a[word] + b[word]])));
}
console.log(JSON.stringify({ seconds: Number(seconds.toFixed(1)), kinds: result }));
process.exit(0);
