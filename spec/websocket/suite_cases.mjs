// What Autobahn|Testsuite asks of an echo server in its 517 cases, by their numbers, put into our own words.
//
// A case of frames says what is sent (`writes`, each a segment of its own; a `null` among them waits for the server to close before
// the rest is sent), and what comes back: `events`, then the end, which is `close`: the codes that the server may close with, or
// nothing if it is our part to close. A case that counts has `run`.

import { OPCODES, closePayload, frame } from "../support/ws_raw.mjs";
import { sample } from "./samples.mjs";

const { text: TEXT, binary: BINARY, continue: CONTINUE, close: CLOSE, ping: PING, pong: PONG } = OPCODES;
const KIB = 1024;
const MIB = 1024 * KIB;
const bytes = (what) => (Buffer.isBuffer(what) ? what : Buffer.from(what));
const hex = (digits) => Buffer.from(digits.replaceAll(" ", ""), "hex");
const text = (payload, options) => frame(TEXT, bytes(payload), options);
const begin = (payload) => text(payload, { fin: false });
const go = (payload) => frame(CONTINUE, bytes(payload), { fin: false });
const finish = (payload) => frame(CONTINUE, bytes(payload));
const ping = (payload = "", options) => frame(PING, bytes(payload), options);
const pong = (payload = "", options) => frame(PONG, bytes(payload), options);
const close = (code, reason) => frame(CLOSE, code === undefined ? Buffer.alloc(0) : closePayload(code, reason));
const said = (payload, type = "text") => ({ type, payload: bytes(payload) });
const answered = (payload = "") => ({ type: "pong", payload: bytes(payload) });

const octets = (writes) => Array.from(Buffer.concat(writes), (byte) => Buffer.from([byte]));
const together = (writes) => [Buffer.concat(writes)];
const chopped = (whole, size) => Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => whole.subarray(i * size, (i + 1) * size));

function fragments(opcode, payload, size) {
  const frames = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const options = { fin: at + size >= payload.length };
    frames.push(frame(at === 0 ? opcode : CONTINUE, payload.subarray(at, at + size), options));
  }
  return frames;
}

export const cases = [];
const add = (id, title, writes, events = [], end = {}) => cases.push({ id, title, writes, events, ...end });
const PROTOCOL = { close: [1002] };
const BAD_DATA = { close: [1007] };

// ---- 1 Framing ----------------------------------------------------------------------------------------------------------------

for (const [group, opcode, type, what] of [["1.1", TEXT, "text", "*"], ["1.2", BINARY, "binary", "\xfe"]]) {
  for (const [i, size] of [0, 125, 126, 127, 128, 65535, 65536, 65536].entries()) {
    const payload = Buffer.alloc(size, what, "latin1");
    const whole = frame(opcode, payload);
    const writes = i === 7 ? chopped(whole, 997) : [whole];
    add(`${group}.${i + 1}`, `${type} of ${size} bytes${i === 7 ? " in pieces of 997" : ""}`, writes, [said(payload, type)]);
  }
}

// ---- 2 Pings and pongs --------------------------------------------------------------------------------------------------------

const tenPings = Array.from({ length: 10 }, (_, i) => `payload-${i}`);
add("2.1", "ping without payload", [ping()], [answered()]);
add("2.2", "ping with a text", [ping("Hello, world!")], [answered("Hello, world!")]);
add("2.3", "ping with bytes", [ping(hex("00fffefdfcfb00ff"))], [answered(hex("00fffefdfcfb00ff"))]);
add("2.4", "ping of 125 bytes", [ping(Buffer.alloc(125, 0xfe))], [answered(Buffer.alloc(125, 0xfe))]);
add("2.5", "ping of 126 bytes", [ping(Buffer.alloc(126, 0xfe))], [], PROTOCOL);
add("2.6", "ping of 125 bytes, octet by octet", octets([ping(Buffer.alloc(125, 0xfe))]), [answered(Buffer.alloc(125, 0xfe))]);
add("2.7", "pong that nobody asked for", [pong()]);
add("2.8", "pong that nobody asked for, with payload", [pong("unsolicited pong payload")]);
add("2.9", "such a pong and a ping", [pong("unsolicited pong payload"), ping("ping payload")], [answered("ping payload")]);
add("2.10", "ten pings", tenPings.map((payload) => ping(payload)), tenPings.map(answered));
add("2.11", "ten pings, octet by octet", octets(tenPings.map((payload) => ping(payload))), tenPings.map(answered));

