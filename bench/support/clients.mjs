// Clients that only count. What is published to them contains one "~", and nothing else of what the server sends does, so
// counting that byte counts deliveries, however messages are framed or joined.

import net from "node:net";
import { once } from "node:events";

const MARK = 126; // "~"

export class Crowd {
  sockets = [];
  arrived = 0;
  #goal = Infinity;
  #reached = () => {};
  #lost = () => {};

  add(socket) {
    this.sockets.push(socket);
    socket.on("data", (bytes) => {
      for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) this.arrived++;
      if (this.arrived >= this.#goal) this.#reached();
    });
    socket.once("close", () => this.#lost(new Error("the server closed the connection of a subscriber")));
  }

  // Resolves when `count` more marks have arrived after `begin` was called and what it returned was fulfilled.
  async expect(count, begin) {
    this.#goal = this.arrived + count;
    const reached = new Promise((resolve, reject) => {
      this.#reached = resolve;
      this.#lost = reject;
    });
    await Promise.all([reached, begin()]);
  }
}

// Writes `request` and waits until the socket has received text that matches `answer`.
function connect(app, request, answer) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(app.port, app.host, () => socket.write(request));
    let text = "";
    const read = (bytes) => {
      text += bytes.toString("latin1");
      if (!answer.test(text)) return;
      socket.off("data", read);
      resolve(socket);
    };
    socket.on("data", read);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`the server closed the connection after "${text}"`)));
  });
}

// A masked text frame of fewer than 126 bytes (RFC 6455 5.2), with a masking key of zeros.
function frame(text) {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

// In one write: a second small one would wait until the server acknowledges the first.
export function send(socket, ...texts) {
  socket.write(Buffer.concat(texts.map(frame)));
}

const UPGRADE =
  "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async function openWebSocket(app, channel) {
  const socket = await connect(app, UPGRADE, /\r\n\r\n$/);
  send(socket, `{"subscribe":"${channel}","ref":1}`);
  await once(socket, "data");
  return socket;
}

const openStream = (app, channel) => connect(app, `GET /sse?channel=${channel} HTTP/1.1\r\nHost: bench\r\n\r\n`, /\nid: /);

// One after the other, so that the server accepts them in the same way each time.
async function open(app, channel, count, openOne) {
  const crowd = new Crowd();
  for (let i = 0; i < count; i++) crowd.add(await openOne(app, channel));
  return crowd;
}
export const openWebSockets = (app, channel, count) => open(app, channel, count, openWebSocket);
export const openStreams = (app, channel, count) => open(app, channel, count, openStream);

// Publishes over one kept-alive connection; `count` messages of a request reach the server in the same turn.
export class Publisher {
  #socket;

  constructor(app) {
    this.#socket = net.connect(app.port, app.host);
  }

  async publish(channel, count) {
    const line = JSON.stringify({ channel, event: "m", data: `~${"x".repeat(99)}` });
    const body = count === 1 ? line : `[${Array(count).fill(line).join(",")}]`;
    this.#socket.write(
      "POST /publish HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\n" +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    const [answer] = await once(this.#socket, "data");
    if (!answer.toString("latin1").startsWith("HTTP/1.1 200")) throw new Error(answer.toString("latin1"));
  }
}
