// Entries have numbers, which only grow. They come from three sides: the channel, the newest page, and older pages.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";

const SHOWN_MAX = 1000;
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const rows = new Map(); // by id
let isLoading = false;

function makeRow({ author, text, time }) {
  const row = element("entry").content.cloneNode(true).firstElementChild;
  row.querySelector(".author").textContent = author;
  row.querySelector(".text").textContent = text;
  row.querySelector("time").textContent = clock.format(time * 1000);
  row.querySelector("time").dateTime = new Date(time * 1000).toISOString();
  return row;
}

// Adds an entry at its place: newest first.
function add(entry) {
  if (rows.has(entry.id)) return;
  const row = makeRow(entry);
  row.dataset.id = entry.id;
  let next = element("entries").firstElementChild;
  while (next && Number(next.dataset.id) > entry.id) next = next.nextElementSibling;
  element("entries").insertBefore(row, next);
  rows.set(entry.id, row);
  if (rows.size > SHOWN_MAX) {
    const oldest = element("entries").lastElementChild;
    rows.delete(Number(oldest.dataset.id));
    oldest.remove();
    element("older").hidden = false;
  }
  element("empty").hidden = true;
}

async function loadPage(before) {
  const response = await fetch(before === undefined ? "entries" : `entries?before=${before}`);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

// Everything from the newest entry down to one that is known, or the first page.
async function loadNewest() {
  const newest = Math.max(0, ...rows.keys());
  try {
    let page = await loadPage();
    const isFirst = rows.size === 0;
    for (;;) {
      const reached = page.entries.some(({ id }) => id <= newest);
      page.entries.forEach(add);
      if (isFirst || reached || !page.more || rows.size >= SHOWN_MAX) break;
      page = await loadPage(page.entries.at(-1).id);
    }
    if (isFirst) element("older").hidden = !page.more;
    element("empty").hidden = rows.size > 0;
    element("entries").setAttribute("aria-busy", "false");
  } catch {
    setTimeout(loadNewest, 1000 + 2000 * Math.random());
  }
}

async function loadOlder() {
  if (isLoading || element("older").hidden || rows.size >= SHOWN_MAX) return;
  isLoading = true;
  try {
    const page = await loadPage(Number(element("entries").lastElementChild.dataset.id));
    page.entries.forEach(add);
    element("older").hidden = !page.more;
  } catch (error) {
    element("problem").textContent = `Older entries are not available: ${error.message}.`;
  }
  isLoading = false;
}

const connection = connect("/", { transports: ["sse", "poll"], backoff: { max: 5000 } });
showStatus(connection);
const feed = connection.channel("feed");
feed.on("entry", add);
feed.on("moonwire:subscribed", ({ recovered }) => recovered || loadNewest());
feed.on("moonwire:gap", loadNewest);

element("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const author = element("author").value;
  const text = element("text").value;
  localStorage.setItem("feed-author", author);
  element("problem").textContent = connection.state === "open" ? "" : "Waiting for the network…";
  element("text").value = "";
  try {
    await feed.send("post", { author, text }, { timeout: 120_000 });
    element("problem").textContent = "";
  } catch (error) {
    element("problem").textContent = `Not posted: ${error.message}.`;
    element("text").value ||= text;
  }
});

element("older").addEventListener("click", loadOlder);
new IntersectionObserver(([entry]) => entry.isIntersecting && loadOlder(), { rootMargin: "200px" }).observe(element("older"));
element("author").value = localStorage.getItem("feed-author") ?? "";
