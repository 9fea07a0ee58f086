// A line chart in an SVG. It knows prices and pixels, but no events.

export const POINTS = 120;
const HEIGHT = 40;
const MARGIN = 4;

export class Chart {
  #svg;
  #points = []; // { price, gap }: gap: prices before this one are missing

  constructor(svg) {
    this.#svg = svg;
  }

  get first() {
    return this.#points[0]?.price;
  }

  get length() {
    return this.#points.length;
  }

  add(price, gap) {
    this.#points.push({ price, gap });
    if (this.#points.length > POINTS) this.#points.shift();
  }

  draw() {
    const prices = this.#points.map((point) => point.price);
    const low = Math.min(...prices);
    const scale = (HEIGHT - 2 * MARGIN) / (Math.max(...prices) - low || 1);
    const x = (i) => i + POINTS - prices.length; // the newest is always at the right edge
    const y = (price) => (HEIGHT - MARGIN - (price - low) * scale).toFixed(2);

    let line = "";
    let area = "";
    let gaps = "";
    let start = 0; // of the segment that is being drawn; gaps separate segments
    for (let i = 0; i < prices.length; i++) {
      const isStart = i === 0 || this.#points[i].gap;
      if (isStart) start = i;
      if (this.#points[i].gap) gaps += `M${x(i)} 0V${HEIGHT}`;
      line += `${isStart ? "M" : "L"}${x(i)} ${y(prices[i])}`;
      area += `${isStart ? `M${x(i)} ${HEIGHT}L` : "L"}${x(i)} ${y(prices[i])}`;
      if (i + 1 === prices.length || this.#points[i + 1].gap) area += `L${x(i)} ${HEIGHT}L${x(start)} ${HEIGHT}Z`;
    }
    const last = prices.length - 1;
    this.#path("base", `M0 ${y(prices[0])}H${POINTS - 1}`);
    this.#path("area", area);
    this.#path("line", line);
    this.#path("gap", gaps);
    this.#path("tip", `M${x(last)} ${y(prices[last])}h0`);
    this.#svg.setAttribute("aria-label", `Line chart of the last ${prices.length} prices, from ${prices[0]} to ${prices[last]}`);
  }

  #path(name, d) {
    this.#svg.querySelector(`.${name}`).setAttribute("d", d);
  }
}
