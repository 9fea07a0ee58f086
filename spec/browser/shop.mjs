// examples/shop in two windows. `other` is the server after a restart. Both have SHOP_KEY=secret, and
// SHOP_SECONDS=3600, so that nothing changes by itself.

import { Windows } from "../support/windows.mjs";

async function set(base, product, state) {
  const headers = { Authorization: "Bearer secret", "Content-Type": "application/json" };
  const response = await fetch(`${base}/products/${product}`, { method: "POST", headers, body: JSON.stringify(state) });
  if (!response.ok) throw new Error(`status ${response.status}`);
}

export const expected = /\b400\b/; // who comes too late to buy the last one

export async function run(windows, base, other) {
  const [ann, ben] = await Promise.all([windows.add(base, "/#boots", { colorScheme: "dark" }), windows.add(base, "/#boots")]);
  const shows = (page, id, text) => page.locator(`#${id}`, { hasText: text }).waitFor();
  await Promise.all([ann, ben].map((page) => shows(page, "viewers", "1 other looks at it now")));

  // Ann waits for a price.
  await ann.fill("#below", "12.50");
  await ann.press("#below", "Enter");
  await set(base, "boots", { price: 1200, stock: 5 });
  await shows(ann, "alerts", "Night boots now costs only €12.00: below your €12.50");
  await shows(ben, "alerts", "Night boots now costs only €12.00");

  // Offline, nobody can buy; what happened then is shown later.
  await Windows.disconnect(ann);
  const disabled = await ann.locator("#buy").isDisabled();
  await set(base, "boots", { stock: 0 });
  await shows(ben, "stock", "Sold out");
  await Windows.reconnect(ann);
  await shows(ann, "alerts", "Night boots is sold out");
  await ann.reload();
  await shows(ann, "stock", "Sold out");
  const kept = await ann.inputValue("#below");

  // The last one is sold once, though both want it.
  await set(base, "boots", { stock: 1, price: 2000 });
  await Promise.all([ann, ben].map((page) => shows(page, "stock", "The last one")));
  await Promise.all([ann, ben].map((page) => page.evaluate(() => document.getElementById("buy").click())));
  const answered = (page) => page.waitForFunction(() => ["bought", "problem"].some((id) => document.getElementById(id).textContent !== ""));
  await Promise.all([ann, ben].map(answered));
  const answers = await Promise.all([ann, ben].map((page) => page.evaluate(() => ["bought", "problem"].map((id) => document.getElementById(id).textContent).join(""))));
  await Windows.shoot(ben, "shop-desktop");

  await Windows.restart(other, ann, ben);
  await set(other, "boots", { price: 7777, stock: 3 });
  await Promise.all([ann, ben].map((page) => shows(page, "price", "€77.77")));
  await ben.click('a[href="#lamp"]');
  await shows(ben, "title", "Moon lamp");
  await ben.goto(`${new URL(ben.url()).origin}/#%3Cimg%20src=x%20onerror=stolen=1%3E`);
  await shows(ben, "title", "Moon lamp"); // the first one
  const overflow = await Windows.overflow(ann);
  await Windows.shoot(ann, "shop-phone");
  return { disabled, kept, answers: answers.sort(), overflow };
}
