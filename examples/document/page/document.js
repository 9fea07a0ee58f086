// The page: a text area, and the cursors of the others. text.js merges, copy.js talks to the server.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";
import { Copy } from "./copy.js";
import { Text } from "./text.js";

const CURSOR_EVERY = 120; // milliseconds
const SAVE_AFTER = 300;
const NOT_TEXT = /[\0-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g; // the server refuses it

const area = element("text");
const name = /^#[A-Za-z0-9-]{1,24}$/.test(location.hash) ? location.hash.slice(1) : "notes";
const stored = `moonwire-document:${name}`;
const text = new Text([...crypto.getRandomValues(new Uint8Array(8))].map((byte) => (byte % 36).toString(36)).join(""));
const cursors = new Map(); // of the others, by user id
let selection = [null, null]; // where it begins and ends, as places that last
let isComposing = false; // an input method is in the middle of a character

// ---- What this browser keeps ----

// Another window of this browser may have kept more, so a copy is merged before it is replaced.
function mergeStored(json) {
  try {
    const whole = JSON.parse(json ?? localStorage.getItem(stored));
    return whole !== null && text.merge(whole);
  } catch {
    return false; // not ours
  }
}

let saving = 0;
function saveSoon() {
  saving ||= setTimeout(save, SAVE_AFTER);
}

function save() {
  clearTimeout(saving);
  saving = 0;
  try {
    mergeStored();
    localStorage.setItem(stored, JSON.stringify(text.whole()));
  } catch {
    // No room, or not allowed: the server has it.
  }
}

// ---- What the author does ----

const indexOf = (at) => [...area.value.slice(0, at)].length; // characters, which UTF-16 may have as two
const isLow = (at) => !area.value.slice(0, at).includes("\n");

function takeInput() {
  const value = area.value.toWellFormed().replace(NOT_TEXT, "");
  if (value !== area.value) area.value = value;
  const before = [...String(text)];
  const after = [...value];
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  text.replace(start, before.length - start - end, after.slice(start, after.length - end).join(""));
  takeSelection();
  showCursors();
  copy.work();
  saveSoon();
  showState();
}

let saidCursor = 0;
function takeSelection() {
  if (isComposing) return;
  selection = [text.anchor(indexOf(area.selectionStart)), text.anchor(indexOf(area.selectionEnd))];
  saidCursor ||= setTimeout(() => {
    saidCursor = 0;
    if (copy.isLive) copy.channel.send("cursor", selection[1], { volatile: true }).catch(() => {});
  }, CURSOR_EVERY);
}

// ---- What the others do ----

function showText() {
  const value = String(text);
  if (isComposing || value === area.value) return;
  const top = area.scrollTop;
  const positions = selection.map((anchor) => [...value].slice(0, text.find(anchor)).join("").length);
  area.value = value;
  area.setSelectionRange(...positions);
  area.scrollTop = top;
}

// The name and the color of a user, from the random id.
const nameOf = (id) => `Guest ${id.slice(0, 3)}`;
const hueOf = (id) => [...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 7);

function takeCursor(anchor, id) {
  const isPlace = anchor === null || (Array.isArray(anchor) && typeof anchor[0] === "string" && anchor[0].length <= 1000 && Number.isInteger(anchor[1]));
  if (!isPlace || !copy.channel.presence.has(id)) return;
  cursors.set(id, anchor);
  showCursors();
}

function showCursors() {
  const chars = [...String(text)];
  const places = [...cursors].map(([id, anchor]) => ({ id, at: text.find(anchor) })).sort((a, b) => a.at - b.at);
  const parts = [];
  let at = 0;
  for (const place of places) {
    parts.push(chars.slice(at, place.at).join(""));
    const mark = document.createElement("span");
    mark.className = "cursor";
    mark.dataset.name = nameOf(place.id);
    mark.classList.toggle("low", isLow(chars.slice(0, place.at).join("").length));
    mark.style.setProperty("--hue", hueOf(place.id));
    parts.push(mark);
    at = place.at;
  }
  element("mirror").replaceChildren(...parts, chars.slice(at).join(""), "\n");
  element("mirror").scrollTop = area.scrollTop;
}

function showPeople() {
  const { presence } = copy.channel;
  for (const id of cursors.keys()) if (!presence.has(id)) cursors.delete(id);
  element("people").textContent = presence.count > 1 ? `${presence.count} people` : "Only you";
  showCursors();
  takeSelection(); // for those who have just come
}

// ---- The page ----

const PROBLEMS = {
  full: "The document is full. Your last changes are only in this browser.",
  rate_limited: "Too fast: sending again soon.",
};

function showState() {
  let state = "saved";
  let words = "Saved";
  if (copy.isLive && copy.problem) [state, words] = ["problem", PROBLEMS[copy.problem] ?? "Not sent. Trying again."];
  else if (!copy.isLive) [state, words] = ["waiting", "Not connected: your changes are kept in this browser."];
  else if (!copy.isSaved) [state, words] = ["sending", "Sending…"];
  element("saved").dataset.state = state;
  if (element("saved").textContent !== words) element("saved").textContent = words;
  element("length").textContent = text.length.toLocaleString("en");
}

async function load() {
  const response = await fetch(`text/${name}`, { cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

element("name").textContent = name;
document.title = `${name} · Document · moonwire`;
mergeStored();

const connection = connect("/", { offline: "refuse", backoff: { max: 5000 } });
const copy = new Copy(text, connection, `document:${name}`, load, (isRemote) => {
  if (isRemote) {
    showText();
    showCursors();
    saveSoon();
  }
  showState();
});
copy.channel.on("cursor", (anchor, { from }) => takeCursor(anchor, from));
copy.channel.on("moonwire:presence", showPeople);
copy.channel.on("moonwire:subscribed", () => {
  element("notice").textContent = "";
  showPeople();
});
copy.channel.on("moonwire:unsubscribed", ({ reason }) => {
  element("notice").textContent = `The server does not open this document: ${reason}.`;
});
showStatus(connection);

area.addEventListener("input", () => isComposing || takeInput());
area.addEventListener("compositionstart", () => (isComposing = true));
area.addEventListener("compositionend", () => {
  isComposing = false;
  takeInput();
  showText();
});
area.addEventListener("scroll", () => (element("mirror").scrollTop = area.scrollTop));
document.addEventListener("selectionchange", () => document.activeElement === area && takeSelection());
addEventListener("pagehide", save);
addEventListener("storage", ({ key, newValue }) => {
  if (key !== stored || newValue === null || !mergeStored(newValue)) return;
  showText();
  showCursors();
  showState();
  copy.work();
});
addEventListener("hashchange", () => location.reload());
element("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = element("other").value;
});

showText();
showState();
if (matchMedia("(hover: hover)").matches) area.focus();
