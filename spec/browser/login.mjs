// examples/login in Chromium, and pages of other origins that attack it:  node browser/login.mjs BASE PATH SCREENSHOT. Prints
// what happened as JSON.
//
// The attackers are on another port of the same host, whose requests have the user's cookies (the same site, another origin),
// and on localhost in place of 127.0.0.1 (another site).

import { createServer } from "node:http";
import { launch, watch } from "../support/browser.mjs";

const [base, path, screenshot] = process.argv.slice(2);
const at = (name) => `${base}${path}${name}`;
const browser = await launch();

async function logIn(context, name, password) {
  const page = await context.newPage();
  await page.goto(at(""));
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("button");
  return page;
}

const sessionsOf = (page, count) =>
  page.waitForFunction((n) => document.querySelectorAll("#sessions li").length === n, count).then(() =>
    page.locator("#sessions li").allTextContents());

// ---- Logging in and out

const seen = {};
const context = await browser.newContext({ viewport: { width: 390, height: 780 } });
const wrong = await context.newPage();
const complaints = watch(wrong, /401/);
await wrong.goto(at("account"));
seen.redirected = new URL(wrong.url()).pathname;
await wrong.screenshot({ path: `${screenshot}_enter.png` });
await wrong.fill("#name", "ann");
await wrong.fill("#password", "wrong");
await wrong.click("button");
seen.refused = { text: await wrong.textContent(".message"), name: await wrong.inputValue("#name"), password: await wrong.inputValue("#password") };
seen.overflow = await wrong.evaluate(() => document.documentElement.scrollWidth - innerWidth);
await wrong.fill("#password", "moonlight sonata");
await wrong.click("button");
await wrong.waitForURL(at("account"));
seen.first = (await sessionsOf(wrong, 1)).length;

const second = await browser.newContext();
const other = await logIn(second, "ann", "moonlight sonata");
const complaintsOther = watch(other, /401/);
await other.waitForURL(at("account"));
seen.second = (await sessionsOf(other, 2)).length;
await sessionsOf(wrong, 2);
await wrong.screenshot({ path: `${screenshot}_account.png` });
seen.script = await wrong.evaluate(() => document.cookie); // HttpOnly

await wrong.click("text=Log out the other");
await other.waitForURL(at("enter"));
seen.thrownOut = new URL(other.url()).pathname;
seen.left = (await sessionsOf(wrong, 1)).length;

// ---- Attacks

const attack = `<!doctype html><title>attack</title><body><script>
  const target = ${JSON.stringify(base)}, path = ${JSON.stringify(path)};
  const wait = (promise) => Promise.race([promise, new Promise((done) => setTimeout(done, 30000, "late"))]);
  const listen = (url) => new Promise((done) => {
    const source = new EventSource(url, { withCredentials: true });
    source.onopen = () => { source.close(); done("open"); };
    source.onmessage = source.onopen;
    source.onerror = () => { source.close(); done("refused"); };
  });
  const socket = (url) => new Promise((done) => {
    const s = new WebSocket(url.replace("http", "ws"), "moonwire.1");
    s.onopen = () => done("open");
    s.onerror = () => done("refused");
  });
  // What a page can tell of a request without CORS is only whether it got an answer.
  const send = (url, options) => fetch(url, { credentials: "include", ...options }).then((r) => r.type + " " + r.status, () => "failed");
  const image = (url) => new Promise((done) => {
    const img = new Image();
    img.onload = img.onerror = () => done("asked");
    img.src = url;
  });
  window.attack = async () => ({
    stream: await wait(listen(target + path + "account/events")),
    sse: await wait(listen(target + "/sse?channel=inbox")),
    poll: await wait(send(target + "/poll?channel=inbox")),
    websocket: await wait(socket(target + "/ws")),
    read: await wait(send(target + path + "account")),
    form: await wait(send(target + path + "account/leave", { method: "POST", mode: "no-cors", body: new URLSearchParams({ a: 1 }) })),
    text: await wait(send(target + path + "account/leave", { method: "POST", mode: "no-cors", body: "{}" })),
    json: await wait(send(target + path + "account/leave", { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } })),
    beacon: navigator.sendBeacon(target + path + "account/leave", new Blob(["a=1"], { type: "application/x-www-form-urlencoded" })),
    image: await wait(image(target + path + "account/events")),
    noCors: await wait(send(target + path + "account/events", { mode: "no-cors" })),
    send: await wait(send(target + "/send", { method: "POST", mode: "no-cors", body: '{"send":"inbox","event":"say","data":1}' })),
  });
</script><form id="form" method="post" action="${base}${path}account/leave"><input name="a" value="1"></form>
<form id="enter" method="post" action="${base}${path}enter"><input name="name" value="ben"><input name="password" value="clair de lune"></form>`;

const requests = [];
const attacker = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(request.url === "/favicon.ico" ? "" : attack);
});
await new Promise((done) => attacker.listen(0, done));
const port = attacker.address().port;

seen.attacks = {};
for (const [name, origin] of Object.entries({ sameSite: `http://127.0.0.1:${port}`, otherSite: `http://localhost:${port}` })) {
  const page = await context.newPage();
  page.on("response", (r) => {
    if (r.url().startsWith(base)) requests.push(`${r.status()} ${r.request().method()} ${new URL(r.url()).pathname}`);
  });
  await page.goto(`${origin}/`);
  const results = await page.evaluate(() => window.attack());
  // A form, or a link, that takes the whole page along.
  const follow = async (act) => {
    await page.goto(`${origin}/`);
    await Promise.all([page.waitForURL((url) => url.origin === base), page.evaluate(act, at("account/events"))]);
    return `${new URL(page.url()).pathname} ${(await page.textContent("body")).trim().replace(/\s+/g, " ").slice(0, 120)}`;
  };
  results.posted = await follow(() => document.querySelector("#form").submit());
  results.entered = await follow(() => document.querySelector("#enter").submit());
  results.opened = await follow((url) => location.assign(url));
  await page.close();
  seen.attacks[name] = results;
}

// The session is what it was.
await wrong.reload();
seen.after = { url: new URL(wrong.url()).pathname, sessions: (await sessionsOf(wrong, 1)).length };
await wrong.click("text=Log out >> nth=0");
await wrong.waitForURL(at("enter"));
seen.cookies = (await context.cookies()).map((cookie) => `${cookie.name} ${cookie.httpOnly} ${cookie.sameSite}`).sort();
console.log(JSON.stringify({ ...seen, requests, complaints: [...complaints, ...complaintsOther].filter((text) => !/^401 .*(enter|events)$/.test(text)) }));
attacker.close();
await browser.close();
