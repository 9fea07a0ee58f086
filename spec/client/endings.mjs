// How connections end, and what becomes of what was sent: restarts, close codes, tokens, proxies.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { sleep, until } from "./stage.mjs";

const TRANSPORTS = ["websocket", "sse", "poll"];
const is_open = (place) => until("it is open", () => place.run(() => t.connection.state === "open"));

// ---- What is sent ----

// The connection is cut while a handler is at work: the send is repeated, and carried out once.
const lost_answer = (kind) => async (stage) => {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await place.run((transports) => {
    t.connection = t.open({ transports });
    t.room = t.connection.channel("room:lost");
    t.begun = 0;
    t.room.on("begun", () => t.begun++);
    return t.room.ready.then(() => true);
  }, [kind]);
  await place.run(() => {
    t.answers = [];
    t.room.send("wait").then((ok) => t.answers.push(ok), (error) => t.answers.push(error.code));
    t.room.send("say", "after").then((ok) => t.answers.push(ok), (error) => t.answers.push(error.code));
  });
  await until("the handler is at work", () => place.run(() => t.begun > 0));
  for (let i = 0; i < 2; i++) {
    const before = gate.seen.length;
    gate.cut();
    // (Chromium repeats a poll that was cut by itself.)
    await until("it came back", () => gate.seen.length > before);
    await until("it has joined", () => place.run(() => t.room.send("typing", 1, { volatile: true })));
  }
  await server.post("/release");
  await until("both are answered", () => place.run(() => t.answers.length === 2));
  const answers = await place.run(() => t.answers);
  assert.deepEqual([answers[0], answers[1].call], [{ call: 1 }, 2]);
  assert.equal(await server.calls(), 2);
  assert.equal(await place.run(() => t.begun), 1);
};
export const an_answer_that_was_lost_over_websocket = lost_answer("websocket");
export const an_answer_that_was_lost_over_sse = lost_answer("sse");
export const an_answer_that_was_lost_over_poll = lost_answer("poll");

export async function what_is_sent_while_offline(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await place.run((base) => {
    t.connection = t.open({ queue: 5 });
    t.refusing = t.open({ url: base, offline: "refuse" });
    return Promise.all([t.connection.channel("room:off").ready, t.refusing.channel("room:off").ready]).then(() => true);
  }, gate.base);
  gate.requests = () => 502;
  gate.upgrades = "refuse";
  gate.cut();
  await until("both noticed", () => place.run(() => t.connection.state !== "open" && t.refusing.state !== "open"));
  const refused = await place.run(async () => {
    const came = [];
    const room = t.connection.channel("room:off");
    const other = t.refusing.channel("room:off");
    came.push(await other.send("say", 0).catch(({ code }) => code));
    t.answers = [1, 2, 3, 4].map((n) => room.send("say", n));
    came.push(await room.send("say", "late", { timeout: 50 }).catch(({ code }) => code));
    t.answers.push(room.send("say", 5));
    came.push(await room.send("say", "more").catch(({ code }) => code));
    came.push(await room.send("typing", 0, { volatile: true }));
    return came;
  });
  assert.deepEqual(refused, ["offline", "timeout", "queue_full", false]);
  gate.requests = () => "pass";
  gate.upgrades = "pass";
  const answers = await place.run(() => Promise.all(t.answers));
  assert.deepEqual(
    answers.map(({ call }) => call),
    [1, 2, 3, 4, 5],
  );
}

export async function a_message_that_is_too_large(stage) {
  const server = await stage.server();
  const place = await stage.place(server.base);
  for (const kind of TRANSPORTS) {
    const seen = await place.run(async (transports) => {
      const connection = t.open({ transports });
      const room = connection.channel("room:large");
      await room.ready;
      const over = await room.send("say", "x".repeat(3 << 20)).catch(({ code }) => code);
      // over what the transport takes: the server closes, or does not read it
      const far = await Promise.all([
        room.send("say", "x".repeat(9 << 20)).catch(({ code }) => code),
        room.send("say", "small").then(() => "sent"),
      ]);
      const works = typeof (await room.send("say", 1)).id;
      connection.close();
      return { over, far, works };
    }, [kind]);
    assert.deepEqual(seen, { over: "too_large", far: ["too_large", "sent"], works: "string" }, kind);
  }
}

