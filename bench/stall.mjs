// Measures how stalled readers delay the others: the 99th percentile of the others' latency,
// divided by that of a run without stalled readers.
//
//   node bench/stall.mjs [READERS [STALLED [SECONDS [POLICY …]]]]
//
// Starts bin/moonwire itself. Each run publishes 200 messages of 10 KB a second to READERS (20) event
// streams; STALLED (20) others never read. The first half of the SECONDS (8) does not count: after
// it, the stalled readers exceed their limits. Prints the median ratio of five pairs of runs.

import http from "node:http";
import net from "node:net";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const [readers = 20, stalled = 20, seconds = 8] = process.argv.slice(2, 5).map(Number);
const policies = process.argv.length > 5 ? process.argv.slice(5) : ["catchup", "close", "drop", "latest"];
const RATE = 200;
const PAIRS = 5;
const text = "x".repeat(10000);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function start() {
  const server = spawn("bin/moonwire", ["bench/stall_app.lua", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface({ input: server.stdout })) {
    const match = /^listening on http:\/\/([^:]+):(\d+)/.exec(line);
    if (match) return { server, host: match[1], port: Number(match[2]) };
  }
  throw new Error("the server did not start");
}

function open(app, channel, onData) {
  const socket = net.connect(app.port, app.host);
  socket.write(`GET /sse?channel=${channel} HTTP/1.1\r\nHost: bench\r\n\r\n`);
  socket.on("error", () => {});
  if (onData) socket.on("data", onData);
  return socket;
}

function publish(app, channel) {
  const body = JSON.stringify({ channel, key: "k", data: { at: performance.now(), text } });
  const headers = { Authorization: "Bearer bench", "Content-Length": Buffer.byteLength(body) };
  const request = http.request({ host: app.host, port: app.port, path: "/publish", method: "POST", agent, headers }, (answer) => answer.resume());
  request.end(body);
}

// Runs once. Resolves with the latencies of the second half in milliseconds, sorted.
async function run(app, policy, stalledCount) {
  const channel = `${policy}:${Math.random()}`;
  const latencies = [];
  let counts = false;
  const sockets = [];
  for (let i = 0; i < readers; i++) {
    sockets.push(
      open(app, channel, (bytes) => {
        const at = counts ? bytes.indexOf('{"at":') : -1;
        if (at >= 0) latencies.push(performance.now() - parseFloat(bytes.subarray(at + 6, at + 26).toString("latin1")));
      }),
    );
  }
  for (let i = 0; i < stalledCount; i++) sockets.push(open(app, channel));
  await sleep(300);
  const begin = performance.now();
  for (let n = 0; n < RATE * seconds; n++) {
    const wait = begin + (n * 1000) / RATE - performance.now();
    if (wait > 0) await sleep(wait);
    counts = n > (RATE * seconds) / 2;
    publish(app, channel);
  }
  await sleep(200);
  for (const socket of sockets) socket.destroy();
  await sleep(200);
  if (latencies.length < (readers * RATE * seconds) / 4) throw new Error(`only ${latencies.length} came`);
  return latencies.sort((a, b) => a - b);
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const app = await start();
for (const policy of policies) {
  const pairs = [];
  for (let i = 0; i < PAIRS; i++) {
    const control = await run(app, policy, 0);
    const beside = await run(app, policy, stalled);
    pairs.push({ control: at(control, 0.99), beside: at(beside, 0.99), ratio: at(beside, 0.99) / at(control, 0.99) });
  }
  pairs.sort((a, b) => a.ratio - b.ratio);
  const { control, beside, ratio } = pairs[Math.floor(PAIRS / 2)];
  console.log(`${policy.padEnd(8)} p99 ${control.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside ${stalled} stalled: ratio ${ratio.toFixed(2)}`);
}
console.log(await (await fetch(`http://${app.host}:${app.port}/stats`)).text());
app.server.kill("SIGINT");
