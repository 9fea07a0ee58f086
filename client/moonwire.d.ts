/** Any JSON value, or bytes: a binary message arrives as a Uint8Array. */
export type Data = unknown;

/** How the client reaches the server, in the default order of attempts. */
export type Transport = "websocket" | "sse" | "poll";

/** `connecting`: an attempt is in progress. `open`: messages arrive. `waiting`: the next attempt follows after a delay. `closed`: the
 * connection has ended. */
export type State = "connecting" | "open" | "waiting" | "closed";

/** Why the client calls the function that fetches a token. */
export type TokenReason = "connect" | "expiring" | "unauthorized";

export interface Options {
  /** The token that authenticates the client, or a function that fetches one. The function is called before the first attempt, before the
   * token expires, and when the server refuses it. Without a function, a refused token closes the connection. */
  token?: string | ((why: { reason: TokenReason }) => string | Promise<string>);
  /** The transports that may be used, in order of preference. Default: all three. */
  transports?: Transport[];
  /** Whether streams, polls, and sends carry cookies, as for `fetch`. Default: `"same-origin"`. A server on another origin needs
   * `"include"`, and must list your origin in its `origins`. */
  credentials?: "omit" | "same-origin" | "include";
  /** Headers for the requests of streams, polls, and sends. A browser cannot set headers on a WebSocket. */
  headers?: Record<string, string>;
  /** What happens to a send while there is no connection: `"queue"` (the default) sends it later, `"refuse"` rejects it with the code
   * `offline`. */
  offline?: "queue" | "refuse";
  /** How many sends and other requests may wait for an answer. Further ones are rejected with the code `queue_full`. Default: 1000. */
  queue?: number;
  /** Milliseconds after which a send without an answer is rejected with the code `timeout`. Default: 30000. Maximum: 240000, because the
   * server keeps idempotency keys for 5 minutes. */
  timeout?: number;
  /** Milliseconds within which a transport must start to work. Default: 5000. */
  openTimeout?: number;
  /** Milliseconds without data from the server after which a WebSocket is pinged and a stream is replaced. Default: a little more than the
   * server's ping interval for a WebSocket, and 35000 for a stream. */
  silence?: number;
  /** Delays between attempts, in milliseconds: each is random, between 0 and an upper bound that doubles from `min` (1000) to `max` (30000). */
  backoff?: { min?: number; max?: number };
  /** If a transport is disconnected three times in a row, each time in less than this many milliseconds, the client switches to the next
   * one. Default: 60000. */
  shortLife?: number;
  /** Milliseconds before the client tries a transport again that did not work. Default: 600000. */
  recheck?: number;
  /** Seconds for which a poll waits. Default: 25. The client reduces it if a proxy ends polls early. */
  pollWait?: number;
  /** The paths of the server's endpoints, relative to the URL, if the server's option `paths` moved them. */
  paths?: { ws?: string; sse?: string; poll?: string; send?: string };
  /** A WebSocket implementation, for example that of npm's `ws` for Node.js 18 and 20, which have none. Without one, the client does not
   * use that transport. */
  WebSocket?: unknown;
  /** An implementation of `fetch`. Default: the global one. */
  fetch?: typeof fetch;
}

/** The data of the event `moonwire:state`. */
export interface StateChange {
  state: State;
  /** The transport in use, if the state is `open`. */
  transport?: Transport;
  /** Why the connection is waiting or closed: a WebSocket close code, or a code such as `disconnected`, `timeout`, `unavailable`, `no_token`. */
  code?: number | string;
  reason?: string;
  /** Milliseconds until the next attempt. */
  delay?: number;
}

/** A message of a channel, or, if `channel` is missing, a message to this client alone. */
export interface Message<T = any> {
  channel?: string;
  event: string;
  /** Volatile messages have none. */
  id?: string;
  data: T;
  /** The user id of the sender, if the server relayed the message. */
  from?: string;
}

/** The data of the event `moonwire:presence`: what has changed. */
export interface PresenceChange<Info = any> {
  joined: Record<string, Info>;
  left: string[];
  count: number;
}

/** The members of a channel, by user id. The client keeps the map up to date. */
export interface Presence<Info = any> extends ReadonlyMap<string, Info> {
  /** The number of members. If the channel has `mode = "counts"`, the map stays empty. */
  readonly count: number;
}