// What cannot be sent fails alone: neither the sends beside it nor the connection suffer, now or after a cut.
export async function what_cannot_be_sent(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  for (const kind of TRANSPORTS) {
    const seen = await place.run(async (transports) => {
      t.connection = t.open({ transports, timeout: 10000 });
      const room = (t.room = t.connection.channel("room:bad"));
      await room.ready;
      t.states.length = 0;
      const cyclic = {};
      cyclic.self = cyclic;
      const outcome = (promise) => promise.then(() => "sent", ({ code, name }) => code ?? name);
      const data = [cyclic, 1n, "half of \ud83d", "good"];
      const outcomes = await Promise.all(data.map((each) => outcome(room.send("say", each))));
      await outcome(room.send("say", cyclic, { volatile: true }));
      outcomes.push(await outcome(room.send("say", "good")));
      outcomes.push(await outcome(room.send("say", "good", { idempotencyKey: "x".repeat(129) })));
      return { outcomes, states: t.states.length };
    }, [kind]);
    const outcomes = ["TypeError", "TypeError", "bad_request", "sent", "sent", "bad_request"];
    assert.deepEqual(seen, { outcomes, states: 0 }, kind);
    gate.requests = () => 502;
    gate.upgrades = "refuse";
    gate.cut();
    await until("it noticed", () => place.run(() => t.connection.state !== "open"));
    await place.run(() => {
      const text = { is: "as it was" };
      const cyclic = {};
      cyclic.self = cyclic;
      t.answers = Promise.allSettled([cyclic, text].map((data) => t.room.send("say", data)));
      text.is = "changed later";
      t.room.on("said", ({ what }) => (t.said = what));
    });
    gate.requests = () => "pass";
    gate.upgrades = "pass";
    const answers = await place.run(() => t.answers.then((all) => all.map(({ status }) => status)));
    assert.deepEqual(answers, ["rejected", "fulfilled"], kind);
    await until("it is said", () => place.run(() => t.said?.is === "as it was"));
    await place.run(() => {
      delete t.said;
      t.connection.close();
    });
  }
}

// ---- Servers that stop, and close ----

// Something on the way that answers, but is not the server.
export async function answers_that_are_rubbish(stage) {
  const server = await stage.server();
  const place = await stage.place(server.base);
  await place.run(() => {
    t.sockets = 0;
    class Rubbish {
      readyState = 1;
      constructor() {
        t.sockets++;
        setTimeout(() => this.onopen?.());
      }
      send() {
        setTimeout(() => {
          try {
            this.onmessage?.({ data: "null" });
          } catch {
            // the page would report it
          }
        });
      }
      close() {}
    }
    t.open({ WebSocket: Rubbish, transports: ["websocket"], openTimeout: 50 });
  });
  await until("the client gives up the socket and tries again", () => place.run(() => t.sockets > 1));
  const delays = await place.run(async () => {
    const headers = { "Retry-After": "9".repeat(14) };
    const connection = t.open({ fetch: async () => new Response("{}", { status: 503, headers }), transports: ["poll"] });
    connection.channel("room:rubbish");
    t.delays = [];
    connection.on("moonwire:state", ({ state, delay }) => state === "waiting" && t.delays.push(delay));
    while (t.delays.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 50));
    return t.delays;
  });
  assert.deepEqual(delays, [1e9]); // and not at once, as a timer that overflows would
}

