// What pages do every day, over each transport.

import assert from "node:assert/strict";
import { until } from "./stage.mjs";

const TRANSPORTS = ["websocket", "sse", "poll"];

// The same on each transport, in one page, one after the other.
const onEach = (check) => async (stage) => {
  const server = await stage.server();
  const place = await stage.place(server.base);
  for (const transport of TRANSPORTS) {
    try {
      await place.run((transports) => {
        t.transports = transports;
        t.connection = t.open({ transports });
      }, [transport]);
      await check(place, server, transport);
      await place.run(() => t.connection.close());
    } catch (error) {
      error.message = `over ${transport}: ${error.message}`;
      throw error;
    }
  }
};

export const conversation = onEach(async (place, server, transport) => {
  const seen = await place.run(async (name) => {
    const room = t.connection.channel(name);
    const came = [];
    room.on("said", (data, message) => came.push([data, message.channel, typeof message.id]));
    const joined = await room.ready;
    const answer = await room.send("say", "hello");
    const refusal = await room.send("say", "refuse").catch((error) => [error.name, error.code, error.reason, error instanceof Error]);
    const unknown = await room.send("shout").catch((error) => error.code);
    const note = await room.send("note", { a: 1 });
    for (const deadline = Date.now() + 30000; came.length < 1 && Date.now() < deadline; ) await new Promise((resolve) => setTimeout(resolve, 5));
    const page = await room.history({ limit: 2 });
    return { joined, answer, refusal, unknown, note, came, page, transport: t.connection.transport, state: t.connection.state };
  }, `room:${transport}`);
  assert.equal(seen.transport, transport);
  assert.equal(seen.state, "open");
  assert.equal(seen.joined.by, transport);
  assert.match(seen.answer.id, /^\w+-\d+$/);
  assert.deepEqual(seen.refusal, ["MoonwireError", "mine", "not that", true]);
  assert.equal(seen.unknown, "unknown_event");
  assert.match(seen.note.id, /^\w+-\d+$/);
  assert.deepEqual(seen.came, [[{ from: seen.joined.you, what: "hello" }, `room:${transport}`, "string"]]);
  assert.deepEqual(
    seen.page.messages.map(({ event }) => event),
    ["said", "note"],
  );
});

export const newcomers_get_the_replay = onEach(async (place, server, transport) => {
  const name = `new ${transport}`;
  const { published } = await server.fill(5, name);
  await place.run((of) => {
    t.first = t.follow(t.connection, of);
  }, name);
  await until("the replay came", () => place.run(() => t.first.count === 2));
  // one that comes to a connection that lasts
  await place.run((of) => (t.second = t.follow(t.connection, of)) && null, `other ${transport}`);
  await until("it joined", () => place.run((of) => t.connection.channel(of).ready.then(() => true), `other ${transport}`));
  await server.fill(4, `late ${transport}`);
  await place.run((of) => (t.third = t.follow(t.connection, of)) && null, `late ${transport}`);
  await until("the replay of the late one came", () => place.run(() => t.third.count === 2));
  await server.fill(1, `late ${transport}`);
  await until("a live one came", () => place.run(() => t.third.count === 3));
  const seen = await place.run(() => [t.first, t.second, t.third]);
  assert.deepEqual([seen[0].first, seen[0].last, seen[0].wrong], [published - 1, published, []]);
  assert.deepEqual(
    seen.map(({ gaps }) => gaps),
    [0, 0, 0],
  );
});

export const bytes = onEach(async (place, server, transport) => {
  const seen = await place.run(async (name) => {
    const room = t.connection.channel(name);
    const came = new Promise((resolve) => room.on("bytes", resolve));
    await room.ready;
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const length = await room.send("length", all);
    const view = await room.send("length", new DataView(all.buffer, 10, 20));
    const back = await came;
    return { length, view, back: back instanceof Uint8Array && [...back].every((byte, i) => byte === i) && back.length };
  }, `room:bytes-${transport}`);
  assert.deepEqual(seen, { length: 256, view: 20, back: 256 });
});

