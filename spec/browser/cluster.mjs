// examples/cluster in Chromium: the node that serves the page is killed by its button, by keyboard, and started again.
//
//   node browser/cluster.mjs BASE REDIS

import { execFileSync } from "node:child_process";
import { launch, watch } from "../support/browser.mjs";

const [base, redis] = process.argv.slice(2);
const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 375, height: 812 }, reducedMotion: "reduce" })).newPage();
const complaints = watch(page, /WebSocket connection to .* failed|ERR_|status of 50[234]/);
page.setDefaultTimeout(120000);

const until = (isSo, argument) => page.waitForFunction(isSo, argument, { polling: 200 });
const isUp = (name) => page.waitForSelector(`#node-${name}[data-state="up"]`);
const number = (id) => page.$eval(`#${id}`, ({ textContent }) => Number(textContent.replaceAll(",", "")));
const notes = () => page.$$eval("#notes .text", (found) => found.map(({ textContent }) => textContent));

// The name of the node that serves the page, once there is another one than `name`.
async function serving(name = "") {
  const handle = await until((other) => {
    const card = [...document.querySelectorAll(".node")].find((node) => node.querySelector(".badge").textContent);
    return card && card.id !== `node-${other}` && card.id.slice("node-".length);
  }, name);
  return handle.jsonValue();
}

// Presses the button of a node, as somebody without a mouse does.
async function press(name, label) {
  await until(([id, text]) => {
    const button = document.querySelector(`#node-${id} button`);
    return button.textContent === `${text} node ${id}` && button.getAttribute("aria-disabled") === "false";
  }, [name, label]);
  for (let i = 0; i < 20 && !(await page.$(`#node-${name} button:focus`)); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
}

async function write(text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
  await until((wanted) => [...document.querySelectorAll("#notes .text")].some(({ textContent }) => textContent === wanted), text);
}

const result = { killed: [] };
try {
  await page.goto(base);
  for (const name of ["1", "2", "3"]) await isUp(name);
  await write("before");
  let name = await serving();
  for (let i = 0; i < 2; i++) {
    result.killed.push(name);
    await press(name, "Kill");
    const next = await serving(name);
    await page.waitForSelector(`#node-${name}[data-state="down"]`);
    await write(`${name} is gone`);
    await press(name, "Start");
    await isUp(name);
    name = next;
  }
  // a program that is not a node, and whose data nobody has checked
  const hostile = '{"text":"<img src=x onerror=stolen=1>","node":"<b>"}';
  execFileSync("examples/cluster/publish.py", ["cluster:notes", "note", hostile], { env: { ...process.env, REDIS: redis } });
  execFileSync("examples/cluster/publish.py", ["cluster:notes", "note", "[null]"], { env: { ...process.env, REDIS: redis } });
  await until(() => document.querySelectorAll("#notes li").length >= 5);
  const before = await number("received");
  await until((least) => Number(document.getElementById("received").textContent.replaceAll(",", "")) > least + 6, before);
  for (const id of ["missed", "repeated", "gaps", "returns"]) result[id] = await number(id);
  result.notes = await notes();
  result.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
} catch (error) {
  complaints.push(`${error.message}\n${await page.evaluate(() => document.body.innerText).catch(String)}`);
}
// the answer to the button may be lost with the node that should give it
const unexpected = complaints.filter((text) => !/^50[234] .*\/nodes\//.test(text));
console.log(JSON.stringify({ ...result, complaints: unexpected }));
await browser.close();
