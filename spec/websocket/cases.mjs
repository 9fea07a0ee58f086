// Reads the cases of this folder; README.md says how they are written.

import fs from "node:fs";
import { OPCODES, frame, mask } from "../support/ws_raw.mjs";

const DEFAULT_KEY = Buffer.from("37fa213d", "hex");

// ---- Words --------------------------------------------------------------------------------------------------------------------

// Blanks between quotes belong to a word.
const words = (text) => text.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? [];

function unquote(text) {
  const parts = [];
  for (const [piece, hex, plain] of text.matchAll(/\\x([0-9a-f]{2})|\\(.)|[^\\]+/gs)) {
    parts.push(hex ? Buffer.from(hex, "hex") : Buffer.from(plain ?? piece));
  }
  return Buffer.concat(parts);
}

// "abc" hex:00ff "x"*100
function bytes(list) {
  const parts = [];
  for (const word of list) {
    let rest = word;
    while (rest !== "") {
      const match = /^(?:"((?:\\.|[^"\\])*)"|hex:((?:[0-9a-f]{2})*))(?:\*(\d+))?/.exec(rest);
      if (!match) throw new Error(`these are no bytes: ${word}`);
      const [all, text, hex, times] = match;
      const piece = text === undefined ? Buffer.from(hex, "hex") : unquote(text);
      parts.push(Buffer.concat(Array(Number(times ?? 1)).fill(piece)));
      rest = rest.slice(all.length);
    }
  }
  return Buffer.concat(parts);
}

function closeBytes(list) {
  if (!/^\d+$/.test(list[0] ?? "")) return bytes(list);
  const code = Buffer.alloc(2);
  code.writeUInt16BE(Number(list[0]));
  return Buffer.concat([code, bytes(list.slice(1))]);
}

// ---- Frames -------------------------------------------------------------------------------------------------------------------

// What "more" goes on with: the mask of the frame before, and the place in its payload.
let last = { key: null, offset: 0 };

function inFragments(opcode, payload, size, { fin, rsv, key }) {
  const frames = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const isLast = at + size >= payload.length;
    const part = payload.subarray(at, at + size);
    const bits = { fin: fin && isLast, rsv: at === 0 ? rsv : 0, key };
    frames.push(frame(at === 0 ? opcode : OPCODES.continue, part, bits));
  }
  return Buffer.concat(frames);
}

function sent([op, ...rest]) {
  if (op === "raw") return Buffer.from(rest.join(""), "hex");
  if (op === "more") {
    const part = bytes(rest);
    const offset = last.offset;
    last.offset += part.length;
    return last.key ? mask(part, last.key, offset) : part;
  }
  const attributes = {};
  while (/^[a-z]+=/.test(rest[0] ?? "")) {
    const [name, value] = rest.shift().split("=");
    attributes[name] = value;
  }
  const opcode = op.startsWith("op") ? Number(op.slice(2)) : OPCODES[op];
  const payload = op === "close" ? closeBytes(rest) : bytes(rest);
  const key = attributes.mask === "none" ? null : attributes.mask ? Buffer.from(attributes.mask, "hex") : DEFAULT_KEY;
  const fin = attributes.fin !== "0";
  const rsv = Number(attributes.rsv ?? 0);
  last = { key, offset: payload.length };
  if (attributes.fragments) return inFragments(opcode, payload, Number(attributes.fragments), { fin, rsv, key });
  const form = attributes.form && Number(attributes.form);
  return frame(opcode, payload, { fin, rsv, key, form, length: attributes.length ?? payload.length });
}

function expected([type, ...rest]) {
  if (type === "close") return { type, code: Number(rest[0] ?? 1005) };
  if (type === "error") return { type, code: Number(rest[0]) };
  return type === "nothing" ? { type } : { type, payload: bytes(rest) };
}

// ---- Paragraphs ---------------------------------------------------------------------------------------------------------------

// All that comes of the lines "each NAME VALUE…", whose values stand for $NAME in what follows.
function expand(lines, valueOf) {
  const at = lines.findIndex((line) => line.startsWith("each "));
  if (at < 0) return [lines];
  const [, name, ...values] = words(lines[at]);
  const rest = lines.filter((_, i) => i !== at);
  return values.flatMap((value) => expand(rest.map((line) => line.replaceAll(`$${name}`, () => valueOf(value))), valueOf));
}

// Steps: what is sent, and what has come of it by then.
function readSteps(one, lines) {
  for (const line of lines) {
    const [kind, ...rest] = words(line);
    const step = one.steps.at(-1);
    if (kind === ">" && (!step || step.expected.length > 0)) one.steps.push({ sent: [sent(rest)], expected: [] });
    else if (kind === ">") step.sent.push(sent(rest));
    else if (kind === "<" && step) step.expected.push(expected(rest));
    else if (kind === "deflate") one.deflate = rest;
    else if (kind === "limits") one.limits = rest.join(" ");
    else throw new Error(`no line of a case: ${line}`);
  }
  for (const step of one.steps) step.sent = Buffer.concat(step.sent);
}

// A value in quotes stands for itself where bytes are written, and for what is between the quotes in a request.
const valueOf = {
  frames: (value) => value,
  handshake: (value) => (value.startsWith('"') ? unquote(value.slice(1, -1)).toString() : value),
};

const readers = {
  // A request and its answer.
  handshake(one, lines) {
    Object.assign(one, { path: null, policy: [], request: null, without: [], with: [], answer: [] });
    for (const line of lines) {
      const [, kind, rest] = /^(\S+)\s*(.*)$/.exec(line);
      if (kind === "request") one.request = rest;
      else if (kind === "server") one.path = rest;
      else if (kind === "policy") one.policy = words(rest);
      else if (kind === "without") one.without.push(rest.toLowerCase());
      else if (kind === "with") one.with.push(/^([^:]+): ?(.*)$/.exec(rest).slice(1));
      else if (kind === "<") one.answer.push(rest);
      else throw new Error(`no line of a handshake: ${line}`);
    }
  },
  frames: readSteps,
};

// The cases of a file. Its kind is "handshake" or "frames".
export function readCases(file, kind) {
  const text = fs.readFileSync(new URL(file, import.meta.url), "utf8").replace(/^#.*\n/gm, "");
  return text.split(/\n\n+/).filter((part) => part.trim() !== "").flatMap((part) => {
    return expand(part.trim().split("\n"), valueOf[kind]).map(([title, ...lines]) => {
      const one = { file, title, deflate: null, limits: null, steps: [] };
      try {
        readers[kind](one, lines);
      } catch (error) {
        throw new Error(`${file}: ${title}: ${error.message}`);
      }
      return one;
    });
  });
}
