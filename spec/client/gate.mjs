// A proxy of HTTP that is told how to misbehave: for the specs of the browser client.

import http from "node:http";
import net from "node:net";

export class Gate {
  upgrades = "pass"; // "refuse": with 403; "swallow": accepted, and never a byte; or "pass"
  requests = () => "pass"; // for each request's path: a status, "swallow", "hold" (the answer comes whole, at its end), or "pass"
  lifetime = Infinity; // ms after which a connection is ended
  rate = Infinity; // bytes a second from the server, for each connection
  frozen = false; // nothing moves any more, and nobody is told
  seen = []; // what was asked: "upgrade /ws", "GET /sse"
  answered = []; // of these, what got its whole answer from the server
  #target;
  #server;
  #sockets = new Set();

  async listen(target) {
    this.#target = new URL(target);
    this.#server = http.createServer((request, response) => this.#request(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("connection", (socket) => {
      this.#track(socket);
      if (this.lifetime < Infinity) setTimeout(() => socket.destroy(), this.lifetime).unref();
    });
    this.#server.keepAliveTimeout = 60000;
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  #track(socket) {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }

  // Passes bytes on, as fast as it may.
  #pipe(from, to) {
    let due = 0;
    from.on("data", (bytes) => {
      if (this.frozen) return;
      to.write(bytes);
      if (this.rate === Infinity) return;
      const now = Date.now();
      due = Math.max(due, now) + (1000 * bytes.length) / this.rate;
      if (due - now < 10) return;
      from.pause();
      setTimeout(() => from.resume(), due - now);
    });
  }

  #request(request, response) {
    const path = request.url.split("?")[0];
    const asked = `${request.method} ${path}`;
    this.seen.push(asked);
    const rule = this.requests(path, request);
    response.on("error", () => {});
    if (rule === "swallow" || this.frozen) return;
    if (typeof rule === "number") {
      response.writeHead(rule).end("a proxy's page");
      return;
    }
    const { hostname, port } = this.#target;
    const headers = { ...request.headers, host: request.headers.host };
    const upstream = http.request({ hostname, port, path: request.url, method: request.method, headers, agent: false });
    upstream.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end("a proxy's page")));
    upstream.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.on("error", () => response.destroy()).on("aborted", () => response.destroy());
      answer.on("end", () => this.answered.push(asked));
      if (rule === "hold") {
        const parts = [];
        answer.on("data", (part) => parts.push(part)).on("end", () => response.end(Buffer.concat(parts)));
      } else {
        this.#pipe(answer, response);
        answer.on("end", () => response.end());
      }
    });
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  }

  #upgrade(request, socket, head) {
    this.seen.push(`upgrade ${request.url.split("?")[0]}`);
    socket.on("error", () => {});
    if (this.frozen) return;
    if (this.upgrades === "refuse") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    const { hostname, port } = this.#target;
    const upstream = net.connect(Number(port), hostname);
    this.#track(upstream);
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    if (head.length > 0) upstream.write(head);
    upstream.on("error", () => socket.destroy());
    if (this.upgrades === "swallow") {
      // The answer to the upgrade goes through, and then nothing.
      upstream.once("data", (bytes) => socket.write(bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4)));
      socket.resume();
      return;
    }
    this.#pipe(upstream, socket);
    socket.on("data", (bytes) => !this.frozen && upstream.write(bytes));
    upstream.on("close", () => !this.frozen && socket.destroy());
    socket.on("close", () => upstream.destroy());
  }

  // Ends all connections now.
  cut() {
    const { size } = this.#sockets;
    for (const socket of this.#sockets) socket.destroy();
    return size;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
