--- Loads the script of an app for a test, as the command does. Modules beside the script are loaded
--- again each time, so that no state of one test remains in the next.
local App = require "moonwire.app"
local core = require "moonwire.core"
local options = require "moonwire.options"

local script = {}

-- Unloads the modules beside the script that were loaded in the meantime.
local function forget(before, pattern)
  for name in pairs(package.loaded) do
    if not before[name] and package.searchpath(name, pattern) then
      package.loaded[name] = nil
    end
  end
end

--- Returns the app, and a function that takes back what the load has changed.
---@param path string
---@return moonwire.App
---@return fun()
function script.load(path)
  path = core.follow_link(path)
  local chunk, message = loadfile(path)
  if not chunk then
    options.raise(("testing.start: %s"):format(message))
  end
  local directory = path:match "^(.*/)[^/]*$" or "./"
  local pattern = directory .. "?.lua;" .. directory .. "?/init.lua"
  local before = {}
  for name in pairs(package.loaded) do
    before[name] = true
  end
  -- Until the app is stopped, because a handler may require a module when it runs.
  package.path = pattern .. ";" .. package.path
  local function unload()
    local first, last = package.path:find(pattern .. ";", 1, true)
    if first then
      package.path = package.path:sub(1, first - 1) .. package.path:sub(last + 1)
    end
    forget(before, pattern)
  end
  local ok, app = pcall(options.call, chunk)
  if not ok then
    unload()
    error(app, 0)
  elseif not App._is(app) then
    unload()
    options.raise(
      ("testing.start: the script %s must return its app, and it returned %s"):format(
        path,
        type(app)
      )
    )
  end
  return app, unload
end

return script
