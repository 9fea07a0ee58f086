// A fan-out server with a fault on purpose, to test that bench/load reports it.
//
//   node spec/support/rude.mjs FAULT
//
// GET /ws, /sse, and /poll subscribe; POST /publish and the WebSocket /publish publish. Every tenth
// message has the fault, and only for the first subscriber. Prints "listening on <port>".
//
// Faults: none, hole, double, swap, alter, close; last (nothing after the 20th message); silent
// (nothing to anyone after the 10th); refuse, mute (a POST after the 10th, which is not answered);
// mask (a masked frame); accept (a wrong Sec-WebSocket-Accept). Not faults: split (a WebSocket message
// in three frames, an event in single bytes), slow (every message is 50 ms late).

import http from "node:http";
import { createHash } from "node:crypto";

const fault = process.argv[2];
const subscribers = [];
const kept = [];
const waiting = [];
let count = 0;

function frame(opcode, payload, final = true) {
  const { length } = payload;
  const head = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0, length >> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  return Buffer.concat([Buffer.from([opcode | (final ? 128 : 0), ...head]), payload]);
}

const transports = {
  ws(socket, text) {
    const payload = Buffer.from(text);
    if (fault !== "split") return socket.write(frame(1, payload));
    socket.write(Buffer.concat([frame(1, payload.subarray(0, 9), false), frame(9, Buffer.from("ping")), frame(0, payload.subarray(9, 20), false)]));
    socket.write(frame(0, payload.subarray(20)));
  },
  sse(response, text) {
    const event = `:comment\r\nevent: m\r\ndata: ${text}\r\nid: 7\r\n\r\n`;
    for (const part of fault === "split" ? event : [event]) response.write(part);
  },
};

function spoil(subscriber, text) {
  const { write } = subscriber;
  if (fault === "hole") return;
  write(fault === "alter" ? text.slice(0, -3) + "?" + text.slice(-2) : text);
  if (fault === "double") write(text);
}

function deliver(subscriber, text, number) {
  if (fault === "silent" && number >= 10) return;
  if (!subscriber.first || ["none", "split", "slow"].includes(fault)) return subscriber.write(text);
  if (fault === "last" && number >= 20) return;
  if (fault === "close" && number === 15) return subscriber.end();
  if (fault === "mask" && number === 15) return subscriber.raw(Buffer.from([0x81, 0x80, 1, 2, 3, 4]));
  if (number % 10 === 8 && fault === "swap") return void (subscriber.held = text);
  if (number % 10 !== 9) return subscriber.write(text);
  spoil(subscriber, text);
  if (subscriber.held) subscriber.write(subscriber.held);
}

function publish(text) {
  const number = count++;
  kept.push(text);
  const deliverAll = () => subscribers.forEach((subscriber) => deliver(subscriber, text, number));
  if (fault === "slow") setTimeout(deliverAll, 50);
  else deliverAll();
  for (const answer of waiting.splice(0)) answer();
}

function subscribe(transport, stream, raw) {
  const write = (text) => transports[transport](stream, text);
  subscribers.push({ write, raw, end: () => stream.end(), first: subscribers.length === 0 });
}

// A poll's hole is a message that its cursor passes over.
function poll(request, response) {
  const since = new URL(request.url, "http://rude").searchParams.get("since");
  const answer = () => {
    const from = since ? Number(since) : kept.length;
    const messages = kept.slice(from).filter((_, i) => fault !== "hole" || (from + i) % 10 !== 9);
    response.end(JSON.stringify({ id: String(kept.length), messages }));
  };
  if (!since || Number(since) < kept.length) answer();
  else waiting.push(answer);
}

const server = http.createServer((request, response) => {
  if (request.url.startsWith("/poll")) return poll(request, response);
  if (request.url === "/sse") {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    return subscribe("sse", response, (bytes) => response.socket.write(bytes));
  }
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const refused = fault === "refuse" && count >= 10;
    if (!refused) publish(body);
    if (fault === "mute" && count > 10) return;
    response.writeHead(refused ? 503 : 200).end(refused ? "no more" : "");
  });
});

// Frames of a publisher, of fewer than 64 KiB.
function readPublished(socket) {
  let input = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    input = Buffer.concat([input, bytes]);
    while (input.length >= 8) {
      const short = input[1] & 127;
      const start = short === 126 ? 4 : 2;
      const length = short === 126 ? input.readUInt16BE(2) : short;
      if (input.length < start + 4 + length) return;
      const key = input.subarray(start, start + 4);
      const text = Buffer.from(input.subarray(start + 4, start + 4 + length)).map((byte, i) => byte ^ key[i % 4]);
      input = input.subarray(start + 4 + length);
      publish(Buffer.from(text).toString("latin1"));
    }
  });
}

server.on("upgrade", (request, socket) => {
  socket.on("error", () => {});
  socket.setNoDelay(true);
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" + (fault === "accept" ? "x" : "");
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  if (request.url === "/publish") readPublished(socket);
  else subscribe("ws", socket, (bytes) => socket.write(bytes));
});

server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
