// Plots as SVG, without a library: lines over a scale, and bars.

const WIDTH = 760;
const HEIGHT = 420;
const BOX = { left: 80, right: 590, top: 50, bottom: 360 };
const OTHER = "#bf3989";
const COLORS = {
  moonwire: "#1f6feb",
  "write loop": "#57606a",
  "joined write": "#8c959f",
  "npm ws": "#cf222e",
  "npm socket.io": "#9a6700",
  "npm better-sse": "#cf222e",
  nchan: "#8250df",
  "lua-http": "#1a7f37",
};

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const round = (value) => Number(value.toFixed(1));

function text(x, y, content, options = "") {
  return `<text x="${round(x)}" y="${round(y)}" ${options}>${escape(content)}</text>`;
}

function wrap(title, unit, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13" fill="#24292f">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(BOX.left, 22, title, 'font-size="16" font-weight="bold"'),
    text(BOX.left, 40, unit, 'fill="#57606a"'),
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

const number = (value) => (value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3))));

// A logarithmic scale from whole powers of ten, or a linear one from 0. Returns the place of a value
// between 0 and 1, and the ticks.
function makeScale(values, isLog) {
  const greatest = Math.max(...values);
  if (!isLog) {
    const step = 10 ** Math.floor(Math.log10(greatest)) / 2;
    const top = Math.ceil(greatest / step) * step;
    const ticks = Array.from({ length: 6 }, (_, i) => (top * i) / 5);
    return { at: (value) => value / top, ticks };
  }
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(Math.ceil(Math.log10(greatest)), low + 1);
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { at: (value) => (Math.log10(value) - low) / (high - low), ticks };
}

const yOf = (share) => BOX.bottom - share * (BOX.bottom - BOX.top);

function drawScale(scale, right) {
  return scale.ticks.flatMap((tick) => {
    const y = yOf(scale.at(tick));
    return [
      `<line x1="${BOX.left}" x2="${right}" y1="${round(y)}" y2="${round(y)}" stroke="#d0d7de"/>`,
      text(BOX.left - 8, y + 4, number(tick), 'text-anchor="end"'),
    ];
  });
}

// Moves labels apart, so that each has 15 pixels.
function spread(labels) {
  labels.sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 15);
  return labels;
}

// `series`: a list of { name, values }, with a value or null for each of the `categories`, which stand
// at equal distances. Returns null if there is nothing to draw.
export function linePlot({ title, unit, xLabel, categories, series, isLog }) {
  const drawn = series.filter(({ values }) => values.some((value) => value > 0));
  if (drawn.length === 0) return null;
  const scale = makeScale(drawn.flatMap(({ values }) => values.filter((value) => value > 0)), isLog);
  const xOf = (i) => BOX.left + 30 + (i * (BOX.right - BOX.left - 60)) / Math.max(categories.length - 1, 1);
  const parts = drawScale(scale, BOX.right);
  categories.forEach((name, i) => parts.push(text(xOf(i), BOX.bottom + 20, name, 'text-anchor="middle"')));
  parts.push(text((BOX.left + BOX.right) / 2, BOX.bottom + 42, xLabel, 'text-anchor="middle" fill="#57606a"'));
  const labels = [];
  drawn.forEach(({ name, values }, index) => {
    const color = COLORS[name] ?? OTHER;
    const points = values.flatMap((value, i) => (value > 0 ? [[round(xOf(i)), round(yOf(scale.at(value)))]] : []));
    const width = index === 0 ? 3 : 1.5;
    parts.push(`<polyline points="${points.map((point) => point.join(",")).join(" ")}" fill="none" stroke="${color}" stroke-width="${width}"/>`);
    for (const [x, y] of points) parts.push(`<circle cx="${x}" cy="${y}" r="${width + 1}" fill="${color}"/>`);
    labels.push({ name, color, y: points.at(-1)[1] });
  });
  for (const { name, color, y } of spread(labels)) parts.push(text(BOX.right + 10, y + 4, name, `fill="${color}"`));
  return wrap(title, unit, parts);
}

// `bars`: a list of { name, value }.
export function barPlot({ title, unit, bars, isLog }) {
  const drawn = bars.filter(({ value }) => value > 0);
  if (drawn.length === 0) return null;
  const scale = makeScale(drawn.map(({ value }) => value), isLog);
  const step = (WIDTH - BOX.left - 30) / drawn.length;
  const parts = drawScale(scale, WIDTH - 30);
  drawn.forEach(({ name, value }, i) => {
    const x = BOX.left + i * step;
    const y = yOf(Math.max(scale.at(value), 0));
    const bar = { width: round(Math.min(step * 0.7, 90)), height: round(Math.max(BOX.bottom - y, 1)) };
    parts.push(`<rect x="${round(x + step / 2 - bar.width / 2)}" y="${round(y)}" width="${bar.width}" height="${bar.height}" fill="${i === 0 ? COLORS.moonwire : COLORS["joined write"]}"/>`);
    parts.push(text(x + step / 2, y - 5, number(value), 'text-anchor="middle"'));
    parts.push(text(x + step / 2, BOX.bottom + 20, name, 'text-anchor="middle"'));
  });
  return wrap(title, unit, parts);
}
