--- An app: what a script defines, and what its handlers do with it. Its start and its end are in running.lua.
local Channel = require "moonwire.channel"
local log = require "moonwire.log"
local options = require "moonwire.options"
local Timer = require "moonwire.timer"

---@class moonwire.Settings
---@field publish_key? string what POST /publish asks for
---@field origins? string[] further origins whose pages may connect
---@field limits? table<string, number> seconds and bytes
---@field paths? { sse: string|false?, publish: string|false?, health: string|false? }

---@class moonwire.ChannelOptions
---@field authorize? boolean|fun(client: moonwire.Client, channel: moonwire.Channel): any, string?, string?
---@field history? { size: integer, ttl: number?, replay: integer? }
---@field on_open? fun(channel: moonwire.Channel): any, string?, string? returns channel.state
---@field on_join? fun(client: moonwire.Client, channel: moonwire.Channel): any, string?, string?
---@field on_leave? fun(client: moonwire.Client, channel: moonwire.Channel)
---@field on_close? fun(channel: moonwire.Channel)
---@field linger? number seconds from the last leave to on_close

---@class moonwire.App
---@field log moonwire.Log
---@field package _authenticate function|nil
local App = require "moonwire.running"

local settings_spec = {
  publish_key = "text",
  origins = "strings",
  limits = {
    target = "amount",
    head = "amount",
    fields = "amount",
    body = "amount",
    size = "amount",
    outbox = "amount",
    queue = "amount",
    connections = "amount",
    channels = "amount",
    client_channels = "amount",
    waiting = "amount",
    head_seconds = "duration",
    body_seconds = "duration",
    idle_seconds = "duration",
    answer_seconds = "duration",
    heartbeat_seconds = "duration",
    progress_seconds = "duration",
    drain_seconds = "seconds",
  },
  paths = { sse = "path or false", publish = "path or false", health = "path or false" },
}

local channel_spec = {
  authorize = "function or boolean",
  history = { size = "count", ttl = "seconds", replay = "count" },
  on_open = "function",
  on_join = "function",
  on_leave = "function",
  on_close = "function",
  linger = "seconds",
}

local publish_spec = { volatile = "boolean" }

---@param settings? moonwire.Settings
---@return moonwire.App
function App._new(settings)
  return setmetatable({
    log = log,
    _settings = options.read("moonwire.app", settings, settings_spec),
    _where = options.caller(),
    _channels = {}, -- definitions, in order, likewise the next two
    _routes = {},
    _mounts = {},
    _timers = {}, -- what was asked for before the start, likewise the next
    _spawned = {},
    _by_number = {}, -- definitions of channels and routes by core's numbers
    _open = {}, -- channels between on_open and on_close, by name
    _seen = setmetatable({}, { __mode = "v" }), -- all that somebody refers to, by name
  }, App)
end

function App._is(value)
  return getmetatable(value) == App
end

-- ---- Definitions ----------------------------------------------------------------------------------------------------------

function App:_check_defining(call)
  if self._server or self._stopped then
    options.raise(("%s: the app is running; define everything before it starts"):format(call))
  end
end

--- Says who a client is: fn(request) returns the user (a table), true for an anonymous one, or false, reason, status.
---@param fn fun(request: moonwire.Request): table|boolean|nil, string?, integer?
---@return moonwire.App
function App:authenticate(fn)
  options.argument("app:authenticate", 1, fn, "function")
  self:_check_defining "app:authenticate"
  if self._authenticate then
    options.raise "app:authenticate: the app has one already"
  end
  self._authenticate = fn
  return self
end

--- Defines a kind of channel: all channels whose names match the pattern.
---@param pattern string "room:{room}"
---@param given? moonwire.ChannelOptions
---@return moonwire.App
function App:channel(pattern, given)
  options.argument("app:channel", 1, pattern, "string")
  local call = ("app:channel %q"):format(pattern)
  self:_check_defining(call)
  local definition = options.read(call, given, channel_spec)
  local history = definition.history
  if history and not history.size then
    options.raise(("%s: option 'history' needs a 'size'"):format(call))
  elseif history and not history.replay then
    history.replay = history.size == 1 and 1 or 0
  end
  definition.pattern, definition.call, definition.where = pattern, call, options.caller()
  table.insert(self._channels, definition)
  return self
end

function App:_route(call, method, pattern, handler)
  options.argument(call, 1, pattern, "string")
  options.argument(call, 2, handler, "function")
  call = ("%s %q"):format(call, pattern)
  self:_check_defining(call)
  local definition =
    { method = method, pattern = pattern, handler = handler, call = call, where = options.caller() }
  table.insert(self._routes, definition)
  return self
end

