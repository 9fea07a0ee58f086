// nginx in front of a server, without files outside of one directory.

import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import net from "node:net";

// It does not outlive this process.
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGTERM")));

const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

// Starts nginx, which forwards to the origin of `base`. Resolves when it answers, with its address and a function that stops it.
export async function startNginx(directory, base) {
  const port = await freePort();
  const configuration = `
    daemon off; pid ${directory}/nginx.pid; error_log ${directory}/error.log; worker_processes 1; events {}
    http {
      access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
      uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass ${base}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_buffering off; proxy_read_timeout 1h;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        }
      }
    }`;
  await writeFile(`${directory}/nginx.conf`, configuration);
  const child = spawn("nginx", ["-p", directory, "-c", `${directory}/nginx.conf`, "-e", `${directory}/error.log`], { stdio: "ignore" });
  children.add(child);
  while (!(await fetch(`http://127.0.0.1:${port}/health`).catch(() => null))) await new Promise((resolve) => setTimeout(resolve, 50));
  return { base: `http://127.0.0.1:${port}`, stop: () => child.kill("SIGTERM") };
}
