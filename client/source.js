// The browser client: one connection, whichever transport it takes, and channels that lose nothing silently.
// scripts/build-client makes moonwire.js and moonwire.classic.js of this file; moonwire.d.ts declares what it exports.

const KINDS = ["websocket", "sse", "poll"];
const URL_MAX = 3500; // of the names in a URL: channels beyond it are subscribed by verbs
const TIMEOUT_MAX = 240000; // so long a send is repeated: the server knows its key for 5 minutes
const FOREVER = 1e9; // milliseconds that timers can hold; a time in seconds since 1970 is more

const noop = () => {};
const { now } = Date;

class MoonwireError extends Error {
  constructor(code, reason = code, more) {
    super(reason);
    Object.assign(this, { name: "MoonwireError", code, reason }, more);
  }
}

// An error that also says what is to be done. `down`: the server said why, or cannot be reached, and no other transport would fare better;
// `again`: try at once; `wait`: only after so many milliseconds; `unauthorized`: with another token.
const fault = (...parts) => new MoonwireError(...parts);
const lost = (more) => fault("disconnected", undefined, more);
const late = () => fault("timeout");
const left = () => fault("unsubscribed");

const errorOf = ({ error }) => error && fault(error.code, error.reason);

// Ids of one epoch have the same length, so they compare as texts.
const epochOf = (id) => id.slice(0, id.lastIndexOf("-"));
const isAfter = (id, cursor) => !cursor || epochOf(id) !== epochOf(cursor) || id > cursor;

const gapOf = (name) => ({ channel: name, event: "moonwire:gap", data: { channel: name } });

