// Chromium, from a page of the server itself:  node chromium.mjs URL [PROTOCOL]

import { launch } from "../browser.mjs";
import { connectByStandard, scenario } from "./scenario.mjs";

const [url, protocol] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage();
await page.goto(url.replace("ws:", "http:").replace(/\/ws$/, "/health"));
const wanted = [url, protocol].map((word) => JSON.stringify(word)).join(", ");
console.log(JSON.stringify(await page.evaluate(`(${scenario})(${connectByStandard}, ${wanted})`)));
await browser.close();
