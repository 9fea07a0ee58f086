-- Begins the work of a node with this Redis: is everything here that the nodes have seen?
--
-- KEYS  h, node, nodes, tops
-- ARGV  run, node, generation, run and epoch that the node knew last (empty: none), the highest
--       position of a message that it saw, the highest position that it reached, an epoch to begin
--       if necessary, ms to wait for other nodes, ms after which the node counts as dead, without
--       a bell, ordinal of the epoch that the node knew last (0: none)
-- Epochs are counted, so that an epoch that Redis has forgotten is noticed, and does not return.
-- Returns OK, the epoch, the position, whether it is known what this node has published (1 or 0), and
-- the ordinal of the epoch; or WAIT: other nodes are to report.
local run, node, known_run, known_epoch = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local seen, reached = tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Removes what another program has written in place of a key.
local function repair(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= kind and found ~= "none" then
    redis.call("DEL", key)
  end
end
repair(KEYS[1], "hash")
repair(KEYS[2], "hash")
repair(KEYS[3], "zset")
repair(KEYS[4], "hash")

local h = redis.call("HMGET", KEYS[1], "run", "epoch", "position", "log", "ordinal")

-- Of a field of `h`; nil if it is missing, or another program has written it.
local function field(i, pattern, most)
  return h[i] and #h[i] <= most and string.match(h[i], pattern) or nil
end
local epoch = field(2, "^[%w_-]+$", #ARGV[8])
epoch = epoch and #epoch == #ARGV[8] and epoch or nil
local position, log = tonumber(field(3, "^%d+$", 16)), field(4, "^.*$", 8192) or ""
local ordinal, known_ordinal = tonumber(field(5, "^%d+$", 9) or "0"), tonumber(ARGV[11] or "0")
-- Positions are exact up to 2^53. This one is so far ahead that another program has written it.
local FAR = 2 ^ 53 - 2 ^ 32
if not epoch or not position or position > FAR then
  epoch, position = nil, 0
end

local function text(number)
  return string.format("%.0f", number)
end

local function save(entries)
  log = entries
  redis.call("HSET", KEYS[1], "run", run, "epoch", epoch, "position", text(position), "log", log)
  redis.call("DEL", KEYS[4])
end

-- What was seen is not all here: ids of the earlier epoch are of no use.
local function begin_epoch()
  epoch = ARGV[8]
  ordinal = math.max(ordinal, known_ordinal) + 1
  redis.call("HSET", KEYS[1], "ordinal", ordinal)
  position = math.max(position, ms * 2048)
  position = math.max(position, seen <= FAR and seen or 0, reached <= FAR and reached or 0) + 1
  save(run .. ":" .. text(position) .. ":" .. text(position) .. " ")
end

-- Returns the highest positions that were reported for this run: seen, reached; or nil while nodes
-- are missing.
local function reported()
  redis.call("HSET", KEYS[4], node, run .. " " .. text(seen) .. " " .. text(reached))
  local since_run, since = string.match(redis.call("HGET", KEYS[4], "#") or "", "^(%S+) (%d+)$")
  if since_run ~= run or tonumber(since) > ms then
    since = ms
    redis.call("HSET", KEYS[4], "#", run .. " " .. text(ms))
  end
  local tops, highest_seen, highest_reached = redis.call("HGETALL", KEYS[4]), 0, 0
  local has = {}
  for i = 1, #tops, 2 do
    local of, top_seen, top_reached = string.match(tops[i + 1], "^(%S+) (%d+) (%d+)$")
    if of == run then
      has[tops[i]] = true
      highest_seen = math.max(highest_seen, tonumber(top_seen))
      highest_reached = math.max(highest_reached, tonumber(top_reached))
    end
  end
  if ms - since < tonumber(ARGV[9]) then
    for _, other in ipairs(redis.call("ZRANGE", KEYS[3], 0, -1)) do
      if not has[other] then
        return nil
      end
    end
  end
  return highest_seen, highest_reached
end

-- Returns true if the log shows that nothing is missing that the node saw. Each entry of the log is
-- <run>:<position when it was accepted>:<position above which it went on>.
local function is_whole()
  if known_run == run then
    return true
  end
  local is_after = false
  for of, base, first in string.gmatch(log, "(%S+):(%d+):(%d+) ") do
    if is_after then
      return seen <= tonumber(base) and reached <= tonumber(first)
    end
    is_after = of == known_run
  end
  return false
end

if not epoch then
  begin_epoch()
elseif h[1] ~= run then
  local highest_seen, highest_reached = reported()
  if not highest_seen then
    return { "WAIT" }
  end
  -- No node could send a bell in the meantime. Those that come back later than this one are not dead.
  for _, other in ipairs(redis.call("ZRANGE", KEYS[3], 0, -1)) do
    redis.call("ZADD", KEYS[3], "GT", text(ms + ARGV[10]), other)
  end
  if highest_seen <= position then
    local base = position
    position = math.max(position, highest_reached, ms * 2048)
    log = log .. run .. ":" .. text(base) .. ":" .. text(position) .. " "
    while select(2, string.gsub(log, " ", " ")) > 32 do
      log = string.gsub(log, "^%S+ ", "")
    end
    save(log)
  else
    begin_epoch()
  end
end
if known_ordinal > ordinal or known_epoch == epoch and not is_whole() then
  begin_epoch()
end

local is_known = redis.call("HGET", KEYS[2], "generation") == ARGV[3]
if not is_known then
  redis.call("DEL", KEYS[2])
  redis.call("HSET", KEYS[2], "generation", ARGV[3])
end
redis.call("ZADD", KEYS[3], text(ms + ARGV[10]), node)
return { "OK", epoch, text(position), is_known and 1 or 0, ordinal }