// Through each proxy: all transports work, and go on when the server was restarted behind it. What was published before is gone with it, and told.
async function through(stage, proxy, server) {
  for (const kind of TRANSPORTS) {
    const place = await stage.place(proxy);
    await place.run(async (transports) => {
      t.connection = t.open({ transports, backoff: { min: 50, max: 300 } });
      t.items = t.follow(t.connection);
      t.room = t.connection.channel("room:proxy");
      await Promise.all([t.connection.channel("items").ready, t.room.ready]);
    }, [kind]);
    await server.fill(100);
    await until("the items came", () => place.run(() => t.items.count === 100));
    assert.equal(typeof (await place.run(() => t.room.send("say", "hello"))).id, "string");
    await place.run(() => (t.states.length = 0));
    await server.restart(300);
    await until("it noticed", () => place.run(() => t.states.some(({ state }) => state === "waiting")));
    await is_open(place);
    await until("it has joined", () => place.run(() => t.room.send("typing", 1, { volatile: true })));
    await server.fill(10);
    const seen = await until("new ones came", () => place.run(() => (t.items.count === 110 ? t.items : null)));
    assert.ok(seen.gaps >= 1, "it is told that the history has gone");
    // The numbers begin anew with the server.
    assert.deepEqual([seen.wrong.length <= 1, seen.last], [true, 10]);
    assert.equal(typeof (await place.run(() => t.room.send("say", "again"))).id, "string");
    await place.run(() => t.connection.close());
  }
}

// Below the ports that the system gives to clients' connections, which might take it before the proxy does.
async function free_port() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true)));
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

// Starts a proxy of Debian's with a configuration, which is given the port to listen on and the server's.
const behind = (command, configure) => async (stage) => {
  const server = await stage.server();
  const folder = mkdtempSync(join(tmpdir(), "moonwire-proxy-"));
  const port = await free_port();
  const { file, text, flags } = configure(port, new URL(server.base).port, folder);
  writeFileSync(join(folder, file), text);
  const proxy = spawn(command, flags, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } });
  let output = "";
  let ended = false;
  for (const stream of [proxy.stdout, proxy.stderr]) stream.on("data", (bytes) => (output += bytes));
  proxy.on("error", (error) => (output += error)).on("exit", () => (ended = true));
  stage.after(async () => {
    proxy.kill("SIGTERM");
    await until("the proxy ends", () => ended, 5000).catch(() => proxy.kill("SIGKILL"));
    rmSync(folder, { recursive: true, force: true });
  });
  const base = `http://127.0.0.1:${port}`;
  await until("the proxy answers", async () => {
    if (ended) throw new Error(`${command} ended: ${output}`);
    return fetch(`${base}/health`).then(({ ok }) => ok, () => false);
  });
  await through(stage, base, server);
};

export const behind_nginx = behind("nginx", (port, upstream, folder) => ({
  file: "nginx.conf",
  flags: ["-p", folder, "-c", "nginx.conf", "-e", "stderr"],
  text: `
    daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr error;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://127.0.0.1:${upstream};
          proxy_http_version 1.1;
          proxy_buffering on;
          proxy_set_header Host $http_host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
        }
      }
    }`,
}));

export const behind_haproxy = behind("haproxy", (port, upstream, folder) => ({
  file: "haproxy.cfg",
  flags: ["-db", "-f", join(folder, "haproxy.cfg")],
  text: `
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  retries 0
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server app 127.0.0.1:${upstream}
`,
}));

export const behind_caddy = behind("caddy", (port, upstream, folder) => ({
  file: "Caddyfile",
  flags: ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")],
  text: `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${upstream}
}
`,
}));

