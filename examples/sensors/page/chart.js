// A line chart of the last 120 values, in an SVG. It knows no events.

const POINTS = 120;
const HEIGHT = 40;
const MARGIN = 4;

export class Chart {
  #svg;
  #points = []; // { value, gap }: gap: values before this one are missing

  constructor(svg) {
    this.#svg = svg;
  }

  add(value, gap) {
    this.#points.push({ value, gap });
    if (this.#points.length > POINTS) this.#points.shift();
  }

  draw(unit) {
    const values = this.#points.map(({ value }) => value);
    const low = Math.min(...values);
    const high = Math.max(...values);
    const x = (i) => i + POINTS - values.length; // the newest is always at the right edge
    const y = (value) => (high === low ? HEIGHT / 2 : HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN)).toFixed(2);
    const segments = [];
    this.#points.forEach(({ value, gap }, i) => {
      if (i === 0 || gap) segments.push([]);
      segments.at(-1).push([x(i), y(value)]);
    });
    const lines = segments.map((points) => points.map((point) => point.join(" ")).join("L"));
    this.#path("line", lines.map((line) => `M${line}h0`).join(""));
    this.#path("area", segments.map((points, i) => `M${points[0][0]} ${HEIGHT}L${lines[i]}L${points.at(-1)[0]} ${HEIGHT}Z`).join(""));
    this.#path("gap", segments.slice(1).map(([[at]]) => `M${at} 0V${HEIGHT}`).join(""));
    this.#svg.setAttribute("aria-label", `The last ${values.length} readings, from ${low} to ${high} ${unit}`);
  }

  #path(name, d) {
    this.#svg.querySelector(`.${name}`).setAttribute("d", d);
  }
}
