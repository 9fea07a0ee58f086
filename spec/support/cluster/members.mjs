// Users that subscribe to a channel and stay: prints "ready" when all have, and ends with the server.
//
//   node support/cluster/members.mjs BASE CHANNEL PREFIX COUNT

import WebSocket from "ws";

const [base, channel, prefix, count] = process.argv.slice(2);
let joined = 0;

function fail(why) {
  console.log(why);
  process.exit(1);
}

function open(user) {
  const socket = new WebSocket(`${base.replace("http", "ws")}/ws?user=${user}`);
  socket.on("open", () => socket.send(JSON.stringify({ subscribe: channel, ref: 1 })));
  socket.on("message", (data) => {
    const text = data.toString("utf8", 0, 60);
    if (!text.startsWith('{"ref":1,')) return; // a change
    if (!text.startsWith('{"ref":1,"ok":')) fail(`${user}: ${text}`);
    if (++joined === Number(count)) console.log("ready");
  });
  socket.on("error", (error) => fail(`${user}: ${error}`));
  socket.on("close", (code) => fail(`${user}: closed with ${code}`));
}

for (let i = 1; i <= Number(count); i++) open(prefix + i);
