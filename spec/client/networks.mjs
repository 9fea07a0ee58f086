// What networks and proxies do to the browser client in the middle of 10,000 messages.

import assert from "node:assert/strict";
import { sleep, until } from "./stage.mjs";

const TOTAL = 10000;

// Publishes the numbers that are missing up to TOTAL, a few at a time, and calls `meanwhile` at each tenth of them.
async function publish(server, meanwhile = () => {}, total = TOTAL) {
  for (let tenth = 1; tenth <= 10; tenth++) {
    for (let i = 0; i < 4; i++) await server.fill(total / 40);
    if (tenth < 10) await meanwhile(tenth);
  }
}

// Opens a connection that follows the items, and waits until it has joined.
async function follow(place, options) {
  await place.run((given) => {
    t.connection = t.open(given);
    t.items = t.follow(t.connection);
    return t.connection.channel("items").ready;
  }, options);
}

async function sees_all(place, total = TOTAL) {
  const seen = await until("the last item came", () => place.run((last) => (t.items.last >= last ? t.items : null), total), 30000).catch(
    async (error) => {
      error.message += `: ${JSON.stringify(await place.run(() => ({ ...t.items, states: t.states.slice(-6), state: t.connection.state })))}`;
      throw error;
    },
  );
  assert.deepEqual({ ...seen, wrong: seen.wrong.slice(0, 5) }, { name: "items", first: 1, last: total, count: total, wrong: [], gaps: 0 });
}

const transport = (place) => place.run(() => t.connection.transport);
const is_open = (place, kind) =>
  until(`it is open${kind ? ` over ${kind}` : ""}`, () => place.run((wanted) => t.connection.state === "open" && (!wanted || t.connection.transport === wanted), kind));

const cut = (kind) => async (stage) => {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await follow(place, { transports: [kind] });
  await publish(server, async () => {
    await is_open(place);
    gate.cut();
    // Some are published while nothing is connected, some in the middle of the replay.
    await sleep(Math.random() * 60);
  });
  await sees_all(place);
};
export const cut_over_websocket = cut("websocket");
export const cut_over_sse = cut("sse");
export const cut_over_poll = cut("poll");

export async function throttled(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  for (const kind of ["websocket", "sse", "poll"]) {
    const place = await stage.place(gate.base);
    gate.rate = 2000000;
    await place.run((transports) => {
      t.connection = t.open({ transports });
      t.items = t.follow(t.connection);
      return t.connection.channel("items").ready;
    }, [kind]);
    const { published: before } = await server.fill(1);
    await server.fill(TOTAL - 1);
    await until(`it has all over ${kind}`, () => place.run((last) => t.items.last === last, before + TOTAL - 1));
    assert.deepEqual(await place.run(() => [t.items.wrong, t.items.gaps, t.items.count]), [[], 0, TOTAL]);
    await place.run(() => t.connection.close());
    gate.rate = Infinity;
  }
}

// From WebSocket to a stream, to polls, and back.
export async function switched(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await follow(place, { recheck: 300 });
  // a quiet channel, whose cursor stays old
  await place.run(() => {
    t.quiet = t.follow(t.connection, "quiet");
    t.short = t.follow(t.connection, "short");
    return Promise.all([t.connection.channel("quiet").ready, t.connection.channel("short").ready]).then(() => true);
  });
  assert.equal(await transport(place), "websocket");
  const used = new Set();
  await publish(server, async (tenth) => {
    if (tenth % 3 !== 0) return;
    used.add(await transport(place));
    if (tenth === 3) {
      gate.upgrades = "refuse";
    } else if (tenth === 6) {
      gate.requests = (path) => (path === "/sse" ? "hold" : "pass");
    } else {
      gate.upgrades = "pass";
      gate.requests = () => "pass";
    }
    await server.fill(3, "short");
    gate.cut();
    await is_open(place, { 3: "sse", 6: "poll", 9: "websocket" }[tenth]);
    used.add(await transport(place));
  });
  assert.deepEqual([...used].sort(), ["poll", "sse", "websocket"]);
  const seen = await until("the last item came", () => place.run(() => (t.connection.state === "open" ? t.items : null)));
  assert.deepEqual([seen.wrong, seen.gaps], [[], 0]);
  await server.fill(1, "quiet");
  await until("the quiet channel is live", () => place.run(() => t.quiet.last === 1));
  await server.fill(1);
  await until("all items came", () => place.run((n) => t.items.last === n, TOTAL + 1));
  const [items, quiet, short] = await place.run(() => [t.items, t.quiet, t.short]);
  assert.deepEqual([items.count, items.gaps, quiet.count, quiet.gaps, short.count, short.gaps], [TOTAL + 1, 0, 1, 0, 9, 0]);
}