--- Answers HTTP requests: fn(request) returns [status,] body [, headers]; a table is JSON, a string plain
--- text. The same for post, put and delete.
---@param pattern string "/orders/{id}"
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
function App:get(pattern, fn)
  return self:_route("app:get", "GET", pattern, fn)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
function App:post(pattern, fn)
  return self:_route("app:post", "POST", pattern, fn)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
function App:put(pattern, fn)
  return self:_route("app:put", "PUT", pattern, fn)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
function App:delete(pattern, fn)
  return self:_route("app:delete", "DELETE", pattern, fn)
end

--- Serves an event stream of the script's own. fn(request, stream) may wait; when it returns, the stream
--- stays open until somebody closes it. A handler that has sent nothing may return an answer as a route
--- does, and there is no stream then.
---@param pattern string
---@param fn fun(request: moonwire.Request, stream: moonwire.Stream): ...
---@return moonwire.App
function App:stream(pattern, fn)
  return self:_route("app:stream", nil, pattern, fn)
end

--- Serves the files of a directory, which is relative to the folder of the script that calls.
---@param path string "/" or "/assets"
---@param directory string
---@return moonwire.App
function App:static(path, directory)
  options.argument("app:static", 1, path, "string")
  options.argument("app:static", 2, directory, "string")
  local call = ("app:static %q"):format(path)
  self:_check_defining(call)
  local where, file = options.caller()
  local folder = file and file:match "^(.*/)[^/]*$" or ""
  if directory:sub(1, 1) ~= "/" then
    directory = folder .. directory
  end
  table.insert(self._mounts, { path = path, directory = directory, call = call, where = where })
  return self
end

-- ---- Publishing -----------------------------------------------------------------------------------------------------------

function App:_publish(call, name, event, data, given)
  local server = self:_running(call)
  options.argument(call, 1, name, "string")
  if event ~= nil and type(event) ~= "string" then
    options.raise(("%s: the event must be a string, got %s"):format(call, type(event)))
  end
  local volatile = given ~= nil and options.read(call, given, publish_spec).volatile
  local id, message, code = server:publish(name, event, data, volatile)
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return id, message, code
end

--- Publishes to a channel.
---@param name string
---@param event string|nil nil: "message"
---@param data any nil is null
---@param given? { volatile: boolean? } volatile: without an id, and not kept
---@return string|true|nil id true if it is volatile
---@return string|nil message
---@return string|nil code "too_large" or "unavailable"
function App:publish(name, event, data, given)
  return self:_publish("app:publish", name, event, data, given)
end

-- The object of a channel: one for each name as long as somebody refers to it.
function App:_channel(name)
  local channel = self._open[name] or self._seen[name]
  if not channel then
    local _, params = self._server:match(name)
    channel = Channel._new(self, name, params)
    self._seen[name] = channel
  end
  return channel
end

--- The channel if it is there, that is, if it has subscribers or history.
---@param name string
---@return moonwire.Channel|nil
function App:find(name)
  local server = self:_running "app:find"
  options.argument("app:find", 1, name, "string")
  local _, exists = server:count(name)
  return exists and self:_channel(name) or nil
end

-- ---- Time -----------------------------------------------------------------------------------------------------------------

function App:_timer(call, delay, again, fn)
  if type(delay) ~= "number" or not (delay >= 0 and delay <= 1e9) or (again and delay < 0.001) then
    options.raise(
      ("%s: argument 1 must be a number of seconds, got %s"):format(call, tostring(delay))
    )
  end
  options.argument(call, 2, fn, "function")
  if self._stopped then
    options.raise(("%s: the app has stopped"):format(call))
  end
  local timer = Timer._new(delay, again and delay or 0, fn)
  if self._server then
    timer:_start(self._server)
  else
    table.insert(self._timers, timer)
  end
  return timer
end

--- Calls fn every so many seconds. A tick that finds the last one still running is skipped.
---@param seconds number
---@param fn fun()
---@return moonwire.Timer
function App:every(seconds, fn)
  return self:_timer("app:every", seconds, true, fn)
end

--- Calls fn once.
---@param seconds number
---@param fn fun()
---@return moonwire.Timer
function App:after(seconds, fn)
  return self:_timer("app:after", seconds, false, fn)
end

--- Runs fn(...) as a task of its own, soon.
---@param fn function
---@return true|nil
---@return string|nil message
---@return string|nil code
function App:spawn(fn, ...)
  options.argument("app:spawn", 1, fn, "function")
  if self._server then
    return self._server:spawn(fn, ...)
  elseif self._stopped then
    return nil, "the app has stopped", "unavailable"
  end
  table.insert(self._spawned, table.pack(fn, ...))
  return true
end

return App
