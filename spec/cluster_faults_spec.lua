-- What others do to the Redis of a cluster: no client misses a message without a gap, and everything works again.

local redis = require "spec.support.redis"
local server = require "spec.support.server"
local witness = require "spec.support.cluster.witness"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "a secret key",
  broker = moonwire.redis { url = "unix:" .. os.getenv "REDIS", publish_seconds = 20 },
}
app:channel("news:{n}", { history = { size = 100 } })
return app
]]

describe("a Redis that others write to", function()
  local instance, client, nodes
  local channels = 0

  setup(function()
    instance = redis.start()
    client = instance:connect()
    nodes = {}
    for i = 1, 2 do
      nodes[i] = server.start { script = script, env = "REDIS=" .. instance.path }
    end
  end)

  teardown(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    client:close()
    instance:remove()
  end)

  local function key(kind, name)
    return "{mw}:" .. kind .. (name and ":" .. name or "")
  end

  -- Publishes around the fault. A client that was there, and one that comes back later to the other node, miss nothing silently.
  -- Returns how many gaps the first one received.
  local function survive(fault)
    channels = channels + 1
    local channel = "news:" .. channels
    local numbers = witness.numbers(channel)
    local there = witness.new(nodes[1], channel)
    numbers:publish(nodes[2])
    local second = numbers:publish(nodes[1])
    there:await(second, numbers.ids)
    local since = numbers.ids[second]
    fault(channel, numbers)
    for i = 1, 3 do
      numbers:publish(nodes[1 + i % 2])
    end
    there:await(numbers.last, numbers.ids)
    local back = witness.new(nodes[2], channel, since)
    back:has(second)
    back:await(numbers.last, numbers.ids)
    back:close()
    there:close()
    return there.gaps, back.gaps
  end

  local function names_of_nodes()
    return client:call("ZRANGE", key "nodes", 0, -1)
  end

  local function replace(name, ...)
    client:call("DEL", name)
    client:call(...)
  end

  it("has no gap without a fault", function()
    assert.same({ 0, 0 }, { survive(function() end) })
  end)

  -- ---- What is removed, and what has no room ---------------------------------------------------------------------------------

  it("has a gap for clients that come back, if a stream was trimmed", function()
    local there, back = survive(function(channel)
      client:call("XTRIM", key("s", channel), "MAXLEN", 0)
    end)
    assert.same({ 0, 0 }, { there, back }) -- the one that comes back has everything that was trimmed
    there, back = survive(function(channel, numbers)
      numbers:publish(nodes[1])
      client:call("XTRIM", key("s", channel), "MAXLEN", 0)
      numbers:publish(nodes[1])
      client:call("XDEL", key("s", channel), (numbers.ids[numbers.last]:gsub("^.*%-", "")) .. "-0")
      client:call("CLIENT", "KILL", "TYPE", "pubsub")
    end)
    assert.is_true(there <= 1)
    assert.equal(1, back)
  end)

  it("has a gap for all, if everything was deleted", function()
    local there, back = survive(function()
      client:call "FLUSHALL"
    end)
    assert.same({ 1, 1 }, { there, back })
  end)

  it("refuses publishes while it is full, and has no gap", function()
    local there, back = survive(function(channel, numbers)
      client:call("CONFIG", "SET", "maxmemory", "1")
      local status, body = witness.try_publish(nodes[2], channel, -1)
      local reader = witness.new(nodes[2], channel, numbers.ids[1])
      reader:has(1)
      reader:await(2, numbers.ids)
      reader:close()
      client:call("CONFIG", "SET", "maxmemory", "0")
      assert.equal(503, status, body)
    end)
    assert.same({ 0, 0 }, { there, back })
  end)

  -- ---- Garbage ----------------------------------------------------------------------------------------------------------------

  describe("and has garbage", function()
    local long = ("x"):rep(1 << 20)
    local far = "9999999999999999"
    local garbage = {
      ["in the place of the head"] = function()
        replace(key "h", "SET", key "h", "garbage")
      end,
      ["as the epoch"] = function()
        client:call("HSET", key "h", "epoch", "garbage!")
      end,
      ["as an epoch of a mebibyte"] = function()
        client:call("HSET", key "h", "epoch", long)
      end,
      ["as the position"] = function()
        client:call("HSET", key "h", "position", "garbage")
      end,
      ["as a position that is far ahead"] = function()
        client:call("HSET", key "h", "position", far)
      end,
      ["as the run"] = function()
        client:call("HSET", key "h", "run", long)
      end,
      ["as the log and the ordinal"] = function()
        client:call(
          "HSET",
          key "h",
          "log",
          long,
          "ordinal",
          "99999999999999999999",
          "run",
          "garbage"
        )
      end,
      ["in the place of a node"] = function()
        for _, name in ipairs(names_of_nodes()) do
          replace(key("n", name), "SET", key("n", name), "garbage")
        end
      end,
      ["in a node"] = function()
        for _, name in ipairs(names_of_nodes()) do
          client:call("HSET", key("n", name), "generation", long, "1", "garbage", "2", "2 " .. far)
        end
      end,
      ["in the place of the nodes"] = function()
        replace(key "nodes", "SET", key "nodes", "garbage")
      end,
      ["among the nodes"] = function()
        client:call("ZADD", key "nodes", "inf", long, "-inf", "garbage", "-1", "{mw}:h")
      end,
      ["in the place of what nodes report"] = function()
        replace(key "tops", "SET", key "tops", "garbage")
        client:call("HSET", key "h", "run", "garbage")
      end,
      ["among what nodes report"] = function()
        client:call("HSET", key "tops", "#", "garbage", "other", long)
        client:call("HSET", key "h", "run", "garbage")
      end,
      ["in the place of the owners that are dead"] = function()
        replace(key "dead", "SET", key "dead", "garbage")
      end,
      ["in the place of a mark"] = function(channel)
        replace(key("c", channel), "SET", key("c", channel), "garbage")
      end,
      ["as a mark"] = function(channel)
        client:call("HSET", key("c", channel), "last", "garbage", "ended", long)
      end,
      ["as a mark that is far ahead"] = function(channel)
        client:call("HSET", key("c", channel), "last", far, "ended", far)
      end,
      ["as a mark of 20 digits"] = function(channel)
        client:call("HSET", key("c", channel), "last", far .. far, "ended", far .. far)
      end,
      ["in the place of a stream"] = function(channel)
        replace(key("s", channel), "SET", key("s", channel), long)
      end,
      ["in a stream, far ahead"] = function(channel)
        client:call("XADD", key("s", channel), far .. "-1", "x", long)
      end,
      ["in a stream, at the end"] = function(channel)
        local newest = client:call("XREVRANGE", key("s", channel), "+", "-", "COUNT", 1)[1][1]
        client:call("XADD", key("s", channel), newest:gsub("%-0", "-5"), "m", long)
      end,
      ["as a stream"] = function(channel)
        local newest = client:call("XREVRANGE", key("s", channel), "+", "-", "COUNT", 1)[1][1]
        replace(key("s", channel), "XADD", key("s", channel), newest, "b", far, "m", "garbage")
      end,
      ["as a stream with a position of 20 digits"] = function(channel)
        local newest = client:call("XREVRANGE", key("s", channel), "+", "-", "COUNT", 1)[1][1]
        replace(key("s", channel), "XADD", key("s", channel), newest, "b", far .. far, "m", "")
      end,
      ["as a message"] = function(channel)
        client:call("PUBLISH", key("m", channel), long)
        client:call("PUBLISH", key("m", channel), "presence garbage")
      end,
      ["as a message that no node can read"] = function(channel)
        client:call("PUBLISH", key("m", channel), ("x"):rep(9 << 20))
      end,
      ["as a page"] = function()
        for _, name in ipairs(names_of_nodes()) do
          client:call("PUBLISH", key("b", name), "page garbage")
          client:call("PUBLISH", key("b", name), "members garbage")
          client:call("PUBLISH", key("b", name), long)
        end
      end,
      ["in the place of the commands"] = function()
        replace(key "x", "SET", key "x", "garbage")
        client:call("PUBLISH", key "x", long)
      end,
      ["in the place of all keys"] = function()
        for _, name in ipairs(client:call("KEYS", "{mw}:*")) do
          replace(name, "SET", name, "garbage")
        end
      end,
    }
    local names = {}
    for name in pairs(garbage) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      it(name, function()
        survive(garbage[name])
      end)
    end
  end)
end)
