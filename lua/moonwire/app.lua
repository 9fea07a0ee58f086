--- An app: what a script defines, and what its handlers call. Starting and stopping are in
--- running.lua.
local answer = require "moonwire.answer"
local Channel = require "moonwire.channel"
local core = require "moonwire.core"
local events = require "moonwire.events"
local log = require "moonwire.log"
local Once = require "moonwire.once"
local options = require "moonwire.options"
local specs = require "moonwire.specs"
local presence = require "moonwire.presence"
local new_producer = require "moonwire.producer"
local rates = require "moonwire.rates"
local Timer = require "moonwire.timer"

---@class moonwire.Settings
---@field auth? moonwire.Verifier|moonwire.TrustedHeader identifies clients: by tokens, or by a header of a proxy
---@field broker? moonwire.Redis what orders the messages of several servers; nil: this server does
---@field publish_key? string the key for POST /publish
---@field origins? string[] other origins whose pages may connect
---@field trusted_proxies? string[] proxies whose headers state the client: "10.0.0.0/8", "192.0.2.1", "unix"
---@field proxy_headers? "x-forwarded"|"forwarded" the headers that they set; nil: either
---@field proxy_protocol? boolean connections of trusted proxies begin with a PROXY header; nil: false
---@field limits? table<string, number|string> seconds, bytes, and numbers
---@field deflate? boolean|moonwire.DeflateOptions compression of /ws; nil: true
---@field paths? table<"ws"|"sse"|"poll"|"send"|"publish"|"health"|"ready"|"client", string|false>

---@alias moonwire.EventHandler
---| fun(client: moonwire.Client, channel: moonwire.Channel, message: moonwire.Message): any, string?, string?

---@alias moonwire.PresenceInfo fun(client: moonwire.Client, channel: moonwire.Channel): any, string?, string?

---@class moonwire.PresenceOptions
---@field info? true|moonwire.PresenceInfo returns what other members receive about a user; true: nothing
---@field mode? "full"|"counts" nil: "full"
---@field linger? number seconds in which a user may reconnect without leaving; nil: 5
---@field interval? number seconds between announcements; nil: 1

---@class moonwire.ChannelLimits
---@field outbox? integer unsent bytes of one subscriber; beyond them, it is slow
---@field age? number seconds of the oldest unsent message; beyond them, a subscriber is slow
---@field members? integer users in presence
---@field channels? integer live channels of this pattern
---@field message_size? integer bytes of the data of a client's message
---@field rate? number messages of one client a second
---@field burst? integer messages of one client at once; nil: those of two seconds
---@field events? table<string, { rate: number, burst: integer? }> rates of their own, by event
---@field total_rate? number messages of all clients a second
---@field total_burst? integer messages of all clients at once; nil: those of two seconds
---@field over_rate? "refuse"|"close" what happens to a client over its rate; nil: "refuse"

---@class moonwire.ChannelOptions
---@field authorize? boolean|"token"|fun(client: moonwire.Client, channel: moonwire.Channel): any, string?, string?
---@field history? { size: integer, ttl: number?, bytes: integer?, replay: integer?, readable: boolean? }
---@field slow? "catchup"|"close"|"drop"|"latest" what happens to a subscriber that reads too slowly
---@field on_slow? fun(client: moonwire.Client, channel: moonwire.Channel)
---@field presence? boolean|moonwire.PresenceInfo|moonwire.PresenceOptions whether subscribers receive who is present
---@field limits? moonwire.ChannelLimits
---@field on? table<string, moonwire.EventHandler> what clients may send, by event; the result is the acknowledgement
---@field relay? table names of events that go from client to client: { "typing", update = { keep = true } }
---@field on_open? fun(channel: moonwire.Channel): any, string?, string? returns channel.state
---@field on_join? fun(client: moonwire.Client, channel: moonwire.Channel): any, string?, string?
---@field on_leave? fun(client: moonwire.Client, channel: moonwire.Channel)
---@field on_close? fun(channel: moonwire.Channel)
---@field linger? number seconds from the last leave to on_close

---@class moonwire.DeflateOptions
---@field min? integer bytes from which a message is compressed
---@field server_context_takeover? boolean
---@field client_context_takeover? boolean

