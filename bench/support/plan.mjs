// What bench/run measures: a list of scenarios, each with a start of one server.

const WS_SERVERS = ["moonwire", "write loop", "joined write", "ws", "socket.io", "nchan", "lua-http"];
export const MANY_WORKERS = [1, 2, 8];
const SSE_SERVERS = ["moonwire", "write loop", "joined write", "better-sse", "nchan"];

export const full = {
  rounds: 6,
  minutes: 19, // no further round begins if it would end later
  counts: [100, 1000, 10000], // subscribers; the second is the usual number
  sizes: [64, 1024, 16384],
  channels: [1, 10, 100, 1000],
  rate: 20,
  seconds: 0.6,
  warmup: 0.15,
  settle: 0.3,
};

// A smoke run: everything once, and too short to mean anything.
export const quick = {
  rounds: 1,
  counts: [5, 20],
  sizes: [64, 1024],
  channels: [1, 5],
  rate: 50,
  seconds: 0.05,
  warmup: 0,
  settle: 0,
};

// The first phase warms the server up, which matters to just-in-time compilers.
function phases(size, list) {
  return list.map((phase, i) => ({ seconds: size.seconds, warmup: i === 0 ? size.warmup : 0, ...phase }));
}

// `id` names the table of a scenario. `size` is full or quick, `available` a function of a server's
// name.
export function makePlan(size, available, hasWorkers) {
  const usual = size.counts[1];
  const loop = [{ window: 1 }, { window: 16 }];
  const list = [];
  const add = (id, server, scenario) => {
    if (available(server)) list.push({ id, server, settle: size.settle, transport: "ws", subscribers: usual, channels: 1, ...scenario });
  };
  for (const subscribers of size.counts) {
    const parts = subscribers === usual ? [...loop, { rate: size.rate, seconds: 2 * size.seconds }] : loop;
    for (const server of WS_SERVERS) add("ws", server, { subscribers, phases: phases(size, parts) });
  }
  for (const server of SSE_SERVERS) {
    add("sse", server, { transport: "sse", phases: phases(size, [...loop, { rate: size.rate, seconds: 2 * size.seconds }]) });
  }
  add("mixed", "moonwire", { publisher: "post", phases: phases(size, loop) });
  add("mixed", "moonwire", { transport: "mixed", phases: phases(size, loop) });
  add("poll", "moonwire", { transport: "poll", phases: phases(size, loop) });
  for (const server of ["moonwire", "write loop", "joined write"]) {
    const parts = size.sizes.flatMap((bytes) => loop.map((phase) => ({ ...phase, size: bytes })));
    add("size", server, { phases: phases(size, parts) });
  }
  for (const channels of size.channels) {
    for (const server of ["moonwire", "nchan"]) add("channels", server, { channels, publisher: "post", phases: phases(size, [{ window: 16 }]) });
  }
  const ways = [{ window: 16, depth: 1 }, { window: 16, depth: 16 }, { window: 16, batch: 16 }];
  add("publish", "moonwire", { publisher: "post", phases: phases(size, ways) });
  add("publish", "moonwire", { publisher: "publish", phases: phases(size, [{ window: 16 }]) });
  for (const workers of hasWorkers ? [1, 2] : []) {
    add("workers", "moonwire", { workers, phases: phases(size, [{ rate: 2 * size.rate, seconds: 2 * size.seconds }]) });
  }
  // a subscriber for each channel, so that the cost of a publish is that of passing it to the workers
  for (const workers of hasWorkers ? MANY_WORKERS : []) {
    add("alone", "moonwire", { workers, channels: usual, publisher: "post", phases: phases(size, [{ window: 16, batch: 16 }]) });
  }
  return list;
}

// Names what was measured, in the same way in each round.
export function keyOf(scenario, phase) {
  const { id, server, transport, subscribers, channels, publisher = "publish", workers = 1 } = scenario;
  const how = phase.window ? `window ${phase.window}` : `rate ${phase.rate}`;
  return [id, server, transport, subscribers, channels, publisher, workers, how, phase.size ?? 128, phase.batch ?? 1, phase.depth ?? 64].join("/");
}
