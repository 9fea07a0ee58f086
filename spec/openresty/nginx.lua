-- Starts nginx with ngx_http_lua_module and a configuration of its own directory.

local free_port = require("spec.support.ports").free
local server = require "spec.support.server"
local socket = require "socket"

local nginx = {}
nginx.__index = nginx

-- Debian's modules; OpenResty has them built in.
local modules = { "ndk_http_module", "ngx_http_lua_module" }

local main = [[
MODULES
daemon off;
worker_processes WORKERS;
worker_shutdown_timeout 10;
pid DIR/pid;
error_log DIR/log notice;
events { worker_connections 512; }
http {
  access_log off;
  types { text/html html; text/javascript js; }
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/f;
  uwsgi_temp_path DIR/u;
  scgi_temp_path DIR/s;
  include DIR/included.conf;
}
]]

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function load_modules()
  local lines = {}
  for _, name in ipairs(modules) do
    local path = ("/usr/lib/nginx/modules/%s.so"):format(name)
    local file = io.open(path)
    if file then
      file:close()
      lines[#lines + 1] = ("load_module %s;"):format(path)
    end
  end
  return table.concat(lines, "\n")
end

-- Replaces what the main part says of events.
function nginx:set_main(text)
  local path = self.directory .. "/main.conf"
  local file = assert(io.open(path))
  local whole = file:read "a"
  file:close()
  whole = whole
    :gsub("worker_shutdown_timeout[^\n]*\n", "")
    :gsub("events {[^\n]*\n", (text:gsub("%%", "%%%%")))
  write(path, whole)
end

-- A process that has ended stays in the table until its parent asks, which may take seconds.
local function has_ended(pid)
  local file = io.open(("/proc/%s/stat"):format(pid))
  -- one that ends meanwhile cannot be read
  local state = file and (file:read "a" or ""):match "%) (%a)"
  if file then
    file:close()
  end
  return not state or state == "Z"
end

function nginx:run()
  local shell = ("nginx -p %s -c main.conf -e %s/log >> %s/log 2>&1 9>&- & echo $!"):gsub(
    "%%s",
    self.directory
  )
  self.pid = tonumber(server.run(shell))
  local deadline = socket.gettime() + 30
  repeat
    local connection = socket.connect("127.0.0.1", self.port)
    if connection then
      connection:close()
      return self
    end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  error("nginx did not start:\n" .. self:log(), 3)
end

-- `text` is what is included in the http block. `swaps` replaces texts in it. {dir} is a directory that nginx can read, with the
-- files of the rock in {dir}/rock. "listen 80;" gets a port.
function nginx.prepare(text, swaps, workers)
  local directory = server.run "mktemp -d"
  local self =
    setmetatable({ host = "127.0.0.1", port = free_port(), directory = directory }, nginx)
  self.address = ("http://127.0.0.1:%d"):format(self.port)
  server.run(
    ("mkdir -p %s/rock/moonwire; cp lua/moonwire/publisher.lua lua/moonwire/token.lua %s/rock/moonwire"):format(
      directory,
      directory
    )
  )
  server.run(("chmod -R a+rX %s"):format(directory))
  for _, swap in ipairs(swaps or {}) do
    local first, last = text:find(swap[1], 1, true)
    assert(first, "the configuration has no " .. swap[1])
    repeat
      text = text:sub(1, first - 1) .. swap[2] .. text:sub(last + 1)
      first, last = text:find(swap[1], first + #swap[2], true)
    until not first
  end
  text =
    text:gsub("listen 80;", ("listen 127.0.0.1:%d;"):format(self.port)):gsub("{dir}", directory)
  write(directory .. "/included.conf", text)
  local filled =
    main:gsub("MODULES", load_modules()):gsub("WORKERS", workers or 2):gsub("DIR", directory)
  write(directory .. "/main.conf", filled)
  self.guard = setmetatable({}, {
    __gc = function()
      if self.pid then
        os.execute(("kill -KILL $(cat %s/pid) %d 2>/dev/null"):format(directory, self.pid))
      end
    end,
  })
  return self
end

function nginx.start(text, swaps, workers)
  return nginx.prepare(text, swaps, workers):run()
end

function nginx:log()
  local file = io.open(self.directory .. "/log")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

-- HUP reloads. QUIT stops when the connections have ended, TERM immediately.
function nginx:signal(name)
  os.execute(("kill -%s %d"):format(name, self.pid))
end

nginx.has_ended = has_ended

-- The workers that are not shutting down.
function nginx:workers()
  local listed = server.run(("pgrep -P %d -f 'worker process$'"):format(self.pid))
  local list = {}
  for pid in listed:gmatch "%d+" do
    list[#list + 1] = pid
  end
  return list
end

-- Reloads, and waits until the workers are new ones.
function nginx:reload()
  local before = {}
  for _, pid in ipairs(self:workers()) do
    before[pid] = true
  end
  self:signal "HUP"
  local deadline = socket.gettime() + 30
  repeat
    local fresh, old = 0, 0
    for _, pid in ipairs(self:workers()) do
      fresh, old = fresh + (before[pid] and 0 or 1), old + (before[pid] and 1 or 0)
    end
    if fresh > 0 and old == 0 then
      return
    end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  error("nginx does not reload:\n" .. self:log())
end

function nginx:finish(signal)
  self:signal(signal or "TERM")
  local deadline = socket.gettime() + 30
  while not has_ended(self.pid) do
    assert(socket.gettime() < deadline, "nginx does not end")
    socket.sleep(0.01)
  end
  self.pid = nil
end

function nginx:stop()
  if self.pid then
    self:finish()
  end
  setmetatable(self.guard, nil)
  server.run("rm -rf " .. self.directory)
end

return nginx
