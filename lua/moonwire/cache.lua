--- A cache whose values are made by functions that wait: once for each key, however many ask.
local core = require "moonwire.core"
local linked = require "moonwire.linked"
local options = require "moonwire.options"

local SECONDS_MAX = 1e9

local spec = { size = "amount", ttl = "duration", make_seconds = "duration" }

---@class moonwire.CacheOptions
---@field size? integer the maximum number of values; default 1000
---@field ttl? number seconds for which a value is kept; default: until others need the room
---@field make_seconds? number seconds after which make is ended; default 30

---@class moonwire.Cache
local Cache = {}
Cache.__index = Cache
Cache.__name = "moonwire.cache"

---@param given? moonwire.CacheOptions
---@return moonwire.Cache
function Cache._new(given)
  given = options.read("moonwire.cache", given, spec)
  local cache = {
    _size = given.size or 1000,
    _ttl = given.ttl,
    _make_seconds = given.make_seconds or 30,
    _count = 0,
    _entries = {}, -- by key
    _used = {}, -- the same, the least recently used first
    _flights = {}, -- by key: a value that is being made
  }
  return setmetatable(cache, Cache)
end

local function check_key(call, key)
  if key == nil or key ~= key then
    options.raise(("%s: the key must not be nil or NaN"):format(call))
  end
end

local function drop(self, entry)
  linked.remove(entry)
  self._entries[entry.key] = nil
  self._count = self._count - 1
end

-- Returns the entry of a key that has not expired.
local function find(self, key)
  local entry = self._entries[key]
  if not entry then
    return nil
  end
  local now = core.token.now()
  -- the clock may have been set back
  if entry.until_ms and (now >= entry.until_ms or now < entry.since_ms) then
    drop(self, entry)
    return nil
  end
  linked.remove(entry)
  linked.append(self._used, entry)
  return entry
end

local function store(self, key, value, ttl)
  local entry = self._entries[key]
  if entry then
    drop(self, entry)
  elseif self._count >= self._size then
    drop(self, self._used.first)
  end
  local now = core.token.now()
  entry = { key = key, value = value, since_ms = now }
  entry.until_ms = ttl and now + math.ceil(ttl * 1000)
  self._entries[key] = entry
  self._count = self._count + 1
  linked.append(self._used, entry)
end

-- It has a task of its own, so that it does not end with the client of the first that asks.
local function fly(self, flight, make)
  local results = table.pack(pcall(core.timeout, self._make_seconds, make, flight.key))
  flight.results = results
  if self._flights[flight.key] ~= flight then
    return
  end
  self._flights[flight.key] = nil
  local value, ttl = table.unpack(results, 2, 3)
  if results[1] and value ~= nil then
    store(self, flight.key, value, type(ttl) == "number" and ttl > 0 and ttl or self._ttl)
  end
end

--- Returns the value of a key. If there is none, calls make(key) and waits until it returns.
---@param key any
---@param make fun(key: any): any, any returns the value, and optionally its ttl; or nil, and why
---@return any value
---@return any why
function Cache:get(key, make)
  check_key("cache:get", key)
  options.argument("cache:get", 2, make, "function")
  local entry = find(self, key)
  if entry then
    return entry.value
  end
  local flight = self._flights[key]
  if not flight then
    flight = { key = key, landed = core.signal() }
    local task, problem, code = core.child(flight.landed, fly, self, flight, make)
    if not task then
      return nil, problem, code
    end
    self._flights[key] = flight
  end
  local ok, why = flight.landed:wait()
  if not ok then
    return nil, why
  end
  local results = flight.results
  if not results then
    -- its task was ended; the next caller tries again
    if self._flights[key] == flight then
      self._flights[key] = nil
    end
    return nil, "closed"
  elseif not results[1] then
    error(results[2], 0)
  elseif results[2] ~= nil then
    return results[2]
  end
  return table.unpack(results, 2, results.n)
end

--- Stores a value.
---@param key any
---@param value any not nil
---@param ttl? number seconds; default: that of the cache
function Cache:set(key, value, ttl)
  check_key("cache:set", key)
  if value == nil then
    options.raise "cache:set: the value must not be nil; cache:delete removes one"
  elseif ttl ~= nil and not (type(ttl) == "number" and ttl > 0 and ttl <= SECONDS_MAX) then
    options.raise(
      ("cache:set: the ttl must be a positive number of seconds, got %s"):format(options.show(ttl))
    )
  end
  self._flights[key] = nil
  store(self, key, value, ttl or self._ttl)
end

--- Removes the value of a key. One that is being made is not kept.
---@param key any
function Cache:delete(key)
  check_key("cache:delete", key)
  self._flights[key] = nil
  local entry = self._entries[key]
  if entry then
    drop(self, entry)
  end
end

--- Removes all values.
function Cache:clear()
  self._count, self._entries, self._used, self._flights = 0, {}, {}, {}
end

--- Returns the number of values, including those that have expired and were not asked for since.
---@return integer
function Cache:count()
  return self._count
end

options.guard(Cache, "cache")

return Cache
