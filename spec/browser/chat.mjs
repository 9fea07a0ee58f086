// Two windows of the chat in Chromium talk, and one is cut off meanwhile.
//
//   node browser/chat.mjs BASE PATH SCREENSHOTS
//
// Prints what they saw as JSON. SCREENSHOTS is the beginning of the pictures' paths.

import { launch, watch } from "../support/browser.mjs";
import { CuttingProxy } from "../support/proxy.mjs";

const [base, path, screenshots] = process.argv.slice(2);
const HOSTILE = [
  '<img src=x onerror="window.stolen = 1"><script>window.stolen = 2</script>',
  "</p><svg onload=window.stolen=3>",
  'javascript:window.stolen=4 "&quot;<b>bold</b> ${window.stolen = 5} {{7*7}}',
  "<style>body{display:none}</style><iframe srcdoc='<script>parent.stolen=6</script>'></iframe>",
  "\u202ereversed \u2066and not closed",
];
const HOSTILE_NAME = "<b onclick=f()>Eve</b>";

const proxy = new CuttingProxy();
const throughProxy = await proxy.listen(base);
const browser = await launch();
const complaints = [];

async function openWindow(address, colorScheme) {
  // A context of its own: another person's browser.
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme });
  const page = await context.newPage();
  complaints.push(watch(page, /WebSocket connection to .* failed|ERR_/));
  page.on("dialog", (dialog) => {
    complaints.push([`a dialog said ${dialog.message()}`]);
    dialog.dismiss();
  });
  page.setDefaultTimeout(90000);
  await page.goto(address + path);
  return page;
}

async function enter(page, name) {
  await page.fill("#name", name);
  await page.click("#enter button");
  await page.waitForSelector('.connection[data-state="online"]');
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const seesLine = (page, text) =>
  page.waitForFunction((wanted) => [...document.querySelectorAll(".line .text")].some((line) => line.textContent === wanted), text);
const seesRemark = (page, text) =>
  page.waitForFunction((wanted) => [...document.querySelectorAll(".remark")].some((line) => line.textContent === wanted), text);
const lines = (page) => page.locator(".line .text").allTextContents();
const people = (page) => page.locator("#people bdi").allTextContents();
const person = (page, name) => page.locator("#people button", { hasText: name });

// ---- A room ----

const ann = await openWindow(throughProxy, "dark");
await enter(ann, "Ann");
await say(ann, "Is anybody here?");
await seesLine(ann, "Is anybody here?");
const ben = await openWindow(base, "light");
await enter(ben, "Ben");
await seesLine(ben, "Is anybody here?"); // from the history
await seesRemark(ann, "Ben joined");
const atFirst = { ann: await people(ann), ben: await people(ben) };

await ben.locator("#text").pressSequentially("I am");
await ann.waitForFunction(() => document.getElementById("typing").textContent === "Ben is typing…");
await ann.screenshot({ path: `${screenshots}_typing.png` });
await ben.press("#text", "Enter");
await seesLine(ann, "I am");
await ann.waitForFunction(() => document.getElementById("typing").textContent === "");

await ben.reload(); // nobody sees that
await ben.waitForSelector('.connection[data-state="online"]');
await seesLine(ben, "I am");

// ---- Somebody who means no good ----

const eve = await openWindow(base, "dark");
await enter(eve, HOSTILE_NAME);
await seesRemark(ann, `${HOSTILE_NAME} joined`);
for (const text of HOSTILE) await say(eve, text);
for (const page of [ann, ben, eve]) for (const text of HOSTILE) await seesLine(page, text);
const markup = await ann.evaluate(() => document.querySelectorAll("#chat .line :is(script, svg, img, iframe, b, style), #people b").length);
const stolen = await Promise.all([ann, ben, eve].map((page) => page.evaluate(() => window.stolen ?? null)));
const policy = await ann.evaluate(async () => {
  const script = document.createElement("script");
  script.textContent = "window.inline = true";
  const violation = new Promise((resolve) => addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective), { once: true }));
  document.body.append(script);
  script.remove();
  return { violated: await violation, ran: window.inline === true };
});
complaints[0].splice(0, complaints[0].length, ...complaints[0].filter((text) => !/inline script/.test(text))); // that was us

// ---- Private words ----

