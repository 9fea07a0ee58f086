-- Starts a proxy of the system's with a configuration as docs/how-to/proxies.md prints it.

local free_port = require("spec.support.ports").free
local server = require "spec.support.server"
local socket = require "socket"

local proxy = {}
proxy.__index = proxy

-- The first fenced block of the page, by default docs/how-to/proxies.md, that has that language.
function proxy.read_block(language, name)
  local file = assert(io.open(name or "docs/how-to/proxies.md"))
  local page = file:read "a"
  file:close()
  return assert(page:match("\n```" .. language .. "\n(.-\n)```\n"), "no block of " .. language)
end

-- Replaces a text that the block must have.
local function swap(text, what, by)
  local first = text:find(what, 1, true)
  assert(first, "the block has no " .. what)
  return (text:gsub(what:gsub("%p", "%%%0"), (by:gsub("%%", "%%%%"))))
end

-- By program: how it is started with a block, in a directory, on a port, before the server.
local programs = {}

function programs.nginx(block, directory, port, upstream)
  block = swap(block, "listen 80;", ("listen 127.0.0.1:%d;"):format(port))
  block = swap(block, "unix:/run/moonwire/app.sock", "unix:" .. upstream.path)
  local wrapper = [[
daemon off;
worker_processes 1;
pid DIR/pid;
error_log DIR/log notice;
events {}
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/f;
  uwsgi_temp_path DIR/u;
  scgi_temp_path DIR/s;
  include DIR/moonwire.conf;
}
]]
  return "nginx.conf",
    wrapper:gsub("DIR", directory),
    {
      ["moonwire.conf"] = block,
    },
    "nginx -p {dir} -c nginx.conf -e {dir}/log"
end

function programs.haproxy(block, _, port, upstream)
  block = swap(block, "bind :80", ("bind 127.0.0.1:%d"):format(port))
  block = swap(block, "127.0.0.1:8080", ("127.0.0.1:%d"):format(upstream.port))
  return "haproxy.cfg", block, {}, "haproxy -db -f {dir}/haproxy.cfg"
end

function programs.caddy(block, _, port, upstream)
  local hosts = ("http://127.0.0.1:%d, http://localhost:%d {"):format(port, port)
  block = swap(block, "chat.example.org {", hosts)
  block = swap(block, "127.0.0.1:8080", ("127.0.0.1:%d"):format(upstream.port))
  local text = "{\n  admin off\n  auto_https off\n}\n" .. block
  return "Caddyfile",
    text,
    {},
    "env HOME={dir} XDG_DATA_HOME={dir} XDG_CONFIG_HOME={dir} caddy run --adapter caddyfile --config {dir}/Caddyfile"
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Starts the program before the listener of a server; `block` is its configuration, by default that of the page.
function proxy.start(program, upstream, block)
  local languages = { nginx = "nginx", haproxy = "haproxy", caddy = "caddyfile" }
  local directory = server.run "mktemp -d"
  local port = free_port()
  server.run("chmod 755 " .. directory)
  block = block or proxy.read_block(languages[program])
  local name, text, files, command = programs[program](block, directory, port, upstream)
  write(directory .. "/" .. name, text)
  for file, its_text in pairs(files) do
    write(directory .. "/" .. file, its_text)
  end
  local shell = ("%s >> {dir}/log 2>&1 9>&- & echo $!"):format(command):gsub("{dir}", directory)
  local self = setmetatable({
    host = "127.0.0.1",
    port = port,
    address = ("http://127.0.0.1:%d"):format(port),
    directory = directory,
    pid = tonumber(server.run(shell)),
  }, proxy)
  -- A spec that failed leaves its proxy running.
  self.guard = setmetatable({}, {
    __gc = function()
      os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
    end,
  })
  local deadline = socket.gettime() + 30
  repeat
    local connection = socket.connect("127.0.0.1", port)
    if connection then
      connection:close()
      return self
    end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  local log = self:log()
  self:stop()
  error(("%s did not start:\n%s"):format(program, log), 2)
end

function proxy:log()
  local file = io.open(self.directory .. "/log")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

-- A process that has ended stays in the table until its parent asks, which may take seconds.
local wait_for_end = "kill %d 2>/dev/null; for i in $(seq 1500); do "
  .. "case $(ps -o stat= -p %d) in Z* | '') break ;; esac; sleep 0.02; done"

function proxy:stop()
  setmetatable(self.guard, nil)
  os.execute(wait_for_end:format(self.pid, self.pid))
  os.execute(("kill -KILL %d 2>/dev/null; rm -rf '%s'"):format(self.pid, self.directory))
end

return proxy
