// What looks.mjs does on a page before it takes the picture, so that there is something to see. By the page's name.

const post = (base, path, body, key) =>
  fetch(base + path, { method: "POST", headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` }, body: JSON.stringify(body) });

const until = (page, isSo, argument) => page.waitForFunction(isSo, argument, { polling: 200 });

export const prepare = {
  polling: (page) => until(page, () => Number(document.querySelector("[data-of=ticks]").textContent) >= 6),
  scoreboard: (page) => until(page, () => document.querySelectorAll("#latest li").length >= 8),
  dashboard: (page) => until(page, () => document.querySelector("svg .line").getAttribute("d")?.split("L").length > 20),
  job: async (page) => {
    await page.click("#start");
    await until(page, () => document.querySelector("progress").value > 0.4);
  },
  echo: async (page) => {
    for (const text of ["hello", "grüße", "こんにちは"]) {
      await page.fill("#text", text);
      await page.click("button");
    }
    await until(page, () => document.querySelectorAll("tbody tr").length >= 3);
  },
  progress: async (page) => {
    await page.click("#start");
    await until(page, () => document.getElementById("bar").value >= 45);
  },
  notifications: async (page, base) => {
    for (const text of ["Ben has commented on your report", "Your order was sent", "Backup of last night: done"]) await post(base, "/notifications/notify/ann", { text }, "demo");
    await page.click("[value=ann]");
    await page.waitForSelector('.connection[data-state="online"]');
    await until(page, () => document.querySelectorAll(".item").length >= 3);
  },
  feed: async (page) => {
    for (const [author, text] of [["Ben", "The ferry leaves at seven."], ["Zoë", "Who has the keys of the boat house?"], ["Ann", "On the hook, as always.\nSee you at the pier!"]]) {
      await page.fill("#author", author);
      await page.fill("#text", text);
      await page.click("#post button");
      await until(page, (wanted) => [...document.querySelectorAll(".entry .text")].some(({ textContent }) => textContent === wanted), text);
    }
  },
  chat: async (page) => {
    await page.fill("#name", "Ann");
    await page.click("#enter button");
    await page.waitForSelector('.connection[data-state="online"]');
    for (const text of ["Is anybody here?", "The tide is at its lowest at nine."]) {
      await page.fill("#text", text);
      await page.press("#text", "Enter");
    }
    await until(page, () => document.querySelectorAll(".line").length >= 2);
  },
};
