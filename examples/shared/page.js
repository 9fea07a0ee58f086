// What the scripts of all examples share: the connection badge.
//
//   <p class="connection" data-state="connecting"><span class="lamp"></span><span id="connection" role="status">Connecting</span></p>

export const element = (id) => document.getElementById(id);

const TEXTS = {
  connecting: "Connecting",
  online: "Online",
  reconnecting: "Reconnecting",
  offline: "Offline",
  paused: "Paused",
  refused: "Refused",
  done: "Done",
};
const PATIENCE = 5000; // milliseconds without a connection after which the badge says "Offline"

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
let wanted = null; // the state that the page has set
let lost = 0; // since when there has been no connection
let timer;

// A page that has waited for long, or whose browser has no network, is offline.
function show() {
  clearTimeout(timer);
  if (wanted === null) return;
  let state = wanted;
  if (["connecting", "reconnecting", "offline"].includes(wanted) || (wanted === "online" && !navigator.onLine)) {
    lost ||= Date.now();
    const left = lost + PATIENCE - Date.now();
    if (wanted === "offline" || !navigator.onLine || left <= 0) state = "offline";
    else timer = setTimeout(show, left);
  } else lost = 0;
  element("connection").parentElement.dataset.state = state;
  element("connection").textContent = state === "offline" ? `Offline since ${clock.format(lost)}` : TEXTS[state];
}

addEventListener("offline", show);
addEventListener("online", show);

// Shows one of the states above.
export function setStatus(state) {
  wanted = state;
  show();
}

// Follows a connection of moonwire.js: "Online" while messages arrive, "Reconnecting" when it is disconnected, and "Refused" if it
// has ended. Returns a function that stops following.
export function showStatus(connection) {
  let wasOnline = false;
  const update = () => {
    wasOnline ||= connection.state === "open";
    if (connection.state === "closed") setStatus("refused");
    else if (connection.state === "open") setStatus("online");
    else setStatus(wasOnline ? "reconnecting" : "connecting");
  };
  return connection.on("moonwire:state", update);
}

// A time of day, for what arrives. `seconds` since 1970.
export const timeOf = (seconds) => clock.format(seconds * 1000);
