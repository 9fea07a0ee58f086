-- A model of Redis for the simulation of a cluster: the commands that the scripts of csrc/broker use,
-- on tables, with a replica that lags. The scripts run as they are.

local model = {}

-- keys, expires: the data. log: transactions that the replica does not have yet.
local db, replica, log
local transaction -- the writes of the command that runs
local now_ms, is_full, publish

local LAG_MAX = 12 -- transactions

local function new_db()
  return { keys = {}, expires = {} }
end

local function get(key)
  local expires = db.expires[key]
  if expires and expires <= now_ms then
    db.keys[key], db.expires[key] = nil, nil
  end
  return db.keys[key]
end

local function get_or_make(key)
  local value = get(key)
  if not value then
    value = {}
    db.keys[key] = value
  end
  return value
end

local function id_of(text)
  return tonumber((text:match("^%d+")))
end

local writes, reads = {}, {}

-- EX seconds, or PX milliseconds.
function writes.SET(key, value, option, number)
  db.keys[key], db.expires[key] = { value = value }, nil
  if option then
    assert(option == "EX" or option == "PX")
    db.expires[key] = now_ms + number * (option == "EX" and 1000 or 1)
  end
  return { ok = "OK" }
end

function writes.DEL(...)
  local count = 0
  for _, key in ipairs { ... } do
    count = count + (get(key) and 1 or 0)
    db.keys[key], db.expires[key] = nil, nil
  end
  return count
end

-- What has no fields any more is not a key any more.
local function drop_empty(key)
  if get(key) and not next(get(key)) then
    db.keys[key], db.expires[key] = nil, nil
  end
end

function writes.EXPIRE(key, seconds)
  return writes.PEXPIRE(key, seconds * 1000)
end

function writes.PEXPIRE(key, ms)
  if get(key) then
    db.expires[key] = now_ms + tonumber(ms)
  end
  return 1
end

function writes.PERSIST(key)
  db.expires[key] = nil
  return 1
end

function writes.HSET(key, ...)
  local hash, pairs_given = get_or_make(key), { ... }
  for i = 1, #pairs_given, 2 do
    hash[pairs_given[i]] = pairs_given[i + 1]
  end
  return #pairs_given / 2
end

function writes.HINCRBY(key, field, number)
  local hash = get_or_make(key)
  hash[field] = ("%d"):format(tonumber(hash[field] or "0") + tonumber(number))
  return math.tointeger(hash[field])
end

function writes.HDEL(key, field)
  local had = (get(key) or {})[field] ~= nil
  if had then
    get(key)[field] = nil
    drop_empty(key)
  end
  return had and 1 or 0
end

function writes.SADD(key, ...)
  local set, count = get_or_make(key), 0
  for _, member in ipairs { ... } do
    count = count + (set[member] and 0 or 1)
    set[member] = true
  end
  return count
end

function writes.SREM(key, member)
  return writes.HDEL(key, member)
end

