// Measures the server's resident memory for each WebSocket subscriber, by kind of channel.
//
//   node bench/memory.mjs            prints the figures
//   node bench/memory.mjs --check    compares them with bench/figures.json; a rise of more than 3 % fails
//   node bench/memory.mjs --write    writes them to bench/figures.json
//
// Compares two numbers of subscribers, so that memory that does not depend on them is excluded.

import { readFileSync } from "node:fs";
import { check } from "./support/figures.mjs";
import { openWebSockets } from "./support/clients.mjs";
import { start } from "./support/server.mjs";

const FEW = 2000;
const MANY = 8000;

async function measure(channel) {
  const app = await start("bench/figures_app.lua");
  const resident = () => 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${app.pid}/status`, "utf8"))[1]);
  const crowds = [await openWebSockets(app, channel, FEW)];
  const before = resident();
  crowds.push(await openWebSockets(app, channel, MANY - FEW));
  const bytes = (resident() - before) / (MANY - FEW);
  for (const socket of crowds.flatMap((crowd) => crowd.sockets)) socket.destroy();
  await app.stop();
  return Math.round(bytes);
}

await check("bytes for each subscriber", {
  plain: () => measure("plain:crowd"),
  authorize: () => measure("authorize:crowd"),
  "on_join and on_leave": () => measure("hooks:crowd"),
  presence: () => measure("presence:crowd"),
});