export async function a_proxy_that_refuses_upgrades(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  gate.upgrades = "refuse";
  const place = await stage.place(gate.base);
  await follow(place, {});
  assert.equal(await transport(place), "sse");
  await publish(server);
  await sees_all(place);
  // remembered by this connection, and by the page's next one
  const upgrades = () => gate.seen.filter((line) => line.startsWith("upgrade")).length;
  const before = upgrades();
  gate.cut();
  await until("it was lost", () => place.run(() => t.states.some(({ state }) => state === "waiting")));
  await is_open(place, "sse");
  assert.equal(upgrades(), before);
  if (stage.platform === "chromium") {
    await place.run(() => {
      t.second = t.open();
      return t.second.channel("items").ready;
    });
    assert.equal(await place.run(() => t.second.transport), "sse");
    assert.equal(upgrades(), before);
  }
}

export async function a_proxy_that_swallows_upgrades(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  gate.upgrades = "swallow";
  const place = await stage.place(gate.base);
  await follow(place, { openTimeout: 5000 });
  assert.equal(await transport(place), "sse");
  await publish(server);
  await sees_all(place);
  const before = gate.seen.length;
  gate.cut();
  await until("it came back", () => gate.seen.length > before);
  await is_open(place, "sse");
  assert.ok(!gate.seen.slice(before).some((line) => line.startsWith("upgrade")));
}

// A proxy that holds every answer until its end, too: only polls are left.
export async function a_proxy_that_passes_on_nothing_but_whole_answers(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  gate.upgrades = "swallow";
  gate.requests = () => "hold";
  const place = await stage.place(gate.base);
  await follow(place, { openTimeout: 400 });
  assert.equal(await transport(place), "poll");
  await publish(server);
  await sees_all(place);
}

// As one that closes whatever lasts 20 seconds, a fortieth of that.
export async function a_proxy_that_closes_what_lasts(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  gate.lifetime = 500;
  gate.cut(); // what the page was loaded by is older
  await follow(place, { shortLife: 5000, backoff: { min: 10, max: 20 } });
  for (let i = 0; i < 40; i++) {
    await server.fill(TOTAL / 40);
    await sleep(100);
  }
  await sees_all(place);
  await until("it has come down to polls", () => place.run(() => t.connection.transport === "poll"));
  for (const tried of ["upgrade /ws", "GET /sse"]) assert.ok(gate.seen.includes(tried), `${gate.seen}`);
}

// Longer than a poll may last where a proxy ends it.
// (Chromium repeats a request that was cut before its answer by itself, and tells nobody.)
polls_get_shorter.only = "node";
export async function polls_get_shorter(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  gate.lifetime = 3900;
  await follow(place, { transports: ["poll"], backoff: { min: 10, max: 20 } });
  const answers = () => gate.answered.filter((line) => line === "GET /poll").length;
  // One is enough: the next ones may be short, and end before the proxy ends them.
  await until("a poll was cut", () => place.run(() => t.states.some(({ state }) => state === "waiting")));
  await is_open(place);
  // Nothing is published: a poll that asks for the usual 25 seconds would never be answered.
  const before = answers();
  await until("polls end by themselves", () => answers() > before + 3);
  await server.fill(10);
  await sees_all(place, 10);
}

// The network is gone without a word, and comes back.
const frozen = (kind) => async (stage) => {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await follow(place, { transports: [kind], silence: 500, openTimeout: 400, pollWait: 1 });
  await server.fill(10);
  await until("some came", () => place.run(() => t.items.last === 10));
  gate.frozen = true;
  await server.fill(10);
  if (kind === "poll") gate.cut();
  await until("it was noticed", () => place.run(() => t.connection.state !== "open"));
  gate.frozen = false;
  gate.cut();
  await sees_all(place, 20);
};
export const frozen_over_websocket = frozen("websocket");
export const frozen_over_sse = frozen("sse");
export const frozen_over_poll = frozen("poll");

