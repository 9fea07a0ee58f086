// One reader of several channels whose stream is cut again and again at random places, and who returns with the last id.
//
//   node support/recover.mjs BASE TARGET CUTS STOP [LARGEST]
//
// BASE is the server's address, TARGET the path of the stream, LARGEST how many bytes are read of one connection at most (1500). The
// events' data are {"channel":…,"n":…}, n being 1, 2, 3 … on each channel. After CUTS cuts it posts to STOP, which answers the last
// n of each channel, and reads on until it has them.

import { BodyReader, EventParser, requestStream } from "./event_stream.mjs";

const [base, target, cuts, stop, largest = "1500"] = process.argv.slice(2);
const seen = {}; // the last n of each channel
let lastEventId = "";
let events = 0;
let bytesCut = 0;
let returnsWithoutId = 0;

function fail(text) {
  console.error(text);
  process.exit(1);
}

function takeEvent({ type, data, lastEventId: id }) {
  if (type === "moonwire:gap") fail(`a gap was announced behind ${lastEventId}: ${data}`);
  const { channel, n } = JSON.parse(data);
  const expected = (seen[channel] ?? 0) + 1;
  if (n !== expected) fail(`${n < expected ? "a double" : "a hole"} on ${channel}: ${n} instead of ${expected}, with id ${id}, behind ${lastEventId}`);
  seen[channel] = n;
  events++;
}

// Reads `limit` bytes of an answer, its head included, and then cuts the connection; or until isDone().
function readOnce(limit, isDone) {
  return new Promise((resolve, reject) => {
    if (lastEventId === "") returnsWithoutId++;
    const parser = new EventParser(takeEvent, lastEventId);
    const body = new BodyReader((bytes) => parser.push(bytes), () => reject(new Error("the stream ended")));
    const socket = requestStream(base, target, lastEventId);
    let left = limit;
    const end = () => {
      socket.destroy();
      lastEventId = parser.lastEventId;
      resolve();
    };
    socket.on("error", reject);
    socket.on("close", (hadError) => hadError || reject(new Error("the server closed the connection")));
    socket.on("data", (bytes) => {
      if (socket.destroyed) return;
      const part = bytes.subarray(0, left);
      left -= part.length;
      bytesCut += bytes.length - part.length;
      body.push(part);
      if (left === 0 || isDone()) end();
    });
  });
}

for (let i = 0; i < Number(cuts); i++) {
  // Short ones end in the head or in the first block; long ones make sure that it gets on.
  const limit = 1 + Math.floor(Math.random() * (i % 4 === 0 ? 400 : Number(largest)));
  await readOnce(limit, () => false);
}

const response = await fetch(base + stop, { method: "POST", headers: { "Content-Length": "0" } });
const last = await response.json();
const isDone = () => Object.entries(last).every(([channel, n]) => (seen[channel] ?? 0) >= n);
if (!isDone()) await readOnce(Infinity, isDone);
for (const [channel, n] of Object.entries(last)) if (seen[channel] !== n) fail(`${channel} ends at ${seen[channel]} instead of ${n}`);
console.log(JSON.stringify({ events, bytesCut, returnsWithoutId, last }));
process.exit(0);
