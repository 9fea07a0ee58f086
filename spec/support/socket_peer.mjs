// A server that does what a line tells it, for the specs of moonwire.socket.
//
//   node spec/support/socket_peer.mjs DIRECTORY [--tls]
//
// Listens on a port of loopback and on DIRECTORY/peer.sock; with --tls also with TLS, by
// DIRECTORY/NAME.key and NAME.crt for each NAME of "good", "other", and "old", and with TLS that
// passes one byte at a time. Prints "NAME PORT" for each, and "ready".
//
// Lines: say TEXT; split TEXT (one byte at a time); end TEXT (and half-close; what comes then is
// counted); cut TEXT (closed without the end of TLS); reset; flood BYTES; later TEXT ("ok", and TEXT when
// another connection says "now", which is answered with "ok"); mute; count ("OPEN TOTAL HEARD"). "\n" in a text is a newline.

import fs from "node:fs";
import net from "node:net";
import tls from "node:tls";

const [directory, withTls] = process.argv.slice(2);
let open = 0;
let total = 0;
let heard = 0;
const late = [];

const decode = (text) => text.replaceAll("\\n", "\n").replaceAll("\\r", "\r");

function split(socket, text) {
  const bytes = Buffer.from(text);
  let at = 0;
  const next = () => {
    if (at === bytes.length || socket.destroyed) return;
    socket.write(bytes.subarray(at, ++at), () => setImmediate(next));
  };
  next();
}

const commands = {
  say: (socket, text) => socket.write(text),
  split,
  end: (socket, text) => socket.end(text),
  cut: (socket, text) => socket.write(text, () => (socket.raw ?? socket).destroy()),
  reset: (socket) => (socket.raw ?? socket).resetAndDestroy(),
  flood: (socket, text) => socket.write("x".repeat(Number(text))),
  later: (socket, text) => {
    late.push([socket, text]);
    socket.write("ok\n");
  },
  now: (socket) => {
    for (const [other, text] of late.splice(0)) other.write(text);
    socket.write("ok\n");
  },
  mute: () => {},
  count: (socket) => socket.write(`${open} ${total} ${heard}\n`),
};

function serve(socket) {
  open++;
  total++;
  let line = "";
  socket.setNoDelay?.(true);
  socket.on("data", (data) => {
    heard += data.length;
    line += data;
    for (let at = line.indexOf("\n"); at >= 0; at = line.indexOf("\n")) {
      const [, name, text] = line.slice(0, at).match(/^(\S+) ?(.*)$/s) ?? [];
      line = line.slice(at + 1);
      commands[name]?.(socket, decode(text));
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => open--);
}

const listen = (server, ...where) => new Promise((resolve) => server.listen(...where, () => resolve(server.address().port)));
const options = {};

console.log("tcp", await listen(net.createServer(options, serve), 0, "127.0.0.1"));
await listen(net.createServer(options, serve), `${directory}/peer.sock`);

function encrypt(name, raw) {
  const key = fs.readFileSync(`${directory}/${name}.key`);
  const cert = fs.readFileSync(`${directory}/${name}.crt`);
  const socket = new tls.TLSSocket(raw, { isServer: true, key, cert });
  socket.raw = raw;
  raw.on("error", () => {});
  serve(socket);
}

// Passes bytes on, one at a time in both directions.
function trickle(port, inner) {
  const outer = net.connect(port, "127.0.0.1");
  for (const [from, to] of [[inner, outer], [outer, inner]]) {
    to.setNoDelay(true);
    from.on("data", (data) => { for (const byte of data) to.write(Buffer.from([byte])); });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
  }
}

if (withTls) {
  for (const name of ["good", "other", "old"]) {
    const port = await listen(net.createServer((raw) => encrypt(name, raw)), 0, "127.0.0.1");
    console.log(name, port);
    if (name === "good") console.log("split", await listen(net.createServer((raw) => trickle(port, raw)), 0, "127.0.0.1"));
  }
}
console.log("ready");
