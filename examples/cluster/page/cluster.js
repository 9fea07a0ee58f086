// Which node serves this page, which ones are alive, and whether a tick was lost.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";

const SILENCE = 2500; // milliseconds without a tick after which a node counts as down
const PATIENCE = 15000; // milliseconds that a node has to start or to end
const NOTES = 20;

const counters = { received: 0, missed: 0, repeated: 0, gaps: 0, returns: 0 };
const nodes = new Map(); // by name
let serving = null; // the node that this page is connected to
let wasOpen = false;

// ---- What the events mean ----

function takeTick({ node: name, run, n }) {
  const node = nodes.get(name);
  if (!node || typeof n !== "number") return;
  counters.received++;
  // The first tick that this page sees of a node may be any one. After that, a run begins at 1.
  const before = node.run === run ? node.n : node.run === null || node.isUncertain ? n - 1 : 0;
  if (n <= before) {
    counters.repeated++;
    return;
  }
  counters.missed += n - before - 1;
  node.run = run;
  node.n = n;
  node.isUncertain = false;
  node.seen = Date.now();
  show();
}

// The cluster no longer has all messages since the last id, and says so.
function takeGap() {
  counters.gaps++;
  for (const node of nodes.values()) node.isUncertain = true;
  show();
}

function takeNote(data) {
  const line = document.createElement("li");
  const text = document.createElement("span");
  text.className = "text";
  text.textContent = typeof data?.text === "string" ? data.text : JSON.stringify(data);
  const from = document.createElement("span");
  from.className = "from";
  from.textContent = nodes.has(data?.node) ? ` by node ${data.node}` : " from outside";
  line.append(text, from);
  element("notes").append(line);
  while (element("notes").children.length > NOTES) element("notes").firstChild.remove();
}

// ---- The connection ----

const connection = connect("/", { backoff: { min: 200, max: 2000 } });
showStatus(connection);
connection.on("node", ({ node }) => {
  serving = node;
  show();
});
connection.on("moonwire:state", ({ state }) => {
  if (state === "open") {
    if (wasOpen) counters.returns++;
    wasOpen = true;
  } else serving = null;
  show();
});

const ticks = connection.channel("cluster:ticks");
ticks.on("tick", takeTick);
ticks.on("moonwire:gap", takeGap);
const notes = connection.channel("cluster:notes");
notes.on("note", takeNote);

// ---- Nodes ----

// A node that is silent because this page is not connected is not known to be down.
function stateOf(node) {
  const now = Date.now();
  const isUp = now - node.seen < SILENCE;
  if (node.wanted && now < node.until && isUp !== (node.wanted === "start")) return "busy";
  node.wanted = null;
  if (isUp) return "up";
  return connection.state === "open" ? "down" : "silent";
}

function show() {
  const states = new Map([...nodes.values()].map((node) => [node, stateOf(node)]));
  const alive = [...states.values()].filter((state) => state === "up").length;
  for (const [node, state] of states) {
    const { card } = node;
    card.dataset.state = state;
    const words = { up: "up", down: "down", silent: "silent", busy: node.wanted === "kill" ? "ending" : "starting" };
    card.querySelector(".words").textContent = words[state];
    card.querySelector(".badge").textContent = serving === node.name ? "serves this page" : "";
    card.querySelector(".ticks").textContent = node.n === null ? "–" : `tick ${node.n}`;
    const button = card.querySelector("button");
    button.textContent = `${state === "up" || node.wanted === "kill" ? "Kill" : "Start"} node ${node.name}`;
    // The last one must stay: it would start the others. A button that has the focus keeps it, so none is disabled.
    button.setAttribute("aria-disabled", state === "busy" || state === "silent" || (state === "up" && alive === 1));
  }
  for (const [id, count] of Object.entries(counters)) element(id).textContent = count.toLocaleString("en");
}

async function command(node) {
  const button = node.card.querySelector("button");
  if (button.getAttribute("aria-disabled") === "true") return;
  const verb = stateOf(node) === "up" ? "kill" : "start";
  node.wanted = verb;
  node.until = Date.now() + PATIENCE;
  show();
  try {
    const response = await fetch(`nodes/${node.name}/${verb}`, { method: "POST" });
    element("notice").textContent = response.ok || response.status === 502 ? "" : `Node ${node.name}: status ${response.status}`;
  } catch {
    // the node that should answer may be the one that was killed
  }
}

for (const name of ["1", "2", "3"]) {
  const card = element("node").content.cloneNode(true).firstElementChild;
  const node = { name, card, run: null, n: null, seen: 0, isUncertain: false, wanted: null, until: 0 };
  card.id = `node-${name}`;
  card.querySelector("h2").textContent = `Node ${name}`;
  card.querySelector("button").addEventListener("click", () => command(node));
  nodes.set(name, node);
  element("nodes").append(card);
}
setInterval(show, 500);
show();

element("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("text").value.trim();
  if (!text) return;
  element("text").value = "";
  try {
    await notes.send("note", { text });
    element("notice").textContent = "";
  } catch (error) {
    element("notice").textContent = `The note was not published: ${error.message}`;
  }
});
