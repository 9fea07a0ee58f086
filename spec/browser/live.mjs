// Examples in two windows each, all at the same time in one browser:  node browser/live.mjs [--nginx] NAME=BASE,OTHER…
//
// With --nginx, the pages come through nginx, which stays while the server restarts.
// NAME.mjs has a function that does it, and perhaps a pattern of complaints that it expects. Prints what each returned as JSON, by name, with what the pages complained about.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { launch } from "../support/browser.mjs";
import { startNginx } from "../support/nginx.mjs";
import { CuttingProxy } from "../support/proxy.mjs";
import { Windows } from "../support/windows.mjs";

const throughNginx = process.argv[2] === "--nginx";
const browser = await launch();
const seen = {};

async function putNginxBefore(windows, base) {
  const directory = await mkdtemp(`${tmpdir()}/live-`);
  const backend = new CuttingProxy();
  const nginx = await startNginx(directory, await backend.listen(base));
  windows.front = { address: nginx.base, backend };
  return () => {
    nginx.stop();
    backend.close();
    return rm(directory, { recursive: true, force: true });
  };
}

await Promise.all(
  process.argv.slice(throughNginx ? 3 : 2).map(async (argument) => {
    const [, name, base, other] = argument.match(/^(\w+)=(.*),(.*)$/);
    const windows = new Windows(browser);
    const end = throughNginx && (await putNginxBefore(windows, base));
    const { run, expected = /$^/ } = await import(`./${name}.mjs`);
    const started = Date.now();
    seen[name] = await run(windows, base, other).catch(async (error) => {
      console.error(`${name}: ${error.stack}\n${windows.complaints.flat().join("\n")}\n${await windows.describe()}`);
      process.exit(1);
    });
    if (process.env.SHOTS) console.error(name, Date.now() - started);
    seen[name].complaints = windows.complaints.flat().filter((text) => !expected.test(text) && !(throughNginx && /^50[24] /.test(text)));
    windows.close();
    if (end) await end();
  }),
);
console.log(JSON.stringify(seen));
await browser.close();
process.exit(0);
