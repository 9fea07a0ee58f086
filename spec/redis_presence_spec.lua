-- The scripts with which the broker counts members over all nodes (csrc/broker/scripts), one by one, in a real Redis.

local redis = require "spec.support.redis"
local scripts = require "spec.support.redis_scripts"

local key = scripts.key

describe("presence in Redis", function()
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

  local function started(name)
    local node = scripts.node(client, name)
    node:register()
    return node
  end

  it("counts a user once, on however many nodes it is", function()
    local a, b = started "a", started "b"
    local listener = subscribe "c"
    local first = a:presence("c", { { "+", "u", "{}" }, { "+", "v", '{"n":1}' } })
    assert.same({ "OK", 2 }, { first[1], first[3] })
    assert.equal(2, b:presence("c", { { "+", "u", "other" } })[3])
    assert.equal(2, a:presence("c", { { "-", "u" } })[3])
    assert.equal(2, a:presence("c", { { "-", "u" } })[3]) -- again, without effect
    assert.equal(1, b:presence("c", { { "-", "u" }, { "+", "#", "x" }, { "-", "#" } })[3])
    local joined = scripts.read_announcement(listener:receive()[3])
    assert.same(
      { "+u={}", '+v={"n":1}', epoch = "epoch1", number = first[2], before = "0", count = "2" },
      joined
    )
    local left = scripts.read_announcement(listener:receive()[3])
    assert.same({ "-u" }, { table.unpack(left) })
    assert.same({ joined.number, "1" }, { left.before, left.count })
    assert.is_true(tonumber(left.number) > tonumber(joined.number))
    listener:close()
    assert.same({
      status = "OK",
      number = left.number,
      count = 1,
      is_listed = true,
      users = { v = '{"n":1}' },
    }, a:members "c")
    for _, more in ipairs { a:members("c", 0), a:members("c", 1, 5) } do
      assert.same({ 1, false, nil }, { more.count, more.is_listed, next(more.users) })
    end
  end)

  it("refuses members beyond the limit of all nodes", function()
    local a, b = started "a", started "b"
    assert.equal(2, a:presence("c", { { "+", "1" }, { "+", "2" } }, { most = 2 })[3])
    local reply = b:presence("c", { { "+", "3" }, { "+", "1" }, { "+", "4" } }, { most = 2 })
    assert.same({ "OK", 2, "3", "4" }, { reply[1], reply[3], reply[4], reply[5] })
    reply = a:presence("c", { { "-", "2" }, { "+", "5" } }, { most = 2 })
    assert.same({ 2, nil }, { reply[3], reply[4] })
    -- those that were members before are counted again, for another owner
    b.owner = 2
    reply = b:presence("c", { { "!", "6" }, { "+", "7" } }, { most = 2 })
    assert.same({ 3, "7" }, { reply[3], reply[4] })
  end)

  it("is refused by another Redis, and after its node was removed", function()
    local a = started "a"
    a.generation = "g2"
    assert.same({ "STALE" }, a:presence("c", { { "+", "1" } }))
    a.run = "another"
    assert.same({ "FENCED" }, a:presence("c", { { "+", "1" } }))
    assert.equal("FENCED", a:members("c").status)
    assert.same({ "FENCED" }, a:reap(1))
    assert.equal(0, client:call("EXISTS", key("pu", "c")))
  end)

  it("lets the users of a dead node leave, in one announcement a channel", function()
    local a, b = started "a", started "b"
    local changes = {}
    for i = 1, 300 do
      changes[i] = { "+", "u" .. i, "{}" }
    end
    b:presence("c", changes)
    b:presence("d", { { "+", "x" } })
    a:presence("c", { { "+", "u1", "{}" }, { "+", "u2", "{}" } })
    local listener = subscribe "c"
    client:call("ZADD", key "nodes", 1, "b")
    assert.equal(1, a:ring()[3])
    assert.equal(0, client:call("EXISTS", key("n", "b"), key("no", "b")))
    local calls = 0
    repeat
      local reply = a:reap(1)
      assert.equal("OK", reply[1])
      calls = calls + 1
    until reply[2] == 0
    assert.equal(2, calls)
    local left = scripts.read_announcement(listener:receive()[3])
    assert.same({ 298, "2" }, { #left, left.count })
    listener:close()
    assert.same({ u1 = "{}", u2 = "{}" }, a:members("c").users)
    assert.equal(0, a:members("d").count)
    assert.same({}, client:call("KEYS", key("pn", "b") .. "*"))
    -- it comes back under another generation, which the reaper does not touch
    b.generation, b.owner = "g2", 2
    b:register()
    assert.equal(3, b:presence("c", { { "+", "u9", "{}" } })[3])
  end)

  it("keeps the members of a node that finds Redis again later than the others", function()
    local a, b = started "a", started "b"
    a:presence("c", { { "+", "u", "{}" } })
    b:presence("c", { { "+", "v", "{}" } })
    local connected = { known_run = "earlier", known_epoch = "epoch1" }
    client:call("HSET", key "h", "run", connected.known_run)
    client:call("ZADD", key "nodes", 1, "a", 1, "b") -- Redis was away for longer than expiry_seconds
    assert.equal("OK", a:hello(connected)[1])
    assert.equal(0, a:ring()[3])
    assert.equal("OK", b:hello(connected)[1])
    assert.equal("OK", b:presence("c", { { "+", "w", "{}" } })[1])
    assert.same({ u = "{}", v = "{}", w = "{}" }, a:members("c").users)
    -- if it does not come back, it is dead later
    assert.is_true(tonumber(client:call("ZSCORE", key "nodes", "b")) > os.time() * 1000)
    client:call("ZADD", key "nodes", 1, "b")
    assert.equal(1, a:ring()[3])
  end)

  it("counts what is there after another program has removed users", function()
    local a = started "a"
    a:presence("c", { { "+", "u" }, { "+", "v" } })
    local listener = subscribe "c"
    client:call("DEL", key("pu", "c"))
    assert.equal(0, a:presence("c", { { "-", "u" } })[3])
    assert.equal("0", scripts.read_announcement(listener:receive()[3]).count)
    listener:close()
  end)

  it("begins again with its numbers after the last one that is exact", function()
    local a = started "a"
    client:call("SET", key("pv", "c"), "9007199254740991") -- 2^53 - 1
    local listener = subscribe "c"
    for i, before in ipairs { "9007199254740991", "0" } do
      a:presence("c", { { "+", "u" .. i } })
      assert.equal(before, scripts.read_announcement(listener:receive()[3]).before)
    end
    listener:close()
    assert.equal(client:call("GET", key("pv", "c")), a:members("c").number)
    client:call("SET", key("pv", "c"), "9007199254740992")
    assert.equal("0", a:members("c").number)
  end)

  it("leaves the members of a node that stops to the others", function()
    local a, b = started "a", started "b"
    a:presence("c", { { "+", "u", "{}" } })
    b:presence("c", { { "+", "u", "{}" }, { "+", "v", "{}" } })
    assert.same({ "OK" }, b:goodbye())
    assert.same({ "STALE" }, b:presence("c", { { "+", "w", "{}" } }))
    assert.same({ "OK", 0 }, a:reap(100))
    assert.same({ u = "{}" }, a:members("c").users)
  end)
end)
