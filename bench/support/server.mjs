// Starts bin/moonwire on a free port and waits until it listens.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

// `launcher` is put before the command, for example [ "valgrind", "lua5.4" ]. `variables` are added
// to the environment, and `options` to the arguments. Without options, it has one worker.
export async function start(script, launcher = [], variables = {}, options = ["--workers", "1"]) {
  const words = [...launcher, "bin/moonwire", script, "--listen", "127.0.0.1:0", ...options];
  const server = spawn(words[0], words.slice(1), { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...variables } });
  let log = "";
  server.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  let address;
  for await (const line of createInterface({ input: server.stdout })) {
    address = /^listening on http:\/\/([^:]+):(\d+)/.exec(line) ?? address;
    if (address) break;
  }
  if (!address) throw new Error(`the server did not start:\n${log}`);
  const stop = async () => {
    server.kill("SIGINT");
    await once(server, "exit");
  };
  return { pid: server.pid, host: address[1], port: Number(address[2]), stop };
}
