// What stand.mjs does with each example. A story has:
//
//   env(directory)    variables for the server; `directory` is empty, and stays when the server restarts
//   seed(directory)   prepares the directory
//   path              what follows the address of the page
//   enter(page)       after a page was opened, and after a reload
//   act(stage, n)     makes something happen, by a page (stage.ann) or by a back end (stage.base, which no proxy cuts)
//   shows(page, n)    waits until a page shows it
//   cut(page)         checks a page after it was cut
//   kept              false: a restart of the server forgets what happened before
//   interrupted(stage)  begins what is in progress when the server restarts
//   returns(page)     comes back after a restart, if the page does not by itself
//   restarted(page)   waits for what the page says after a restart
//   expected          a pattern of complaints of the pages that are provoked
//   hostile(stage)    sends HOSTILE, and waits until a page shows each as text
//   finish(stage)     what else the page claims
//
// Everything that waits ends with an error after the pages' time limit.

import { execFileSync } from "node:child_process";

export const HOSTILE = [
  '<img src=x onerror="window.stolen=1"><script>window.stolen=2</script>',
  "</p><svg onload=window.stolen=3><iframe srcdoc='<script>parent.stolen=4</script>'></iframe>",
  "\u202ereversed \u2066and not closed ${window.stolen=5} {{7*7}}",
];

// Looks a few times a second. By default, Playwright looks at every frame.
const until = (page, isSo, argument) => page.waitForFunction(isSo, argument, { polling: 200 });

const json = { "Content-Type": "application/json" };

