// Many clients join channels that no client of their node is subscribed to, while other nodes publish without a pause. Each must
// receive what follows the position of its subscription, all of it, once, and in order.
//
//   node support/cluster/race.mjs OPTIONS      a JSON object
//
//   clients    how many, each of one channel
//   channels   how many
//   after      how many messages are published to each channel when all clients have joined, at least
//
// Prints what it did as JSON.

import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { WebSocket } from "ws";
import { Node, Redis, sleep, until } from "./processes.mjs";

const options = JSON.parse(process.argv[2]);
const BATCH = 10;
const directory = mkdtempSync(`${tmpdir()}/race-`);
process.env.PUBLISH_KEY = "k".repeat(32);
process.env.HISTORY = "1000000";

const redis = new Redis(directory, ["--appendonly", "no"]);
const nodes = ["1", "2"].map((name) => new Node(directory, name, "spec/support/cluster/app.lua", redis));
const channels = Array.from({ length: options.channels }, (_, i) => `c:${i}`);
const counts = Object.fromEntries(channels.map((channel) => [channel, 0]));
const wrong = [];
let isPublishing = true;

async function publish(channel) {
  while (isPublishing) {
    const body = JSON.stringify(Array.from({ length: BATCH }, (_, i) => ({ channel, event: "item", data: { n: counts[channel] + i } })));
    const answer = await nodes[1].request("POST", "/publish", body, { Authorization: `Bearer ${process.env.PUBLISH_KEY}` });
    if (answer.status !== 200) throw new Error(`/publish: ${answer.status} ${answer.text}`);
    counts[channel] += BATCH;
  }
}

// The ids are taken from the text: there are many.
const idOf = (text) => /"id":"(\w+-\d+)"/.exec(text)?.[1];
const positionOf = (id) => Number(id.slice(id.indexOf("-") + 1));

class Client {
  ids = [];
  constructor(channel) {
    this.channel = channel;
    this.opened = new Promise((resolve, reject) => {
      this.socket = new WebSocket("ws://x/ws", { createConnection: () => connect(nodes[0].path), perMessageDeflate: false });
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.socket.on("close", (code) => this.isClosing || wrong.push(`a client of ${channel} was closed: ${code}`));
    this.joined = new Promise((resolve) => (this.onJoined = resolve));
    this.socket.on("message", (data) => this.take(String(data)));
  }
  join() {
    this.socket.send(JSON.stringify({ subscribe: this.channel, ref: 1 }));
  }
  take(text) {
    if (text.includes('"event":"item"')) this.ids.push(idOf(text));
    else if (text.includes('"ok"')) this.onJoined((this.start = idOf(text)));
    else wrong.push(`a client of ${this.channel} received ${text}`);
  }
  close() {
    this.isClosing = true;
    this.socket.terminate();
  }
}

// What it received is everything that is kept after its start.
function check(client, kept) {
  const from = kept.findIndex(({ position }) => position > positionOf(client.start));
  const expected = from < 0 ? [] : kept.slice(from);
  const at = expected.findIndex(({ position }, i) => client.ids[i] === undefined || positionOf(client.ids[i]) !== position);
  if (at >= 0) wrong.push(`${client.channel} from ${client.start}: ${client.ids[at]} in place of ${expected[at].position}, number ${at}`);
  else if (client.ids.length > expected.length) wrong.push(`${client.channel} from ${client.start}: too much`);
}

async function run() {
  await redis.start();
  await Promise.all(nodes.map((node) => node.start()));
  const clients = Array.from({ length: options.clients }, (_, i) => new Client(channels[i % channels.length]));
  await Promise.all(clients.map(({ opened }) => opened));
  const publishing = channels.map(publish);
  await until("messages", () => channels.every((channel) => counts[channel] > BATCH));
  for (const client of clients) client.join();
  await Promise.all(clients.map(({ joined }) => joined));
  const wanted = Object.fromEntries(channels.map((channel) => [channel, counts[channel] + options.after]));
  await until("messages", () => channels.every((channel) => counts[channel] >= wanted[channel]));
  isPublishing = false;
  await Promise.all(publishing);
  const kept = {};
  for (const channel of channels) kept[channel] = await redis.kept(channel);
  const isLast = ({ ids, channel }) => ids.length > 0 && positionOf(ids.at(-1)) === kept[channel].at(-1).position;
  await until("the last messages", () => clients.every(isLast)).catch((error) => wrong.push(error.message));
  await sleep(0);
  for (const client of clients) {
    check(client, kept[client.channel]);
    client.close();
  }
  return { published: Object.values(counts).reduce((sum, count) => sum + count), received: clients.reduce((sum, { ids }) => sum + ids.length, 0) };
}

let result = {};
try {
  result = await run();
} catch (error) {
  wrong.push(error.stack);
} finally {
  for (const program of [...nodes, redis]) if (program.child) await program.end();
}
if (wrong.length > 0) for (const node of nodes) console.error(node.output().slice(-3000));
rmSync(directory, { recursive: true });
console.log(JSON.stringify({ ...result, wrong: wrong.slice(0, 20) }));
process.exit(0);
