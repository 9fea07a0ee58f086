-- Starts the command with a script of its own, as a child process, and ends it again.

local socket = require "socket"

local server = {}
local methods = {}
local meta = { __index = methods }

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function run(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  pipe:close()
  return (output:gsub("%s+$", ""))
end

local function write_file(path, text)
  run("mkdir -p " .. quote(path:match "^(.*)/"))
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

-- "http://[::1]:8080" becomes { host = "::1", port = 8080 }, "unix:PATH" { path = PATH }.
local function parse_address(text)
  local path = text:match "^unix:(.*)$"
  if path then
    return { path = path }
  end
  local host, port = text:match "^http://%[?([^%]]-)%]?:(%d+)$"
  return { host = host, port = tonumber(port) }
end

local function read_startup(self)
  for line in self.pipe:lines() do
    self.startup[#self.startup + 1] = line
    local address = line:match "^listening on (%S+)"
    if address then
      self.listeners[#self.listeners + 1] = parse_address(address)
    end
    if line == "ready" then
      return true
    end
  end
end

-- By options.stderr: what the shell does before, and the server's redirection.
local stderrs = {
  closed = { "", "2>&-" },
  full = { "", "2>/dev/full" },
  pipe = { "mkfifo {folder}/pipe; exec 3<>{folder}/pipe;", "2>{folder}/pipe 3>&-" },
  file = { "", "2>{folder}/log" },
}

-- With the module of the flavour, which may not be that of busted.
local flavour = os.getenv "MOONWIRE_FLAVOUR"
local plain_lua = ("LUA_PATH=%s LUA_CPATH=%s lua5.4"):format(
  quote(package.path),
  quote((package.cpath:gsub("%./build/%w+/", flavour and "./build/" .. flavour .. "/" or "%0")))
)

-- Starts a server and returns it when it is ready. `what` is a script's text, or a table:
--   script   the script's text, or
--   path     the path of a script that exists
--   files    { [name] = text } written beside the script
--   args     further arguments, one string; default "--listen 127.0.0.1:0"
--   env      variables for it, one string of assignments
--   setup    commands of the shell before it starts, such as "ulimit -n 60;"
--   workers  how many; default: MOONWIRE_SPEC_WORKERS, or one. A spec that needs a number says why;
--            "auto": as the command chooses
--   plain    true: a program of plain Lua, which runs the app itself; `args` has no default
--   command  the same, run by this program instead of Lua
--   stderr   "closed", "full" (a full disk), or "pipe": one that nobody reads, {folder}/pipe; otherwise it is a file
-- The server has: folder, address (the first http address), host, port, listeners, startup (its lines), pid.
function server.start(what)
  local options = type(what) == "string" and { script = what } or what
  local folder = run "mktemp -d"
  for name, text in pairs(options.files or {}) do
    write_file(folder .. "/" .. name, text)
  end
  if options.script then
    write_file(folder .. "/app.lua", options.script)
  end
  local self = setmetatable({ folder = folder, startup = {}, listeners = {} }, meta)
  local args = (options.args or "--listen 127.0.0.1:0"):gsub("{folder}", folder)
  local workers = options.workers or os.getenv "MOONWIRE_SPEC_WORKERS" or 1
  if not args:find "%-%-workers" then
    args = args .. " --workers " .. workers
  end
  local preload = os.getenv "MOONWIRE_PRELOAD"
  local before, redirection = table.unpack(stderrs[options.stderr or "file"])
  local words = {
    "exec 2>/dev/null; ulimit -n $(ulimit -Hn);",
    options.setup or "",
    (before:gsub("{folder}", folder)),
    "MOONWIRE_LEAK_CHECK=1",
    options.env or "",
    preload and "LD_PRELOAD=" .. quote(preload) or "",
    options.command and plain_lua:gsub("lua5%.4$", options.command)
      or options.plain and plain_lua
      or "lua5.4 bin/moonwire",
    quote(options.path or folder .. "/app.lua"),
    (options.plain or options.command) and (options.args or "") or args,
    (redirection:gsub("{folder}", folder)),
    -- The shell stays, so that the server is reaped as soon as it ends, and tells how it ended.
    '& p=$!; echo $p; wait $p; echo "exit $?"',
  }
  self.pipe = assert(io.popen(table.concat(words, " ")))
  self.pid = assert(tonumber(self.pipe:read "l"))
  -- A spec that failed leaves its server running, and Lua would wait for it at the end.
  self.guard = setmetatable({}, {
    __gc = function()
      if not self.finished then
        self:signal "KILL"
      end
    end,
  })
  if not read_startup(self) then
    self.finished = true
    local text = table.concat(self.startup, "\n") .. "\n" .. self:log()
    self.pipe:close()
    error("the server did not start:\n" .. text, 2)
  end
  for _, listener in ipairs(self.listeners) do
    if listener.port and not self.port then
      self.host, self.port = listener.host, listener.port
      local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
      self.address = ("http://%s:%d"):format(host, self.port)
    end
  end
  return self
end

-- What it wrote to standard error so far.
function methods:log()
  return read_file(self.folder .. "/log")
end

-- Waits until the log has a line that matches the pattern; the line, or nil after `seconds` (30).
function methods:await_log(pattern, seconds)
  local deadline = socket.gettime() + (seconds or 30)
  repeat
    local found = self:log():match("[^\n]*" .. pattern .. "[^\n]*")
    if found then
      return found
    end
    socket.sleep(0.01)
  until socket.gettime() > deadline
end

function methods:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

-- Waits until a signal that was sent has been taken: of two that wait at once, the process sees one (Linux).
function methods:await_signal(number)
  repeat
    local status = read_file(("/proc/%d/status"):format(self.pid))
    local pending = tonumber(status:match "ShdPnd:%s*(%x+)", 16)
      | tonumber(status:match "SigPnd:%s*(%x+)", 16)
  until pending & (1 << (number - 1)) == 0
end

-- Resident memory in KiB (Linux).
function methods:rss()
  return tonumber(read_file(("/proc/%d/status"):format(self.pid)):match "VmRSS:%s*(%d+)")
end

-- Sends SIGTERM (or another signal), waits at most 60 seconds for the end, and returns the exit code, what it said to standard
-- output since it was ready, and its log.
function methods:finish(signal)
  local wait =
    "kill -%s %d; for i in $(seq 3000); do kill -0 %d 2>/dev/null || exit 0; sleep 0.02; done; kill -KILL %d"
  os.execute(
    "{ " .. wait:format(signal or "TERM", self.pid, self.pid, self.pid) .. "; } 2>/dev/null"
  )
  local output = self.pipe:read "a"
  self.pipe:close()
  self.finished = true
  local log = self:log()
  run("rm -rf " .. quote(self.folder))
  return tonumber(output:match "exit (%d+)%s*$"), output, log
end

-- Ends it and raises if it did not end cleanly: exit code 3 says that objects were left alive.
function methods:stop()
  local code, _, log = self:finish()
  if code ~= 0 then
    error(("the server ended with exit code %s:\n%s"):format(code, log), 2)
  end
end

-- Runs one of the peers beside this file (`node`), and returns what it printed. Raises if it failed.
function server.peer(name, ...)
  local words = { "node", quote("spec/" .. name) }
  for _, word in ipairs { ... } do
    words[#words + 1] = quote(tostring(word))
  end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local output = pipe:read "a"
  local ok = pipe:close()
  if not ok then
    error(name .. " failed:\n" .. output, 2)
  end
  return output
end

server.run = run
server.quote = quote
return server
