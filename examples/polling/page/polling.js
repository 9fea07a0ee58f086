// Counts and draws what each of the four ways costs.

import { element, setStatus } from "./shared/page.js";
import { eventStream, longPolling, shortPolling, webSocket } from "./ways.js";

const WINDOW = 10_000; // milliseconds that are drawn
const LATEST = 3000; // the delay at the top of a plot, whose scale is that of a square root
const network = { interval: 2000, latency: 100, head: 0 };
const first = new Map(); // by count of a tick: when the first way had it, without the simulated latency
const ways = [];

class Way {
  constructor(name, start) {
    this.card = element("way").content.cloneNode(true).firstElementChild;
    this.card.querySelector("h2").textContent = name;
    this.name = name;
    this.start = start;
    this.reset();
    element("ways").append(this.card);
  }

  reset() {
    Object.assign(this, { requests: 0, ticks: 0, missed: 0, heads: 0, bodies: 0, delays: 0, last: null, drawn: [] });
  }

  count({ requests = 0, heads = 0, bodies = 0 }) {
    this.requests += requests;
    this.heads += heads;
    this.bodies += bodies;
    if (requests > 0) this.drawn.push({ time: performance.now() });
  }

  take({ count, price }, arrived) {
    if (this.last !== null && count === this.last) return; // an answer without news
    if (this.last !== null && count > this.last) this.missed += count - this.last - 1;
    this.last = count;
    if (!first.has(count)) first.set(count, arrived);
    if (first.size > 100) first.delete(first.keys().next().value);
    const time = performance.now();
    const delay = Math.max(0, time - first.get(count));
    this.ticks++;
    this.delays += delay;
    this.drawn.push({ time, delay });
    this.card.querySelector(".price").textContent = price.toFixed(2);
  }

  draw(now) {
    while (this.drawn.length > 0 && now - this.drawn[0].time > WINDOW + 500) this.drawn.shift();
    const paths = { requests: "", ticks: "", late: "" };
    for (const { time, delay } of this.drawn) {
      const x = (200 * (1 - (now - time) / WINDOW)).toFixed(1);
      const y = (56 - 50 * Math.sqrt(Math.min(1, (delay ?? 0) / LATEST))).toFixed(1);
      if (delay === undefined) paths.requests += `M${x} 60v-9`;
      else {
        paths.ticks += `M${x} ${y}h0`;
        paths.late += `M${x} 60V${y}`;
      }
    }
    for (const [name, d] of Object.entries(paths)) this.card.querySelector(`.${name}`).setAttribute("d", d);
  }

  write() {
    const number = (value) => Math.round(value).toLocaleString("en");
    const shown = {
      requests: number(this.requests),
      ticks: number(this.ticks),
      missed: number(this.missed),
      delay: this.ticks > 0 ? `${number(this.delays / this.ticks)} ms` : "–",
      heads: number(this.heads),
      bodies: number(this.bodies),
      each: this.ticks > 0 ? number((this.heads + this.bodies) / this.ticks) : "–",
    };
    for (const [name, text] of Object.entries(shown)) this.card.querySelector(`[data-of=${name}]`).textContent = text;
    this.card.querySelector("[data-of=missed]").classList.toggle("missing", this.missed > 0);
    this.card.querySelector("svg").setAttribute("aria-label", `${this.name}: ${shown.requests} requests, ${shown.ticks} ticks, delay ${shown.delay}`);
  }

  report(isWorking) {
    this.isWorking = isWorking;
    if (ways.every((way) => way.isWorking)) setStatus("online");
    else if (!isWorking) setStatus("reconnecting");
  }
}

ways.push(
  new Way("Short polling", shortPolling),
  new Way("Long polling", longPolling),
  new Way("Server-Sent Events", eventStream),
  new Way("WebSocket", webSocket),
);

function readControls() {
  network.interval = Number(element("interval").value);
  network.latency = Number(element("latency").value);
  for (const way of ways) way.reset();
}

function draw(now) {
  for (const way of ways) way.draw(now);
  requestAnimationFrame(draw);
}

async function start() {
  try {
    network.head = (await (await fetch("head")).json()).bytes;
  } catch {
    setStatus("reconnecting");
    setTimeout(start, 2000);
    return;
  }
  for (const way of ways) {
    const { start: startWay, count, take, report } = way;
    startWay({ network, count: count.bind(way), take: take.bind(way), report: report.bind(way) });
  }
  element("ways").setAttribute("aria-busy", "false");
}

element("controls").addEventListener("change", readControls);
element("controls").addEventListener("reset", () => setTimeout(readControls)); // the fields change after this event
setInterval(() => ways.forEach((way) => way.write()), 250);
requestAnimationFrame(draw);
readControls();
start();
