// How pages look: on a desktop, light, and on a phone, dark.
//
//   node browser/looks.mjs BASE SCREENSHOTS PAGE…      a PAGE is NAME=PATH
//
// Prints the complaints as JSON, by name. A page must not write errors to its console, must not scroll sideways, must have a
// contrast of at least 4.5 for all its text, names for all its controls, a focus that is visible, and a
// Content-Security-Policy without unsafe-inline. If SCREENSHOTS is not "-", it is a directory for NAME-desktop.png (light) and
// NAME-phone.png (dark).

import { launch, watch } from "../support/browser.mjs";
import { prepare } from "./prepare.mjs";

const [base, screenshots, ...pages] = process.argv.slice(2);
const PHONE = { width: 375, height: 812 };
const DESKTOP = { width: 1200, height: 800 };

// Runs in the page. The contrast of each text with what is painted below it (WCAG 2.1, 1.4.3).
function findFaint() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map(); // reading a pixel takes long
  const toRgba = (color) => {
    if (!known.has(color)) known.set(color, paint(color));
    return known.get(color);
  };
  const paint = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // What is painted below the text of an element, and how opaque the element is.
  const below = new Map();
  const backgroundOf = (element) => {
    if (!element) return { color: [255, 255, 255], opacity: 1 };
    if (!below.has(element)) {
      const { color, opacity } = backgroundOf(element.parentElement);
      const style = getComputedStyle(element);
      below.set(element, { color: over(toRgba(style.backgroundColor), color), opacity: opacity * Number(style.opacity) });
    }
    return below.get(element);
  };
  const faint = [];
  const check = (element, color, text) => {
    const { color: ground, opacity } = backgroundOf(element);
    const rgba = toRgba(color);
    const [a, b] = [luminance(over([...rgba.slice(0, 3), rgba[3] * opacity], ground)), luminance(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`contrast ${contrast.toFixed(2)} of "${text.trim().slice(0, 40)}" in ${element.tagName.toLowerCase()}.${element.className}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, noscript, template, :disabled")) continue;
    if (!element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) || element.getBoundingClientRect().width <= 1) continue;
    const style = getComputedStyle(element);
    check(element, element.closest("svg") ? style.fill : style.color, walker.currentNode.data);
  }
  for (const field of document.querySelectorAll("input, textarea, select")) {
    if (field.disabled || !field.checkVisibility()) continue;
    if (field.value) check(field, getComputedStyle(field).color, field.value);
    else if (field.placeholder) check(field, getComputedStyle(field, "::placeholder").color, field.placeholder);
  }
  return faint;
}

// Runs in the page. Controls that a screen reader cannot name.
function findNameless() {
  const isNamed = (control) =>
    control.textContent.trim() || control.labels?.length || control.getAttribute("aria-label") || control.getAttribute("aria-labelledby") || control.title;
  return [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, progress, meter, [role=img], canvas:not([aria-hidden])")]
    .filter((control) => control.checkVisibility() && !isNamed(control))
    .map((control) => `no name: ${control.outerHTML.slice(0, 80)}`);
}

// Runs in the page. What scrolls it sideways.
function findWide() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const wide = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1);
  return [`scrolls sideways by ${scrollWidth - clientWidth} pixels at ${clientWidth}: ${wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 60))}`];
}

// Runs in the page. Whether the focused element shows its focus; a link may do so by what it generates.
function showsFocus() {
  const focused = document.activeElement;
  if (focused === document.body) return true; // nothing to focus
  return [null, "::after"].some((part) => {
    const style = getComputedStyle(focused, part);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });
}

async function look(browser, name, path) {
  const context = await browser.newContext({ viewport: DESKTOP, reducedMotion: "reduce", timezoneId: "UTC", locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(100_000); // on a busy machine
  const complaints = watch(page);
  const response = await page.goto(base + path);
  const policy = response.headers()["content-security-policy"] ??
    (await page.evaluate(() => document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.content));
  if (!policy) complaints.push("no Content-Security-Policy");
  else if (/unsafe-(inline|eval)/.test(policy) || !/default-src/.test(policy)) complaints.push(`a weak policy: ${policy}`);
  // its data has arrived, if it shows a connection
  await page.waitForFunction(() => !document.querySelector(".connection")?.checkVisibility() || !document.querySelector(".connection[data-state$=connecting]"));
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
  if (screenshots !== "-") await prepare[name]?.(page, base);
  for (const [size, viewport, colorScheme] of [["desktop", DESKTOP, "light"], ["phone", PHONE, "dark"]]) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    for (const find of [findFaint, findWide, findNameless]) {
      complaints.push(...(await page.evaluate(find)).map((text) => `${size}, ${colorScheme}: ${text}`));
    }
    if (screenshots !== "-") await page.screenshot({ path: `${screenshots}/${name}-${size}.png` });
  }
  await page.keyboard.press("Tab");
  if (!(await page.evaluate(showsFocus))) complaints.push("the focus is not visible");
  await context.close();
  return complaints;
}

const browser = await launch();
const seen = {};
const queue = pages.map((page) => page.match(/^([^=]*)=(.*)$/).slice(1));
const lookAtNext = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) seen[next[0]] = await look(browser, ...next);
};
await Promise.all([lookAtNext(), lookAtNext()]);
console.log(JSON.stringify(seen));
await browser.close();
