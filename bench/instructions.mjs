// Counts the server's user-space instructions, which do not depend on how busy the machine is.
//
//   node bench/instructions.mjs            prints the figures
//   node bench/instructions.mjs --check    compares them with bench/figures.json; a rise of more than 3 % fails
//   node bench/instructions.mjs --write    writes them to bench/figures.json
//
// Runs bin/moonwire under callgrind twice for each figure, with different amounts of work. The
// difference between the runs, divided by the difference in work, excludes starting and stopping.

import { startUnderCallgrind } from "./support/callgrind.mjs";
import { check } from "./support/figures.mjs";
import { Publisher, openStreams, openWebSockets, send } from "./support/clients.mjs";

const SUBSCRIBERS = 1000;

// A scenario prepares its clients. It returns a function that does one unit of work, and the number
// by which its cost is divided.
function fanOut(open, inFlight) {
  return async (app) => {
    const crowd = await open(app, "plain:crowd", SUBSCRIBERS);
    const publisher = new Publisher(app);
    return {
      units: SUBSCRIBERS * inFlight,
      counts: inFlight === 1 ? [10, 310] : [4, 64],
      work: () => crowd.expect(SUBSCRIBERS * inFlight, () => publisher.publish("plain:crowd", inFlight)),
    };
  };
}

const scenarios = {
  "WebSocket delivery, one at a time": fanOut(openWebSockets, 1),
  "WebSocket delivery, 16 in flight": fanOut(openWebSockets, 16),
  "SSE delivery, one at a time": fanOut(openStreams, 1),
  "SSE delivery, 16 in flight": fanOut(openStreams, 16),
  "event acknowledged by a Lua handler": async (app) => {
    const one = await openWebSockets(app, "events:one", 1);
    const socket = one.sockets[0];
    return { units: 1, counts: [500, 2500], work: () => one.expect(1, () => send(socket, '{"send":"events:one","event":"say","data":1,"ref":"~"}')) };
  },
  "publish over HTTP": async (app) => {
    const publisher = new Publisher(app);
    return { units: 1, counts: [50, 550], work: () => publisher.publish("plain:nobody", 1) };
  },
  "connect with subscribe": async (app) => ({ units: 1, counts: [50, 1050], work: () => openWebSockets(app, "plain:crowd", 1) }),
};

async function count(scenario, run) {
  const app = await startUnderCallgrind("bench/figures_app.lua");
  const { counts, units, work } = await scenario(app);
  for (let i = 0; i < counts[run]; i++) await work();
  return { instructions: await app.stop(), work: counts[run] * units };
}

async function measure(scenario) {
  const [few, many] = await Promise.all([count(scenario, 0), count(scenario, 1)]);
  return Math.round((many.instructions - few.instructions) / (many.work - few.work));
}

const measures = Object.entries(scenarios).map(([name, scenario]) => [name, () => measure(scenario)]);
await check("instructions", Object.fromEntries(measures));
