-- Orders a message, keeps it, and publishes it.
--
-- KEYS  h, stream, channel mark, node, [idempotency key]
-- ARGV  run, generation, seq, pub/sub channel, record, history size, history ttl in ms (0: none),
--       mark ttl in s, final ("1" or "0")
-- Returns OK and the position; FENCED: another Redis than expected; STALE: the node was removed.
local h = redis.call("HMGET", KEYS[1], "run", "epoch", "position")
if h[1] ~= ARGV[1] then
  return { "FENCED" }
end
local slot = string.format("%d", ARGV[3] % 1024)
local node = redis.call("HMGET", KEYS[4], "generation", slot)
if node[1] ~= ARGV[2] then
  return { "STALE" }
end
if node[2] then -- sent again, after a connection was lost
  local seq, position = string.match(node[2], "^(%d+) (%d+)$")
  if seq == ARGV[3] then
    return { "OK", position }
  end
end
if KEYS[5] then
  local known = redis.call("GET", KEYS[5])
  if known then
    redis.call("HSET", KEYS[4], slot, ARGV[3] .. " " .. known)
    return { "OK", known }
  end
end

local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(h[3])
local next_position = math.max(last + 1, ms * 2048)
local position = string.format("%.0f", next_position)

-- The position of the channel's previous message. If its mark has expired and nothing is kept, a
-- floor ("~"): there was no message in the last hours.
local before = redis.pcall("HGET", KEYS[3], "last")
if before and not (type(before) == "string" and string.match(before, "^%d+$")) then
  -- Another program has written here. Whatever the channel had is gone.
  redis.call("DEL", KEYS[3])
  before = h[3]
elseif not before then
  local newest = redis.pcall("XREVRANGE", KEYS[2], "+", "-", "COUNT", 1)[1]
  if newest then
    before = string.match(newest[1], "^%d+")
  else
    local now = math.max(ms, math.floor(last / 2048))
    local floor = (now - (ARGV[8] - 3600) * 1000) * 2048
    before = "~" .. string.format("%.0f", math.max(floor, 0))
  end
end

local function append()
  local id = position .. "-0"
  return redis.pcall("XADD", KEYS[2], "MAXLEN", "=", ARGV[6], id, "b", before, "m", ARGV[5])
end

-- First of all what others can make fail, so that nothing is done in part.
if tonumber(ARGV[6]) > 0 then
  local reply = append()
  if type(reply) == "table" then
    if
      not string.find(reply.err, "WRONGTYPE", 1, true)
      and not string.find(reply.err, "equal or smaller", 1, true)
    then
      return reply
    end
    redis.call("DEL", KEYS[2])
    reply = append()
    if type(reply) == "table" then
      return reply
    end
  end
end
redis.call("HSET", KEYS[1], "position", position)
redis.call("HSET", KEYS[3], "last", position, "ended", ARGV[9] == "1" and position or "0")
redis.call("EXPIRE", KEYS[3], ARGV[8])
local ttl = tonumber(ARGV[7])
if tonumber(ARGV[6]) > 0 then
  if ttl > 0 then
    redis.call("XTRIM", KEYS[2], "MINID", "=", string.format("%.0f", (ms - ttl) * 2048))
    redis.call("PEXPIRE", KEYS[2], ARGV[7])
  else
    redis.call("PERSIST", KEYS[2])
  end
end
redis.call("HSET", KEYS[4], slot, ARGV[3] .. " " .. position)
if KEYS[5] then
  redis.call("SET", KEYS[5], position, "EX", 300)
end
redis.call("PUBLISH", ARGV[4], h[2] .. " " .. position .. " " .. before .. "\n" .. ARGV[5])
return { "OK", position }
