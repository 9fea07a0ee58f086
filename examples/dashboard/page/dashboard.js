// Keeps the newest samples, and draws one chart for each metric.

import { connect } from "/moonwire.js";
import { element, showStatus, timeOf } from "./shared/page.js";

const KEPT = 120;
const MIB = 1024 * 1024;
const METRICS = [
  { name: "connections", title: "Open connections", digits: 0 },
  { name: "subscriptions", title: "Subscriptions", digits: 0 },
  { name: "published", title: "Messages published a second", digits: 0 },
  { name: "delivered", title: "Messages delivered a second", digits: 0 },
  { name: "requests", title: "HTTP requests a second", digits: 0 },
  { name: "busy", title: "Script busy, % of the time", digits: 2 },
  { name: "memory", title: "Memory of the process, MiB", digits: 1, unit: MIB },
  { name: "lua", title: "Memory of the script, MiB", digits: 2, unit: MIB },
];
const samples = []; // gap: samples before this one are missing
let gap = false;
let isDue = false;

for (const metric of METRICS) {
  metric.card = element("chart").content.cloneNode(true).firstElementChild;
  metric.card.querySelector("h2").textContent = metric.title;
  element("charts").append(metric.card);
}

function draw() {
  isDue = false;
  for (const metric of METRICS) drawChart(metric);
  const missing = samples.find((sample) => sample.gap);
  element("notice").textContent = missing ? `The server has no samples of some time before ${timeOf(missing.time)}.` : "";
}

function drawChart({ name, title, digits, unit = 1, card }) {
  const values = samples.map((sample) => sample[name] / unit);
  const format = (value) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const bottom = low > 0 && low > high / 2 ? low - (high - low) : 0; // from zero, unless the line would be flat
  const x = (i) => i + KEPT - values.length; // the newest is at the right edge
  const y = (value) => (38 - (34 * (value - bottom)) / (high - bottom || 1)).toFixed(2);
  let line = "";
  let area = "";
  let gaps = "";
  let start = 0;
  for (let i = 0; i < values.length; i++) {
    const begins = i === 0 || samples[i].gap;
    if (begins) start = i;
    if (samples[i].gap) gaps += `M${x(i)} 0V40`;
    line += `${begins ? "M" : "L"}${x(i)} ${y(values[i])}`;
    area += `${begins ? `M${x(i)} 40L` : "L"}${x(i)} ${y(values[i])}`;
    if (i + 1 === values.length || samples[i + 1].gap) area += `L${x(i)} 40L${x(start)} 40Z`;
  }
  for (const [path, d] of Object.entries({ line, area, gap: gaps })) card.querySelector(`.${path}`).setAttribute("d", d);
  card.querySelector(".value").textContent = format(values.at(-1));
  card.querySelector(".range").textContent = `${format(low)} to ${format(high)}`;
  card.querySelector("svg").setAttribute("aria-label", `${title}: ${format(values.at(-1))}, ${format(low)} to ${format(high)} in the last ${samples.length} seconds`);
}

const connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
showStatus(connection);
const channel = connection.channel("dashboard");
channel.on("moonwire:gap", () => {
  gap = samples.length > 0;
});
channel.on("sample", (sample) => {
  samples.push({ ...sample, gap });
  gap = false;
  if (samples.length > KEPT) samples.shift();
  if (!isDue) requestAnimationFrame(draw);
  isDue = true;
});
