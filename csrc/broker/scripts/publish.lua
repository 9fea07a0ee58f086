-- Orders a message, keeps it, and publishes it.
--
-- KEYS  h, stream, channel mark, node, [idempotency key]
-- ARGV  run, generation, seq, pub/sub channel, record, history size, history ttl in ms (0: none),
--       mark ttl in s, final ("1" or "0")
-- Returns OK and the position; FENCED: another Redis than expected; STALE: the node was removed.
--
-- A program that is not a node publishes with an empty generation: the node's key and seq are not
-- used, and only an idempotency key makes it safe to send a message again. What such a program gets
-- wrong is an error here, before anything is done. docs/operations/cluster.md explains it.
local function outsider_fault()
  local prefix = string.match(KEYS[1], "^(.*)h$") or ""
  local channel = string.sub(KEYS[2], #prefix + 3)
  if #KEYS < 4 or #ARGV ~= 9 then
    return "4 or 5 keys and 9 arguments are needed"
  elseif
    KEYS[2] ~= prefix .. "s:" .. channel
    or KEYS[3] ~= prefix .. "c:" .. channel
    or ARGV[4] ~= prefix .. "m:" .. channel
  then
    return "the keys and the pub/sub channel are not of one prefix and one channel"
  end
  if #ARGV[5] > 6291456 then -- BROKER_RECORD_BYTES_MAX: no node could read it
    return "the record has more than 6291456 bytes"
  end
  local flags, event, from, except, key, at =
    string.match(ARGV[5], "^1 (%-?b?f?) (%d+) (%d+) (%d+) (%d+)\n()")
  if not flags or flags == "" or #flags > 1 and string.sub(flags, 1, 1) == "-" then
    return "the record does not begin with 1, flags, and four lengths"
  elseif tonumber(event) == 0 or at - 1 + event + from + except + key > #ARGV[5] then
    return "the record has no event, or is shorter than its lengths"
  elseif ARGV[9] ~= (string.sub(flags, -1) == "f" and "1" or "0") then
    return "the last argument must be 1 if the record has the flag f, otherwise 0"
  end
  local size, ttl, mark_ttl =
    string.match(ARGV[6] .. " " .. ARGV[7] .. " " .. ARGV[8], "^(%d+) (%d+) (%d+)$")
  if not size or #size > 9 or #ttl > 15 or #mark_ttl > 9 then
    return "size, ttl, and mark ttl must be integers"
  elseif tonumber(mark_ttl) < 90000 or tonumber(ttl) > mark_ttl * 1000 then
    return "the mark ttl must be at least 90000, and not below the ttl"
  end
end

local is_node = ARGV[2] ~= ""
if not is_node then
  local fault = outsider_fault()
  if fault then
    return { err = "ERR moonwire: " .. fault }
  end
end

-- Returns true for a position that this Redis can have given out: other programs may have written
-- something else.
local function is_position(text, highest)
  return type(text) == "string"
    and string.match(text, "^%d+$") ~= nil
    and #text <= 16
    and tonumber(text) <= highest
end

local h = redis.pcall("HMGET", KEYS[1], "run", "epoch", "position")
if h[1] ~= ARGV[1] or not is_position(h[3], 2 ^ 53) then
  return { "FENCED" }
end
local last = tonumber(h[3])
local slot = is_node and string.format("%d", ARGV[3] % 1024)
if is_node then
  local node = redis.pcall("HMGET", KEYS[4], "generation", slot)
  if node[1] ~= ARGV[2] then
    return { "STALE" }
  end
  if node[2] then -- sent again, after a connection was lost
    local seq, position = string.match(node[2], "^(%d+) (%d+)$")
    if seq == ARGV[3] and is_position(position, last) then
      return { "OK", position }
    end
  end
end
if KEYS[5] then
  local known = (is_node and redis.pcall or redis.call)("GET", KEYS[5])
  if is_position(known, last) then
    if is_node then
      redis.call("HSET", KEYS[4], slot, ARGV[3] .. " " .. known)
    end
    return { "OK", known }
  end
end

local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local next_position = math.max(last + 1, ms * 2048)
local position = string.format("%.0f", next_position)

-- The position of the channel's previous message. If its mark has expired and nothing is kept, a
-- floor ("~"): there was no message in the last hours.
local before = redis.pcall("HGET", KEYS[3], "last")
if before and not is_position(before, last) then
  -- Another program has written here. Whatever the channel had is gone.
  redis.call("DEL", KEYS[3])
  before = h[3]
elseif not before then
  local newest = redis.pcall("XREVRANGE", KEYS[2], "+", "-", "COUNT", 1)[1]
  if newest then
    before = string.match(newest[1], "^%d+")
    before = is_position(before, last) and before or h[3]
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
if is_node then
  redis.call("HSET", KEYS[4], slot, ARGV[3] .. " " .. position)
end
if KEYS[5] then
  redis.call("SET", KEYS[5], position, "EX", 300)
end
redis.call("PUBLISH", ARGV[4], h[2] .. " " .. position .. " " .. before .. "\n" .. ARGV[5])
return { "OK", position }
