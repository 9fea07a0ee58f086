-- Ends a node that stops: its members leave soon, no other node waits for it, and its leases are free.
--
-- KEYS  h, node, nodes, owners that are dead, owners of the node, then its leases
-- ARGV  run, node, generation, then the holder of each lease
-- Returns OK. FENCED: another Redis than expected; STALE: the node was removed.
if redis.call("HGET", KEYS[1], "run") ~= ARGV[1] then
  return { "FENCED" }
end
if redis.call("HGET", KEYS[2], "generation") ~= ARGV[3] then
  return { "STALE" }
end
for _, owner in ipairs(redis.call("SMEMBERS", KEYS[5])) do
  redis.call("SADD", KEYS[4], owner)
end
for i = 6, #KEYS do
  if redis.pcall("GET", KEYS[i]) == ARGV[i - 2] then
    redis.call("DEL", KEYS[i])
  end
end
redis.call("DEL", KEYS[5], KEYS[2])
redis.call("ZREM", KEYS[3], ARGV[2])
return { "OK" }
