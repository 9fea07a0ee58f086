-- The scripts that the broker runs in Redis, as a node calls them.

local redis = require "spec.support.redis"

local scripts = { MARK_TTL_S = 90000 }

local SCRIPTS = "csrc/broker/scripts/"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- ---- Calls ------------------------------------------------------------------------------------------------------------------

local prefix -- of the keys of one test, with the hash tag
local tests = 0

--- Other keys from now on: each test has its own, unless it needs those that a program uses.
function scripts.new_prefix(given)
  tests = tests + 1
  prefix = type(given) == "string" and given or ("{t%d}:"):format(tests)
end

--- Returns the key or the pub/sub channel of that kind.
local function key(kind, name)
  return prefix .. kind .. (name and ":" .. name or "")
end

--- Returns a client of that Redis which receives what is published to the pub/sub channel.
function scripts.subscribe(instance, kind, name)
  local listener = instance:connect()
  listener:call("SUBSCRIBE", key(kind, name))
  return listener
end

--- Runs a script, and returns the reply, which may be { err = text }.
function scripts.run(client, name, keys, arguments)
  local list = { "EVAL", read(SCRIPTS .. name .. ".lua"), #keys }
  table.move(keys, 1, #keys, #list + 1, list)
  table.move(arguments, 1, #arguments, #list + 1, list)
  return client:try(table.unpack(list))
end

-- A node as the broker has it, without state machine: what it sends is what the test says.
local Node = {}
Node.__index = Node

--- Returns a node that Redis does not know yet.
function scripts.node(client, name, more)
  local node =
    { client = client, name = name, run = redis.run_id(client), generation = "g1", seq = 0 }
  for field, value in pairs(more or {}) do
    node[field] = value
  end
  return setmetatable(node, Node)
end

--- Makes it known to Redis, without `hello`.
function Node:register()
  self.client:call("HSET", key "h", "run", self.run, "epoch", "epoch1", "position", "1000")
  self.client:call("HSET", key("n", self.name), "generation", self.generation)
end

function Node:hello(more)
  more = more or {}
  return scripts.run(
    self.client,
    "hello",
    { key "h", key("n", self.name), key "nodes", key "tops" },
    {
      self.run,
      self.name,
      self.generation,
      more.known_run or "",
      more.known_epoch or "",
      more.seen or "0",
      more.reached or more.seen or "0",
      more.epoch or "epoch1",
      more.recover_ms or 0,
      more.expiry_ms or 60000,
      more.ordinal or 0,
    }
  )
end

function Node:publish(channel, record, more)
  more = more or {}
  if not more.seq then
    self.seq = self.seq + 1
  end
  local keys = { key "h", key("s", channel), more.mark or key("c", channel), key("n", self.name) }
  if more.key then
    keys[5] = key("i", more.key)
  end
  return scripts.run(self.client, "publish", keys, {
    more.run or self.run,
    more.generation or self.generation,
    more.seq or self.seq,
    more.pubsub or key("m", channel),
    record,
    more.size or 100,
    more.ttl or 0,
    more.mark_ttl or scripts.MARK_TTL_S,
    more.final and 1 or 0,
  })
end

-- Returns the position. Raises if it was refused.
function Node:order(...)
  local reply = self:publish(...)
  assert(reply[1] == "OK", reply.err or reply[1])
  return reply[2]
end

-- Returns the page as { position =, last =, gone =, ended =, more =, [n] = { position, before, record } }.
function Node:page(channel, direction, since, count, bytes)
  local listener = scripts.subscribe(self.client.server, "p", self.name)
  local reply = scripts.run(
    self.client,
    "page",
    { key "h", key("s", channel), key("c", channel) },
    {
      self.run,
      key("p", self.name),
      scripts.MARK_TTL_S,
      bytes or 262144,
      7,
      direction,
      since,
      count,
    }
  )
  if reply[1] ~= "OK" then
    listener:close()
    return reply
  end
  local payload = listener:receive()[3]
  listener:close()
  local head, rest = payload:match "^(.-)\n(.*)$"
  local page = {}
  local number
  number, page.epoch, page.position, page.last, page.gone, page.ended, page.more =
    head:match "^page (%d+) (%S+) (%d+) (%d+) (%d+) (%d+) ([01])$"
  assert(number == "7")
  while rest ~= "" do
    local position, before, len, next_at = rest:match "^(%d+) (~?%d+) (%d+)\n()"
    len = math.tointeger(len)
    page[#page + 1] = { position, before, rest:sub(next_at, next_at + len - 1) }
    rest = rest:sub(next_at + len)
  end
  return page
end

function Node:presence(channel, changes, more)
  more = more or {}
  local owner = self.name .. "." .. (self.owner or 1)
  local arguments = {
    self.run,
    self.generation,
    owner,
    channel,
    key("m", channel),
    more.most or 0,
    scripts.MARK_TTL_S,
  }
  for _, change in ipairs(changes) do
    table.insert(arguments, change[1])
    table.insert(arguments, change[2])
    table.insert(arguments, change[3] or "")
  end
  return scripts.run(self.client, "presence", {
    key "h",
    key("n", self.name),
    key("pu", channel),
    key("pi", channel),
    key("pv", channel),
    key("no", self.name),
    key("pn", owner),
    key("pn", owner .. ":" .. channel),
  }, arguments)
end

-- Takes "+ <length> <length>\n<user><info>" and "- <length>\n<user>"; calls f(user, info or nil).
local function each_change(rest, f)
  while rest ~= "" do
    local user_len, info_len, at = rest:match "^%+ (%d+) (%d+)\n()"
    if not at then
      user_len, at = rest:match "^%- (%d+)\n()"
    end
    local info_at = at + user_len
    local next_at = info_at + (info_len or 0)
    f(rest:sub(at, info_at - 1), info_len and rest:sub(info_at, next_at - 1))
    rest = rest:sub(next_at)
  end
end

-- Returns { status =, number =, count =, is_listed =, users = { [user] = info } }.
function Node:members(channel, most, bytes)
  local listener = scripts.subscribe(self.client.server, "b", self.name)
  local keys = { key "h", key("pu", channel), key("pi", channel), key("pv", channel) }
  local arguments = { self.run, key("b", self.name), 7, most or 100, bytes or 1000000 }
  local reply = scripts.run(self.client, "members", keys, arguments)
  local found = { status = reply[1], users = {} }
  if reply[1] == "OK" then
    local count, is_listed, rest
    found.number, count, is_listed, rest =
      listener:receive()[3]:match "^members 7 epoch1 (%d+) (%d+) ([01])\n(.*)$"
    found.count, found.is_listed = math.tointeger(count), is_listed == "1"
    each_change(rest, function(user, info)
      found.users[user] = info
    end)
  end
  listener:close()
  return found
end

-- Returns the reply of the bell of this node, and the bell.
function Node:ring(more)
  more = more or {}
  local listener = scripts.subscribe(self.client.server, "b", self.name)
  local keys = { key "h", key("n", self.name), key "nodes", key "dead" }
  local reply = scripts.run(self.client, "bell", keys, {
    more.run or self.run,
    self.name,
    more.generation or self.generation,
    key("b", self.name),
    60000,
    key "",
    5,
  })
  local bell = reply[1] == "OK" and listener:receive()[3] or nil
  listener:close()
  return reply, bell
end

-- Returns the reply: the number of owners that are left.
function Node:reap(channels)
  local keys = { key "h", key "dead" }
  local arguments = { self.run, key "", key "m" .. ":", channels, scripts.MARK_TTL_S }
  return scripts.run(self.client, "reap", keys, arguments)
end

function Node:control(seq, command)
  local keys = { key "h", key("n", self.name), key "x" }
  local arguments = { self.run, self.name, self.generation, seq, key "x", command, 3, 60000 }
  return scripts.run(self.client, "control", keys, arguments)
end

function Node:goodbye()
  local keys = { key "h", key("n", self.name), key "nodes", key "dead", key("no", self.name) }
  return scripts.run(self.client, "goodbye", keys, { self.run, self.name, self.generation })
end

--- "presence <epoch> <number> <before> <count>\n" and changes, as a table.
function scripts.read_announcement(payload)
  local rest
  local found = {}
  found.epoch, found.number, found.before, found.count, rest =
    payload:match "^presence (%S+) (%d+) (%d+) (%d+)\n(.*)$"
  each_change(rest, function(user, info)
    found[#found + 1] = info and "+" .. user .. "=" .. info or "-" .. user
  end)
  return found
end

scripts.key = key

return scripts
