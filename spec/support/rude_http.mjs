// An HTTP server that misbehaves as the path says, for clients of moonwire.
//
//   node support/rude_http.mjs SOCKET [KEY CERTIFICATE]
//
// Prints a JSON line with its ports: { http, https }. Listens on the unix socket, too, where /work answers in random order,
// fails, hangs, and drips.

import { createServer } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { createSecureServer } from "node:http2";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [socketPath, key, certificate] = process.argv.slice(2);
const hello = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

function drip(socket, text, ms = 1) {
  let i = 0;
  const timer = setInterval(() => {
    if (i < text.length && !socket.destroyed) {
      socket.write(text[i++]);
    } else {
      clearInterval(timer);
      socket.end();
    }
  }, ms);
}

const ways = {
  "/hello": (socket) => socket.write(hello),
  "/drip": (socket) => drip(socket, hello),
  "/silent": () => {},
  "/half-head": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Le"),
  "/cut": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
  "/reset": (socket) => socket.resetAndDestroy(),
  "/empty": (socket) => socket.end(),
  "/rubbish": (socket) => socket.end("\x00\xff rubbish\r\n\r\n"),
  "/two-lengths": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello"),
  "/negative": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"),
  "/chunk-cut": (socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
  "/bad-chunk": (socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n"),
  "/long-head": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    for (let i = 0; i < 1024; i++) socket.write(`X-${i}: ${"x".repeat(1016)}\r\n`);
    socket.end("\r\n");
  },
  "/endless-head": (socket) => endless(socket, "HTTP/1.1 200 OK\r\nX: ", "x".repeat(65536)),
  "/endless": (socket) => endless(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "x".repeat(65536)),
  "/endless-line": (socket) =>
    endless(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", "x".repeat(65536)),
  "/bomb": (socket) => {
    const body = gzipSync(Buffer.alloc(12 * 1024 * 1024));
    socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.end(body);
  },
  "/loop": (socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: /loop\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmove"),
  "/once": (socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: /hello\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmove"),
  "/to-nowhere": (socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 4\r\n\r\nstay"),
  "/to-file": (socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: file:///etc/hosts\r\nContent-Length: 0\r\n\r\n"),
  "/early": (socket) => socket.end("HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n" + hello),
  "/repeated": (socket) => socket.end("HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"),
  "/events": (socket) =>
    drip(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" +
      "\ufeff: comment\r\nid: 7\r\nevent: tick\rdata: one\ndata:two\r\n\r\ndata\n\nretry: 5\n\ndata: {\"n\":3}\r\rdata: cut"),
  "/events-open": (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
  "/events-cut": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
    "Content-Length: 1000\r\n\r\ndata: one\n\ndata: tw"),
};

function endless(socket, head, chunk) {
  socket.write(head);
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  more();
}

const raw = createServer((socket) => {
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (data) => {
    text += data.toString("latin1");
    if (!text.includes("\r\n\r\n")) return;
    const path = text.split(" ")[1];
    text = "";
    (ways[path] ?? ((to) => to.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")))(socket);
  });
});

// Each request names how it wants to be answered, and a number to find in the answer.
const worker = createHttpServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://localhost");
  const way = searchParams.get("way");
  const body = `answer ${searchParams.get("n")}`;
  const answer = {
    late: () => setTimeout(() => response.end(body), Math.random() * 20),
    drip: () => {
      response.write(body.slice(0, 1));
      setTimeout(() => response.end(body.slice(1)), 5);
    },
    fail: () => request.socket.destroy(),
    hang: () => {},
  };
  answer[way]();
});

const secure = key && createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate), allowHTTP1: true },
  (request, response) => response.end(`HTTP/${request.httpVersion}`));

const listen = (server, ...where) => new Promise((done) => server.listen(...where, () => done(server.address().port)));
const ports = { http: await listen(raw, 0, "127.0.0.1") };
if (secure) ports.https = await listen(secure, 0, "127.0.0.1");
await listen(worker, socketPath);
console.log(JSON.stringify(ports));
