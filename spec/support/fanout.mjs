// Many subscribers of one channel, each of which must get each message once and in order.
//
//   node support/fanout.mjs BASE TARGET SUBSCRIBERS MESSAGES BURST [KEY]
//
// The events' data are {"n":1}, {"n":2} … First a POST to BURST publishes MESSAGES of them at once; then, with KEY, the same number
// again is published by pipelined requests to /publish.

import net from "node:net";
import { BodyReader, EventParser, requestStream } from "./event_stream.mjs";

const [base, target, subscriberCount, messageCount, burst, key] = process.argv.slice(2);
const subscribers = Number(subscriberCount);
const messages = Number(messageCount);
const url = new URL(base);

function fail(text) {
  console.error(text);
  process.exit(1);
}

let begun = 0;
let done = 0; // subscribers that have all of the round
let goal = messages;
let wake = () => {};
const sockets = [];

function subscribe(index) {
  let last = 0;
  const parser = new EventParser(({ type, data }) => {
    if (type === "moonwire:gap") fail(`subscriber ${index} was told of a gap`);
    const { n } = JSON.parse(data);
    if (n !== last + 1) fail(`subscriber ${index}: ${n} follows ${last}`);
    last = n;
    if (last === goal && ++done === subscribers) wake();
  });
  const body = new BodyReader((bytes) => {
    const wasReady = parser.lastEventId !== "";
    parser.push(bytes);
    if (!wasReady && parser.lastEventId !== "" && ++begun === subscribers) wake();
  });
  const socket = requestStream(base, target);
  socket.on("data", (bytes) => body.push(bytes));
  socket.on("error", (error) => fail(`subscriber ${index}: ${error.message}`));
  socket.on("end", () => fail(`subscriber ${index}: the server ended its stream behind ${last}`));
  sockets.push(socket);
}

function round(isComplete, begin) {
  return new Promise((resolve) => {
    wake = () => isComplete() && resolve();
    begin();
    wake();
  });
}

function post(path) {
  fetch(base + path, { method: "POST", headers: { "Content-Length": "0" } }).then((response) => response.ok || fail(`${path}: ${response.status}`));
}

function pipeline(from, count) {
  const socket = net.connect(Number(url.port), url.hostname);
  for (let n = from; n < from + count; n++) {
    const body = `{"channel":"flood","event":"item","data":{"n":${n}}}`;
    socket.write(`POST /publish HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  }
  socket.resume();
}

const started = performance.now();
await round(() => begun === subscribers, () => {
  for (let i = 0; i < subscribers; i++) subscribe(i);
});
const subscribed = performance.now();
await round(() => done === subscribers, () => post(burst));
const flooded = performance.now();
if (key) {
  done = 0;
  goal = 2 * messages;
  await round(() => done === subscribers, () => pipeline(messages + 1, messages));
}
const seconds = (from, to) => Number(((to - from) / 1000).toFixed(3));
console.log(
  JSON.stringify({ subscribed: seconds(started, subscribed), burst: seconds(subscribed, flooded), pipeline: seconds(flooded, performance.now()) }),
);
for (const socket of sockets) socket.destroy();
process.exit(0);
