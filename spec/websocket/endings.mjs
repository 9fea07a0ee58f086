// How connections live and end, over sockets: what cannot be said by bytes in and bytes out alone.

import assert from "node:assert/strict";
import { constants, deflateRawSync } from "node:zlib";
import { OPCODES, closePayload, frame, open } from "../support/ws_raw.mjs";
import { sample } from "./samples.mjs";

const text = (payload) => frame(OPCODES.text, Buffer.from(payload));
const ping = (payload) => frame(OPCODES.ping, Buffer.from(payload));
const close = (code, reason) => frame(OPCODES.close, closePayload(code, reason));
const flood = Buffer.concat(Array.from({ length: 64 }, (_, i) => frame(OPCODES.binary, Buffer.alloc(65536, i))));

async function expectText(socket, expected) {
  const event = await socket.next();
  assert.equal(event.type, "text", JSON.stringify(event));
  assert.equal(event.payload.toString(), expected);
}

async function expectClose(socket, code, reason) {
  const event = await socket.next();
  assert.equal(event.type, "close", JSON.stringify(event));
  assert.equal(event.code, code, event.reason);
  if (reason !== undefined) assert.equal(event.reason, reason);
}

async function expectEnd(socket, isClean = true, seconds) {
  assert.deepEqual(await socket.next(seconds), { type: "end", clean: isClean });
}

// {title, path, play: what happens on an open socket, options: of open()}
export const endings = [];
const add = (title, path, play, options) => endings.push({ title, path, play, options });

add("RFC 6455 §7.1.2: the server closes; what it said before arrives, and TCP ends behind our answer", "/close", async (socket) => {
  await socket.send(text("4000 bye"));
  await expectText(socket, "before");
  await expectClose(socket, 4000, "bye");
  await socket.send(close(4000));
  await expectEnd(socket);
});

add("RFC 6455 §7.4.1: the server closes with 1000 and without a reason", "/close", async (socket) => {
  await socket.send(text("1000"));
  await expectText(socket, "before");
  await expectClose(socket, 1000, "");
  await socket.send(close(1000));
  await expectEnd(socket);
});

add("RFC 6455 §5.5.1: it waits for our answer, and takes what we still send", "/close", async (socket) => {
  await socket.send(text("4000 bye"));
  await expectText(socket, "before");
  await expectClose(socket, 4000, "bye");
  await socket.send(Buffer.concat([text("late"), ping("late"), flood, close(4001)]));
  await expectEnd(socket);
});

add("RFC 6455 §7.1.3: both close at the same time", "/close", async (socket) => {
  await socket.send(Buffer.concat([text("4000 bye"), close(1001, "away")]));
  const codes = [];
  for (let event = await socket.next(); event.type !== "end"; event = await socket.next()) {
    if (event.type !== "text") codes.push(`${event.type} ${event.code}`);
    else assert.equal(event.payload.toString(), "before");
    assert.ok(codes.length < 2, `two farewells: ${codes}`);
  }
  assert.match(codes.join(), /^close (4000|1001)$/);
});

add("RFC 6455 §7.1.1: a client that never answers is left in the end", "/close", async (socket) => {
  await socket.send(text("4000 bye"));
  await expectText(socket, "before");
  await expectClose(socket, 4000, "bye");
  const event = await socket.next(20);
  assert.equal(event.type, "end");
});

add("RFC 6455 §7.1.1: we close and say no more; the answer still arrives", "/echo", async (socket) => {
  await socket.send(close(1000, "done"));
  socket.end();
  await expectClose(socket, 1000);
  await expectEnd(socket);
});

add("RFC 6455 §7.1.1: our FIN without a close frame ends it", "/echo", async (socket) => {
  socket.end();
  const event = await socket.next();
  if (event.type === "close") await expectEnd(socket);
  else assert.equal(event.type, "end");
});

add("RFC 6455 §7.1.2: a close frame, and megabytes behind it: the answer arrives, and no reset", "/echo", async (socket) => {
  await socket.send(Buffer.concat([close(1000), flood]));
  await expectClose(socket, 1000);
  await expectEnd(socket);
});

add("RFC 6455 §7.1.7: a bad frame, and megabytes behind it: the reason arrives, and no reset", "/echo", async (socket) => {
  await socket.send(Buffer.concat([frame(3, Buffer.from("x")), flood]));
  await expectClose(socket, 1002);
  await expectEnd(socket);
});

