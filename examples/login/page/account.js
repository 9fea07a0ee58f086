// Shows the user's sessions, which arrive as events.

import { setStatus } from "../shared/page.js";

const list = document.querySelector("#sessions");

// "Mozilla/5.0 (X11; Linux x86_64) … Firefox/132.0" is "Firefox on Linux".
const browserNames = ["Edg", "OPR", "Firefox", "Chrome", "Safari", "curl"];
const systemNames = ["Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux"];

function describe(agent) {
  const browser = browserNames.find((name) => agent.includes(`${name}/`)) ?? "Browser";
  const system = systemNames.find((name) => agent.includes(name));
  const shown = { Edg: "Edge", OPR: "Opera" }[browser] ?? browser;
  return system ? `${shown} on ${system}` : shown;
}

function item({ browser, since, current }) {
  const row = document.createElement("li");
  const what = document.createElement("strong");
  const when = document.createElement("time");
  const date = new Date(since * 1000);
  what.textContent = describe(browser);
  when.dateTime = date.toISOString();
  when.textContent = `since ${date.toLocaleTimeString()}`;
  row.append(what, when);
  if (current) {
    row.classList.add("current");
    const here = document.createElement("span");
    here.textContent = "this browser";
    row.append(here);
  }
  return row;
}

const leave = () => location.assign("enter");

// Relative to the page, which is at …/account.
function listen() {
  const events = new EventSource("account/events");
  events.addEventListener("sessions", (event) => list.replaceChildren(...JSON.parse(event.data).map(item)));
  events.addEventListener("open", () => setStatus("online"));
  events.addEventListener("ended", () => {
    events.close();
    leave();
  });
  events.addEventListener("error", () => {
    setStatus("reconnecting");
    if (events.readyState === EventSource.CLOSED) findReason();
  });
}

// The browser does not report why a stream was refused: the session may have ended, or a proxy answers while the server restarts.
async function findReason() {
  const account = await fetch("account", { redirect: "manual" }).catch(() => null);
  if (account?.type === "opaqueredirect") leave();
  else setTimeout(account?.ok ? listen : findReason, 2000);
}

listen();