---@class moonwire.WebsocketLimits
---@field message_size? integer bytes of one message
---@field frame_size? integer bytes of one frame
---@field outbox? integer unsent bytes
---@field rate? number messages of one client a second; 0: no limit
---@field burst? integer messages of one client at once; nil: those of two seconds
---@field ping_seconds? number
---@field pong_seconds? number

---@class moonwire.WebsocketOptions
---@field deflate? boolean|moonwire.DeflateOptions nil: as the app's
---@field protocols? string[] subprotocols, the best first
---@field origins? string[] whose pages may connect; nil: as the app's
---@field limits? moonwire.WebsocketLimits
---@field on_open? fun(socket: moonwire.Socket, request: moonwire.Request): any, string?, integer?
---@field on_message? fun(socket: moonwire.Socket, message: string, is_binary: boolean): any, string?, string?
---@field on_close? fun(socket: moonwire.Socket, code: integer, reason: string)

---@class moonwire.PublishOptions
---@field volatile? boolean without an id, and not kept
---@field key? string what it is about, for slow = "latest"
---@field final? boolean the last message of its channel
---@field binary? boolean data is a string of bytes
---@field except? moonwire.Client does not get it live
---@field wait? boolean false: does not wait for a broker; a failure is then only logged; nil: true

--- A message of app:publish_all; or { channel, event, data }.
---@class moonwire.PublishItem
---@field channel string
---@field event? string nil: "message"
---@field data? any nil is null
---@field volatile? boolean
---@field key? string
---@field final? boolean
---@field binary? boolean
---@field except? moonwire.Client

---@class moonwire.App
---@field log moonwire.Log
---@field package _authenticate function|nil
---@field package _on_connect function|nil
---@field package _on_disconnect function|nil
---@field package _not_found function|nil
local App = require "moonwire.running"

local no_options = {}

