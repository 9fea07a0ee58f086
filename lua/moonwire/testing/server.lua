--- The server under test: an app that runs in this process, without ports, on a clock that the test
--- moves.
local Client = require "moonwire.testing.client"
local Connection = require "moonwire.testing.connection"
local Exchange = require "moonwire.testing.exchange"
local Inbox = require "moonwire.testing.inbox"
local Socket = require "moonwire.testing.socket"
local Stream = require "moonwire.testing.stream"
local json = require("moonwire.core").json
local options = require "moonwire.options"
local text = require "moonwire.testing.text"
local token = require "moonwire.token"

-- Between the server and its clients, while time stands still.
local ROUNDS_MAX = 10000
-- Seconds that a stop may take on the clock of the test.
local STOP_MAX = 3600

local request_spec = {
  headers = "table",
  cookies = "table",
  form = "table",
  query = "table",
  token = "string",
  body = "body",
  within = "seconds",
}

local Server = {}
Server.__index = Server
Server.__name = "moonwire.testing.Server"

-- Those that were started and not stopped.
local running = {}

-- Tests never connect to Redis. If the app has a broker, calls that would wait for it wait here, too.
local function start(app, has_broker)
  app._broker = nil
  return app:_start(function(core)
    core:keep_faults()
    core:advance(0) -- from here on time stands still
    if has_broker then
      core:test_broker()
    end
  end)
end

---@param app moonwire.App
---@param unload? fun() called when it has stopped
---@param has_broker? boolean nil: if the app has one
function Server._start(app, unload, has_broker)
  if has_broker == nil then
    has_broker = app._broker ~= nil
  end
  local ok, core = pcall(start, app, has_broker)
  if not ok then
    if unload then
      unload()
    end
    error(core, 0)
  end
  local self =
    setmetatable({ app = app, _core = core, _peers = {}, _names = {}, _unload = unload }, Server)
  self._has_broker = has_broker
  running[self] = true
  self:_settle()
  return self
end

--- A copy: a server that stops is taken off the list.
function Server._running()
  local list = {}
  for server in pairs(running) do
    list[server] = true
  end
  return list
end

-- ---- What clients need ----------------------------------------------------------------------------------------------------

function Server:_next_name(kind)
  self._names[kind] = (self._names[kind] or 0) + 1
  return ("%s %d"):format(kind, self._names[kind])
end

--- The path of an endpoint, which the app may have moved.
function Server:_path(name)
  local paths = self.app._settings.paths or {}
  if paths[name] == false then
    options.raise(("the app has turned the endpoint %q off"):format(name))
  end
  return paths[name] or "/" .. name
end

function Server:_connect()
  self:_check_running()
  local connection, message = Connection.open(self._core)
  if not connection then
    options.raise(("cannot connect: %s"):format(message))
  end
  return connection
end

--- Has something read what comes to it, until it is closed.
function Server:_add(peer)
  table.insert(self._peers, peer)
end

function Server:_check_running()
  if self.stopped then
    options.raise "the server has stopped"
  end
end

-- ---- Turning --------------------------------------------------------------------------------------------------------------

