// examples/document in two windows. `other` is a second server of the same example, which knows nothing: the first one after a
// restart.

import { Windows } from "../support/windows.mjs";

export async function run(windows, base, other) {
  const [ann, ben] = await Promise.all([windows.add(base, "/", { colorScheme: "dark" }), windows.add(base, "/")]);
  const textOf = (page) => page.inputValue("#text");
  const has = (page, ...parts) => page.waitForFunction((wanted) => wanted.every((part) => document.getElementById("text").value.includes(part)), parts);
  const same = async (page, server) => {
    await page.waitForFunction(() => document.getElementById("saved").dataset.state === "saved");
    const { edit } = await (await fetch(`${server}/text/notes`)).json();
    return edit.inserts.reduce((sum, insert) => sum + [...insert[4]].length, 0);
  };

  for (const page of [ann, ben]) await Windows.shows(page, "online");
  await ann.click("#text");
  await ann.keyboard.type("Roses are red.\n");
  await has(ben, "Roses are red.\n");
  await ben.click("#text");
  await ben.keyboard.press("Control+End");
  await ben.keyboard.type("Violets are blue.");
  await has(ann, "Violets are blue.");
  await ann.waitForSelector(".cursor"); // that of the other

  // Both write where the other cannot see it.
  await Windows.disconnect(ann);
  const warning = await ann.textContent("#saved");
  await ann.keyboard.press("Control+Home");
  await ann.keyboard.type("Ann was here. ");
  await ben.keyboard.type(" So was Ben. 🦉");
  await Windows.reconnect(ann);
  await Promise.all([ann, ben].map((page) => has(page, "Ann was here. Roses are red.", "Violets are blue. So was Ben. 🦉")));
  const merged = [await textOf(ann), await textOf(ben)];

  await ann.reload();
  await has(ann, merged[1]);
  const reloaded = await textOf(ann);

  // The next server knows nothing.
  await Windows.restart(other, ann, ben);
  await Promise.all([ann, ben].map((page) => page.waitForFunction(() => document.getElementById("saved").dataset.state === "saved")));
  const restarted = [await textOf(ann), await textOf(ben), await same(ann, other)];
  for (const page of [ann, ben]) await page.waitForFunction(() => document.getElementById("people").textContent === "2 people");

  // Somebody who means no good.
  const hostile = '<img src=x onerror="window.stolen=1"></textarea><script>window.stolen=2</script>';
  const send = async (event, data) => {
    const body = JSON.stringify({ send: "document:notes", event, data, ref: 1 });
    return (await fetch(`${other}/send`, { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
  };
  const length = [...hostile].length;
  await send("edit", { spans: { eve: [0, length] }, inserts: [["eve", 1, "eve.0", 0, hostile]], deletes: [] });
  for (const bad of ["<b>", { a: 1 }, [1, 2], ["x".repeat(5000), 1]]) await send("cursor", bad);
  await Promise.all([ann, ben].map((page) => has(page, hostile)));
  const markup = await ann.evaluate(() => document.querySelectorAll("main :is(img, script)").length + (window.stolen ?? 0));

  await Windows.shoot(ben, "document-desktop");
  const overflow = await Windows.overflow(ann);
  await Windows.shoot(ann, "document-phone");
  return { warning, merged, reloaded, restarted, markup, overflow };
}
