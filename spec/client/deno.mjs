// The client in Deno, over each transport:  deno run --allow-net client/deno.mjs BASE

import { connect } from "../../client/moonwire.js";

const [base] = Deno.args;
for (const kind of ["websocket", "sse", "poll"]) {
  const connection = connect(base, { transports: [kind], token: "deno" });
  const states = [];
  let gaps = 0;
  connection.on("moonwire:state", ({ state }) => states.push(state));
  const room = connection.channel("room:deno");
  room.on("moonwire:gap", () => gaps++);
  const said = new Promise((resolve) => room.on("said", ({ what }) => resolve(what)));
  const { you } = await room.ready;
  const { call } = await room.send("say", "hello");
  const heard = await said;
  connection.close();
  console.log(kind, JSON.stringify({ you, call, said: heard, gaps, states }));
}