local function pump(self)
  local moved, closed = false, false
  for i = 1, #self._peers do
    local peer = self._peers[i]
    moved = peer:pump() or moved
    closed = closed or peer.closed
  end
  if closed then
    local open = {}
    for _, peer in ipairs(self._peers) do
      if not peer.closed then
        open[#open + 1] = peer
      end
    end
    self._peers = open
  end
  return moved
end

-- Until neither the server nor a client has anything to do at this moment. Returns whether the
-- server is still there.
local function turn(self)
  if self.stopped then
    return false
  end
  for _ = 1, ROUNDS_MAX do
    local state = self._core:settle()
    self.stopped = state == "stopped"
    if state == "busy" then
      options.raise "the app does not come to rest: each handler starts another one, and time stands still"
    end
    if not pump(self) or self.stopped then
      return not self.stopped
    end
  end
  options.raise "the server and its clients do not come to rest: each answer brings another request"
end

local function describe_faults(faults, lost)
  if lost > 0 then
    faults[#faults + 1] = ("and %d more"):format(lost)
  end
  return table.concat(faults, "\n")
end

-- Raises if a handler failed.
local function check_faults(self)
  local faults, lost = self._core:take_faults()
  if not faults then
    return
  elseif self._expected then
    table.move(faults, 1, #faults, #self._expected + 1, self._expected)
  else
    options.raise("a handler failed: " .. describe_faults(faults, lost))
  end
end

function Server:_settle()
  turn(self)
  check_faults(self)
end

local function advance(self, seconds, done)
  local left = math.floor(seconds * 1000 + 0.5)
  local alive = turn(self)
  while alive and left > 0 and not (done and done()) do
    local due = math.floor((self._core:timeout() or 1) * 1000 + 0.5)
    local step = math.min(math.max(due, 1), left)
    self._core:advance(step / 1000)
    left = left - step
    alive = turn(self)
  end
end

--- Settles; if it is not done then, moves time on until it is, by at most `within` seconds.
function Server:_await(within, done)
  turn(self)
  if within and not done() then
    advance(self, within, done)
  end
  check_faults(self)
end

--- Moves time. Everything that becomes due happens at its moment and in order. Clients read and
--- answer in the meantime.
---@param seconds number
function Server:advance(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 1e9) then
    options.raise(
      ("server:advance: argument 1 must be a non-negative number of seconds, got %s"):format(
        options.show(seconds)
      )
    )
  end
  self:_check_running()
  advance(self, seconds)
  check_faults(self)
end

--- The server's time, in seconds since 1970. It begins with the system's time, and then only
--- server:advance moves it.
---@return number
function Server:time()
  self:_check_running()
  return self._core:time()
end

--- Signs claims as the app's `auth` accepts them, at the server's time, and returns the token. It
--- expires in an hour unless the claims or the options state something else.
---@param claims table
---@param given? moonwire.SignOptions
---@return string
function Server:token(claims, given)
  self:_check_running()
  local auth = self.app._settings.auth
  options.argument("server:token", 1, claims, "table")
  if not (auth and auth._core) then
    options.raise "server:token: the app has no auth = moonwire.token { … }"
  end
  return token._sign_for("server:token", auth, claims, given, math.floor(self._core:time()))
end

-- ---- Clients --------------------------------------------------------------------------------------------------------------

local function define(name, what, open)
  Server["try_" .. name] = function(self, ...)
    self:_check_running()
    return open(self, "server:try_" .. name, ...)
  end
  Server[name] = function(self, ...)
    self:_check_running()
    local result, reason, code, status = open(self, "server:" .. name, ...)
    if not result then
      local shown = status and ("%s, status %d"):format(code, status) or code
      local message = "server:%s: expected %s to be accepted, and it was refused: %s (%s)"
      options.raise(message:format(name, what, reason, shown))
    end
    return result
  end
end

define("connect", "the client", Client._connect)
define("stream", "the stream", Stream._open)
define("websocket", "the WebSocket", Socket._open)

local function start_request(self, call, method, path, given)
  options.argument(call, 1, method, "string")
  options.argument(call, 2, path, "string")
  given = text.add_cookies(options.read(call, given, request_spec))
  local own, body = {}, given.body
  if given.form and body then
    options.raise(("%s: options 'body' and 'form' exclude each other"):format(call))
  elseif given.form then
    own["content-type"], body = "application/x-www-form-urlencoded", text.form(given.form)
  elseif type(body) == "table" then
    own["content-type"], body = "application/json", json.encode(body)
  end
  local headers = text.headers(own, given.headers, given.token)
  local target = text.target(path, given.query)
  return Exchange.start(self, method:upper(), target, headers, body), given.within
end

local Response = {}
Response.__index = Response

--- The body decoded.
function Response:json()
  local value, message = json.decode(self.body)
  if message then
    options.raise(("expected a body of JSON: %s, got %s"):format(message, text.show(self.body)))
  end
  return value
end

local function finish_request(method, path, exchange)
  local response = exchange.response
  if not response.complete then
    local got = exchange:describe()
    exchange:close()
    Inbox.fail(("%s %s"):format(method, path), "expected a response, got %s", got)
  end
  return setmetatable({
    status = response.status,
    headers = response.headers,
    cookies = response.cookies,
    body = response.body,
  }, Response)
end

--- Sends a request and returns the response: { status =, headers =, cookies =, body = }, with a
--- method json().
---@param method string
---@param path string
---@param given? table
function Server:request(method, path, given)
  local exchange, within = start_request(self, "server:request", method, path, given)
  self:_await(within, function()
    return exchange.closed
  end)
  return finish_request(method, path, exchange)
end

--- Sends a request, and does not wait for the response, which the result's functions give:
--- server:request in two steps.
---@return moonwire.testing.Pending
function Server:start_request(method, path, given)
  local exchange = start_request(self, "server:start_request", method, path, given)
  self:_settle()
  return {
    done = function()
      self:_settle()
      return exchange.response.complete
    end,
    result = function()
      self:_settle()
      return finish_request(method, path, exchange)
    end,
  }
end

-- With a broker, only a handler can wait for the outcome.
local function publish_in_task(self, ...)
  local results
  self.app:spawn(function(...)
    results = table.pack(pcall(self.app.publish, self.app, ...))
  end, ...)
  self:_settle()
  if not results[1] then
    options.raise(results[2]:match "app:publish: .*" or results[2])
  end
  return table.unpack(results, 2, results.n)
end

--- Publishes as app:publish does, and raises if that fails.
---@return string|true id
function Server:publish(channel, event, data, given)
  self:_check_running()
  local publish = self._has_broker and publish_in_task or self.app.publish
  local id, message, code =
    publish(self._has_broker and self or self.app, channel, event, data, given)
  if not id then
    local text_of = "server:publish: expected to publish to %s, and it failed: %s (%s)"
    options.raise(text_of:format(channel, message, code))
  end
  self:_settle()
  return id
end

-- ---- Errors of handlers ---------------------------------------------------------------------------------------------------

--- Calls fn, in which handlers must fail: at least one, and each with an error that contains the
--- text. Returns the first.
---@param expected string
---@param fn function
---@return string
function Server:expect_error(expected, fn)
  options.argument("server:expect_error", 1, expected, "string")
  options.argument("server:expect_error", 2, fn, "function")
  self._expected = {}
  local ok, raised = pcall(function()
    fn()
    self:_settle()
  end)
  local faults = self._expected
  self._expected = nil
  if not ok then
    error(raised, 0)
  elseif #faults == 0 then
    options.raise(("expected a handler to fail with %q, and none failed"):format(expected))
  end
  for _, fault in ipairs(faults) do
    if not fault:find(expected, 1, true) then
      local message = "expected a handler to fail with %q, and one failed with: %s"
      options.raise(message:format(expected, fault))
    end
  end
  return faults[1]
end

-- ---- The end --------------------------------------------------------------------------------------------------------------

local function stop(self)
  self.stopping = true
  self.app:stop()
  advance(self, STOP_MAX, function()
    return self.stopped
  end)
  while pump(self) do -- clients read what came last
  end
  for _, peer in ipairs(self._peers) do
    peer:drop()
  end
  self._peers = {}
  if not self.stopped then
    options.raise(("the app did not stop within %d s"):format(STOP_MAX))
  end
  check_faults(self)
end

--- Stops the app as a signal does, and waits for its end on the clock of the test. Clients see it.
--- Raises if a handler failed. Does nothing the second time.
function Server:stop()
  if not running[self] then
    return
  end
  running[self] = nil
  local ok, message = pcall(stop, self)
  self.app:_end()
  if self._unload then
    self._unload()
  end
  if not ok then
    error(message, 0)
  end
end

options.guard(Server, "server")

return Server
