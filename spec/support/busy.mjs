// Keeps a server busy until it stops: event streams, WebSockets, and polls that read, others that do not, and publishers.
//
//   node support/busy.mjs BASE KEY EACH
//
// EACH is how many there are of each. All are in the channel "room". Prints "busy" when all receive messages, and, when the server has
// closed all connections, how they ended. Fails if one ends in another way than by a stop.

import http from "node:http";
import net from "node:net";
import { WebSocket } from "ws";

const [base, key, each] = process.argv.slice(2);
const { hostname, port } = new URL(base);
const count = Number(each);
const ends = { streams: 0, sockets: 0, polls: 0, stalled: 0, publishers: 0, published: 0, unavailable: 0 };
const arrivals = []; // promises: something has arrived
const ended = []; // promises: it has ended

function fail(text) {
  console.error(text);
  process.exit(1);
}

// Calls `start(arrived, end)`, which calls these when something has arrived, and when it has ended.
function begin(name, start) {
  arrivals.push(
    new Promise((arrived) => {
      ended.push(new Promise((end) => start(arrived, end)).then(() => ends[name]++));
    }),
  );
}

function request(method, target, headers, body, onAnswer, agent) {
  const sent = http.request({ host: hostname, port, method, path: target, headers, agent }, (answer) => {
    let text = "";
    answer.setEncoding("utf8");
    answer.on("data", (part) => (text += part));
    answer.on("end", () => onAnswer(answer.statusCode, text));
    answer.on("error", () => onAnswer(0, text));
  });
  sent.on("error", () => onAnswer(0, "")); // refused, or closed before an answer
  sent.end(body);
}

const starts = {
  streams(arrived, end) {
    const socket = net.connect(Number(port), hostname, () => socket.write("GET /sse?channel=room HTTP/1.1\r\nHost: x\r\n\r\n"));
    let tail = "";
    socket.on("data", (bytes) => {
      tail = (tail + bytes.toString("latin1")).slice(-20);
      arrived();
    });
    socket.on("error", (error) => fail(`a stream: ${error.message}`));
    // The last chunk, or the end of a stream that was too slow for it.
    socket.on("end", () => (tail.endsWith("0\r\n\r\n") ? end() : fail(`a stream ends with ${JSON.stringify(tail)}`)));
  },
  sockets(arrived, end) {
    const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws`);
    socket.on("open", () => socket.send('{"subscribe":"room"}'));
    socket.on("message", (text) => {
      arrived();
      if (Math.random() < 0.05 && socket.readyState === 1) socket.send('{"send":"room","event":"note","data":1}');
    });
    socket.on("error", (error) => fail(`a WebSocket: ${error.message}`));
    socket.on("close", (code) => (code === 1012 || code === 1001 ? end() : fail(`a WebSocket is closed with ${code}`)));
  },
  polls(arrived, end) {
    const poll = (since, client) =>
      request("GET", `/poll?channel=room&client=${client}&since=${since}`, {}, undefined, (status, text) => {
        if (status === 200) {
          const answer = JSON.parse(text);
          arrived();
          poll(answer.id, answer.client);
        } else {
          if (status !== 0 && status !== 503) fail(`a poll is answered with ${status}`);
          end();
        }
      });
    poll("", "");
  },
  stalled(arrived, end) {
    const socket = net.connect(Number(port), hostname, () => socket.write("GET /sse?channel=room HTTP/1.1\r\nHost: x\r\n\r\n"));
    socket.once("readable", arrived); // and reads nothing
    socket.on("error", end);
    socket.on("close", end);
    stalled.push(socket);
  },
  publishers(arrived, end) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const body = JSON.stringify(Array.from({ length: 20 }, (_, n) => ({ channel: "room", event: "item", data: { n, text: "x".repeat(100) } })));
    const headers = { Authorization: `Bearer ${key}`, "Content-Length": Buffer.byteLength(body) };
    const publish = () =>
      request("POST", "/publish", headers, body, (status, text) => {
        if (status === 200) {
          for (const answer of JSON.parse(text)) ends[answer.id ? "published" : "unavailable"]++;
          arrived();
          publish();
        } else {
          if (status !== 0 && status !== 503) fail(`a publish is answered with ${status}`);
          end();
        }
      }, agent);
    publish();
  },
};

const stalled = [];
setTimeout(() => fail(`too slow: ${JSON.stringify(ends)}`), 200000).unref();
for (const name of Object.keys(starts)) for (let i = 0; i < count; i++) begin(name, starts[name]);
await Promise.all(arrivals);
console.log("busy");
// When all others have ended, nothing keeps a peer that does not read from finding out that it was closed.
await Promise.all(ended.filter((_, i) => Math.floor(i / count) !== 3));
for (const socket of stalled) socket.resume();
await Promise.all(ended);
console.log(JSON.stringify(ends));
process.exit(0);
