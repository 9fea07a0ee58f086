-- A Redis for the specs, on a unix socket in a directory of its own, and a client for it.

local server = require "spec.support.server"
local sockets = require "spec.support.sockets"

local redis = {}

local Client = {}
Client.__index = Client

local function read_reply(connection)
  local line = assert(connection:receive "*l")
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == "+" then
    return rest
  elseif kind == "-" then
    return { err = rest }
  elseif kind == ":" then
    return math.tointeger(rest)
  elseif rest == "-1" then
    return false
  elseif kind == "$" then
    local text = assert(connection:receive(math.tointeger(rest) + 2))
    return text:sub(1, -3)
  end
  assert(kind == "*", "not a reply: " .. line)
  local list = {}
  for i = 1, math.tointeger(rest) do
    list[i] = read_reply(connection)
  end
  return list
end

--- Sends a command, and returns the reply: a string, an integer, false for nil, a list, or { err = text }.
function Client:try(...)
  local parts = { "*" .. select("#", ...) .. "\r\n" }
  for _, argument in ipairs { ... } do
    argument = tostring(argument)
    parts[#parts + 1] = "$" .. #argument .. "\r\n" .. argument .. "\r\n"
  end
  assert(self.connection:send(table.concat(parts)))
  return read_reply(self.connection)
end

--- The same, and raises if the reply is an error.
function Client:call(...)
  local reply = self:try(...)
  if type(reply) == "table" and reply.err then
    error((...) .. ": " .. reply.err, 2)
  end
  return reply
end

--- Returns what the server sends next, unasked: for a client that has subscribed.
function Client:receive()
  return read_reply(self.connection)
end

function Client:close()
  self.connection:close()
end

local function connect(path)
  local connection = require "socket.unix"()
  connection:settimeout(60)
  if connection:connect(path) then
    return setmetatable({ connection = connection }, Client)
  end
  connection:close()
end

local Redis = {}
Redis.__index = Redis

--- Returns a client, whose `server` is this Redis.
function Redis:connect()
  local client = assert(connect(self.path))
  client.server = self
  return client
end

--- Ends it, without saving anything more. Its directory stays.
function Redis:kill()
  if self.stop_program then
    self.stop_program()
    self.stop_program = nil
  end
end

--- Starts it again, with what it has saved.
function Redis:start()
  local command = ("%s redis-server %s --port 0 --unixsocket %s --dir %s --save '' %s >&2"):format(
    self.before or "",
    self.file or "",
    self.path,
    self.directory,
    self.options
  )
  local _, stop = sockets.program(command)
  self.stop_program = stop
  for _ = 1, 3000 do
    local client = connect(self.path)
    local reply = client and client:try "PING"
    if client then
      client:close()
    end
    if reply == "PONG" then
      return
    end
    require("socket").sleep(0.02)
  end
  error "redis-server does not answer"
end

function Redis:remove()
  self:kill()
  server.run("rm -rf " .. self.directory)
end

--- Moves the clock of a Redis that has one of its own, to so many seconds ahead of the system's.
function Redis:set_clock(seconds)
  local file = assert(io.open(self.directory .. "/clock", "r+b"))
  file:write(string.pack("i8", seconds))
  file:close()
end

--- Starts a Redis. `options` are further ones of its command line, and `file` is a configuration. With `has_clock`, its clock can
--- be set.
function redis.start(options, file, has_clock)
  local directory = sockets.directory()
  local self = setmetatable({
    directory = directory,
    path = directory .. "/s",
    options = options or "--appendonly no",
    file = file,
  }, Redis)
  if has_clock then
    local library = directory .. "/clock.so"
    server.run(("cc -shared -fPIC -O1 -o %s spec/support/redis_clock.c"):format(library))
    server.run(("head -c 8 /dev/zero > %s/clock"):format(directory))
    self.before = ("env CLOCK_FILE=%s/clock LD_PRELOAD=%s"):format(directory, library)
  end
  self:start()
  return self
end

--- Returns the run id of the process.
function redis.run_id(client)
  return client:call("INFO", "server"):match "run_id:(%x+)"
end

return redis
