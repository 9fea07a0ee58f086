// Measures what a handler that does not return costs the others: /health, relayed events, and publishes, with two workers.
//
//   node bench/blocked.mjs [SECONDS [RATE]]
//
// Starts bin/moonwire itself. Each run takes SECONDS (5), in which the handler of the script is idle, blocks in a C library, or
// computes in Lua. A process of its own publishes RATE (20000) kept messages a second, in requests of 50, and then as many as the
// server takes. Another one requests /health and sends a relayed event every 5 ms. With computing, the script and the publisher
// have core 0, and the workers core 1 (Linux, with taskset). Prints the median of three runs, whose order alternates.

import net from "node:net";
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { WebSocket } from "ws";
import { start } from "./support/server.mjs";

const ROUNDS = 3;
const EACH = 50; // messages of a request
const PROBE_MS = 5;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Reads the answers of pipelined requests; `onAnswer` is called with the body of each.
function readAnswers(socket, onAnswer) {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (part) => {
    text += part;
    for (;;) {
      const end = text.indexOf("\r\n\r\n");
      const length = end < 0 ? null : /\r\nContent-Length: (\d+)/i.exec(text.slice(0, end + 2));
      if (!length || text.length < end + 4 + Number(length[1])) return;
      const body = text.slice(end + 4, end + 4 + Number(length[1]));
      text = text.slice(end + 4 + Number(length[1]));
      onAnswer(body);
    }
  });
}

// ---- The process that publishes -------------------------------------------------------------------------------------

async function publish({ host, port, seconds, rate }) {
  const body = JSON.stringify(Array.from({ length: EACH }, (_, n) => ({ channel: "load", event: "item", data: n })));
  const request = `POST /publish HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const socket = net.connect(port, host);
  await once(socket, "connect");
  let sent = 0;
  let answered = 0;
  let refused = 0;
  readAnswers(socket, (answer) => {
    answered++;
    refused += EACH - answer.split('"id"').length + 1;
  });
  const begin = performance.now();
  for (;;) {
    const passed = (performance.now() - begin) / 1000;
    if (passed > seconds) break;
    // Without a rate, four requests are in flight.
    const due = rate > 0 ? Math.floor((passed * rate) / EACH) : answered + 4;
    for (; sent < due; sent++) socket.write(request);
    await (rate > 0 ? sleep(1) : new Promise(setImmediate));
  }
  const took = (performance.now() - begin) / 1000;
  while (answered < sent) await sleep(1);
  process.send({ published: answered * EACH - refused, refused, perSecond: Math.round((answered * EACH) / took) });
  process.disconnect();
  socket.destroy();
}

// ---- The probes -----------------------------------------------------------------------------------------------------

async function openSocket(app, ...channels) {
  const socket = new WebSocket(`ws://${app.host}:${app.port}/ws`, { perMessageDeflate: false });
  await once(socket, "open");
  for (const channel of channels) {
    socket.send(JSON.stringify({ subscribe: channel, ref: channel }));
    await once(socket, "message");
  }
  return socket;
}

async function probe(app, seconds) {
  const health = [];
  const relay = [];
  const http = net.connect(app.port, app.host);
  await once(http, "connect");
  const asked = [];
  readAnswers(http, () => health.push(performance.now() - asked.shift()));
  const sender = await openSocket(app, "relay");
  const receiver = await openSocket(app, "relay");
  receiver.on("message", (text) => relay.push(performance.now() - JSON.parse(text).data));
  const till = performance.now() + seconds * 1000;
  while (performance.now() < till) {
    asked.push(performance.now());
    http.write("GET /health HTTP/1.1\r\nHost: bench\r\n\r\n");
    sender.send(JSON.stringify({ send: "relay", event: "note", data: performance.now() }));
    await sleep(PROBE_MS);
  }
  await sleep(200);
  http.destroy();
  sender.terminate();
  receiver.terminate();
  return { health, relay, unanswered: asked.length };
}

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

// The thread that began the process is the script's.
function pin(pid, publisher) {
  for (const thread of readdirSync(`/proc/${pid}/task`)) execFileSync("taskset", ["-pc", Number(thread) === pid ? "0" : "1", thread]);
  execFileSync("taskset", ["-pc", "0", String(publisher)]);
}

async function run(how, seconds, rate, isPinned) {
  const app = await start("bench/blocked_app.lua", [], {}, ["--workers", "2"]);
  const waiting = await openSocket(app, "script");
  const publisher = fork(process.argv[1], ["publish"]);
  if (isPinned) pin(app.pid, publisher.pid);
  if (how !== "idle") waiting.send(JSON.stringify({ send: "script", event: "wait", data: { how, seconds: seconds + 1 }, ref: 1 }));
  await sleep(300);
  publisher.send({ host: app.host, port: app.port, seconds, rate });
  const [[published], { health, relay, unanswered }] = await Promise.all([once(publisher, "message"), probe(app, seconds)]);
  waiting.terminate();
  await sleep(how === "idle" ? 0 : 1500);
  await app.stop();
  return { ...published, unanswered, health: percentile(health, 0.99), relay: percentile(relay, 0.99) };
}

function median(runs, name) {
  return runs.map((one) => one[name]).sort((a, b) => a - b)[Math.floor(runs.length / 2)];
}

async function main() {
  const [seconds = 5, rate = 20000] = process.argv.slice(2).map(Number);
  for (const [how, isPinned, at] of [
    ["block", false, rate],
    ["block", false, 0],
    ["compute", true, rate],
    ["compute", true, 0],
  ]) {
    const runs = { idle: [], [how]: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const word of round % 2 ? [how, "idle"] : ["idle", how]) runs[word].push(await run(word, seconds, at, isPinned));
    }
    console.log(`${how}, ${at > 0 ? `${at} messages a second` : "as many messages as it takes"}${isPinned ? ", pinned" : ""}:`);
    for (const [word, list] of Object.entries(runs)) {
      const total = (name) => list.reduce((sum, one) => sum + one[name], 0);
      console.log(
        `  ${word.padEnd(8)} p99 /health ${median(list, "health").toFixed(2)} ms, relay ${median(list, "relay").toFixed(2)} ms; ` +
          `${median(list, "perSecond")} messages a second; refused ${total("refused")}, unanswered ${total("unanswered")}`,
      );
    }
  }
  process.exit(0);
}

if (process.argv[2] === "publish") process.once("message", publish);
else await main();
