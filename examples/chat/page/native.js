// A small client of moonwire's native protocol: one WebSocket that comes back by itself, with all that was missed.

const SUBPROTOCOL = "moonwire.1";
const REFUSED = 4401;
const KICKED = 4403;

export class Refusal extends Error {
  constructor({ code, reason }) {
    super(reason);
    this.code = code;
  }
}

// Handlers: onState(state, reason) with "connecting", "live", "returning" or "refused"; onPush(push) for what has no channel.
// subscribe()'s handlers: onJoin(ok, isReturn), onPush(push), onGap() when messages are lost for good.
export class Connection {
  #url;
  #token;
  #handlers;
  #socket = null;
  #isLive = false;
  #ref = 0;
  #waiting = new Map(); // by ref: { resolve, reject }
  #channels = new Map(); // by name: { handlers, cursor }
  #failures = 0;
  #timer = 0;
  #watch = 0;
  #silence = 35000; // after so many milliseconds without a word the server is asked for one

  constructor(url, token, handlers) {
    this.#url = url;
    this.#token = token;
    this.#handlers = handlers;
    addEventListener("online", () => this.#timer !== 0 && this.#open());
    this.#open();
  }

  subscribe(channel, handlers) {
    this.#channels.set(channel, { handlers, cursor: null });
    if (this.#isLive) this.#join(channel);
  }

  unsubscribe(channel) {
    this.#channels.delete(channel);
    if (this.#isLive) this.#ask({ unsubscribe: channel }).catch(() => {});
  }

  // Resolves to the acknowledgement. Rejects with a Refusal, or with an Error if the connection went before there was one.
  send(channel, event, data) {
    return this.#ask({ send: channel, event, data });
  }

  // Resolves to { messages, more }: what the server keeps of a channel, the newest `limit` of what came before an id.
  history(channel, before, limit) {
    return this.#ask({ history: channel, before, limit });
  }

  // Resolves to { count, members, more, after }: a page of who is there, which begins after a user's id.
  presence(channel, after) {
    return this.#ask({ presence: channel, after });
  }

  // Sends without asking for an answer, and only if there is a connection.
  hint(channel, event, data) {
    if (this.#isLive) this.#write({ send: channel, event, data });
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    this.#isLive = false;
    socket?.close(1000);
    this.#dropWaiting();
  }

  // ---- Out ----

  #write(object) {
    this.#socket.send(JSON.stringify(object));
  }

  #ask(object) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new Error("there is no connection at the moment"));
        return;
      }
      const ref = this.#ref++;
      this.#waiting.set(ref, { resolve, reject });
      this.#write({ ...object, ref });
    });
  }

  #dropWaiting() {
    for (const { reject } of this.#waiting.values()) reject(new Error("the connection was lost before the answer"));
    this.#waiting.clear();
  }

  async #join(channel) {
    const entry = this.#channels.get(channel);
    const isReturn = entry.cursor !== null;
    try {
      // What the promise leads to happens before the next message is taken, so the replay finds the cursor in place.
      const ok = await this.#ask({ subscribe: channel, since: entry.cursor ?? undefined });
      entry.cursor = ok.id;
      if (ok.recovered === false) entry.handlers.onGap();
      entry.handlers.onJoin(ok, isReturn);
    } catch (error) {
      if (error instanceof Refusal) entry.handlers.onRefused?.(error);
    }
  }

  // ---- In ----

  #open() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#handlers.onState(this.#failures > 0 ? "returning" : "connecting");
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#connect(socket));
    socket.addEventListener("message", (event) => socket === this.#socket && this.#take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#lost(event));
  }

  async #connect(socket) {
    try {
      const ok = await this.#ask({ connect: { token: this.#token } });
      if (socket !== this.#socket) return;
      this.#silence = (ok.ping + 10) * 1000;
      this.#failures = 0;
      this.#isLive = true;
      this.#handlers.onState("live");
      for (const channel of this.#channels.keys()) this.#join(channel);
    } catch {
      // its close says why
    }
  }

  #take(object) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#doubt(), this.#silence);
    if (object.ping) {
      this.#write({ ping: true });
    } else if ("ref" in object) {
      const waiting = this.#waiting.get(object.ref);
      this.#waiting.delete(object.ref);
      if (object.error) waiting?.reject(new Refusal(object.error));
      else waiting?.resolve(object.ok);
    } else if (object.event) {
      this.#push(object);
    }
  }

  // The server asks only clients that are silent. Whoever speaks without asking for answers has to ask in turn.
  #doubt() {
    this.#ask({ ping: true }).catch(() => {});
    this.#watch = setTimeout(() => {
      this.#socket?.close();
      this.#lost({ code: 1006 });
    }, 10000);
  }

  #push(push) {
    if (push.event === "moonwire:gap") {
      this.#channels.get(push.data.channel)?.handlers.onGap();
    } else if (push.event === "moonwire:unsubscribed") {
      const entry = this.#channels.get(push.data.channel);
      this.#channels.delete(push.data.channel);
      entry?.handlers.onRefused?.(new Refusal(push.data));
    } else if (push.channel === undefined) {
      this.#handlers.onPush(push);
    } else {
      const entry = this.#channels.get(push.channel);
      if (!entry) return;
      if (push.id) entry.cursor = push.id;
      entry.handlers.onPush(push);
    }
  }

  // A first return comes soon, later ones ever less often, and not all pages at the same moment.
  #lost(event) {
    clearTimeout(this.#watch);
    this.#isLive = false;
    this.#socket = null;
    this.#dropWaiting();
    if (event.code === REFUSED || event.code === KICKED) {
      this.#handlers.onState("refused", event.reason);
      return;
    }
    const delay = Math.min(20000, 400 * 2 ** this.#failures++) * (0.5 + Math.random());
    this.#handlers.onState("returning");
    this.#timer = setTimeout(() => this.#open(), delay);
  }
}
