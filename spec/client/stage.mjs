// Where the browser client is tried: a page in Chromium, or this process; and the server that it speaks to.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { launch, watch } from "../support/browser.mjs";
import { Gate } from "./gate.mjs";

export const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until it returns something true.
export async function until(what, check, ms = 60000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(15);
  }
}

// Those that a scenario left running, because it took too long, go with this process.
const processes = new Set();
process.on("exit", () => processes.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));

export class Server {
  #process;
  #ended;

  static async start(script = join(here, "app.lua"), port = 0) {
    const server = new Server();
    server.script = script;
    await server.#start(port);
    return server;
  }

  async #start(port) {
    const flags = [join(root, "bin/moonwire"), this.script, "--listen", `127.0.0.1:${port}`];
    this.#process = spawn("lua5.4", flags, { stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => this.#process.on("exit", resolve));
    const child = this.#process;
    processes.add(child);
    this.#ended.then(() => processes.delete(child));
    let output = "";
    let log = "";
    this.#process.stderr.on("data", (text) => (log += text));
    await new Promise((resolve, reject) => {
      this.#process.stdout.on("data", (text) => {
        output += text;
        if (/^ready$/m.test(output)) resolve();
      });
      this.#ended.then(() => reject(new Error(`the server ended:\n${output}${log}`)));
    });
    this.base = /^listening on (http:\S+)$/m.exec(output)[1];
  }

  async stop(signal = "SIGTERM") {
    this.#process.kill(signal);
    await this.#ended;
  }

  // The next one listens on the same port. `away`: for so long there is none.
  async restart(away = 0, signal) {
    const { port } = new URL(this.base);
    await this.stop(signal);
    await sleep(away);
    await this.#start(port);
  }

  async post(path, body = "") {
    const response = await fetch(`${this.base}${path}`, { method: "POST", body });
    if (response.status >= 300) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response.status === 204 ? null : response.json();
  }

  fill = (count, channel = "items") => this.post(`/fill?count=${count}&channel=${encodeURIComponent(channel)}`);
  calls = async () => (await (await fetch(`${this.base}/calls`)).json()).calls;
}

// ---- Places ----
//
// A place has run(fn, argument), which calls a function there; the function finds `moonwire` (the client) and `t` (an object of its
// own) in its scope's globals.

let browser;

class Page {
  platform = "chromium";

  async open(base) {
    browser ??= launch();
    this.context = await (await browser).newContext();
    this.page = await this.context.newPage();
    this.complaints = watch(this.page, /ERR_|WebSocket connection|status of|Failed to load resource/);
    await this.page.goto(`${base}/page`);
    await this.page.waitForFunction(() => window.moonwire);
    await this.run(prepare, base);
  }

  run(fn, argument) {
    return this.page.evaluate(fn, argument);
  }

  async close() {
    // Requests that a test makes fail are no complaints; errors of scripts and of the policy are.
    const complaints = this.complaints.filter((text) => !/^\d{3} http/.test(text));
    await this.context.close();
    if (complaints.length > 0) throw new Error(`the page complains: ${complaints.join("; ")}`);
  }
}

let count = 0;

class Here {
  platform = "node";

  async open(base) {
    this.moonwire = await import(`../../client/moonwire.js?${++count}`);
    this.t = {};
    await this.run(prepare, base);
  }

  // The function is made anew, with the globals of this place: several run side by side in one process.
  async run(fn, argument) {
    const { moonwire, t } = this;
    const made = new Function("moonwire", "t", "WebSocket", `return (${fn})`)(moonwire, t, WebSocket);
    return made(argument);
  }

  async close() {
    for (const connection of this.t.connections) connection.close();
  }
}

// t.open(options): a connection. t.watch(channel): what is seen of it, in t.seen.
function prepare(base) {
  if (typeof window !== "undefined") window.t = {};
  const own = t;
  Object.assign(own, { base, connections: [], states: [], seen: [], errors: [] });
  own.open = (options = {}) => {
    const { url = base, ...rest } = options;
    const defaults = { backoff: { min: 50, max: 500 }, WebSocket: typeof window === "undefined" ? WebSocket : undefined };
    const connection = moonwire.connect(url, { ...defaults, ...rest });
    own.connections.push(connection);
    own.connection ??= connection;
    connection.on("moonwire:state", (state) => own.states.push(state));
    return connection;
  };
  // Numbered items: the last one, whether each followed its predecessor, or came after a gap.
  own.follow = (connection, name = "items") => {
    const seen = { name, first: 0, last: 0, count: 0, wrong: [], gaps: 0 };
    const channel = connection.channel(name);
    let mayMiss = true;
    channel.on("item", ({ n }) => {
      if (n !== seen.last + 1 && !(mayMiss && n > seen.last)) seen.wrong.push([seen.last, n]);
      seen.first ||= n;
      seen.last = n;
      seen.count++;
      mayMiss = false;
    });
    channel.on("moonwire:gap", () => {
      seen.gaps++;
      mayMiss = true;
    });
    own.seen.push(seen);
    return seen;
  };
}

const places = { chromium: Page, node: Here };

// What a scenario gets.
export async function stage(platform, scenario) {
  const cleanups = [];
  const made = {
    platform,
    async server(script) {
      const server = await Server.start(script);
      cleanups.push(() => server.stop().catch(() => {}));
      return server;
    },
    async gate(target) {
      const gate = new Gate();
      gate.base = await gate.listen(target);
      cleanups.push(() => gate.close());
      return gate;
    },
    async place(base) {
      const place = new places[platform]();
      await place.open(base);
      cleanups.push(() => place.close());
      return place;
    },
    after: (cleanup) => cleanups.push(cleanup),
  };
  let fault = null;
  try {
    await scenario(made);
  } catch (error) {
    fault = error;
  }
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      fault ??= error;
    }
  }
  if (fault) throw fault;
}

export async function finish() {
  await (await browser)?.close();
}
