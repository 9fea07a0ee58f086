-- Takes a lease, for what only one node does; keeps it; or ends it. May be repeated.
--
-- KEYS  h, lease
-- ARGV  run, holder, ms for which no other holder may take it (0: it is free)
-- Returns OK and 1: the lease is the holder's; or OK, 0, and the ms that are left of that of another.
-- FENCED: another Redis than expected.
if redis.call("HGET", KEYS[1], "run") ~= ARGV[1] then
  return { "FENCED" }
end
local holder, left = redis.pcall("GET", KEYS[2]), redis.call("PTTL", KEYS[2])
-- What another program has written is no lease: another type, or without an end.
if type(holder) == "string" and holder ~= ARGV[2] and left > 0 then
  return { "OK", 0, left }
end
if tonumber(ARGV[3]) > 0 then
  redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
else
  redis.call("DEL", KEYS[2])
end
return { "OK", 1 }