export const one_megabyte = onEach(async (place, server, transport) => {
  const seen = await place.run(async (name) => {
    const room = t.connection.channel(name);
    const came = new Promise((resolve) => room.on("said", ({ what }) => resolve(what)));
    await room.ready;
    const text = "0123456789abcdeф".repeat(1 << 16);
    await room.send("say", text);
    const length = await room.send("length", new Uint8Array(1 << 20));
    return [(await came) === text, length];
  }, `room:big-${transport}`);
  assert.deepEqual(seen, [true, 1 << 20]);
});

export const hostile_names = onEach(async (place, server, transport) => {
  const names = ["__proto__", "constructor", "a b&c=d?e#f%g+h", "<img src=x onerror=alert(1)>", "'\"\\${x}`", "ä🌙\u202e", "ö".repeat(127)];
  const seen = await place.run(
    async ([list, kind]) => {
      const result = [];
      for (const name of list) {
        const channel = t.connection.channel(`${kind} ${name}`.slice(0, 127));
        const came = new Promise((resolve) => channel.on("__proto__", (data) => resolve(data)));
        await channel.ready;
        const response = await fetch(`${t.base}/publish-one?event=__proto__&channel=${encodeURIComponent(channel.name)}`, {
          method: "POST",
          body: JSON.stringify({ name: channel.name }),
        });
        result.push(response.status === 204 && (await came).name === channel.name);
      }
      const refused = [];
      for (const name of ["", "a\nb", "x".repeat(256), "a:b:c"]) {
        refused.push(await t.connection.channel(name).ready.then(() => "joined", (error) => error.code));
      }
      try {
        t.connection.channel("half \ud800");
      } catch (error) {
        refused.push(error.name);
      }
      return [result, refused];
    },
    [names, transport],
  );
  assert.deepEqual(seen, [names.map(() => true), ["bad_request", "bad_request", "bad_request", "not_found", "URIError"]]);
});

export const a_refused_channel_leaves_the_others = onEach(async (place, server, transport) => {
  const seen = await place.run(async (kind) => {
    const told = [];
    const names = ["closed:a", `room:open-${kind}`, "a:b:c:d", "closed:b"];
    const channels = names.map((name) => t.connection.channel(name));
    channels.forEach((channel) => channel.on("moonwire:unsubscribed", ({ code }) => told.push(code)));
    const results = await Promise.all(channels.map(({ ready }) => ready.then(() => "joined", ({ code, reason }) => `${code}: ${reason}`)));
    const send = await channels[0].send("say", 1).catch(({ code }) => code);
    const works = await channels[1].send("say", 1);
    return { results, told: told.sort(), send, works: typeof works.id, state: t.connection.state };
  }, transport);
  assert.deepEqual(seen.told, ["forbidden", "forbidden", "not_found"]);
  assert.deepEqual([seen.results[0], seen.results[1]], ["forbidden: it is closed", "joined"]);
  assert.match(seen.results[2], /^not_found/);
  assert.deepEqual([seen.send, seen.works, seen.state], ["unsubscribed", "string", "open"]);
});

