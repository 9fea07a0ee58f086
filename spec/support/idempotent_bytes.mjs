// Sends the same bytes twice under one idempotency key. Prints both answers as JSON.
//
//   node support/idempotent_bytes.mjs BASE

import WebSocket from "ws";

const socket = new WebSocket(`${process.argv[2].replace("http", "ws")}/ws?token=ann`);
const answers = [];
const head = JSON.stringify({ send: "room:1", event: "bytes", idempotency_key: "b", ref: 1 });
const frame = Buffer.concat([Buffer.from(`${head}\n`), Buffer.from([0, 255, 10])]);

socket.on("open", () => {
  socket.send(JSON.stringify({ subscribe: "room:1" }));
  socket.send(frame);
  socket.send(frame);
});
socket.on("message", (text) => {
  const object = JSON.parse(text);
  if (object.ref === 1) answers.push(object);
  if (answers.length < 2) return;
  console.log(JSON.stringify(answers));
  socket.close();
});
