// Windows of two people who look at an example, each through a proxy of its own: to be disconnected, and to meet another server.

import { watch } from "./browser.mjs";
import { CuttingProxy } from "./proxy.mjs";

export class Windows {
  complaints = [];
  front; // of a proxy that stays while the server restarts: its address, and `backend`, the CuttingProxy to which it forwards
  #browser;
  #proxies = [];
  #pages = [];

  constructor(browser) {
    this.#browser = browser;
  }

  // Opens a page as another person would: with storage of its own. `page.proxy` is its proxy.
  async add(base, path, { colorScheme = "light", width = 1000, height = 760 } = {}) {
    const proxy = new CuttingProxy();
    this.#proxies.push(proxy);
    const address = await proxy.listen(this.front?.address ?? base);
    const context = await this.#browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce", locale: "en-GB" });
    const page = await context.newPage();
    this.complaints.push(watch(page, /WebSocket connection to .* failed|ERR_|status of 50[24]/));
    page.on("dialog", (dialog) => {
      this.complaints.push([`a dialog said ${dialog.message()}`]);
      dialog.dismiss();
    });
    page.setDefaultTimeout(60000);
    page.proxy = proxy;
    page.backend = this.front?.backend;
    this.#pages.push(page);
    await page.goto(address + path);
    return page;
  }

  // Whether the badge is in one of these states.
  static async shows(page, ...states) {
    await page.waitForSelector(states.map((state) => `.connection[data-state="${state}"]`).join(","));
  }

  // Disconnects a window, and keeps it from connecting again.
  static async disconnect(page) {
    page.proxy.cutAfter = () => 0;
    page.proxy.cut();
    await Windows.shows(page, "reconnecting", "offline");
  }

  static async reconnect(page) {
    page.proxy.cutAfter = () => Infinity;
    await Windows.#hurry(page);
  }

  // Until the page is online. The client reconnects when the browser says that the network is back, and need not wait for that.
  static async #hurry(page) {
    const timer = setInterval(() => page.evaluate(() => dispatchEvent(new Event("online"))).catch(() => {}), 100);
    await Windows.shows(page, "online").finally(() => clearInterval(timer));
  }

  // Ends all connections, and leads the next ones to another server: a restart, as the page sees it.
  static async restart(base, ...pages) {
    const { backend } = pages[0];
    if (backend) {
      backend.refuse();
      for (const page of pages) await Windows.shows(page, "reconnecting", "offline");
      backend.target = base;
      await backend.accept();
      await Promise.all(pages.map(Windows.#hurry));
      return;
    }
    for (const page of pages) {
      page.proxy.target = base;
      page.proxy.cutAfter = () => 0;
      page.proxy.cut();
    }
    for (const page of pages) await Windows.shows(page, "reconnecting", "offline");
    for (const page of pages) page.proxy.cutAfter = () => Infinity;
    await Promise.all(pages.map(Windows.#hurry));
  }

  // How far the page scrolls sideways on a phone.
  static async overflow(page) {
    await page.setViewportSize({ width: 375, height: 812 });
    return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  // A picture for the one who looks, if SHOTS names a directory.
  static async shoot(page, name) {
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
  }

  // What the pages show, for a failure.
  async describe() {
    const texts = await Promise.all(this.#pages.map((page) => page.evaluate(() => `${location.pathname}: ${document.body.innerText}`).catch(String)));
    return texts.join("\n----\n");
  }

  close() {
    for (const proxy of this.#proxies) proxy.close();
  }
}
