// Starts bin/moonwire under callgrind and counts the instructions it executed.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./server.mjs";

export async function startUnderCallgrind(script) {
  const directory = mkdtempSync(join(tmpdir(), "moonwire-callgrind-"));
  const output = join(directory, "out");
  const app = await start(script, ["valgrind", "--quiet", "--tool=callgrind", `--callgrind-out-file=${output}`, "lua5.4"]);
  const stop = async () => {
    await app.stop();
    const totals = readdirSync(directory).map((name) => /^(?:summary|totals): (\d+)/m.exec(readFileSync(join(directory, name), "utf8")));
    rmSync(directory, { recursive: true });
    return totals.reduce((sum, match) => sum + Number(match?.[1] ?? 0), 0);
  };
  return { ...app, stop };
}
