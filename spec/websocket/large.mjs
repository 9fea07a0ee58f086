// The largest messages that the echo app takes, and one byte more.
//
//   node spec/websocket/large.mjs URL LIMIT
//
// Prints one line for each way to send LIMIT bytes.

import assert from "node:assert/strict";
import { OPCODES, frame, open } from "../support/ws_raw.mjs";
import { sample } from "./samples.mjs";

const url = new URL(process.argv[2]);
const limit = Number(process.argv[3]);
const deflate = "permessage-deflate; client_max_window_bits";
const text = Buffer.alloc(limit, sample("json", 1, 100003));

async function echo(title, opcode, offer, options) {
  const begin = performance.now();
  const socket = await open(url, url.pathname, { offer });
  await socket.send(socket.message(opcode, text, options));
  const event = await socket.next(60);
  assert.equal(event.type, opcode === OPCODES.text ? "text" : "binary", event.reason);
  assert.ok(text.equals(event.payload));
  socket.destroy();
  console.log(`${title}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

async function refuse(title, offer, send) {
  const socket = await open(url, url.pathname, { offer });
  await send(socket);
  const event = await socket.next(60);
  assert.deepEqual([event.type, event.code], ["close", 1009]);
  assert.deepEqual(await socket.next(), { type: "end", clean: true });
  socket.destroy();
  console.log(`${title}: 1009`);
}

await echo("binary, one frame", OPCODES.binary);
await echo("text, one frame", OPCODES.text);
await echo("text, frames of 1000 bytes", OPCODES.text, undefined, { size: 1000 });
await echo("text, compressed", OPCODES.text, deflate);
await echo("text, compressed, frames of 1000 bytes", OPCODES.text, deflate, { size: 1000 });
await refuse("one frame with a byte more", undefined, (socket) => {
  return socket.send(frame(OPCODES.binary, Buffer.alloc(0), { length: limit + 1 }));
});
await refuse("a fragment with the byte that is too much", undefined, async (socket) => {
  await socket.send(frame(OPCODES.binary, text, { fin: false }));
  await socket.send(frame(OPCODES.continue, Buffer.from("x")));
});
await refuse("compressed, with a byte more", deflate, (socket) => {
  return socket.send(socket.message(OPCODES.binary, Buffer.alloc(limit + 1)));
});
process.exit(0);
