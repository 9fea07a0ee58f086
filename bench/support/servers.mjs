// The servers that bench/run compares: what they need, how they start, and how the load generator
// subscribes and publishes.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../peers/", import.meta.url));

function answers(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch {
    return null;
  }
}

// The version of an npm package, or null if it is not installed.
function packageVersion(name) {
  const directory = require.resolve.paths(name).find((path) => existsSync(join(path, name, "package.json")));
  return directory ? JSON.parse(readFileSync(join(directory, name, "package.json"), "utf8")).version : null;
}

const debianVersion = (name) => answers("dpkg-query", "-W", "-f", "${Version}", name) ?? "of this system";

const NCHAN = ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/lib64/nginx/modules/ngx_nchan_module.so"].find(existsSync);

// A port that is free now; nginx cannot choose one itself.
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function nchanCommand() {
  const directory = mkdtempSync(join(tmpdir(), "moonwire-nchan-"));
  const port = await freePort();
  const template = readFileSync(new URL("../peers/nchan.conf", import.meta.url), "utf8");
  const config = template.replaceAll("{directory}", directory).replaceAll("{port}", port).replaceAll("{module}", NCHAN);
  writeFileSync(join(directory, "nginx.conf"), config);
  return { words: ["nginx", "-p", directory, "-c", join(directory, "nginx.conf")], port, directory };
}

export const moonwireHasWorkers = () => (answers("bin/moonwire", "--help") ?? "").includes("--workers");

function moonwireCommand({ workers = 1 } = {}) {
  const words = ["bin/moonwire", "bench/peers/moonwire_app.lua", "--listen", "127.0.0.1:0"];
  return { words: moonwireHasWorkers() ? [...words, "--workers", String(workers)] : words };
}

// As browsers do; nchan requires it.
const EVENT_STREAM = ["--header", "Accept: text/event-stream"];

const npm = (name) => ({
  version: () => packageVersion(name),
  needs: () => (packageVersion(name) ? null : `the npm package ${name} (bench/run --install)`),
  command: () => ({ words: ["node", `bench/peers/${name}.mjs`] }),
});

const floor = (mode) => ({
  version: () => "of this tree",
  needs: () => null,
  command: () => ({ words: ["build/release/bench/floor", mode] }),
  ws: { subscribe: ["--ws", "/ws"], publish: ["--publish-ws", "/publish"] },
  sse: { subscribe: ["--sse", "/sse", ...EVENT_STREAM], publish: ["--publish-post", "/publish"] },
});

const KEY = ["--publish-header", "Authorization: Bearer bench", "--publish-header", "Content-Type: application/json"];
const SUBSCRIBE = ["--send", '{"subscribe":"live:{c}","ref":1}', "--expect", '"ref":1'];
const moonwirePost = (kind) => ["--publish-post", "/publish", ...KEY, "--message", `{"channel":"${kind}:{c}","event":"m","data":"{p}"}`];

// For each transport, the words for subscribers and for the publisher. `post` is another publisher. A
// channel of the transport "mixed" has WebSockets and event streams.
export const servers = {
  moonwire: {
    version: () => answers("git", "describe", "--always", "--dirty")?.trim() ?? "of this tree",
    needs: () => null,
    command: moonwireCommand,
    ws: {
      subscribe: ["--ws", "/ws", ...SUBSCRIBE],
      publish: [
        ...["--publish-ws", "/ws", "--publish-send", '{"subscribe":"live:0","ref":1}', "--publish-expect", '"ref":1'],
        ...["--message", '{"send":"live:{c}","event":"m","data":"{p}"}'],
      ],
      post: moonwirePost("live"),
    },
    sse: { subscribe: ["--sse", "/sse?channel=live:{c}", ...EVENT_STREAM], publish: moonwirePost("live") },
    mixed: {
      subscribe: ["--ws", "/ws", ...SUBSCRIBE, "--sse", "/sse?channel=live:{c}", ...EVENT_STREAM],
      publish: moonwirePost("live"),
    },
    poll: { subscribe: ["--poll", "/poll?channel=poll:{c}&since={cursor}"], publish: moonwirePost("poll") },
  },
  "write loop": floor("write"),
  "joined write": floor("joined"),
  ws: { ...npm("ws"), ws: { subscribe: ["--ws", "/ws"], publish: ["--publish-ws", "/publish"] } },
  "socket.io": {
    ...npm("socket.io"),
    ws: {
      subscribe: ["--ws", "/socket.io/?EIO=4&transport=websocket", "--send", "40", "--expect", "40{", "--send", '42["subscribe"]'],
      publish: [
        ...["--publish-ws", "/socket.io/?EIO=4&transport=websocket", "--publish-send", "40", "--publish-expect", "40{"],
        ...["--message", '42["publish","{p}"]'],
      ],
    },
  },
  "better-sse": {
    ...npm("better-sse"),
    needs: () => {
      if (Number(process.versions.node.split(".")[0]) < 20) return "Node.js 20";
      return npm("better-sse").needs();
    },
    sse: { subscribe: ["--sse", "/sse", ...EVENT_STREAM], publish: ["--publish-post", "/publish"] },
  },
  nchan: {
    version: () => debianVersion("libnginx-mod-nchan"),
    needs: () => (NCHAN && answers("nginx", "-v") !== null ? null : "nginx with nchan (scripts/install-deps --for bench)"),
    command: nchanCommand,
    ws: {
      subscribe: ["--ws", "/ws?c={c}"],
      publish: ["--publish-ws", "/publish?c=0"],
      post: ["--publish-post", "/publish?c={c}"],
    },
    sse: { subscribe: ["--sse", "/sse?c={c}", ...EVENT_STREAM], publish: ["--publish-post", "/publish?c={c}"] },
  },
  "lua-http": {
    version: () => debianVersion("lua-http"),
    needs: () => (answers("lua5.1", "-e", 'require "http.server"') !== null ? null : "lua-http for Lua 5.1 (scripts/install-deps --for bench)"),
    command: () => ({ words: ["lua5.1", "bench/peers/lua_http.lua"] }),
    ws: { subscribe: ["--ws", "/ws"], publish: ["--publish-ws", "/publish"] },
  },
};
