--- moonwire: real-time channels from one Lua script.
-- Otherwise the C module would fail to load, with an error that does not name the cause.
if _VERSION < "Lua 5.4" then
  error(("moonwire requires Lua 5.4, got %s; with busted, use --lua=lua5.4"):format(_VERSION), 0)
end

local App = require "moonwire.app"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"

---@class moonwire
---@field version string
---@field json moonwire.Json
---@field null lightuserdata JSON's null
---@field array fun(items: table): table marks a table as a JSON array, even an empty one, and returns it
---@field crypto moonwire.crypto
---@field sleep fun(seconds: number): true|nil, string|nil see core.d.lua
local moonwire = {
  version = core.version,
  json = core.json,
  null = core.json.null,
  array = core.json.array,
  sleep = core.sleep,
  crypto = crypto,
}

--- Defines an app.
---@param settings? moonwire.Settings
---@return moonwire.App
function moonwire.app(settings)
  return App._new(settings)
end

return moonwire
