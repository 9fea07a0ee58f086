-- The heartbeat of a node. Raises the position to the time, so that the node knows that it has
-- everything up to now. Removes one node that is dead, whose members are then to be removed (reap).
--
-- KEYS  h, node, nodes, owners that are dead
-- ARGV  run, node, generation, pub/sub channel of the node, ms after which the node counts as dead,
--       prefix of all keys, number of the bell
-- A bell is "bell <number> <epoch> <position>". Returns OK, whether the node is subscribed (1 or 0), and
-- the number of owners that are dead;
-- FENCED: another Redis than expected; STALE: the node was removed.
local h = redis.pcall("HMGET", KEYS[1], "run", "epoch", "position")
if h[1] ~= ARGV[1] or (tonumber(string.match(h[3] or "", "^%d+$")) or 2 ^ 54) > 2 ^ 53 then
  return { "FENCED" }
end
if redis.pcall("HGET", KEYS[2], "generation") ~= ARGV[3] then
  return { "STALE" }
end

-- Removes what another program has written in place of a key.
local function repair(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= kind and found ~= "none" then
    redis.call("DEL", key)
  end
end
repair(KEYS[3], "zset")
repair(KEYS[4], "set")

local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local position = string.format("%.0f", math.max(tonumber(h[3]), ms * 2048))
redis.call("HSET", KEYS[1], "position", position)
redis.call("ZADD", KEYS[3], string.format("%.0f", ms + ARGV[5]), ARGV[2])
local dead =
  redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", string.format("%.0f", ms), "LIMIT", 0, 1)[1]
if dead then
  local owners = ARGV[6] .. "no:" .. dead
  repair(owners, "set")
  for _, owner in ipairs(redis.call("SMEMBERS", owners)) do
    redis.call("SADD", KEYS[4], owner)
  end
  redis.call("DEL", owners, ARGV[6] .. "n:" .. dead)
  redis.call("ZREM", KEYS[3], dead)
end
local bell = "bell " .. ARGV[7] .. " " .. h[2] .. " " .. position
return { "OK", redis.call("PUBLISH", ARGV[4], bell), redis.call("SCARD", KEYS[4]) }
