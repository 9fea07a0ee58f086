// A TCP proxy that cuts: all its connections on command, or each one at a random place.

import net from "node:net";

export class CuttingProxy {
  connections = 0; // so far
  cutAfter = () => Infinity; // called for each connection: the bytes from the server after which it is cut
  #pairs = new Set();
  #server;
  #port;

  target; // where it forwards new connections to: another one is like a restart

  // Listens on a free port and forwards to the origin of `base`. Resolves with the address to use in its place.
  async listen(base) {
    this.target = base;
    this.#server = net.createServer((client) => this.#forward(client, new URL(this.target)));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  #forward(client, target) {
    this.connections++;
    const upstream = net.connect(Number(target.port), target.hostname);
    const pair = { client, upstream };
    let left = this.cutAfter();
    this.#pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      if (bytes.length < left) {
        left -= bytes.length;
        client.write(bytes);
      } else {
        // What goes before the cut still arrives.
        client.end(bytes.subarray(0, left));
        upstream.destroy();
      }
    });
  }

  // Cuts every connection on which something was asked; returns how many there were. (One that is cut before its
  // first byte leaves Node's fetch waiting without end.)
  cut() {
    const pairs = [...this.#pairs].filter(({ client }) => client.bytesRead > 0);
    for (const { client, upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
    return pairs.length;
  }

  // Refuses connections, as the port of a server that has ended does, until accept() is called.
  refuse() {
    this.#port = this.#server.address().port;
    this.close();
  }

  accept() {
    return new Promise((resolve, reject) => this.#server.once("error", reject).listen(this.#port, "127.0.0.1", resolve));
  }

  close() {
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
    this.#server.close();
  }
}
