// Measures what a broker costs: each figure beside a bare one of the same pass.
//
//   node bench/cluster.mjs [ROUNDS [PART]]
//
// Starts bin/moonwire and redis-server itself; `make bench` builds the load generator. ROUNDS (6) passes, whose order alternates.
// Prints medians, and the median of the ratios of the passes, as a table:
//
//   deliver     CPU time of a node for a delivery to 1,000 WebSockets, with a broker and without: one message in flight, and batches
//               of 16 in one POST
//   latency     from a publish on one node to its delivery on another, and from PUBLISH to a subscriber of Redis, in ms
//   publish     messages a second: through two nodes, by the script alone, and by PUBLISH (redis-benchmark, pipelines of 16)
//   subscribe   100,000 channels: time, and bytes each in Redis, by clients of a node, and by a bare client of Redis

import net from "node:net";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { WebSocket } from "ws";
import { start } from "./support/server.mjs";

const ROUNDS = Number(process.argv[2] ?? 6);
const CHANNELS = 100000;
const CLIENTS = 1000; // that subscribe to 100 of them each
const PUBLISH_S = 3;
const PROBES = 400;
const PROBE_MS = 5;
const directory = mkdtempSync(`${tmpdir()}/bench-`);
const path = `${directory}/redis`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const share = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))];

// ---- Redis ----------------------------------------------------------------------------------------------------------

const redis = spawn("redis-server", ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"], { stdio: "ignore" });
process.on("exit", () => {
  redis.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => process.exit(1));

const cli = (...words) => execFileSync("redis-cli", ["-s", path, ...words], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const info = (name) => new RegExp(`${name}:(\\w+)`).exec(cli("INFO"))[1];
const command = (...words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;

async function awaitRedis() {
  for (;;) {
    try {
      cli("PING");
      return;
    } catch {
      await sleep(20);
    }
  }
}

// ---- Parts ----------------------------------------------------------------------------------------------------------

const app = (hasBroker) => start("bench/cluster_app.lua", [], hasBroker ? { REDIS: `unix:${path}` } : {});

async function awaitReady(server) {
  while ((await fetch(`http://${server.host}:${server.port}/ready`)).status !== 200) await sleep(20);
}

async function load(server, ...words) {
  const args = ["--port", server.port, "--pid", server.pid, "--strict", "--publish-post", "/publish", "--publish-header", "Authorization: Bearer bench"];
  args.push("--publish-header", "Content-Type: application/json", "--message", '{"channel":"live:{c}","event":"m","data":"{p}"}', ...words);
  const child = spawn("build/release/bench/load", args.map(String), { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part) => (text += part));
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`the load generator ended with ${status}: ${text}`);
  return JSON.parse(text);
}

async function deliver(hasBroker, phase) {
  const server = await app(hasBroker);
  await awaitReady(server);
  const sockets = ["--ws", "/ws", "--send", '{"subscribe":"live:{c}","ref":1}', "--expect", '"ok"', "--subscribers", 1000];
  const report = await load(server, ...sockets, "--phase", `${phase},seconds=2,warmup=0.5`);
  await server.stop();
  const { own_cpu_us: cpu, deliveries } = report.phases[0];
  return cpu / deliveries;
}

async function openSocket(server) {
  const socket = new WebSocket(`ws://${server.host}:${server.port}/ws`, { perMessageDeflate: false });
  await once(socket, "open");
  return socket;
}

// From one node to another.
async function latencyOfNodes() {
  const nodes = [await app(true), await app(true)];
  for (const node of nodes) await awaitReady(node);
  const socket = await openSocket(nodes[1]);
  socket.send('{"subscribe":"live:1","ref":1}');
  await once(socket, "message");
  const publisher = net.connect(nodes[0].port, nodes[0].host).resume().setNoDelay();
  const body = '{"channel":"live:1","event":"m","data":1}';
  const request = `POST /publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer bench\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const times = await probe(() => publisher.write(request), (take) => socket.on("message", take));
  publisher.destroy();
  socket.terminate();
  for (const node of nodes) await node.stop();
  return times;
}

async function latencyOfRedis() {
  const subscriber = net.connect(path);
  subscriber.write(command("SUBSCRIBE", "c"));
  await once(subscriber, "data");
  const publisher = net.connect(path).resume();
  const message = command("PUBLISH", "c", "x".repeat(100));
  const times = await probe(() => publisher.write(message), (take) => subscriber.on("data", take));
  publisher.destroy();
  subscriber.destroy();
  return times;
}

async function probe(send, listen) {
  const times = [];
  let sent;
  listen(() => times.push(performance.now() - sent));
  for (let i = 0; i < PROBES; i++) {
    sent = performance.now();
    send();
    while (times.length <= i) await sleep(PROBE_MS);
  }
  return times.slice(PROBES / 10);
}

// Two nodes, one connection each, requests of 100 messages, a few at a time.
async function publishByNodes() {
  const nodes = [await app(true), await app(true)];
  for (const node of nodes) await awaitReady(node);
  const rates = await Promise.all(nodes.map((node) => publishTo(node)));
  for (const node of nodes) await node.stop();
  return rates[0] + rates[1];
}

async function publishTo(node) {
  const body = JSON.stringify(Array.from({ length: 100 }, () => ({ channel: "live:1", event: "m", data: "x".repeat(100) })));
  const request = `POST /publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer bench\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const socket = net.connect(node.port, node.host).setEncoding("latin1");
  let answered = 0;
  let refused = 0;
  socket.on("data", (text) => {
    const heads = text.split("HTTP/1.1 ").slice(1);
    answered += heads.length;
    refused += heads.filter((head) => !head.startsWith("200")).length;
    if (!isOver) socket.write(request.repeat(heads.length));
  });
  let isOver = false;
  const begin = performance.now();
  socket.write(request.repeat(4));
  await sleep(PUBLISH_S * 1000);
  isOver = true;
  const took = (performance.now() - begin) / 1000;
  const count = answered;
  while (answered < count) await sleep(1);
  socket.destroy();
  if (refused > 0) throw new Error(`${refused} requests were refused`);
  return (count * 100) / took;
}

// By redis-benchmark, as the documentation says.
function benchmark(...words) {
  const output = execFileSync("redis-benchmark", ["-s", path, "-P", "16", "-c", "20", "-n", "150000", "--csv", ...words], { encoding: "utf8" });
  return Number(/"([\d.]+)"(?:,"[\d.]+"){6}\s*$/.exec(output)[1]);
}

function publishByScript() {
  const sha = cli("SCRIPT", "LOAD", readFileSync("csrc/broker/scripts/publish.lua", "utf8")).trim();
  const record = `1 - 1 0 0 0\nm"${"x".repeat(100)}"`;
  const keys = ["h", "s:live:1", "c:live:1", "n:"].map((key) => `{mw}:${key}`);
  return benchmark("EVALSHA", sha, "4", ...keys, info("run_id"), "", "0", "{mw}:m:live:1", record, "100", "0", "90000", "0");
}

const publishBare = () => benchmark("PUBLISH", "{mw}:m:live:1", "x".repeat(160));

const memory = () => Number(info("used_memory"));

// The other half of the channels' cost is on the node.
async function subscribeByNode() {
  const node = await app(true);
  await awaitReady(node);
  const before = memory();
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const socket = await openSocket(node);
      let left = CHANNELS / CLIENTS;
      const done = new Promise((resolve) => socket.on("message", () => --left === 0 && resolve()));
      for (let i = 0; i < CHANNELS / CLIENTS; i++) socket.send(`{"subscribe":"live:${client * 10000 + i}","ref":1}`);
      await done;
    }),
  );
  const took = performance.now() - begin;
  const bytes = (memory() - before) / CHANNELS;
  const count = Number(cli("PUBSUB", "NUMSUB", "{mw}:m:live:0").trim().split("\n").at(-1));
  if (count !== 1) throw new Error("it has not subscribed");
  await node.stop();
  return { took, bytes };
}

