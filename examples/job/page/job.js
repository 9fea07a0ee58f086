// Starts jobs and shows how far they are. The address names the newest one, so that a reloaded page finds it again.

import { connect } from "/moonwire.js";
import { showStatus } from "./shared/page.js";

const connection = connect();
showStatus(connection);

async function follow(id) {
  const item = document.getElementById("job").content.cloneNode(true).firstElementChild;
  const output = item.querySelector("output");
  document.getElementById("jobs").append(item);
  // The loop ends with the channel, and the channel with the result.
  for await (const { event, data } of connection.channel(`job:${id}`)) {
    if (event === "step") item.querySelector("progress").value = data.step / data.of;
    else if (event === "done") output.textContent = `Job ${id}: the sum is ${data.sum}.`;
    else if (event === "moonwire:gap") output.textContent = `Job ${id}: the server no longer knows all of it.`;
  }
}

document.getElementById("start").addEventListener("click", async () => {
  const response = await fetch("jobs", { method: "POST" }).catch(() => null);
  document.getElementById("problem").textContent = response?.ok ? "" : "The job was not started: the server cannot be reached, or is busy.";
  if (!response?.ok) return;
  const { id } = await response.json();
  location.hash = id;
  follow(id);
});

const known = location.hash.slice(1);
if (/^[0-9a-f]{12}$/.test(known)) follow(known);
