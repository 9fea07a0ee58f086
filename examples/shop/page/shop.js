// The page: it shows one product at a time, and follows only that one.

import { connect } from "/moonwire.js";
import { element, showStatus, timeOf } from "./shared/page.js";

const ALERTS_MAX = 50;
const PICTURES = {
  lamp: "M12 3a6 6 0 1 0 4 10.5A5 5 0 0 1 12 3zM9 18h6M10 21h4",
  kettle: "M7 9h9l1.5 11h-12zM8 9a4 4 0 0 1 7 0M17 12h3v4M5 12l-3-3",
  atlas: "M4 5c3-1.5 6-1 8 1 2-2 5-2.500 8-1v14c-3-1.500-6-1-8 1-2-2-5-2.500-8-1zM12 6v14M7 9l2 2M16 9l1 3",
  boots: "M8 3h6v10l5 3v4H8zM8 16h11",
  radio: "M3 8h18v12H3zM6 8l12-5M7 14a2 2 0 1 0 .1 0M13 12h5M13 16h5",
  blanket: "M5 4h14v13H5zM5 17l2 3M9 17l2 3M13 17l2 3M17 17l2 3M5 8h14M9 4v13",
};

const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const cents = (value) => money.format(value / 100);
const watchKey = (id) => `shop-below-${id}`;

const connection = connect("/", { transports: ["sse", "poll"], offline: "refuse", backoff: { max: 5000 } });
showStatus(connection);

let products = [];
let shown = null; // the product with its price and stock, and its channel

// ---- What changes ----

function showState({ price, stock }) {
  const before = shown.price;
  Object.assign(shown, { price, stock });
  element("price").textContent = cents(price);
  element("price").dataset.trend = before === undefined || before === price ? "" : price > before ? "up" : "down";
  const words = stock === 0 ? ["none", "Sold out"] : stock === 1 ? ["last", "The last one"] : [stock < 4 ? "few" : "many", `${stock} in stock`];
  [element("stock").dataset.stock, element("stock").textContent] = words;
  showBuy();
}

function showBuy() {
  element("buy").disabled = !shown?.channel || shown.stock === 0 || connection.state !== "open";
}

function tell(text, isWanted = false) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  const what = document.createElement("span");
  when.textContent = timeOf(Date.now() / 1000);
  what.textContent = text;
  what.classList.toggle("wanted", isWanted);
  item.append(when, what);
  element("alerts").prepend(item);
  if (element("alerts").childElementCount > ALERTS_MAX) element("alerts").lastElementChild.remove();
  element("none").hidden = true;
}

// A new state of the product that is shown.
function take(state) {
  const { id, name, price, stock } = shown;
  showState(state);
  if (state.price !== price) {
    const limit = Math.round(Number(readLimit(id)) * 100);
    const isWanted = state.price < limit;
    const words = `${name} ${state.price < price ? "now costs only" : "now costs"} ${cents(state.price)}`;
    tell(isWanted ? `${words}: below your ${cents(limit)}` : words, isWanted);
  }
  if (state.stock === stock) return;
  if (state.stock === 0) tell(`${name} is sold out`);
  else if (stock === 0) tell(`${name} is available again`, true);
  else if (state.stock === 1) tell(`${name}: only one left`);
}

// ---- A product ----

function show(id) {
  const product = products.find((other) => other.id === id) ?? products[0];
  shown?.channel.unsubscribe();
  const channel = connection.channel(`product:${product.id}`);
  shown = { id: product.id, name: product.name, channel };
  const isShown = () => shown.channel === channel;
  // After each connection, what on_join returned: so the page is right again, whatever it has missed. Without history, polls have gaps.
  channel.on("moonwire:subscribed", ({ data }) => isShown() && (data ? take(data) : refresh(channel)));
  channel.on("moonwire:gap", () => isShown() && refresh(channel));
  channel.on("price", (state) => isShown() && take(state));
  channel.on("stock", (state) => isShown() && take(state));
  channel.on("moonwire:presence", () => isShown() && showViewers());
  channel.on("moonwire:unsubscribed", ({ reason }) => isShown() && (element("problem").textContent = `Not available: ${reason}.`));
  element("title").textContent = product.name;
  document.title = `${product.name} · Shop · moonwire`;
  element("about").textContent = product.about;
  element("picture").firstElementChild.setAttribute("d", PICTURES[product.id]);
  for (const name of ["bought", "problem", "viewers"]) element(name).textContent = "";
  element("below").value = readLimit(product.id);
  showState(product);
  for (const link of element("products").querySelectorAll("a")) {
    if (link.hash === `#${product.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showViewers() {
  const others = shown.channel.presence.count - 1;
  element("viewers").textContent = others > 0 ? `${others} ${others === 1 ? "other looks" : "others look"} at it now` : "";
}

async function buy() {
  const { channel, price } = shown;
  element("bought").textContent = element("problem").textContent = "";
  element("buy").disabled = true;
  try {
    const { order, price: paid } = await channel.send("buy", { price });
    element("bought").textContent = `Yours, for ${cents(paid)}. Order ${order}.`;
  } catch (error) {
    element("problem").textContent = `Not bought: ${error.reason ?? error.message}.`;
  }
  showBuy();
}

// ---- Prices that somebody waits for, in this browser ----

function readLimit(id) {
  try {
    return localStorage.getItem(watchKey(id)) ?? "";
  } catch {
    return "";
  }
}

function setLimit() {
  try {
    localStorage.setItem(watchKey(shown.id), element("below").value);
  } catch {
    // Not allowed: the limit is for now alone.
  }
  tell(`You will be told when ${shown.name} costs less than ${cents(Number(element("below").value) * 100)}`);
}

async function load() {
  const response = await fetch("products", { cache: "no-store" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

// Reads the state of the product that is shown, if it is still that of the channel.
async function refresh(channel) {
  try {
    const state = (await load()).find(({ id }) => id === shown.id);
    if (shown.channel === channel) take(state);
  } catch {
    setTimeout(() => shown.channel === channel && refresh(channel), 2000);
  }
}

async function start() {
  try {
    products = await load();
  } catch {
    setTimeout(start, 2000);
    return;
  }
  element("products").append(
    ...products.map(({ id, name }) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `#${id}`;
      link.textContent = name;
      item.append(link);
      return item;
    }),
  );
  show(location.hash.slice(1));
}

connection.on("moonwire:state", showBuy);
element("buy").addEventListener("click", buy);
element("watch").addEventListener("submit", (event) => {
  event.preventDefault();
  setLimit();
});
addEventListener("hashchange", () => show(location.hash.slice(1)));
start();
