// Tokens that expire, in Chromium: the browser client renews them on each transport, and what a plain EventSource does.
//
//   node browser/tokens.mjs BASE
//
// Prints what each page saw, as JSON.

import { launch } from "../support/browser.mjs";

const [base] = process.argv.slice(2);
const browser = await launch();

async function open(run, ...values) {
  const context = await browser.newContext(); // with cookies of its own
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  await page.goto(`${base}/page`);
  await page.evaluate(run, ...values);
  return page;
}

const finish = async (page, condition) => {
  await page.waitForFunction(condition);
  return page.evaluate(() => window.seen);
};

// The client asks for a token when it connects, and again before each expires. It never reconnects.
async function client(transport) {
  const page = await open(async (kind) => {
    const { connect } = await import("/moonwire.js");
    const seen = (window.seen = { reasons: [], states: [], numbers: [] });
    const token = async ({ reason }) => {
      seen.reasons.push(reason);
      return (await fetch(`/token?user=${kind}&seconds=10`, { method: "POST" })).text();
    };
    const connection = connect("/", { transports: [kind], token });
    connection.on("moonwire:state", ({ state }) => seen.states.push(state));
    connection.channel("numbers", { since: "0" }).on("number", ({ n }) => seen.numbers.push(n));
  }, transport);
  return finish(page, () => window.seen.reasons.length >= 3 && window.seen.numbers.length > 20);
}

// A token in the URL: told, ended, refused for good. The page begins again with a new token, after the last id.
async function url() {
  const page = await open(async () => {
    const seen = (window.seen = { told: 0, opens: 0, closed: 0, numbers: [] });
    let last = "0";
    const start = async () => {
      const token = await (await fetch("/token?user=url&seconds=8", { method: "POST" })).text();
      const source = new EventSource(`/sse?channel=numbers&since=${last}&token=${token}`);
      source.onopen = () => seen.opens++;
      source.addEventListener("moonwire:expiring", () => seen.told++);
      source.addEventListener("number", (event) => {
        last = event.lastEventId;
        seen.numbers.push(JSON.parse(event.data).n);
      });
      source.onerror = () => {
        if (source.readyState !== EventSource.CLOSED) return; // it reconnects, with the same URL
        if (++seen.closed < 2) start();
      };
    };
    await start();
  });
  return finish(page, () => window.seen.closed >= 2);
}

// A token in a cookie, which the page renews when it is told: EventSource reconnects by itself, and misses nothing.
async function cookie() {
  const page = await open(async () => {
    const seen = (window.seen = { told: 0, opens: 0, closed: 0, numbers: [] });
    const login = () => fetch("/login?user=cookie&seconds=10", { method: "POST" });
    await login();
    const source = new EventSource("/sse?channel=numbers&since=0");
    source.onopen = () => {
      seen.opens++;
      seen.reopened = seen.numbers.length;
    };
    source.addEventListener("moonwire:expiring", () => {
      seen.told++;
      login();
    });
    source.addEventListener("number", (event) => seen.numbers.push(JSON.parse(event.data).n));
    source.onerror = () => (seen.closed += source.readyState === EventSource.CLOSED);
  });
  return finish(page, () => (window.seen.opens > 1 && window.seen.numbers.length > window.seen.reopened + 5) || window.seen.closed);
}

// A ticket opens one stream. When the server ends it, the same URL is refused for good.
async function ticket() {
  const page = await open(async () => {
    const seen = (window.seen = { opens: 0, closed: 0, numbers: [] });
    const text = await (await fetch("/ticket?user=ticket", { method: "POST" })).text();
    const source = new EventSource(`/sse?channel=numbers&since=0&ticket=${text}`);
    source.onopen = () => seen.opens++;
    source.addEventListener("number", (event) => seen.numbers.push(JSON.parse(event.data).n));
    source.onerror = () => (seen.closed += source.readyState === EventSource.CLOSED);
  });
  await page.waitForFunction(() => window.seen.numbers.length > 3);
  const closed = await (await fetch(`${base}/revoke?user=ticket`, { method: "POST" })).text();
  return { ...(await finish(page, () => window.seen.closed)), revoked: Number(closed) };
}

// The client of a user who is closed stays closed.
async function revoked() {
  const page = await open(async () => {
    const { connect } = await import("/moonwire.js");
    const seen = (window.seen = { states: [] });
    const token = async () => (await fetch("/token?user=revoked&seconds=60", { method: "POST" })).text();
    const connection = connect("/", { token });
    connection.on("moonwire:state", ({ state, code, reason }) => seen.states.push(code ? `${state} ${code} ${reason}` : state));
    connection.channel("numbers");
  });
  await page.waitForFunction(() => window.seen.states.includes("open"));
  await fetch(`${base}/revoke?user=revoked`, { method: "POST" });
  return finish(page, () => window.seen.states.some((state) => state.startsWith("closed")));
}

const names = ["websocket", "sse", "poll", "url", "cookie", "ticket", "revoked"];
const results = await Promise.all([client("websocket"), client("sse"), client("poll"), url(), cookie(), ticket(), revoked()]);
console.log(JSON.stringify(Object.fromEntries(names.map((name, i) => [name, results[i]]))));
await browser.close();
