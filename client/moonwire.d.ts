/** Any JSON value, or bytes: a binary message arrives as a Uint8Array. */
export type Data = unknown;

/** The ways to reach the server, in the order in which they are tried by default. */
export type Transport = "websocket" | "sse" | "poll";

/** `connecting`: an attempt is in progress. `open`: messages arrive. `waiting`: the next attempt follows after a delay. `closed`: it is over. */
export type State = "connecting" | "open" | "waiting" | "closed";

/** Why the application's token is asked for. */
export type TokenReason = "connect" | "expiring" | "unauthorized";

export interface Options {
  /** The token that authenticates the client, or a function that fetches one. The function is called before the first attempt, before the
   * token expires, and when the server refuses it. Without a function, a refused token closes the connection. */
  token?: string | ((why: { reason: TokenReason }) => string | Promise<string>);
  /** Which transports may be used, best first. Default: all three. */
  transports?: Transport[];
  /** What requests of streams, polls and sends do with cookies, as for `fetch`. Default: `"same-origin"`. A server on another origin needs
   * `"include"`, and your origin in its `origins`. */
  credentials?: "omit" | "same-origin" | "include";
  /** Header fields for the requests of streams, polls and sends. A browser cannot set them on a WebSocket. */
  headers?: Record<string, string>;
  /** What becomes of a send while there is no connection: `"queue"` (the default) sends it later, `"refuse"` rejects it with the code
   * `offline`. */
  offline?: "queue" | "refuse";
  /** How many sends and other requests may wait for an answer. Beyond it they are rejected with the code `queue_full`. Default: 1000. */
  queue?: number;
  /** Milliseconds after which a send without an answer is rejected with the code `timeout`. Default: 30000. At most 240000, because the
   * server knows the key of a repeated send for 5 minutes. */
  timeout?: number;
  /** Milliseconds within which a transport must begin to work. Default: 5000. */
  openTimeout?: number;
  /** Milliseconds without any sign of the server after which it is asked for one. Default: what the server says, or 35000 for a stream. */
  silence?: number;
  /** Delays between attempts, in milliseconds: each is random between 0 and an upper limit that doubles from `min` (1000) to `max` (30000). */
  backoff?: { min?: number; max?: number };
  /** A transport that is cut three times in a row after less than this many milliseconds is given up for the next one. Default: 60000. */
  shortLife?: number;
  /** Milliseconds after which a transport that did not work is tried again. Default: 600000. */
  recheck?: number;
  /** Seconds for which a poll waits. Default: 25. It is reduced where a proxy cuts polls. */
  pollWait?: number;
  /** The paths of the server's endpoints, relative to the URL, if the application moved them. */
  paths?: { ws?: string; sse?: string; poll?: string; send?: string };
  /** A WebSocket implementation, for example that of npm's `ws` in Node 18 and 20, which have none. Without one, that transport is left out. */
  WebSocket?: unknown;
  /** An implementation of `fetch`. Default: the global one. */
  fetch?: typeof fetch;
}

/** What the event `moonwire:state` tells. */
export interface StateChange {
  state: State;
  /** The transport in use, if the state is `open`. */
  transport?: Transport;
  /** Why it is waiting or closed: a WebSocket close code, or a code such as `disconnected`, `timeout`, `unavailable`, `no_token`. */
  code?: number | string;
  reason?: string;
  /** Milliseconds until the next attempt. */
  delay?: number;
}

/** A message of a channel, or, without a channel, one for this client alone. */
export interface Message<T = any> {
  channel?: string;
  event: string;
  /** Missing on volatile messages. */
  id?: string;
  data: T;
  /** The user id of the client that sent it, if the server relayed it. */
  from?: string;
}

/** What the event `moonwire:presence` tells: what has changed. */
export interface PresenceChange<Info = any> {
  joined: Record<string, Info>;
  left: string[];
  count: number;
}

/** Who is on a channel, by user id. It is kept up to date. */
export interface Presence<Info = any> extends ReadonlyMap<string, Info> {
  /** The number of members. If the application tells only numbers, the map stays empty. */
  readonly count: number;
}

