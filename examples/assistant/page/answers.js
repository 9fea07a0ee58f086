// What a page knows of answers. Each answer is a channel of the server, which keeps its messages: a page that comes later, or
// reconnects, receives what it missed, and then the rest.

export const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const ENDS = { stop: "Complete", length: "Ended at the limit of its length", content_filter: "Ended by the filter of the model" };
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Sends until the server has answered: it is safe to repeat, because the id of an answer is part of the path.
async function post(path, body = "") {
  for (let wait = 0.5; ; wait = Math.min(wait * 2, 8)) {
    try {
      const response = await fetch(path, { method: "POST", body, signal: AbortSignal.timeout(10000) });
      if (response.status < 500) return response;
    } catch {
      // no network, or the server restarts
    }
    await pause(wait * (0.5 + Math.random()));
  }
}

export class Answers {
  #connection;
  #known = new Map(); // by id
  #changed;

  // Calls changed(answer, token) whenever an answer has changed; `token` if that is all that is new.
  constructor(connection, changed) {
    this.#connection = connection;
    this.#changed = changed;
  }

  #set(answer, values) {
    Object.assign(answer, values);
    this.#changed(answer);
  }

  #add(id, values) {
    const answer = { id, question: "", text: "", state: "loading", note: "Loading…", ...values };
    this.#known.set(id, answer);
    return answer;
  }

  // The answer of this id, which is followed to its end.
  find(id) {
    const known = this.#known.get(id);
    return known && known.state !== "lost" ? known : this.#follow(this.#add(id));
  }

  #follow(answer) {
    const channel = this.#connection.channel(`answer:${answer.id}`);
    const set = (values) => this.#set(answer, values);
    channel.on("question", ({ text }) => set({ question: text, state: "answering", note: "Answering…" }));
    channel.on("token", (token) => {
      answer.text += token;
      this.#changed(answer, token);
    });
    channel.on("done", ({ reason }) => set({ state: "done", note: ENDS[reason] ?? "Complete" }));
    channel.on("cancelled", () => set({ state: "done", note: "Stopped" }));
    channel.on("failed", () => set({ state: "failed", note: "The model has failed" }));
    channel.on("moonwire:gap", () => set({ text: `${answer.text}\n[The server no longer has this part.]\n` }));
    channel.on("moonwire:unsubscribed", () => set({ state: "lost", note: "The server no longer has this answer." }));
    return answer;
  }

  // Asks a question. The page chooses the id, so a question that is sent again is still asked once.
  async ask(id, question, owner) {
    const answer = this.#add(id, { question, state: "sending", note: "Sending…" });
    this.#changed(answer);
    const response = await post(`answers/${id}?owner=${owner}`, question);
    if (response.ok) {
      response.body.cancel().catch(() => {}); // the tokens come over the connection that all answers share
      this.#follow(answer);
    } else {
      const { error } = await response.json().catch(() => ({}));
      this.#set(answer, { state: "failed", note: error?.reason ?? `The server refused the question (${response.status}).` });
    }
  }

  stop({ id }) {
    return post(`answers/${id}/stop`);
  }
}