// In the background for ten minutes, while the network went away without a word: the clock is moved.
a_page_in_the_background.only = "chromium";
export async function a_page_in_the_background(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await place.page.clock.install();
  const hide = (hidden) =>
    place.run((is) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => is });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await place.run(() => {
    t.connection = t.open();
    t.items = t.follow(t.connection);
    return t.connection.channel("items").ready;
  });
  await server.fill(10);
  await until("some came", () => place.run(() => t.items.last === 10));
  await hide(true);
  gate.frozen = true;
  await server.fill(10);
  await place.page.clock.runFor(60000);
  await place.page.clock.fastForward(9 * 60000);
  gate.frozen = false;
  gate.cut();
  await hide(false);
  await until("it has what it missed", async () => {
    await place.page.clock.runFor(100);
    return place.run(() => t.items.last === 20);
  });
  assert.deepEqual(await place.run(() => [t.items.wrong, t.items.gaps, t.items.count]), [[], 0, 20]);
}

// Where there is no page, something like one: what tells that it is seen again makes the client look for the server at once.
const seen_again = (kind) =>
  Object.assign((stage) => see_again(stage, kind), { only: "node" });
export const a_page_that_is_seen_again_over_websocket = seen_again("websocket");
export const a_page_that_is_seen_again_over_sse = seen_again("sse");
export const a_page_that_is_seen_again_over_poll = seen_again("poll");
async function see_again(stage, kind) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  const page = Object.assign(new EventTarget(), { hidden: false });
  await place.run(([it, transport]) => {
    globalThis.document = it;
    t.connection = t.open({ transports: [transport], silence: 3600000, openTimeout: 6000, backoff: { min: 3600000, max: 3600000 } });
    delete globalThis.document;
    t.items = t.follow(t.connection);
    return t.connection.channel("items").ready;
  }, [page, kind]);
  const show = (hidden) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  await server.fill(10);
  await until("some came", () => place.run(() => t.items.last === 10));
  show(true);
  gate.frozen = true;
  await server.fill(10);
  await sleep(400);
  assert.equal(await place.run(() => t.connection.state), "open");
  show(false);
  await until("it was noticed", () => place.run(() => t.connection.state === "waiting"));
  gate.frozen = false;
  gate.cut();
  // The next attempt would be in half an hour.
  await until("it is open", async () => {
    show(true);
    show(false);
    await sleep(50);
    return place.run(() => t.connection.state === "open");
  });
  await sees_all(place, 20);
}

// On a stream the missed messages of a channel that joins later are read by polls: one that is refused for now is no gap.
export async function what_was_missed_is_refused_for_now(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await follow(place, { transports: ["sse"] });
  await server.fill(5, "late");
  const id = await place.run(async () => {
    const { messages } = await t.connection.channel("late").ready.then(() => t.connection.channel("late").history({ limit: 3 }));
    t.connection.channel("late").unsubscribe();
    return messages[0].id;
  });
  let refusals = 0;
  gate.requests = (path) => (path === "/poll" && refusals++ < 2 ? 503 : "pass");
  await place.run((since) => {
    t.connection.channel("late", { since });
    t.late = t.follow(t.connection, "late");
  }, id);
  await until("it has the two that it missed", () => place.run(() => t.late.count === 2));
  assert.deepEqual(await place.run(() => [t.late.first, t.late.last, t.late.gaps]), [4, 5, 0]);
  assert.ok(refusals > 2);
}

// What the app sends to one client is of no channel. A stream cannot carry it, so a WebSocket that has failed is tried again.
export async function without_a_channel(stage) {
  const server = await stage.server();
  const gate = await stage.gate(server.base);
  const place = await stage.place(gate.base);
  await place.run(() => {
    t.connection = t.open();
  });
  await is_open(place, "websocket");
  gate.upgrades = "refuse";
  gate.cut();
  await until("it waits", () => place.run(() => t.connection.state === "waiting"));
  gate.upgrades = "pass";
  await is_open(place, "websocket");
}
