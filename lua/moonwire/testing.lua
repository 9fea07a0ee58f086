--- moonwire.testing: runs an app in a test, with clients in memory and a clock that the test moves.
--- No ports, no sleeps. What a test sees of it is described in testing.d.lua.
-- Otherwise the C module would fail to load, with an error that does not name the cause.
if _VERSION < "Lua 5.4" then
  error(("moonwire requires Lua 5.4, got %s; with busted, use --lua=lua5.4"):format(_VERSION), 0)
end

local App = require "moonwire.app"
local Server = require "moonwire.testing.server"
local options = require "moonwire.options"
local script = require "moonwire.testing.script"

local testing = {}

local start_spec = { broker = "boolean" }

--- Starts an app, or the one that a script returns.
---@param app moonwire.App|string
---@param given? { broker: boolean? }
---@return moonwire.testing.Server
function testing.start(app, given)
  given = options.read("testing.start", given, start_spec)
  local unload
  if type(app) == "string" then
    app, unload = script.load(app)
  elseif not App._is(app) then
    local text = "testing.start: argument 1 must be an app or the path of a script, got %s"
    options.raise(text:format(options.show(app)))
  elseif app._server then
    options.raise "testing.start: the app is running; an app runs once, so make one for each test"
  end
  return Server._start(app, unload, given.broker)
end

--- Stops all servers that were started and not stopped: for after_each.
function testing.stop_all()
  local failure
  for server in pairs(Server._running()) do
    local ok, message = pcall(server.stop, server)
    failure = failure or (not ok and message)
  end
  if failure then
    error(failure, 0)
  end
end

return testing