// ---- 3 Reserved bits, 4 opcodes -----------------------------------------------------------------------------------------------

const hello = said("Hello, world!");
const rsv = (bits, opcode = TEXT, payload = "Hello, world!") => frame(opcode, bytes(payload), { rsv: bits });
add("3.1", "text with reserved bit 1", [rsv(1)], [], PROTOCOL);
add("3.2", "a text, one with reserved bit 2, ping", [text("Hello, world!"), rsv(2), ping()], [hello], PROTOCOL);
add("3.3", "likewise with bits 3, in one piece", together([text("Hello, world!"), rsv(3), ping()]), [hello], PROTOCOL);
add("3.4", "likewise with bit 4, octet by octet", octets([text("Hello, world!"), rsv(4), ping()]), [hello], PROTOCOL);
add("3.5", "binary with bits 5", [rsv(5, BINARY, hex("00fffefdfcfb00ff"))], [], PROTOCOL);
add("3.6", "ping with bits 6", [rsv(6, PING)], [], PROTOCOL);
add("3.7", "close with bits 7", [rsv(7, CLOSE, "")], [], PROTOCOL);

for (const [group, opcodes] of [["4.1", [3, 4, 5, 6, 7]], ["4.2", [11, 12, 13, 14, 15]]]) {
  for (const [i, opcode] of opcodes.entries()) {
    const wrong = frame(opcode, bytes(i % 2 === 0 ? "" : "reserved opcode payload"));
    const around = i < 2 ? [wrong] : [text("Hello, world!"), wrong, ping()];
    const writes = i === 4 ? octets(around) : i === 3 ? together(around) : around;
    add(`${group}.${i + 1}`, `opcode ${opcode}`, writes, i < 2 ? [] : [hello], PROTOCOL);
  }
}

// ---- 5 Fragmentation ----------------------------------------------------------------------------------------------------------

const inTwo = [begin("fragment1"), finish("fragment2")];
const withPing = [begin("fragment1"), ping("ping payload"), finish("fragment2")];
const both = said("fragment1fragment2");
const inFive = [1, 2, 3, 4, 5].map((n) => (n === 1 ? begin : n === 5 ? finish : go)(`fragment${n}`));
const fivePings = [inFive[0], inFive[1], ping("pongme 1!"), inFive[2], inFive[3], ping("pongme 2!"), inFive[4]];
const five = said("fragment1fragment2fragment3fragment4fragment5");
const lost = [go("non-continuation payload"), text("Hello, world!")];
const lostLast = [finish("non-continuation payload"), text("Hello, world!")];
add("5.1", "ping in fragments", [ping("fragment1", { fin: false }), finish("fragment2")], [], PROTOCOL);
add("5.2", "pong in fragments", [pong("fragment1", { fin: false }), finish("fragment2")], [], PROTOCOL);
add("5.3", "text in two fragments", together(inTwo), [both]);
add("5.4", "likewise, frame by frame", inTwo, [both]);
add("5.5", "likewise, octet by octet", octets(inTwo), [both]);
add("5.6", "with a ping between", together(withPing), [answered("ping payload"), both]);
add("5.7", "likewise, frame by frame", withPing, [answered("ping payload"), both]);
add("5.8", "likewise, octet by octet", octets(withPing), [answered("ping payload"), both]);
add("5.9", "last continuation of nothing, then a text", together(lostLast), [], PROTOCOL);
add("5.10", "likewise, frame by frame", lostLast, [], PROTOCOL);
add("5.11", "likewise, octet by octet", octets(lostLast), [], PROTOCOL);
add("5.12", "continuation of nothing, then a text", together(lost), [], PROTOCOL);
add("5.13", "likewise, frame by frame", lost, [], PROTOCOL);
add("5.14", "likewise, octet by octet", octets(lost), [], PROTOCOL);
add("5.15", "a text in two fragments, continuation of nothing, text", together([...inTwo, go("fragment3"), text("fragment4")]), [both], PROTOCOL);
add("5.16", "twice: continuation of nothing, text in two", together([go("fragment1"), begin("fragment2"), finish("fragment3")]), [], PROTOCOL);
add("5.17", "twice: last continuation of nothing, text in two", together([finish("fragment1"), begin("fragment2"), finish("fragment3")]), [], PROTOCOL);
add("5.18", "two fragments, both of which are texts", together([begin("fragment1"), text("fragment2")]), [], PROTOCOL);
add("5.19", "five fragments and two pings, frame by frame", fivePings, [answered("pongme 1!"), answered("pongme 2!"), five]);
add("5.20", "likewise, in one piece", together(fivePings), [answered("pongme 1!"), answered("pongme 2!"), five]);

