-- The scripts with which the broker orders messages and recovers (csrc/broker/scripts), one by one, in a real Redis.

local redis = require "spec.support.redis"
local scripts = require "spec.support.redis_scripts"

local key = scripts.key

describe("a script of the broker", function()
  local instance, client

  local function subscribe(channel)
    return scripts.subscribe(instance, "m", channel)
  end

  setup(function()
    instance = redis.start()
    client = instance:connect()
  end)

  teardown(function()
    client:close()
    instance:remove()
  end)

  before_each(scripts.new_prefix)

  local function started(name, more)
    local node = scripts.node(client, name, more)
    assert.equal("OK", node:hello()[1])
    return node
  end

  -- ---- Publish --------------------------------------------------------------------------------------------------------------

  it("orders messages, keeps them, and publishes them", function()
    local node = started "a"
    local listener = subscribe "c"
    local first = node:order("c", "one")
    local other = node:order("d", "other")
    local second = node:order("c", "t\0wo\r\n\xff")
    assert.is_true(tonumber(first) < tonumber(other) and tonumber(other) < tonumber(second))
    assert.matches("^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d$", first)
    assert.matches("^epoch1 " .. first .. " ~%d+\none$", listener:receive()[3])
    assert.equal("epoch1 " .. second .. " " .. first .. "\nt\0wo\r\n\xff", listener:receive()[3])
    listener:close()
    local page = node:page("c", "+", 0, 10)
    assert.same({ second, "0" }, { page.last, page.more })
    assert.same({ first, "one" }, { page[1][1], page[1][3] })
    assert.same({ second, first, "t\0wo\r\n\xff" }, page[2])
    page = node:page("c", "+", first, 10)
    assert.same({ { second, first, "t\0wo\r\n\xff" } }, { table.unpack(page) })
    page = node:page("c", "-", 0, 1)
    assert.same({ second, "1" }, { page[1][1], page.more })
  end)

  it("is refused by another Redis than it expects, and after its node was removed", function()
    local node = started "a"
    local first = node:order("c", "one")
    assert.same({ "FENCED" }, node:publish("c", "two", { run = "another" }))
    assert.same({ "STALE" }, node:publish("c", "two", { generation = "g2" }))
    assert.same({ "STALE" }, scripts.node(client, "unknown"):publish("c", "two"))
    assert.same(
      { "FENCED" },
      scripts.run(client, "page", { key "h" }, { "another", "p", scripts.MARK_TTL_S, 1000 })
    )
    assert.equal(first, client:call("HGET", key "h", "position"))
    assert.equal(1, client:call("XLEN", key("s", "c")))
  end)

  it("orders a message once, however often it is sent", function()
    local node = started "a"
    local listener = subscribe "c"
    local first = node:order("c", "one", { seq = 1 })
    local second = node:order("c", "two", { seq = 2 })
    assert.same({ first, second, first }, {
      node:order("c", "one", { seq = 1 }),
      node:order("c", "two", { seq = 2 }),
      node:order("c", "one", { seq = 1 }),
    })
    assert.equal(2, client:call("XLEN", key("s", "c")))
    -- 1,024 later, the place is that of another message
    local later = node:order("c", "later", { seq = 1025 })
    assert.not_equal(first, later)
    listener:receive()
    listener:receive()
    assert.matches("later$", listener:receive()[3])
    listener:close()
  end)

  it("orders a message once for an idempotency key, on all nodes", function()
    local a, b = started "a", started "b"
    local first = a:order("c", "one", { key = "k" })
    assert.equal(first, b:order("c", "again", { key = "k" }))
    assert.equal(first, b:order("c", "again", { key = "k", seq = b.seq }))
    assert.not_equal(first, b:order("c", "other", { key = "l" }))
    assert.equal(2, client:call("XLEN", key("s", "c")))
    assert.is_true(client:call("TTL", key("i", "k")) > 200)
  end)

  it("keeps as many messages as the channel's history has, and states what is gone", function()
    local node = started "a"
    local positions = {}
    for i = 1, 5 do
      positions[i] = node:order("c", "m" .. i, { size = 3 })
    end
    local page = node:page("c", "+", 0, 10)
    assert.same({ positions[2], positions[5] }, { page.gone, page.last })
    assert.equal(3, #page)
    assert.same({ positions[3], positions[2], "m3" }, page[1])
    -- nothing is kept, but the position is known
    local volatile = node:order("n", "x", { size = 0 })
    page = node:page("n", "+", 0, 10)
    assert.same({ volatile, volatile, 0 }, { page.gone, page.last, #page })
  end)

  it("drops messages that are older than the channel's ttl", function()
    local node = started "a"
    local first = node:order("c", "old", { ttl = 50 })
    require("socket").sleep(0.1)
    local second = node:order("c", "new", { ttl = 60000 })
    local page = node:page("c", "+", 0, 10)
    assert.same({ first, 1 }, { page.gone, #page })
    assert.equal(second, page[1][1])
    assert.is_true(client:call("PTTL", key("s", "c")) > 0)
    node:order("c", "for ever")
    assert.equal(-1, client:call("PTTL", key("s", "c")))
  end)

  it("knows that a channel has ended, until there is a new message", function()
    local node = started "a"
    local final = node:order("c", "last", { final = true })
    assert.equal(final, node:page("c", "+", 0, 10).ended)
    node:order("c", "again")
    assert.equal("0", node:page("c", "+", 0, 10).ended)
  end)

  it("has no gap in a channel whose mark has expired", function()
    local node = started "a"
    node:order("c", "one", { size = 0 })
    client:call("DEL", key("c", "c")) -- as its expiry does
    local page = node:page("c", "+", 0, 10)
    local now = client:call "TIME"
    -- nothing is gone but what may be older than a day
    local day_ago = (tonumber(now[1]) - 24 * 3600) * 1000 * 2048
    assert.is_true(tonumber(page.gone) <= day_ago + 60 * 1000 * 2048)
    assert.is_true(tonumber(page.gone) > day_ago - 60 * 1000 * 2048)
    local listener = subscribe "c"
    node:order("c", "two")
    assert.matches("^epoch1 %d+ ~%d+\n", listener:receive()[3])
    listener:close()
  end)

  it("empties a record that no node could read", function()
    local node = started "a"
    local first = node:order("c", "one")
    local position = node:order("other", "two")
    client:call("XADD", key("s", "c"), position .. "-0", "b", first, "m", ("x"):rep((6 << 20) + 1))
    local page = node:page("c", "+", 0, 10)
    assert.same({ first, "one" }, { page[1][1], page[1][3] })
    assert.same({ position, first, "" }, page[2])
  end)

  it("takes a record of one mebibyte, and pages of bounded size", function()
    local node = started "a"
    local record = ("r"):rep(1 << 20)
    node:order("c", record)
    node:order("c", record)
    local page = node:page("c", "+", 0, 10)
    assert.same({ 1, "1" }, { #page, page.more }) -- at least one
    assert.is_true(page[1][3] == record)
    page = node:page("c", "+", page[1][1], 10)
    assert.same({ 1, "0" }, { #page, page.more })
  end)

  it("has exact positions up to 2^53", function()
    local node = started "a"
    client:call("HSET", key "h", "position", "9007199254740988")
    assert.equal("9007199254740989", node:order("c", "x"))
    assert.equal("9007199254740990", node:order("c", "y"))
    local page = node:page("c", "+", "9007199254740989", 10)
    assert.same({ "9007199254740990", "9007199254740990" }, { page.position, page[1][1] })
  end)

  -- ---- What others do to Redis ----------------------------------------------------------------------------------------------

  it("is refused whole by a full Redis", function()
    local node = started "a"
    local first = node:order("c", "one")
    local listener = subscribe "c"
    client:call("CONFIG", "SET", "maxmemory", "1")
    local refused = node:publish("c", "two")
    local presence = node:presence("c", { { "+", "u", "{}" } })
    client:call("PUBLISH", key("m", "c"), "volatile")
    client:call("CONFIG", "SET", "maxmemory", "0")
    assert.matches("OOM", refused.err)
    assert.matches("OOM", presence.err)
    assert.equal("volatile", listener:receive()[3])
    listener:close()
    assert.equal(first, client:call("HGET", key "h", "position"))
    assert.same(
      { 1, 0 },
      { client:call("XLEN", key("s", "c")), client:call("EXISTS", key("pu", "c")) }
    )
    assert.equal("OK", node:publish("c", "two", { seq = node.seq })[1])
  end)

  it("finds that everything was removed (FLUSHALL)", function()
    local node = started "a"
    local position = node:order("c", "one")
    for _, name in ipairs(client:call("KEYS", key "" .. "*")) do
      client:call("DEL", name)
    end
    assert.same({ "FENCED" }, node:publish("c", "two"))
    local reply =
      node:hello { known_run = node.run, known_epoch = "epoch1", seen = position, epoch = "epoch2" }
    assert.same({ "OK", "epoch2" }, { reply[1], reply[2] })
    assert.is_true(tonumber(reply[3]) > tonumber(position))
    assert.is_true(tonumber(node:order("c", "two")) > tonumber(reply[3]))
  end)

  it("states what is gone of a stream that others have trimmed or removed", function()
    local node = started "a"
    local positions = {}
    for i = 1, 4 do
      positions[i] = node:order("c", "m" .. i)
    end
    client:call("XTRIM", key("s", "c"), "MAXLEN", 1)
    local page = node:page("c", "+", 0, 10)
    assert.same({ positions[3], positions[4] }, { page.gone, page[1][1] })
    client:call("XDEL", key("s", "c"), positions[4] .. "-0")
    page = node:page("c", "+", 0, 10)
    assert.same({ positions[4], 0 }, { page.gone, #page })
    client:call("DEL", key("s", "c"))
    assert.equal(positions[4], node:page("c", "+", 0, 10).gone)
    local listener = subscribe "c"
    local fifth = node:order("c", "m5")
    assert.equal("epoch1 " .. fifth .. " " .. positions[4] .. "\nm5", listener:receive()[3])
    listener:close()
  end)

  it("removes what others have written under its keys, and has a gap", function()
    local node = started "a"
    for _, garbage in ipairs {
      { "SET", key("s", "c"), "garbage" },
      { "XADD", key("s", "c"), "9000000000000000-0", "x", "y" },
      { "XADD", key("s", "c"), "*", "x", "y" },
      { "SET", key("c", "c"), "garbage" },
      { "HSET", key("c", "c"), "last", "garbage" },
    } do
      local first = node:order("c", "one")
      client:call("DEL", garbage[2])
      client:call(table.unpack(garbage))
      local page = node:page("c", "+", 0, 10)
      assert.is_true(tonumber(page.gone) >= tonumber(first))
      local second = node:order("c", "two")
      page = node:page("c", "+", 0, 10)
      assert.same({ second, "two" }, { page[#page][1], page[#page][3] })
      assert.is_true(tonumber(page.gone) >= tonumber(first))
    end
  end)

  -- ---- Nodes ----------------------------------------------------------------------------------------------------------------

  it("begins one epoch for all nodes, and goes on in it", function()
    local a, b = scripts.node(client, "a"), scripts.node(client, "b")
    local first, second = a:hello(), b:hello { epoch = "epoch2" }
    assert.same({ "OK", "epoch1" }, { first[1], first[2] })
    assert.same({ table.unpack(first, 1, 3) }, { table.unpack(second, 1, 3) })
    local position = a:order("c", "one")
    local again = a:hello { known_run = a.run, known_epoch = "epoch1", seen = position }
    assert.same({ "OK", "epoch1", position }, { table.unpack(again, 1, 3) })
  end)

  it("removes nodes without a heartbeat, and rings the bell of its own", function()
    local a = started "a"
    local b = scripts.node(client, "b")
    b:hello { expiry_ms = 0 }
    require("socket").sleep(0.01)
    local reply, bell = a:ring()
    assert.same({ "OK", 1, 0 }, reply)
    local epoch, position = bell:match "^bell 5 (%S+) (%d+)$"
    assert.equal("epoch1", epoch)
    assert.equal(position, client:call("HGET", key "h", "position"))
    assert.same({ "STALE" }, b:publish("c", "x"))
    b.generation = "g2"
    assert.equal("OK", b:hello({ known_run = b.run, known_epoch = "epoch1" })[1])
    assert.equal("OK", b:publish("c", "x")[1])
    assert.same({ "FENCED" }, a:ring { run = "another" })
    assert.same({ "STALE" }, a:ring { generation = "g9" })
  end)

  it("does not return to an epoch that it has forgotten", function()
    local a = started "a"
    local reply =
      a:hello { known_run = a.run, known_epoch = "later", ordinal = 2, epoch = "epoch3" }
    assert.same({ "OK", "epoch3", 3 }, { reply[1], reply[2], reply[5] })
    reply = a:hello { known_run = a.run, known_epoch = "epoch3", ordinal = 3 }
    assert.same({ "epoch3", 3 }, { reply[2], reply[5] })
  end)

  -- ---- Commands to all nodes ------------------------------------------------------------------------------------------------

  it("keeps the newest commands, each once, and names the one before", function()
    local node = started "a"
    local listener = scripts.subscribe(instance, "x")
    for seq = 1, 4 do
      assert.same({ "OK" }, node:control(seq, "command " .. seq))
      assert.same({ "OK" }, node:control(seq, "again"))
    end
    local told = {}
    for i = 1, 4 do
      told[i] = listener:receive()[3] .. "-0"
    end
    listener:close()
    local entries = client:call("XRANGE", key "x", "-", "+")
    assert.equal(3, #entries)
    for i, entry in ipairs(entries) do
      assert.same({ "o", "a", "m", "command " .. i + 1 }, { table.unpack(entry[2], 3) })
      assert.equal(told[i + 1], entry[1])
    end
    assert.equal(entries[1][1], entries[2][2][2] .. "-0")
    local position = client:call("HGET", key "h", "position")
    assert.equal(entries[3][1], position .. "-0")
    assert.is_true(tonumber(node:order("c", "x")) > tonumber(position))
    node.generation = "g9"
    assert.same({ "STALE" }, node:control(5, "x"))
    node.run = "another"
    assert.same({ "FENCED" }, node:control(5, "x"))
  end)

  -- ---- Restarts -------------------------------------------------------------------------------------------------------------

  describe("after a restart", function()
    local other, connection

    local function begin(options)
      other = redis.start(options)
      connection = other:connect()
    end

    local function restart()
      connection:close()
      other:kill()
      other:start()
      connection = other:connect()
    end

    after_each(function()
      connection:close()
      other:remove()
    end)

    it("goes on in the same epoch, if nothing was lost", function()
      begin "--appendonly yes --appendfsync always"
      local node = scripts.node(connection, "a")
      node:hello()
      local position = node:order("c", "one")
      restart()
      local before = node.run
      node.client = connection
      node.run = redis.run_id(connection)
      assert.not_equal(before, node.run)
      assert.same({ "FENCED" }, node:publish("c", "two"))
      local reply =
        node:hello { known_run = before, known_epoch = "epoch1", seen = position, epoch = "epoch2" }
      assert.same({ "OK", "epoch1" }, { reply[1], reply[2] })
      local second = node:order("c", "two")
      local page = node:page("c", "+", 0, 10)
      assert.same({ position, second }, { page[1][1], page[2][1] })
    end)

    it("waits for the other nodes, and begins a new epoch if one of them has seen more", function()
      begin()
      local a, b = scripts.node(connection, "a"), scripts.node(connection, "b")
      a:hello()
      b:hello()
      local position = a:order("c", "one")
      connection:call "SAVE"
      local lost = a:order("c", "two")
      restart()
      local before = a.run
      for _, node in ipairs { a, b } do
        node.client, node.run = connection, redis.run_id(connection)
      end
      local knows =
        { known_run = before, known_epoch = "epoch1", epoch = "epoch2", recover_ms = 60000 }
      knows.seen = position
      assert.same({ "WAIT" }, b:hello(knows))
      knows.seen = lost
      local reply = a:hello(knows)
      assert.same({ "OK", "epoch2" }, { reply[1], reply[2] })
      assert.is_true(tonumber(reply[3]) > tonumber(lost))
      knows.seen = position
      reply = b:hello(knows)
      assert.same({ "OK", "epoch2" }, { reply[1], reply[2] })
    end)

    it("catches a node that looks late, when others have gone beyond what it has seen", function()
      begin()
      local a, b = scripts.node(connection, "a"), scripts.node(connection, "b")
      a:hello()
      b:hello()
      local position = a:order("c", "three")
      connection:call "SAVE"
      a:order("c", "four")
      local lost = a:order("c", "five")
      restart()
      local before = a.run
      for _, node in ipairs { a, b } do
        node.client, node.run = connection, redis.run_id(connection)
      end
      -- b does not wait for a, and goes on
      local reply =
        b:hello { known_run = before, known_epoch = "epoch1", seen = position, epoch = "epoch2" }
      assert.same({ "OK", "epoch1" }, { reply[1], reply[2] })
      for i = 1, 3 do
        assert.is_true(tonumber(b:order("c", "other" .. i)) > tonumber(lost))
      end
      reply = a:hello { known_run = before, known_epoch = "epoch1", seen = lost, epoch = "epoch3" }
      assert.same({ "OK", "epoch3" }, { reply[1], reply[2] })
    end)
  end)
end)