function writes.XADD(key, maxlen, equal, size, id, ...)
  assert(maxlen == "MAXLEN" and equal == "=")
  local stream = get_or_make(key)
  local newest = stream[#stream]
  assert(not newest or id_of(newest[1]) < id_of(id), "XADD with an id that is not above the newest")
  stream[#stream + 1] = { id, { ... } }
  while #stream > tonumber(size) do
    table.remove(stream, 1)
  end
  return id
end

function writes.XTRIM(key, minid, equal, id)
  assert(minid == "MINID" and equal == "=")
  local stream = get(key) or {}
  while stream[1] and id_of(stream[1][1]) < tonumber(id) do
    table.remove(stream, 1)
  end
  return 0
end

function writes.ZADD(key, score, member)
  get_or_make(key)[member] = tonumber(score)
  return 1
end

function writes.ZREM(key, member)
  get_or_make(key)[member] = nil
  return 1
end

function writes.FLUSHALL()
  db.keys, db.expires = {}, {}
  return { ok = "OK" }
end

-- The fields of a hash, or the members of a set, in an order that does not depend on the run.
local function fields(key)
  local list = {}
  for field in pairs(get(key) or {}) do
    list[#list + 1] = field
  end
  table.sort(list)
  return list
end

function writes.SPOP(key, count)
  local popped = table.move(fields(key), 1, tonumber(count), 1, {})
  for _, member in ipairs(popped) do
    writes.SREM(key, member)
  end
  return popped
end

function reads.SMEMBERS(key)
  return fields(key)
end

function reads.HKEYS(key)
  return fields(key)
end

function reads.SRANDMEMBER(key)
  return fields(key)[1] or false
end

function reads.SISMEMBER(key, member)
  return (get(key) or {})[member] and 1 or 0
end

function reads.HEXISTS(key, field)
  return (get(key) or {})[field] and 1 or 0
end

function reads.SCARD(key)
  return #fields(key)
end

function reads.HLEN(key)
  return #fields(key)
end

function reads.EXISTS(key)
  return get(key) and 1 or 0
end

-- Keys never have another type than the scripts expect.
function reads.TYPE()
  return { ok = "none" }
end

function reads.TIME()
  return { tostring(now_ms // 1000), tostring(now_ms % 1000 * 1000) }
end

function reads.GET(key)
  local value = get(key)
  return value and value.value or false
end

function reads.PTTL(key)
  if not get(key) then
    return -2
  end
  return db.expires[key] and db.expires[key] - now_ms or -1
end

function reads.HGET(key, field)
  return (get(key) or {})[field] or false
end

function reads.HMGET(key, ...)
  local hash, values = get(key) or {}, {}
  for i, field in ipairs({ ... }) do
    values[i] = hash[field] or false
  end
  return values
end

function reads.HGETALL(key)
  local all = {}
  for _, field in ipairs(fields(key)) do
    all[#all + 1] = field
    all[#all + 1] = get(key)[field]
  end
  return all
end

function reads.XRANGE(key, from, to, count, max)
  assert(to == "+" and count == "COUNT")
  local above = from == "-" and 0 or tonumber((from:match "^%((%d+)"))
  local found = {}
  for _, entry in ipairs(get(key) or {}) do
    if id_of(entry[1]) > above and #found < tonumber(max) then
      found[#found + 1] = entry
    end
  end
  return found
end

function reads.XREVRANGE(key, from, to, count, max)
  assert(to == "-" and count == "COUNT")
  local stream, found = get(key) or {}, {}
  for i = #stream, 1, -1 do
    if (from == "+" or id_of(stream[i][1]) <= tonumber(from)) and #found < tonumber(max) then
      found[#found + 1] = stream[i]
    end
  end
  return found
end

-- Members in the order of their scores.
local function members(key)
  local list, scores = {}, get(key) or {}
  for member in pairs(scores) do
    list[#list + 1] = member
  end
  table.sort(list, function(a, b)
    if scores[a] ~= scores[b] then
      return scores[a] < scores[b]
    end
    return a < b
  end)
  return list, scores
end

function reads.ZRANGE(key, first, last)
  assert(tonumber(first) == 0 and tonumber(last) == -1)
  return (members(key))
end

function reads.ZRANGEBYSCORE(key, min, max)
  assert(min == "-inf")
  local found, list, scores = {}, members(key)
  for _, member in ipairs(list) do
    if scores[member] <= tonumber(max) and #found == 0 then
      found[1] = member
    end
  end
  return found
end

function reads.PUBLISH(channel, payload)
  return publish(channel, payload)
end

-- Redis hands numbers over as text.
local function as_text(...)
  local arguments = { ... }
  for i, argument in ipairs(arguments) do
    if type(argument) == "number" then
      arguments[i] = math.type(argument) == "integer" and tostring(argument)
        or ("%.17g"):format(argument)
    end
    assert(type(arguments[i]) == "string", "an argument of a command is neither text nor a number")
  end
  return table.unpack(arguments)
end

local may_grow = { SET = true, HSET = true, XADD = true, ZADD = true, SADD = true, HINCRBY = true }

local function call(name, ...)
  if reads[name] then
    return reads[name](as_text(...))
  end
  if is_full and may_grow[name] and #transaction == 0 then
    error({ refused = "OOM command not allowed when used memory > 'maxmemory'." }, 0)
  end
  local write = assert(writes[name], name)
  transaction[#transaction + 1] = { now_ms, name, as_text(...) }
  return write(as_text(...))
end

-- What Redis refuses is returned, as { err = text }.
local function try(...)
  local results = table.pack(pcall(call, ...))
  if results[1] then
    return table.unpack(results, 2, results.n)
  elseif type(results[2]) == "table" then
    return { err = results[2].refused }
  end
  error(results[2], 0)
end

-- ---- The replica -----------------------------------------------------------------------------

local function apply(writes_done)
  local primary, time = db, now_ms
  db = replica
  for _, done in ipairs(writes_done) do
    now_ms = done[1]
    writes[done[2]](table.unpack(done, 3))
  end
  db, now_ms = primary, time
end

local function commit()
  if #transaction > 0 then
    log[#log + 1] = transaction
  end
  while #log > LAG_MAX do
    apply(table.remove(log, 1))
  end
end

-- The replica is promoted, without the last `lost` transactions.
function model.fail_over(lost)
  for i = 1, #log - lost do
    apply(log[i])
  end
  db, replica, log = replica, new_db(), {}
  -- a new replica copies everything
  for key, value in pairs(db.keys) do
    local copy = {}
    for name, part in pairs(value) do
      copy[name] = part
    end
    replica.keys[key], replica.expires[key] = copy, db.expires[key]
  end
end

-- ---- What the test calls ---------------------------------------------------------------------

local environment = {
  redis = { call = call, pcall = try },
  math = math,
  string = string,
  table = table,
  tonumber = tonumber,
  tostring = tostring,
  ipairs = ipairs,
  pairs = pairs,
  select = select,
  type = type,
}
local scripts = {}

function model.load(index, name, text)
  scripts[index] = assert(load(text, "=" .. name, "t", environment))
end

function model.reset(on_publish)
  db, replica, log, is_full, publish = new_db(), new_db(), {}, false, on_publish
end

function model.fill(full)
  is_full = full
end

-- Returns the answer, or nil and an error of Redis. Other errors are faults of a script.
local function run(f)
  transaction = {}
  local good, answer = xpcall(f, function(problem)
    return type(problem) == "table" and problem or debug.traceback(tostring(problem))
  end)
  commit()
  if good and type(answer) == "table" and answer.err then
    return nil, answer.err
  elseif good then
    return answer
  elseif type(answer) == "table" then
    return nil, answer.refused
  end
  error(answer, 0)
end

function model.run(time, index, key_count, ...)
  local keys, arguments, all = {}, {}, { ... }
  for i, text in ipairs(all) do
    if i <= key_count then
      keys[i] = text
    else
      arguments[i - key_count] = text
    end
  end
  now_ms = time
  environment.KEYS, environment.ARGV = keys, arguments
  return run(scripts[index])
end

function model.command(time, ...)
  local arguments = { ... }
  now_ms = time
  return run(function()
    return call(table.unpack(arguments))
  end)
end

-- The highest position that Redis knows.
function model.position(key)
  return tonumber((db.keys[key] or {}).position or 0)
end

function model.drop(key)
  db.keys[key], replica.keys[key] = nil, nil
end

return model
