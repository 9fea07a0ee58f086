// Tokens and tickets that are not valid, sent over every way in, beside a quiet client.
//
//   node support/hostile_tokens.mjs BASE KEY
//
// Prints {"sent":n,"wrong":[…],"quiet":{"count":n,"p99":ms}} as JSON.

import { createHmac } from "node:crypto";
import WebSocket from "ws";

const [base, key] = process.argv.slice(2);
const encode = (text) => Buffer.from(text).toString("base64url");
const now = Math.floor(Date.now() / 1000);
const later = now + 3600;

function sign(claims, header = { alg: "HS256", typ: "JWT" }, secret = key) {
  const text = [header, claims].map((part) => encode(typeof part === "string" ? part : JSON.stringify(part))).join(".");
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

const good = sign({ sub: "ann", exp: later });
const [head, body, signature] = good.split(".");

const EXPIRED = /"code":"token_expired"/;
const INVALID = /"code":"unauthorized"/;

// [token, what the answer says]
const tokens = [
  ["x", INVALID],
  ["...", INVALID],
  [`${head}.${body}`, INVALID],
  [`${head}.${body}.`, INVALID],
  [`${head}.${body}.AAAA`, INVALID],
  [`${head}.${body}.${signature}.${signature}`, INVALID],
  [`${head}.${body}.${signature}=`, INVALID],
  [`${head}.${encode(JSON.stringify({ sub: "root", exp: later }))}.${signature}`, INVALID],
  [`${encode('{"alg":"none"}')}.${body}.`, INVALID],
  [`${encode('{"alg":"none"}')}.${body}.${signature}`, INVALID],
  ...["None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA", "hs256", "HS256 ", "dir", "../HS256"].map((alg) => [
    sign({ sub: "ann", exp: later }, { alg }),
    INVALID,
  ]),
  ...[null, 1, true, [], {}, ["HS256"]].map((alg) => [sign({ sub: "ann", exp: later }, { alg }), INVALID]),
  ...['{"alg":"none","alg":"HS256"}', "{", "[]", "null", '"HS256"', '{"alg":"HS256"}}', "\ufeff{}"].map((text) => [
    sign({ sub: "ann", exp: later }, text),
    INVALID,
  ]),
  ...[{ crit: ["exp"] }, { crit: [] }, { kid: 1 }, { kid: null }, { typ: 1 }, { kid: "k".repeat(300) }].map((more) => [
    sign({ sub: "ann", exp: later }, { alg: "HS256", ...more }),
    INVALID,
  ]),
  ...["", "x", "secret", key.slice(1), `${key}\n`, "\0".repeat(32), key.toUpperCase()].map((secret) => [
    sign({ sub: "ann", exp: later }, { alg: "HS256" }, secret),
    INVALID,
  ]),
  ...[now - 1, 0, 1, now - 3600].map((exp) => [sign({ sub: "ann", exp }), EXPIRED]),
  ...["9", null, true, [], {}, -1, 1e300, 253402300800].map((exp) => [sign({ sub: "ann", exp }), INVALID]),
  ...[later, "0", null, -1].map((nbf) => [sign({ sub: "ann", exp: later + 1, nbf }), INVALID]),
  ...[{ iss: 1 }, { sub: {} }, { sub: null }, { jti: 1 }, { aud: 1 }, { aud: "x" }, { aud: [] }, { aud: ["x", 1] }].map((more) => [
    sign({ exp: later, ...more }),
    INVALID,
  ]),
  ...["[]", "{", "null", `{"exp":${later},"exp":${later}}`, `{"exp":0${later}}`, `{"sub":"\\ud800","exp":${later}}`, '{"exp":1e400}'].map(
    (text) => [sign(text), INVALID],
  ),
  [sign({ sub: "ann" }), INVALID],
].filter(([token]) => token.length < 7000);
const long = "a".repeat(9000);

const tickets = ["x", "a".repeat(32), "a".repeat(33), "%00", "..%2f..", "null", "'--", good.slice(0, 32), encode("ann"), "%ff"];

// ---- The quiet client ----

const socket = new WebSocket(base.replace("http", "ws") + "/ws", "moonwire.1");
const times = [];
let begun = 0;
let stopped = false;
await new Promise((resolve, reject) => {
  socket.onopen = () => socket.send(JSON.stringify({ connect: { token: good }, ref: 0 }));
  socket.onclose = reject;
  socket.onmessage = ({ data }) => {
    const { ref } = JSON.parse(data);
    if (ref === 0) resolve();
    if (ref === 1) times.push(performance.now() - begun);
    if (stopped) return;
    setTimeout(() => {
      begun = performance.now();
      socket.send('{"ping":true,"ref":1}');
    }, 5);
  };
});

// ---- The hostile ones ----

const wrong = [];
let sent = 0;

function check(way, token, expected, status, text, wanted = 401) {
  sent++;
  if (status !== wanted || !expected.test(text)) wrong.push(`${way} ${token.slice(0, 60)}: ${status} ${text.slice(0, 120)}`);
}

async function get(way, path, headers = {}, init = {}) {
  const response = await fetch(base + path, { headers, ...init });
  const text = response.status === 200 ? "" : await response.text();
  if (response.status === 200) response.body.cancel();
  return [response.status, text];
}

// A WebSocket that offers moonwire.1 is refused by its first answer, and closed with 4401.
const connect = (token) =>
  new Promise((resolve) => {
    const own = new WebSocket(base.replace("http", "ws") + "/ws", "moonwire.1");
    let text = "";
    own.onopen = () => own.send(JSON.stringify({ connect: { token }, ref: 0 }));
    own.onmessage = ({ data }) => (text = data);
    own.onclose = ({ code }) => resolve([code, text]);
  });

for (const [token, expected] of tokens) {
  const isHeader = /^[\x21-\x7e]+$/.test(token);
  const bearer = { Authorization: `Bearer ${token}` };
  if (isHeader) check("sse", token, expected, ...(await get("sse", "/sse?channel=open", bearer)));
  if (isHeader) check("send", token, expected, ...(await get("send", "/send", bearer, { method: "POST", body: '{"send":"open","event":"say"}' })));
  check("poll", token, expected, ...(await get("poll", `/poll?channel=open&token=${encodeURIComponent(token)}`)));
  check("websocket", token, expected, ...(await connect(token)), 4401);
}
check("long", long, INVALID, ...(await connect(long)), 4401);
check("long header", long, INVALID, ...(await get("sse", "/sse?channel=open", { Authorization: `Bearer ${long}` })));
check("long cookie", long, INVALID, ...(await get("sse", "/sse?channel=open", { Cookie: `login=${long}` })));
for (const text of tickets) check("ticket", text, INVALID, ...(await get("sse", `/sse?channel=open&ticket=${text}`)));
// A token that is valid is accepted beside them, each way.
check("good", good, /^$/, ...(await get("sse", "/sse?channel=open", { Authorization: `Bearer ${good}` })), 200);
check("good", good, /^$/, ...(await get("sse", "/sse?channel=open", { Cookie: `a=b; login=${good}` })), 200);
check("good", good, /^$/, ...(await get("sse", `/sse?channel=open&token=${good}`)), 200);

stopped = true;
times.sort((a, b) => a - b);
console.log(JSON.stringify({ sent, wrong, quiet: { count: times.length, p99: times[Math.floor(times.length * 0.99)] } }));
socket.terminate();
