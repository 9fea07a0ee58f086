// One connection for all symbols. A message changes the state immediately, and the page at the next animation frame.

import { connect } from "/moonwire.js";
import { Chart } from "./chart.js";
import { element, setStatus, showStatus } from "./shared/page.js";

const assets = new Map(); // by symbol
const counters = { received: 0, missed: 0, repeated: 0, gaps: 0, returns: 0 };
const dirty = new Set(); // assets that must be redrawn
let connection = null;
let unfollow; // ends that the badge follows the connection
let wasOpen = false;

// ---- What the events mean ----

function takeTick(asset, tick, id) {
  asset.id = id;
  counters.received++;
  const step = asset.count === null ? 1 : tick.count - asset.count;
  if (step < 1 && !asset.gap) {
    counters.repeated++;
    return;
  }
  if (step > 1) counters.missed += step - 1;
  asset.chart.add(tick.price, asset.gap);
  asset.moved = asset.price === null ? 0 : tick.price - asset.price;
  asset.price = tick.price;
  asset.count = tick.count;
  asset.gap = false;
  mark(asset);
}

// The server no longer has all messages since the last id. (After a restart its numbers start again.)
function takeGap(asset) {
  counters.gaps++;
  asset.gap = true;
  mark();
}

// ---- The connection ----

// The page only listens, so it starts with an event stream. It resumes where it stopped, also after a pause.
function open() {
  connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
  unfollow = showStatus(connection);
  element("pause").textContent = "Pause";
  connection.on("moonwire:state", ({ state }) => {
    if (state !== "open") return;
    if (wasOpen) counters.returns++;
    wasOpen = true;
    mark();
  });
  for (const [symbol, asset] of assets) {
    const channel = connection.channel(`price:${symbol}`, { since: asset.id });
    channel.on("tick", (tick, { id }) => takeTick(asset, tick, id));
    channel.on("moonwire:gap", () => takeGap(asset));
  }
}

function pause() {
  unfollow();
  connection.close();
  connection = null;
  setStatus("paused");
  element("pause").textContent = "Resume";
}

// ---- The page ----

function mark(asset) {
  if (dirty.size === 0) requestAnimationFrame(draw);
  dirty.add(asset);
}

function draw() {
  for (const asset of dirty) if (asset) drawAsset(asset);
  dirty.clear();
  for (const [id, count] of Object.entries(counters)) element(id).textContent = count.toLocaleString("en");
  element("missed").classList.toggle("bad", counters.missed > 0);
  element("repeated").classList.toggle("bad", counters.repeated > 0);
}

function drawAsset({ card, chart, price, moved, digits }) {
  const change = (price / chart.first - 1) * 100;
  const trend = Math.abs(change) < 0.005 ? "flat" : change > 0 ? "up" : "down";
  card.dataset.trend = trend;
  card.querySelector(".change").textContent = `${{ up: "▲", down: "▼", flat: "■" }[trend]} ${Math.abs(change).toFixed(2)} %`;
  const text = card.querySelector(".price");
  text.textContent = price.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  text.classList.toggle("moved", moved !== 0); // in the color of the chart: one rule for the whole card
  setTimeout(() => text.classList.remove("moved"), 150);
  chart.draw();
}

function addCard({ symbol, name, digits }) {
  const card = element("card").content.cloneNode(true).firstElementChild;
  card.id = symbol;
  card.querySelector(".symbol").textContent = symbol;
  card.querySelector(".name").textContent = name;
  const chart = new Chart(card.querySelector(".chart"));
  assets.set(symbol, { card, chart, digits, id: undefined, price: null, moved: 0, count: null, gap: false });
  element("cards").append(card);
}

async function start() {
  try {
    const response = await fetch("market");
    if (!response.ok) throw new Error(`status ${response.status}`);
    (await response.json()).forEach(addCard);
  } catch {
    setStatus("reconnecting");
    setTimeout(start, 3000);
    return;
  }
  element("cards").setAttribute("aria-busy", "false");
  element("pause").disabled = false;
  element("pause").addEventListener("click", () => (connection ? pause() : open()));
  open();
}

start();