export async function a_server_that_closes(stage) {
  const server = await stage.server();
  const place = await stage.place(server.base);
  await place.run(() => {
    t.connection = t.open();
    return t.connection.channel("room:codes").ready.then(() => true);
  });
  for (const code of [1000, 1001, 1012, 1013, 4000]) {
    await place.run(() => (t.states.length = 0));
    await server.post(`/close?code=${code}`);
    await until(`it came back after ${code}`, () => place.run(() => t.states.some(({ state }) => state === "open")));
    const { code: told } = await place.run(() => t.states.find(({ state }) => state === "waiting"));
    assert.equal(told, code);
    assert.equal(await place.run(() => t.connection.transport), "websocket");
    await until("it has joined", () => place.run(() => t.connection.channel("room:codes").send("typing", 1, { volatile: true })));
  }
  await place.run(() => {
    t.waiting = t.connection.channel("room:codes").send("wait").catch(({ code }) => code);
  });
  await server.post("/close?code=4403");
  await until("it is over", () => place.run(() => t.connection.state === "closed"));
  const last = await place.run(async () => {
    const state = t.states.at(-1);
    let thrown;
    try {
      t.connection.channel("another");
    } catch ({ code }) {
      thrown = code;
    }
    return { code: state.code, reason: state.reason, waiting: await t.waiting, thrown };
  });
  assert.deepEqual(last, { code: 4403, reason: "because", waiting: "closed", thrown: "closed" });
}

// ---- Tokens ----

export async function tokens_by_a_callback(stage) {
  const server = await stage.server();
  for (const kind of TRANSPORTS) {
    const place = await stage.place(server.base);
    const seen = await place.run(async (transports) => {
      const reasons = [];
      const tokens = ["expired", "ann"];
      const token = async ({ reason }) => {
        reasons.push(reason);
        if (reasons.length === 1) throw new Error("the app's server is away");
        return tokens.shift();
      };
      t.connection = t.open({ transports, token });
      const room = t.connection.channel("room:token");
      const { you } = await room.ready;
      return { you, reasons };
    }, [kind]);
    assert.deepEqual(seen, { you: "ann", reasons: ["connect", "connect", "unauthorized"] }, kind);
    await place.run(() => t.connection.close());
    // a token that is a text, and no longer good
    const over = await place.run(async (transports) => {
      const connection = t.open({ transports, token: "expired" });
      const error = await connection.channel("room:token").ready.catch(({ code }) => code);
      return [error, connection.state, t.states.at(-1).code, t.states.at(-1).reason];
    }, [kind]);
    assert.deepEqual(over, ["closed", "closed", 4401, "the token has expired"], kind);
    // one that never is
    const never = await place.run(async (transports) => {
      let count = 0;
      const connection = t.open({ transports, token: () => (count++, "expired") });
      await connection.channel("room:token").ready.catch(() => {});
      return [count, t.states.at(-1).code];
    }, [kind]);
    assert.deepEqual(never, [3, 4401], kind);
  }
}

// A small fake of a server whose tokens expire.
class Fake {
  tokens = []; // that it was shown: ["connect", "t1"], ["token", "t2"]
  expires = 0.5;
  accepts = () => true;

