// Many clients that poll, each going on from the id of its last answer, while messages are published all the time.
//
//   node support/poll.mjs BASE QUERY CLIENTS SECONDS STOP
//
// QUERY names the channels; their events' data are {"channel":…,"n":…}, n being 1, 2, 3 … on each channel. Every other client is one of
// client=, every third cuts connections at random and asks again with the id it had. After SECONDS it posts to STOP, which answers the last
// n of each channel, and reads on until all clients have them. A hole, a double, a wrong order or a gap fails.

import net from "node:net";

const [base, query, clients, seconds, stop] = process.argv.slice(2);
const { hostname, port } = new URL(base);
const totals = { answers: 0, empty: 0, cut: 0, messages: 0, merged: 0 };
let last = null; // the last n of each channel, when publishing has stopped

function fail(text) {
  console.error(text);
  process.exit(1);
}

// Asks, on a connection of its own, and resolves with the text of the answer; null if it was cut after `limit` bytes.
function ask(target, limit) {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect(Number(port), hostname);
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: "x"\r\n\r\n`));
    socket.on("error", (error) => fail(`${target}: ${error.message}`));
    socket.on("data", (part) => {
      text += part;
      if (text.length < limit) return;
      socket.destroy();
      totals.cut++;
      resolve(null);
    });
    socket.on("end", () => resolve(text));
  });
}

function readAnswer(text) {
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  if (!head.startsWith("HTTP/1.1 200 ")) fail(text);
  if (!/\r\nCache-Control: no-store(\r\n|$)/i.test(head) || /\r\n(ETag|Last-Modified|Age):/i.test(head)) fail(head);
  const length = Number(/\r\nContent-Length: (\d+)/i.exec(head)[1]);
  if (length !== Buffer.byteLength(body)) fail(`${Buffer.byteLength(body)} bytes instead of ${length}`);
  return JSON.parse(body);
}

function take(client, { id, gaps, messages, recovered, client: name }) {
  if (gaps.length > 0 || recovered === false) fail(`client ${client.number}: a gap behind ${client.since}: ${gaps}`);
  if (id < client.since) fail(`client ${client.number}: ${id} behind ${client.since}`);
  const kept = messages.filter((message) => message.id);
  const ids = kept.map((message) => message.id);
  if (ids.some((value, i) => value <= (i > 0 ? ids[i - 1] : client.since)) || ids.some((value) => value > id))
    fail(`client ${client.number}: ids out of order behind ${client.since}: ${ids}, ${id}`);
  for (const { channel, data } of kept) {
    const expected = (client.seen[channel] ?? 0) + 1;
    if (data.n !== expected)
      fail(`client ${client.number}: ${data.n < expected ? "a double" : "a hole"} on ${channel}: ${data.n} instead of ${expected}, behind ${client.since}`);
    client.seen[channel] = data.n;
  }
  if (new Set(kept.map((message) => message.channel)).size > 1) totals.merged++;
  if (messages.length === 0) totals.empty++;
  totals.answers++;
  totals.messages += kept.length;
  client.since = id;
  if (client.lasts) client.name = name;
}

const isDone = (client) => last && Object.entries(last).every(([channel, n]) => (client.seen[channel] ?? 0) >= n);

async function run(number) {
  const client = { number, since: "0", seen: {}, lasts: number % 2 === 1, cuts: number % 3 === 0, name: "" };
  while (!isDone(client)) {
    const name = client.lasts ? `&client=${client.name}` : "";
    const cut = client.cuts && !last && Math.random() < 0.3;
    const text = await ask(`/poll?${query}&wait=1&since=${client.since}${name}`, cut ? 1 + Math.floor(Math.random() * 600) : Infinity);
    if (text !== null) take(client, readAnswer(text));
    if (Math.random() < 0.1) await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
  }
  for (const [channel, n] of Object.entries(last)) if (client.seen[channel] !== n) fail(`${channel} ends at ${client.seen[channel]} instead of ${n}`);
}

setTimeout(async () => {
  const response = await fetch(base + stop, { method: "POST", headers: { "Content-Length": "0" } });
  last = await response.json();
}, Number(seconds) * 1000);

await Promise.all(Array.from({ length: Number(clients) }, (_, i) => run(i)));
console.log(JSON.stringify({ ...totals, last }));
process.exit(0);
