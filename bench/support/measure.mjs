// Starts a server, runs the load generator against it, and stops both.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { servers } from "./servers.mjs";

const START_MS = 15000;
const STOP_MS = 10000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Put before a command, it runs on these cores only. Without cores, it runs anywhere.
const pinned = (cores, words) => (cores ? ["taskset", "-c", cores, ...words] : words);

const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

// Starts a program that ends when bench/run ends, and keeps the last of its log.
function run(words, stdout) {
  const child = spawn(words[0], words.slice(1), { stdio: ["ignore", stdout, "pipe"] });
  child.log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (child.log = (child.log + text).slice(-4000)));
  children.add(child);
  child.ended = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? code));
  }).finally(() => children.delete(child));
  return child;
}

async function accepts(port) {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// nginx does not say when it listens.
async function awaitPort(child, port) {
  while (children.has(child)) {
    if (await accepts(port)) return port;
    await sleep(20);
  }
}

async function awaitLine(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^listening on http:\/\/[^:]+:(\d+)/.exec(line);
    if (match) {
      child.stdout.resume();
      return Number(match[1]);
    }
  }
}

async function startServer(name, scenario, cores) {
  const { words, port, directory } = await servers[name].command(scenario);
  const child = run(pinned(cores, words), port ? "ignore" : "pipe");
  const late = sleep(START_MS).then(() => null);
  const listening = await Promise.race([port ? awaitPort(child, port) : awaitLine(child), late]);
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await child.ended;
    clearTimeout(timer);
    if (directory) rmSync(directory, { recursive: true, force: true });
  };
  if (!listening) {
    await stop();
    throw new Error(`${name} did not start: ${child.log}`);
  }
  return { pid: child.pid, port: listening, stop };
}

async function collect(stream) {
  let text = "";
  for await (const part of stream.setEncoding("utf8")) text += part;
  return text;
}

const phaseText = (phase) => Object.entries(phase).map(([name, value]) => `${name}=${value}`).join(",");

// A scenario has: server, transport, subscribers, channels, phases, and perhaps publisher ("post") and
// workers. Returns what the load generator reports. `cores` has server and load.
export async function measure(scenario, cores) {
  const { server: name, transport, subscribers, channels = 1, publisher = "publish" } = scenario;
  const protocol = servers[name][transport];
  const server = await startServer(name, scenario, scenario.workers > 1 ? cores.serverWide : cores.server);
  try {
    const words = ["build/release/bench/load", "--port", server.port, "--pid", server.pid, ...protocol.subscribe, ...protocol[publisher]];
    words.push("--subscribers", subscribers, "--channels", channels, "--settle", scenario.settle);
    for (const phase of scenario.phases) words.push("--phase", phaseText(phase));
    const load = run(pinned(cores.load, words.map(String)), "pipe");
    const [output, status] = [await collect(load.stdout), await load.ended];
    if (status !== 0) throw new Error(`${name}: ${load.log.trim() || `the load generator ended with ${status}`}`);
    return JSON.parse(output);
  } finally {
    await server.stop();
  }
}
