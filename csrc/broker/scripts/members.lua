-- Reads the members of a channel on all nodes.
--
-- KEYS  h, users of the channel, infos, number of the last announcement
-- ARGV  run, members at most
-- Returns OK, the epoch, the number of the last announcement (0: unknown), the number of members; then user,
-- info, and the number of nodes of each member, unless there are more of them than asked for.
-- FENCED: another Redis than expected.
local h = redis.call("HMGET", KEYS[1], "run", "epoch")
if h[1] ~= ARGV[1] then
  return { "FENCED" }
end
local count = redis.call("HLEN", KEYS[2])
local answer = { "OK", h[2], redis.call("GET", KEYS[4]) or "0", count }
if count > tonumber(ARGV[2]) then
  return answer
end
local users = redis.call("HGETALL", KEYS[2])
local infos, info_of = redis.call("HGETALL", KEYS[3]), {}
for i = 1, #infos, 2 do
  info_of[infos[i]] = infos[i + 1]
end
for i = 1, #users, 2 do
  answer[#answer + 1] = users[i]
  answer[#answer + 1] = info_of[users[i]] or ""
  answer[#answer + 1] = users[i + 1]
end
return answer
