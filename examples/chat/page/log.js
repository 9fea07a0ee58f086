// The messages of one conversation. What people write becomes textContent, never markup.

const LINES_MAX = 500;
const TOGETHER = 300; // seconds in which messages of one author share a heading

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

// A color for a person, the same on every page.
export function paint(element, { id, name }) {
  let hue = 0;
  for (const character of id) hue = (hue * 31 + character.codePointAt(0) * 47) % 360;
  element.style.setProperty("--hue", hue);
  element.textContent = [...name][0].toUpperCase();
}

export class Log {
  element = document.createElement("ol");
  #last = null; // the previous message, if the next one may share its heading

  constructor() {
    this.element.className = "log";
    this.element.setAttribute("role", "log");
  }

  addLine({ from, text, time }, isOwn) {
    const item = document.getElementById("line").content.cloneNode(true).firstElementChild;
    const when = new Date(time * 1000);
    item.classList.toggle("own", isOwn);
    item.classList.toggle("together", this.#last?.from.id === from.id && time - this.#last.time < TOGETHER);
    paint(item.querySelector(".face"), from);
    item.querySelector("bdi").textContent = from.name;
    item.querySelector(".author").dataset.person = from.id;
    item.querySelector(".author").dataset.name = from.name;
    item.querySelector("time").dateTime = when.toISOString();
    item.querySelector("time").textContent = clock.format(when);
    item.querySelector(".text").textContent = text;
    this.#last = { from, time };
    this.#add(item);
  }

  // "Ann" "joined"; or a remark without a name.
  addRemark(name, text, kind = "remark") {
    const item = document.createElement("li");
    item.className = kind;
    if (name !== null) {
      const bdi = document.createElement("bdi");
      bdi.textContent = name;
      item.append(bdi, " ");
    }
    item.append(text);
    this.#last = null;
    this.#add(item);
  }

  #add(item) {
    this.element.append(item);
    if (this.element.childElementCount > LINES_MAX) this.element.firstElementChild.remove();
  }
}
