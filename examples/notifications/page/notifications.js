// The inbox of one user. The server has the truth; the channel states what has changed.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";

const SHOWN = 30;
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
let connection = null;
let channel = null;
let items = []; // newest first
let changes = 0; // messages so far

// ---- State ----

async function load() {
  const before = changes;
  const answer = await fetch("inbox").catch(() => null);
  if (!answer?.ok) {
    setTimeout(load, 1000 + 2000 * Math.random());
    return;
  }
  const inbox = await answer.json();
  if (changes !== before) {
    load(); // what has arrived in the meantime may be missing in this answer
    return;
  }
  if (!inbox.user) {
    showDoor();
    return;
  }
  if (!connection) enter(inbox.user);
  items = inbox.items;
  show(inbox.unread);
}

function take({ unread, ...item }) {
  changes++;
  if (!items.some(({ id }) => id === item.id)) items.unshift({ ...item, read: false });
  items.sort((a, b) => b.id - a.id);
  items.length = Math.min(items.length, SHOWN);
  show(unread);
}

function takeRead({ upto, unread }) {
  changes++;
  for (const item of items) item.read ||= item.id <= upto;
  show(unread);
}

function enter({ id, name }) {
  element("door").hidden = true;
  for (const shown of ["inbox", "leave"]) element(shown).hidden = false;
  element("connection").parentElement.hidden = false;
  element("who").textContent = `You are ${name}. Open a second tab: both count.`;
  element("curl").textContent = [
    "curl -H 'Authorization: Bearer '\"${NOTIFY_KEY:-demo}\" \\",
    `  -d '{"text":"your order was sent"}' \\`,
    `  ${new URL(`notify/${id}`, location.href)}`,
  ].join("\n");
  connection = connect("/", { backoff: { max: 5000 } });
  showStatus(connection);
  channel = connection.channel(`inbox:${id}`);
  channel.on("notification", take);
  channel.on("read", takeRead);
  channel.on("moonwire:subscribed", load); // also after the server was away: what it says now is the truth
  channel.on("moonwire:unsubscribed", () => location.reload()); // the user has logged out, or is another one
}

function showDoor() {
  if (connection) location.reload(); // begins without anything of the user
  element("door").hidden = false;
}

// A cookie that scripts cannot read states the user. "nobody" logs out.
const setUser = (user) => fetch(`enter/${user}`, { method: "POST" });

// ---- The page ----

function show(unread) {
  element("unread").textContent = unread > 0 ? String(unread) : "";
  element("unread").setAttribute("aria-label", unread > 0 ? `${unread} unread` : "");
  document.title = `${unread > 0 ? `(${unread}) ` : ""}Notifications · moonwire`;
  element("read").disabled = unread === 0;
  element("empty").hidden = items.length > 0;
  element("items").replaceChildren(
    ...items.map(({ text, time, read }) => {
      const row = element("item").content.cloneNode(true).firstElementChild;
      row.classList.toggle("unread", !read);
      row.querySelector(".text").textContent = text;
      row.querySelector("time").textContent = clock.format(time * 1000);
      row.querySelector("time").dateTime = new Date(time * 1000).toISOString();
      return row;
    }),
  );
}

element("users").addEventListener("click", async ({ target }) => {
  if (!target.value) return;
  try {
    const answer = await setUser(target.value);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    load();
  } catch (error) {
    element("problem").textContent = `Not logged in: ${error.message}.`;
  }
});

element("read").addEventListener("click", () => {
  if (items.length > 0) channel.send("read", items[0].id).catch(() => {}); // the page shows what the server confirms
});

element("leave").addEventListener("click", async () => {
  await setUser("nobody").catch(() => {});
  location.reload();
});

load();
