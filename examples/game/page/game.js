// The page: it shows what the server computes, and sends which keys are down. sky.js draws.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";
import { NAMES, Sky, hueOf } from "./sky.js";

const KEYS = { ArrowUp: 1, KeyW: 1, ArrowDown: 2, KeyS: 2, ArrowLeft: 4, KeyA: 4, ArrowRight: 8, KeyD: 8 };
const DELAY = 100; // milliseconds by which the page lags, so that it can move smoothly between two states
const AWAY = 16;
const REPEAT = 250;

const sky = new Sky(element("sky"));
const states = []; // the newest ones, with the time of their arrival
const held = new Map(); // keys that are down, and the pointer, with their bits
let slot = null; // of the own moon
let sent = { keys: 0, at: 0 };
let counted = { states: 0, since: performance.now() };

// A secret of this tab, by which it finds its moon again after a reload.
const key = sessionStorage.getItem("game-key") ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
sessionStorage.setItem("game-key", key);

// ---- The connection ----

const connection = connect("/", { offline: "refuse", backoff: { max: 3000 } });
const game = connection.channel("game");
showStatus(connection);

game.on("moonwire:subscribed", async () => {
  try {
    ({ slot } = await game.send("enter", key));
    say("");
  } catch (error) {
    if (error.code === "full") say(`${error.reason}. You are watching.`);
  }
});
game.on("moonwire:unsubscribed", ({ reason }) => say(`The server refuses: ${reason}.`));
game.on("won", (data) => {
  say(data.slot === slot ? "You have won this round!" : `${NAMES[data.slot - 1]} has won this round.`);
  setTimeout(say, 4000, "");
});
game.on("state", (bytes) => {
  const state = decode(bytes);
  if (states.length > 0 && state.step <= states.at(-1).step) states.length = 0; // the server has restarted
  states.push(state);
  if (states.length > 8) states.shift();
  showNumbers(state, bytes.length);
  // A key may have been lost. The server tells what it knows.
  const moon = state.moons.get(slot);
  if (moon && (moon.keys & ~AWAY) !== keysDown() && performance.now() - sent.at > REPEAT) steer();
});
connection.on("moonwire:state", ({ state, transport }) => {
  if (state === "open") element("transport").textContent = { websocket: "WebSocket", sse: "SSE", poll: "polls" }[transport];
});

// See world.lua. Binary messages arrive as a Uint8Array.
function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const state = { at: performance.now(), step: view.getUint32(0), stars: [], moons: new Map() };
  let at = 5;
  for (let left = view.getUint8(4); left > 0; left--, at += 4) state.stars.push({ x: view.getUint16(at), y: view.getUint16(at + 2) });
  for (; at + 7 <= bytes.length; at += 7) {
    const moon = { x: view.getUint16(at + 1), y: view.getUint16(at + 3), score: view.getUint8(at + 5), keys: view.getUint8(at + 6) };
    state.moons.set(view.getUint8(at), { ...moon, isAway: (moon.keys & AWAY) !== 0 });
  }
  return state;
}

// ---- Steering ----

const keysDown = () => [...held.values()].reduce((all, bits) => all | bits, 0);

function steer() {
  sent = { keys: keysDown(), at: performance.now() };
  if (slot !== null) game.send("steer", Uint8Array.of(sent.keys), { volatile: true }).catch(() => {});
}

function hold(name, bits) {
  if (bits) held.set(name, bits);
  else held.delete(name);
  if (keysDown() !== sent.keys) steer();
}

addEventListener("keydown", (event) => {
  if (!KEYS[event.code] || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  hold(event.code, KEYS[event.code]);
});
addEventListener("keyup", ({ code }) => KEYS[code] && hold(code, 0));
addEventListener("blur", () => {
  held.clear();
  steer();
});

// The moon goes to where the pointer is.
function point({ clientX, clientY }) {
  const own = states.at(-1)?.moons.get(slot);
  if (!own) return;
  const { x, y } = sky.place(clientX, clientY);
  const axis = (distance, less, more) => (distance < -25 ? less : distance > 25 ? more : 0);
  hold("pointer", axis(x - own.x, 4, 8) | axis(y - own.y, 1, 2));
}

let pointer = null;
element("sky").addEventListener("pointerdown", (event) => {
  event.target.setPointerCapture(event.pointerId);
  pointer = event;
});
element("sky").addEventListener("pointermove", (event) => pointer && (pointer = event));
for (const end of ["pointerup", "pointercancel"]) {
  element("sky").addEventListener(end, () => {
    pointer = null;
    hold("pointer", 0);
  });
}

// ---- The page ----

function say(text) {
  element("message").textContent = text;
  element("message").hidden = text === "";
}

function showNumbers({ moons }, size) {
  counted.states++;
  const seconds = (performance.now() - counted.since) / 1000;
  if (seconds < 1) return;
  element("rate").textContent = Math.round(counted.states / seconds);
  element("size").textContent = size;
  counted = { states: 0, since: performance.now() };
  const list = [...moons].sort((a, b) => b[1].score - a[1].score || a[0] - b[0]);
  element("scores").replaceChildren(
    ...list.map(([number, { score, isAway }]) => {
      const item = document.createElement("li");
      const face = document.createElement("span");
      const count = document.createElement("span");
      face.className = "face";
      face.style.setProperty("--hue", hueOf(number));
      count.className = "score";
      count.textContent = score;
      item.className = number === slot ? "own" : isAway ? "away" : "";
      item.append(face, `${NAMES[number - 1]}${number === slot ? " (you)" : isAway ? " (away)" : ""}`, count);
      return item;
    }),
  );
  const own = moons.get(slot);
  element("sky").setAttribute("aria-label", own ? `The sky. You are ${NAMES[slot - 1]} and have ${own.score} stars.` : "The sky");
}

// Between the two states around the moment that is shown.
function frame() {
  if (pointer) point(pointer);
  const moment = performance.now() - DELAY;
  let i = states.length - 1;
  while (i > 0 && states[i].at > moment) i--;
  const [from, to] = [states[i], states[Math.min(i + 1, states.length - 1)]];
  if (from) {
    const share = to.at > from.at ? Math.min(1, Math.max(0, (moment - from.at) / (to.at - from.at))) : 1;
    sky.draw(from, to, share, slot);
  }
  requestAnimationFrame(frame);
}

requestAnimationFrame(frame);