// ---- 6 UTF-8 ------------------------------------------------------------------------------------------------------------------

const greek = "Hello-µ@ßöäüàá-UTF-8!!";
const kosme = hex("cebae1bdb9cf83cebcceb5");
const surrogate = Buffer.concat([kosme, hex("eda080"), bytes("edited")]);
const tooFar = [kosme, hex("f4908080"), bytes("edited")];
const tooFarLate = [Buffer.concat([kosme, hex("f4")]), hex("90"), Buffer.concat([hex("8080"), bytes("edited")])];
add("6.1.1", "empty text", [text("")], [said("")]);
add("6.1.2", "three empty fragments", [begin(""), go(""), finish("")], [said("")]);
add("6.1.3", "three fragments, two of them empty", [begin(""), go("middle frame payload"), finish("")], [said("middle frame payload")]);
add("6.2.1", "a text", [text(greek)], [said(greek)]);
add("6.2.2", "in two fragments, between characters", [begin(greek.slice(0, 10)), finish(greek.slice(10))], [said(greek)]);
add("6.2.3", "in fragments of one octet", fragments(TEXT, bytes(greek), 1), [said(greek)]);
add("6.2.4", "kosme in fragments of one octet", fragments(TEXT, kosme, 1), [said(kosme)]);
add("6.3.1", "a surrogate", [text(surrogate)], [], BAD_DATA);
add("6.3.2", "a surrogate, in fragments of one octet", fragments(TEXT, surrogate, 1), [], BAD_DATA);
add("6.4.1", "fails fast: at the fragment that is wrong", [begin(tooFar[0]), go(tooFar[1]), null, finish(tooFar[2])], [], BAD_DATA);
add("6.4.2", "fails fast: at the octet that is wrong", [begin(tooFarLate[0]), go(tooFarLate[1]), null, finish(tooFarLate[2])], [], BAD_DATA);
for (const [id, [first, second]] of [["6.4.3", tooFar], ["6.4.4", tooFarLate]]) {
  const whole = text(Buffer.concat(tooFar));
  const cut = whole.length - tooFar.reduce((sum, part) => sum + part.length, 0) + first.length;
  const writes = [whole.subarray(0, cut), whole.subarray(cut, cut + second.length), null, whole.subarray(cut + second.length)];
  add(id, "fails fast: inside of one frame", writes, [], BAD_DATA);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function isText(payload) {
  try {
    return decoder.decode(payload) !== undefined;
  } catch {
    return false;
  }
}
const repeat = (times, unit) => Array.from({ length: times }, (_, i) => unit(i));
const range = (from, to) => repeat(to - from + 1, (i) => (from + i).toString(16).padStart(2, "0"));
const lonely = (from, to) => range(from, to).map((byte) => `${byte}20`).join("");
const incomplete = ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"];
const tables = {
  "6.5": ["68656c6c6f24776f726c64", "68656c6c6fc2a2776f726c64", "68656c6c6fe282ac776f726c64", "68656c6c6ff0a4ada2776f726c64", "cebae1bdb9cf83cebcceb5"],
  "6.6": repeat(11, (i) => kosme.subarray(0, i + 1).toString("hex")),
  "6.7": ["00", "c280", "e0a080", "f0908080"],
  "6.8": ["f888808080", "fc8480808080"],
  "6.9": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
  "6.10": ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
  "6.11": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"],
  "6.12": ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", range(0x80, 0xbf).join("")],
  "6.13": [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)],
  "6.14": incomplete,
  "6.15": [incomplete.join("")],
  "6.16": ["fe", "ff", "fefeffff"],
  "6.17": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
  "6.18": ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
  "6.19": ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
  "6.20": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
  "6.21": ["eda080edb080", "eda080edbfbf", "edadbfedb080", "edadbfedbfbf", "edae80edb080", "edae80edbfbf", "edafbfedb080", "edafbfedbfbf"],
  "6.22": repeat(34, (i) => bytes(String.fromCodePoint((i >> 1) * 0x10000 + 0xfffe + (i & 1))).toString("hex")),
  "6.23": repeat(7, (i) => bytes(String.fromCodePoint(0xfff9 + i)).toString("hex")),
};
for (const [group, list] of Object.entries(tables)) {
  for (const [i, digits] of list.entries()) {
    const payload = hex(digits);
    const fine = isText(payload);
    const title = `${fine ? "valid" : "invalid"}: ${digits.length > 24 ? `${digits.slice(0, 24)}…` : digits}`;
    add(`${group}.${i + 1}`, title, [text(payload)], fine ? [said(payload)] : [], fine ? {} : BAD_DATA);
  }
}

