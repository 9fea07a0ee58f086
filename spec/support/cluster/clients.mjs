// Clients of a cluster that go from node to node, and remember what each of them was sent.

import { connect as connectTo } from "node:net";
import { WebSocket } from "ws";
import { BodyReader, EventParser } from "../event_stream.mjs";
import { sleep } from "./processes.mjs";

const RETRY_MS = 50; // the mean pause before a client connects again

// What was received, once for all clients: there are millions of entries.
const received = new Map();

function entryOf(id, data) {
  const key = `${data.by}:${data.n}:${data.channel}`;
  const known = received.get(key);
  if (known?.id === id) return known;
  const entry = { id, data };
  if (!known) received.set(key, entry);
  return entry;
}

// A client of several channels. `log` has, by channel: { start }, an id, once; { id, data }; { gap: true }.
class Client {
  counts = { connections: 0, refusals: 0 };
  constructor(name, cluster, channels) {
    this.name = name;
    this.cluster = cluster;
    this.channels = channels;
    this.log = Object.fromEntries(channels.map((channel) => [channel, []]));
    this.cursors = Object.fromEntries(channels.map((channel) => [channel, ""]));
    this.ended = new Set(); // channels whose last message has come
    this.started = new Promise((resolve) => (this.isStarted = resolve));
  }
  // Where a channel begins for a client without a cursor.
  start(channel, id) {
    if (this.log[channel].length === 0) this.log[channel].push({ start: id });
    if (this.channels.every((name) => this.log[name].length > 0)) this.isStarted();
  }
  gap(channel) {
    this.log[channel].push({ gap: true });
  }
  take(channel, id, data) {
    this.log[channel].push(entryOf(id, data));
    this.cursors[channel] = id;
    if (data.last) this.ended.add(channel);
  }
  get isDone() {
    return this.ended.size === this.channels.length;
  }
  // Connects until everything has come. A node that does not answer or refuses is one that another may replace.
  async run() {
    while (!this.isDone) {
      const node = this.cluster.pick();
      if (node) {
        this.counts.connections++;
        await this.connect(node);
      }
      if (!this.isDone) await sleep(Math.random() * 2 * RETRY_MS);
    }
  }
  get query() {
    return this.channels.map((channel) => `channel=${channel}`).join("&");
  }
}

// An event stream with one cursor for all of its channels.
class StreamClient extends Client {
  cursor = "";
  connect(node) {
    return new Promise((resolve) => {
      const socket = connectTo(node.path);
      const end = () => {
        socket.destroy();
        resolve();
      };
      const parser = new EventParser(({ type, data, lastEventId }) => {
        if (type === "moonwire:gap") this.gap(JSON.parse(data).channel);
        else if (type === "item") this.take(JSON.parse(data).channel, lastEventId, JSON.parse(data));
        if (this.isDone) end();
      }, this.cursor);
      // Event by event, because the id of the first one is where the channels begin.
      const body = new BodyReader((bytes) => {
        for (let at = 0; at < bytes.length; ) {
          const next = bytes.indexOf("\n\n", at);
          const until = next < 0 ? bytes.length : next + 2;
          parser.push(bytes.subarray(at, until));
          at = until;
          if (parser.lastEventId && !this.cursor) for (const channel of this.channels) this.start(channel, parser.lastEventId);
          this.cursor = parser.lastEventId;
        }
      }, end);
      socket.on("error", end);
      socket.on("close", end);
      socket.on("data", (bytes) => {
        try {
          body.push(bytes);
        } catch (error) {
          if (!/^unexpected answer: HTTP\/1.1 (429|503) /.test(error.message)) this.fault = `${this.name}: ${error.message}`;
          this.counts.refusals++;
          end();
        }
      });
      const last = this.cursor ? `Last-Event-ID: ${this.cursor}\r\n` : "";
      socket.write(`GET /sse?${this.query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n${last}\r\n`);
    });
  }
}

