--- Starts, runs, and stops an app in this process.
local core = require "moonwire.core"
local new_handlers = require "moonwire.handlers"
local options = require "moonwire.options"
local startup = require "moonwire.startup"

---@class moonwire.App
---@field by_command boolean set by the command, which starts the app that the script returns
local App = { by_command = false }
App.__index = App
App.__name = "moonwire.app"

local listen_spec =
  { private = "boolean", unix_mode = "mode", proxy_protocol = "boolean", workers = "workers" }

local run_spec = {
  listen = "addresses",
  private = "addresses",
  unix_mode = "mode",
  workers = "workers",
}

-- The numbers of core (enum mw_proxy_headers).
local proxy_headers = { ["x-forwarded"] = 1, forwarded = 2 }

local function check(definition, number, message)
  if not number then
    options.raise(("%s: %s"):format(definition.call, message), definition.where)
  end
  return number
end

-- Fields of a definition, and their names in handlers.lua: the log states where handlers are
-- defined.
local hooks = {
  authorize = "authorize",
  on_open = "open",
  on_join = "join",
  on_leave = "leave",
  on_close = "close",
  on_slow = "slow",
}
local route_hooks =
  { on_open = "websocket", on_message = "socket_message", on_close = "socket_close" }

local function place(server, number, name, event, handler)
  if type(handler) == "function" then
    server:place(number, name, event, (options.definition(handler)))
  end
end

local function place_all(server, number, definition, names)
  for field, name in pairs(names) do
    place(server, number, name, "", definition[field])
  end
end

local function place_channel(server, number, definition)
  place_all(server, number, definition, hooks)
  place(server, number, "presence", "", definition.presence and definition.presence.info)
  for event, handler in pairs(definition.on or {}) do
    place(server, number, "message", event, handler)
  end
end

local function place_route(server, number, definition)
  if definition.websocket then
    place_all(server, number, definition, route_hooks)
  else
    place(server, number, definition.is_stream and "stream" or "http", "", definition.handler)
  end
end

function App:_define_channel(server, definition)
  local auth = self._settings.auth
  if (self._authenticate or auth) and definition.authorize == nil then
    local message = "%s: option 'authorize' is required with %s; "
      .. "set it to a function, or to true to admit every user"
    local cause = auth and "option 'auth' of the app" or "app:authenticate"
    options.raise(message:format(definition.call, cause), definition.where)
  elseif definition.authorize == "token" and not (auth and auth._core) then
    local message =
      "%s: option 'authorize' = \"token\" requires moonwire.app { auth = moonwire.token { … } }"
    options.raise(message:format(definition.call), definition.where)
  end
  local history, limits = definition.history or {}, definition.limits or {}
  local presence = definition.presence or {}
  -- A kind with any hook is also opened and closed: channel.state lives in between.
  local has_hooks = definition.on_open
    or definition.on_join
    or definition.on_leave
    or definition.on_close
    or definition.on_slow
    or next(definition.on or {})
    or presence.info
  local number = check(
    definition,
    server:channel(definition.pattern, {
      authorize = definition.authorize == false or type(definition.authorize) == "function",
      token_channels = definition.authorize == "token",
      open = has_hooks ~= nil,
      join = definition.on_join ~= nil,
      leave = definition.on_leave ~= nil,
      close = has_hooks ~= nil,
      events = definition.events,
      size = history.size,
      ttl = history.ttl,
      bytes = history.bytes,
      replay = history.replay,
      readable = history.readable,
      on_slow = definition.on_slow ~= nil,
      slow = definition.slow,
      outbox = limits.outbox,
      age = limits.age,
      linger = definition.linger,
      presence = presence.mode,
      info = presence.info ~= nil,
      presence_linger = presence.linger,
      presence_interval = presence.interval,
      members = limits.members,
      channels = limits.channels,
      message_size = limits.message_size,
      rate = limits.rate,
      burst = limits.burst,
      total_rate = limits.total_rate,
      total_burst = limits.total_burst,
      rate_closes = limits.over_rate == "close",
    })
  )
  self._by_number[number] = definition
  place_channel(server, number, definition)
end

-- Endpoints take precedence, so a route with the path of one would never be called.
function App:_check_endpoint(definition)
  local settings = self._settings
  for _, name in ipairs { "ws", "sse", "poll", "send", "publish", "health", "ready", "client" } do
    local path = settings.paths and settings.paths[name]
    if path == nil then
      path = name == "client" and "/moonwire.js" or "/" .. name
    end
    local is_on = path and (name ~= "publish" or settings.publish_key)
    if is_on and definition.pattern == path then
      local text =
        "%s: '%s' is an endpoint of the server; move it with moonwire.app { paths = { %s = … } }"
      options.raise(text:format(definition.call, path, name), definition.where)
    end
  end
end

