// Keeps a text (text.js) and the server's copy of it the same, over a channel of moonwire.
//
// After each connection it loads the whole document, merges it, and sends what the server lacks. So it makes no difference
// whether this page was offline, or whether the server has restarted and knows nothing. Later it sends what the author changes,
// one edit at a time: what is typed while one is on its way is part of the next.

const PAUSE = 70; // milliseconds between two edits
const RETRY = 1500;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Copy {
  isLive = false; // it receives what others change
  channel;
  problem = null; // the code of the last refusal, such as "full"
  #text;
  #load;
  #notify;
  #version = 0; // of the document at the server
  #mustLoad = true;
  #isWorking = false;

  // `load` resolves to the whole document. `notify(isRemote)` is called when something has changed: by others, or only the state.
  constructor(text, connection, name, load, notify) {
    this.#text = text;
    this.#load = load;
    this.#notify = notify;
    this.channel = connection.channel(name);
    connection.on("moonwire:state", ({ state }) => {
      if (state === "open") return;
      this.isLive = false;
      notify(false);
    });
    this.channel.on("moonwire:subscribed", () => {
      this.isLive = true;
      this.#reload();
    });
    this.channel.on("moonwire:gap", () => this.#reload());
    this.channel.on("edit", ({ version, edit }) => {
      if (version > this.#version + 1 || !text.merge(edit)) this.#mustLoad = true;
      else text.know(edit);
      this.#version = Math.max(version, this.#version);
      notify(true);
      this.work();
    });
  }

  // Whether everything that the author has written is at the server.
  get isSaved() {
    return this.isLive && !this.#mustLoad && this.problem === null && this.#text.pending().length === 0;
  }

  #reload() {
    this.#mustLoad = true;
    this.work();
  }

  // Call it when the author has changed the text.
  async work() {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (this.isLive) {
      try {
        if (!(await this.#step())) break;
      } catch (error) {
        this.problem = error.code ?? "unavailable";
        this.#mustLoad = true;
        this.#notify(false);
        await wait(RETRY);
      }
    }
    this.#isWorking = false;
    this.#notify(false);
  }

  // Returns false if there is nothing to do.
  async #step() {
    if (this.#mustLoad) {
      this.#mustLoad = false;
      const { version, edit } = await this.#load();
      this.#text.merge(edit);
      this.#text.know(edit, true);
      this.#version = version;
      this.#notify(true);
    }
    const [edit] = this.#text.pending();
    if (!edit) {
      this.problem = null;
      return this.#mustLoad;
    }
    const { version } = await this.channel.send("edit", edit);
    if (version > this.#version + 1) this.#mustLoad = true;
    this.#version = Math.max(version, this.#version);
    this.#text.know(edit);
    this.problem = null;
    await wait(PAUSE);
    return true;
  }
}
