// A WebSocket client that shows every byte: it writes whatever it is told to, right or wrong, and holds the server to every rule
// for what comes back (RFC 6455, RFC 7692). It shares nothing with csrc, and knows no library of WebSockets.

import crypto from "node:crypto";
import net from "node:net";
import zlib from "node:zlib";

export const OPCODES = { continue: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const NAMES = Object.fromEntries(Object.entries(OPCODES).map(([name, opcode]) => [opcode, name]));
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// ---- Frames -------------------------------------------------------------------------------------------------------------------

// XOR in place; `offset` is the place of bytes[0] in the frame's payload.
export function mask(bytes, key, offset = 0) {
  for (let i = 0; i < bytes.length; i++) bytes[i] ^= key[(offset + i) & 3];
  return bytes;
}

// The bytes of one frame. Whatever is not given is as it should be; `length` is what the header says and `form` (7, 16 or 64) how.
export function frame(opcode, payload, { fin = true, rsv = 0, key = crypto.randomBytes(4), length = payload.length, form } = {}) {
  const size = form ?? (length < 126 ? 7 : length < 65536 ? 16 : 64);
  const header = Buffer.alloc(size === 7 ? 2 : size === 16 ? 4 : 10);
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  header[1] = (key ? 0x80 : 0) | (size === 7 ? Number(length) : size === 16 ? 126 : 127);
  if (size === 16) header.writeUInt16BE(Number(length), 2);
  if (size === 64) header.writeBigUInt64BE(BigInt(length), 2);
  return key ? Buffer.concat([header, key, mask(Buffer.from(payload), key)]) : Buffer.concat([header, payload]);
}

export function closePayload(code, reason = "") {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

// ---- permessage-deflate -------------------------------------------------------------------------------------------------------

// One direction of it. What was said before is handed to zlib as a dictionary, so that there is no stream to wait for.
class Window {
  #bits;
  #takesOver;
  #history = Buffer.alloc(0);

  constructor(bits, takesOver) {
    this.#bits = bits;
    this.#takesOver = takesOver;
  }

  #options(more) {
    const dictionary = this.#history.length > 0 ? { dictionary: this.#history } : {};
    return { windowBits: Math.max(this.#bits, 9), finishFlush: zlib.constants.Z_SYNC_FLUSH, ...dictionary, ...more };
  }

  #remember(plain) {
    if (!this.#takesOver) return;
    const size = 1 << this.#bits;
    this.#history = Buffer.concat([this.#history, plain.subarray(Math.max(0, plain.length - size))]).subarray(-size);
  }

  deflate(plain, options) {
    const packed = zlib.deflateRawSync(plain, this.#options(options));
    this.#remember(plain);
    return packed.length > 4 ? packed.subarray(0, packed.length - 4) : Buffer.from([0]);
  }

  // zlib sees who reaches beyond the window only if that is not still in the output: so this comes in small pieces.
  inflate(packed) {
    const strict = { windowBits: this.#bits, ...(this.#bits < 15 && { chunkSize: 64 }) };
    const plain = zlib.inflateRawSync(Buffer.concat([packed, TAIL]), this.#options(strict));
    this.#remember(plain);
    return plain;
  }
}

// What the server agreed to: null, or the parameters. Throws if no client may accept it.
function readExtensions(value) {
  if (value === undefined) return null;
  const [name, ...list] = value.split(";").map((part) => part.trim());
  if (name !== "permessage-deflate") throw new Error(`the server answers with another extension: ${value}`);
  const agreed = {};
  for (const parameter of list) {
    const [key, bits] = parameter.split("=").map((part) => part.trim().replace(/^"(.*)"$/, "$1"));
    const isBits = key.endsWith("_max_window_bits");
    const known = isBits ? /^([89]|1[0-5])$/.test(bits) : bits === undefined && /^(server|client)_no_context_takeover$/.test(key);
    if (!known || key in agreed) throw new Error(`the server's answer is no permessage-deflate: ${value}`);
    agreed[key] = isBits ? Number(bits) : true;
  }
  return agreed;
}

// ---- What the server says -----------------------------------------------------------------------------------------------------

// Bytes in, frames out; the first breach of a rule is thrown.
class FrameReader {
  #pieces = [];
  #size = 0;
  #needed = 2;

  push(bytes, onFrame) {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    while (this.#size >= this.#needed) {
      const all = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
      this.#pieces = [all];
      const taken = this.#take(all, onFrame);
      if (taken === 0) continue;
      this.#pieces = [all.subarray(taken)];
      this.#size -= taken;
      this.#needed = 2;
    }
  }

  // Returns the length of the frame, or 0 and says how much is needed.
  #take(all, onFrame) {
    const short = all[1] & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (all.length < header) return (this.#needed = header), 0;
    const length = short < 126 ? short : short === 126 ? all.readUInt16BE(2) : Number(all.readBigUInt64BE(2));
    if (all.length < header + length) return (this.#needed = header + length), 0;
    const opcode = all[0] & 0x0f;
    if (all[1] & 0x80) throw new Error("the server's frame is masked");
    if (header === 4 && length < 126) throw new Error("the server's length is not in its shortest form");
    if (header === 10 && length < 65536) throw new Error("the server's length is not in its shortest form");
    if (!(opcode in NAMES)) throw new Error(`the server's opcode is ${opcode}`);
    if (opcode >= 8 && (length > 125 || !(all[0] & 0x80))) throw new Error("the server's control frame is too long or fragmented");
    onFrame({ fin: (all[0] & 0x80) !== 0, rsv: (all[0] >> 4) & 7, opcode, payload: all.subarray(header, header + length) });
    return header + length;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// An open connection. next() resolves with what comes, one after the other:
//   {type: "text" | "binary", payload, packed}    packed: false, or how many bytes it had when it was compressed
//   {type: "ping" | "pong", payload}
//   {type: "close", code, reason}                 code 1005: the frame had none
//   {type: "end", clean}                          the server ended TCP: by FIN, or else. Nothing follows
//   {type: "breach", reason}                      the server broke a rule. Nothing follows
export class RawSocket {
  agreed = null; // the parameters of permessage-deflate
  fields = {}; // of the server's answer
  isOpen = true; // until the first "end"
  #socket;
  #reader = new FrameReader();
  #message = null;
  #events = [];
  #waiting = null;
  #isOver = false;
  #up; // windows of permessage-deflate
  #down;

  constructor(socket, fields) {
    this.#socket = socket;
    this.fields = fields;
    this.agreed = readExtensions(fields["sec-websocket-extensions"]);
    if (this.agreed) {
      this.#up = new Window(this.agreed.client_max_window_bits ?? 15, !this.agreed.client_no_context_takeover);
      this.#down = new Window(this.agreed.server_max_window_bits ?? 15, !this.agreed.server_no_context_takeover);
    }
    socket.on("data", (bytes) => this.take(bytes));
    socket.on("end", () => this.#finish({ type: "end", clean: true }));
    socket.on("error", () => this.#finish({ type: "end", clean: false }));
    socket.on("close", () => this.#finish({ type: "end", clean: false }));
  }

  // Bytes of the server.
  take(bytes) {
    if (this.#isOver) return;
    try {
      this.#reader.push(bytes, (one) => this.#takeFrame(one));
    } catch (error) {
      this.#finish({ type: "breach", reason: error.message });
    }
  }

  #takeFrame({ fin, rsv, opcode, payload }) {
    const begins = opcode === OPCODES.text || opcode === OPCODES.binary;
    if (rsv !== 0 && !(rsv === 4 && begins && this.agreed)) throw new Error(`the server sets reserved bits: ${rsv}`);
    if (opcode === OPCODES.close) return this.#emit(readClose(payload));
    if (opcode >= 8) return this.#emit({ type: NAMES[opcode], payload: Buffer.from(payload) });
    if (begins === (this.#message !== null)) throw new Error("the server's fragments are out of order");
    if (begins) this.#message = { type: NAMES[opcode], packed: rsv === 4, parts: [] };
    this.#message.parts.push(Buffer.from(payload));
    if (!fin) return;
    const { type, packed, parts } = this.#message;
    this.#message = null;
    const whole = Buffer.concat(parts);
    const plain = packed ? this.#down.inflate(whole) : whole;
    if (type === "text") decoder.decode(plain);
    this.#emit({ type, payload: plain, packed: packed && whole.length });
  }

  #emit(event) {
    if (this.#waiting) {
      const resolve = this.#waiting;
      this.#waiting = null;
      resolve(event);
    } else {
      this.#events.push(event);
    }
  }

  #finish(event) {
    this.isOpen = false;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#emit(event);
  }

  // The next event. Whatever takes longer than `seconds` does not come: then {type: "silence"}.
  next(seconds = 60) {
    if (this.#events.length > 0) return Promise.resolve(this.#events.shift());
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = null;
        resolve({ type: "silence" });
      }, seconds * 1000);
      this.#waiting = (event) => {
        clearTimeout(timer);
        resolve(event);
      };
    });
  }

  // Writes bytes, in pieces of `chop` of them if given, each a segment of its own. Resolves when they are with the kernel.
  async send(bytes, chop) {
    if (!chop) return this.#write(bytes);
    for (let at = 0; at < bytes.length && this.isOpen; at += chop) await this.#write(bytes.subarray(at, at + chop));
  }

  #write(bytes) {
    return new Promise((resolve) => this.#socket.writable ? this.#socket.write(bytes, () => resolve()) : resolve());
  }

  // The payload of a compressed message, as the terms have it.
  deflate(payload, options) {
    return this.#up.deflate(payload, options);
  }

  // A message in one frame or in frames of `size` bytes; compressed if it was agreed and not refused.
  message(opcode, payload, { packed = this.agreed !== null, size, ...options } = {}) {
    const whole = packed ? this.deflate(payload) : payload;
    const rsv = packed ? 4 : 0;
    if (!size || whole.length <= size) return frame(opcode, whole, { rsv, ...options });
    const frames = [];
    for (let at = 0; at < whole.length; at += size) {
      const first = at === 0;
      const fin = at + size >= whole.length;
      frames.push(frame(first ? opcode : OPCODES.continue, whole.subarray(at, at + size), { fin, rsv: first ? rsv : 0, ...options }));
    }
    return Buffer.concat(frames);
  }

  // Our FIN; what the server still says is read.
  end() {
    this.#socket.end();
  }

  destroy() {
    this.#socket.destroy();
  }
}

function readClose(payload) {
  if (payload.length === 1) throw new Error("the server's close frame has half a code");
  if (payload.length === 0) return { type: "close", code: 1005, reason: "" };
  const code = payload.readUInt16BE(0);
  const isValid = (code >= 1000 && code < 1015 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code < 5000);
  if (!isValid) throw new Error(`the server's close code is ${code}`);
  return { type: "close", code, reason: decoder.decode(payload.subarray(2)) };
}

// ---- The handshake ------------------------------------------------------------------------------------------------------------

// Sends the text of a request (each character a byte), with `ahead` behind it in the same segment, and resolves with the answer:
// {status, fields, body (what came behind the head), socket}.
export function request(base, text, ahead = Buffer.alloc(0)) {
  const { hostname, port } = new URL(base);
  const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true, noDelay: true });
  socket.write(Buffer.concat([Buffer.from(text, "latin1"), ahead]));
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const fail = () => reject(new Error(`no answer to ${JSON.stringify(text.slice(0, 200))}`));
    const timer = setTimeout(() => socket.destroy(), 60000);
    const onData = (bytes) => {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      clearTimeout(timer);
      socket.off("data", onData).off("error", fail).off("end", fail).off("close", fail).pause();
      const [first, ...lines] = head.subarray(0, end).toString("latin1").split("\r\n");
      const fields = {};
      for (const line of lines) {
        const [, name, value] = /^([^:]+):[ \t]*(.*?)[ \t]*$/.exec(line);
        const key = name.toLowerCase();
        fields[key] = key in fields ? `${fields[key]}, ${value}` : value;
      }
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]), fields, body: head.subarray(end + 4), socket });
    };
    socket.on("data", onData).on("error", fail).on("end", fail).on("close", fail);
  });
}

