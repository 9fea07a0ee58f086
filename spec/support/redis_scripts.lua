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
  local owner = self.name .. "." .. self.generation
  local arguments = {
    self.run,
    self.generation,
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
    key("pn", owner),
    key("pn", owner .. ":" .. channel),
  }, arguments)
end

function Node:members(channel, most)
  local keys = { key "h", key("pu", channel), key("pi", channel), key("pv", channel) }
  local reply = scripts.run(self.client, "members", keys, { self.run, most or 100 })
  local users = {}
  for i = 5, #reply, 3 do
    users[reply[i]] = { reply[i + 1], reply[i + 2] }
  end
  return { status = reply[1], number = reply[3], count = reply[4], users = users }
end

--- "presence <epoch> <number> <before> <count>\n" and changes, as a table.
function scripts.read_announcement(payload)
  local rest
  local found = {}
  found.epoch, found.number, found.before, found.count, rest =
    payload:match "^presence (%S+) (%d+) (%d+) (%d+)\n(.*)$"
  while rest ~= "" do
    local user_len, info_len, at = rest:match "^%+ (%d+) (%d+)\n()"
    if at then
      local info_at = at + user_len
      found[#found + 1] = "+"
        .. rest:sub(at, info_at - 1)
        .. "="
        .. rest:sub(info_at, info_at + info_len - 1)
      rest = rest:sub(info_at + info_len)
    else
      user_len, at = rest:match "^%- (%d+)\n()"
      found[#found + 1] = "-" .. rest:sub(at, at + user_len - 1)
      rest = rest:sub(at + user_len)
    end
  end
  return found
end

scripts.key = key

return scripts
