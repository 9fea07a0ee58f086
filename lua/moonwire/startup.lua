--- Prints the start-up lines of an app: its addresses, what it serves, and who may use it.
local core = require "moonwire.core"
local events = require "moonwire.events"

local startup = {}

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
    table.insert(parts, (", new subscribers get %d"):format(history.replay))
  end
  if history.readable then
    table.insert(parts, ", clients may read it")
  end
  return (table.concat(parts, " "):gsub(" ,", ","))
end

-- What the channel says of slow subscribers, if it says anything: "slow: latest, beyond 65536 bytes
-- or 2 s".
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
  local what = definition.presence.mode == "full" and "presence" or "presence in counts"
  local most = definition.limits and definition.limits.members
  return what .. (most and (" of at most %d"):format(most) or "")
end

local function describe_access(app, definition)
  if type(definition.authorize) == "function" then
    return "authorize decides who may subscribe"
  elseif definition.authorize == false then
    return "closed to all clients"
  elseif definition.authorize == "token" then
    return "the claim channels of a token decides who may subscribe"
  end
  return (app._authenticate or app._settings.auth) and "open to all authenticated clients"
    or "open to everyone"
end

local function describe_listener(address, is_private)
  local shown = address:sub(1, 5) == "unix:" and address or "http://" .. address
  return ("listening on %s%s"):format(shown, is_private and " (private)" or "")
end

local function describe_publish(app, has_private)
  local settings = app._settings
  if settings.paths and settings.paths.publish == false then
    return "publishing over HTTP is off"
  elseif not settings.publish_key then
    return "publishing over HTTP is off: publish_key is not set"
  end
  local path = settings.paths and settings.paths.publish or "/publish"
  local text = "publishing over HTTP: POST %s with publish_key%s"
  return text:format(path, has_private and ", on the private listener only" or "")
end

--- One line for each channel, route, and directory.
---@param app moonwire.App
---@param has_private boolean whether there is a private listener
---@return string[]
function startup.describe(app, has_private)
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
    local kind = route.websocket and "websocket" or route.is_stream and "stream " or "route "
    add("%s%s %s", kind, route.method or "", route.pattern)
  end
  for _, mount in ipairs(app._mounts) do
    add("static %s from %s", mount.path, mount.directory)
  end
  add("%s", describe_publish(app, has_private))
  if app._broker then
    add("messages are ordered by %s", tostring(app._broker))
  end
  return lines
end

---@param lines string[]
function startup.print(lines)
  io.stdout:write(table.concat(lines, "\n"), "\n")
  io.stdout:flush()
end

--- Prints all lines of a start, for an app that listens.
---@param app moonwire.App
---@param listeners { address: string, is_private: boolean }[]
function startup.announce(app, listeners)
  local lines, has_private = { "moonwire " .. core.version }, false
  for _, listener in ipairs(listeners) do
    table.insert(lines, describe_listener(listener.address, listener.is_private))
    has_private = has_private or listener.is_private
  end
  local described = startup.describe(app, has_private)
  table.move(described, 1, #described, #lines + 1, lines)
  table.insert(lines, "ready")
  startup.print(lines)
end

return startup
