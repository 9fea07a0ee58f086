// Examples in two windows each, all at the same time in one browser:  node browser/live.mjs NAME=BASE,OTHER…
//
// NAME.mjs has a function that does it, and perhaps a pattern of complaints that it expects. Prints what each returned as JSON, by name, with what the pages complained about.

import { launch } from "../support/browser.mjs";
import { Windows } from "../support/windows.mjs";

const browser = await launch();
const seen = {};
await Promise.all(
  process.argv.slice(2).map(async (argument) => {
    const [, name, base, other] = argument.match(/^(\w+)=(.*),(.*)$/);
    const windows = new Windows(browser);
    const { run, expected = /$^/ } = await import(`./${name}.mjs`);
    const started = Date.now();
    seen[name] = await run(windows, base, other).catch(async (error) => {
      console.error(`${name}: ${error.stack}\n${windows.complaints.flat().join("\n")}\n${await windows.describe()}`);
      process.exit(1);
    });
    if (process.env.SHOTS) console.error(name, Date.now() - started);
    seen[name].complaints = windows.complaints.flat().filter((text) => !expected.test(text));
    windows.close();
  }),
);
console.log(JSON.stringify(seen));
await browser.close();
process.exit(0);