async function subscribeBare() {
  const before = memory();
  const socket = net.connect(path);
  await once(socket, "connect");
  let seen = 0;
  const begin = performance.now();
  const answer = "subscribe\r\n";
  let rest = Buffer.alloc(0); // the end of what has come, which may be the beginning of an answer
  const done = new Promise((resolve) => socket.on("data", (bytes) => {
    const text = Buffer.concat([rest, bytes]);
    let from = 0;
    for (let at; (at = text.indexOf(answer, from)) >= 0; from = at + answer.length) seen++;
    rest = text.subarray(Math.max(from, text.length - answer.length + 1));
    if (seen === CHANNELS) resolve();
  }));
  for (let i = 0; i < CHANNELS; i += 1000) {
    socket.write(command("SUBSCRIBE", ...Array.from({ length: 1000 }, (_, k) => `{mw}:m:live:${i + k}`)));
  }
  await done;
  const took = performance.now() - begin;
  const bytes = (memory() - before) / CHANNELS;
  socket.destroy();
  return { took, bytes };
}

// ---- The passes -------------------------------------------------------------------------------------------------------

const figures = [
  {
    name: "deliver: µs of CPU a delivery, 1 in flight",
    measure: { "with a broker": () => deliver(true, "window=1"), without: () => deliver(false, "window=1") },
    take: { "": (cpu) => cpu },
  },
  {
    name: "deliver: µs of CPU a delivery, batches of 16",
    measure: { "with a broker": () => deliver(true, "window=16,batch=16"), without: () => deliver(false, "window=16,batch=16") },
    take: { "": (cpu) => cpu },
  },
  {
    name: "latency, ms",
    measure: { "node to node": latencyOfNodes, PUBLISH: latencyOfRedis },
    take: { p50: (times) => share(times, 0.5), p99: (times) => share(times, 0.99) },
  },
  {
    name: "publish: messages a second",
    measure: { "two nodes": publishByNodes, "the script": publishByScript, PUBLISH: publishBare },
    take: { "": (rate) => rate },
  },
  {
    name: `subscribe: ${CHANNELS} channels`,
    measure: { "a node": subscribeByNode, "a bare client": subscribeBare },
    take: { ms: ({ took }) => took, "bytes each in Redis": ({ bytes }) => bytes },
  },
];

const text = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));

async function main() {
  await awaitRedis();
  const only = process.argv[3];
  for (const { name, measure, take } of figures) {
    if (only && !name.startsWith(only)) continue;
    const ways = Object.keys(measure);
    const runs = Object.fromEntries(ways.map((way) => [way, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const way of round % 2 ? [...ways].reverse() : ways) {
        runs[way].push(await measure[way]());
        cli("FLUSHALL");
      }
    }
    for (const [unit, pick] of Object.entries(take)) {
      const values = Object.fromEntries(ways.map((way) => [way, runs[way].map(pick)]));
      const last = values[ways.at(-1)];
      const cells = ways.map((way) => `${way} ${text(median(values[way]))} (${text(median(values[way].map((value, i) => value / last[i])))})`);
      console.log(`${name}${unit && `, ${unit}`}: ${cells.join("; ")}`);
    }
  }
  process.exit(0);
}

await main();
