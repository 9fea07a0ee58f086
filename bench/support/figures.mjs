// Prints figures, compares them with the recorded ones, or records them: what bench/instructions.mjs and bench/memory.mjs share.

import { readFileSync, writeFileSync } from "node:fs";

const FILE = new URL("../figures.json", import.meta.url);
const RISE = 1.03;
const TRIES = 3;

// How connections fall into the server's turns makes figures differ by 1 to 2 %, so a rise has to show TRIES times.
async function measureAgainst(before, measure) {
  let figure = Infinity;
  for (let i = 0; i < TRIES && figure > before * RISE; i++) figure = Math.min(figure, await measure());
  return figure;
}

// `measures` maps the name of each figure to a function that measures it; `unit` names the group in the file.
export async function check(unit, measures) {
  const mode = process.argv[2];
  const file = JSON.parse(readFileSync(FILE, "utf8"));
  const recorded = mode === "--check" ? (file[unit] ?? {}) : {};
  const found = {};
  let failures = 0;
  for (const [name, measure] of Object.entries(measures)) {
    const before = recorded[name];
    const figure = before === undefined ? await measure() : await measureAgainst(before, measure);
    found[name] = figure;
    const isGood = mode !== "--check" || figure <= before * RISE;
    if (!isGood) failures++;
    const verdict = before === undefined ? "" : `  recorded ${before}, ratio ${(figure / before).toFixed(3)}`;
    console.log(`${isGood ? "ok    " : "FAILED"} ${name.padEnd(38)} ${String(figure).padStart(7)} ${unit}${verdict}`);
  }
  if (mode === "--write") writeFileSync(FILE, JSON.stringify({ ...file, [unit]: found }, null, 2) + "\n");
  process.exit(failures === 0 ? 0 : 1);
}
