// The dashboard: one channel for which devices there are and whether they are silent, and one for the readings of each.

import { connect } from "/moonwire.js";
import { element, showStatus, timeOf } from "./shared/page.js";
import { Chart } from "./chart.js";

const EVENTS_MAX = 50;
const WORDS = { added: "is new", silent: "has gone silent", back: "is back", removed: "was removed after an hour of silence" };

const devices = new Map(); // by name

const connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
showStatus(connection);

// ---- Devices ----

function addDevice(name) {
  if (devices.has(name)) return devices.get(name);
  const card = element("device").content.cloneNode(true).firstElementChild;
  card.querySelector("h2").textContent = name;
  const device = { card, chart: new Chart(card.querySelector(".chart")), gap: false, isDirty: false };
  devices.set(name, device);
  const names = [...devices.keys()].sort();
  element("devices").insertBefore(card, devices.get(names[names.indexOf(name) + 1])?.card ?? null);
  follow(name, device);
  return device;
}

function follow(name, device) {
  device.channel = connection.channel(`device:${name}`);
  device.channel.on("reading", ({ value, unit }) => {
    device.chart.add(value, device.gap);
    device.gap = false;
    Object.assign(device, { value, unit });
    setSilent(device, false);
    drawSoon(device);
  });
  device.channel.on("moonwire:gap", () => (device.gap = true));
  // After a restart, the server does not know the device until it posts again.
  device.channel.on("moonwire:unsubscribed", () => {
    device.channel = null;
    device.gap = true;
    setSilent(device, true, "Unknown to the server");
  });
}

function setSilent({ card }, isSilent, words = isSilent ? "Silent" : "Live") {
  card.classList.toggle("silent", isSilent);
  if (card.querySelector(".state").textContent !== words) card.querySelector(".state").textContent = words;
}

function removeDevice(name) {
  devices.get(name)?.card.remove();
  devices.get(name)?.channel?.unsubscribe();
  devices.delete(name);
}

// Many readings at once are drawn once.
function drawSoon(device) {
  if (device.isDirty) return;
  device.isDirty = true;
  requestAnimationFrame(() => {
    device.isDirty = false;
    device.card.querySelector(".value").textContent = `${device.value.toLocaleString("en")} ${device.unit}`;
    device.chart.draw(device.unit);
  });
}

async function load() {
  const response = await fetch("devices", { cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { silent, devices: known } = await response.json();
  for (const [name, { age }] of Object.entries(known)) {
    const device = addDevice(name);
    if (!device.channel) follow(name, device);
    if (age >= silent) setSilent(device, true);
  }
  for (const [name, device] of devices) if (!Object.hasOwn(known, name)) setSilent(device, true, "Unknown to the server");
  element("devices").setAttribute("aria-busy", "false");
}

// ---- Alerts ----

function showEvent(event, { device, time }) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  const what = document.createElement("span");
  when.textContent = timeOf(time);
  what.className = event;
  what.textContent = `${device} ${WORDS[event]}`;
  item.append(when, what);
  element("events").prepend(item);
  if (element("events").childElementCount > EVENTS_MAX) element("events").lastElementChild.remove();
  element("none").hidden = true;
  const silent = [...devices].filter(([, { card }]) => card.classList.contains("silent")).map(([name]) => name);
  element("notice").textContent = silent.length > 0 ? `No readings from: ${silent.join(", ")}` : "";
}

const events = connection.channel("devices");
for (const event of Object.keys(WORDS)) {
  events.on(event, (data) => {
    if (event === "removed") removeDevice(data.device);
    else {
      const device = addDevice(data.device);
      if (!device.channel) follow(data.device, device);
      setSilent(device, event === "silent");
    }
    showEvent(event, data);
  });
}
events.on("moonwire:subscribed", async () => {
  try {
    await load();
  } catch {
    setTimeout(() => connection.state === "open" && load().catch(() => {}), 2000);
  }
});

element("command").textContent =
  `curl -H 'Authorization: Bearer secret' -d '{"value":21.5,"unit":"°C"}' ${new URL("readings/attic", document.baseURI)}`;
