// Collects what the load generator reported, round by round, and finds medians.

import { keyOf } from "./plan.mjs";

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function phaseSample(phase) {
  const { deliveries, messages, seconds } = phase;
  const user = phase.server_user_us / deliveries;
  const system = phase.server_system_us / deliveries;
  const { p50, p90, p99, p999 } = phase.latency_us;
  return { cpu: user + system, user, system, rate: deliveries / seconds, messages, busy: phase.own_cpu_us / seconds / 1e6, p50, p90, p99, p999 };
}

function memorySample(report) {
  const grown = report.memory.reduce((sum, { resident, resident_before }) => sum + resident - resident_before, 0);
  return { memory: grown / report.subscribers, base: report.memory.reduce((sum, { resident_before }) => sum + resident_before, 0) };
}

export class Samples {
  #entries = new Map();
  faults = [];
  failures = [];

  #add(key, about, sample) {
    if (!this.#entries.has(key)) this.#entries.set(key, { about, samples: [] });
    this.#entries.get(key).samples.push(sample);
  }

  add(scenario, report) {
    const { phases, ...about } = scenario;
    report.phases.forEach((phase, i) => {
      if (phase.deliveries > 0) this.#add(keyOf(scenario, phases[i]), { ...about, ...phase }, phaseSample(phase));
    });
    if (scenario.id === "ws") this.#add(keyOf({ ...scenario, id: "memory" }, { window: 0 }), { ...about, id: "memory" }, memorySample(report));
    if (report.faults.total > 0) this.faults.push({ ...about, faults: report.faults });
  }

  addFailure(scenario, message) {
    this.failures.push({ server: scenario.server, id: scenario.id, subscribers: scenario.subscribers, message: message.trim().split("\n")[0] });
  }

  // The figures of all rounds. `wanted` has members of a scenario and of a phase.
  #values(figure, wanted) {
    const fits = ({ about }) => Object.entries(wanted).every(([name, value]) => about[name] === value);
    const entry = [...this.#entries.values()].find(fits);
    return entry ? entry.samples.map((sample) => sample[figure]) : [];
  }

  // The median, the least, and the greatest of a figure, or null.
  get(figure, wanted) {
    const values = this.#values(figure, wanted);
    if (values.length === 0) return null;
    return { median: median(values), least: Math.min(...values), greatest: Math.max(...values) };
  }

  // The mean, or null: for what the kernel counts in ticks, which may be few in one round.
  mean(figure, wanted) {
    const values = this.#values(figure, wanted);
    return values.length > 0 ? values.reduce((sum, value) => sum + value) / values.length : null;
  }

  // The median, the least, and the greatest of the ratio to another figure of the same round.
  getRatio(figure, wanted, base) {
    const [values, bases] = [this.#values(figure, wanted), this.#values(figure, base)];
    if (values.length === 0 || values.length !== bases.length) return null;
    const ratios = values.map((value, i) => value / bases[i]);
    return { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) };
  }

  toJSON() {
    return { entries: [...this.#entries.values()], faults: this.faults, failures: this.failures };
  }
}
