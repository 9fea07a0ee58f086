--- moonwire.redis: the Redis that orders and keeps the messages of several servers, for `broker` of
--- an app.
local core = require "moonwire.core"
local options = require "moonwire.options"

---@class moonwire.RedisOptions
---@field url string "redis://[[username]:password@]host[:port][/db]", "rediss://…" for TLS, or "unix:/path[?db=number]"
---@field sentinels? string[] "[[username]:password@]host[:port]" each; the host of the URL is then the master name
---@field username? string in place of that of the URL
---@field password? string
---@field prefix? string of all keys and channels; nil: "mw"
---@field ca_file? string authorities for rediss:, in PEM; nil: those of the system
---@field verify? boolean false accepts any certificate; nil: true
---@field publish_seconds? number how long a publish, a join, or a read of history waits; nil: 5
---@field expiry_seconds? number how long this server may be silent until it counts as dead and its members leave; nil: 10
---@field wait_replicas? integer replicas that must have a message that is published; nil: 0

local spec = {
  url = "text",
  sentinels = "strings",
  username = "text",
  password = "text",
  prefix = "text",
  ca_file = "text",
  verify = "boolean",
  publish_seconds = "duration",
  expiry_seconds = "duration",
  wait_replicas = "count",
}

--- What moonwire.redis { … } returns, for `broker` of an app.
---@class moonwire.Redis
---@field package _options table
local Redis = {}
Redis.__index = Redis
Redis.__name = "moonwire.Redis"
Redis._is_broker = true

--- Returns the address, without a password.
function Redis:__tostring()
  return "Redis at " .. self._options.url:gsub("^(%a+://).*@", "%1")
end

-- Returns what is wrong with options that options.read has accepted, or nil.
local function fault_of(given)
  if not given.url then
    return "option 'url' is required"
  end
  local _, fault = pcall(core.check_broker, given)
  return fault and fault:match "broker: (.*)"
end

---@param url string
---@return moonwire.Redis|nil
---@return string|nil message
function Redis._of_url(url)
  local given = { url = url }
  local fault = fault_of(given)
  if fault then
    return nil, fault
  end
  return setmetatable({ _options = given }, Redis)
end

---@param given string|moonwire.RedisOptions a URL, or options
---@return moonwire.Redis
function Redis._new(given)
  local call = "moonwire.redis"
  given = type(given) == "string" and { url = given } or given
  given = options.read(call, given, spec)
  local fault = fault_of(given)
  if fault then
    options.raise(("%s: %s"):format(call, fault))
  end
  return setmetatable({ _options = given }, Redis)
end

return Redis