// Bytes as base64, or undefined.
function encode(data) {
  const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data instanceof ArrayBuffer && new Uint8Array(data);
  if (bytes) return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

// Streams, polls and histories carry bytes as base64.
function unpack(message) {
  const { base64 } = message;
  if (base64 !== undefined) message.data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function emitter() {
  const handlers = new Map();
  const of = (event) => handlers.get(event) ?? handlers.set(event, new Set()).get(event);
  return {
    on(event, handler) {
      of(event).add(handler);
      return () => of(event).delete(handler);
    },
    // An error in a handler is the page's own: it is reported, and the other handlers are called all the same.
    emit(event, data, message) {
      for (const handler of [...of(event), ...of("*")]) {
        try {
          handler(data, message);
        } catch (error) {
          (globalThis.reportError ?? console.error)(error);
        }
      }
    },
  };
}

function connect(url = "/", options = {}) {
  const { token, credentials = "same-origin", headers, offline = "queue", queue = 1000, timeout = 30000 } = options;
  const { openTimeout = 5000, silence, shortLife = 60000, recheck = 600000 } = options;
  const { min: delayMin = 1000, max: delayMax = 30000 } = options.backoff ?? {};
  const Socket = options.WebSocket ?? globalThis.WebSocket;
  const get = options.fetch ?? globalThis.fetch.bind(globalThis);
  const base = new URL(url, globalThis.location?.href);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const { ws = "ws", sse = "sse", poll = "poll", send = "send" } = options.paths ?? {};
  const kinds = (options.transports ?? KINDS).filter((kind) => kind !== "websocket" || Socket);
  const page = globalThis.document;

  const events = emitter();
  const channels = new Map(); // by name: what makeChannel returns
  const outbox = new Set(); // what asks for an answer and has none, in order
  let link = null; // the transport in use
  let closed = null; // why it is over
  let wake = noop; // ends the wait before the next attempt
  let epoch = ""; // of the newest id
  const asksForToken = typeof token === "function";
  let secret = asksForToken ? undefined : token;
  let stale = asksForToken && "connect"; // why the token must be asked for before the next attempt
  let renewing; // timers
  let flushing;
  let pollWait = options.pollWait ?? 25;

  // ---- Transports that do not work here, which the next page need not try again ----

  let blocked = {}; // until when, by kind
  const memory = `moonwire:${base}`;
  try {
    if (page) blocked = JSON.parse(localStorage[memory]);
  } catch {
    // nothing is remembered
  }

  function remember(kind) {
    blocked[kind] = now() + recheck;
    try {
      if (page) localStorage[memory] = JSON.stringify(blocked);
    } catch {
      // the page may store nothing
    }
  }

  // ---- Tokens ----

  async function renewToken(reason) {
    secret = await token({ reason });
    stale = false;
  }

  async function renew() {
    clearTimeout(renewing);
    if (!asksForToken || closed) return;
    try {
      await renewToken("expiring");
      link?.ask({ token: secret }, (error, ok) => expireIn(ok?.expires));
    } catch {
      renewing = setTimeout(renew, delayMin * (1 + Math.random()));
    }
  }

  // `expires`: seconds from now, or since 1970.
  function expireIn(expires) {
    clearTimeout(renewing);
    const seconds = expires > FOREVER ? expires - now() / 1000 : expires;
    if (expires) renewing = setTimeout(renew, Math.min(seconds * 800, FOREVER));
  }

  // ---- Requests ----

  const address = (path, query) => new URL(query ? `${path}?${query}` : path, base);

  function request(target, init) {
    const authorization = secret && { Authorization: `Bearer ${secret}` };
    return get(target, { cache: "no-store", credentials, ...init, headers: { ...headers, ...authorization, ...init.headers } });
  }

  const jsonOf = async (response) => (await response.json().catch(noop)) ?? {};

  function faultOf({ status, headers: fields }, { error = {}, channel }) {
    return fault(error.code ?? "unavailable", error.reason ?? `HTTP ${status}`, {
      status,
      channel,
      wait: Math.min(1000 * fields.get("retry-after") || 0, FOREVER),
      unauthorized: status === 401,
      down: status === 401 || status === 429 || status >= 500,
    });
  }

  // ---- Channels ----

  function makeChannel(name, cursor) {
    const own = emitter();
    const queues = new Set(); // of loops
    const presence = Object.assign(new Map(), { count: 0 });
    let ready;

    const api = {
      name,
      presence,
      ready: new Promise((...pair) => (ready = pair)),
      on: own.on,
      async send(event, data = null, { timeout: ms = timeout, volatile, idempotencyKey } = {}) {
        const base64 = encode(data);
        const verb = { send: name, event, ...(base64 === undefined ? { data } : { base64 }) };
        if (!volatile) {
          verb.idempotency_key = idempotencyKey ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
          return submit(channel, verb, ms);
        }
        if (channel.isJoined) link.ask(verb, noop);
        return channel.isJoined;
      },
      async history({ since, before, limit } = {}) {
        const found = await submit(channel, { history: name, since, before, limit }, timeout);
        found.messages.forEach(unpack);
        return found;
      },
      unsubscribe() {
        if (channel.isJoined) link.ask({ unsubscribe: name }, noop);
        channel.finish();
      },
      [Symbol.asyncIterator]() {
        const loop = { list: [], end: channel.live ? undefined : null, step: noop };
        queues.add(loop);
        return (async function* () {
          try {
            for (;;) {
              if (loop.list[0]) yield loop.list.shift();
              else if (loop.end) throw loop.end;
              else if (loop.end === null) return;
              else await new Promise((resolve) => (loop.step = resolve));
            }
          } finally {
            queues.delete(loop);
          }
        })();
      },
    };
    api.ready.catch(noop);

    const channel = {
      api,
      name,
      size: encodeURIComponent(name).length + 9, // of its part of a URL; throws if the name has half a character
      cursor,
      live: true, // the page has not left it, and the server has not ended it
      isJoined: false,
      asked: null, // the link that was asked to subscribe, or whose URL had it
      held: null, // what waits until catchUp is done
      round: null, // of the presence snapshot that is being read
      emit(message) {
        own.emit(message.event, message.data, message);
        if (message.event.startsWith("moonwire:") && message.event !== "moonwire:gap") return;
        for (const loop of queues) {
          // A loop that is too slow is told of a gap in place of what it did not take.
          if (loop.list.length > 9999) loop.list = [gapOf(name)];
          loop.list.push(message);
          loop.step();
        }
      },
      note: (event, data) => channel.emit({ channel: name, event: `moonwire:${event}`, data }),
      acknowledge({ data, presence: snapshot, recovered }) {
        channel.isJoined = true;
        api.data = data;
        if (snapshot) takePage(channel, snapshot);
        channel.note("subscribed", { data, recovered });
        ready[0](data);
        flush();
      },
      // The subscription is over; `error` says why, if the page did not end it.
      finish(error) {
        if (channel.live) channels.delete(name);
        channel.isJoined = channel.live = false;
        for (const item of outbox) if (item.of === channel) settle(item, error ?? left());
        ready[1](error ?? left());
        for (const loop of queues) {
          loop.end = !error || error.code === "ended" ? null : error;
          loop.step();
        }
      },
    };
    return channel;
  }

  function refuse(channel, { code, reason }, event = "unsubscribed") {
    channel.note(event, { code, reason });
    channel.finish(fault(code, reason));
  }

  const end = (channel) => refuse(channel, fault("ended"), "end");

  // ---- Presence ----

  function update(channel, joined, gone, count) {
    const { presence } = channel.api;
    for (const id of gone) presence.delete(id);
    for (const [id, info] of Object.entries(joined)) presence.set(id, info);
    presence.count = count;
    channel.note("presence", { joined, left: gone, count });
  }

  // A snapshot, or a page of one that is too large. Only differences are told, so that a reconnect shows who came and went meanwhile. What
  // changes while pages are read is newer than what they say.
  function takePage(channel, { members = {}, count, more, after }, round = (channel.round = { changed: new Set(), seen: new Set() })) {
    const { presence } = channel.api;
    if (channel.round !== round) return;
    const joined = [];
    for (const [id, { info }] of Object.entries(members)) {
      round.seen.add(id);
      if (round.changed.has(id)) continue;
      if (presence.has(id)) presence.set(id, info);
      else joined.push([id, info]);
    }
    const isLast = !more || (round.pages && !after);
    const gone = [...presence.keys()].filter((id) => isLast && !(round.seen.has(id) || round.changed.has(id)));
    if (isLast) channel.round = null;
    update(channel, Object.fromEntries(joined), gone, round.changed.size ? presence.count : count);
    if (isLast) return;
    round.pages = true;
    submit(channel, { presence: channel.name, after }, timeout).then((next) => takePage(channel, next, round), noop);
  }

  function takePresence(channel, change) {
    const { joined, left: gone, count } = change;
    if (!joined) takePage(channel, change);
    else {
      for (const id of [...gone, ...Object.keys(joined)]) channel.round?.changed.add(id);
      update(channel, joined, gone, count);
    }
  }

  // ---- What comes in ----

  function deliver(channel, message) {
    const { event, data, id } = message;
    if (channel.held) channel.held.push(message);
    else if (event === "moonwire:presence") takePresence(channel, data);
    else if (event === "moonwire:end") end(channel);
    else if (event === "moonwire:unsubscribed") refuse(channel, data);
    else if (!id || isAfter(id, channel.cursor)) {
      if (id) channel.cursor = id;
      unpack(message);
      channel.emit(message);
    }
  }

  function take(message, source) {
    const { event, data, channel: name, id } = message;
    const channel = channels.get(name ?? data?.channel);
    if (id) {
      epoch = epochOf(id);
      source.fresh = false;
    }
    if (event === "moonwire:expiring") renew();
    else if (!channel || (name === undefined && !event.startsWith("moonwire:"))) {
      unpack(message);
      events.emit(event, message.data, message);
    } else if (event === "moonwire:gap" && source.fresh && channel.cursor && channel.cursor !== source.since) {
      // The stream began at the oldest cursor of all channels: whether this one misses something is asked for its own.
      catchUp(channel, source);
    } else deliver(channel, message);
  }

  // On a stream, and over polls: reads what came after the channel's own cursor, or what a newcomer gets. What comes live is held meanwhile.
  async function catchUp(channel, source) {
    const held = (channel.held ??= []);
    const found = [];
    let since = channel.cursor;
    let answer = { more: true };
    while (answer.more && channel.held === held) {
      const query = new URLSearchParams({ channel: channel.name, wait: 0 });
      if (since) query.set("since", since);
      const empty = { gaps: [], messages: [], id: since };
      const read = (response) => {
        const { status } = response;
        if (status < 300) return status === 200 ? response.json() : empty;
        // It is refused for now.
        if (status > 428) return new Promise((resolve) => setTimeout(resolve, delayMin, { ...empty, more: true }));
      };
      answer = await request(address(poll, query), { signal: source.signal }).then(read).catch(noop);
      // Where polls are turned off, what cannot be read counts as missing.
      answer ??= { ...empty, gaps: since ? [channel.name] : [] };
      found.push(...answer.gaps.map(gapOf), ...answer.messages);
      since = answer.id;
    }
    if (channel.held !== held) return;
    channel.held = null;
    for (const message of [...found, ...held]) deliver(channel, message);
    if (since && isAfter(since, channel.cursor)) channel.cursor = since;
  }

  // ---- What goes out ----

  function settle(item, error, ok) {
    if (!outbox.delete(item)) return;
    clearTimeout(item.timer);
    if (error) item.no(error);
    else item.yes(ok);
  }

  // Asks for an answer, now or when there is a connection, and again if the connection is lost before it comes.
  async function submit(channel, verb, ms) {
    if (closed) throw closed;
    if (!channel.live) throw left();
    if (!link && offline !== "queue") throw fault("offline");
    if (outbox.size >= queue) throw fault("queue_full");
    return new Promise((yes, no) => {
      // As it is now: it may be sent later, and more than once. What JSON cannot hold throws here, before it stands in the way of others.
      const text = JSON.stringify(verb);
      const item = { of: channel, size: text.length, verb: JSON.parse(text), yes, no };
      outbox.add(item);
      item.timer = setTimeout(settle, Math.min(ms, TIMEOUT_MAX), item, late());
      flush();
    });
  }

  function flush() {
    const asked = link;
    for (const item of outbox) {
      if (!asked || link !== asked) return;
      if (item.busy || !item.of.isJoined) continue;
      item.busy = item.sent = asked;
      asked.ask(item.verb, (error, ok) => {
        if (item.busy !== asked) return;
        item.busy = null;
        if (error?.code === "unavailable") {
          clearTimeout(flushing);
          flushing = setTimeout(flush, Math.max(error.wait ?? 0, delayMin * (0.5 + Math.random())));
        } else if (error?.code !== "disconnected") settle(item, error, ok);
      });
    }
  }

  // The server closed because a message was too large for it: the largest one is not sent again.
  function dropLargest() {
    const [largest] = [...outbox].filter((item) => item.sent).sort((a, b) => b.size - a.size);
    settle(largest, fault("too_large"));
  }

  // ---- Joining ----

  function join(channel) {
    const asked = link;
    // A stream has one id for all channels: what it does not bring is read afterwards.
    const isStream = !!asked.signal;
    const isCurrent = () => link === asked && channel.live && channel.asked === asked;
    channel.asked = asked;
    if (isStream) channel.held = [];
    asked.ask({ subscribe: channel.name, since: isStream ? undefined : channel.cursor }, (error, ok = {}) => {
      const code = error?.code;
      if (!isCurrent() || code === "disconnected") return;
      if (/^(unavailable|internal|rate_limited)$/.test(code)) {
        setTimeout(() => isCurrent() && join(channel), delayMin * (1 + Math.random()));
        return;
      }
      if (error && code !== "already_subscribed") {
        refuse(channel, error);
        return;
      }
      if (ok.id) epoch = epochOf(ok.id);
      if (!isStream) channel.cursor = ok.id ?? channel.cursor;
      channel.acknowledge(ok);
      if (isStream) catchUp(channel, asked);
      else if (ok.recovered === false) deliver(channel, gapOf(channel.name));
    });
  }

  const joinOthers = () => channels.forEach((channel) => channel.asked !== link && join(channel));

  // The older one of two cursors. One of another life of the server is older than all of this one.
  function older(a, b) {
    if (!a || !b) return a ?? b;
    if (epochOf(a) !== epochOf(b)) return epochOf(a) === epoch ? b : a;
    return a < b ? a : b;
  }

  // The channels of a URL: those that resume, or, if none does, all of them.
  function select(query) {
    const all = [...channels.values()];
    const resuming = all.filter(({ cursor }) => cursor);
    const chosen = [];
    let room = URL_MAX;
    for (const channel of resuming[0] ? resuming : all) {
      query.append("channel", channel.name);
      chosen.push(channel);
      if ((room -= channel.size) < 0) break;
    }
    return [chosen, chosen.map(({ cursor }) => cursor).reduce(older, undefined)];
  }

  // What a stream or a poll says of the channels of its URL. `id`: the cursor after which their messages come, if it is known.
  function acknowledge(source, chosen, details, id) {
    if (id) epoch = epochOf(id);
    for (const channel of chosen) {
      if (!channel.live) continue;
      channel.asked = source;
      channel.cursor ??= id;
      channel.acknowledge(details?.[channel.name] ?? {});
    }
  }

  // ---- Transports ----
  //
  // An opener calls adopt when its transport works, and its promise is fulfilled then; it is rejected with a fault otherwise. A link has
  // kind, ask(verb, done), check() (is the server still there?), end(fault), ended (a promise of the fault), and, if it is a stream or
  // polls, signal, client, id (the newest one) and since (where it began).

  function makeLink(kind, close) {
    const made = { kind, fresh: true };
    made.ended = new Promise((resolve) => {
      made.end = (why) => {
        if (made.isOver) return;
        made.isOver = true;
        close();
        resolve(why);
      };
    });
    return made;
  }

  function openSocket() {
    return new Promise((resolve, reject) => {
      const target = address(ws);
      target.protocol = target.protocol.replace("http", "ws");
      const socket = new Socket(target, "moonwire.1");
      const waiting = new Map(); // callbacks by ref
      let ref = 0;
      let quiet = openTimeout; // so long the server may say nothing
      let isDoubted = true; // it was asked whether it is there
      let watch;
      socket.binaryType = "arraybuffer";

      const made = makeLink("websocket", () => {
        clearTimeout(watch);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close(1000);
        for (const done of waiting.values()) done(lost());
      });
      const fail = ({ code, reason }) => {
        const why = fault(code, reason, { unauthorized: code === 4401, down: code > 1006 || /^100[124]$/.test(code) });
        reject(why);
        made.end(why);
      };
      const write = (object) => socket.readyState === 1 && socket.send(JSON.stringify(object));
      made.ask = (verb, done) => {
        if (made.isOver) {
          done(lost());
          return;
        }
        write({ ...verb, ref: ++ref }); // throws if JSON cannot hold it
        waiting.set(ref, done);
      };
      made.check = () => {
        clearTimeout(watch);
        if (isDoubted) fail({ code: 1006 });
        else {
          isDoubted = true;
          watch = setTimeout(made.check, openTimeout);
          made.ask({ ping: true }, noop);
        }
      };
      watch = setTimeout(made.check, quiet);

      socket.onopen = () =>
        made.ask({ connect: { token: secret } }, (error, ok) => {
          if (error) return; // its close says why
          quiet = silence ?? (ok.ping + 10) * 1000;
          expireIn(ok.expires);
          adopt(made);
          resolve();
        });
      socket.onmessage = ({ data }) => {
        let text = data;
        let bytes;
        if (typeof data !== "string") {
          const frame = new Uint8Array(data);
          const feed = frame.indexOf(10);
          text = new TextDecoder().decode(frame.subarray(0, feed));
          bytes = frame.slice(feed + 1);
        }
        const object = JSON.parse(text);
        if (bytes) object.data = bytes;
        if (object.ping) write({ ping: true });
        else if (object.event) take(object, made);
        else {
          // Answers come in the order of the requests: one without a ref is for the oldest.
          const { ref: key = waiting.keys().next().value } = object;
          const done = waiting.get(key);
          waiting.delete(key);
          done?.(errorOf(object), object.ok);
        }
        if (made.isOver) return;
        // Not before: if what came is rubbish, the check goes on.
        clearTimeout(watch);
        isDoubted = false;
        watch = setTimeout(made.check, quiet);
      };
      socket.onerror = noop;
      socket.onclose = fail;
    });
  }

  // What streams and polls have in common: they send by requests of their own, one after the other, so that the order is kept.
  function makeStream(kind) {
    const abort = new AbortController();
    let tail = Promise.resolve();
    let timer;
    const made = makeLink(kind, () => {
      clearTimeout(timer);
      abort.abort();
    });
    // From now on so long nothing need come.
    const patience = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), ms);
    };
    const signal = (made.signal = abort.signal);

    async function post(verb, done) {
      let why = lost();
      try {
        const body = JSON.stringify({ ...verb, ref: 1 });
        const more = { "Content-Type": "application/json", "X-Moonwire-Client": made.client };
        const response = await request(address(send), { method: "POST", body, signal, headers: more });
        const answer = await jsonOf(response);
        why = faultOf(response, answer);
        // Is it the channel that is not there, or the client? A ping is of no channel.
        if (why.status === 404) verb.ping ? made.end(why) : await post({ ping: true }, noop);
        if (answer.ref && !made.isOver) return done(errorOf(answer), answer.ok);
      } catch {
        // the network
      }
      if (made.isOver || why.status === 401 || why.status === 403) {
        // The client that it spoke for has gone.
        made.end(why);
        done(lost());
      } else {
        // Too large, or no JSON for the server (half of a surrogate pair is none): that is final.
        done(why.status < 429 ? why : fault("unavailable", why.reason, { wait: why.wait }));
      }
    }
    made.ask = (verb, done) => {
      tail = tail.then(() => post(verb, done));
    };
    made.check = () => {
      const limit = setTimeout(() => abort.abort(), openTimeout);
      made.ask({ ping: true }, () => clearTimeout(limit));
    };

    // Asks, and reads a refusal: a channel of the URL may have to go first.
    async function ask(path, query, chosen, init) {
      const response = await request(address(path, query), { signal, ...init });
      if (response.status === 200) return response;
      if (response.status === 204) {
        chosen.forEach(end);
        throw fault("ended", "", { again: true, down: true });
      }
      const why = faultOf(response, await jsonOf(response));
      const channel = !why.down && channels.get(why.channel);
      if (!channel) throw why;
      refuse(channel, why);
      throw fault(why.code, why.reason, { again: true, down: true });
    }
    // What a request that failed without an answer means.
    const explain = (error) => {
      if (error instanceof MoonwireError) return error;
      return signal.aborted ? late() : lost({ down: !made.client });
    };
    return { made, patience, ask, explain };
  }

  async function openStream() {
    const { made, patience, ask, explain } = makeStream("sse");
    const query = new URLSearchParams({ envelope: 1 });
    const [chosen, since] = select(query);
    let rest = "";
    let lines = [];
    let id;
    let wait;
    if (since) query.set("since", since);
    made.since = since;

    function takeBlock() {
      if (lines[0]) {
        const object = JSON.parse(lines.join("\n"));
        lines = [];
        const { data, event } = object;
        if (event === "moonwire:open") {
          made.client = data.client;
          expireIn(data.expires);
          adopt(made, () => acknowledge(made, chosen, data.channels, data.id));
        } else if (event !== "moonwire:ping") take(object, made);
      }
      if (id && isAfter(id, made.id)) made.id = id;
    }

    function takeLine(line) {
      const [, name, value] = /^(\w*): ?(.*)$/s.exec(line) ?? [];
      if (line === "") takeBlock();
      else if (name === "data") lines.push(value);
      else if (name === "id") id = value;
      else if (name === "retry") wait = Number(value);
    }

    async function read(reader) {
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (made.isOver) return;
        if (done) break;
        const parts = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
        rest = parts.pop();
        for (const part of parts) {
          takeLine(part);
          if (made.isOver) return;
        }
        patience(made.client ? silence ?? 35000 : openTimeout);
        if (made.client) opened();
      }
      // A refusal that will pass is a stream that ends at once.
      throw lost({ down: !made.client, wait: made.client ? 0 : wait });
    }

    let opened;
    patience(openTimeout);
    return new Promise((resolve, reject) => {
      opened = resolve;
      ask(sse, query, chosen)
        .then((response) => read(response.body.getReader()))
        .catch((error) => {
          const why = explain(error);
          made.end(why);
          reject(why);
        });
    });
  }

  async function openPolls() {
    const { made, patience, ask, explain } = makeStream("poll");
    const [all, oldest] = select(new URLSearchParams());
    let since = oldest;
    made.since = since;

    async function once() {
      // A client has the channels of its queries: they stay the same.
      const chosen = all.filter(({ live }) => live);
      const query = new URLSearchParams(chosen.map(({ name }) => ["channel", name]));
      const began = now();
      if (since) query.set("since", since);
      query.set("client", made.client ?? "");
      query.set("wait", pollWait);
      patience(made.client ? pollWait * 1000 + (silence ?? 15000) : openTimeout);
      try {
        const answer = await (await ask(poll, query, chosen)).json();
        if (made.isOver) return;
        const { client } = answer;
        const start = () => {
          epoch = epochOf(answer.id);
          if (made.fresh) acknowledge(made, chosen, answer.channels);
          for (const name of answer.gaps) take(gapOf(name), made);
          made.fresh = false;
          for (const message of answer.messages) take(message, made);
          if (isAfter(answer.id, made.id)) made.id = answer.id;
          since = answer.id;
        };
        // If the server has forgotten the client, and made another one, all begins anew.
        if (made.client && client !== made.client) throw lost({ again: true });
        if (!made.client) {
          made.client = client;
          adopt(made, start);
        } else start();
      } catch (error) {
        // A proxy that ends what lasts too long is asked for less.
        const half = Math.floor((now() - began) / 2000);
        if (made.client && half > 0 && half < pollWait) pollWait = half;
        throw explain(error);
      }
    }

    try {
      await once();
    } catch (error) {
      made.end(error);
      throw error;
    }
    (async () => {
      while (!made.isOver) await once();
    })().catch(made.end);
  }

  const openers = { websocket: openSocket, sse: openStream, poll: openPolls };

  // ---- Open, live, wait, and again ----

  function setState(state, more) {
    const transport = link?.kind;
    Object.assign(api, { state, transport });
    events.emit("moonwire:state", { state, transport, ...more });
  }

  function adopt(made, start) {
    const before = link;
    if (closed) {
      made.end(closed);
      return;
    }
    if (before) {
      drop(before);
      before.end(lost());
    }
    link = made;
    setState("open");
    start?.();
    if (link === made) joinOthers();
    flush();
  }

  // The link has gone, or is to go: what had no answer is asked again by the next one.
  function drop(made) {
    if (link !== made) return;
    link = null;
    for (const channel of channels.values()) {
      const { id } = made;
      if (id && channel.isJoined && !channel.held && isAfter(id, channel.cursor)) channel.cursor = id;
      channel.isJoined = false;
      channel.asked = channel.held = channel.round = null;
    }
    for (const item of outbox) item.busy = null;
  }

  const sleep = (ms) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function open() {
    if (stale) {
      await renewToken(stale).catch((error) => {
        throw fault("no_token", `${error}`, { down: true });
      });
    }
    const failed = [];
    let why = lost(); // where there is no transport at all
    const good = kinds.filter((kind) => !(blocked[kind] > now()));
    for (const kind of good[0] ? good : kinds) {
      // Streams and polls are of channels.
      while (!closed && !channels.size && kind !== "websocket") await sleep(FOREVER);
      if (closed) throw closed;
      try {
        await openers[kind]();
        failed.forEach(remember);
        return;
      } catch (failure) {
        why = failure;
        // Without a channel, only a WebSocket can be used, so it is tried again.
        if (!channels.size || failure.down) break;
        failed.push(kind);
      }
    }
    throw why;
  }

  // Waits for the end of the link. From time to time a better transport is tried.
  async function live() {
    const [best] = kinds;
    let made;
    while ((made = link)) {
      let timer;
      const tick = new Promise((resolve) => {
        if (made.kind !== best) timer = setTimeout(resolve, Math.min(blocked[best] - now() || 0, FOREVER));
      });
      const why = await Promise.race([made.ended, tick]);
      clearTimeout(timer);
      if (why && link === made) {
        drop(made);
        return [made.kind, why];
      }
      if (!why) await openers[best]().catch(() => remember(best));
    }
    throw closed;
  }

  async function run() {
    const shorts = {}; // how often in a row a transport was cut soon, by kind
    let failures = 0;
    let refusals = 0;
    while (!closed) {
      let began;
      let kind;
      let why;
      setState("connecting");
      try {
        await open();
        began = now();
        [kind, why] = await live();
      } catch (failure) {
        why = failure;
      }
      if (closed) return;
      const { code, reason, unauthorized, down, again } = why;
      const lasted = now() - began; // not a number if nothing was open
      if (lasted > 5000) failures = refusals = 0;
      // Cut soon again and again, without a word: something on the way does not stand this transport.
      shorts[kind] = !down && !again && lasted < shortLife ? (shorts[kind] ?? 0) + 1 : 0;
      if (shorts[kind] > 2 && kind !== kinds.at(-1)) {
        shorts[kind] = 0;
        remember(kind);
      }
      if (code === 1009) dropLargest();
      if (code === 4403 || (unauthorized && (!asksForToken || refusals > 1))) {
        shut(unauthorized ? 4401 : code, reason);
        return;
      }
      if (unauthorized) {
        stale = "unauthorized";
        refusals++;
      }
      if (again || (unauthorized && refusals === 1)) continue;
      const most = Math.min(delayMax, delayMin * 2 ** failures++);
      const delay = Math.max(Math.random() * most, why.wait ?? 0);
      setState("waiting", { code, reason, delay });
      await sleep(delay);
    }
  }

  // ---- The page ----

  const onVisible = () => {
    if (page?.hidden) return;
    wake();
    link?.check();
  };
  const onOnline = () => {
    blocked = {};
    onVisible();
  };
  const listen = (verb) => {
    globalThis[`${verb}EventListener`]?.("online", onOnline);
    page?.[`${verb}EventListener`]("visibilitychange", onVisible);
  };

  function shut(code, reason) {
    if (closed) return;
    const made = link;
    closed = fault("closed", reason);
    if (made) drop(made);
    made?.end(closed);
    clearTimeout(renewing);
    clearTimeout(flushing);
    listen("remove");
    for (const channel of [...channels.values()]) channel.finish(closed);
    setState("closed", { code, reason });
    wake();
  }

  const api = {
    on: events.on,
    channel(name, { since } = {}) {
      if (closed) throw closed;
      let channel = channels.get(name);
      if (!channel) {
        channels.set(name, (channel = makeChannel(name, since)));
        if (link) join(channel);
        else if (channels.size === 1) wake();
      }
      return channel.api;
    },
    close: () => shut(1000, ""),
  };

  listen("add");
  queueMicrotask(run);
  return api;
}

export { connect, MoonwireError };
