--- Runs a script for the command, in a Lua state of its own: loads the script, starts the app that
--- it returns, and prints what is served.
local App = require "moonwire.app"
local Channel = require "moonwire.channel"
local Redis = require "moonwire.redis"
local core = require "moonwire.core"
local options = require "moonwire.options"
local startup = require "moonwire.startup"

-- Raises an error that the user sees as it is.
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

-- For an unknown method, Lua names it, and this adds the method that was probably intended.
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

-- Errors of the script itself have file and line. One from a library needs a traceback.
local function explain(script)
  -- As Lua shows it in messages: the end of a long name.
  local shown = #script < 60 and script or "..." .. script:sub(-56)
  return function(raised)
    if type(raised) ~= "string" then
      return tostring(raised)
    end
    raised = hint_at_method(raised)
    local is_own = raised:sub(1, #shown + 1) == shown .. ":"
    return is_own and raised or debug.traceback(raised, 2)
  end
end

local function load_app(script)
  local chunk, message = loadfile(script)
  if not chunk then
    fail("%s", message)
  end
  local directory = script:match "^(.*/)[^/]*$" or "./"
  package.path = directory .. "?.lua;" .. directory .. "?/init.lua;" .. package.path
  local app = options.call(chunk)
  if not App._is(app) then
    fail(
      "%s: the script must return its app, got %s; add 'return app' as the last line",
      script,
      type(app)
    )
  end
  return app
end

-- ---- Running --------------------------------------------------------------------------------------------------------------

local function serve(given, script)
  App.by_command = true
  core.log_level(given.log_level)
  rawset(_G, "arg", { [0] = given.script })
  local app = load_app(script)
  if given.broker then
    app._broker = Redis._of_url(given.broker)
  end
  if given.check then
    app:_define()
    startup.print(startup.describe(app, #given.private > 0))
    startup.print { given.script .. ": ok" }
    return
  end
  local ok, message = app:_serve(given)
  if not ok then
    local is_taken = message:find "cannot listen on .*: address already in use$"
    fail("%s%s", message, is_taken and "; choose another with --listen HOST:PORT" or "")
  end
end

--- Returns the exit code.
---@param given { script: string, check: boolean, listen: string[], private: string[], log_level: string, [string]: any }
return function(given)
  -- Modules and files are beside the script itself, not beside a symbolic link to it.
  local script = core.follow_link(given.script)
  local ok, message = xpcall(serve, explain(script), given, script)
  if ok then
    return 0
  end
  io.stderr:write("moonwire: ", message, "\n")
  return 1
end