await person(ben, "Ann").click();
await say(ben, "Just between us: who is that?");
await seesLine(ben, "Just between us: who is that?");
await ann.waitForFunction(() => document.querySelector("#privates .badge")?.textContent === "1");
const titleWithUnread = await ann.title();
await ann.locator("#privates button", { hasText: "Ben" }).click();
await seesLine(ann, "Just between us: who is that?");
await say(ann, "No idea");
await seesLine(ben, "No idea");
await seesLine(ann, "No idea");
const privates = { ann: await lines(ann), ben: await lines(ben), eve: await eve.locator("#privates li").count() };
await ann.screenshot({ path: `${screenshots}_private.png` });

// ---- Cut off ----

await ann.locator("#rooms button", { hasText: "lobby" }).click();
await ben.locator("#rooms button", { hasText: "lobby" }).click();
for (let i = 1; i <= 3; i++) {
  proxy.cut();
  await ann.waitForSelector('.connection:not([data-state="online"])');
  await say(ben, `While you were away, ${i}`);
  await seesLine(ben, `While you were away, ${i}`);
  await ann.waitForSelector('.connection[data-state="online"]');
  await seesLine(ann, `While you were away, ${i}`);
}
const room = { ann: await lines(ann), ben: await lines(ben) };
const gaps = await ann.locator(".gap").count();
const flickers = await ben.locator(".remark", { hasText: "Ann" }).count(); // who returns at once has not been away

// ---- Away for longer than the history reaches ----

const FLOOD = 250;
proxy.cutAfter = () => 0;
proxy.cut();
await ann.waitForSelector('.connection:not([data-state="online"])');
const headers = { Authorization: `Bearer ${"0".repeat(32)}:Robot`, "Content-Type": "application/json" };
for (let i = 1; i <= FLOOD; i++) {
  const body = JSON.stringify({ send: "room:lobby", event: "say", data: { text: `flood ${i}` }, ref: i });
  const answer = await (await fetch(`${base}/send`, { method: "POST", headers, body })).json();
  if (answer.ref !== i || !answer.ok) throw new Error(`/send answered ${JSON.stringify(answer)}`);
}
proxy.cutAfter = () => Infinity;
await seesLine(ann, `flood ${FLOOD}`);
const flood = {
  gaps: await ann.locator(".gap").count(),
  behindGap: await ann.locator(".gap ~ .line").count(),
  ofBen: (await lines(ben)).filter((text) => text.startsWith("flood ")).length,
};
await ann.locator(".gap").scrollIntoViewIfNeeded();
await ann.screenshot({ path: `${screenshots}_gap.png` });
await say(ann, "What was that?");
await seesLine(ann, "What was that?");

// ---- Names, leaving, other rooms ----

const other = await openWindow(base, "light");
await other.fill("#name", "ann");
await other.click("#enter button");
await other.waitForFunction(() => document.getElementById("refusal").textContent !== "");
const refusal = await other.locator("#refusal").textContent();
await other.screenshot({ path: `${screenshots}_door.png` });

// ---- What a newcomer does not get by itself ----

await enter(other, "Dora");
await seesLine(other, "What was that?");
const older = [(await lines(other)).length];
while (await other.locator("#older").isVisible()) {
  const top = await other.locator(".line").first().elementHandle();
  await other.click("#older");
  await other.waitForFunction((line) => line !== document.querySelector(".line") && !document.getElementById("older").disabled, top);
  older.push((await lines(other)).length);
}
const oldest = (await lines(other))[0];
await other.context().close();
await seesRemark(ann, "Dora left");

await ben.fill("#room", "harbour");
await ben.press("#room", "Enter");
await say(ben, "Nobody but me");
await seesLine(ben, "Nobody but me");
const alone = { lines: await lines(ben), people: await people(ben) };
await ben.locator("#rooms button", { hasText: "lobby" }).click();
await eve.context().close();
await seesRemark(ann, `${HOSTILE_NAME} left`);
const atLast = await people(ann);
const ofBen = await ann.locator(".remark", { hasText: "Ben" }).allTextContents();

await ann.screenshot({ path: `${screenshots}_dark.png` });
await ben.screenshot({ path: `${screenshots}_light.png` });
await ann.setViewportSize({ width: 390, height: 844 });
const overflow = await ann.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await ann.screenshot({ path: `${screenshots}_phone.png` });

console.log(
  JSON.stringify({
    complaints: complaints.flat(),
    hostile: HOSTILE,
    hostileName: HOSTILE_NAME,
    atFirst,
    markup,
    stolen: stolen.filter((value) => value !== null),
    policy,
    titleWithUnread,
    privates,
    room,
    gaps,
    flood,
    flickers,
    refusal,
    alone,
    atLast,
    ofBen,
    older,
    oldest,
    overflow,
  }),
);
await browser.close();
proxy.close();
