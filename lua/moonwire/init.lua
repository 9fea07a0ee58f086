--- moonwire: real-time channels from one Lua script.
-- Otherwise the C module would fail to load, with an error that does not name the cause.
if _VERSION < "Lua 5.4" then
  error(("moonwire requires Lua 5.4, got %s; with busted, use --lua=lua5.4"):format(_VERSION), 0)
end

local App = require "moonwire.app"
local Cache = require "moonwire.cache"
local Queue = require "moonwire.queue"
local Redis = require "moonwire.redis"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local http = require "moonwire.http"
local options = require "moonwire.options"
local token = require "moonwire.token"
local trusted_header = require "moonwire.trusted_header"
local work = require "moonwire.work"
local waits = require "moonwire.waits"

---@class moonwire
---@field version string
---@field json moonwire.Json
---@field null lightuserdata JSON's null
---@field array fun(items: table): table marks a table as a JSON array, even an empty one, and returns it
---@field crypto moonwire.crypto
---@field http moonwire.http requests to other servers
---@field token moonwire.token|fun(given: moonwire.TokenOptions): moonwire.Verifier
---@field redis fun(given: string|moonwire.RedisOptions): moonwire.Redis the broker of several servers
---@field trusted_header fun(name: string): moonwire.TrustedHeader identifies clients by a header of a trusted proxy
---@field work moonwire.work threads for code that blocks
---@field sleep fun(seconds: number): true|nil, string|nil waits that long; nil and "closed" or "timeout"
---@field wait fun(descriptor: integer|table|userdata, way: "r"|"w", seconds: number?): true|nil, string|nil see server.d.lua
---@field all fun(fns: (fun(): any)[]): ... see waits.lua
---@field cache fun(given: moonwire.CacheOptions?): moonwire.Cache
---@field queue fun(size: integer): moonwire.Queue
---@field timeout fun(seconds: number, fn: (fun(...): ...), ...): ... see server.d.lua
---@field rendezvous moonwire.Rendezvous waits for what another handler brings
---@field await fun(start: fun(resume: fun(...): boolean), seconds: number?): ... see waits.lua
local moonwire = {
  version = core.version,
  json = core.json,
  null = core.json.null,
  array = core.json.array,
  sleep = core.sleep,
  wait = core.wait,
  await = waits.await,
  timeout = core.timeout,
  all = waits.all,
  rendezvous = waits.meeting_point,
  cache = Cache._new,
  queue = Queue._new,
  redis = Redis._new,
  crypto = crypto,
  http = http,
  token = token,
  trusted_header = trusted_header,
  work = work,
}

--- Defines an app.
---@param settings? moonwire.Settings
---@return moonwire.App
function moonwire.app(settings)
  return App._new(settings)
end

-- Browsers read a backslash as a slash, and ignore tabs and newlines, so a path that a visitor
-- supplied must not lead to another site.
local function leads_away(location)
  return location:find "^[/\\][/\\]" or not location:find "^[/?#]" and location:find "^[^/?#]*:"
end

local redirect_spec = { status = "count", external = "boolean", cookies = "table" }
local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- Returns the answer that leads a browser to another address: return moonwire.redirect("/login").
---@param location string a path, or with `external` an absolute URL
---@param given? { status: integer?, external: boolean?, cookies: table<string, string|table|false>? }
---@return integer status 303 by default
---@return nil body
---@return table headers
function moonwire.redirect(location, given)
  local call = "moonwire.redirect"
  options.argument(call, 1, location, "string")
  given = options.read(call, given, redirect_spec)
  local status = given.status or 303
  if not redirects[status] then
    options.raise(("%s: option 'status' must be 301, 302, 303, 307, or 308"):format(call))
  elseif location == "" or location:find "[%c\127 ]" then
    options.raise(("%s: the location must not be empty, or have white space"):format(call))
  elseif not given.external and leads_away(location) then
    local text = "%s: %s leads to another site; allow it by the option external = true"
    options.raise(text:format(call, options.show(location)))
  end
  return status, nil, { Location = location, cookies = given.cookies }
end

return moonwire
