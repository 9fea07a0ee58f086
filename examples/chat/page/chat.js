// The chat itself: rooms, people, private messages. log.js holds the log; the connection is moonwire's own client.

import { connect } from "/moonwire.js";
import { Log, paint } from "./log.js";
import { element, showStatus } from "./shared/page.js";

const ROOMS = ["lobby", "music", "night-watch"];
const PORTION = 50; // messages that a new page receives, and then with each request for older ones
const TYPING_EVERY = 2000; // milliseconds between two "typing" events,
const TYPING_LASTS = 3500; // and how long the others show it

const conversations = new Map(); // by key: "room:lobby" or "u7"
let connection = null;
let me = null; // { id, name }
let active = null; // the conversation that is shown

// ---- Conversations ----

function addConversation(key, title, isRoom) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const label = document.createElement("bdi");
  const badge = document.createElement("span");
  label.textContent = isRoom ? `# ${title}` : title;
  badge.className = "badge";
  button.type = "button";
  button.append(label, badge);
  button.addEventListener("click", () => show(conversation));
  item.append(button);
  const conversation = { key, title, isRoom, button, badge, log: new Log(), unread: 0, draft: "" };
  // only for rooms; `oldest` is the id of the first message, `count` the number of messages that were pushed
  Object.assign(conversation, { members: new Map(), typing: new Map(), oldest: null, count: 0, hasOlder: false });
  conversations.set(key, conversation);
  element(isRoom ? "rooms" : "privates").append(item);
  element("private-title").hidden = element("privates").childElementCount === 0;
  return conversation;
}

function openRoom(name) {
  const key = `room:${name}`;
  if (conversations.has(key)) return conversations.get(key);
  const room = addConversation(key, name, true);
  const channel = connection.channel(key);
  room.channel = channel;
  channel.on("moonwire:presence", ({ joined, left }) => updateMembers(room, joined, left));
  channel.on("moonwire:subscribed", ({ data }) => {
    me.id = data.you;
    room.isJoined = true;
    room.typing.clear();
    if (room === active) showPeople();
  });
  channel.on("moonwire:gap", () => note(room, null, "Messages are missing here: the server no longer has them.", "gap"));
  channel.on("moonwire:unsubscribed", ({ reason }) => note(room, null, `This room is closed to you: ${reason}.`, "gap"));
  channel.on("said", (line, { id }) => takeLine(room, line, id));
  channel.on("typing", (data, { from }) => from !== me.id && startTyping(room, from));
  return room;
}

function openPrivate({ id, name }) {
  return conversations.get(id) ?? addConversation(id, name, false);
}

// Shows who has joined and who has left. Members that arrive before the room is joined were already there.
function updateMembers(room, joined, left) {
  for (const id of left) {
    note(room, room.members.get(id), "left");
    room.members.delete(id);
    stopTyping(room, id);
  }
  for (const [id, { name }] of Object.entries(joined)) {
    room.members.set(id, name);
    if (id !== me.id && room.isJoined) note(room, name, "joined");
  }
  if (room === active) showPeople();
}

function takeLine(room, line, id) {
  stopTyping(room, line.from.id);
  write(room, line, line.from.id === me.id);
  room.oldest ??= id;
  room.count++;
  if (room.count === PORTION) room.hasOlder = true; // perhaps
  if (room === active) showOlder();
}

function takePrivate(line) {
  const isOwn = line.from.id === me.id;
  write(openPrivate(isOwn ? line.to : line.from), line, isOwn);
}

function write(conversation, line, isOwn) {
  keepingBottom(conversation, isOwn, () => conversation.log.addLine(line, isOwn));
  if (conversation === active && !document.hidden) return;
  if (!isOwn) conversation.unread++;
  showUnread(conversation);
}

function note(conversation, name, text, kind) {
  keepingBottom(conversation, false, () => conversation.log.addRemark(name, text, kind));
}

