// A thousand rows. A message changes the state immediately, and the page a few times a second.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";

const LATEST = 8; // goals that are listed
const GLOW = 1500; // milliseconds
const DRAW_EVERY = 150;
const matches = new Map(); // by id: what the server sends, with the row
const counters = { received: 0, skipped: 0, loaded: 0 };
const dirty = new Set();
let season = null;

// ---- State ----

function take(change) {
  counters.received++;
  early?.set(change.id, change);
  apply(change);
}

function apply(change) {
  const match = matches.get(change.id);
  if (!match || change.rev <= match.rev) return; // the state that was loaded is newer
  counters.skipped += change.rev - match.rev - 1;
  const scored = [0, 1].find((side) => change.score[side] > match.score[side]);
  Object.assign(match, change);
  if (scored !== undefined) announce(match, scored);
  mark(match);
}

// Changes that arrive while the whole state is on its way may be newer than it, by match. Otherwise null.
let early = null;
let mustLoadAgain = false;

async function load() {
  mustLoadAgain = true;
  if (early) return; // the load that is in progress repeats
  early = new Map();
  while (mustLoadAgain) {
    mustLoadAgain = false;
    try {
      const response = await fetch("matches");
      if (!response.ok) throw new Error(`status ${response.status}`);
      replace(await response.json());
    } catch {
      mustLoadAgain = true;
      await new Promise((resolve) => setTimeout(resolve, 1000 + 2000 * Math.random()));
    }
  }
  const changes = early.values();
  early = null;
  for (const change of changes) apply(change);
}

function replace(state) {
  counters.loaded++;
  if (state.season !== season) {
    matches.clear();
    element("matches").replaceChildren();
    season = state.season;
    element("matches").dataset.season = season;
  }
  for (const match of state.matches) {
    const known = matches.get(match.id);
    if (!known) matches.set(match.id, { ...match, row: addRow(match) });
    else if (match.rev > known.rev) Object.assign(known, match);
    mark(matches.get(match.id));
  }
  filter();
  element("matches").setAttribute("aria-busy", "false");
}

// ---- The page ----

function addRow({ id, home, away }) {
  const row = element("match").content.cloneNode(true).firstElementChild;
  row.querySelector(".home").textContent = home;
  row.querySelector(".away").textContent = away;
  row.id = `match-${id}`;
  element("matches").append(row);
  return row;
}

function announce({ home, away, score, row }, side) {
  row.classList.add("goal");
  setTimeout(() => row.classList.remove("goal"), GLOW);
  const item = document.createElement("li");
  item.textContent = `${side === 0 ? home : away} ${score.join(":")}`;
  element("latest").prepend(item);
  while (element("latest").childElementCount > LATEST) element("latest").lastChild.remove();
}

function mark(match) {
  if (dirty.size === 0) setTimeout(requestAnimationFrame, DRAW_EVERY, draw);
  dirty.add(match);
}

function draw() {
  for (const { row, score, minute, rev } of dirty) {
    row.dataset.rev = rev;
    const [home, away] = row.querySelector(".score").children;
    home.textContent = score[0];
    away.textContent = score[1];
    row.querySelector(".minute").textContent = `${minute}′`;
  }
  dirty.clear();
  for (const [id, count] of Object.entries(counters)) element(id).textContent = count.toLocaleString("en");
}

function filter() {
  const wanted = element("team").value.trim().toLowerCase();
  let count = 0;
  for (const { home, away, row } of matches.values()) {
    row.hidden = !`${home} ${away}`.toLowerCase().includes(wanted);
    if (!row.hidden) count++;
  }
  element("count").textContent = `${count.toLocaleString("en")} ${count === 1 ? "match" : "matches"}`;
}

element("team").addEventListener("input", filter);
element("controls").addEventListener("submit", (event) => event.preventDefault());

const connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
showStatus(connection);
const scores = connection.channel("scores");
scores.on("score", take);
// Everything that was missed has arrived, or a gap says that it has not.
scores.on("moonwire:subscribed", ({ recovered }) => recovered || load());
scores.on("moonwire:gap", load);