export const presence_is_a_live_map = onEach(async (place, server, transport) => {
  const name = `room:presence-${transport}`;
  const seen = await place.run(
    async ([room_name, kind]) => {
      const wait = async (check) => {
        for (const deadline = Date.now() + 30000; !check(); ) {
          if (Date.now() > deadline) throw new Error(`waited in vain: ${check}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      const ann = t.open({ transports: [kind], token: "ann" });
      const room = ann.channel(room_name);
      const changes = [];
      room.on("moonwire:presence", (change) => changes.push(change));
      await room.ready;
      await wait(() => room.presence.size === 1);
      const ben = t.open({ transports: ["websocket"], token: "ben" });
      const bens = ben.channel(room_name);
      await wait(() => room.presence.size === 2);
      const together = Object.fromEntries(room.presence);
      await wait(() => bens.presence.size === 2 && bens.presence.count === 2);
      ben.channel(room_name).unsubscribe();
      await wait(() => room.presence.size === 1);
      ann.close();
      ben.close();
      return { together, changes: changes.map(({ joined, left, count }) => [Object.keys(joined), left, count]) };
    },
    [name, transport],
  );
  assert.deepEqual(seen.together, { ann: { name: "ann" }, ben: { name: "ben" } });
  assert.deepEqual(seen.changes, [
    [["ann"], [], 1],
    [["ben"], [], 2],
    [[], ["ben"], 1],
  ]);
});

export const loops_end_with_the_channel = onEach(async (place, server, transport) => {
  const job = `job:loop-${transport}`;
  await place.run((name) => {
    t.steps = [];
    t.loop = (async () => {
      for await (const { data, event } of t.connection.channel(name)) t.steps.push([event, data]);
      t.steps.push("over");
    })();
    return t.connection.channel(name).ready;
  }, job);
  for (let i = 1; i < 3; i++) await server.post(`/publish-one?channel=${job}&event=step`, `${i}`);
  await server.post(`/publish-one?channel=${job}&event=done&final=1`, '"all"');
  await until("the loop is over", () => place.run(() => t.steps.at(-1) === "over"));
  assert.deepEqual(await place.run(() => t.steps), [["step", 1], ["step", 2], ["done", "all"], "over"]);
  // a newcomer to a channel that has ended gets the end, too
  const late = await place.run(async (name) => {
    const steps = [];
    for await (const { data } of t.connection.channel(name)) steps.push(data);
    return steps;
  }, job);
  assert.deepEqual(late, [1, 2, "all"]);
  // broken off by the page, or by the server
  const broken = await place.run(
    async ([base, name]) => {
      const room = t.connection.channel(name);
      await room.ready;
      let taken = 0;
      setTimeout(() => room.send("say", 1).catch(() => {}), 0);
      for await (const message of room) if (message.event === "said" && ++taken) break;
      const loop = (async () => {
        for await (const message of room) void message;
      })().catch(({ code }) => code);
      await fetch(`${base}/kick?channel=${encodeURIComponent(name)}`, { method: "POST" });
      return [taken, await loop];
    },
    [server.base, `room:loop-${transport}`],
  );
  assert.deepEqual(broken, [1, "kicked"]);
});

export const leaving_and_coming_again = onEach(async (place, server, transport) => {
  const seen = await place.run(async (name) => {
    const room = t.connection.channel(name);
    const came = [];
    const off = room.on("said", ({ what }) => came.push(what));
    room.on("*", ({ what }, { event }) => event === "said" && came.push(`* ${what}`));
    await room.ready;
    const arrived = async (count) => {
      for (const deadline = Date.now() + 30000; came.length < count && Date.now() < deadline; ) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await room.send("say", 1);
    await arrived(2);
    off();
    await room.send("say", 2);
    const hint = await room.send("typing", null, { volatile: true });
    await arrived(3);
    room.unsubscribe();
    room.unsubscribe();
    const after = await room.send("say", 3).catch(({ code }) => code);
    const again = t.connection.channel(name);
    await again.ready;
    const works = await again.send("say", 4);
    return { came, hint, after, isAnother: again !== room, works: typeof works.id };
  }, `room:again-${transport}`);
  assert.deepEqual(seen, { came: [1, "* 1", "* 2"], hint: true, after: "unsubscribed", isAnother: true, works: "string" });
});

export const words_for_one_client = onEach(async (place, server) => {
  await place.run(() => {
    t.whispers = [];
    t.connection.on("whispered", (data) => t.whispers.push(data));
    return t.connection.channel("room:whispers").ready;
  });
  await server.post("/whisper");
  await until("it was heard", () => place.run(() => t.whispers.length === 1));
  assert.deepEqual(await place.run(() => t.whispers), [{ secret: true }]);
});

export const fifty_channels = onEach(async (place, server, transport) => {
  // Long names, so that they do not fit into one URL.
  await place.run((kind) => {
    const names = Array.from({ length: 50 }, (_, i) => `${kind} ${i} ${"n".repeat(200)}`);
    t.fifty = names.map((name) => t.follow(t.connection, name));
    return Promise.all(names.map((name) => t.connection.channel(name).ready)).then(() => true);
  }, transport);
  const names = await place.run(() => t.fifty.map(({ name }) => name));
  await Promise.all(names.map((name) => server.fill(1, name)));
  await until("each has one", () => place.run(() => t.fifty.every(({ count }) => count === 1)));
  assert.ok(await place.run(() => t.fifty.every(({ gaps }) => gaps === 0)));
});

// A mistake in a handler of the page is the page's own.
export const errors_of_handlers = onEach(async (place, server, transport) => {
  const seen = await place.run(async (name) => {
    const errors = [];
    const scope = globalThis;
    const before = [scope.reportError, console.error];
    scope.reportError = console.error = (error) => errors.push(error.message);
    const room = t.connection.channel(name);
    let count = 0;
    room.on("said", () => {
      throw new Error("mine");
    });
    room.on("said", () => count++);
    await room.ready;
    await room.send("say", 1);
    for (const deadline = Date.now() + 30000; count < 1 && Date.now() < deadline; ) await new Promise((resolve) => setTimeout(resolve, 5));
    [scope.reportError, console.error] = before;
    return { errors, count };
  }, `room:errors-${transport}`);
  assert.deepEqual(seen, { errors: ["mine"], count: 1 });
});

export const presence_in_pages = onEach(async (place, server, transport) => {
  const name = `crowd:${transport}`;
  await place.run((channel) => {
    t.crowd = Array.from({ length: 15 }, (_, i) => t.open({ token: `${i * 7}` })); // numbers, which JavaScript puts into an order of its own
    return Promise.all(t.crowd.map((connection) => connection.channel(channel).ready)).then(() => true);
  }, name);
  await until("they know each other", () => place.run((channel) => t.crowd[0].channel(channel).presence.size === 15, name));
  await place.run((channel) => {
    t.ann = t.open({ token: "ann", transports: t.transports });
    t.presence = t.ann.channel(channel).presence;
  }, name);
  await until("all are known", () => place.run(() => t.presence.size === 16 && t.presence.count === 16));
  assert.deepEqual(await place.run(() => [t.presence.get("49").length, t.presence.has("ann")]), [40000, true]);
  await place.run(() => t.crowd.pop().close());
  await until("one has left", () => place.run(() => t.presence.size === 15 && !t.presence.has("98")));
  await place.run(() => [...t.crowd, t.ann].forEach((connection) => connection.close()));
});

// Over a stream and over polls, a page and what changes come by different requests: the count of a page that comes late is an old one.
export const a_late_page_of_presence = onEach(async (place, server, transport) => {
  if (transport === "websocket") return;
  await place.run((channel) => {
    t.crowd = Array.from({ length: 15 }, (_, i) => t.open({ token: `${i}` }));
    return Promise.all(t.crowd.map((connection) => connection.channel(channel).ready)).then(() => true);
  }, `crowd:${transport}`);
  await until("they know each other", () => place.run((channel) => t.crowd[0].channel(channel).presence.size === 15, `crowd:${transport}`));
  await place.run((channel) => {
    const hold = async (...request) => {
      const response = await fetch(...request);
      const page = request[1].body && (await response.clone().json()).ok;
      if (page?.members && !page.more && t.crowd.length === 15) {
        const told = new Promise((resolve) => t.late.on("moonwire:presence", ({ left }) => left.length > 0 && resolve()));
        t.crowd.pop().close();
        await told;
      }
      return response;
    };
    t.late = t.open({ token: "ann", transports: t.transports, fetch: hold }).channel(channel);
  }, `crowd:${transport}`);
  await until("all but one are known and counted", () => place.run(() => t.crowd.length === 14 && t.late.presence.size === 15 && t.late.presence.count === 15));
  await place.run(() => t.connections.forEach((connection) => connection.close()));
});
