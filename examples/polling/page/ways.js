// Four ways to fetch the ticker. A way calls `count` with what it costs, and `take` with each tick that arrives. It uses only what
// a browser has, so that its cost is that of the protocol. The client of moonwire, /moonwire.js, does all of this for a page.

const RETRY = 1000; // milliseconds
const SERVER = new URL("/", location.href);

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const encoder = new TextEncoder();

// The head of an answer, as it was sent.
function headOf(response) {
  let bytes = `HTTP/1.1 ${response.status} OK\r\n\r\n`.length;
  for (const [name, value] of response.headers) bytes += name.length + value.length + ": \r\n".length;
  return bytes;
}

// `network` has the settings of the page: the `interval` of polls, the `latency` of each way, and `head`, the bytes of a request.
async function request(url, network, count) {
  count({ requests: 1, heads: network.head });
  await wait(network.latency);
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  count({ heads: headOf(response) });
  return response;
}

// Tries again for as long as the page is open. `attempt` returns when its connection has ended.
async function forever(attempt, network, report) {
  for (;;) {
    try {
      await attempt();
    } catch {
      report(false);
      await wait(RETRY * (0.5 + Math.random()));
    }
  }
}

export function shortPolling({ network, count, take, report }) {
  forever(async () => {
    const body = await (await request("tick", network, count)).text();
    const arrived = performance.now();
    await wait(network.latency);
    count({ bodies: body.length });
    take(JSON.parse(body), arrived);
    report(true);
    await wait(network.interval);
  }, network, report);
}

export function longPolling({ network, count, take, report }) {
  let since;
  forever(async () => {
    const url = new URL(since ? `poll?channel=polling&wait=20&since=${since}` : "poll?channel=polling", SERVER);
    const body = await (await request(url, network, count)).text();
    const arrived = performance.now();
    await wait(network.latency);
    count({ bodies: body.length });
    const answer = JSON.parse(body);
    since = answer.id;
    for (const { data } of answer.messages) take(data, arrived);
    report(true);
  }, network, report);
}

export function eventStream({ network, count, take, report }) {
  let since = "";
  forever(async () => {
    const url = new URL(`sse?channel=polling${since && `&since=${since}`}`, SERVER);
    const reader = (await request(url, network, count)).body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const arrived = performance.now();
      count({ bodies: part.value.length, heads: part.value.length.toString(16).length + 4 }); // a chunk has its length before it
      const events = (rest + part.value).split("\n\n");
      rest = events.pop();
      for (const event of events) since = event.match(/^id: (.*)$/m)?.[1] ?? since;
      setTimeout(() => {
        report(true);
        for (const event of events) {
          if (/^event: tick$/m.test(event)) take(JSON.parse(event.match(/^data: (.*)$/m)[1]), arrived);
        }
      }, network.latency);
    }
    throw new Error("the stream has ended");
  }, network, report);
}

export function webSocket({ network, count, take, report }) {
  const UPGRADE = 160; // bytes that an upgrade has more than another request
  const ANSWER = 129;
  const frame = (length, masked) => (length < 126 ? 2 : 4) + (masked ? 4 : 0);
  let since;
  const open = () => new Promise((resolve, reject) => {
    count({ requests: 1, heads: network.head + UPGRADE });
    const socket = new WebSocket(new URL("ws", SERVER.href.replace(/^http/, "ws")));
    socket.addEventListener("open", () => {
      const subscribe = JSON.stringify({ subscribe: "polling", since, ref: 1 });
      count({ heads: ANSWER + frame(subscribe.length, true), bodies: subscribe.length });
      socket.send(subscribe);
    });
    socket.addEventListener("message", ({ data: text }) => {
      const arrived = performance.now();
      const length = encoder.encode(text).length;
      count({ heads: frame(length), bodies: length });
      const message = JSON.parse(text);
      if (message.id) since = message.id;
      else if (message.ok?.id) since = message.ok.id;
      setTimeout(() => {
        report(true);
        if (message.event === "tick") take(message.data, arrived);
      }, network.latency);
    });
    socket.addEventListener("close", () => reject(new Error("closed")));
  });
  forever(async () => {
    await wait(network.latency);
    await open();
  }, network, report);
}