  async listen(page) {
    this.server = http.createServer((request, response) => {
      const path = request.url.split("?")[0];
      if (path === "/page" || path === "/page.js" || path === "/moonwire.js" || path === "/favicon.ico") {
        // The page is the real server's.
        fetch(`${page}${path}`).then(async (answer) => {
          const headers = { "Content-Type": answer.headers.get("content-type") ?? "text/plain" };
          response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()));
        });
        return;
      }
      this.#respond(path, request, response);
    });
    this.sockets = new WebSocketServer({ server: this.server, handleProtocols: () => "moonwire.1" });
    this.sockets.on("connection", (socket) => {
      socket.on("message", (text) => {
        const { connect, token, subscribe, ping, ref } = JSON.parse(text);
        const answer = (ok) => socket.send(JSON.stringify({ ref, ok }));
        if (connect || token) this.tokens.push([connect ? "connect" : "token", connect?.token ?? token]);
        if ((connect || token) && !this.accepts(connect?.token ?? token)) {
          socket.close(4401, "token_expired");
        } else if (connect || token) answer({ client: "c", ping: 25, expires: this.expires });
        else if (subscribe) answer({ id: "fake-0000000000000001" });
        else if (ping) answer(true);
      });
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.base = `http://127.0.0.1:${this.server.address().port}`;
  }

  #respond(path, request, response) {
    const token = request.headers.authorization?.slice(7);
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      if (path === "/sse") {
        this.tokens.push(["connect", token]);
        const data = { client: "c", id: "fake-0000000000000001", expires: this.expires, channels: { room: {} } };
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write(`retry: 50\nid: fake-0000000000000001\ndata: ${JSON.stringify({ event: "moonwire:open", data })}\n\n`);
        this.stream = response;
      } else {
        const verb = JSON.parse(body);
        if (verb.token) this.tokens.push(["token", verb.token]);
        response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ ref: verb.ref, ok: { expires: this.expires } }));
      }
    });
  }

  say(object) {
    for (const socket of this.sockets.clients) socket.send(JSON.stringify(object));
    this.stream?.write(`data: ${JSON.stringify(object)}\n\n`);
  }

  close(code) {
    for (const socket of this.sockets.clients) socket.close(code, "because");
  }

  end() {
    for (const socket of this.sockets.clients) socket.terminate();
    this.server.closeAllConnections();
    this.server.close();
  }
}

async function fake(stage) {
  const server = await stage.server();
  const made = new Fake();
  await made.listen(server.base);
  stage.after(() => made.end());
  return made;
}

const renewal = (kind) => async (stage) => {
  const server = await fake(stage);
  const place = await stage.place(server.base);
  await place.run((transports) => {
    let count = 0;
    t.reasons = [];
    const token = ({ reason }) => {
      t.reasons.push(reason);
      return `t${++count}`;
    };
    t.connection = t.open({ transports, token });
    return t.connection.channel("room").ready.then(() => true);
  }, [kind]);
  await until("it was renewed twice in time", () => server.tokens.length === 3);
  assert.deepEqual(server.tokens, [["connect", "t1"], ["token", "t2"], ["token", "t3"]]);
  // as a time since 1970 that is far away; then the server asks
  server.expires = Date.now() / 1000 + 3600;
  await until("it was renewed once more", () => server.tokens.length === 4);
  await sleep(50);
  server.say({ event: "moonwire:expiring", data: { expires: 10 } });
  await until("it was renewed on demand", () => server.tokens.length === 5);
  assert.deepEqual(server.tokens.at(-1), ["token", "t5"]);
  assert.deepEqual(await place.run(() => t.reasons), ["connect", "expiring", "expiring", "expiring", "expiring"]);
  assert.equal(await place.run(() => t.states.filter(({ state }) => state === "open").length), 1);
};
export const renewal_over_websocket = renewal("websocket");
export const renewal_over_sse = renewal("sse");

// In the middle the app takes the token no longer.
export async function closed_with_4401(stage) {
  const server = await fake(stage);
  server.expires = undefined;
  const place = await stage.place(server.base);
  await place.run(() => {
    let count = 0;
    t.reasons = [];
    const token = ({ reason }) => {
      t.reasons.push(reason);
      return `t${++count}`;
    };
    t.connection = t.open({ transports: ["websocket"], token });
    return t.connection.channel("room").ready.then(() => true);
  });
  server.close(4401);
  await until("it shows a new token", () => server.tokens.length === 2);
  assert.deepEqual(server.tokens, [["connect", "t1"], ["connect", "t2"]]);
  await is_open(place);
  // other codes leave it the token that it has
  for (const code of [1013, 1012]) {
    const before = server.tokens.length;
    server.close(code);
    await until("it is back", () => server.tokens.length === before + 1);
    assert.deepEqual(server.tokens.at(-1), ["connect", "t2"]);
    await is_open(place);
  }
  assert.deepEqual(await place.run(() => t.reasons), ["connect", "unauthorized"]);
  server.close(4403);
  await until("it is over", () => place.run(() => t.connection.state === "closed"));
}
