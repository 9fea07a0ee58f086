-- Joins and leaves of users of one node in one channel. A user that is in the channel on several
-- nodes joins once and leaves once. May be repeated: what is done already changes nothing.
--
-- KEYS  h, node, users of the channel (user -> number of owners), infos (user -> info), number of the
--       last announcement, owners of the node, channels of the owner, users of the owner in the
--       channel. The owner is "<node>.<number>": a node that cannot know any more what is counted for
--       it counts all of its members again, for another owner.
-- ARGV  run, generation, owner, channel, pub/sub channel, members at most (0: any number), mark ttl
--       in s, then for each change: "+", "!" (joins even if there are too many), or "-", user, info
--       (empty for "-")
-- An announcement is "presence <epoch> <number> <before> <count>\n", then "+ <length> <length>\n" and
-- user and info for each user that joined, and "- <length>\n" and user for each that left. `number`
-- is a position; `before` is the number of the channel's previous announcement, or 0 if unknown.
-- Returns OK, the number, the count, and the users that were refused: there are too many members.
-- FENCED: another Redis than expected; STALE: the node was removed.
local h = redis.pcall("HMGET", KEYS[1], "run", "epoch", "position")
if h[1] ~= ARGV[1] then
  return { "FENCED" }
end
if redis.pcall("HGET", KEYS[2], "generation") ~= ARGV[2] then
  return { "STALE" }
end
-- Removes what another program has written in place of a key.
local function repair(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= kind and found ~= "none" then
    redis.call("DEL", key)
  end
end
for i, kind in ipairs { "hash", "hash", "string", "set", "set", "set" } do
  repair(KEYS[2 + i], kind)
end

local users, infos, number_key, channels, own = KEYS[3], KEYS[4], KEYS[5], KEYS[7], KEYS[8]
local owner, channel, most, ttl = ARGV[3], ARGV[4], tonumber(ARGV[6]), ARGV[7]
local count = redis.call("HLEN", users)
local order, state, refused = {}, {}, {}

-- A user that joins and leaves in one call was never there, for the others.
local function note(user, change)
  if state[user] == nil then
    order[#order + 1] = user
  end
  state[user] = not (state[user] == "+" and change == "-") and change
end

-- Adds to the number of owners, and returns it. If another program has written it, there is one.
local function add(user, number)
  local owners = redis.pcall("HINCRBY", users, user, number)
  if type(owners) ~= "number" then
    owners = math.max(number, 0)
    redis.call("HSET", users, user, owners)
  end
  return owners
end

local function join(user, info, limit)
  if redis.call("SISMEMBER", own, user) == 1 then
    return
  end
  local is_new = redis.call("HEXISTS", users, user) == 0
  if is_new and limit > 0 and count >= limit then
    refused[#refused + 1] = user
    return
  end
  redis.call("SADD", own, user)
  add(user, 1)
  if is_new then
    redis.call("HSET", infos, user, info)
    count = count + 1
    note(user, "+")
  end
end

local function leave(user)
  if redis.call("SREM", own, user) == 0 then
    return
  end
  if add(user, -1) <= 0 then
    redis.call("HDEL", users, user)
    redis.call("HDEL", infos, user)
    count = redis.call("HLEN", users) -- perhaps another program had removed the user
    note(user, "-")
  end
end

for i = 8, #ARGV, 3 do
  if ARGV[i] ~= "-" then
    join(ARGV[i + 1], ARGV[i + 2], ARGV[i] == "+" and most or 0)
  else
    leave(ARGV[i + 1])
  end
end
if redis.call("EXISTS", own) == 1 then
  redis.call("SADD", channels, channel)
  redis.call("SADD", KEYS[6], owner)
else
  redis.call("SREM", channels, channel)
end

local before = redis.call("GET", number_key) or "0"
if (tonumber(string.match(before, "^%d+$")) or 2 ^ 53) >= 2 ^ 53 then
  before = "0"
end
local changed = {}
for _, user in ipairs(order) do
  if state[user] then
    changed[#changed + 1] = user
  end
end
local function answer(number)
  local values = { "OK", number, count }
  for i, user in ipairs(refused) do
    values[3 + i] = user
  end
  return values
end
if #changed == 0 then
  return answer(before)
end
local time = redis.call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local number = string.format("%.0f", math.max(tonumber(before) + 1, ms * 2048))
-- the number lasts longer than anything that a node may compare with it
redis.call("SET", number_key, number, "EX", ttl)
local parts = { "presence " .. h[2] .. " " .. number .. " " .. before .. " " .. count .. "\n" }
for _, user in ipairs(changed) do
  local info = state[user] == "+" and redis.call("HGET", infos, user)
  if info then
    parts[#parts + 1] = "+ " .. #user .. " " .. #info .. "\n" .. user .. info
  else
    parts[#parts + 1] = "- " .. #user .. "\n" .. user
  end
end
redis.call("PUBLISH", ARGV[5], table.concat(parts))
return answer(number)
