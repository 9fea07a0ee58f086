// Clients whose handlers all wait for a back end, and some of which leave meanwhile.
//
//   node support/waiting_crowd.mjs BASE CLIENTS SENDS
//
// Each client sends SENDS messages without waiting, and one of five is cut off as soon as all have sent. The others must receive the
// results of their own messages, in the order of sending. Prints what was counted.

import { createHash, randomBytes } from "node:crypto";
import net from "node:net";

const [base, ...counts] = process.argv.slice(2);
const [clientCount, sendCount] = counts.map(Number);
const { hostname, port } = new URL(base);
const results = { ok: 0, failed: 0, timeout: 0 };
let open = 0;
let done = 0;
let wake = () => {};

function fail(text) {
  console.error(text);
  process.exit(1);
}
setTimeout(() => fail(`too slow: ${open} are open, ${done} are done`), 200000).unref();

const until = (isComplete) =>
  new Promise((resolve) => {
    wake = () => isComplete() && resolve();
    wake();
  });

// A masked text frame: with a mask of zeros, the payload is as it is.
function frame(text) {
  const payload = Buffer.from(text);
  if (payload.length > 125) fail("a frame is too long");
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

// A client without a library: five thousand of them must be quick.
function connect(i) {
  const name = `client ${i}`;
  const leaves = i % 5 === 0;
  const socket = net.connect(port, hostname);
  let input = Buffer.alloc(0);
  let isOpen = false;
  let next = 1;

  function onAnswer({ ref, ok, error }) {
    if (ref !== next) fail(`${name}: got the answer ${ref} in place of ${next}`);
    next++;
    if (error) {
      if (!(error.code in results)) fail(`${name}: ${JSON.stringify(error)}`);
      results[error.code]++;
    } else {
      if (ok.client !== i || ok.n !== ref) fail(`${name}: got ${JSON.stringify(ok)} for ${ref}`);
      results.ok++;
    }
    if (ref === sendCount) {
      done++;
      wake();
    }
  }

  function readFrames() {
    while (input.length >= 2) {
      let length = input[1];
      let at = 2;
      if (length === 126) {
        if (input.length < 4) return;
        length = input.readUInt16BE(2);
        at = 4;
      }
      if (input.length < at + length) return;
      const text = input.subarray(at, at + length).toString();
      const opcode = input[0] & 15;
      input = input.subarray(at + length);
      if (opcode !== 1) fail(`${name}: got a frame ${opcode}`);
      const object = JSON.parse(text);
      if (object.ref === "join") {
        open++;
        wake();
      } else onAnswer(object);
    }
  }

  socket.on("connect", () => {
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.expected = accept;
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    socket.write(frame(JSON.stringify({ subscribe: "room", ref: "join" })));
  });
  socket.on("data", (bytes) => {
    input = Buffer.concat([input, bytes]);
    if (!isOpen) {
      const end = input.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = input.subarray(0, end).toString();
      if (!head.startsWith("HTTP/1.1 101") || !head.includes(socket.expected)) fail(`${name}: ${head}`);
      isOpen = true;
      input = input.subarray(end + 4);
    }
    readFrames();
  });
  socket.on("error", (error) => fail(`${name}: ${error.message}`));
  return {
    leaves,
    send: () => {
      for (let n = 1; n <= sendCount; n++) {
        socket.write(frame(JSON.stringify({ send: "room", event: "ask", data: { client: i, n }, ref: n })));
      }
    },
    leave: () => socket.resetAndDestroy(),
    close: () => socket.destroy(),
  };
}

const clients = Array.from({ length: clientCount }, (_, i) => connect(i));
await until(() => open === clientCount);
for (const client of clients) client.send();

async function isFull() {
  const response = await fetch(`${base}/full`);
  return (await response.text()) === "true";
}
while (!(await isFull())) await new Promise((resolve) => setTimeout(resolve, 20));
const leaving = clients.filter(({ leaves }) => leaves);
for (const client of leaving) client.leave();
await fetch(`${base}/begin`, { method: "POST" });
await until(() => done === clientCount - leaving.length);
for (const client of clients) client.close();
console.log(JSON.stringify({ left: leaving.length, done, ...results }));
process.exit(0);