add("RFC 6455 §7.1.7: likewise behind a text that is not UTF-8", "/echo", async (socket) => {
  await socket.send(Buffer.concat([frame(OPCODES.text, Buffer.from([0xff])), flood]));
  await expectClose(socket, 1007);
  await expectEnd(socket);
});

add("RFC 6455 §7.1.5: a message that is still with the app is answered before the close frame is", "/echo", async (socket) => {
  const many = Array.from({ length: 100 }, (_, i) => `message ${i}`);
  await socket.send(Buffer.concat([...many.map(text), close(3000)]));
  for (const one of many) await expectText(socket, one);
  await expectClose(socket, 3000);
  await expectEnd(socket);
});

add("RFC 6455 §7.1.7: a message before a bad frame is answered before it ends", "/echo", async (socket) => {
  await socket.send(Buffer.concat([text("one"), text("two"), frame(15, Buffer.from("x")), text("three")]));
  await expectText(socket, "one");
  await expectText(socket, "two");
  await expectClose(socket, 1002);
  await expectEnd(socket);
});

add("RFC 6455 §7.4.1: a handler that fails closes with 1011, and others go on", "/fault", async (socket, base) => {
  await socket.send(text("go"));
  await expectClose(socket, 1011);
  await socket.send(close(1011));
  await expectEnd(socket);
  const other = await open(base, "/echo");
  await other.send(text("still there"));
  await expectText(other, "still there");
  other.destroy();
});

add("RFC 6455 §5.5.2: behind its close frame the server answers no ping", "/close", async (socket) => {
  await socket.send(text("4000 bye"));
  await expectText(socket, "before");
  await expectClose(socket, 4000);
  await socket.send(ping("x"));
  await socket.send(close(4000));
  await expectEnd(socket);
});

add("RFC 7692 §6: a compressed connection is closed by a close frame that is not", "/close", async (socket) => {
  await socket.send(text(`4000 ${"*".repeat(123)}`));
  await expectText(socket, "before");
  await expectClose(socket, 4000, "*".repeat(123));
  await socket.send(close(4000));
  await expectEnd(socket);
}, { offer: "permessage-deflate" });

for (const bits of [15, 12, 9, 8]) {
  add(`RFC 7692 §7.1.2.1: what is worth it comes compressed, by a window of ${bits} bits`, "/echo", async (socket) => {
    const long = sample("json", bits, 100000);
    assert.equal(socket.agreed.server_max_window_bits, bits);
    for (const payload of [long.subarray(0, 20), long.subarray(0, 1000), long]) {
      await socket.send(socket.message(OPCODES.text, payload));
      const event = await socket.next();
      assert.equal(event.type, "text", JSON.stringify(event));
      assert.ok(payload.equals(event.payload));
      assert.equal(event.packed !== false, payload.length > 20);
    }
  }, { offer: `permessage-deflate; server_max_window_bits=${bits}` });
}

add("RFC 7692 §7.1.1: with context takeover a message that was said before is short", "/takeover", async (socket) => {
  const payload = sample("noise", 1, 3000);
  for (const limit of [3100, 100, 100]) {
    await socket.send(socket.message(OPCODES.binary, payload));
    const event = await socket.next();
    assert.ok(payload.equals(event.payload));
    assert.ok(event.packed < limit, `${event.packed} bytes`);
  }
}, { offer: "permessage-deflate; client_max_window_bits" });

add("RFC 7692 §8: a bomb of a gigabyte is refused before it is a tenth of that", "/echo", async (socket) => {
  const megabyte = deflateRawSync(Buffer.alloc(1 << 20), { finishFlush: constants.Z_SYNC_FLUSH });
  const bomb = Buffer.concat(Array(1 << 10).fill(megabyte)).subarray(0, -4);
  await socket.send(frame(OPCODES.binary, bomb, { rsv: 4 }));
  await expectClose(socket, 1009);
  await expectEnd(socket);
}, { offer: "permessage-deflate" });

const life = Buffer.concat([text("a"), ping("b"), text("c"), close(1000)]);
add("RFC 6455 §4.2.2: the whole life in the segment of the handshake", "/echo", async (socket) => {
  const seen = [];
  for (let event = await socket.next(); event.type !== "end"; event = await socket.next()) {
    seen.push(`${event.type} ${event.code ?? event.payload}`);
  }
  assert.deepEqual(seen.filter((one) => one !== "pong b"), ["text a", "text c", "close 1000"]);
  assert.equal(seen.length, 4);
}, { ahead: life });
