// Draws the sky on a canvas. It knows states and pixels, but no events.

export const NAMES = [
  "Io", "Europa", "Ganymede", "Callisto", "Titan", "Rhea", "Dione", "Tethys", "Mimas", "Iapetus", "Enceladus", "Hyperion",
  "Oberon", "Titania", "Ariel", "Umbriel", "Miranda", "Triton", "Nereid", "Charon", "Phobos", "Deimos", "Phoebe", "Luna",
];
const RADIUS = 26;

export const hueOf = (slot) => (slot * 137.5) % 360;

export class Sky {
  #canvas;
  #context;
  #colors;
  #grow = 1; // on a small screen, moons and stars are larger

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    const read = () => {
      const style = getComputedStyle(document.documentElement);
      this.#colors = { star: style.getPropertyValue("--star"), text: style.getPropertyValue("--text") };
    };
    read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", read);
  }

  // A place in the window as a place in the sky.
  place(clientX, clientY) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = box.width / this.#canvas.width;
    return { x: (clientX - box.left) / scale, y: (clientY - box.top) / scale };
  }

  draw(from, to, share, own) {
    const context = this.#context;
    this.#grow = Math.min(2, Math.max(1, 700 / this.#canvas.clientWidth));
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (const { x, y } of to.stars) this.#drawStar(x, y);
    for (const [slot, moon] of to.moons) {
      const before = from.moons.get(slot) ?? moon;
      const between = (name) => before[name] + (moon[name] - before[name]) * share;
      this.#drawMoon(between("x"), between("y"), slot, moon.isAway, slot === own);
    }
  }

  #drawStar(x, y) {
    const context = this.#context;
    context.beginPath();
    for (let i = 0; i < 10; i++) {
      const radius = (i % 2 === 0 ? 20 : 8) * this.#grow;
      const angle = (i * Math.PI) / 5 - Math.PI / 2;
      context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    }
    context.closePath();
    context.fillStyle = this.#colors.star;
    context.fill();
  }

  #drawMoon(x, y, slot, isAway, isOwn) {
    const context = this.#context;
    const grow = this.#grow;
    context.globalAlpha = isAway ? 0.35 : 1;
    const disc = (dx, dy, radius, color) => {
      context.beginPath();
      context.arc(x + dx * grow, y + dy * grow, radius * grow, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
    };
    disc(0, 0, RADIUS, `hsl(${hueOf(slot)} 65% 55%)`);
    disc(-8, -6, 6, `hsl(${hueOf(slot)} 55% 42%)`);
    disc(9, 7, 4.5, `hsl(${hueOf(slot)} 55% 42%)`);
    disc(5, -12, 3, `hsl(${hueOf(slot)} 55% 42%)`);
    if (isOwn) {
      context.beginPath();
      context.arc(x, y, (RADIUS + 7) * grow, 0, 2 * Math.PI);
      context.strokeStyle = this.#colors.text;
      context.lineWidth = 3;
      context.stroke();
    }
    context.fillStyle = this.#colors.text;
    context.font = `600 ${22 * grow}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(NAMES[slot - 1], x, y > 700 ? y - (RADIUS + 14) * grow : y + (RADIUS + 30) * grow);
    context.globalAlpha = 1;
  }
}