class PollClient extends Client {
  cursor = "";
  async connect(node) {
    const since = this.cursor && `&since=${this.cursor}`;
    const answer = await node.request("GET", `/poll?${this.query}${since}&wait=2`).catch(() => null);
    if (!answer) return;
    if (answer.status !== 200) {
      if (answer.status !== 429 && answer.status !== 503) this.fault = `${this.name}: ${answer.status} ${answer.text}`;
      this.counts.refusals++;
      return;
    }
    const { id, gaps, messages } = JSON.parse(answer.text);
    if (!this.cursor) for (const channel of this.channels) this.start(channel, id); // there is no replay
    for (const channel of gaps) this.gap(channel);
    for (const message of messages) if (message.event === "item") this.take(message.channel, message.id, message.data);
    this.cursor = id;
  }
}

class SocketClient extends Client {
  connect(node) {
    return new Promise((resolve) => {
      const client = new WebSocket("ws://x/ws", { createConnection: () => connectTo(node.path), perMessageDeflate: false });
      const end = () => {
        client.removeAllListeners();
        client.on("error", () => {});
        client.terminate();
        resolve();
      };
      client.on("error", end);
      client.on("close", end);
      client.on("open", () => {
        for (const channel of this.channels) client.send(JSON.stringify({ subscribe: channel, since: this.cursors[channel] || undefined, ref: channel }));
      });
      client.on("message", (text) => {
        const push = JSON.parse(text);
        if (push.ok) {
          if (push.ok.recovered === false) this.gap(push.ref);
          this.start(push.ref, push.ok.id);
          this.cursors[push.ref] ||= push.ok.id;
        } else if (push.error) {
          if (push.error.code !== "unavailable") this.fault = `${this.name}: ${text}`;
          this.counts.refusals++;
          end();
        } else if (push.event === "moonwire:gap") this.gap(push.data.channel);
        else if (push.event === "item") this.take(push.channel, push.id, push.data);
        else if (push.event === "moonwire:unsubscribed") end();
        if (this.isDone) end();
      });
    });
  }
}

export const kinds = { "event stream": StreamClient, poll: PollClient, WebSocket: SocketClient };

// ---- The checker ----------------------------------------------------------------------------------------------------

const positionOf = (id) => Number(id.slice(id.indexOf("-") + 1));
const keyOf = ({ by, n }) => `${by}:${n}`;

// Compares what a client received with what is kept of the channel, where everything is. Returns what is wrong, or null. `counts`
// receives the number of messages and gaps. With `mayForget`, Redis may have lost messages: what came before the last gap need not be kept.
export function check(client, channel, kept, counts, mayForget) {
  const places = new Map(kept.map(({ data }, i) => [keyOf(data), i]));
  const [first, ...log] = client.log[channel];
  const where = `${client.name} on ${channel}`;
  if (!first) return `${where}: it was never subscribed`;
  const lastGap = mayForget ? log.findLastIndex(({ gap }) => gap) : -1;
  const doubled = findDouble(log);
  if (doubled) return `${where}: ${doubled}`;
  let next = kept.findIndex(({ position }) => position > positionOf(first.start)); // the place of the message that must follow
  if (next < 0) next = kept.length;
  let hasGap = false;
  for (const [i, { gap, id, data }] of log.entries()) {
    if (i < lastGap) continue;
    if (gap) {
      hasGap = true;
      continue;
    }
    const place = places.get(keyOf(data));
    if (place === undefined) return `${where}: ${JSON.stringify(data)} is not in Redis`;
    if (positionOf(id) !== kept[place].position) return `${where}: ${JSON.stringify(data)} has the id ${id}, and the position ${kept[place].position} in Redis`;
    if (place < next && !(mayForget && hasGap)) return `${where}: ${JSON.stringify(data)} too late (place ${place}, expected ${next})`;
    if (place > next && !hasGap) return `${where}: ${place - next} messages are missing before ${JSON.stringify(data)}, without a gap`;
    if (place === next && hasGap && !mayForget) return `${where}: a gap before ${JSON.stringify(data)}, in which nothing is missing`;
    if (hasGap) counts.gaps++;
    hasGap = false;
    next = place + 1;
    counts.messages++;
  }
  if (next !== kept.length) return `${where}: ends before the last message (${next} of ${kept.length})`;
  return null;
}

// A message that came twice, or after a later one of the same publisher.
function findDouble(log) {
  const seen = new Map();
  for (const { gap, data } of log) {
    if (gap) continue;
    if (data.n <= (seen.get(data.by) ?? 0)) return `${JSON.stringify(data)} follows ${seen.get(data.by)} of the same publisher`;
    seen.set(data.by, data.n);
  }
  return null;
}