export interface SendOptions {
  /** Milliseconds to wait for the answer, instead of the connection's `timeout`. */
  timeout?: number;
  /** Send it now or never, without an answer and without an idempotency key, for example that somebody is typing. The promise is fulfilled
   * with whether it was sent. */
  volatile?: boolean;
  /** The key that makes the send harmless to repeat, 1 to 128 bytes. Default: a random one. */
  idempotencyKey?: string;
}

export interface HistoryOptions {
  /** Messages after this id, the oldest first. */
  since?: string;
  /** Messages before this id. */
  before?: string;
  /** How many at most. */
  limit?: number;
}

export interface Channel extends AsyncIterable<Message> {
  readonly name: string;
  /** Fulfilled with what the application's `on_join` returned, when the channel is subscribed for the first time. Rejected with a
   * MoonwireError if the server refuses it, or if it is left before. */
  readonly ready: Promise<any>;
  /** What the application's `on_join` returned, the last time that it was called. */
  readonly data: any;
  readonly presence: Presence;

  /** Calls a handler for each message of an event; `"*"` stands for all. Returns a function that removes the handler. Events of the
   * channel itself:
   *
   * - `moonwire:subscribed` (`{ data, recovered }`): it is subscribed, for the first time or again.
   * - `moonwire:gap`: messages are missing here, and cannot be had any more. The next message comes after the gap.
   * - `moonwire:presence` (PresenceChange): members joined or left.
   * - `moonwire:end`: the channel has ended, and nothing else comes.
   * - `moonwire:unsubscribed` (`{ code, reason }`): the server refused the channel, or ended the subscription. */
  on(event: "moonwire:subscribed", handler: (data: { data: any; recovered?: boolean }, message: Message) => void): () => void;
  on(event: "moonwire:presence", handler: (change: PresenceChange, message: Message) => void): () => void;
  on(event: "moonwire:unsubscribed", handler: (why: { code: string; reason: string }, message: Message) => void): () => void;
  on<T = any>(event: string, handler: (data: T, message: Message<T>) => void): () => void;

  /** Sends an event to the application, or to the other subscribers. `data` is anything that JSON can hold, or an ArrayBuffer or a view of
   * one. Fulfilled with what the handler returned; rejected with a MoonwireError that has the code and the reason of the refusal. If the
   * answer is lost with the connection, the send is repeated with the same idempotency key. */
  send(event: string, data?: Data, options?: SendOptions): Promise<any>;

  /** What the server keeps of the channel, if the application lets clients read it. `more`: there are others between the given ids. */
  history(options?: HistoryOptions): Promise<{ messages: Message[]; more: boolean }>;

  /** Leaves the channel. */
  unsubscribe(): void;

  /** Iterates over messages and gaps (`event` is `moonwire:gap`) as they come. Ends when the channel is left or has ended; throws a
   * MoonwireError if the server ends the subscription. A loop that is 10,000 messages behind gets a gap in place of them. */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined>;
}

export interface Connection {
  readonly state: State;
  /** The transport in use, if the state is `open`. */
  readonly transport?: Transport;

  /** The channel of that name, which is subscribed if it is not yet. `since`: an id that was seen earlier, from which to go on. Throws a
   * URIError for a name with half a surrogate pair, and a MoonwireError if the connection is closed. */
  channel(name: string, options?: { since?: string }): Channel;

  /** Calls a handler for `moonwire:state`, or for messages to this client alone. Returns a function that removes the handler. */
  on(event: "moonwire:state", handler: (change: StateChange) => void): () => void;
  on<T = any>(event: string, handler: (data: T, message: Message<T>) => void): () => void;

  /** Ends it. Sends without an answer are rejected with the code `closed`. */
  close(): void;
}

/** What a promise is rejected with. `code` is the server's or the application's, or one of the client's own: `timeout`, `offline`,
 * `queue_full`, `unsubscribed`, `ended`, `closed`. */
export class MoonwireError extends Error {
  constructor(code: string | number, reason?: string);
  readonly code: string | number;
  readonly reason: string;
}

/** Connects to a server. `url` is the directory of its endpoints, by default `"/"`: the root of the page's own server. */
export function connect(url?: string | URL, options?: Options): Connection;

declare global {
  /** The classic build, `moonwire.classic.js` or `/moonwire.js?classic`, has this global in place of exports. */
  var moonwire: { connect: typeof connect; MoonwireError: typeof MoonwireError } | undefined;
}
