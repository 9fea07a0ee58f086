// Many users in one channel, each with a WebSocket of its own, until somebody ends this process.
//
//   node support/crowd.mjs BASE CHANNEL COUNT
//
// Says "ready" when all are subscribed.

import { WebSocket } from "ws";

const [base, channel, count] = process.argv.slice(2);
const total = Number(count);
let ready = 0;

function enter(i) {
  const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws?user=u${i}`, { perMessageDeflate: false });
  socket.on("open", () => socket.send(JSON.stringify({ subscribe: channel, ref: 1 })));
  socket.on("error", (error) => {
    console.log(`u${i}: ${error.message}`);
    process.exit(1);
  });
  socket.once("message", () => {
    ready++;
    if (ready === total) console.log("ready");
    if (next < total) enter(next++);
  });
}

let next = Math.min(total, 200);
for (let i = 0; i < next; i++) enter(i);
