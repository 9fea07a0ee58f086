// Shows the notes of the board, and what is added and removed.

import { connect } from "/moonwire.js";
import { element, showStatus } from "./shared/page.js";

const connection = connect();
showStatus(connection);
element("address").textContent = new URL("mcp", location.href).href;

const shown = new Map(); // items by the ids of their notes

function show() {
  element("empty").hidden = shown.size > 0;
}

function add({ id, text, color, by }) {
  remove(id);
  const item = element("note").content.cloneNode(true).firstElementChild;
  const [said, who] = item.querySelectorAll("p");
  said.textContent = text;
  who.textContent = by ? `by ${by}` : "";
  item.dataset.color = color;
  shown.set(id, item);
  element("notes").prepend(item);
  show();
}

function remove(id) {
  shown.get(id)?.remove();
  shown.delete(id);
  show();
}

const board = connection.channel("board");
board.on("added", add);
board.on("removed", ({ id }) => remove(id));
