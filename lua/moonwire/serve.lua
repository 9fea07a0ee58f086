--- Runs a script for the command, in the state that was made for it: loads the script, starts the app
--- it returns, says what is served.
local App = require "moonwire.app"
local Channel = require "moonwire.channel"
local core = require "moonwire.core"
local events = require "moonwire.events"
local options = require "moonwire.options"

-- An error that is told to the user as it is.
local function fail(...)
  error(
    setmetatable({ text = string.format(...) }, {
      __tostring = function(self)
        return self.text
      end,
    }),
    0
  )
end

-- A method that there is not: Lua says its name, and this which one was probably meant.
local function hint_at_method(raised)
  local name = raised:match "attempt to call a nil value %(method '([%w_]+)'%)$"
  local methods = {}
  for class = 1, name and 2 or 0 do
    for method, value in pairs(class == 1 and App or Channel) do
      if type(value) == "function" and method:sub(1, 1) ~= "_" then
        methods[#methods + 1] = method
      end
    end
  end
  return raised .. (name and options.hint(name, methods) or "")
end

-- Errors of the script itself say file and line; one from a library needs the way there.
local function explain(script)
  return function(raised)
    if type(raised) ~= "string" then
      return tostring(raised)
    end
    raised = hint_at_method(raised)
    local is_own = raised:sub(1, #script + 1) == script .. ":"
    return is_own and raised or debug.traceback(raised, 2)
  end
end

local function load_app(script)
  local chunk, message = loadfile(script)
  if not chunk then
    fail("%s", message)
  end
  local folder = script:match "^(.*/)[^/]*$" or "./"
  package.path = folder .. "?.lua;" .. folder .. "?/init.lua;" .. package.path
  rawset(_G, "arg", { [0] = script })
  local app = options.call(chunk)
  if not App._is(app) then
    fail(
      "%s: the script must return its app (the last line should be 'return app'), and it returned %s",
      script,
      type(app)
    )
  end
  return app
end

-- ---- What is said at the start --------------------------------------------------------------------------------------------

local function describe_history(history)
  if not history or history.size == 0 then
    return "no history"
  end
  local parts = { ("history of %d"):format(history.size) }
  if history.ttl and history.ttl > 0 then
    table.insert(parts, ("for %g s"):format(history.ttl))
  end
  if history.bytes then
    table.insert(parts, ("in %d bytes"):format(history.bytes))
  end
  if history.replay > 0 then
    table.insert(parts, (", newcomers get %d"):format(history.replay))
  end
  if history.readable then
    table.insert(parts, ", clients may read it")
  end
  return (table.concat(parts, " "):gsub(" ,", ","))
end

-- What the channel says of slow subscribers, if it says anything: "slow: latest, beyond 65536 bytes or 2 s".
local function describe_slow(definition)
  local limits, bounds = definition.limits or {}, {}
  if limits.outbox then
    table.insert(bounds, ("%d bytes"):format(limits.outbox))
  end
  if limits.age then
    table.insert(bounds, ("%g s"):format(limits.age))
  end
  if not definition.slow and #bounds == 0 then
    return nil
  end
  local has_history = definition.history and definition.history.size > 0
  local slow = definition.slow or (has_history and "catchup" or "close")
  local beyond = #bounds > 0 and ", beyond " .. table.concat(bounds, " or ") or ""
  return "slow: " .. slow .. beyond
end

local function describe_presence(definition)
  local what = definition.presence.mode == "full" and "presence" or "presence in numbers"
  local most = definition.limits and definition.limits.members
  return what .. (most and (" of at most %d"):format(most) or "")
end

local function describe_access(app, definition)
  if type(definition.authorize) == "function" then
    return "authorize decides who may join"
  elseif definition.authorize == false then
    return "nobody may join"
  end
  return app._authenticate and "open to everyone who is authenticated" or "open to everyone"
end

local function describe_listener(address, is_private)
  local shown = address:sub(1, 5) == "unix:" and address or "http://" .. address
  return ("listening on %s%s"):format(shown, is_private and " (private)" or "")
end

local function describe_publish(app, has_private)
  local settings = app._settings
  if not settings.publish_key or settings.paths and settings.paths.publish == false then
    return "publishing over HTTP is off"
  end
  local path = settings.paths and settings.paths.publish or "/publish"
  local text = "publishing over HTTP: POST %s with the key%s"
  return text:format(path, has_private and ", on the private listener only" or "")
end

local function describe_app(app, has_private)
  local lines = {}
  local function add(...)
    table.insert(lines, string.format(...))
  end
  for _, definition in ipairs(app._channels) do
    local parts = { describe_access(app, definition), describe_history(definition.history) }
    table.insert(parts, describe_slow(definition))
    if definition.presence then
      table.insert(parts, describe_presence(definition))
    end
    if #definition.events > 0 then
      table.insert(parts, events.describe(definition.events))
    end
    add("channel %s: %s", definition.pattern, table.concat(parts, ", "))
  end
  for _, route in ipairs(app._routes) do
    local what = route.websocket and "websocket" or "stream GET"
    add("%s %s", route.method and "route " .. route.method or what, route.pattern)
  end
  for _, mount in ipairs(app._mounts) do
    add("static %s from %s", mount.path, mount.directory)
  end
  add("%s", describe_publish(app, has_private))
  return lines
end

local function say(lines)
  io.stdout:write(table.concat(lines, "\n"), "\n")
  io.stdout:flush()
end

-- ---- Running --------------------------------------------------------------------------------------------------------------

local function run(app, given)
  local ok, message = app:_listen_all(given)
  if not ok then
    fail("%s", message)
  end
  local server = app._server
  server:stop_on_signals()
  local lines, described = { "moonwire " .. core.version }, describe_app(app, #given.private > 0)
  local public_count = #given.listen
  for i = 1, public_count + #given.private do
    table.insert(lines, describe_listener(server:address(i), i > public_count))
  end
  table.move(described, 1, #described, #lines + 1, lines)
  table.insert(lines, "ready")
  say(lines)
  server:run()
  app:_end()
end

local function serve(given)
  App.by_command = true
  core.log_level(given.log_level)
  local app = load_app(given.script)
  if given.check then
    app:_define()
    say(describe_app(app, #given.private > 0))
    say { given.script .. " is well" }
  else
    run(app, given)
  end
end

--- Returns the exit code.
---@param given { script: string, check: boolean, listen: string[], private: string[], log_level: string, unix_mode: string? }
return function(given)
  local ok, message = xpcall(serve, explain(given.script), given)
  if ok then
    return 0
  end
  io.stderr:write("moonwire: ", message, "\n")
  return 1
end
