-- Pages in a real browser.

local dkjson = require "dkjson"
local server = require "spec.support.server"

describe("in Chromium", function()
  server.run "mkdir -p build"

  local function check_ticker(script, path, screenshot)
    local app = server.start { path = script }
    local seen = dkjson.decode(server.peer("browser/ticker.mjs", app.address, path, screenshot))
    assert.same({}, seen.complaints)
    assert.is_true(#seen.symbols >= 6)
    assert.same({ missed = 0, repeated = 0, gaps = 0 }, {
      missed = seen.counters.missed,
      repeated = seen.counters.repeated,
      gaps = seen.counters.gaps,
    })
    assert.equal(seen.cuts + 1, seen.counters.returns)
    assert.is_true(seen.heldStill)
    for i, chart in ipairs(seen.charts) do
      assert.equal(120, seen.points[i], "a newcomer's chart is full")
      assert.is_true(chart.width > 200 and chart.height > 20)
      assert.matches("120 prices", chart.label)
    end
    assert.equal(0, seen.overflow, "the page fits a phone")
    app:stop()
  end

  it("the ticker moves, and misses nothing when it is cut", function()
    check_ticker("examples/ticker/app.lua", "/", "build/ticker.png")
  end)

  it("it does so under the demo as well", function()
    check_ticker("examples/demo.lua", "/ticker/", "build/demo_ticker.png")
  end)

  it("a job is followed to its result, also by a page that is reloaded", function()
    local app = server.start { path = "examples/job/app.lua" }
    local seen = dkjson.decode(server.peer("browser/job.mjs", app.address))
    local text = seen.first[1]
    assert.matches("^Job %x+: the sum is 210%.$", text)
    assert.same({ first = { text }, reloaded = { text }, late = { text }, complaints = {} }, seen)
    app:stop()
  end)

  it("EventSource misses nothing, not even what came before its first event", function()
    local app = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      local n = 0
      app:channel("items", { history = { size = 100 } })
      app:get("/page", function() return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" } end)
      app:get("/favicon.ico", function() return 204 end)
      app:post("/publish", function(request)
        for _ = 1, tonumber(request.query.count) do
          n = n + 1
          app:publish("items", "item", { n = n })
        end
        return 204
      end)
      return app
    ]]
    local seen = dkjson.decode(server.peer("browser/event_source.mjs", app.address))
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, seen.events)
    assert.equal(0, seen.gaps)
    assert.equal(5, seen.opens)
    assert.same({}, seen.complaints)
    app:stop()
  end)

  it("EventSource sees 1 to 10,000 though it is cut twenty times meanwhile", function()
    local app = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      local n = 0
      app:channel("items", { history = { size = 10000 } })
      app:get("/page", function() return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" } end)
      app:get("/favicon.ico", function() return 204 end)
      app:post("/publish", function(request)
        for _ = 1, tonumber(request.query.count) do
          n = n + 1
          app:publish("items", "item", { n = n })
        end
        return 204
      end)
      return app
    ]]
    local seen = dkjson.decode(server.peer("browser/cuts.mjs", app.address, 10000, 20))
    assert.same(
      { last = 10000, inOrder = true, gaps = 0, opens = 21, cuts = 20, complaints = {} },
      seen
    )
    app:stop()
  end)

  it("readers that stand in for EventSource see 1 to 4,000 though they are cut", function()
    local app = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      local n = 0
      app:channel("items", { history = { size = 10000 } })
      app:get("/page", function() return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" } end)
      app:get("/favicon.ico", function() return 204 end)
      app:post("/publish", function(request)
        for _ = 1, tonumber(request.query.count) do
          n = n + 1
          app:publish("items", "item", { n = n, filler = ("x"):rep(50) })
        end
        return 204
      end)
      return app
    ]]
    local seen = dkjson.decode(server.peer("browser/polyfills.mjs", app.address, 4000, 4))
    local whole = { last = 4000, inOrder = true, gaps = 0, returned = true, complaints = {} }
    assert.same({
      ["event-source-polyfill"] = whole,
      ["eventsource-polyfill"] = whole,
      ["@microsoft/fetch-event-source"] = whole,
    }, seen)
    app:stop()
  end)
end)