async function loadOlder() {
  const room = active;
  element("older").disabled = true;
  try {
    const { messages, more } = await room.channel.history({ before: room.oldest, limit: PORTION });
    const lines = messages.filter(({ event }) => event === "said");
    const older = new Log();
    for (const { data } of lines) older.addLine(data, data.from.id === me.id);
    const height = element("scroll").scrollHeight;
    room.log.element.prepend(...older.element.children);
    if (room === active) element("scroll").scrollTop += element("scroll").scrollHeight - height;
    room.oldest = messages[0]?.id ?? room.oldest;
    room.hasOlder = more;
  } catch (error) {
    element("fault").textContent = `Older messages are not available: ${error.message}.`;
  }
  element("older").disabled = false;
  if (room === active) showOlder();
}

// ---- Typing ----

function startTyping(room, id) {
  clearTimeout(room.typing.get(id));
  room.typing.set(
    id,
    setTimeout(() => stopTyping(room, id), TYPING_LASTS),
  );
  showTyping();
}

function stopTyping(room, id) {
  clearTimeout(room.typing.get(id));
  room.typing.delete(id);
  showTyping();
}

let saidTyping = -Infinity;
function tellTyping() {
  if (!active.isRoom || performance.now() - saidTyping < TYPING_EVERY) return;
  saidTyping = performance.now();
  active.channel.send("typing", true, { volatile: true });
}

// ---- Sending ----

// A private message is sent in a room that both are in.
function sharedRoom(id) {
  return [...conversations.values()].find((conversation) => conversation.isRoom && conversation.members.has(id));
}

async function send() {
  const conversation = active;
  const text = element("text").value.trim();
  if (text === "") return;
  setText("");
  element("fault").textContent = "";
  saidTyping = -Infinity;
  try {
    if (conversation.isRoom) {
      await conversation.channel.send("say", { text });
    } else {
      const room = sharedRoom(conversation.key);
      if (!room) throw new Error(`${conversation.title} is not in any of your rooms`);
      await room.channel.send("whisper", { to: conversation.key, text });
    }
  } catch (error) {
    element("fault").textContent = `Not sent: ${error.message}.`;
    if (conversation === active && element("text").value === "") setText(text);
    else conversation.draft ||= text;
  }
}

// ---- The page ----

function setText(text) {
  element("text").value = text;
  element("text").rows = Math.min(6, text.split("\n").length);
}

function show(conversation) {
  if (active) active.draft = element("text").value;
  active = conversation;
  setText(conversation.draft);
  element("fault").textContent = "";
  conversation.unread = 0;
  for (const other of conversations.values()) {
    if (other === conversation) other.button.setAttribute("aria-current", "true");
    else other.button.removeAttribute("aria-current");
  }
  element("title").textContent = conversation.isRoom ? `# ${conversation.title}` : conversation.title;
  element("scroll").replaceChildren(conversation.log.element);
  element("text").placeholder = conversation.isRoom ? `Write to # ${conversation.title}` : `Write to ${conversation.title} alone`;
  showUnread(conversation);
  showPeople();
  showTyping();
  showOlder();
  toBottom();
  if (matchMedia("(hover: hover)").matches) element("text").focus();
}

function showUnread({ badge, unread }) {
  badge.textContent = unread > 0 ? String(unread) : "";
  badge.setAttribute("aria-label", unread > 0 ? `${unread} unread` : "");
  const sum = [...conversations.values()].reduce((total, conversation) => total + conversation.unread, 0);
  document.title = `${sum > 0 ? `(${sum}) ` : ""}Chat · moonwire`;
}

function showPeople() {
  const members = active.isRoom ? [...active.members] : [];
  const collator = new Intl.Collator();
  members.sort((a, b) => collator.compare(a[1], b[1]));
  const count = members.length === 1 ? "one person" : `${members.length} people`;
  element("subtitle").textContent = active.isRoom ? count : "Only the two of you see this. It is not kept.";
  element("people-title").parentElement.hidden = !active.isRoom;
  element("people").replaceChildren(
    ...members.map(([id, name]) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const face = document.createElement("span");
      const label = document.createElement("bdi");
      face.className = "face";
      face.setAttribute("aria-hidden", "true");
      paint(face, { id, name });
      label.textContent = name;
      button.type = "button";
      button.dataset.person = id;
      button.dataset.name = name;
      button.disabled = id === me.id;
      button.title = id === me.id ? "" : "Write privately";
      button.append(face, label, id === me.id ? " (you)" : "");
      item.append(button);
      return item;
    }),
  );
}

