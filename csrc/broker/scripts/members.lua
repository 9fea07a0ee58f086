-- Reads the members of a channel on all nodes. They are published to the node itself, so that they
-- have a place among the announcements.
--
-- KEYS  h, users of the channel, infos, number of the last announcement
-- ARGV  run, pub/sub channel of the node, number of the request, members at most, bytes at most
-- What is published is "members <request> <epoch> <number> <count> <1 if they are listed, or 0>\n", and
-- for each member what an announcement has for one that joined (presence). Members are not listed if
-- there are more of them than asked for. `number` is that of the last announcement; 0: unknown.
-- Returns OK and whether the node is subscribed (1 or 0). FENCED: another Redis than expected.
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
for i, kind in ipairs { "hash", "hash", "string" } do
  repair(KEYS[1 + i], kind)
end

local count, bytes = redis.call("HLEN", KEYS[2]), 0
local parts, is_listed = {}, count <= tonumber(ARGV[4])
if is_listed then
  local infos, info_of = redis.call("HGETALL", KEYS[3]), {}
  for i = 1, #infos, 2 do
    info_of[infos[i]] = infos[i + 1]
  end
  for i, user in ipairs(redis.call("HKEYS", KEYS[2])) do
    local info = info_of[user] or ""
    parts[i] = "+ " .. #user .. " " .. #info .. "\n" .. user .. info
    bytes = bytes + #parts[i]
  end
end
if bytes > tonumber(ARGV[5]) then
  parts, is_listed = {}, false
end
local number = redis.call("GET", KEYS[4]) or "0"
if (tonumber(string.match(number, "^%d+$")) or 2 ^ 53) >= 2 ^ 53 then
  number = "0"
end
local head = "members " .. ARGV[3] .. " " .. h[2] .. " " .. number .. " " .. count
head = head .. (is_listed and " 1\n" or " 0\n")
return { "OK", redis.call("PUBLISH", ARGV[2], head .. table.concat(parts)) }
