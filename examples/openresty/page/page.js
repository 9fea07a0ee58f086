// The browser client comes from moonwire, through nginx. ?transport=sse (or poll) chooses another transport.
import { connect } from "/rt/moonwire.js";

const element = (id) => document.getElementById(id);
const transport = new URLSearchParams(location.search).get("transport");

// nginx signs a new token when the client connects, and before the old one expires.
async function token() {
  const answer = await fetch("/token", { method: "POST" });
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Error(`no token (${answer.status})`);
  return answer.text();
}
const connection = connect("/rt/", { token, ...(transport && { transports: [transport] }) });
connection.on("moonwire:state", ({ state }) => (element("state").textContent = state));

function add(list, text) {
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
  while (list.children.length > 20) list.lastChild.remove();
}

connection.channel("news").on("item", ({ from, text }) => add(element("news"), `${from}: ${text}`));
connection.channel("requests").on("request", ({ method, path, status }) => add(element("requests"), `${status} ${method} ${path}`));
connection.channel("clock").on("tick", ({ time }) => (element("clock").textContent = new Date(time * 1000).toLocaleTimeString()));

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/news", { method: "POST", body: element("text").value });
  if (answer.ok) element("text").value = "";
  else if (answer.status === 401) location.assign("/login");
  else element("state").textContent = `not published (${answer.status})`;
});
