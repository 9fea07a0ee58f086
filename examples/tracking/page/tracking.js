// The page: orders, and follows a delivery over one event stream. map.js draws.

import { connect } from "/moonwire.js";
import { element, setStatus, showStatus } from "./shared/page.js";
import { TownMap } from "./map.js";

const STATES = ["packing", "driving", "delivered"];

let map;
let town;
let connection = null;
let stopStatus = () => {};

// ---- A delivery ----

function follow(code) {
  connection?.close();
  stopStatus();
  element("problem").textContent = "";
  element("delivery").hidden = true;
  connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
  stopStatus = showStatus(connection);
  element("connection").parentElement.hidden = false;
  const channel = connection.channel(`delivery:${code}`);
  element("code").textContent = code;
  channel.on("moonwire:subscribed", ({ data }) => {
    if (!data) return; // the answer to a repeated subscription
    map.showRoute(data.route);
    choose(town.places.findIndex(({ name }) => name === data.place.name) + 1);
    element("where").textContent = data.place.name;
    element("delivery").hidden = false;
  });
  channel.on("position", showPosition);
  channel.on("moonwire:unsubscribed", ({ reason }) => {
    element("problem").textContent = `The server does not know this delivery: ${reason}.`;
    ready();
  });
  channel.on("moonwire:end", ready);
}

// Nothing is followed, so the page needs no connection, and does not speak of one.
function ready() {
  stopStatus();
  connection?.close();
  connection = null;
  element("connection").parentElement.hidden = true;
}

function showPosition({ state, x, y, gone, left }) {
  map.showVan(x, y, gone);
  const now = STATES.indexOf(state);
  for (const item of element("steps").children) {
    const at = STATES.indexOf(item.dataset.state);
    item.classList.toggle("past", at < now);
    item.classList.toggle("now", at === now);
    if (at === now) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  element("left").textContent = state === "delivered" ? "Delivered" : `${left} ${left === 1 ? "second" : "seconds"} left`;
  document.title = `${element("left").textContent} · Tracking · moonwire`;
}

// ---- Ordering ----

async function order() {
  element("problem").textContent = "";
  try {
    const body = JSON.stringify({ place: Number(element("place").value) });
    const response = await fetch("orders", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { code } = await response.json();
    location.hash = code;
  } catch (error) {
    element("problem").textContent = `Not ordered (${error.message}). Try again.`;
  }
}

function choose(number) {
  element("place").value = number;
  map.choose(number);
}

function followHash() {
  const code = location.hash.slice(1);
  if (code) follow(code);
  else ready();
}

async function start() {
  try {
    const response = await fetch("town");
    if (!response.ok) throw new Error(`status ${response.status}`);
    town = await response.json();
  } catch {
    setStatus("reconnecting");
    setTimeout(start, 2000);
    return;
  }
  element("place").append(...town.places.map(({ name }, i) => new Option(name, i + 1)));
  map = new TownMap(element("map"), town, choose);
  element("map").setAttribute("aria-busy", "false");
  choose(1);
  followHash();
}

element("place").addEventListener("change", () => choose(Number(element("place").value)));
element("order").addEventListener("submit", (event) => {
  event.preventDefault();
  order();
});
addEventListener("hashchange", followHash);
start();
