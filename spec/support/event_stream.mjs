// An event stream client of our own for Node: a parser after WHATWG HTML section 9.2 and a stream over a bare socket.

import net from "node:net";

// Bytes in, events out; keeps what an EventSource keeps: the last event id and the reconnection time.
export class EventParser {
  lastEventId = "";
  retry = null;
  #onEvent;
  #line = []; // pieces of an unfinished line
  #sawCarriageReturn = false;
  #isFirst = true;
  #data = "";
  #type = "";
  #id = "";
  #decoder = new TextDecoder("utf-8", { fatal: true });

  constructor(onEvent, lastEventId = "") {
    this.#onEvent = onEvent;
    this.lastEventId = this.#id = lastEventId;
  }

  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#isFirst && text !== "") {
      this.#isFirst = false;
      if (text.startsWith("\ufeff")) text = text.slice(1);
    }
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const character = text[i];
      if (character !== "\n" && character !== "\r") {
        this.#sawCarriageReturn = false;
        continue;
      }
      if (character === "\n" && this.#sawCarriageReturn) {
        this.#sawCarriageReturn = false;
        start = i + 1;
        continue;
      }
      this.#sawCarriageReturn = character === "\r";
      this.#line.push(text.slice(start, i));
      start = i + 1;
      this.#takeLine(this.#line.join(""));
      this.#line = [];
    }
    this.#line.push(text.slice(start));
  }

  #takeLine(line) {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data += `${value}\n`;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  #dispatch() {
    this.lastEventId = this.#id;
    if (this.#data !== "") {
      this.#onEvent({ type: this.#type || "message", data: this.#data.slice(0, -1), lastEventId: this.#id });
    }
    this.#data = this.#type = "";
  }
}

// Takes the bytes of an HTTP/1.1 response and hands on those of its chunked body.
export class BodyReader {
  status = null;
  #onBody;
  #onEnd;
  #pending = Buffer.alloc(0);
  #left = 0; // bytes of the current chunk

  constructor(onBody, onEnd = () => {}) {
    this.#onBody = onBody;
    this.#onEnd = onEnd;
  }

  push(bytes) {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes;
    while (this.status === null ? this.#takeHead() : this.#takeBody());
  }

  #takeHead() {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const head = this.#pending.subarray(0, end).toString("latin1");
    this.status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (this.status !== 200 || !/\r\ntransfer-encoding: chunked\r\n/i.test(`${head}\r\n`)) {
      throw new Error(`unexpected answer: ${head.split("\r\n")[0]} ${this.#pending.subarray(end + 4).toString()}`);
    }
    this.#pending = this.#pending.subarray(end + 4);
    return true;
  }

  #takeBody() {
    if (this.#left > 0) {
      const part = this.#pending.subarray(0, this.#left);
      if (part.length === 0) return false;
      this.#pending = this.#pending.subarray(part.length);
      this.#left -= part.length;
      this.#onBody(part);
      return true;
    }
    const match = /^(?:\r\n)?([0-9a-fA-F]+)\r\n/.exec(this.#pending.subarray(0, 24).toString("latin1"));
    if (!match) return false;
    this.#pending = this.#pending.subarray(match[0].length);
    this.#left = parseInt(match[1], 16);
    if (this.#left === 0) this.#onEnd();
    return this.#left > 0;
  }
}

// Connects and asks for a stream. Returns the socket, whose bytes the caller reads.
export function requestStream(base, target, lastEventId = "") {
  const url = new URL(base);
  const socket = net.connect(Number(url.port), url.hostname);
  const resume = lastEventId === "" ? "" : `Last-Event-ID: ${lastEventId}\r\n`;
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\n${resume}\r\n`);
  return socket;
}
