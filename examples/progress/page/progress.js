// Follows one job, which the address names. The browser's own EventSource is enough: it reconnects, and it resumes.

import { element, setStatus, timeOf } from "./shared/page.js";

let source = null;
let timer;

function show({ percent, text, time }) {
  element("percent").textContent = `${percent} %`;
  element("bar").value = percent;
  element("text").textContent = text;
  element("time").textContent = `Last report at ${timeOf(time)}`;
  element("state").classList.toggle("done", percent === 100);
}

function open(job) {
  clearTimeout(timer);
  source?.close();
  setStatus("connecting");
  const opened = new EventSource(`/sse?channel=${encodeURIComponent(`progress:${job}`)}`);
  source = opened;
  opened.addEventListener("open", () => setStatus("online"));
  opened.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  opened.addEventListener("moonwire:gap", () => {
    element("text").textContent = "The server does not know this job any more. Its next report appears here.";
  });
  opened.addEventListener("moonwire:end", () => {
    opened.close(); // an EventSource that is left open reconnects, is answered with 204, and stops as well
    setStatus("done");
  });
  opened.addEventListener("error", () => {
    if (opened.readyState === EventSource.CLOSED) timer = setTimeout(open, 2000 + 3000 * Math.random(), job); // an answer of a proxy
    setStatus("reconnecting");
  });
}

function follow() {
  const job = decodeURIComponent(location.hash.slice(1));
  const isJob = /^[A-Za-z0-9-]{1,40}$/.test(job);
  const curl = ["curl -H 'Authorization: Bearer '\"$PROGRESS_KEY\" \\", `  -d '{"percent":45,"text":"resizing"}' \\`, `  ${new URL(`report/${isJob ? job : "nightly"}`, location.href)}`];
  element("curl").textContent = curl.join("\n");
  element("state").hidden = !isJob;
  if (!isJob) return;
  element("name").textContent = `Job ${job}`;
  element("percent").textContent = "–";
  element("bar").removeAttribute("value");
  element("text").textContent = "No report yet.";
  element("time").textContent = "";
  element("state").classList.remove("done");
  open(job);
}

element("start").addEventListener("click", async () => {
  element("problem").textContent = "";
  try {
    const response = await fetch("jobs", { method: "POST" });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.reason ?? `status ${response.status}`);
    location.hash = answer.job;
  } catch (error) {
    element("problem").textContent = `Not started: ${error.message}.`;
  }
});

element("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = element("job").value;
});

addEventListener("hashchange", follow);
follow();
