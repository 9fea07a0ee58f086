-- Removes the users of a dead owner (presence) from the channels: as if each had left, in one
-- announcement a channel. A few channels a call, so that Redis answers others in between.
--
-- KEYS  h, owners that are dead
-- ARGV  run, prefix of all keys, prefix of pub/sub channels, channels at most, mark ttl in s
-- The script `bell` adds the owners of a dead node; a node adds its own earlier ones. The keys of an
-- owner and of a channel are made here; all have the hash tag of the prefix.
-- Returns OK and the number of owners that are left; FENCED: another Redis than expected.
local h = redis.call("HMGET", KEYS[1], "run", "epoch")
if h[1] ~= ARGV[1] then
  return { "FENCED" }
end
local owner = redis.call("SRANDMEMBER", KEYS[2])
if not owner then
  return { "OK", 0 }
end
local prefix = ARGV[2]
local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function announce(channel, left)
  local number_key = prefix .. "pv:" .. channel
  local before = redis.call("GET", number_key) or "0"
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
  local left = {}
  for _, user in ipairs(redis.call("SMEMBERS", own)) do
    if redis.call("HINCRBY", prefix .. "pu:" .. channel, user, -1) <= 0 then
      redis.call("HDEL", prefix .. "pu:" .. channel, user)
      redis.call("HDEL", prefix .. "pi:" .. channel, user)
      left[#left + 1] = user
    end
  end
  redis.call("DEL", own)
  if #left > 0 then
    announce(channel, left)
  end
end

local channels = redis.call("SPOP", prefix .. "pn:" .. owner, ARGV[4])
for _, channel in ipairs(channels) do
  reap(channel)
end
if redis.call("EXISTS", prefix .. "pn:" .. owner) == 0 then
  redis.call("SREM", KEYS[2], owner)
  local node = string.match(owner, "^(.*)%.%d+$")
  if node then
    redis.call("SREM", prefix .. "no:" .. node, owner)
  end
end
return { "OK", redis.call("SCARD", KEYS[2]) }
