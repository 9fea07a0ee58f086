// Runs the cases of this folder against a server, over sockets.
//
//   node spec/websocket/run_cases.mjs BASE [FILE…]
//
// BASE serves app.lua. Each case of frames is sent in its steps, once as a whole, once behind the handshake in the same segment, and
// once byte by byte, and to /ws, too, if it is without messages; what comes back is awaited step by step. Behind "endings" are those of endings.mjs, which take a while. Prints
// what is wrong, and {"passed":n,"failed":n}.

import { readCases } from "./cases.mjs";
import { endings } from "./endings.mjs";
import { OPCODES, acceptOf, closePayload, frame, handshake, open, request, requestText } from "../support/ws_raw.mjs";

const [base, ...chosen] = process.argv.slice(2);
const frameFiles = ["framing.txt", "fragments.txt", "control.txt", "closing.txt", "text.txt", "limits.txt", "deflate.txt"];
const handshakeFiles = ["handshake.txt", "extensions.txt"];
const AT_ONCE = 24; // cases that run at the same time
const BYTEWISE_MAX = 400; // bytes of a case that is sent byte by byte

// ---- Frames -------------------------------------------------------------------------------------------------------------------

const tell = (event) => {
  const payload = event.payload && ` ${event.payload.length > 60 ? `(${event.payload.length} bytes)` : JSON.stringify(event.payload.toString("latin1"))}`;
  return `${event.type}${event.code === undefined ? "" : ` ${event.code}`}${event.reason ? ` ${event.reason}` : ""}${payload ?? ""}`;
};

// What the server is to send when it has seen the event; null for nothing.
function answerOf({ type, code, payload }) {
  if (type === "ping") return { type: "pong", payload };
  if (type === "close" || type === "error") return { type: "close", code };
  return type === "pong" || type === "nothing" ? null : { type, payload };
}

function endpointOf(one) {
  const takeover = one.deflate?.includes("client_takeover") ?? false;
  if (one.limits && one.limits !== "frame=1000 message=1500") throw new Error(`app.lua has no such limits: ${one.limits}`);
  return (one.limits ? "/limits" : takeover ? "" : "/echo") + (takeover ? "/takeover" : "");
}

const isSame = (a, b) => a.type === b.type && a.code === b.code && (!a.payload || a.payload.equals(b.payload));

// Pongs need not wait for messages that are still with the app, nor they for pongs; a close frame comes behind everything else.
async function expectEvents(socket, answers, where) {
  const left = [...answers];
  while (left.length > 0) {
    const event = await socket.next();
    const at = left.findIndex(({ type }) => type === "close" || (type === "pong") === (event.type === "pong"));
    const expected = left[at < 0 ? 0 : at];
    const inOrder = at >= 0 && (expected.type !== "close" || left.length === 1) && isSame(expected, event);
    if (!inOrder) throw new Error(`${where}: ${tell(event)} instead of ${tell(expected)}`);
    left.splice(at, 1);
  }
}

// The server has said its last word: it ends TCP, by FIN, and says nothing more.
async function expectEnd(socket) {
  const event = await socket.next();
  if (event.type !== "end") throw new Error(`behind its close frame comes ${tell(event)}`);
  if (!event.clean) throw new Error("unclean: TCP was reset behind the close frame");
}

async function playFrames(one, way) {
  const ahead = way === "ahead" ? one.steps[0].sent : undefined;
  const offer = one.deflate ? "permessage-deflate" : undefined;
  const socket = await open(base, way === "native" ? "/ws" : endpointOf(one), { offer, ahead });
  try {
    if (one.deflate && !socket.agreed) throw new Error("permessage-deflate was not agreed");
    if (one.deflate?.includes("client_takeover") && socket.agreed.client_no_context_takeover) throw new Error("no context takeover");
    for (const [i, step] of one.steps.entries()) {
      if (i > 0 || !ahead) await socket.send(step.sent, way === "bytewise" ? 1 : undefined);
      await expectEvents(socket, step.expected.map(answerOf).filter(Boolean), `step ${i + 1}`);
    }
    const types = one.steps.flatMap((step) => step.expected.map(({ type }) => type));
    if (types.at(-1) === "nothing") return; // in the middle of something: there is no more to see
    if (!types.includes("close") && !types.includes("error")) {
      await socket.send(frame(OPCODES.close, closePayload(1000)));
      await expectEvents(socket, [{ type: "close", code: 1000 }], "at the end");
    }
    await expectEnd(socket);
  } finally {
    socket.destroy();
  }
}