---@param settings? moonwire.Settings
---@return moonwire.App
function App._new(settings)
  settings = options.read("moonwire.app", settings, specs.settings)
  options.deflate("moonwire.app", settings.deflate)
  rates.check("moonwire.app", settings.limits)
  if settings.proxy_protocol and #(settings.trusted_proxies or {}) == 0 then
    options.raise "moonwire.app: option 'proxy_protocol' needs 'trusted_proxies'"
  end
  local identify = settings.auth and settings.auth._identify
  if identify and #(settings.trusted_proxies or {}) == 0 then
    options.raise "moonwire.app: option 'auth': moonwire.trusted_header needs 'trusted_proxies'"
  end
  return setmetatable({
    log = log,
    _settings = settings,
    _authenticate = identify,
    _broker = settings.broker,
    _where = options.caller(),
    _channels = {}, -- definitions, in order; so are the routes and mounts
    _routes = {},
    _mounts = {},
    _before = {}, -- handlers of app:before, in order
    _once = {}, -- where each name of app:once is used
    _timers = {}, -- timers and tasks that were created before the start
    _spawned = {},
    _listeners = {}, -- what it listens on, in order
    _places = {}, -- where each pattern was defined; a second definition is an error
    _by_number = {}, -- definitions of channels and routes by core's numbers
    _open = {}, -- channels between on_open and on_close, by name
    _producers = {}, -- tasks that fill channels, by name
    _seen = setmetatable({}, { __mode = "v" }), -- channels to which the script has a reference, by name
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

-- Checks what no pattern may contain; core checks the rest. Patterns of different kinds may be the
-- same.
function App:_check_pattern(call, kind, pattern)
  if pattern:find("*", 1, true) then
    local rest = kind ~= "channel" and ", and {name...} at the end the rest of the path" or ""
    options.raise(
      ("%s: '*' is not allowed in a pattern; {name} matches one segment%s"):format(call, rest)
    )
  elseif kind ~= "channel" and pattern:find "[?%s]" then
    local text = "%s: a route cannot contain '?' or white space; request.query has the query"
    options.raise(text:format(call))
  end
  local key = kind
    .. " "
    .. pattern:gsub("%b{}", function(capture)
      return capture:find("...}", 1, true) and "{...}" or "{}"
    end)
  if self._places[key] then
    options.raise(("%s: already defined at %s"):format(call, self._places[key]))
  end
  self._places[key] = options.caller()
end

-- Sets a handler of which an app has at most one.
function App:_set(call, field, fn)
  options.argument(call, 1, fn, "function")
  self:_check_defining(call)
  if self[field] then
    options.raise(("%s: the app already has such a handler"):format(call))
  end
  self[field] = fn
  return self
end

--- Identifies clients: fn(request) returns the user (a table), true for an anonymous client, or
--- false, reason, status.
---@param fn moonwire.TrustedHeader|fun(request: moonwire.Request): table|boolean|nil, string?, integer?
---@return moonwire.App
function App:authenticate(fn)
  if self._settings.auth then
    options.raise "app:authenticate: the app already identifies clients, by option 'auth'"
  elseif type(fn) == "table" and fn._identify then
    fn = fn._identify
  end
  return self:_set("app:authenticate", "_authenticate", fn)
end

--- Calls fn(client) when a client has connected and is identified. It may return false, reason,
--- status to refuse the client.
---@param fn fun(client: moonwire.Client): any, string?, integer?
---@return moonwire.App
function App:on_connect(fn)
  return self:_set("app:on_connect", "_on_connect", fn)
end

--- Calls fn(client, reason) when a client has disconnected.
---@param fn fun(client: moonwire.Client, reason: string)
---@return moonwire.App
function App:on_disconnect(fn)
  return self:_set("app:on_disconnect", "_on_disconnect", fn)
end

--- Defines a kind of channel: all channels whose names match the pattern.
---@param pattern string "room:{room}"
---@param given? moonwire.ChannelOptions
---@return moonwire.App
function App:channel(pattern, given)
  options.argument("app:channel", 1, pattern, "string")
  local call = ("app:channel %q"):format(pattern)
  self:_check_defining(call)
  self:_check_pattern(call, "channel", pattern)
  local definition = options.read(call, given, specs.channel)
  local history = definition.history
  if history and not history.size then
    options.raise(("%s: option 'history.size' is required"):format(call))
  elseif history and (history.replay or 0) > history.size then
    local text = "%s: option 'history.replay' must be at most 'history.size' (%d), got %d"
    options.raise(text:format(call, history.size, history.replay))
  elseif history and not history.replay then
    history.replay = history.size == 1 and 1 or 0
  end
  if definition.slow == "catchup" and not (history and history.size > 0) then
    options.raise(("%s: option 'slow': \"catchup\" requires a history"):format(call))
  end
  definition.events = events.read(call, definition)
  rates.read(call, definition.limits, definition.events)
  definition.presence = presence.read(call, definition)
  definition.pattern, definition.call, definition.where = pattern, call, options.caller()
  table.insert(self._channels, definition)
  return self
end

function App:_route(call, method, pattern, handler, given, is_stream)
  options.argument(call, 1, pattern, "string")
  options.argument(call, 2, handler, "function")
  call = ("%s %q"):format(call, pattern)
  given = options.read(call, given, specs.route)
  self:_check_defining(call)
  self:_check_pattern(call, method, pattern)
  local definition =
    { method = method, pattern = pattern, handler = handler, call = call, where = options.caller() }
  definition.cross_site, definition.own_origins = given.cross_site, given.origins
  definition.is_stream = is_stream
  table.insert(self._routes, definition)
  return self
end

--- Calls fn(request) before every route, raw stream, and raw WebSocket at or below a path. If it
--- returns an answer, as a route does, the route is not called.
---@param path string "/admin"; may be left out: all
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
---@overload fun(self: moonwire.App, fn: fun(request: moonwire.Request): ...): moonwire.App
function App:before(path, fn)
  local call = "app:before"
  if type(path) == "function" and fn == nil then
    path, fn = "/", path
  end
  options.argument(call, 1, path, "string")
  options.argument(call, 2, fn, "function")
  call = ("%s %q"):format(call, path)
  self:_check_defining(call)
  if path:sub(1, 1) ~= "/" then
    options.raise(("%s: a path must begin with '/'"):format(call))
  elseif path:find "[{}*?%s]" then
    local text = "%s: the path must be literal; it covers everything below it"
    options.raise(text:format(call))
  end
  local definition = { path = path:gsub("/+$", ""), handler = fn, call = call }
  definition.where = options.caller()
  table.insert(self._before, definition)
  return self
end

--- Answers requests that nothing else answers: fn(request) returns what a route returns, with status
--- 404 unless it returns another one.
---@param fn fun(request: moonwire.Request): ...
---@return moonwire.App
function App:not_found(fn)
  return self:_set("app:not_found", "_not_found", fn)
end

---@class moonwire.RouteOptions
---@field cross_site? boolean pages of other sites may send it with the user's cookies
---@field origins? boolean pages of origins that are neither the server's own nor in the option origins may not send it

--- Answers HTTP requests: fn(request) returns [status,] body [, headers]; a table is JSON, a string
--- plain text. The same for post, put, patch, delete and options.
---@param pattern string "/orders/{id}", or "/files/{path...}", which matches the rest of the path
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:get(pattern, fn, given)
  return self:_route("app:get", "GET", pattern, fn, given)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:post(pattern, fn, given)
  return self:_route("app:post", "POST", pattern, fn, given)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:put(pattern, fn, given)
  return self:_route("app:put", "PUT", pattern, fn, given)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:delete(pattern, fn, given)
  return self:_route("app:delete", "DELETE", pattern, fn, given)
end

---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:patch(pattern, fn, given)
  return self:_route("app:patch", "PATCH", pattern, fn, given)
end

--- Answers OPTIONS requests to a path, including preflights. Without it, the server answers them.
---@param pattern string
---@param fn fun(request: moonwire.Request): ...
---@param given? moonwire.RouteOptions
---@return moonwire.App
function App:options(pattern, fn, given)
  return self:_route("app:options", "OPTIONS", pattern, fn, given)
end

---@alias moonwire.StreamHandler fun(request: moonwire.Request, stream: moonwire.Stream): ...

local stream_methods = { GET = true, POST = true, PUT = true, PATCH = true, DELETE = true }

--- Serves a raw event stream. fn(request, stream) may wait. When it returns, the stream stays open
--- until it is closed. A handler that has sent nothing may instead return an answer, as a route
--- does.
---@param method "GET"|"POST"|"PUT"|"PATCH"|"DELETE" may be left out: "GET"
---@param pattern string
---@param fn moonwire.StreamHandler
---@param given? moonwire.RouteOptions
---@return moonwire.App
---@overload fun(self: moonwire.App, pattern: string, fn: moonwire.StreamHandler, given: moonwire.RouteOptions?): moonwire.App
function App:stream(method, pattern, fn, given)
  if type(pattern) ~= "string" then
    method, pattern, fn, given = "GET", method, pattern, fn
  elseif not stream_methods[method] then
    local text = 'app:stream: the method must be "GET", "POST", "PUT", "PATCH", or "DELETE", got %s'
    options.raise(text:format(options.show(method)))
  end
  local call = method == "GET" and "app:stream" or ("app:stream %q"):format(method)
  return self:_route(call, method, pattern, fn, given, true)
end

--- Serves raw WebSockets. on_open(socket, request) is called before the upgrade, and may return
--- false, reason, status. The upgrade happens when it sends its first message, or returns. Messages
--- of one socket are handled one after the other.
---@param pattern string
---@param given moonwire.WebsocketOptions
---@return moonwire.App
function App:websocket(pattern, given)
  options.argument("app:websocket", 1, pattern, "string")
  local call = ("app:websocket %q"):format(pattern)
  self:_check_defining(call)
  self:_check_pattern(call, "GET", pattern)
  local definition = options.read(call, given, specs.websocket)
  options.deflate(call, definition.deflate)
  rates.websocket(call, definition.limits)
  definition.websocket = { protocols = definition.protocols, origins = definition.origins }
  for name, value in pairs(definition.limits or {}) do
    definition.websocket[name] = value
  end
  definition.websocket.has_no_rate = definition.websocket.rate == 0
  definition.pattern, definition.call, definition.where = pattern, call, options.caller()
  table.insert(self._routes, definition)
  return self
end

---@class moonwire.StaticOptions
---@field fallback? string a file of the directory, sent where none is found, unless the name has a dot
---@field cache? integer|"immutable" seconds for which browsers keep files other than HTML; nil: 0
---@field headers? table<string, string> sent with every file

--- Serves the files of a directory, which is relative to the directory of the calling script.
---@param path string "/" or "/assets"
---@param directory string
---@param given? moonwire.StaticOptions
---@return moonwire.App
function App:static(path, directory, given)
  options.argument("app:static", 1, path, "string")
  options.argument("app:static", 2, directory, "string")
  local call = ("app:static %q"):format(path)
  given = options.read(call, given, specs.static)
  self:_check_defining(call)
  local where, file = options.caller()
  local base = file and file:match "^(.*/)[^/]*$" or ""
  if directory:sub(1, 1) ~= "/" then
    directory = base .. directory
  end
  local definition = { path = path, directory = directory, call = call, where = where }
  definition.fallback, definition.immutable = given.fallback, given.cache == "immutable"
  definition.cache = given.cache ~= "immutable" and given.cache or nil
  definition.fields = options.fields(call, given.headers)
  table.insert(self._mounts, definition)
  return self
end

-- ---- Publishing -----------------------------------------------------------------------------------------------------------

-- A lost message must be visible even if the script does not check the result: one line a second
-- for each place.
local function warn(call, message)
  local where = options.caller()
  core.log_error("warning", where, ("%s: %s: %s"):format(where, call, message))
end

-- A producer whose channel has ended does not end it again.
function App:_note_final(name)
  if self._producers[name] then
    self._producers[name].has_final = true
  end
end

function App:_publish(call, name, event, data, given)
  local server = self:_running(call, "; use app:after(0, …)")
  options.argument(call, 1, name, "string")
  options.event(call, event)
  given = given and options.read(call, given, specs.publish) or no_options
  options.content(call, data, given.binary)
  local id, message, code = server:publish(
    name,
    event,
    data,
    given.binary,
    given.volatile,
    given.except,
    given.key,
    given.final,
    given.wait == false
  )
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  elseif not id and code ~= "closed" then
    local is_lost = code ~= "unreplicated" and not message:find("may have published it", 1, true)
    warn(call, is_lost and "not published: " .. message or message)
  elseif id and given.final then
    self:_note_final(name)
  end
  return id and given.wait == false or id, message, code
end

--- Publishes to a channel.
---@param name string
---@param event string|nil nil: "message"
---@param data any nil is null
---@param given? moonwire.PublishOptions
---@return string|true|nil id true if it is volatile
---@return string|nil message
---@return string|nil code "too_large", "unreplicated", or "unavailable"
function App:publish(name, event, data, given)
  return self:_publish("app:publish", name, event, data, given)
end

-- A larger batch would delay other messages for too long.
local BATCH_MAX = 100

local function read_item(call, i, item)
  local where = ("%s: item %d"):format(call, i)
  if type(item) ~= "table" then
    options.raise(("%s must be a table, got %s"):format(where, type(item)))
  elseif item[1] ~= nil then
    local named = { channel = item[1], event = item[2], data = item[3] }
    for key, value in pairs(item) do
      if key ~= 1 and key ~= 2 and key ~= 3 then
        named[key] = value
      end
    end
    item = named
  end
  item = options.read(where, item, specs.publish_item)
  if not item.channel then
    options.raise(("%s: option 'channel' is required"):format(where))
  end
  options.content(where, item.data, item.binary)
  return item
end

--- Publishes several messages in their order, and waits for all of them together.
---@param items moonwire.PublishItem[] at most 100
---@param given? { wait: boolean? }
---@return { id: string?, error: { code: string, reason: string }? }[]|nil results in the order of the items
---@return integer|string errors how many failed; or a message
---@return string|nil code "closed" or "timeout": the handler was cancelled while it waited
function App:publish_all(items, given)
  local call = "app:publish_all"
  local server = self:_running(call, "; use app:after(0, …)")
  options.argument(call, 1, items, "table")
  given = options.read(call, given, specs.publish_all)
  if #items > BATCH_MAX then
    options.raise(("%s: %d items, at most %d are allowed"):format(call, #items, BATCH_MAX))
  end
  local read = {}
  for i, item in ipairs(items) do
    read[i] = read_item(call, i, item)
  end
  local results, errors, code = server:publish_all(read, given.wait == false)
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, errors))
  elseif results and errors > 0 then
    warn(call, ("%d of %d messages failed"):format(errors, #read))
  end
  for i, item in ipairs(read) do
    if results and item.final and not results[i].error then
      self:_note_final(item.channel)
    end
  end
  return results, errors, code
end

-- Returns the object of a channel. A name has one object for as long as the script has a reference
-- to it.
function App:_channel(name)
  local channel = self._open[name] or self._seen[name]
  if not channel then
    local _, params = self._server:match(name)
    channel = Channel._new(self, name, params)
    self._seen[name] = channel
  end
  return channel
end

---@class moonwire.ProduceOptions
---@field idle_seconds? number cancels it when nobody has listened for so long; nil: it goes on without listeners

-- `place` is the argument that the handler is.
function App:_produce(call, place, name, fn, given)
  local server = self:_running(call)
  options.argument(call, place, fn, "function")
  given = options.read(call, given, specs.produce)
  local kind, problem = server:match(name)
  if not kind then
    options.raise(("%s: %s"):format(call, problem))
  end
  return new_producer(self, self:_channel(name), fn, given.idle_seconds)
end

--- Runs fn(channel) as a task that fills a channel, with or without listeners. A channel has at most
--- one such task. If it fails, or is cancelled, the listeners receive a final message.
---@param name string
---@param fn fun(channel: moonwire.Channel): any, string?, string?
---@param given? moonwire.ProduceOptions
---@return true|nil
---@return string|nil message
---@return string|nil code "conflict": the channel has a producer; or "unavailable"
function App:produce(name, fn, given)
  options.argument("app:produce", 1, name, "string")
  return self:_produce("app:produce", 2, name, fn, given)
end

--- Returns the channel if it is live, that is, if it has subscribers, history, or a producer. With a
--- broker, a channel may be live on another server: returns one for every name that a pattern matches.
---@param name string
---@return moonwire.Channel|nil
function App:find(name)
  local server = self:_running "app:find"
  options.argument("app:find", 1, name, "string")
  local _, exists = server:count(name)
  local may_be = exists or self._producers[name] or server:has_broker() and server:match(name)
  return may_be and self:_channel(name) or nil
end

--- Returns the connected client with that id, or nil.
---@param id string
---@return moonwire.Client|nil
function App:client(id)
  local server = self:_running "app:client"
  options.argument("app:client", 1, id, "string")
  return server:client(id)
end

--- Iterates over the connected clients: for client in app:clients { user_id = "ada" } do … end
---@param given? { user_id: string|number? } only those of that user
---@return fun(): moonwire.Client|nil
function App:clients(given)
  local server = self:_running "app:clients"
  local user_id = options.read("app:clients", given, specs.clients).user_id
  local wanted = user_id ~= nil and core.user_id(user_id)
  local clients, i = server:clients(), 0
  return function()
    repeat
      i = i + 1
      local client = clients[i]
    until not client or user_id == nil or client.user_id == wanted
    return clients[i]
  end
end

--- Closes all clients and raw WebSockets of a user, with code 4403. Event streams end, and polls are
--- answered with 403. With a broker, this also closes those on the other servers. The user may connect
--- again unless the app refuses that.
---@param user_id string|number
---@param reason? string for the clients
---@return integer count how many are closed on this server
function App:close_user(user_id, reason)
  local server = self:_running "app:close_user"
  local wanted = options.user_id("app:close_user", user_id)
  local fault = reason ~= nil and answer.reason_fault(reason, 123)
  if fault then
    options.raise(("app:close_user: argument 2: %s"):format(fault))
  end
  return server:close_user(wanted, reason)
end

--- Sends a message to all clients of a user, on all servers. See client:send. It does not wait for a
--- broker.
---@param user_id string|number
---@param event string|nil nil: "message"
---@param data any nil is null
---@param given? { channel: string?, binary: boolean? }
---@return integer|nil count to how many clients of this server it is sent
---@return string|nil message
---@return string|nil code "too_large", "unavailable", or "closed": it is sent to no client
function App:send_user(user_id, event, data, given)
  local call = "app:send_user"
  local server = self:_running(call, "; use app:after(0, …)")
  local wanted = options.user_id(call, user_id)
  options.event(call, event)
  given = options.read(call, given, specs.send)
  options.content(call, data, given.binary)
  local count, message, code = server:send_user(wanted, given.channel, event, data, given.binary)
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return count, message, code
end

--- Makes a text that identifies a user once, as ?ticket= in the URL of an EventSource or a
--- WebSocket.
---@param user table as authenticate returns it
---@param seconds? number how long it is valid, at most 3600; nil: 30
---@return string|nil ticket
---@return string|nil message
---@return string|nil code "unavailable" (100,000 tickets are unused) or "too_large"
function App:ticket(user, seconds)
  local server = self:_running "app:ticket"
  options.argument("app:ticket", 1, user, "table")
  seconds = seconds == nil and 30 or seconds
  if type(seconds) ~= "number" or not (seconds >= 0.001 and seconds <= 3600) then
    local text = "app:ticket: argument 2 must be a number of seconds, at most 3600, got %s"
    options.raise(text:format(options.show(seconds)))
  end
  local ticket, message, code = server:ticket(core.json.encode(user), seconds)
  if code == "misuse" then
    options.raise(("app:ticket: %s"):format(message))
  end
  return ticket, message, code
end

--- Returns statistics of the server (docs/operations/stats.md).
---@return table<string, integer|table<string, integer>>
function App:stats()
  return self:_running("app:stats"):stats()
end

-- ---- Time -----------------------------------------------------------------------------------------------------------------

-- Starts it, now or when the app starts.
function App:_add_timer(call, timer)
  if self._stopped then
    options.raise(("%s: the app has stopped"):format(call))
  elseif self._server then
    timer:_start(self._server)
  else
    table.insert(self._timers, timer)
  end
  return timer
end

function App:_timer(call, delay, again, fn)
  if type(delay) ~= "number" or not (delay >= 0 and delay <= 1e9) or (again and delay < 0.001) then
    local most = again and "number of seconds, at least 0.001" or "non-negative number of seconds"
    options.raise(("%s: argument 1 must be a %s, got %s"):format(call, most, options.show(delay)))
  end
  options.argument(call, 2, fn, "function")
  return self:_add_timer(
    call,
    Timer._new(delay, again and delay or 0, function()
      return options.call(fn)
    end, (options.definition(fn)))
  )
end

--- Calls fn repeatedly. A tick is skipped if the previous call has not returned.
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

--- Calls fn repeatedly, on one server of a cluster at a time. Without a broker, it is app:every.
---@param name string what the servers of the cluster call it
---@param seconds number from the beginning of a call to that of the next one
---@param fn fun()
---@return moonwire.Timer
function App:once(name, seconds, fn)
  options.argument("app:once", 1, name, "string")
  if #name == 0 or #name > 255 or not utf8.len(name) or name:find "%c" then
    options.raise "app:once: a name must be 1 to 255 bytes of UTF-8 without control characters"
  end
  local call = ("app:once %q"):format(name)
  if type(seconds) ~= "number" or not (seconds >= 0.1 and seconds <= 1e9) then
    local text = "%s: argument 2 must be a number of seconds, at least 0.1, got %s"
    options.raise(text:format(call, options.show(seconds)))
  end
  options.argument(call, 3, fn, "function")
  if self._once[name] then
    options.raise(("%s: already used at %s"):format(call, self._once[name]))
  end
  local timer = Once._new(name, seconds, fn, (options.definition(fn)), function()
    self._once[name] = nil
  end)
  self:_add_timer(call, timer)
  self._once[name] = options.caller()
  return timer
end

--- Runs fn(...) as a separate task, soon.
---@param fn function
---@return true|nil
---@return string|nil message
---@return string|nil code
function App:spawn(fn, ...)
  options.argument("app:spawn", 1, fn, "function")
  if self._server then
    return self._server:spawn(options.call, fn, ...)
  elseif self._stopped then
    return nil, "the app has stopped", "unavailable"
  end
  table.insert(self._spawned, table.pack(options.call, fn, ...))
  return true
end

options.guard(App, "app")

return App