// Posts as a back end does.
async function post(stage, path, body, key) {
  const headers = { ...json, ...(key && { Authorization: `Bearer ${key}` }) };
  const response = await fetch(stage.base + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
}

const showsText = (page, selector, text) =>
  until(page, ([where, wanted]) => [...document.querySelectorAll(where)].some((found) => found.textContent === wanted), [selector, text]);

let guests = 0; // of the chat, so far

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const counted = (page, selector) => page.$$eval(selector, (found) => found.map(({ textContent }) => Number(textContent.replaceAll(",", ""))));

export const stories = {
  polling: {
    act: () => {},
    // each of the four ways has a tick more
    shows: async (page) => {
      const before = await counted(page, "[data-of=ticks]");
      await until(page, (least) =>
        [...document.querySelectorAll("[data-of=ticks]")].every(({ textContent }, i) => Number(textContent.replaceAll(",", "")) > least[i]), before);
    },
    kept: false,
    finish: async ({ ben }) => {
      const missed = await counted(ben, "[data-of=missed]"); // Ben was reloaded before the cut, and there was no restart since
      if (missed.slice(1).some((count) => count > 0)) throw new Error(`ticks were missed: ${missed}`);
    },
  },

  scoreboard: {
    act: () => {},
    // all that the server has is on the page
    shows: async (page, _, stage) => {
      const { season, matches } = await (await fetch(`${stage.base}/matches`)).json();
      await until(page, ([wanted, revs]) =>
        document.getElementById("matches").dataset.season === wanted &&
          revs.every(([id, rev]) => Number(document.getElementById(`match-${id}`).dataset.rev) >= rev),
      [season, matches.map(({ id, rev }) => [id, rev])]);
    },
    kept: false,
  },

  dashboard: {
    act: () => {},
    // a sample more; at most two minutes of them are shown
    shows: async (page) => {
      const newest = await page.evaluate(() => document.querySelector("svg .line").getAttribute("d"));
      await until(page, (before) => document.querySelector("svg .line").getAttribute("d") !== before, newest);
    },
    cut: async (page) => {
      if ((await page.locator("#notice").textContent()) !== "") throw new Error("a gap after a cut");
    },
    kept: false,
    restarted: (page) => until(page, () => document.getElementById("notice").textContent.startsWith("The server has no samples")),
  },

  progress: {
    env: () => ({ PROGRESS_KEY: "secret" }),
    path: "#nightly",
    act: (stage, n) => post(stage, "/report/nightly", { percent: 10 * n, text: `step ${n}` }, "secret"),
    shows: (page, n) => showsText(page, "#text", `step ${n}`),
    kept: false,
    restarted: (page) => showsText(page, "#text", "The server does not know this job any more. Its next report appears here."),
    hostile: async (stage) => {
      for (const text of HOSTILE) {
        await post(stage, "/report/nightly", { percent: 90, text }, "secret");
        await showsText(stage.ben, "#text", text);
      }
    },
    finish: async (stage) => {
      await post(stage, "/report/nightly", { percent: 100, text: "done" }, "secret");
      for (const page of [stage.ann, stage.ben]) {
        await page.waitForSelector(".connection[data-state=done]");
        await showsText(page, "#percent", "100 %");
      }
      await stage.ben.reload(); // late, and the stream ends again
      await stage.ben.waitForSelector(".connection[data-state=done]");
      await showsText(stage.ben, "#percent", "100 %");
    },
  },

  notifications: {
    env: (directory) => ({ NOTIFY_FILE: `${directory}/inbox.db`, NOTIFY_COOKIE_KEY: "k".repeat(32), NOTIFY_KEY: "secret" }),
    enter: async (page) => {
      await until(page, () => ["door", "inbox"].some((id) => !document.getElementById(id).hidden));
      if (await page.locator("#door").isVisible()) await page.click("[value=ann]");
    },
    act: (stage, n) => post(stage, "/notify/ann", { text: `order ${n}` }, "secret"),
    shows: async (page, n) => {
      await showsText(page, ".item.unread .text", `order ${n}`);
      await showsText(page, "#unread", String(n));
    },
    hostile: async (stage) => {
      for (const text of HOSTILE) {
        await post(stage, "/notify/ann", { text }, "secret");
        await showsText(stage.ben, ".item .text", text);
      }
    },
    finish: async ({ ann, ben }) => {
      await ann.click("#read");
      for (const page of [ann, ben]) await until(page, () => document.getElementById("unread").textContent === "" && !document.querySelector(".unread"));
      await ann.click("#leave");
      await ann.waitForSelector("#door:not([hidden])");
    },
  },

  feed: {
    env: (directory) => ({ FEED_FILE: `${directory}/feed.db` }),
    seed: (directory) => {
      const script = 'local store = require "feed_store" for i = 1, 45 do store.add("Zoe", "old " .. i) end';
      execFileSync("lua5.4", ["-e", `package.path = "examples/feed/?.lua;" .. package.path ${script}`], { env: { ...process.env, FEED_FILE: `${directory}/feed.db` } });
    },
    // what is written while the network is away is posted later
    act: async ({ ann }, n) => {
      await ann.fill("#author", "Ann");
      await ann.fill("#text", `entry ${n}`);
      await ann.click("#post button");
    },
    shows: (page, n) => showsText(page, ".text", `entry ${n}`),
    hostile: async ({ ann, ben }) => {
      for (const text of HOSTILE) {
        await ann.fill("#author", text.slice(0, 40));
        await ann.fill("#text", text);
        await ann.click("#post button");
        await showsText(ben, ".text", text);
        await showsText(ben, ".author", text.slice(0, 40));
      }
    },
    finish: async ({ ben }) => {
      await ben.locator("#older").scrollIntoViewIfNeeded().catch(() => {}); // it may have loaded them already
      for (let tries = 0; tries < 5 && (await ben.locator("#older").isVisible()); tries++) {
        const before = await ben.locator(".entry").count();
        await ben.evaluate(() => document.getElementById("older").click());
        await until(ben, (count) => document.querySelectorAll(".entry").length > count || document.getElementById("older").hidden, before);
      }
      await showsText(ben, ".text", "old 1");
      const texts = await ben.locator(".entry .text").allTextContents();
      if (texts.length !== new Set(texts).size) throw new Error(`entries twice: ${texts}`);
    },
  },

  // What is followed was started by a back end, which the cut does not reach, and in the end by the pages.
  job: {
    act: async (stage) => {
      const response = await fetch(`${stage.base}/jobs`, { method: "POST" });
      stage.job = (await response.json()).id;
    },
    shows: async (page, _, { job }) => {
      if (!page.url().endsWith(job)) {
        await page.evaluate((id) => (location.hash = id), job);
        await page.reload();
      }
      await showsText(page, "output", `Job ${job}: the sum is 210.`);
    },
    cut: async (page) => {
      await page.context().setOffline(true);
      await page.click("#start");
      await until(page, () => document.getElementById("problem").textContent.startsWith("The job was not started"));
      await page.context().setOffline(false);
      await page.waitForSelector('.connection[data-state="online"]');
    },
    kept: false,
    interrupted: async ({ ann, ben }) => {
      for (const page of [ann, ben]) {
        await page.click("#start");
        await until(page, () => document.querySelector("#jobs > :last-child progress").value > 0);
      }
    },
    restarted: (page) => until(page, () => document.querySelector("#jobs > :last-child output").textContent.endsWith("the server no longer knows all of it.")),
  },

  // A restart ends all sessions.
  login: {
    expected: /\b401\b/, // a wrong password, and a session that has ended
    enter: async (page) => {
      if (!(await page.locator("#name").isVisible())) return;
      await page.fill("#name", "ann");
      await page.fill("#password", "moonlight sonata");
      await page.click("button");
      await page.waitForURL("**/account");
    },
    act: () => {},
    shows: (page) => until(page, () => document.querySelectorAll("#sessions li").length === 2 && document.querySelector("#sessions .current")),
    kept: false,
    returns: async (page) => {
      await page.waitForURL("**/enter");
      await stories.login.enter(page);
    },
    hostile: async ({ ben }) => {
      await ben.click("text=Log out >> nth=0");
      for (const text of HOSTILE) {
        await ben.waitForURL("**/enter");
        await ben.fill("#name", text);
        await ben.fill("#password", "wrong");
        await Promise.all([ben.waitForEvent("load"), ben.click("button")]);
        await until(ben, (wanted) => document.getElementById("name").value === wanted && document.querySelector(".message").textContent !== "", text);
      }
    },
  },

  ticker: {
    act: () => {},
    shows: async (page) => {
      const [before] = await counted(page, "#received");
      await until(page, (least) => Number(document.getElementById("received").textContent.replaceAll(",", "")) > least, before);
    },
    cut: async (page) => {
      const counts = await counted(page, "#missed, #repeated, #gaps");
      if (counts.some((count) => count > 0)) throw new Error(`missed, repeated, gaps: ${counts}`);
    },
    kept: false,
    restarted: (page) => until(page, () => document.getElementById("gaps").textContent === "6"),
  },

  chat: {
    enter: async (page) => {
      await until(page, () => ["welcome", "chat"].some((id) => !document.getElementById(id).hidden));
      if (!(await page.locator("#welcome").isVisible())) return;
      await page.fill("#name", `Guest ${++guests}`);
      await page.click("#enter button");
    },
    act: ({ ann }, n) => say(ann, `line ${n}`),
    shows: (page, n) => showsText(page, ".line .text", `line ${n}`),
    kept: false,
    restarted: (page) => page.waitForSelector(".gap"),
    hostile: async ({ ann, ben }) => {
      for (const text of HOSTILE) {
        await say(ann, text);
        await showsText(ben, ".line .text", text);
      }
    },
  },

  echo: {
    act: () => {},
    shows: async (page, n) => {
      await page.fill("#text", `message ${n}`);
      await page.click("button");
      await until(page, (wanted) => [...document.querySelectorAll("tbody tr")].some(({ cells }) => cells[0].textContent === wanted && / ms$/.test(cells[1].textContent)), `message ${n}`);
    },
    kept: false,
  },
};
