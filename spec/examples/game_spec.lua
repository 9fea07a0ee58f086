-- examples/game, in memory.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local UP, LEFT, RIGHT, AWAY = 1, 4, 8, 16

local function key(digit)
  return digit:rep(32)
end

-- The bytes of a state, as the page reads them.
local function decode(bytes)
  local step, count, at = (">I4B"):unpack(bytes)
  local state = { step = step, stars = {}, moons = {} }
  for i = 1, count do
    local star = {}
    star.x, star.y, at = (">I2I2"):unpack(bytes, at)
    state.stars[i] = star
  end
  while at <= #bytes do
    local moon, slot = {}
    slot, moon.x, moon.y, moon.score, moon.keys, at = (">BI2I2BB"):unpack(bytes, at)
    state.moons[slot] = moon
  end
  return state
end

describe("examples/game under test", function()
  local server

  before_each(function()
    server = testing.start "examples/game/app.lua"
  end)
  after_each(testing.stop_all)

  local function watch(name)
    return server:connect { channels = { "game" }, name = name }
  end

  local function play(name, digit)
    local client = watch(name)
    return client, client:send("game", "enter", key(digit)).slot
  end

  local function steer(client, keys)
    client:send("game", "steer", string.char(keys), { binary = true })
  end

  -- The newest state that the client has received.
  local function newest(client)
    local messages = client:take_all()
    for i = #messages, 1, -1 do
      if messages[i].event == "state" then
        return decode(messages[i].binary), messages
      end
    end
  end

  it("publishes twenty states a second, with all players and stars", function()
    local ann, ben = play("Ann", "a"), play("Ben", "b")
    ann:take_all()
    server:advance(1)
    local state, messages = newest(ann)
    assert.equal(20, #messages)
    assert.equal("state", messages[1].event)
    assert.same({ 8, 2 }, { #state.stars, #state.moons })
    assert.same(state, (newest(ben)))
  end)

  it("moves a moon where its player steers it, and nobody else's", function()
    local ann, slot = play("Ann", "a")
    local _, other = play("Ben", "b")
    server:advance(0.1)
    local before = newest(ann)
    steer(ann, before.moons[slot].x > 600 and LEFT or RIGHT)
    server:advance(0.5)
    local after = newest(ann)
    assert.is_true(math.abs(after.moons[slot].x - before.moons[slot].x) > 50)
    assert.equal(before.moons[slot].y, after.moons[slot].y)
    assert.same(before.moons[other], after.moons[other])
  end)

  it("counts stars, and ends a round at fifteen", function()
    local ann, slot = play("Ann", "a")
    local won
    for _ = 1, 4000 do
      server:advance(0.05)
      for _, message in ipairs(ann:take_all()) do
        if message.event == "won" then
          won = message.data.slot
        else
          local state = decode(message.binary)
          local moon, keys = state.moons[slot], 0
          local star = state.stars[1]
          keys = keys | (star.x < moon.x - 20 and LEFT or star.x > moon.x + 20 and RIGHT or 0)
          keys = keys | (star.y < moon.y - 20 and UP or star.y > moon.y + 20 and 2 or 0)
          if keys ~= moon.keys then
            steer(ann, keys)
          end
        end
      end
      if won then
        break
      end
    end
    assert.equal(slot, won)
    server:advance(0.05)
    assert.is_true(newest(ann).moons[slot].score < 15)
  end)

  it("keeps the moon of a player that reconnects within 30 seconds", function()
    local ann, slot = play("Ann", "a")
    local ben = watch "Ben"
    steer(ann, RIGHT)
    ann:disconnect()
    server:advance(20)
    local state = newest(ben)
    assert.equal(AWAY, state.moons[slot].keys)
    local again
    again, slot = play("Ann again", "a")
    server:advance(0.05)
    assert.equal(state.moons[slot].x, newest(again).moons[slot].x)
    again:disconnect()
    server:advance(31)
    assert.is_nil(newest(ben).moons[slot])
  end)

  it("lets a player enter twice with one key, since a page repeats what had no answer", function()
    local ann, slot = play("Ann", "a")
    local ben = watch "Ben"
    assert.equal(slot, ann:send("game", "enter", key "a").slot)
    ann:disconnect()
    server:advance(0.1)
    assert.equal(AWAY, newest(ben).moons[slot].keys)
  end)

  it("has room for 24, and for others who watch", function()
    for i = 1, 24 do
      server:connect({ channels = { "game" } }):send("game", "enter", ("%032x"):format(i))
    end
    local late = watch "late"
    assert.equal("full", select(3, late:try_send("game", "enter", key "f")))
    server:advance(0.05)
    assert.equal(24, #newest(late).moons)
  end)

  it("refuses what is no key, and ignores what is no byte", function()
    local eve = watch "Eve"
    for _, bad in ipairs { "", ("z"):rep(32), 7, ("a"):rep(33), moonwire.null, { 1 } } do
      assert.equal("bad_key", select(3, eve:try_send("game", "enter", bad)))
    end
    assert.equal("too_large", select(3, eve:try_send("game", "enter", ("a"):rep(1000))))
    steer(eve, RIGHT) -- has not entered
    eve:send("game", "enter", key "e")
    assert.equal("bad_key", select(3, eve:try_send("game", "enter", key "f")))
    eve:send("game", "steer", "\255\255", { binary = true })
    eve:send("game", "steer", { "left" })
    server:advance(0.05)
    assert.equal(0, newest(eve).moons[1].keys)
    for _ = 1, 100 do
      eve:try_send("game", "steer", "\1", { binary = true })
    end
    assert.equal("rate_limited", select(3, eve:try_send("game", "steer", "\1", { binary = true })))
  end)
end)
