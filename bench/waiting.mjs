// Measures what handlers that wait cost relayed events: 200 handlers wait for a back end that does not answer, and two threads of
// moonwire.work block in a C library.
//
//   node bench/waiting.mjs [SECONDS]
//
// Starts bin/moonwire itself. Six pairs of runs, idle and waiting, whose order alternates, of SECONDS (3) each. A run sends a
// relayed event every 2 ms. Prints the medians of the 50th and 99th percentiles, and the median of the ratios of the pairs.

import net from "node:net";
import { once } from "node:events";
import { WebSocket } from "ws";
import { start } from "./support/server.mjs";

const PAIRS = 6;
const HANDLERS = 200;
const THREADS = 2;
const PROBE_MS = 2;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function openSocket(app) {
  const socket = new WebSocket(`ws://${app.host}:${app.port}/ws`, { perMessageDeflate: false });
  await once(socket, "open");
  socket.send(JSON.stringify({ subscribe: "relay", ref: 1 }));
  await once(socket, "message");
  return socket;
}

async function probe(app, seconds) {
  const times = [];
  const sender = await openSocket(app);
  const receiver = await openSocket(app);
  receiver.on("message", (text) => times.push(performance.now() - JSON.parse(text).data));
  const till = performance.now() + seconds * 1000;
  while (performance.now() < till) {
    sender.send(JSON.stringify({ send: "relay", event: "note", data: performance.now() }));
    await sleep(PROBE_MS);
  }
  await sleep(100);
  sender.terminate();
  receiver.terminate();
  return times.sort((a, b) => a - b);
}

// Sends the requests whose handlers wait. Returns what ends them.
async function beginWaiting(app, backEnd, seconds) {
  const sockets = [];
  const targets = [
    ...Array(HANDLERS).fill(`/wait?url=http://127.0.0.1:${backEnd.port}/`),
    ...Array(THREADS).fill(`/block?seconds=${seconds + 2}`),
  ];
  for (const target of targets) {
    const socket = net.connect(app.port, app.host);
    socket.on("error", () => {});
    socket.write(`GET ${target} HTTP/1.1\r\nHost: bench\r\n\r\n`);
    sockets.push(socket);
  }
  while (backEnd.count < HANDLERS) await sleep(5);
  return () => sockets.forEach((socket) => socket.destroy());
}

async function run(isWaiting, seconds) {
  const backEnd = { count: 0 };
  const silent = net.createServer((socket) => socket.on("error", () => {}).once("data", () => backEnd.count++));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  backEnd.port = silent.address().port;
  const app = await start("bench/waiting_app.lua", [], {}, []);
  const end = isWaiting ? await beginWaiting(app, backEnd, seconds) : () => {};
  const times = await probe(app, seconds);
  end();
  await app.stop();
  silent.close();
  return { p50: times[Math.floor(times.length * 0.5)], p99: times[Math.floor(times.length * 0.99)], count: times.length };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const seconds = Number(process.argv[2] ?? 3);
const idle = [];
const waiting = [];
for (let pair = 0; pair < PAIRS; pair++) {
  for (const isWaiting of pair % 2 ? [true, false] : [false, true]) (isWaiting ? waiting : idle).push(await run(isWaiting, seconds));
}
for (const [name, runs] of [["idle", idle], ["waiting", waiting]]) {
  const [p50, p99] = ["p50", "p99"].map((key) => median(runs.map((one) => one[key])).toFixed(2));
  console.log(`${name.padEnd(8)} p50 ${p50} ms  p99 ${p99} ms  ${runs[0].count} events a run`);
}
console.log(`p99, waiting to idle: ${median(waiting.map((one, i) => one.p99 / idle[i].p99)).toFixed(2)}`);
process.exit(0);