// The lines of a good request.
export function handshake(path, key = crypto.randomBytes(16).toString("base64")) {
  return {
    request: `GET ${path} HTTP/1.1`,
    fields: [
      ["Host", "localhost"],
      ["Upgrade", "websocket"],
      ["Connection", "Upgrade"],
      ["Sec-WebSocket-Key", key],
      ["Sec-WebSocket-Version", "13"],
    ],
  };
}

export function requestText({ request: line, fields }) {
  return `${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

export function acceptOf(key) {
  return crypto.createHash("sha1").update(key + GUID).digest("base64");
}

// Opens a WebSocket. `offer` is the value of Sec-WebSocket-Extensions; `ahead` follows the request in the same segment.
export async function open(base, path, { offer, ahead } = {}) {
  const key = crypto.randomBytes(16).toString("base64");
  const head = handshake(path, key);
  if (offer) head.fields.push(["Sec-WebSocket-Extensions", offer]);
  const answer = await request(base, requestText(head), ahead);
  if (answer.status !== 101) throw new Error(`the server answers ${answer.status} instead of 101: ${answer.body}`);
  if (answer.fields["sec-websocket-accept"] !== acceptOf(key)) throw new Error("the server's Sec-WebSocket-Accept is wrong");
  const socket = new RawSocket(answer.socket, answer.fields);
  if (answer.body.length > 0) socket.take(answer.body);
  answer.socket.resume();
  return socket;
}
