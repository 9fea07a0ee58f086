// Writes a results file, its plots, and the figures it was made from.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { makeSections } from "./tables.mjs";

const describeFaults = ({ faults }) =>
  Object.entries(faults)
    .filter(([name, value]) => name !== "total" && name !== "first" && value > 0)
    .map(([name, value]) => `${value} ${name}`)
    .join(", ");

function faultLines({ faults, failures }) {
  if (faults.length + failures.length === 0) return ["Every subscriber received every message once, in order, and unchanged."];
  const where = ({ id, server, subscribers }) => `${server} (${id}, ${subscribers} subscribers)`;
  return [
    "Not every subscriber received every message once, in order, and unchanged:",
    "",
    ...faults.map((fault) => `- ${where(fault)}: ${describeFaults(fault)}; first: ${fault.faults.first}`),
    ...failures.map((failure) => `- ${where(failure)}: not measured: ${failure.message}`),
  ];
}

// `file` ends in .md. `context` has: samples, size, servers (names, with versions), skipped (names,
// with what they need), hasWorkers, isQuick, machine, warnings, cores, date, minutes.
export function writeResults(file, context) {
  const { samples, size, servers, skipped, machine, warnings, cores } = context;
  const stem = file.replace(/\.md$/, "");
  mkdirSync(dirname(file), { recursive: true });
  const lines = [`# Benchmark, ${context.date}`, ""];
  if (context.isQuick) lines.push("**A smoke run.** It shows that everything works. The figures mean nothing.", "");
  for (const warning of warnings) lines.push(`**${warning}**`, "");
  lines.push("Written by `bench/run`. [What is measured, and how](../README.md).", "", "## Machine", "");
  lines.push("| | |", "|---|---|", ...machine.map(([name, value]) => `| ${name} | ${value} |`));
  lines.push(`| Cores used | ${cores.server ? `server ${cores.server}, load generator ${cores.load}` : "any (not pinned)"} |`, "");
  lines.push(`${size.rounds} round${size.rounds > 1 ? "s" : ""}, interleaved, in ${context.minutes} minutes. Figures are medians. Payloads have 128 bytes where nothing else is said.`, "");
  lines.push("| Server | Version |", "|---|---|", ...servers.map(([name, version]) => `| ${name} | ${version} |`), "");
  if (skipped.length > 0) lines.push("Skipped, because something is not installed:", "", ...skipped.map(([name, what]) => `- ${name}: ${what}`), "");
  lines.push("## Correctness", "", ...faultLines(samples), "");
  const names = servers.map(([name]) => name);
  for (const { title, body, plots } of makeSections(samples, size, names, context.hasWorkers)) {
    lines.push(`## ${title}`, "", body, "");
    for (const [name, svg] of Object.entries(plots)) {
      if (!svg) continue;
      writeFileSync(`${stem}-${name}.svg`, svg);
      lines.push(`![${title}](${basename(stem)}-${name}.svg)`, "");
    }
  }
  writeFileSync(file, lines.join("\n"));
  writeFileSync(`${stem}.json`, JSON.stringify({ machine, servers, cores, size, ...samples.toJSON() }) + "\n");
}

const README_MARKS = ["<!-- plot: written by bench/run -->", "<!-- end of plot -->"];

// Puts the plot of a full run between the marks of the README, if it has them.
export function updateReadme(readme, file) {
  const plot = file.replace(/\.md$/, "-cpu-16.svg");
  const text = readFileSync(readme, "utf8");
  const [begin, end] = README_MARKS.map((mark) => text.indexOf(mark));
  if (begin < 0 || end < begin || !existsSync(plot)) return;
  const image = `\n\n![CPU time per delivery against subscribers, by server](${plot})\n\n[All figures, and the machine](${file})\n\n`;
  writeFileSync(readme, text.slice(0, begin + README_MARKS[0].length) + image + text.slice(end));
}
