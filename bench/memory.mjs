// Measures the server's resident memory for each WebSocket subscriber, by kind of channel, and that of clients at their
// rate limit in comparison with quiet ones.
//
//   node bench/memory.mjs            prints the figures
//   node bench/memory.mjs --check    compares them with bench/figures.json; a rise of more than 3 % fails
//   node bench/memory.mjs --write    writes them to bench/figures.json
//
// Compares two numbers of subscribers, so that memory that does not depend on them is excluded.

import { readFileSync } from "node:fs";
import { check } from "./support/figures.mjs";
import { Crowd, openWebSockets, send } from "./support/clients.mjs";
import { start } from "./support/server.mjs";

const FEW = 2000;
const MANY = 8000;
const RATED = 10000;

const resident = ({ pid }) => 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);

async function measure(channel) {
  const app = await start("bench/figures_app.lua");
  const crowds = [await openWebSockets(app, channel, FEW)];
  const before = resident(app);
  crowds.push(await openWebSockets(app, channel, MANY - FEW));
  const bytes = (resident(app) - before) / (MANY - FEW);
  for (const socket of crowds.flatMap((crowd) => crowd.sockets)) socket.destroy();
  await app.stop();
  return Math.round(bytes);
}

// Clients of which the app has heard, each in a channel of its own. Each sends what its rate allows, and one message more, which
// is refused; or, if `isQuiet`, nothing.
async function measureRated(isQuiet) {
  const app = await start("bench/figures_app.lua");
  const before = resident(app);
  const crowd = new Crowd();
  for (let i = 0; i < RATED; i++) crowd.add(...(await openWebSockets(app, `rated:${i}`, 1)).sockets);
  for (const [i, socket] of isQuiet ? [] : crowd.sockets.entries()) {
    await crowd.expect(1, () => send(socket, `{"send":"rated:${i}","event":"move"}`, `{"send":"rated:${i}","event":"move","ref":"~"}`));
  }
  const bytes = (resident(app) - before) / RATED;
  for (const socket of crowd.sockets) socket.destroy();
  await app.stop();
  return Math.round(bytes);
}

await check("bytes for each subscriber", {
  plain: () => measure("plain:crowd"),
  authorize: () => measure("authorize:crowd"),
  "on_join and on_leave": () => measure("hooks:crowd"),
  presence: () => measure("presence:crowd"),
  "quiet, with a rate limit": () => measureRated(true),
  "at its rate limit": () => measureRated(false),
});