// ---- 7 Closing ----------------------------------------------------------------------------------------------------------------

const large = "BAsd7&jh23".repeat(26214);
add("7.1.1", "text, close", [text("Hello World!"), close(1000)], [said("Hello World!")], { close: [1000] });
add("7.1.2", "two close frames", [close(1000), close(1000)], [], { close: [1000] });
add("7.1.3", "close, ping", [close(1000), ping()], [], { close: [1000] });
add("7.1.4", "close, text", [close(1000), text("Hello World!")], [], { close: [1000] });
add("7.1.5", "close between fragments", [begin("fragment1"), close(1000), finish("fragment2")], [], { close: [1000] });
add("7.1.6", "256 KiB, close, ping", [text(large), close(1000), ping()], [said(large)], { close: [1000] });
add("7.3.1", "close without a code", [close()], [], { close: [1005, 1000] });
add("7.3.2", "close with half a code", [frame(CLOSE, bytes("a"))], [], PROTOCOL);
add("7.3.3", "close with a code", [close(1000)], [], { close: [1000] });
add("7.3.4", "close with a reason", [close(1000, "Hello World!")], [], { close: [1000] });
add("7.3.5", "close with a reason of 123 bytes", [close(1000, "*".repeat(123))], [], { close: [1000] });
add("7.3.6", "close with a reason of 124 bytes", [close(1000, "*".repeat(124))], [], PROTOCOL);
add("7.5.1", "close with a reason that is not UTF-8", [frame(CLOSE, Buffer.concat([closePayload(1000), surrogate]))], [], BAD_DATA);
for (const [i, code] of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].entries()) {
  add(`7.7.${i + 1}`, `close code ${code}`, [close(code)], [], { close: [code] });
}
for (const [i, code] of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].entries()) {
  add(`7.9.${i + 1}`, `close code ${code}`, [close(code)], [], PROTOCOL);
}
for (const [i, code] of [5000, 65535].entries()) add(`7.13.${i + 1}`, `close code ${code}`, [close(code)], [], PROTOCOL);

// ---- 9 Limits and performance -------------------------------------------------------------------------------------------------

