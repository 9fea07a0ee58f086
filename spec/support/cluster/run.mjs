// A cluster of three nodes with one Redis, clients that go from node to node, publishers on all nodes and outside, and faults. In the end,
// each client must have received every message once and in order, or have been told of a gap that is one.
//
//   node support/cluster/run.mjs OPTIONS      a JSON object
//
//   clients    how many of each kind
//   messages   how many are published at least
//   batch      how many messages a request to POST /publish has (default: 1)
//   channels   on how many channels
//   each       how many of them a client subscribes to (default: all)
//   history    how many messages a channel keeps
//   steps      the faults, in their order, each after some more messages; "random:N" stands for N of them
//   cutMs      how often CLIENT KILL TYPE pubsub cuts the nodes off, during the whole run (default: never)
//   redis      further options of redis-server
//   gaps       true: gaps are allowed, because Redis may lose what it has acknowledged
//
// Prints what it did as JSON.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { check, kinds } from "./clients.mjs";
import { Node, Redis, sleep, until } from "./processes.mjs";

const options = JSON.parse(process.argv[2]);
const script = readFileSync("csrc/broker/scripts/publish.lua", "utf8");
const directory = mkdtempSync(`${tmpdir()}/cluster-`);
const key = "k".repeat(32);
process.env.PUBLISH_KEY = key;
process.env.HISTORY = String(options.history);

const channels = Array.from({ length: options.channels }, (_, i) => `c:${i}`);
const redis = new Redis(directory, options.redis);
const nodes = ["1", "2", "3"].map((name) => new Node(directory, name, "spec/support/cluster/app.lua", redis));
const pickOf = (list) => list[Math.floor(Math.random() * list.length)];
const cluster = { pick: () => pickOf(nodes.filter(({ isRunning }) => isRunning)) };

const counts = { published: 0, unknown: 0, messages: 0, gaps: 0, cuts: 0, connections: 0, refusals: 0, done: {} };
const faults = []; // what is wrong

// ---- Publishers ---------------------------------------------------------------------------------------------------------

const acknowledged = new Map(); // "<by>:<n>" -> the id
let isPublishing = true;
let keys = 0;

const isTemporary = (status) => status === 429 || status === 502 || status === 503;

// Each publishes some messages, and resolves with their ids; null if it is not known whether a message was published.
const ways = {
  async handler(node, [data]) {
    const answer = await node.request("POST", "/say", JSON.stringify(data), { "Content-Type": "application/json" });
    if (answer.status === 200) return [JSON.parse(answer.text).id];
    if (!isTemporary(answer.status)) faults.push(`/say: ${answer.status} ${answer.text}`);
    return [];
  },
  async http(node, list) {
    const body = JSON.stringify(list.map((data) => ({ channel: data.channel, event: "item", data })));
    const answer = await node.request("POST", "/publish", body, { Authorization: `Bearer ${key}` });
    if (answer.status === 200) return JSON.parse(answer.text).map(({ id }) => id);
    if (!isTemporary(answer.status)) faults.push(`/publish: ${answer.status} ${answer.text}`);
    return [];
  },
  // Every tenth request is cut off when it was sent. It is repeated on any node, with the same key: the message is published once.
  async cut(_, [data]) {
    const object = { channel: data.channel, event: "item", data, idempotency_key: `cut ${data.n}` };
    for (let isCut = data.n % 10 === 0; ; isCut = false) {
      const answer = await cluster
        .pick()
        ?.request("POST", "/publish", JSON.stringify(object), { Authorization: `Bearer ${key}` }, { isCut })
        .catch(() => null);
      if (answer?.status === 200) return [JSON.parse(answer.text).id];
      if (answer && !isTemporary(answer.status)) faults.push(`/publish: ${answer.status} ${answer.text}`);
      await sleep(20);
    }
  },
  // The same key until it is known: the message is published once.
  async outside(_, [data]) {
    const name = `key ${keys++}`;
    for (;;) {
      try {
        return [`outside-${await redis.publish(script, data.channel, "item", data, name, options.history)}`];
      } catch {
        await sleep(20);
      }
    }
  },
};

async function publish(by, way, node) {
  const size = way === "http" ? (options.batch ?? 1) : 1;
  let n = 0;
  while (isPublishing) {
    if (node && !node.isRunning) {
      await sleep(20);
      continue;
    }
    const list = Array.from({ length: size }, () => ({ channel: pickOf(channels), by, n: ++n }));
    const ids = await ways[way](node, list).catch(() => []);
    list.forEach((data, i) => ids[i] && acknowledged.set(`${by}:${data.n}`, ids[i]));
    const known = ids.filter(Boolean).length;
    counts.published += known;
    counts.unknown += size - known;
    if (known < size) await sleep(20);
  }
}

// ---- Faults ---------------------------------------------------------------------------------------------------------------

