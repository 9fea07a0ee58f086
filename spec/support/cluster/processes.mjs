// Redis and the nodes of a cluster, on unix sockets in one directory, to be killed and started.

import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Returns what `ask` resolves with, once that is something; asks again until then.
export async function until(what, ask, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not in ${seconds} s`);
    await sleep(20);
  }
}

class Program {
  constructor(directory, name) {
    this.log = `${directory}/${name}.log`;
    this.path = `${directory}/${name}.sock`;
  }
  launch(command, args, env = {}) {
    const log = openSync(this.log, "a");
    this.child = spawn(command, args, { stdio: ["ignore", log, log], env: { ...process.env, ...env } });
    closeSync(log);
    this.ended = new Promise((resolve) => this.child.on("exit", (code, signal) => resolve({ code, signal })));
  }
  signal(name) {
    this.child.kill(name);
  }
  // Ends it, and resolves with how.
  end(name = "SIGKILL") {
    this.isRunning = false;
    this.child.kill(name);
    return this.ended;
  }
  output() {
    return readFileSync(this.log, "utf8");
  }
}

// ---- Redis ----------------------------------------------------------------------------------------------------------

// The next reply in the bytes, from `at`: { value, end }, or null if it is not all there.
function readReply(bytes, at) {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return null;
  const text = bytes.toString("latin1", at + 1, line);
  const kind = String.fromCharCode(bytes[at]);
  const after = line + 2;
  if (kind === "+") return { value: text, end: after };
  if (kind === "-") return { value: new Error(text), end: after };
  if (kind === ":") return { value: Number(text), end: after };
  const count = Number(text);
  if (count < 0) return { value: null, end: after };
  if (kind === "$") return bytes.length < after + count + 2 ? null : { value: bytes.toString("utf8", after, after + count), end: after + count + 2 };
  const value = [];
  let end = after;
  for (let i = 0; i < count; i++) {
    const item = readReply(bytes, end);
    if (!item) return null;
    value.push(item.value);
    end = item.end;
  }
  return { value, end };
}

export class Redis extends Program {
  constructor(directory, options) {
    super(directory, "redis");
    this.directory = directory;
    this.options = options;
  }
  async start() {
    this.launch("redis-server", ["--port", "0", "--unixsocket", this.path, "--dir", this.directory, "--save", "", ...this.options]);
    await until("Redis", async () => (await this.call("PING").catch(() => null)) === "PONG");
    const info = await this.call("INFO", "server");
    this.run = /run_id:(\w+)/.exec(info)[1];
  }
  // Sends a command on a connection of its own. Rejects if Redis refuses it, or the connection ends.
  call(...words) {
    return new Promise((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
      const socket = net.connect(this.path, () => socket.write(`*${words.length}\r\n${parts.join("")}`));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the connection to Redis has ended")));
      socket.on("data", (part) => {
        bytes = Buffer.concat([bytes, part]);
        const reply = readReply(bytes, 0);
        if (!reply) return;
        if (reply.value instanceof Error) reject(reply.value);
        else resolve(reply.value);
        socket.destroy();
      });
    });
  }
  // Publishes as a program that is not a node. Resolves with the position.
  async publish(script, channel, event, data, key, size) {
    const [prefix, name] = ["{mw}:", Buffer.byteLength(event)];
    const keys = ["h", `s:${channel}`, `c:${channel}`, "n:", `i:${key}`].map((kind) => prefix + kind);
    const record = `1 - ${name} 0 0 0\n${event}${JSON.stringify(data)}`;
    const run = /run_id:(\w+)/.exec(await this.call("INFO", "server"))[1];
    const reply = await this.call("EVAL", script, keys.length, ...keys, run, "", 0, `${prefix}m:${channel}`, record, size, 0, 90000, 0);
    if (reply[0] !== "OK") throw new Error(reply[0]);
    return Number(reply[1]);
  }
  // Everything that is kept of a channel: [{ position, data }], oldest first.
  async kept(channel) {
    const list = [];
    for (let from = "-"; ; ) {
      const entries = await this.call("XRANGE", `{mw}:s:${channel}`, from, "+", "COUNT", 1000);
      for (const [id, fields] of entries) {
        const record = fields[fields.indexOf("m") + 1];
        const [, , event] = record.split(" ", 3);
        list.push({ position: parseInt(id, 10), data: JSON.parse(record.slice(record.indexOf("\n") + 1 + Number(event))) });
      }
      if (entries.length < 1000) return list;
      from = `(${entries.at(-1)[0]}`;
    }
  }
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

export class Node extends Program {
  constructor(directory, name, app, redis) {
    super(directory, name);
    this.name = name;
    this.app = app;
    this.redis = redis;
    this.workers = process.env.MOONWIRE_SPEC_WORKERS ?? "1";
    this.isRunning = false;
  }
  async start() {
    const preload = process.env.MOONWIRE_PRELOAD;
    const args = ["bin/moonwire", this.app, "--listen", `unix:${this.path}`, "--broker", `unix:${this.redis.path}`, "--workers", this.workers];
    this.launch("lua5.4", args, { NODE: this.name, MOONWIRE_LEAK_CHECK: "1", ...(preload && { LD_PRELOAD: preload }) });
    await until(`node ${this.name}`, async () => {
      if (this.child.exitCode !== null) throw new Error(`node ${this.name} has ended:\n${this.output()}`);
      return (await this.request("GET", "/health").catch(() => ({}))).status === 200;
    });
    this.isRunning = true;
  }
  // Resolves with { status, text }. Rejects if there is no answer, or with `isCut`, when the request was sent.
  request(method, path, body, headers = {}, { isCut, ...options } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.path, method, path, headers: { Host: "x", ...headers }, agent: false, ...options }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => (text += part));
        response.on("end", () => (response.complete ? resolve({ status: response.statusCode, text }) : reject(new Error("cut"))));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body, () => isCut && request.destroy(new Error("cut")));
    });
  }
}
