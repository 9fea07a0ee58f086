-- examples/chat, in memory.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function key(digit)
  return digit:rep(32)
end

describe("examples/chat under test", function()
  local server

  before_each(function()
    server = testing.start "examples/chat/app.lua"
  end)
  after_each(testing.stop_all)

  local function enter(digit, name, options)
    local given = { token = key(digit) .. ":" .. name, channels = { "room:hall" }, name = name }
    for option, value in pairs(options or {}) do
      given[option] = value
    end
    return server:connect(given)
  end

  for _, transport in ipairs { "websocket", "sse", "poll" } do
    it("is two people talking, over " .. transport, function()
      local ann = enter("a", "Ann", { transport = transport })
      local ben = enter("b", "Ben", { transport = transport })
      assert.same({ you = "u1" }, ann.channels["room:hall"].data)
      local acknowledgement = ann:send("room:hall", "say", { text = "Is anybody here?" })
      local line = ben:take "said"
      assert.equal(acknowledgement.id, line.id)
      assert.same({ id = "u1", name = "Ann" }, line.data.from)
      assert.equal("Is anybody here?", line.data.text)
      ben:send("room:hall", "typing")
      assert.equal("u2", ann:take("typing").from)
      ben:expect_nothing "typing"
    end)
  end

  it("shows each person once, however many windows", function()
    local ann = enter("a", "Ann")
    local ben, other = enter("b", "Ben"), enter("b", "Ben")
    server:advance(1)
    local members, count = ann:members "room:hall"
    assert.same({ u1 = { name = "Ann" }, u2 = { name = "Ben" } }, members)
    assert.equal(2, count)
    ben:disconnect()
    server:advance(60)
    assert.equal(2, select(2, ann:members "room:hall"))
    ann:take_all()
    other:disconnect()
    server:advance(5)
    other:return_with_last_id()
    server:advance(60)
    ann:expect_nothing() -- within LINGER nobody notices
    other:disconnect()
    server:advance(8)
    assert.same({ "u2" }, ann:take("moonwire:presence").data.left)
  end)

  it("keeps a name for whoever has it", function()
    local ann = enter("a", "Ann")
    local function refused(digit, name)
      return select(2, server:try_connect { token = key(digit) .. ":" .. name })
    end
    assert.equal("this name is taken", refused("c", "ann"))
    assert.equal("a name has 1 to 24 characters", refused("c", ("x"):rep(25)))
    assert.equal("a name has 1 to 24 characters", refused("c", "  "))
    assert.equal(
      "a name has 1 to 24 characters",
      select(2, server:try_connect { token = "zz:Eve" })
    )
    ann:disconnect()
    assert.equal("this name is taken", refused("c", "Ann"))
    -- the app knows by os.time how long nobody has used a name
    local time = os.time
    os.time = function() -- luacheck: ignore 122
      return math.floor(server:time())
    end
    finally(function()
      os.time = time -- luacheck: ignore 122
    end)
    server:advance(700)
    assert.is_nil(refused("c", "Ann"))
  end)

  it("whispers to all windows of two people, and to nobody else", function()
    local ann, eve = enter("a", "Ann"), enter("e", "Eve")
    local ben, other = enter("b", "Ben"), enter("b", "Ben")
    ann:send("room:hall", "whisper", { to = ben.channels["room:hall"].data.you, text = "psst" })
    for _, client in ipairs { ann, ben, other } do
      local line = client:take("whispered").data
      assert.same({ "psst", "Ben" }, { line.text, line.to.name })
    end
    eve:expect_nothing "whispered"
    server:publish("room:hall", "said", {})
    ann:disconnect()
    ann:return_with_last_id()
    ann:expect_nothing "whispered"
    assert.equal(
      "gone",
      select(3, ann:try_send("room:hall", "whisper", { to = "u99", text = "psst" }))
    )
  end)

  it("refuses what is no message, no room, and no name", function()
    local ann = enter("a", "Ann")
    for _, text in ipairs { "", "  ", "\7", ("x"):rep(2001), 7, moonwire.null } do
      assert.equal("bad_text", select(3, ann:try_send("room:hall", "say", { text = text })))
    end
    ann:send("room:hall", "say", { text = ("ü"):rep(2000) })
    assert.equal("forbidden", select(3, ann:try_subscribe "room:no spaces"))
    assert.equal("unauthorized", select(3, server:try_connect { channels = { "room:hall" } }))
    assert.equal("unknown_event", select(3, ann:try_send("room:hall", "shout", {})))
  end)

  it("remembers: fifty lines at once, older ones when asked", function()
    local ann = enter("a", "Ann")
    for i = 1, 120 do
      ann:send("room:hall", "say", { text = tostring(i) })
    end
    local ben = enter("b", "Ben")
    assert.equal("71", ben:take("said").data.text)
    local lines = ben:take_all()
    assert.equal("120", lines[#lines].data.text)
    local older, more = ben:history("room:hall", { limit = 100 })
    assert.same({ "21", true }, { older[1].data.text, more })
    assert.equal("said", older[1].event)
    server:advance(25 * 3600)
    assert.same({}, (ben:history "room:hall"))
  end)

  it("is part of the demo", function()
    server:stop()
    server = testing.start "examples/demo.lua"
    local ann = enter("a", "Ann")
    assert.is_string(ann:send("room:hall", "say", { text = "hello" }).id)
    for _, path in ipairs { "/", "/chat/", "/ticker/" } do
      assert.matches("<!doctype html>", server:request("GET", path).body, path)
    end
    ann:subscribe "price:BTC"
    assert.equal("BTC", ann:take("tick").data.symbol)
  end)
end)
