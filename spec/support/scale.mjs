// Many subscribers of one channel by both transports, and several who speak at once.
//
//   node support/scale.mjs BASE SSE WEBSOCKETS PUBLISHERS MESSAGES
//
// Each publisher sends its share of MESSAGES without waiting. Every subscriber must get each message once, and all in the same order.
// Meanwhile each publisher is whispered to by the handler of each of its messages: push, whisper and acknowledgement must come in
// the order in which the handler made them. Prints what was counted.

import { WebSocket } from "ws";
import { BodyReader, EventParser, requestStream } from "./event_stream.mjs";

const [base, ...counts] = process.argv.slice(2);
const [sseCount, wsCount, publisherCount, messageCount] = counts.map(Number);
const share = messageCount / publisherCount;
const url = `${base.replace(/^http/, "ws")}/ws`;
const CHANNEL = "room:scale";

function fail(text) {
  console.error(text);
  process.exit(1);
}
setTimeout(() => fail(`too slow: ${ready} are ready, ${done} are done`), 200000).unref();

let ready = 0;
let done = 0;
let wake = () => {};
const logs = []; // what each subscriber got

function makeLog(name) {
  const log = { name, ids: [], texts: [] };
  logs.push(log);
  return log;
}

function take(log, id, data) {
  log.ids.push(id);
  log.texts.push(`${data.from}:${data.n}`);
  if (log.ids.length > messageCount) fail(`${log.name} got more than there is`);
  if (log.ids.length === messageCount) {
    done++;
    wake();
  }
}

function isReady() {
  ready++;
  wake();
}

const until = (isComplete) =>
  new Promise((resolve) => {
    wake = () => isComplete() && resolve();
    wake();
  });

function subscribeByStream(i) {
  const log = makeLog(`stream ${i}`);
  const parser = new EventParser(({ type, data, lastEventId }) => {
    if (type !== "said") fail(`${log.name} got ${type}`);
    take(log, lastEventId, JSON.parse(data));
  });
  const body = new BodyReader((bytes) => {
    const wasReady = parser.lastEventId !== "";
    parser.push(bytes);
    if (!wasReady && parser.lastEventId !== "") isReady();
  });
  const socket = requestStream(base, `/sse?channel=${CHANNEL}`);
  socket.on("data", (bytes) => body.push(bytes));
  socket.on("error", (error) => fail(`${log.name}: ${error.message}`));
  socket.on("end", () => fail(`${log.name} was ended`));
}

function connect(name, onObject) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("open", () => socket.send(JSON.stringify({ subscribe: CHANNEL, ref: "join" })));
  socket.on("error", (error) => fail(`${name}: ${error.message}`));
  socket.on("close", (code) => fail(`${name} was closed with ${code}`));
  socket.on("message", (text) => {
    const object = JSON.parse(text);
    if (object.error) fail(`${name}: ${text}`);
    if (object.ref === "join") isReady();
    else onObject(object);
  });
  return socket;
}

function subscribeBySocket(i) {
  const log = makeLog(`socket ${i}`);
  connect(log.name, ({ event, id, data }) => take(log, id, data));
}

let acknowledged = 0;
function startPublisher(i) {
  const name = `publisher ${i}`;
  const log = makeLog(name);
  const own = []; // of its own messages: push, whisper, acknowledgement
  const socket = connect(name, (object) => {
    if (object.event === "said") {
      take(log, object.id, object.data);
      if (object.data.from === i) own.push(`push ${object.data.n} ${object.id}`);
    } else if (object.event === "whispered") {
      if ("channel" in object || "id" in object) fail(`a private word has channel or id: ${JSON.stringify(object)}`);
      own.push(`whisper ${object.data.n}`);
    } else {
      own.push(`ok ${object.ref} ${object.ok.id}`);
      acknowledged++;
      wake();
    }
  });
  const speak = () => {
    for (let n = 1; n <= share; n++) socket.send(JSON.stringify({ send: CHANNEL, event: "say", data: { from: i, n }, ref: n }));
  };
  const check = () => {
    for (let n = 1; n <= share; n++) {
      const [push, whisper, ok] = own.slice(3 * (n - 1), 3 * n);
      const id = push.split(" ")[2];
      if (push !== `push ${n} ${id}` || whisper !== `whisper ${n}` || ok !== `ok ${n} ${id}`) fail(`${name}: ${own.join(", ")}`);
    }
  };
  return { speak, check };
}

for (let i = 0; i < sseCount; i++) subscribeByStream(i);
for (let i = 0; i < wsCount; i++) subscribeBySocket(i);
const publishers = Array.from({ length: publisherCount }, (_, i) => startPublisher(i));
const all = sseCount + wsCount + publisherCount;
await until(() => ready === all);

for (const { speak } of publishers) speak();
await until(() => done === all && acknowledged === messageCount);

const [first] = logs;
if (new Set(first.texts).size !== messageCount) fail("a message came twice");
if (first.ids.some((id, i) => i > 0 && id <= first.ids[i - 1])) fail("the ids do not increase");
for (const log of logs) {
  if (log.ids.join() !== first.ids.join() || log.texts.join() !== first.texts.join()) fail(`${log.name} had another order than ${first.name}`);
}
for (const { check } of publishers) check();
console.log(JSON.stringify({ subscribers: logs.length, messages: first.ids.length, acknowledged }));
process.exit(0);
