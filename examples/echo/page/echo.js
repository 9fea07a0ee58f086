// Sends text, and shows what returns and after how long. A browser's own WebSocket is enough for that.

import { element, setStatus } from "./shared/page.js";

const SHOWN = 12;
const sent = []; // { text, time }, which have not returned yet
let socket;

function addRow(text, after) {
  const row = document.createElement("tr");
  for (const content of [text, after]) row.insertCell().textContent = content;
  element("returned").prepend(row);
  while (element("returned").rows.length > SHOWN) element("returned").lastChild.remove();
}

function open() {
  socket = new WebSocket(new URL("echo", location.href.replace(/^http/, "ws")));
  socket.addEventListener("open", () => setStatus("online"));
  socket.addEventListener("message", ({ data }) => addRow(data, `${(performance.now() - sent.shift().time).toFixed(1)} ms`));
  socket.addEventListener("close", () => {
    for (const { text } of sent.splice(0)) addRow(text, "lost");
    setStatus("reconnecting");
    setTimeout(open, 500 + 1500 * Math.random()); // not all pages at the same time
  });
}

element("send").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text").value;
  if (socket.readyState !== WebSocket.OPEN) return addRow(text, "not sent");
  sent.push({ text, time: performance.now() });
  socket.send(text);
});

open();
