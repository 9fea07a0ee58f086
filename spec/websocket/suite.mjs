// Asks an echo server what Autobahn|Testsuite would (suite_cases.mjs), and judges as strictly.
//
//   node spec/websocket/suite.mjs URL [--only PREFIX,…] [--messages N] [--largest BYTES] [--at-once N] [--all]
//
// URL is that of the endpoint. N is how many messages the cases have that count them (1000), BYTES the size of the largest message
// that is sent (16777216). Prints one line for each case that is not OK, with --all for each, and then how many there are of a kind:
//   OK           as it should be
//   NON-STRICT   right, but later or less than it should be
//   UNCLEAN      right, but TCP ended without a close frame, or without FIN
//   FAILED       wrong

import { parseArgs } from "node:util";
import { OPCODES, closePayload, frame, open } from "../support/ws_raw.mjs";
import { cases } from "./suite_cases.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "" },
    messages: { type: "string", default: "1000" },
    largest: { type: "string", default: String(16 * 1024 * 1024) },
    "at-once": { type: "string", default: "1" },
    all: { type: "boolean", default: false },
  },
});
const url = new URL(positionals[0]);
const PATIENCE = 60; // seconds for an answer

const join = (parts) => parts.filter((part) => part !== undefined && part !== "").join(" ");
const tell = ({ type, code, reason, payload }) => join([type, code, reason, payload && `(${payload.length} bytes)`]);
const isSame = (a, b) => a.type === b.type && (!a.payload || a.payload.equals(b.payload));

// All that comes until it is enough, or until something else comes than messages, pings and pongs: that is returned.
async function collect(socket, events, until = () => false) {
  while (!until(events)) {
    const event = await socket.next(PATIENCE);
    events.push(event);
    if (!["text", "binary", "ping", "pong"].includes(event.type)) return event;
  }
}

// The server ended it: with a close frame that has one of the codes, and then TCP by FIN.
async function judgeEnd(socket, last, codes) {
  if (last.type === "end") return ["UNCLEAN", `TCP ended ${last.clean ? "" : "by a reset "}without a close frame`];
  if (last.type !== "close") return ["FAILED", `${tell(last)} instead of a close frame`];
  if (!codes.includes(last.code)) return ["FAILED", `${tell(last)} instead of close ${codes.join(" or ")}`];
  const end = await socket.next(PATIENCE);
  if (end.type !== "end") return ["FAILED", `behind its close frame comes ${tell(end)}`];
  return end.clean ? ["OK", ""] : ["UNCLEAN", "TCP was reset behind the close frame"];
}

// We say farewell.
async function leave(socket) {
  await socket.send(frame(OPCODES.close, closePayload(1000)));
  const events = [];
  const last = await collect(socket, events);
  if (events.length > 1) return ["FAILED", `more came: ${tell(events[0])}`];
  return judgeEnd(socket, last, [1000]);
}

async function playFrames(socket, { writes, events, close }) {
  const came = [];
  let last;
  let isLate = false;
  for (const bytes of writes) {
    if (bytes) {
      await socket.send(bytes);
      continue;
    }
    // it must fail now
    const event = await socket.next(2);
    if (event.type === "silence") isLate = true;
    else if (event.type === "close" || event.type === "end") came.push((last = event));
    else came.push(event);
    if (last) break;
  }
  if (!last) last = await collect(socket, came, close ? undefined : (list) => list.length >= events.length);
  const told = came.filter(({ type }) => ["text", "binary", "ping", "pong"].includes(type));
  const isAll = told.length === events.length && told.every((event, i) => isSame(events[i], event));
  const verdict = close ? await judgeEnd(socket, last, close) : last ? ["FAILED", tell(last)] : await leave(socket);
  if (verdict[0] === "FAILED") return verdict;
  if (!isAll && close && told.length === 0) return ["NON-STRICT", `${events.length} message(s) were not answered before it closed`];
  if (!isAll) return ["FAILED", `${told.map(tell).join(", ") || "nothing"} instead of ${events.map(tell).join(", ")}`];
  return isLate ? ["NON-STRICT", "it failed late"] : verdict;
}

async function play(one) {
  const socket = await open(url, url.pathname, { offer: one.offer });
  try {
    if (one.offer && !socket.agreed) return ["FAILED", "permessage-deflate was not agreed"];
    if (!one.run) return await playFrames(socket, one.make ? one.make() : one);
    const wrong = await one.run(socket, Number(options.messages));
    return wrong ? ["FAILED", wrong] : await leave(socket);
  } finally {
    socket.destroy();
  }
}

const prefixes = options.only.split(",").filter(Boolean);
const isChosen = ({ id, size }) => {
  const named = prefixes.length === 0 || prefixes.some((prefix) => id === prefix || id.startsWith(`${prefix}.`));
  return named && (size ?? 0) <= Number(options.largest);
};
const queue = cases.filter(isChosen);
const counts = { OK: 0, "NON-STRICT": 0, UNCLEAN: 0, FAILED: 0 };

async function work() {
  for (let one = queue.shift(); one; one = queue.shift()) {
    const begin = performance.now();
    const [verdict, why] = await play(one).catch((error) => ["FAILED", error.message]);
    counts[verdict]++;
    const seconds = ((performance.now() - begin) / 1000).toFixed(2);
    const line = join([one.id.padEnd(7), verdict.padEnd(10), seconds.padStart(7), "s ", one.title, why && ` ${why}`]);
    if (options.all || verdict !== "OK") console.log(line);
  }
}
await Promise.all(Array.from({ length: Number(options["at-once"]) }, work));
console.log(JSON.stringify(counts));
process.exit(counts.OK === Object.values(counts).reduce((a, b) => a + b) ? 0 : 1);
