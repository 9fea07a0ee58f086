// Runs JavaScript blocks of the documents as in a page of a server.
//
//   node docs/run_js.mjs BASE < BLOCKS
//
// BLOCKS is a JSON array of { place, code }. Prints a JSON array of { place, error } for those that failed. The names that a block
// does not define itself are those of the page that docs/README.md describes.

import { EventSource as Source } from "eventsource";
import WebSocketOfNpm from "ws";
import { connect as connectClient } from "../../client/moonwire.js";

const [base] = process.argv.slice(2);
const { host } = new URL(base);
const AsyncFunction = (async () => {}).constructor;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// An element, of which blocks set and call whatever they like.
const element = () => ({ append() {}, focus() {}, addEventListener() {} });

// What must be closed after a block.
let open = [];
const opened = (thing) => (open.push(thing), thing);

class EventSource extends Source {
  constructor(url, options) {
    super(new URL(url, base), options);
    opened(this);
  }
}

class WebSocket extends WebSocketOfNpm {
  constructor(url, protocols) {
    super(url.replace(/^wss:/, "ws:"), protocols);
    opened(this);
  }
}

// Blocks name servers that are not there.
const connect = (url = "/", options = {}) =>
  opened(connectClient(new URL(new URL(url, base).pathname, base).href, { WebSocket, EventSource, ...options }));

const fetchHere = (url, options) => fetch(new URL(url, base), options);

async function page() {
  const connection = connect();
  const socket = new WebSocket(`ws://${host}/ws`, "moonwire.1");
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send('{"connect":{},"ref":0}');
  socket.send('{"subscribe":"room:1","ref":1}');
  return {
    connect,
    connection,
    socket,
    room: connection.channel("room:1"),
    source: new EventSource("/sse?channel=room:1"),
    EventSource,
    WebSocket,
    fetch: fetchHere,
    location: { host },
    token: "t",
    text: "hello",
    console: { log() {} },
    show() {},
    showAbove() {},
    reload() {},
    banner: element(),
    bar: element(),
    input: element(),
    olderButton: element(),
  };
}

async function run({ code }) {
  const names = await page();
  const failures = [];
  let closing = false;
  // what is under way when the connection is closed fails, as it should
  const isClosed = (error) => error?.code === "closed" || /closed before the connection/.test(error?.message);
  const fail = (error) => (closing && isClosed(error)) || failures.push(String(error?.stack ?? error));
  process.on("unhandledRejection", fail).on("uncaughtException", fail);
  const text = code.replace(/^import \{ connect \} from "\/moonwire\.js";$/m, "");
  try {
    // A block of its own, so that it may define names that the page has.
    const block = new AsyncFunction(...Object.keys(names), `"use strict"; { ${text}\n }`);
    await Promise.race([block(...Object.values(names)), sleep(30000).then(() => fail("it does not end"))]);
    // Events that come now call what it has registered.
    await sleep(300);
    if (names.olderButton.onclick) {
      names.olderButton.onclick();
      await sleep(300);
    }
  } catch (error) {
    fail(error);
  }
  closing = true;
  for (const thing of open) thing.close();
  open = [];
  await sleep(50);
  process.off("unhandledRejection", fail).off("uncaughtException", fail);
  return failures;
}

let input = "";
for await (const chunk of process.stdin) input += chunk;
const failed = [];
for (const block of JSON.parse(input)) {
  for (const error of await run(block)) failed.push({ place: block.place, error });
}
process.stdout.write(JSON.stringify(failed));
process.exit(0);
