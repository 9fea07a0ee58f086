// npm's ws, or Node's own WebSocket, or Chromium, against an endpoint that echoes:  node echo.mjs ws|chromium URL [OPTIONS]
//
// Prints { extensions, echoed: { what: true }, closed }. OPTIONS are those of ws, as JSON.

import { createHash, randomBytes } from "node:crypto";
import { WebSocket } from "ws";

const [kind, url, given] = process.argv.slice(2);
const text = "grüß dich ✓ 🌙";
const hash = (data) => createHash("sha1").update(data).digest("hex");

async function byWs() {
  const socket = new WebSocket(url, { maxPayload: 1 << 28, ...JSON.parse(given ?? "{}") });
  const messages = [];
  let wake = () => {};
  socket.on("message", (data, isBinary) => {
    messages.push([data, isBinary]);
    wake();
  });
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  const next = async () => {
    while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
    return messages.shift();
  };
  const echoed = {};
  const check = async (what, data, isBinary) => {
    const [came, cameBinary] = await next();
    echoed[what] = cameBinary === isBinary && hash(came) === hash(data);
  };
  socket.send(text);
  await check("text", text, false);
  socket.send("");
  await check("nothing", "", false);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  socket.send(bytes);
  await check("binary", bytes, true);
  for (const part of ["frag", "men", "ted ".repeat(1000)]) socket.send(part, { fin: false });
  socket.ping("between");
  socket.send("end", { fin: true });
  await new Promise((resolve) => socket.once("pong", resolve));
  await check("fragmented", "fragmen" + "ted ".repeat(1000) + "end", false);
  const large = "a large text ✓ ".repeat(70000);
  socket.send(large);
  await check("large", large, false);
  const noise = randomBytes(1 << 20);
  socket.send(noise);
  await check("noise", noise, true);
  echoed.order = true;
  for (let i = 0; i < 2000; i++) socket.send(`message ${i} ` + "x".repeat(i % 700));
  for (let i = 0; i < 2000; i++) echoed.order &&= (await next())[0].toString().startsWith(`message ${i} `);
  socket.close(4002, "enough");
  return { extensions: socket.extensions, echoed, closed: await closed };
}

// Runs in the page: nothing from around it.
async function byPage(url, text) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const messages = [];
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    messages.push(data);
    wake();
  };
  await new Promise((resolve, reject) => ([socket.onopen, socket.onerror] = [resolve, reject]));
  const next = async () => {
    while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
    return messages.shift();
  };
  const echoed = {};
  for (const [what, data] of [
    ["text", text],
    ["nothing", ""],
    ["large", "a large text ✓ ".repeat(70000)],
  ]) {
    socket.send(data);
    echoed[what] = (await next()) === data;
  }
  const bytes = new Uint8Array(1 << 20);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * i) >> 3;
  socket.send(bytes);
  const came = new Uint8Array(await next());
  echoed.binary = came.length === bytes.length && came.every((byte, i) => byte === bytes[i]);
  const closed = new Promise((resolve) => (socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean])));
  socket.close(4002, "enough");
  return { extensions: socket.extensions, echoed, closed: await closed };
}

if (kind === "ws") {
  console.log(JSON.stringify(await byWs()));
} else {
  const { launch } = await import("../browser.mjs");
  const browser = await launch();
  const page = await browser.newPage();
  await page.goto(new URL("/health", url.replace("ws:", "http:")).href);
  console.log(JSON.stringify(await page.evaluate(`(${byPage})(${JSON.stringify(url)}, ${JSON.stringify(text)})`)));
  await browser.close();
}
