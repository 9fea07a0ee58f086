// The map: an SVG, drawn from the crossings and streets that the server sends. It knows no events of the server.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const line = (points) => points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x} ${y}`).join("");

export class TownMap {
  #svg;
  #houses = [];
  #route = null;

  // `choose` is called with the number of a place.
  constructor(svg, town, choose) {
    this.#svg = svg;
    const streets = town.streets.map((ends) => line(ends.map((n) => town.crossings[n - 1]))).join("");
    this.#path("river", line(town.river));
    this.#path("edges", streets);
    this.#path("streets", streets);
    const places = svg.querySelector("#places");
    places.append(this.#drawHouse(town.depot.x, town.depot.y, "Depot", "house depot"));
    town.places.forEach(({ x, y, name }, i) => {
      const house = this.#drawHouse(x, y, name.split(",")[0], "house");
      house.addEventListener("click", () => choose(i + 1));
      this.#houses.push(house);
      places.append(house);
    });
  }

  #drawHouse(x, y, name, className) {
    const box = make("rect", { x: -13, y: -13, width: 26, height: 26, rx: 7 });
    const roof = make("path", { d: "M-7 1 0-6 7 1M-4 0v6h8V0" });
    const label = make("text", { y: -20 }, name);
    return make("g", { class: className, transform: `translate(${x} ${y})` }, box, roof, label);
  }

  #path(id, d) {
    this.#svg.querySelector(`#${id}`).setAttribute("d", d);
  }

  // Marks a place.
  choose(number) {
    this.#houses.forEach((house, i) => house.classList.toggle("chosen", i + 1 === number));
  }

  showRoute(route) {
    this.#route = route;
    this.#path("way", line(route.points));
    this.#path("done", "");
  }

  // The van at a place, and the part of the way that it has gone.
  showVan(x, y, gone) {
    if (!this.#route) return;
    const van = this.#svg.querySelector("#van");
    van.setAttribute("visibility", "visible");
    van.style.transform = `translate(${x}px, ${y}px)`;
    const passed = this.#route.points.filter((_, i) => this.#route.at[i] <= gone);
    this.#path("done", line([...passed, [x, y]]));
  }
}
