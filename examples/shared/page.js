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
let lost = 0; // since when there has been no connection
let shown = null;
let timer;

// Shows one of the states above.
export function setStatus(state) {
  clearTimeout(timer);
  const waits = state === "connecting" || state === "reconnecting";
  if (waits && shown === "offline" && navigator.onLine) state = "offline"; // an attempt is not a connection
  else if (waits) timer = setTimeout(setStatus, Math.max(0, (lost || Date.now()) + PATIENCE - Date.now()), "offline");
  if (waits || state === "offline") lost ||= Date.now();
  else lost = 0;
  shown = state;
  element("connection").parentElement.dataset.state = state;
  element("connection").textContent = state === "offline" ? `Offline since ${clock.format(lost)}` : TEXTS[state];
}

// Follows a connection of moonwire.js: "Online" while messages arrive, "Reconnecting" when it is disconnected, and "Offline" if
// that lasts, or the browser says that it has no network. Returns a function that stops following.
export function showStatus(connection) {
  let wasOnline = false;
  const update = () => {
    wasOnline ||= connection.state === "open";
    if (connection.state === "closed") setStatus("refused");
    else if (!navigator.onLine) setStatus("offline");
    else if (connection.state === "open") setStatus("online");
    else setStatus(wasOnline ? "reconnecting" : "connecting");
  };
  const remove = connection.on("moonwire:state", update);
  addEventListener("offline", update);
  addEventListener("online", update);
  return () => {
    remove();
    removeEventListener("offline", update);
    removeEventListener("online", update);
  };
}

// A time of day, for what arrives. `seconds` since 1970.
export const timeOf = (seconds) => clock.format(seconds * 1000);
