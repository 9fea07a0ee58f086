// bench/run: builds, measures round by round, and writes the results.

import { spawnSync } from "node:child_process";
import os from "node:os";
import { parseArgs } from "node:util";
import { describeMachine, machineWarnings } from "./machine.mjs";
import { measure } from "./measure.mjs";
import { full, makePlan, quick } from "./plan.mjs";
import { updateReadme, writeResults } from "./results.mjs";
import { Samples } from "./samples.mjs";
import { moonwireHasWorkers, servers } from "./servers.mjs";

const HELP = `usage: bench/run [--install] [--quick] [--rounds N] [--only NAME,…] [--out FILE.md]

Measures moonwire, the bare limits, and other servers, and writes bench/results/<date>.md.
It takes 15 to 20 minutes, and needs a machine that does nothing else. See bench/README.md.

  --install     install the other servers first, with apt-get and npm
  --quick       a smoke run of seconds, whose figures mean nothing; writes build/bench/quick.md
  --rounds N    exactly so many; by default 6, or as many as fit into 19 minutes
  --only NAMES  these servers only, such as "moonwire,joined write"
  --out FILE    write this file, with its plots beside it
`;

function fail(message) {
  console.error(`bench/run: ${message}`);
  process.exit(2);
}

function mustRun(command, ...args) {
  const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) fail(`"${[command, ...args].join(" ")}" failed`);
}

function readOptions() {
  const options = {
    install: { type: "boolean" },
    quick: { type: "boolean" },
    help: { type: "boolean" },
    rounds: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
  };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    fail(`${error.message}; bench/run --help lists the options`);
  }
}

// The servers that can run, with their versions, and those that cannot, with what they need.
function sortServers(only) {
  const wanted = only?.split(",").map((name) => name.trim()) ?? Object.keys(servers);
  for (const name of wanted) if (!servers[name]) fail(`no server "${name}"; there are: ${Object.keys(servers).join(", ")}`);
  const found = [];
  const skipped = [];
  for (const name of wanted) {
    const need = servers[name].needs();
    if (need) skipped.push([name, need]);
    else found.push([name, servers[name].version()]);
  }
  return { found, skipped };
}

function chooseCores() {
  const count = os.availableParallelism();
  if (count < 2 || spawnSync("taskset", ["-c", "0,1", "true"]).status !== 0) return { server: "", load: "", serverWide: "" };
  return { server: "0", load: "1", serverWide: count > 2 ? "0,2" : "0,1" };
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function makeProgress(total) {
  const begin = performance.now();
  let done = 0;
  return (text) => {
    const elapsed = (performance.now() - begin) / 1000;
    const left = done > 3 ? `, about ${clock((elapsed / done) * (total - done))} left` : "";
    const line = `${String(++done).padStart(3)} of ${total}  ${clock(elapsed)}${left}  ${text}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

// Each round measures everything once. The order of the servers changes from round to round.
// `minutes` limits the time, if it is given. Returns the samples, and how many rounds were measured.
async function measureAll(plan, rounds, minutes, cores) {
  const samples = new Samples();
  const progress = makeProgress(plan.length * rounds);
  const begin = performance.now();
  let round = 0;
  for (; round < rounds; round++) {
    const nextEnd = ((performance.now() - begin) / 60000) * (1 + 1 / Math.max(round, 1));
    if (round > 0 && nextEnd > minutes) break;
    const list = round % 2 ? [...plan].reverse() : plan;
    for (const scenario of list) {
      progress(`round ${round + 1}: ${scenario.server}, ${scenario.id}, ${scenario.subscribers} subscribers`);
      try {
        samples.add(scenario, await measure(scenario, cores));
      } catch (error) {
        samples.addFailure(scenario, error.message);
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\n");
  return { samples, rounds: round };
}

async function main() {
  const options = readOptions();
  if (options.help) return console.log(HELP.trimEnd());
  const size = { ...(options.quick ? quick : full) };
  if (options.rounds) size.rounds = Number(options.rounds);
  if (!(Number.isInteger(size.rounds) && size.rounds >= 1)) fail(`--rounds is "${options.rounds}", and must be a whole number from 1`);
  if (options.install) {
    mustRun("scripts/install-deps", "--for", "bench");
    mustRun("npm", "install", "--prefix", "bench", "--loglevel=error");
  }
  const machine = describeMachine();
  const warnings = options.quick ? [] : machineWarnings();
  for (const warning of warnings) console.error(warning);
  mustRun("make", "-s", `-j${os.availableParallelism()}`, "module", "bench");

  const { found, skipped } = sortServers(options.only);
  for (const [name, what] of skipped) console.error(`skipped ${name}: needs ${what}`);
  const names = found.map(([name]) => name);
  const hasWorkers = moonwireHasWorkers();
  const cores = chooseCores();
  const plan = makePlan(size, (name) => names.includes(name), hasWorkers);
  const date = new Date().toISOString().slice(0, 10);
  const file = options.out ?? (options.quick ? "build/bench/quick.md" : `bench/results/${date}.md`);
  const begin = performance.now();
  const { samples, rounds } = await measureAll(plan, size.rounds, options.rounds ? undefined : size.minutes, cores);
  size.rounds = rounds;
  const minutes = ((performance.now() - begin) / 60000).toFixed(1);
  writeResults(file, { samples, size, servers: found, skipped, hasWorkers, isQuick: options.quick, machine, warnings, cores, date, minutes });
  const isWhole = !options.quick && !options.out && !options.only;
  if (isWhole) updateReadme("README.md", file);
  console.log(file);
  for (const failure of samples.failures) console.error(`not measured: ${failure.message}`);
  for (const { server, id, faults } of samples.faults) console.error(`faults: ${server}, ${id}: ${faults.first}`);
  process.exitCode = samples.failures.length + samples.faults.length > 0 ? 1 : 0;
}

await main();