export interface SendOptions {
  /** Milliseconds to wait for the answer, instead of the connection's `timeout`. */
  timeout?: number;
  /** Send the event immediately or not at all, without an answer and without an idempotency key; for example, "is typing". The promise
   * resolves to a boolean: whether the event was sent. */
  volatile?: boolean;
  /** The key by which the server recognizes a repeated send, 1 to 128 bytes. Default: a random key. */
  idempotencyKey?: string;
}

export interface HistoryOptions {
  /** Only messages after this id, from the oldest on. */
  since?: string;
  /** Only messages before this id. */
  before?: string;
  /** The maximum number of messages. */
  limit?: number;
}

export interface Channel extends AsyncIterable<Message> {
  readonly name: string;
  /** Resolves to the result of the application's `on_join` when the first subscription succeeds. Rejected with a MoonwireError if the
   * server refuses the channel, or if you leave it before. */
  readonly ready: Promise<any>;
  /** The latest result of the application's `on_join`. */
  readonly data: any;
  readonly presence: Presence;

  /** Calls the handler for each message with this event; `"*"` matches all events. Returns a function that removes the handler. Events
   * of the channel itself:
   *
   * - `moonwire:subscribed` (`{ data, recovered }`): the subscription succeeded, for the first time or again.
   * - `moonwire:gap`: messages are missing here and are no longer available. The next message comes after the gap.
   * - `moonwire:presence` (PresenceChange): members joined or left.
   * - `moonwire:end`: the channel has ended, and no message follows.
   * - `moonwire:unsubscribed` (`{ code, reason }`): the server refused the channel, or ended the subscription. */
  on(event: "moonwire:subscribed", handler: (data: { data: any; recovered?: boolean }, message: Message) => void): () => void;
  on(event: "moonwire:presence", handler: (change: PresenceChange, message: Message) => void): () => void;
  on(event: "moonwire:unsubscribed", handler: (why: { code: string; reason: string }, message: Message) => void): () => void;
  on<T = any>(event: string, handler: (data: T, message: Message<T>) => void): () => void;

  /** Sends an event to the application, or to the other subscribers. `data` is any JSON value, or an ArrayBuffer or a view of one.
   * The client copies a JSON value when you call `send`, so later changes to it are not sent. Resolves to the result of the application's handler.
   * Rejected with a MoonwireError that has the code and the reason of the refusal, or with a TypeError if JSON cannot hold `data`.
   * If the connection ends before the answer, the client repeats the send with the same idempotency key. */
  send(event: string, data?: Data, options?: SendOptions): Promise<any>;

  /** Reads the messages that the server keeps, if the application sets `history.readable`. `more`: there are others in the given range. */
  history(options?: HistoryOptions): Promise<{ messages: Message[]; more: boolean }>;

  /** Leaves the channel. */
  unsubscribe(): void;

  /** Iterates over messages and gaps (`event` is `moonwire:gap`) as they arrive. Ends when you leave the channel or the channel ends.
   * Throws a MoonwireError if the server ends the subscription, or if the connection is closed. A loop that is 10,000 messages behind
   * receives a gap instead of them. */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined>;
}

export interface Connection {
  readonly state: State;
  /** The transport in use, if the state is `open`. */
  readonly transport?: Transport;

  /** Returns the channel of that name, and subscribes to it if it is not subscribed yet. `since`: the id of the last message that was
   * seen earlier; the channel continues after it. Throws a URIError if the name has half a surrogate pair, and a MoonwireError if the
   * connection is closed. */
  channel(name: string, options?: { since?: string }): Channel;

  /** Calls the handler for `moonwire:state`, or for messages to this client alone. Returns a function that removes the handler. */
  on(event: "moonwire:state", handler: (change: StateChange) => void): () => void;
  on<T = any>(event: string, handler: (data: T, message: Message<T>) => void): () => void;

  /** Ends the connection. Sends without an answer are rejected with the code `closed`. */
  close(): void;
}

/** The error with which promises are rejected. `code` comes from the server or the application, or is one of the client's own: `timeout`,
 * `offline`, `queue_full`, `unsubscribed`, `ended`, `closed`. */
export class MoonwireError extends Error {
  constructor(code: string | number, reason?: string);
  readonly code: string | number;
  readonly reason: string;
}

/** Connects to a server. `url` is the directory of its endpoints, by default `"/"`: the root of the page's own server. */
export function connect(url?: string | URL, options?: Options): Connection;

declare global {
  /** The classic build, `moonwire.classic.js` or `/moonwire.js?classic`, has this global instead of exports. */
  var moonwire: { connect: typeof connect; MoonwireError: typeof MoonwireError } | undefined;
}