function App:_define_route(server, definition)
  self:_check_endpoint(definition)
  local number, message
  if definition.is_stream then
    number, message = server:event_stream(definition.method, definition.pattern)
  elseif definition.method then
    number, message = server:route(definition.method, definition.pattern)
  else
    local deflate = definition.deflate
    if deflate == nil then
      deflate = self._settings.deflate
    end
    definition.websocket.deflate = options.deflate(definition.call, deflate, definition.where)
    number, message = server:websocket(definition.pattern, definition.websocket)
  end
  self._by_number[check(definition, number, message)] = definition
  for _, name in ipairs { "cross_site", "own_origins" } do
    if definition[name] then
      server:open_to(number, name)
    end
  end
  place_route(server, number, definition)
end

-- Files are served without the script. A directory that only app:before seems to guard would be open.
function App:_check_mount(mount)
  local path = mount.path:gsub("/+$", "")
  for _, before in ipairs(self._before) do
    local is_guarded = before.path ~= ""
      and (path == before.path or path:sub(1, #before.path + 1) == before.path .. "/")
    if is_guarded then
      local text = "%s: %s (%s) does not guard files; serve them from a path outside of it"
      options.raise(text:format(mount.call, before.call, before.where), mount.where)
    end
  end
end

-- Returns a server with everything that the script defined, not started. Raises if a definition is
-- not valid.
function App:_define()
  local settings = self._settings
  local paths = settings.paths or {}
  local ok, server = pcall(core.server, {
    authenticate = self._authenticate ~= nil,
    token = settings.auth and settings.auth._core,
    broker = self._broker and self._broker._options,
    connects = self._on_connect ~= nil,
    disconnects = self._on_disconnect ~= nil,
    publish_key = settings.publish_key,
    limits = settings.limits,
    rate_closes = (settings.limits or {}).over_rate == "close",
    proxy_headers = proxy_headers[settings.proxy_headers],
    deflate = options.deflate("moonwire.app", settings.deflate, self._where),
    sse = paths.sse == false and "" or paths.sse,
    ws = paths.ws == false and "" or paths.ws,
    send = paths.send == false and "" or paths.send,
    publish = paths.publish == false and "" or paths.publish,
    health = paths.health == false and "" or paths.health,
    ready = paths.ready == false and "" or paths.ready,
    poll = paths.poll == false and "" or paths.poll,
    client = paths.client == false and "" or paths.client,
  }, new_handlers(self))
  if not ok then
    options.raise(("moonwire.app: %s"):format(server), self._where)
  end
  place(server, -1, "authenticate", "", self._authenticate)
  place(server, -1, "connect", "", self._on_connect)
  place(server, -1, "disconnect", "", self._on_disconnect)
  for _, origin in ipairs(settings.origins or {}) do
    check({ call = "moonwire.app", where = self._where }, server:origin(origin))
  end
  for _, proxy in ipairs(settings.trusted_proxies or {}) do
    check({ call = "moonwire.app", where = self._where }, server:trust(proxy))
  end
  for _, definition in ipairs(self._channels) do
    self:_define_channel(server, definition)
  end
  for _, definition in ipairs(self._routes) do
    self:_define_route(server, definition)
  end
  for _, mount in ipairs(self._mounts) do
    self:_check_mount(mount)
    check(mount, server:static(mount.path, mount.directory, mount))
  end
  if self._not_found then
    local number = server:not_found()
    self._by_number[number] = { handler = self._not_found, is_not_found = true }
    place(server, number, "http", "", self._not_found)
  end
  return server
end

-- Starts the app: timers and tasks run as soon as the event loop runs. `prepare(server)`, if it is
-- given, is called before the first timer starts.
function App:_start(prepare)
  if self._server then
    return self._server
  elseif self._stopped then
    options.raise "the app has stopped; an app runs once"
  end
  local server = self:_define()
  local ok, message = server:start(self._workers)
  if not ok then
    options.raise(("the app cannot start: %s"):format(message), self._where)
  end
  self._server = server
  if prepare then
    prepare(server)
  end
  for _, timer in ipairs(self._timers) do
    timer:_start(server)
  end
  for _, packed in ipairs(self._spawned) do
    server:spawn(table.unpack(packed, 1, packed.n))
  end
  self._timers, self._spawned = {}, {}
  return server
end

local function check_own_life(call)
  if App.by_command then
    options.raise(
      ("%s: the moonwire command runs this script; return the app instead"):format(call)
    )
  elseif core.busy() then
    options.raise(("%s: cannot be called from a handler"):format(call))
  end
end

-- A loop that steps the app must forget the descriptor before it is closed.
function App:_end()
  self:_detach()
  self._server:finish()
  self._server, self._stopped = nil, true
end

-- For the modules of moonwire.attach. `attach(fd)` has the host's loop step the app from now on, and
-- returns a function that undoes it.
function App:_attach(call, attach)
  if App.by_command then
    local message = "%s: the moonwire command runs this script, with an event loop of its own"
    options.raise(message:format(call))
  end
  local server = self:_running(call, "; call app:listen first")
  if self._undo_attach then
    options.raise(("%s: the app is attached already"):format(call))
  end
  self._undo_attach = attach(server:fd())
end

function App:_detach()
  local undo = self._undo_attach
  if undo then
    self._undo_attach = nil
    undo()
  end
end

-- Returns the server. Raises if the app does not run; `hint` is what to do before it does.
function App:_running(call, hint)
  if not self._server then
    local why = self._stopped and "has stopped" or "is not running yet" .. (hint or "")
    options.raise(("%s: the app %s"):format(call, why))
  end
  return self._server
end

local NO_ENTRY = 2 -- the system's number of that error, everywhere

-- The system's message for a socket in a missing directory does not name the directory.
local function explain_directory(address, message)
  local directory = address:match "^unix:(.*)/[^/]*$"
  if not directory then
    return message
  end
  local found, _, code = io.open(directory == "" and "/" or directory)
  if found then
    found:close()
  elseif code == NO_ENTRY then
    local subject = message:gsub(": no such file or directory$", "")
    return ("%s: no such directory: %s"):format(subject, directory)
  end
  return message
end

function App:_listen(address, is_private, unix_mode, proxy_protocol)
  if proxy_protocol == nil then
    proxy_protocol = not is_private and self._settings.proxy_protocol
  end
  local mode = unix_mode and tonumber(unix_mode, 8)
  local ok, message = self:_start():listen(address, is_private, mode, proxy_protocol)
  if not ok then
    return nil, explain_directory(address, message)
  end
  local listeners = self._listeners
  listeners[#listeners + 1] =
    { address = self._server:address(#listeners + 1), is_private = is_private or false }
  return true
end

---@class moonwire.ListenOptions
---@field private? boolean for operators
---@field unix_mode? string permissions of a unix socket; nil: "0660"
---@field proxy_protocol? boolean trusted proxies send a PROXY header; nil: as the app's option
---@field workers? integer|"auto" of the first call, which starts the app; nil: 1

--- Listens on an address. The first call starts the app. Then call app:step.
---@param address string "127.0.0.1:8080", "[::1]:0", "unix:/run/app.sock"
---@param given? moonwire.ListenOptions
---@return true|nil
---@return string|nil message
function App:listen(address, given)
  check_own_life "app:listen"
  options.argument("app:listen", 1, address, "string")
  given = options.read("app:listen", given, listen_spec)
  if given.workers and self._server then
    options.raise "app:listen: option 'workers': the app is running; the first call decides"
  elseif given.workers then
    self:_set_workers(given.workers)
  end
  return self:_listen(address, given.private, given.unix_mode, given.proxy_protocol)
end

--- Returns the address of the i-th listener, with the port that was picked.
---@param i? integer
---@return string|nil
function App:address(i)
  return self:_running("app:address"):address(i or 1)
end

--- Runs one iteration of the event loop without waiting.
---@return boolean alive false once it has stopped
function App:step()
  check_own_life "app:step"
  if self._stopped then
    return false
  end
  local alive = self:_running("app:step"):step()
  if not alive then
    self:_end()
  end
  return alive
end

--- Returns a descriptor that becomes readable when app:step has something to do.
---@return integer
function App:fd()
  return self:_running("app:fd"):fd()
end

--- Returns the seconds after which app:step has something to do in any case, or nil. Call it after
--- each step; when that time changes in between, the descriptor becomes readable.
---@return number|nil
function App:timeout()
  return self:_running("app:timeout"):timeout()
end

--- Stops the app: streams end, and app:run returns, or app:step returns false. Handlers may call
--- it.
function App:stop()
  if self._server then
    self._server:stop()
  end
end

local function each(addresses)
  return ipairs(type(addresses) == "table" and addresses or { addresses })
end

-- Listens on all addresses. Returns nil and a message if one cannot be bound.
function App:_listen_all(given)
  for _, address in each(given.listen or "127.0.0.1:8080") do
    local ok, message = self:_listen(address, false, given.unix_mode)
    if not ok then
      return nil, message
    end
  end
  for _, address in each(given.private) do
    local ok, message = self:_listen(address, true, given.unix_mode)
    if not ok then
      return nil, message
    end
  end
  return true
end

function App:_set_workers(workers)
  self._workers = workers == "auto" and core.cores() or workers
end

-- Serves until the app is stopped, by a signal for example; or returns nil and why it cannot.
function App:_serve(given)
  self:_set_workers(given.workers)
  local ok, message = self:_listen_all(given)
  if ok then
    ok, message = self._server:stop_on_signals()
  end
  if not ok then
    return nil, message
  end
  startup.announce(self, self._listeners)
  self._server:run()
  self:_end()
  return true
end

--- Runs the app in this process until it is stopped, by SIGINT or SIGTERM for example, and prints
--- what the command prints.
---@param given? { listen: string|string[]?, private: string|string[]?, unix_mode: string?, workers: integer|"auto"? }
function App:run(given)
  check_own_life "app:run"
  if self._undo_attach then
    options.raise "app:run: the app is attached to an event loop, which runs it"
  end
  given = options.read("app:run", given, run_spec)
  local ok, message = self:_serve(given)
  if not ok then
    options.raise(("app:run: %s"):format(message))
  end
end

return App
