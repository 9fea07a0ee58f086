// examples/sensors in two windows. `other` is the server after a restart. Both have SENSOR_KEY=secret
// and SENSOR_SILENT=4.

import { Windows } from "../support/windows.mjs";

export const expected = /\b403\b/; // after the restart, the devices are unknown

async function post(base, device, value, unit = "V") {
  const headers = { Authorization: "Bearer secret", "Content-Type": "application/json" };
  const response = await fetch(`${base}/readings/${device}`, { method: "POST", headers, body: JSON.stringify({ value, unit }) });
  if (response.status !== 204) throw new Error(`status ${response.status}`);
}

export async function run(windows, base, other) {
  for (let i = 1; i <= 20; i++) await post(base, "battery", i);
  const [ann, ben] = await Promise.all([windows.add(base, "/", { colorScheme: "dark" }), windows.add(base, "/")]);
  const card = (page) => page.locator(".device", { has: page.locator("h2", { hasText: /^battery$/ }) });
  const reads = (page, text) => card(page).locator(".value", { hasText: text }).waitFor();
  const count = async (page) => Number((await card(page).locator("svg").getAttribute("aria-label")).match(/last (\d+)/)[1]);
  await Promise.all([ann, ben].map((page) => reads(page, /^20 V$/)));

  // What was posted while a window was disconnected arrives.
  await Windows.disconnect(ann);
  for (let i = 21; i <= 25; i++) await post(base, "battery", i);
  await reads(ben, /^25 V$/);
  await Windows.reconnect(ann);
  await reads(ann, /^25 V$/);
  const counts = [await count(ann), await count(ben)];
  await ann.reload();
  await reads(ann, /^25 V$/);
  counts.push(await count(ann));

  // Nothing is posted for a while.
  await ben.waitForFunction(() => document.getElementById("notice").textContent.includes("battery"));
  const alert = await ben.locator("#events .silent", { hasText: "battery" }).first().textContent();
  await post(base, "battery", 30, '<b id=x>V</b>');
  await ben.locator("#events .back", { hasText: "battery" }).first().waitFor();
  const markup = await ben.evaluate(() => document.querySelectorAll(".device b").length);

  // After a restart the device is unknown, until it posts again. What was drawn stays, and a gap marks what is missing.
  await Windows.restart(other, ann, ben);
  await card(ben).locator(".state", { hasText: "Unknown to the server" }).waitFor();
  await post(other, "battery", 31);
  await Promise.all([ann, ben].map((page) => reads(page, /^31 V$/)));
  const afterRestart = [await count(ben), (await card(ben).locator(".gap").getAttribute("d")) !== ""];
  await ann.setViewportSize({ width: 1100, height: 900 });
  await Windows.shoot(ben, "sensors-desktop");
  const overflow = await Windows.overflow(ann);
  await Windows.shoot(ann, "sensors-phone");
  return { counts, alert, markup, afterRestart, overflow };
}
