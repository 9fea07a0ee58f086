// examples/game in two windows. `other` is the server after a restart.

import { connect } from "../../client/moonwire.js";
import { Windows } from "../support/windows.mjs";

// A state of the game, from outside: the stars, and the moons by slot.
async function peek(base) {
  const connection = connect(base, { transports: ["sse"] });
  const bytes = await new Promise((resolve) => connection.channel("game").on("state", resolve));
  connection.close();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = (offset) => ({ x: view.getUint16(offset), y: view.getUint16(offset + 2) });
  const stars = Array.from({ length: view.getUint8(4) }, (_, i) => at(5 + 4 * i));
  const moons = {};
  for (let i = 5 + 4 * stars.length; i < bytes.length; i += 7) moons[view.getUint8(i)] = { ...at(i + 1), score: view.getUint8(i + 5) };
  return { stars, moons };
}

export async function run(windows, base, other) {
  const [ann, ben] = await Promise.all([windows.add(base, "/", { colorScheme: "dark" }), windows.add(base, "/")]);
  const shows = (page, ...parts) =>
    page.waitForFunction((wanted) => wanted.every((part) => document.getElementById("scores").textContent.includes(part)), parts);
  await Promise.all([ann, ben].map((page) => shows(page, "Io", "Europa", "(you)")));
  const name = (await ann.getAttribute("#sky", "aria-label")).match(/You are (\w+)/)[1];
  const slot = name === "Io" ? 1 : 2;

  // By keys, and by a finger that points at a star.
  const before = (await peek(base)).moons[slot];
  const key = before.x > 600 ? "ArrowLeft" : "KeyD";
  await ann.keyboard.down(key);
  let moved = before;
  while (Math.abs(moved.x - before.x) < 40) moved = (await peek(base)).moons[slot];
  await ann.keyboard.up(key);
  const { score } = moved;
  const box = await ann.locator("#sky").boundingBox();
  for (let now = await peek(base); now.moons[slot].score === score; now = await peek(base)) {
    await ann.mouse.move(box.x + (now.stars[0].x * box.width) / 1200, box.y + (now.stars[0].y * box.height) / 800);
    await ann.mouse.down();
  }
  await ann.mouse.up();
  const caught = (await peek(base)).moons[slot].score;

  // Who reloads, or is disconnected, has the same moon and its stars.
  await ann.reload();
  await shows(ann, `${name} (you)`);
  await Windows.disconnect(ann);
  await shows(ben, `${name} (away)`);
  await Windows.reconnect(ann);
  await ben.waitForFunction(() => !document.getElementById("scores").textContent.includes("(away)"));
  await shows(ann, `${name} (you)`);
  const kept = (await peek(base)).moons[slot].score >= caught;

  await Windows.restart(other, ann, ben);
  await Promise.all([ann, ben].map((page) => shows(page, "Io", "Europa", "(you)")));
  await Windows.shoot(ben, "game-desktop");
  const overflow = await Windows.overflow(ann);
  await Windows.shoot(ann, "game-phone");
  return { caught: caught > score, kept, overflow };
}
