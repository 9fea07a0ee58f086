-- Removes the users of a dead owner (presence) from the channels: as if each had left, in one
-- announcement a channel. A few channels a call, so that Redis answers others in between.
--
-- KEYS  h, owners that are dead
-- ARGV  run, prefix of all keys, prefix of pub/sub channels, channels at most, mark ttl in s
-- The script `bell` adds the owners of a dead node; a node adds its own earlier ones. The keys of an
-- owner and of a channel are made here; all have the hash tag of the prefix.
-- Returns OK and the number of owners that are left; FENCED: another Redis than expected.
local h = redis.pcall("HMGET", KEYS[1], "run", "epoch")
if h[1] ~= ARGV[1] then
  return { "FENCED" }
end
-- Removes what another program has written in place of a key.
local function repair(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= kind and found ~= "none" then
    redis.call("DEL", key)
  end
end

repair(KEYS[2], "set")
local owner = redis.call("SRANDMEMBER", KEYS[2])
if not owner then
  return { "OK", 0 }
end
local prefix = ARGV[2]
local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function announce(channel, left)
  local number_key = prefix .. "pv:" .. channel
  repair(number_key, "string")
  local before = redis.call("GET", number_key) or "0"
  if (tonumber(string.match(before, "^%d+$")) or 2 ^ 53) >= 2 ^ 53 then
    before = "0"
  end
  local number = string.format("%.0f", math.max(tonumber(before) + 1, ms * 2048))
  redis.call("SET", number_key, number, "EX", ARGV[5])
  local count = redis.call("HLEN", prefix .. "pu:" .. channel)
  local parts = { "presence " .. h[2] .. " " .. number .. " " .. before .. " " .. count .. "\n" }
  for _, user in ipairs(left) do
    parts[#parts + 1] = "- " .. #user .. "\n" .. user
  end
  redis.call("PUBLISH", ARGV[3] .. channel, table.concat(parts))
end

local function reap(channel)
  local own = prefix .. "pn:" .. owner .. ":" .. channel
  local users, infos = prefix .. "pu:" .. channel, prefix .. "pi:" .. channel
  local left = {}
  repair(own, "set")
  repair(users, "hash")
  repair(infos, "hash")
  for _, user in ipairs(redis.call("SMEMBERS", own)) do
    local owners = redis.pcall("HINCRBY", users, user, -1)
    if type(owners) ~= "number" or owners <= 0 then
      redis.call("HDEL", users, user)
      redis.call("HDEL", infos, user)
      left[#left + 1] = user
    end
  end
  redis.call("DEL", own)
  if #left > 0 then
    announce(channel, left)
  end
end

repair(prefix .. "pn:" .. owner, "set")
local channels = redis.call("SPOP", prefix .. "pn:" .. owner, ARGV[4])
for _, channel in ipairs(channels) do
  reap(channel)
end
if redis.call("EXISTS", prefix .. "pn:" .. owner) == 0 then
  redis.call("SREM", KEYS[2], owner)
  local node = string.match(owner, "^(.*)%.%d+$")
  if node then
    repair(prefix .. "no:" .. node, "set")
    redis.call("SREM", prefix .. "no:" .. node, owner)
  end
end
return { "OK", redis.call("SCARD", KEYS[2]) }
