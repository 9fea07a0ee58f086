// The tables of a results file, and its plots.

import { MANY_WORKERS } from "./plan.mjs";
import { barPlot, linePlot } from "./plot.mjs";

export const titles = { ws: "npm ws", "socket.io": "npm socket.io", "better-sse": "npm better-sse" };
const titleOf = (server) => titles[server] ?? server;

const digits = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const cell = (figure, scale = 1) => (figure ? digits(figure.median / scale) : "–");
const plain = (value) => (value === null ? "–" : digits(value));
const range = (figure) => (figure ? `${digits(figure.median)} (${digits(figure.least)}–${digits(figure.greatest)})` : "–");

function table(head, rows) {
  const lines = [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

// The servers for which `get` finds anything.
function present(samples, servers, wanted) {
  return servers.filter((server) => samples.get("cpu", { ...wanted, server }) ?? samples.get("memory", { ...wanted, server }));
}

const CPU = "CPU time of the server, µs per delivery";

function subscribersSection(samples, size, servers) {
  const columns = size.counts.flatMap((subscribers) => [1, 16].map((window) => ({ subscribers, window })));
  const names = present(samples, servers, { id: "ws" });
  const heads = columns.map(({ subscribers, window }) => `${subscribers.toLocaleString("en")}, ${window} in flight`);
  const rows = names.map((server) => [titleOf(server), ...columns.map((column) => range(samples.get("cpu", { id: "ws", server, ...column })))]);
  const limit = { 1: "write loop", 16: "joined write" };
  const ratios = names.map((server) => [
    titleOf(server),
    ...columns.map((column) => cell(samples.getRatio("cpu", { id: "ws", server, ...column }, { id: "ws", ...column, server: limit[column.window] }))),
  ]);
  const plot = (window) =>
    linePlot({
      title: `Cost against subscribers, ${window} in flight`,
      unit: CPU,
      xLabel: "WebSocket subscribers",
      categories: size.counts.map((count) => count.toLocaleString("en")),
      series: names.map((server) => ({
        name: titleOf(server),
        values: size.counts.map((subscribers) => samples.get("cpu", { id: "ws", server, subscribers, window })?.median ?? null),
      })),
      isLog: window > 1,
    });
  const body = `${CPU}: the median, the least, and the greatest of the rounds. "In flight" is how many messages are published before the first has reached everyone.\n\n${table(["WebSockets", ...heads], rows)}\n\nThe same, divided by the bare limit in the same round: with 1 in flight by the write loop, with 16 by the joined write.\n\n${table(["WebSockets", ...heads], ratios)}`;
  return { title: "Cost against subscribers", body, plots: { "cpu-1": plot(1), "cpu-16": plot(16) } };
}

function splitSection(samples, size, servers) {
  const wanted = { id: "ws", subscribers: size.counts[1] };
  const names = present(samples, servers, wanted);
  const rows = names.map((server) => [
    titleOf(server),
    ...[1, 16].flatMap((window) => ["user", "system"].map((figure) => plain(samples.mean(figure, { ...wanted, server, window })))),
    ...[1, 16].map((window) => cell(samples.get("rate", { ...wanted, server, window }), 1000)),
    ...[1, 16].map((window) => cell(samples.get("busy", { ...wanted, server, window }), 0.01)),
  ]);
  const head = ["WebSockets", "user, 1 in flight", "system", "user, 16 in flight", "system", "thousand deliveries/s, 1", "16", "generator busy %, 1", "16"];
  return { title: "User and system time", body: `${CPU}, with ${size.counts[1].toLocaleString("en")} subscribers. User and system time are means of the rounds, because the kernel counts them in ticks of 10 ms. Where the generator is busy nearly all the time, it limits the deliveries per second, but not the cost.\n\n${table(head, rows)}`, plots: {} };
}

const PERCENTILES = [
  ["p50", "50 %"],
  ["p90", "90 %"],
  ["p99", "99 %"],
  ["p999", "99.9 %"],
];

function latencySection(samples, size, servers, id, label) {
  const wanted = { id, subscribers: size.counts[1], rate: size.rate };
  const names = present(samples, servers, wanted);
  const rows = names.map((server) => [titleOf(server), ...PERCENTILES.map(([figure]) => cell(samples.get(figure, { ...wanted, server }), 1000))]);
  const plot = linePlot({
    title: `Latency at ${size.rate} messages a second`,
    unit: "milliseconds from when a message was due",
    xLabel: `share of the deliveries, ${size.counts[1].toLocaleString("en")} ${label} subscribers`,
    categories: PERCENTILES.map(([, name]) => name),
    series: names.map((server) => ({
      name: titleOf(server),
      values: PERCENTILES.map(([figure]) => (samples.get(figure, { ...wanted, server })?.median ?? 0) / 1000),
    })),
    isLog: true,
  });
  const body = `Milliseconds from when a message was due until a subscriber had read it, at ${size.rate} messages a second to ${size.counts[1].toLocaleString("en")} subscribers. Most of it is the time to write to everyone.\n\n${table([label, ...PERCENTILES.map(([, name]) => name)], rows)}`;
  return { title: `Latency: ${label}`, body, plots: { [`latency-${id}`]: plot } };
}

function memorySection(samples, size, servers) {
  const wanted = { id: "memory", subscribers: size.counts.at(-1) };
  const names = present(samples, servers, wanted);
  const rows = names.map((server) => [
    titleOf(server),
    range(samples.get("memory", { ...wanted, server })),
    cell(samples.get("base", { ...wanted, server }), 1024 ** 2),
  ]);
  const bars = names.map((server) => ({ name: titleOf(server), value: samples.get("memory", { ...wanted, server }).median }));
  const plot = barPlot({ title: "Memory per idle connection", unit: "bytes of resident memory", bars, isLog: true });
  const body = `Resident memory with ${wanted.subscribers.toLocaleString("en")} idle WebSocket subscribers less that without any, divided by their number. The kernel's memory for the sockets is not part of it.\n\n${table(["WebSockets", "bytes per connection", "MiB without connections"], rows)}`;
  return { title: "Memory per idle connection", body, plots: { memory: plot } };
}

function streamsSection(samples, size, servers) {
  const names = present(samples, servers, { id: "sse" });
  const row = (wanted, name) => [name, ...[1, 16].map((window) => range(samples.get("cpu", { ...wanted, window })))];
  const rows = names.map((server) => row({ id: "sse", server }, titleOf(server)));
  const body = `${CPU}, with ${size.counts[1].toLocaleString("en")} subscribers. Messages are published by POST, up to 64 pipelined.\n\n${table(["Event streams", "1 in flight", "16 in flight"], rows)}`;
  const polls = `\n\nA poll is a request and an answer for each delivery, or for several:\n\n${table(["Long polling", "1 in flight", "16 in flight"], [row({ id: "poll" }, "moonwire")])}`;
  const kinds = [
    row({ id: "mixed", transport: "ws" }, "WebSockets"),
    row({ id: "sse", server: "moonwire" }, "event streams"),
    row({ id: "mixed", transport: "mixed" }, "half of each"),
  ];
  const mixed = `\n\nA channel of moonwire with subscribers of both kinds, published by POST:\n\n${table(["Subscribers", "1 in flight", "16 in flight"], kinds)}`;
  return { title: "Event streams and polls", body: body + mixed + polls, plots: {} };
}

function sizeSection(samples, size, servers) {
  const names = present(samples, servers, { id: "size" });
  const value = (server, bytes, window) => samples.get("cpu", { id: "size", server, size: bytes, window });
  const columns = size.sizes.flatMap((bytes) => [1, 16].map((window) => [bytes, window]));
  const rows = names.map((server) => [titleOf(server), ...columns.map(([bytes, window]) => cell(value(server, bytes, window)))]);
  const plot = linePlot({
    title: "Cost against message size, 16 in flight",
    unit: CPU,
    xLabel: "bytes of a message",
    categories: size.sizes.map((bytes) => bytes.toLocaleString("en")),
    series: names.map((server) => ({ name: titleOf(server), values: size.sizes.map((bytes) => value(server, bytes, 16)?.median ?? null) })),
    isLog: true,
  });
  const heads = columns.map(([bytes, window]) => `${bytes.toLocaleString("en")} bytes, ${window} in flight`);
  return { title: "Cost against message size", body: `${CPU}, with ${size.counts[1].toLocaleString("en")} WebSocket subscribers.\n\n${table(["WebSockets", ...heads], rows)}`, plots: { size: plot } };
}

function channelsSection(samples, size, servers) {
  const names = present(samples, servers, { id: "channels" });
  const value = (server, channels) => samples.get("cpu", { id: "channels", server, channels });
  const rows = names.map((server) => [titleOf(server), ...size.channels.map((channels) => cell(value(server, channels)))]);
  const heads = size.channels.map((channels) => `${channels.toLocaleString("en")} channel${channels > 1 ? "s" : ""}`);
  const plot = linePlot({
    title: "Cost against the number of channels, 16 in flight",
    unit: CPU,
    xLabel: `channels, ${size.counts[1].toLocaleString("en")} subscribers in all`,
    categories: size.channels.map((channels) => channels.toLocaleString("en")),
    series: names.map((server) => ({ name: titleOf(server), values: size.channels.map((channels) => value(server, channels)?.median ?? null) })),
    isLog: true,
  });
  const body = `${CPU}. ${size.counts[1].toLocaleString("en")} WebSocket subscribers are divided among the channels, so that with more channels each message reaches fewer, and the cost of publishing shows. Published by POST, pipelined.\n\n${table(["WebSockets", ...heads], rows)}`;
  return { title: "Cost against the number of channels", body, plots: { channels: plot } };
}

function publishSection(samples, size) {
  const way = (name, wanted) => [name, range(samples.get("cpu", { id: "publish", window: 16, ...wanted })), cell(samples.get("rate", { id: "publish", window: 16, ...wanted }), 1000)];
  const rows = [
    way("one POST at a time", { publisher: "post", depth: 1, batch: 1 }),
    way("16 POSTs, pipelined", { publisher: "post", depth: 16 }),
    way("one POST with an array of 16", { publisher: "post", batch: 16 }),
    way("a WebSocket", { publisher: "publish" }),
  ];
  const body = `What it costs moonwire to deliver the same messages to ${size.counts[1].toLocaleString("en")} WebSocket subscribers, by how they are published. Messages that arrive together leave together.\n\n${table(["Published by", "µs per delivery", "thousand deliveries/s"], rows)}`;
  return { title: "Ways to publish", body, plots: {} };
}

function workersSection(samples, size, servers, hasWorkers) {
  const title = "Workers";
  if (!hasWorkers) return { title, body: "Not measured: this build of moonwire has no option `--workers`.", plots: {} };
  const value = (figure, workers) => samples.get(figure, { id: "workers", workers });
  const mean = (figure, workers) => samples.mean(figure, { id: "workers", workers });
  const rows = [1, 2].map((workers) => [workers, range(value("cpu", workers)), plain(mean("user", workers)), plain(mean("system", workers)), cell(value("p50", workers), 1000), cell(value("p99", workers), 1000)]);
  const bars = [1, 2].map((workers) => ({ name: `${workers} worker${workers > 1 ? "s" : ""}`, value: value("cpu", workers)?.median ?? 0 }));
  const plot = barPlot({ title: `Workers, at ${2 * size.rate} messages a second`, unit: CPU, bars, isLog: false });
  const body = `CPU time of all threads, at ${2 * size.rate} messages a second to ${size.counts[1].toLocaleString("en")} WebSocket subscribers. Two workers have two cores; if the machine has no third, the load generator shares the second.\n\n${table(["Workers", "µs per delivery", "user", "system", "p50 ms", "p99 ms"], rows)}`;
  const one = (workers) => ({ id: "alone", workers });
  const alone = MANY_WORKERS.map((workers) => [workers, range(samples.get("cpu", one(workers))), cell(samples.getRatio("cpu", one(workers), one(1)))]);
  const more = `\n\nThe CPU time of a publish to a channel with one subscriber, by POST with an array of 16, and its ratio to that of one worker:\n\n${table(["Workers", "µs per publish", "ratio"], alone)}`;
  return { title, body: body + more, plots: { workers: plot } };
}

// All sections: a title, a body in Markdown, and plots by name, some of which may be null.
export function makeSections(samples, size, servers, hasWorkers) {
  return [
    subscribersSection(samples, size, servers),
    splitSection(samples, size, servers),
    latencySection(samples, size, servers, "ws", "WebSocket"),
    memorySection(samples, size, servers),
    streamsSection(samples, size, servers),
    latencySection(samples, size, servers, "sse", "Event stream"),
    sizeSection(samples, size, servers),
    channelsSection(samples, size, servers),
    publishSection(samples, size),
    workersSection(samples, size, servers, hasWorkers),
  ];
}
