// What the machine is, for the head of a results file.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";

function read(path) {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

const first = (text, pattern) => pattern.exec(text)?.[1] ?? "unknown";

function output(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}

// Pairs of a name and a value.
export function describeMachine() {
  const cpu = read("/proc/cpuinfo");
  const memory = Number(first(read("/proc/meminfo"), /^MemTotal:\s+(\d+)/m)) / 1024 ** 2;
  const family = ["vendor_id", "cpu family", "model"].map((name) => first(cpu, new RegExp(`^${name}\\s*: (.*)$`, "m"))).join(", ");
  return [
    ["Processor", `${first(cpu, /^model name\s*: (.*)$/m)} (${family.replace(/, (\d+), (\d+)$/, ", family $1, model $2")})`],
    ["Cores", `${os.availableParallelism()}${/\bhypervisor\b/.test(cpu) ? ", of a virtual machine" : ""}`],
    ["Memory", `${memory.toFixed(1)} GiB`],
    ["System", `${first(read("/etc/os-release"), /^PRETTY_NAME="(.*)"$/m)}, ${os.type()} ${os.release()}`],
    ["C compiler", output("cc", "--version").split("\n")[0]],
    ["Node.js", process.version],
    ["TCP congestion control", read("/proc/sys/net/ipv4/tcp_congestion_control") || "unknown"],
    ["Frequency governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") || "none"],
    ["Load average at the start", os.loadavg().map((load) => load.toFixed(2)).join(", ")],
  ];
}

// What makes the figures less than they seem; may be empty.
export function machineWarnings() {
  const warnings = [];
  if (os.availableParallelism() < 2) warnings.push("The machine has one core, so the server and the load generator share it.");
  if (os.loadavg()[0] > 0.5) warnings.push("Other programs were running at the start, so the figures are of little value.");
  return warnings;
}
