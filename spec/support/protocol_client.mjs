// A client of the native protocol, written from docs/reference/protocol.md and nothing else, so that the document is tried as well.

import { WebSocket } from "ws";

// What the server refused: its code, its reason as the message, and the channel if it named one.
export class Refused extends Error {
  constructor({ code, reason }, channel) {
    super(reason);
    Object.assign(this, { code, channel });
  }
}

// What became of a promise, as plain data.
export const outcome = (promise) =>
  promise.then((ok) => ({ ok }), (error) => ({ error: error.code ?? String(error), channel: error.channel }));

// What WebSockets and streams have in common: the messages in their order, and a cursor for each channel.
class Receiver {
  seen = []; // every object of the server, in the order in which they came
  cursors = new Map();
  #messages = [];
  #waiting = [];

  // The next message; answers and pings are no messages.
  next() {
    return this.#messages.length > 0
      ? Promise.resolve(this.#messages.shift())
      : new Promise((resolve) => this.#waiting.push(resolve));
  }

  // Messages that nobody has asked for yet.
  get left() {
    return this.#messages.length;
  }

  deliver(message) {
    if (message.id && this.cursors.has(message.channel)) this.cursors.set(message.channel, message.id);
    if (message.event === "moonwire:unsubscribed") this.cursors.delete(message.data.channel);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  }
}

// Whether to return behind a connection that ended with this code; 1006 is one that was lost without a close.
export function comesBack(code) {
  if (code === 4401) return "with a new token";
  return code !== 4403;
}

// Options: token; subprotocol, whether to connect by "moonwire.1" (else the token is in the query); mute, whether to leave
// pings unanswered.
export class Client extends Receiver {
  pings = 0;
  errors = []; // those that answer no request
  #url;
  #options;
  #socket;
  #answers = new Map();
  #ref = 0;

  constructor(address, options = {}) {
    super();
    this.#url = address.replace(/^http/, "ws") + "/ws";
    this.#options = options;
  }

  // Resolves when objects may be sent. A refusal of the upgrade rejects with its HTTP status as the code.
  async open() {
    const { token, subprotocol } = this.#options;
    const query = token && !subprotocol ? "?token=" + encodeURIComponent(token) : "";
    const socket = new WebSocket(this.#url + query, subprotocol ? ["moonwire.1"] : [], { perMessageDeflate: false });
    this.#socket = socket;
    this.closed = new Promise((resolve) =>
      socket.on("close", (code, reason) => {
        for (const { reject } of this.#answers.values()) reject(new Refused({ code, reason: "the connection ended" }));
        this.#answers.clear();
        resolve({ code, reason: reason.toString(), back: comesBack(code) });
      }),
    );
    socket.on("message", (bytes, binary) => this.#receive(bytes, binary));
    await new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
      socket.on("unexpected-response", (request, response) => {
        request.destroy();
        reject(new Refused({ code: response.statusCode, reason: response.statusMessage }));
      });
    });
    return this;
  }

  async connect() {
    await this.open();
    if (this.#options.subprotocol) {
      const { client, ping } = await this.request({ connect: { token: this.#options.token } });
      Object.assign(this, { id: client, ping });
    }
    return this;
  }

  // Connects again, with another token if there is one, and subscribes to all it had, each behind its own cursor.
  async comeBack(token = this.#options.token) {
    this.#options.token = token;
    await this.connect();
    return Promise.all([...this.cursors].map(([channel, since]) => this.subscribe(channel, since)));
  }

  // An object with a ref of ours; the promise of what its answer says.
  request(object, bytes) {
    const ref = ++this.#ref;
    return new Promise((resolve, reject) => {
      this.#answers.set(ref, { resolve, reject });
      this.post({ ...object, ref }, bytes);
    });
  }

  // An object as it is. With bytes it goes out as a binary frame.
  post(object, bytes) {
    const text = JSON.stringify(object);
    this.#socket.send(bytes ? Buffer.concat([Buffer.from(text + "\n"), bytes]) : text);
  }

  postText(text) {
    this.#socket.send(text);
  }

  // The cursor is set when the answer is read, because the replay may come in the same turn.
  subscribe(channel, since) {
    const ref = ++this.#ref;
    return new Promise((resolve, reject) => {
      const accept = (ok) => {
        this.cursors.set(channel, ok.id);
        resolve(ok);
      };
      this.#answers.set(ref, { resolve: accept, reject });
      this.post({ subscribe: channel, since, ref });
    });
  }

  async unsubscribe(channel) {
    const ok = await this.request({ unsubscribe: channel });
    this.cursors.delete(channel);
    return ok;
  }

  send(channel, event, data) {
    return Buffer.isBuffer(data)
      ? this.request({ send: channel, event }, data)
      : this.request({ send: channel, event, data });
  }

  close() {
    this.#socket.close(1000);
    return this.closed;
  }

  // Ends the connection as a network does, without a close.
  cut() {
    this.#socket.terminate();
    return this.closed;
  }

  #receive(frame, binary) {
    let object;
    if (binary) {
      const end = frame.indexOf(10);
      object = { ...JSON.parse(frame.subarray(0, end)), bytes: frame.subarray(end + 1).toString("hex") };
    } else {
      object = JSON.parse(frame);
    }
    this.seen.push(object);
    if (object.ping) {
      this.pings++;
      if (!this.#options.mute) this.post({ ping: true });
    } else if ("ref" in object && this.#answers.has(object.ref)) {
      const { resolve, reject } = this.#answers.get(object.ref);
      this.#answers.delete(object.ref);
      if (object.error) reject(new Refused(object.error, object.channel));
      else resolve(object.ok);
    } else if (object.error) {
      this.errors.push(object);
    } else if (object.event) {
      this.deliver(object);
    }
  }
}

// A stream of envelopes, which sends by POST /send.
export class Stream extends Receiver {
  #address;
  #token;
  #abort = new AbortController();
  #ref = 0;

  constructor(address, token) {
    super();
    this.#address = address;
    this.#token = token;
  }

  // Resolves with the data of moonwire:open.
  async open(channels, since) {
    const query = new URLSearchParams([["envelope", "1"], ...channels.map((name) => ["channel", name])]);
    if (since) query.set("since", since);
    const headers = { Authorization: "Bearer " + this.#token };
    const response = await fetch(`${this.#address}/sse?${query}`, { headers, signal: this.#abort.signal });
    if (response.status !== 200) throw new Refused((await response.json()).error);
    this.ended = this.#read(response.body).catch(() => {});
    const { data } = await this.next();
    this.id = data.client;
    for (const name of channels) this.cursors.set(name, data.id);
    return data;
  }

  async #read(body) {
    let text = "";
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + part).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length === 0) continue;
        const object = JSON.parse(data.map((line) => line.slice(5)).join("\n"));
        this.seen.push(object);
        if (object.event !== "moonwire:ping") this.deliver(object);
      }
    }
  }

  // POSTs one object as this client, or, with `alone`, as a client for this one message. Resolves with status and answer.
  async request(object, { alone = false, token = this.#token } = {}) {
    const headers = { Authorization: "Bearer " + token, "Content-Type": "application/json" };
    if (!alone) headers["X-Moonwire-Client"] = this.id;
    const body = JSON.stringify({ ...object, ref: ++this.#ref });
    const response = await fetch(this.#address + "/send", { method: "POST", headers, body });
    return { status: response.status, answer: await response.json() };
  }

  close() {
    this.#abort.abort();
    return this.ended;
  }
}
