-- examples/tracking, in memory.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

describe("examples/tracking under test", function()
  local server
  local time = os.time

  before_each(function()
    server = testing.start "examples/tracking/app.lua"
    os.time = function() -- luacheck: ignore 122
      return math.floor(server:time())
    end
  end)
  after_each(function()
    os.time = time -- luacheck: ignore 122
    testing.stop_all()
  end)

  local function order(place)
    local response = server:request("POST", "/orders", { body = { place = place } })
    assert.equal(201, response.status)
    return "delivery:" .. response:json().code
  end

  for _, transport in ipairs { "sse", "websocket", "poll" } do
    it("follows a delivery to its end, over " .. transport, function()
      local channel = order(3)
      local page = server:connect { channels = { channel }, transport = transport }
      local route = page.channels[channel].data.route
      local last = page:take("position").data
      assert.equal("packing", last.state)
      local states = { packing = 1, driving = 2, delivered = 3 }
      for _ = 1, 300 do
        server:advance(1)
        for _, message in ipairs(page:take_all()) do
          if message.event == "position" then
            assert.is_true(message.data.gone >= last.gone and message.data.left <= last.left)
            assert.is_true(states[message.data.state] >= states[last.state])
            last = message.data
          end
        end
        if last.state == "delivered" then
          break
        end
      end
      assert.same({ "delivered", 0 }, { last.state, last.left })
      assert.same(route.points[#route.points], { math.floor(last.x), math.floor(last.y) })
      server:advance(10)
      page:expect_nothing()
    end)
  end

  it("shows a late page the result, once", function()
    local channel = order(1)
    server:advance(600)
    for _ = 1, 2 do
      local late = server:connect { channels = { channel }, transport = "sse" }
      assert.equal("delivered", late:take("position").data.state)
      late:take "moonwire:end"
      late:expect_nothing()
    end
  end)

  it("knows a delivery after a restart", function()
    local channel = order(5)
    local page = server:connect { channels = { channel }, transport = "sse" }
    server:advance(12)
    local before = page:take_all()
    before = before[#before].data
    local clock = server:time()
    server:stop()
    server = testing.start "examples/tracking/app.lua"
    os.time = function() -- luacheck: ignore 122
      return math.floor(clock) + 1
    end
    local again = server:connect { channels = { channel }, transport = "sse" }
    local after = again:take("position").data
    assert.is_true(after.gone >= before.gone and after.gone < before.gone + 60)
  end)

  it("refuses what was not ordered", function()
    local now = math.floor(server:time())
    for _, code in ipairs {
      "",
      "x",
      "1-2-3",
      ("%08x-9"):format(now),
      ("%08x-1"):format(now + 60),
      ("%08x-1"):format(now - 4000),
      ("%08x-1 "):format(now),
      "<script>",
      ("f"):rep(200),
    } do
      assert.is_nil((server:try_connect { channels = { "delivery:" .. code } }), code)
    end
    for _, body in ipairs {
      "",
      "{",
      "[]",
      "7",
      '{"place":0}',
      '{"place":"3"}',
      '{"place":{}}',
      '{"place":1e999}',
    } do
      assert.equal(400, server:request("POST", "/orders", { body = body }).status, body)
    end
    assert.equal(
      400,
      server:request("POST", "/orders", { body = { place = moonwire.null } }).status
    )
  end)

  it("has a town in which every place can be reached", function()
    local town = server:request("GET", "/town"):json()
    assert.equal(8, #town.places)
    for place = 1, #town.places do
      local page = server:connect { channels = { order(place) } }
      local route = page.channels[next(page.channels)].data.route
      assert.is_true(#route.points > 2 and route.length > 200)
    end
  end)
end)