const steps = {
  async "kill a node"() {
    const node = cluster.pick();
    await node.end("SIGKILL");
    await more(20);
    await node.start();
  },
  async "stop a node"() {
    const node = cluster.pick();
    const { code, signal } = await node.end("SIGTERM");
    if (code !== 0) faults.push(`node ${node.name} ended with ${code ?? signal}:\n${node.output()}`);
    await more(20);
    await node.start();
  },
  "cut pub/sub": () => redis.call("CLIENT", "KILL", "TYPE", "pubsub"),
  "cut commands": () => redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
  async "restart Redis"() {
    await redis.end("SIGKILL");
    await redis.start();
  },
  "empty Redis": () => redis.call("FLUSHALL"),
  async "fill Redis"() {
    await redis.call("CONFIG", "SET", "maxmemory", "1");
    const before = counts.unknown;
    await until("refused publishes", () => counts.unknown > before + 10);
    await redis.call("CONFIG", "SET", "maxmemory", "0");
  },
  // for longer than the others believe that it is alive
  async "pause a node"() {
    const node = cluster.pick();
    node.signal("SIGSTOP");
    await sleep(options.pauseMs ?? 12000);
    node.signal("SIGCONT");
  },
  // three, at least
  async "wait for cuts"() {
    const wanted = counts.cuts + 3;
    await until("cuts", () => counts.cuts >= wanted);
  },
  async "pause Redis"() {
    redis.signal("SIGSTOP");
    await sleep(options.pauseMs ?? 5000);
    redis.signal("SIGCONT");
  },
};

const lossless = ["kill a node", "stop a node", "cut pub/sub", "cut commands", "restart Redis", "pause Redis"];

// Those of the client with that number.
const someChannels = (i) => Array.from({ length: options.each ?? channels.length }, (_, k) => channels[(i + k) % channels.length]);

// Resolves when so many more messages have been published.
async function more(count) {
  const wanted = counts.published + count;
  await until(`${count} more messages`, () => counts.published >= wanted, 120);
}

function expand(list) {
  return list.flatMap((name) => {
    const count = /^random:(\d+)$/.exec(name)?.[1];
    return count ? Array.from({ length: Number(count) }, () => pickOf(lossless)) : [name];
  });
}

// ---- The run --------------------------------------------------------------------------------------------------------------

async function run() {
  await redis.start();
  await Promise.all(nodes.map((node) => node.start()));
  const clients = Object.entries(kinds).flatMap(([kind, Kind]) =>
    Array.from({ length: options.clients }, (_, i) => new Kind(`${kind} ${i}`, cluster, someChannels(i))));
  const running = clients.map((client) => client.run());
  const publishers = nodes.flatMap((node) => [publish(`handler ${node.name}`, "handler", node), publish(`http ${node.name}`, "http", node)]);
  publishers.push(publish("outside", "outside"), publish("cut", "cut"));
  const cutting = options.cutMs && setInterval(() => redis.call("CLIENT", "KILL", "TYPE", "pubsub").then(() => counts.cuts++, () => {}), options.cutMs);

  await Promise.all(clients.map((client) => client.started));
  const list = expand(options.steps);
  for (const name of list) {
    await more(Math.ceil(options.messages / (list.length + 1)));
    counts.done[name] = (counts.done[name] ?? 0) + 1;
    await steps[name]();
  }
  await until("all messages", () => counts.published >= options.messages, 600);
  isPublishing = false;
  await Promise.all(publishers);
  for (const channel of channels) await ways.outside(null, [{ channel, by: "end", n: 1, last: true }]);
  clearInterval(cutting);
  const isLate = await Promise.race([Promise.all(running), sleep((options.patience ?? 120) * 1000).then(() => true)]);
  if (isLate === true) faults.push(`clients that wait: ${clients.filter(({ isDone }) => !isDone).map(({ name }) => name)}`);
  const kept = {};
  for (const channel of channels) {
    kept[channel] = await redis.kept(channel);
    checkKept(kept[channel], channel);
  }
  for (const client of clients) {
    if (client.fault) faults.push(client.fault);
    for (const channel of client.channels) {
      const fault = check(client, channel, kept[channel], counts, options.gaps);
      if (fault) faults.push(fault);
    }
    counts.connections += client.counts.connections;
    counts.refusals += client.counts.refusals;
  }
  if (counts.gaps > 0 && !options.gaps) faults.push(`${counts.gaps} gaps, and nothing was lost`);
  for (const node of nodes) {
    const { code, signal } = await node.end("SIGTERM");
    if (code !== 0) faults.push(`node ${node.name} ended with ${code ?? signal}:\n${node.output()}`);
  }
}

// No message twice, those of each publisher in their order, and all that were acknowledged, at the positions of their ids.
function checkKept(list, channel) {
  const seen = new Map();
  for (const { position, data } of list) {
    const { by, n } = data;
    if (n <= (seen.get(by) ?? 0)) faults.push(`${channel} in Redis: ${by} ${n} follows ${seen.get(by)}`);
    seen.set(by, n);
    const id = acknowledged.get(`${by}:${n}`);
    if (id && Number(id.slice(id.indexOf("-") + 1)) !== position) faults.push(`${channel}: ${by} ${n} was acknowledged with ${id}, and has the position ${position}`);
    acknowledged.delete(`${by}:${n}`);
  }
}

try {
  await run();
  if (acknowledged.size > 0 && !options.gaps) faults.push(`acknowledged, and not in Redis: ${[...acknowledged.keys()].slice(0, 10)}`);
} catch (error) {
  faults.push(error.stack);
} finally {
  for (const program of [...nodes, redis]) if (program.child) await program.end();
}
if (faults.length > 0) for (const { log } of nodes) console.error(`---- ${log}\n${readFileSync(log, "utf8").slice(-3000)}`);
rmSync(directory, { recursive: true });
console.log(JSON.stringify({ ...counts, wrong: faults.slice(0, 20) }));
process.exit(0);
