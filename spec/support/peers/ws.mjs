// npm's ws:  node ws.mjs URL [PROTOCOL]; WS_OPTIONS are options of its constructor, as JSON

import { WebSocket } from "ws";
import { scenario } from "./scenario.mjs";

function connect(url, protocol) {
  const socket = new WebSocket(url, protocol ? [protocol] : [], JSON.parse(process.env.WS_OPTIONS ?? "{}"));
  const messages = [];
  let wake = () => {};
  socket.on("message", (data, isBinary) => {
    messages.push(isBinary ? new Uint8Array(data) : data.toString());
    wake();
  });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  const client = {
    send: (text) => socket.send(text),
    sendBytes: (bytes) => socket.send(bytes),
    next: async () => {
      while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
      return messages.shift();
    },
    close: (code) => {
      socket.close(code);
      return closed;
    },
  };
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => resolve(client));
  });
}

const [url, protocol] = process.argv.slice(2);
console.log(JSON.stringify(await scenario(connect, url, protocol)));
