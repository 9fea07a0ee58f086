// The page of examples/assistant in Chromium: questions, reloads, tabs, a network that fails, the stop button.
//
//   node browser/assistant.mjs BASE SCREENSHOTS
//
// Prints what it saw as JSON. SCREENSHOTS is the beginning of the pictures' paths.

import { launch, watch } from "../support/browser.mjs";
import { CuttingProxy } from "../support/proxy.mjs";

const [base, screenshots] = process.argv.slice(2);
const HOSTILE = `<img src=x onerror="window.stolen = 1"><script>window.stolen = 2</script></p><svg onload=window.stolen=3> \u202ereversed \${window.stolen = 4}`;
const COUNT = 100;
const LONG = "count to 2000";
const counted = Array.from({ length: COUNT }, (_, i) => i + 1).join(" ");

const proxy = new CuttingProxy();
const throughProxy = await proxy.listen(base);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme: "light" });
const complaints = [];
// After a cut, the browser client may send for a stream that the server no longer knows: it is answered with 404, and reconnects.
const isReal = (complaint) => !/^404 .*\/send$/.test(complaint);

async function openTab(address) {
  const page = await context.newPage();
  complaints.push(watch(page, /WebSocket connection to .* failed|ERR_|status of 404/));
  page.setDefaultTimeout(90000);
  page.on("dialog", (dialog) => {
    complaints.push([`a dialog said ${dialog.message()}`]);
    dialog.dismiss();
  });
  await page.goto(address);
  return page;
}

async function ask(page, question) {
  await page.fill("#input", question);
  await page.press("#input", "Enter");
  await page.waitForFunction((text) => document.getElementById("question").textContent === text, question);
}

const text = (page) => page.locator("#text").textContent();
const note = (page) => page.locator("#state").textContent();
const list = (page) => page.locator("#list a").allTextContents();
const has = (page, part) => page.waitForFunction((wanted) => document.getElementById("text").textContent.includes(wanted), part);
const ended = (page) => page.waitForFunction(() => ["done", "failed", "lost"].includes(document.getElementById("state").dataset.state));
const online = (page) => page.waitForFunction(() => document.getElementById("connection").parentElement.dataset.state === "online");
const isOffline = (page) => page.waitForFunction(() => document.getElementById("connection").parentElement.dataset.state !== "online");

// ---- A question, a reload in the middle, other tabs ----

const first = await openTab(`${throughProxy}/`);
await ask(first, `count to ${COUNT}`);
await has(first, "1 2 3");
await first.screenshot({ path: `${screenshots}_light.png` });
await first.reload();
await has(first, "1 2 3");
const second = await openTab(first.url());
await has(second, "1 2 3");
proxy.cut();
await Promise.all([ended(first), ended(second)]);
const third = await openTab(first.url()); // after the end
await ended(third);
const count = { texts: await Promise.all([first, second, third].map(text)), notes: await Promise.all([first, second, third].map(note)) };

// ---- The stop button and its key: in all tabs ----

await ask(first, LONG);
await second.locator("#list a", { hasText: LONG }).click();
await Promise.all([has(first, "1 2 3"), has(second, "1 2 3")]);
await second.bringToFront();
await second.click("#stop");
await Promise.all([ended(first), ended(second)]);
const stopped = { texts: await Promise.all([first, second].map(text)), notes: await Promise.all([first, second].map(note)) };
await ask(second, LONG);
await has(second, "1 2 3");
await second.keyboard.press("Escape");
await ended(second);
stopped.byKey = await note(second);

// ---- No network ----

await ask(first, `count to ${COUNT + 1}`);
await has(first, "1 2 3");
proxy.cutAfter = () => 0;
proxy.cut();
await isOffline(first);
await second.fill("#input", "count to 3"); // nothing arrives
await second.press("#input", "Enter");
await second.waitForFunction(() => document.getElementById("state").dataset.state === "sending");
const address = second.url();
await second.reload().catch(() => {}); // fails, too
proxy.cutAfter = () => Infinity;
await online(first);
await ended(first);
await second.goto(address); // the question is sent again, now or by Chromium's own repetition
await second.waitForFunction(() => document.getElementById("question").textContent === "count to 3");
await ended(second);
const network = { texts: await Promise.all([first, second].map(text)) };

// ---- Hostile text, in the question and in the tokens ----

await ask(first, HOSTILE);
await ended(first);
for (const page of [first, second, third])
  await page.waitForFunction((hostile) => [...document.querySelectorAll("#list a")].some((link) => link.textContent === hostile), HOSTILE);
const hostile = {
  isShown: (await text(first)).includes(HOSTILE) && (await first.locator("#question").textContent()) === HOSTILE,
  markup: await first.evaluate(() => document.querySelectorAll("#answer :is(img, script, svg), #list :is(img, script, svg)").length),
  stolen: await first.evaluate(() => window.stolen ?? null),
};
const policy = await first.evaluate(async () => {
  const script = document.createElement("script");
  script.textContent = "window.inline = true";
  const violation = new Promise((resolve) => addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective), { once: true }));
  document.body.append(script);
  script.remove();
  return { violated: await violation, ran: window.inline === true };
});
complaints[0].splice(0, complaints[0].length, ...complaints[0].filter((line) => !/inline script/.test(line))); // that was us

// ---- Past answers, and an address that leads nowhere ----

const lists = await Promise.all([first, second, third].map(list));
await first.locator("#list a", { hasText: `count to ${COUNT}` }).last().press("Enter");
await first.waitForFunction((wanted) => document.getElementById("question").textContent === wanted, `count to ${COUNT}`);
await ended(first);
const past = { text: await text(first), current: await first.locator("#list [aria-current=page]").allTextContents() };
await first.goBack();
await first.waitForFunction((wanted) => document.getElementById("question").textContent === wanted, HOSTILE);
await third.goto(`${throughProxy}/#${"0".repeat(32)}`);
await ended(third);
const nowhere = await note(third);
await first.emulateMedia({ colorScheme: "dark" });
await first.screenshot({ path: `${screenshots}_dark.png` });
await first.setViewportSize({ width: 360, height: 740 });
const overflow = await first.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await first.screenshot({ path: `${screenshots}_phone.png`, fullPage: true });

console.log(JSON.stringify({ complaints: complaints.flat().filter(isReal), counted, count, stopped, network, hostile, policy, lists, past, nowhere, overflow }));
await browser.close();
proxy.close();
