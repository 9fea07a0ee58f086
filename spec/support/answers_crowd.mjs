// Many answers of examples/assistant at the same time, each read by a page that is reloaded or disconnected at random places:
//
//   node support/answers_crowd.mjs BASE ANSWERS TOKENS [SECONDS]
//
// A third of the pages read the answer of the POST, a third an event stream, and a third use the browser client. Prints
// { complete, wrong, reloads, cuts } as JSON: how many pages had every token once and in order, and what the others had. Fails
// after SECONDS (200).

import http from "node:http";
import WebSocket from "ws";
import { connect } from "../../client/moonwire.js";
import { EventParser } from "./event_stream.mjs";

const [base, answers, tokens, seconds = 200] = process.argv.slice(2);
const expected = ["question", ...Array.from({ length: tokens }, (_, i) => `${i === 0 ? "" : " "}${i + 1}`), "done"];
const result = { complete: 0, wrong: [], reloads: 0, cuts: 0 };
const agent = new http.Agent({ maxSockets: Infinity });
const run = process.pid.toString(16);

// What a page keeps: its messages, and the id of the last one.
class Page {
  seen = [];
  last = "";

  constructor(number) {
    this.id = `${run}${number.toString(16).padStart(6, "0")}`;
    this.path = `/answers/${this.id}?owner=owner${number % 10}`;
    this.cuts = Math.floor(Math.random() * 4);
  }

  take(event, data, id) {
    if (event.startsWith("moonwire:") && event !== "moonwire:gap") return;
    this.seen.push(event === "token" ? data : event);
    this.last = id;
  }

  get isComplete() {
    return this.seen.at(-1) === "done";
  }

  // A page that is reloaded begins again. One that only lost its connection continues after its last message.
  interrupt() {
    if (Math.random() < 0.5) {
      Object.assign(this, { seen: [], last: "" });
      result.reloads++;
    } else {
      result.cuts++;
    }
  }
}

function request(method, path, headers, onBytes) {
  return new Promise((resolve, reject) => {
    const sent = http.request(base + path, { method, agent, headers }, (response) => {
      if (response.statusCode >= 300) reject(new Error(`${method} ${path}: ${response.statusCode}`));
      response.on("data", (bytes) => onBytes(bytes, sent));
      response.on("close", resolve);
      response.on("error", () => {}); // that was us
    });
    sent.on("error", resolve); // as if it were cut: a busy machine resets connections, too
    sent.end(method === "POST" ? `count to ${tokens}` : undefined);
  });
}

const ask = (page) =>
  request("POST", page.path, {}, (bytes, sent) => {
    page.isAsked = true;
    sent.destroy();
  });

async function readStream(page, method, path) {
  let left = page.cuts > 0 ? Math.ceil(Math.random() * tokens) : Infinity;
  const headers = { Accept: "text/event-stream", ...(page.last && { "Last-Event-ID": page.last }) };
  const parser = new EventParser(({ type, data, lastEventId }) => {
    if (left-- > 0) page.take(type, data && JSON.parse(data), lastEventId);
  });
  await request(method, path, headers, (bytes, sent) => {
    parser.push(bytes);
    if (left <= 0 && !page.isComplete) sent.destroy();
  });
}

// By the remainder of a page's number.
const readers = [
  (page) => readStream(page, "POST", page.path),
  (page) => readStream(page, "GET", `/sse?channel=answer:${page.id}`),
  (page) =>
    new Promise((resolve) => {
      const connection = connect(base, { WebSocket });
      const end = () => {
        connection.close();
        resolve();
      };
      let left = page.cuts > 0 ? Math.ceil(Math.random() * tokens) : Infinity;
      connection.channel(`answer:${page.id}`, { since: page.last || undefined }).on("*", (data, { event, id }) => {
        if (left-- > 0) page.take(event, data, id);
        if (left <= 0 || page.isComplete) end();
      });
    }),
];

async function live(number) {
  const page = new Page(number);
  page.isAsked = number % 3 === 0;
  while (!page.isAsked) await ask(page);
  while (!page.isComplete) {
    await readers[number % 3](page);
    if (page.isComplete) break;
    page.cuts--;
    page.interrupt();
  }
  if (JSON.stringify(page.seen) === JSON.stringify(expected)) result.complete++;
  else result.wrong.push({ number, seen: page.seen.join("|") });
}

setTimeout(() => {
  console.log(`not complete after ${seconds} s: ${JSON.stringify(result)}`);
  process.exit(1);
}, seconds * 1000);
await Promise.all(Array.from({ length: Number(answers) }, (_, number) => live(number)));
console.log(JSON.stringify(result));
process.exit(0);