// ---- Handshakes ---------------------------------------------------------------------------------------------------------------

function requestOf(one) {
  const path = one.path ?? (one.policy.length > 0 ? "/takeover" : "/echo");
  const good = handshake(path, "dGhlIHNhbXBsZSBub25jZQ==");
  const fields = good.fields.filter(([name]) => !one.without.includes(name.toLowerCase()));
  return { request: one.request ?? good.request, fields: [...fields, ...one.with] };
}

function agreedOf(fields) {
  const value = fields["sec-websocket-extensions"];
  if (value === undefined) return "nothing";
  const [name, ...parameters] = value.split(";").map((part) => part.trim());
  return name === "permessage-deflate" ? parameters.sort().join(" ") : value;
}

function holds(answer, line) {
  const [, kind, rest] = /^(no field|\S+) ?(.*)$/.exec(line);
  if (kind === "status") return answer.status === Number(rest);
  if (kind === "agreed") return agreedOf(answer.fields) === rest.split(" ").sort().join(" ");
  const [, name, value] = /^([^:]+)(?:: (.*))?$/.exec(rest);
  const found = answer.fields[name.toLowerCase()];
  return kind === "no field" ? found === undefined : value === undefined ? found !== undefined : found === value;
}

async function playHandshake(one) {
  const sent = requestOf(one);
  const answer = await request(base, requestText(sent));
  try {
    const wrong = one.answer.filter((line) => !holds(answer, line));
    const key = sent.fields.find(([name]) => name.toLowerCase() === "sec-websocket-key")?.[1].trim();
    if (answer.status === 101 && answer.fields["sec-websocket-accept"] !== acceptOf(key)) wrong.push("field Sec-WebSocket-Accept");
    if (wrong.length > 0) throw new Error(`${answer.status} ${JSON.stringify(answer.fields)} is not ${wrong.join(", ")}`);
  } finally {
    answer.socket.destroy();
  }
}

async function playEnding({ path, play, options }) {
  const socket = await open(base, path, options);
  try {
    await play(socket, base);
  } finally {
    socket.destroy();
  }
}

// True if no message is echoed: then /ws, whose messages have a meaning, must do the same.
function isForAll({ steps, limits, deflate }) {
  const hasMessage = steps.some((step) => step.expected.some(({ type }) => type === "text" || type === "binary"));
  return !hasMessage && !limits && !deflate?.includes("client_takeover");
}

// ---- All of them --------------------------------------------------------------------------------------------------------------

const isChosen = (name) => chosen.length === 0 || chosen.includes(name);
const plays = [];
for (const one of isChosen("endings") ? endings : []) {
  plays.push({ one: { file: "endings.mjs", title: one.title }, way: "whole", play: () => playEnding(one) });
}
for (const file of frameFiles.filter(isChosen)) {
  for (const one of readCases(file, "frames")) {
    const size = one.steps.reduce((sum, step) => sum + step.sent.length, 0);
    const ways = ["whole", "ahead"];
    if (size < BYTEWISE_MAX) ways.push("bytewise");
    if (isForAll(one)) ways.push("native");
    for (const way of ways) plays.push({ one, way, play: () => playFrames(one, way) });
  }
}
for (const file of handshakeFiles.filter(isChosen)) {
  for (const one of readCases(file, "handshake")) plays.push({ one, way: "whole", play: () => playHandshake(one) });
}

let failed = 0;
let next = 0;
async function work() {
  while (next < plays.length) {
    const { one, way, play } = plays[next++];
    try {
      await play();
    } catch (error) {
      failed++;
      console.log(`${one.file}: ${one.title} (${way}): ${error.message}`);
    }
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
console.log(JSON.stringify({ passed: plays.length - failed, failed }));
process.exit(0);
