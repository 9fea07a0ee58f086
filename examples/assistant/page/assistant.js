// The page: a question, its answer, and the list of past ones. The address names the answer, so that a reloaded page, and any
// other tab, finds it.

import { connect } from "/moonwire.js";
import { Answers, randomId } from "./answers.js";
import { element, showStatus } from "./shared/page.js";

const connection = connect();
showStatus(connection);

// Which answers are this browser's. There are no accounts: who knows the id of an answer can read it.
const owner = (localStorage.assistant ??= randomId());
let shown = null; // the answer that the page shows

// Keeps the end of a growing answer in view, above the form, unless the reader has scrolled up.
const hiddenPart = () => element("answer").getBoundingClientRect().bottom - element("ask").getBoundingClientRect().top;
let isScrolling = false;
function keepEndInView() {
  if (isScrolling || hiddenPart() > 40) return;
  isScrolling = true;
  requestAnimationFrame(() => {
    isScrolling = false;
    if (hiddenPart() > 0) scrollBy(0, hiddenPart() + 16);
  });
}

function paint(answer, token) {
  if (answer !== shown) return;
  keepEndInView();
  const text = element("text");
  if (token !== undefined) {
    text.firstChild.appendData(token); // the rest is as it was
    return;
  }
  const { question, state, note } = answer;
  element("answer").hidden = false;
  element("question").textContent = question;
  text.replaceChildren(document.createTextNode(answer.text));
  text.ariaBusy = String(state === "answering" || state === "sending");
  element("state").textContent = note;
  element("state").dataset.state = state;
  element("stop").hidden = state !== "answering";
  element("again").hidden = !(state === "failed" || state === "lost") || !question;
  document.title = `${question.slice(0, 60) || "Assistant"} · moonwire`;
}

const answers = new Answers(connection, paint);

function markCurrent() {
  for (const link of document.querySelectorAll("#list a")) {
    if (link.hash === location.hash) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  }
}

function show(answer) {
  shown = answer;
  element("stop").disabled = false;
  paint(answer);
  markCurrent();
}

// A question that was not sent when the page was reloaded is sent again, with the same id.
async function ask(question, id = randomId()) {
  sessionStorage.asking = JSON.stringify({ question, id });
  if (location.hash !== `#${id}`) history.pushState(null, "", `#${id}`);
  const asked = answers.ask(id, question, owner);
  show(answers.find(id));
  await asked;
  delete sessionStorage.asking;
}

function showAddressed() {
  const id = location.hash.slice(1);
  if (/^[0-9a-f]{32}$/.test(id)) show(answers.find(id));
}

connection.channel(`asked:${owner}`).on("asked", ({ id, question }) => {
  if (document.querySelector(`#list a[href="#${CSS.escape(id)}"]`)) return;
  const link = document.createElement("a");
  link.href = `#${id}`;
  link.dir = "auto";
  const text = document.createElement("span");
  text.textContent = question;
  link.append(text);
  const item = document.createElement("li");
  item.append(link);
  element("list").prepend(item);
  element("none").hidden = true;
  markCurrent();
});

const input = element("input");
element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = input.value.trim();
  if (!question) return;
  input.value = "";
  ask(question);
});
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("ask").requestSubmit();
});
function stop() {
  if (shown?.state !== "answering" || element("stop").disabled) return;
  element("stop").disabled = true;
  answers.stop(shown);
}
element("stop").addEventListener("click", stop);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
element("again").addEventListener("click", () => ask(shown.question));
addEventListener("hashchange", showAddressed);

const asking = sessionStorage.asking && JSON.parse(sessionStorage.asking);
if (asking) ask(asking.question, asking.id);
else showAddressed();
