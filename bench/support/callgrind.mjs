// Starts bin/moonwire under callgrind and counts the instructions it executed.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./server.mjs";

// The C library and OpenSSL have functions for features of some processors, which take fewer
// instructions. Without them, the counts are the same on every x86-64 machine.
const FEATURES = "AVX AVX2 AVX_Fast_Unaligned_Load BMI1 BMI2 ERMS FSRM Fast_Unaligned_Copy Fast_Unaligned_Load LZCNT MOVBE SSE4_1 SSE4_2 SSSE3";
const BASELINE = {
  GLIBC_TUNABLES: `glibc.cpu.hwcaps=${FEATURES.split(" ").map((name) => `-${name}`).join(",")}`,
  OPENSSL_ia32cap: "0:0",
  // Whether a run contains one collection of garbage or two would change a figure more than anything that is compared.
  LUA_INIT: 'collectgarbage "stop"',
};

export async function startUnderCallgrind(script) {
  const directory = mkdtempSync(join(tmpdir(), "moonwire-callgrind-"));
  const output = join(directory, "out");
  const app = await start(script, ["valgrind", "--quiet", "--tool=callgrind", `--callgrind-out-file=${output}`, "lua5.4"], BASELINE);
  const stop = async () => {
    await app.stop();
    const totals = readdirSync(directory).map((name) => /^(?:summary|totals): (\d+)/m.exec(readFileSync(join(directory, name), "utf8")));
    rmSync(directory, { recursive: true });
    return totals.reduce((sum, match) => sum + Number(match?.[1] ?? 0), 0);
  };
  return { ...app, stop };
}