// One message, sent as `cut` cuts it, is echoed.
function addLarge(id, title, opcode, size, cut = (whole) => [whole], byFrames = false) {
  const type = opcode === TEXT ? "text" : "binary";
  const make = () => {
    const payload = opcode === TEXT ? Buffer.alloc(size, "*") : Buffer.alloc(size, 0xfe);
    return { writes: byFrames ? cut(payload) : cut(frame(opcode, payload)), events: [said(payload, type)] };
  };
  cases.push({ id, title, size, make });
}
// `count` messages, each of which is sent when the one before was echoed.
async function echoMany(socket, count, make, options) {
  for (let i = 0; i < count; i++) {
    const { opcode, payload } = make(i);
    await socket.send(socket.message(opcode, payload, options));
    const event = await socket.next(60);
    if (event.type !== (opcode === TEXT ? "text" : "binary")) return `message ${i + 1}: ${event.type} ${event.reason ?? event.code ?? ""}`;
    if (!payload.equals(event.payload)) return `message ${i + 1} came back changed`;
  }
}
for (const [kind, opcode] of [[1, TEXT], [2, BINARY]]) {
  const type = opcode === TEXT ? "text" : "binary";
  for (const [i, size] of [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].entries()) {
    addLarge(`9.${kind}.${i + 1}`, `${type} of ${size} bytes`, opcode, size);
  }
  for (const [i, size] of [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].entries()) {
    const cut = (payload) => together(fragments(opcode, payload, size));
    addLarge(`9.${kind + 2}.${i + 1}`, `${type} of 4 MiB in fragments of ${size}`, opcode, 4 * MIB, cut, true);
  }
  for (const [i, size] of [64, 128, 256, 512, 1024, 2048].entries()) {
    addLarge(`9.${kind + 4}.${i + 1}`, `${type} of 1 MiB in pieces of ${size}`, opcode, MIB, (whole) => chopped(whole, size));
  }
  for (const [i, size] of [0, 16, 64, 256, KIB, 4 * KIB].entries()) {
    const payload = Buffer.alloc(size, opcode === TEXT ? "*" : 0xfe);
    const run = (socket, count) => echoMany(socket, count, () => ({ opcode, payload }));
    cases.push({ id: `9.${kind + 6}.${i + 1}`, title: `${type} of ${size} bytes, again and again`, run });
  }
}

// ---- 10 Fragments by themselves -----------------------------------------------------------------------------------------------

const many = Buffer.alloc(65536, "*");
add("10.1.1", "64 KiB in fragments of 1300", together(fragments(TEXT, many, 1300)), [said(many)]);

// ---- 12 and 13 Compression ----------------------------------------------------------------------------------------------------

const plain = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072].map((size) => [size]);
const cut = [[8192, 256], [16384, 256], [32768, 256], [65536, 256], [131072, 256], [131072, 1024], [131072, 4096], [131072, 32768]];
const ours = "client_no_context_takeover; client_max_window_bits";
const offer = (...parameters) => ["permessage-deflate", ours, ...parameters].join("; ");
function addCompressed(group, kind, value) {
  const opcode = kind === "json" || kind === "html" ? TEXT : BINARY;
  for (const [i, [size, fragment]] of [...plain, ...cut].entries()) {
    const title = `again and again ${size} bytes of ${kind}${fragment ? ` in fragments of ${fragment}` : ""}: ${value}`;
    const make = (n) => ({ opcode, payload: sample(kind, n, size) });
    const run = (socket, count) => echoMany(socket, count, make, { size: fragment });
    cases.push({ id: `${group}.${i + 1}`, title, offer: value, run });
  }
}
for (const [i, kind] of ["json", "image", "prose", "html", "noise"].entries()) addCompressed(`12.${i + 1}`, kind, offer());
const offers = [
  [offer()],
  [offer("server_no_context_takeover")],
  [offer("server_max_window_bits=9")],
  [offer("server_max_window_bits=15")],
  [offer("server_no_context_takeover", "server_max_window_bits=9")],
  [offer("server_no_context_takeover", "server_max_window_bits=15")],
  [offer("server_no_context_takeover", "server_max_window_bits=9"), offer("server_no_context_takeover"), offer()],
];
for (const [i, list] of offers.entries()) addCompressed(`13.${i + 1}`, "json", list.join(", "));
