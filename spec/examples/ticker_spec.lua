-- examples/ticker, in memory.

local testing = require "moonwire.testing"

describe("examples/ticker under test", function()
  local server

  before_each(function()
    server = testing.start "examples/ticker/app.lua"
  end)
  after_each(testing.stop_all)

  it("gives a new page a chart, and then every step", function()
    local page = server:connect { transport = "sse", channels = { "price:BTC", "price:ETH" } }
    local chart = page:take_all()
    assert.equal(240, #chart)
    local counts = { ["price:BTC"] = 120, ["price:ETH"] = 120 }
    for _ = 1, 40 do
      server:advance(0.25)
      for _, tick in ipairs(page:take_all()) do
        counts[tick.channel] = counts[tick.channel] + 1
        assert.equal(counts[tick.channel], tick.data.count)
      end
    end
    assert.is_true(counts["price:BTC"] > 120 and counts["price:ETH"] > 120)
  end)

  it("lets nobody miss a step who returns in time", function()
    local page = server:connect { channels = { "price:GOLD" }, transport = "sse" }
    local last = page:take_all()[120].data.count
    page:disconnect()
    server:advance(100)
    page:return_with_last_id()
    page:expect_nothing "moonwire:gap"
    for _, tick in ipairs(page:take_all()) do
      assert.equal(last + 1, tick.data.count)
      last = tick.data.count
    end
    page:disconnect()
    server:advance(600)
    page:return_with_last_id()
    page:take "moonwire:gap"
  end)

  it("knows its symbols", function()
    assert.equal(
      "no such symbol",
      select(2, server:try_connect { channels = { "price:X" } }):match "no such symbol"
    )
    local market = server:request("GET", "/market"):json()
    assert.same({ 6, "BTC" }, { #market, market[1].symbol })
    assert.equal(market[1].count, 120)
    assert.matches("<!doctype html>", server:request("GET", "/").body)
  end)
end)