function showTyping() {
  const names = active.isRoom ? [...active.typing.keys()].map((id) => active.members.get(id)).filter(Boolean) : [];
  let text = "";
  if (names.length === 1) text = `${names[0]} is typing…`;
  else if (names.length === 2) text = `${names[0]} and ${names[1]} are typing…`;
  else if (names.length > 2) text = "Several people are typing…";
  element("typing").textContent = text;
}

function showOlder() {
  element("older").hidden = !active.hasOlder;
}

let unfollow; // ends that the badge follows the connection

let follows = true; // the reader is at the newest message, and stays there
const isAtBottom = () => element("scroll").scrollHeight - element("scroll").scrollTop - element("scroll").clientHeight < 40;

function toBottom() {
  element("scroll").scrollTop = element("scroll").scrollHeight;
  element("newest").hidden = true;
}

// Adds to a log. A reader who looks at older messages is not moved, but sees a button.
function keepingBottom(conversation, always, add) {
  const stays = conversation === active && (always || isAtBottom());
  add();
  if (stays) toBottom();
  else if (conversation === active) element("newest").hidden = false;
}

// ---- Entering and leaving ----

function makeKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function enter(name) {
  const key = sessionStorage.getItem("chat-key") ?? makeKey();
  sessionStorage.setItem("chat-key", key);
  sessionStorage.setItem("chat-name", name);
  me = { id: null, name };
  element("me").textContent = name;
  element("welcome").hidden = true;
  element("chat").hidden = false;
  connection = connect("/", { token: `${key}:${name}`, backoff: { max: 5000 } });
  unfollow = showStatus(connection);
  connection.on("moonwire:state", ({ state, reason }) => {
    if (state === "closed" && connection) leave(reason);
  });
  connection.on("whispered", takePrivate);
  const asked = decodeURIComponent(location.hash.slice(1));
  const rooms = ROOMS.map(openRoom);
  show(/^[A-Za-z0-9-]{1,24}$/.test(asked) ? openRoom(asked) : rooms[0]);
}

// Shows the entry form again.
function leave(reason) {
  sessionStorage.removeItem("chat-name");
  const ended = connection;
  connection = null;
  unfollow();
  ended?.close();
  conversations.clear();
  active = null;
  for (const id of ["rooms", "privates", "people", "scroll"]) element(id).replaceChildren();
  element("chat").hidden = true;
  element("welcome").hidden = false;
  element("refusal").textContent = reason ? `You cannot enter: ${reason}.` : "You cannot enter.";
  element("name").select();
}

element("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = element("name").value.trim();
  if (name === "") return;
  element("refusal").textContent = "";
  enter(name);
});

element("open-room").addEventListener("submit", (event) => {
  event.preventDefault();
  show(openRoom(element("room").value));
  element("room").value = "";
});

element("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});

element("text").addEventListener("input", () => {
  setText(element("text").value);
  if (element("text").value.trim() !== "") tellTyping();
});

element("older").addEventListener("click", loadOlder);
element("newest").addEventListener("click", toBottom);
element("scroll").addEventListener("scroll", () => {
  follows = isAtBottom();
  if (follows) element("newest").hidden = true;
});
new ResizeObserver(() => follows && toBottom()).observe(element("scroll"));

// A click on a name opens a private conversation.
element("chat").addEventListener("click", (event) => {
  const named = event.target.closest("[data-person]");
  if (!named || named.dataset.person === me.id) return;
  show(openPrivate({ id: named.dataset.person, name: named.dataset.name }));
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden || !active) return;
  active.unread = 0;
  showUnread(active);
});

const known = sessionStorage.getItem("chat-name");
if (known) enter(known);
else element("name").focus();
