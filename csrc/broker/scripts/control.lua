-- Appends a command to all nodes: kick, close a user's clients, send to a user. Nodes read them from
-- the stream, from where they were; what is published says only that there is something to read.
--
-- KEYS  h, node, stream of commands
-- ARGV  run, node, generation, number of the command (of this node, increasing), pub/sub channel,
--       command, commands that are kept at most, ms for which they are kept
-- An entry has the id <position>-0, and the fields b (position of the command before it, or 0), o (the
-- node), and m (the command). May be repeated: a number is appended once.
-- Returns OK. FENCED: another Redis than expected; STALE: the node was removed.
local h = redis.pcall("HMGET", KEYS[1], "run", "position", "control")
if h[1] ~= ARGV[1] or (tonumber(string.match(h[2] or "", "^%d+$")) or 2 ^ 54) > 2 ^ 53 then
  return { "FENCED" }
end
if h[3] and (not string.match(h[3], "^%d+$") or #h[3] > 16) then
  h[3] = h[2] -- another program has written it: nodes may have missed a command
end
local n = redis.pcall("HMGET", KEYS[2], "generation", "control")
if n[1] ~= ARGV[3] then
  return { "STALE" }
end
if (tonumber(n[2] or "0") or 0) >= tonumber(ARGV[4]) then
  return { "OK" }
end
local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local position = string.format("%.0f", math.max(tonumber(h[2]) + 1, ms * 2048))

local function append()
  local id, before = position .. "-0", h[3] or "0"
  return redis.pcall(
    "XADD",
    KEYS[3],
    "MAXLEN",
    "=",
    ARGV[7],
    id,
    "b",
    before,
    "o",
    ARGV[2],
    "m",
    ARGV[6]
  )
end

-- First of all what others can make fail, so that nothing is done in part.
local reply = append()
if type(reply) == "table" then
  if
    not string.find(reply.err, "WRONGTYPE", 1, true)
    and not string.find(reply.err, "equal or smaller", 1, true)
  then
    return reply
  end
  redis.call("DEL", KEYS[3])
  reply = append()
  if type(reply) == "table" then
    return reply
  end
end
redis.call("HSET", KEYS[1], "position", position, "control", position)
redis.call("HSET", KEYS[2], "control", ARGV[4])
redis.call("XTRIM", KEYS[3], "MINID", "=", string.format("%.0f", (ms - ARGV[8]) * 2048))
redis.call("PUBLISH", ARGV[5], position)
return { "OK" }
