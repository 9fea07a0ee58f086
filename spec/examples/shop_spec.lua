-- examples/shop, in memory.

local testing = require "moonwire.testing"
local stand_ins = require "spec.examples.stand_ins"

describe("examples/shop under test", function()
  local server, restore

  before_each(function()
    restore = stand_ins.environment { SHOP_KEY = "secret" }
    server = testing.start "examples/shop/app.lua"
  end)
  after_each(function()
    restore()
    testing.stop_all()
  end)

  local function set(product, body, token)
    return server:request(
      "POST",
      "/products/" .. product,
      { body = body, token = token or "secret" }
    )
  end

  for _, transport in ipairs { "sse", "websocket", "poll" } do
    it("tells those who look at a product, over " .. transport, function()
      local ann = server:connect { channels = { "product:lamp" }, transport = transport }
      local ben = server:connect { channels = { "product:radio" }, transport = transport }
      assert.same({ price = 3490, stock = 7 }, ann.channels["product:lamp"].data)
      assert.same({ price = 1990, stock = 5 }, set("lamp", { price = 1990, stock = 5 }):json())
      assert.same({ price = 1990, stock = 5 }, ann:take("price").data)
      assert.equal(5, ann:take("stock").data.stock)
      ben:expect_nothing "price"
      local answer = ann:send("product:lamp", "buy", { price = 1990 })
      assert.same({ order = 1, price = 1990 }, answer)
      assert.equal(4, ann:take("stock").data.stock)
    end)
  end

  it("sells the last one once", function()
    set("boots", { stock = 1, price = 8900 })
    local ann = server:connect { channels = { "product:boots" }, transport = "sse" }
    local ben = server:connect { channels = { "product:boots" }, transport = "sse" }
    local options = { idempotency_key = "one purchase" }
    local order = ann:send("product:boots", "buy", { price = 8900 }, options)
    assert.same(order, ann:send("product:boots", "buy", { price = 8900 }, options)) -- the answer was lost
    assert.equal("sold_out", select(3, ben:try_send("product:boots", "buy", { price = 8900 })))
    assert.equal(0, ben:take("stock").data.stock)
    ben:expect_nothing "stock"
  end)

  it("does not sell at a price that the page does not show", function()
    local ann = server:connect { channels = { "product:lamp" } }
    set("lamp", { price = 9990 })
    for _, data in ipairs { { price = 3490 }, {}, "9990", { price = "9990" }, { 9990 } } do
      assert.equal("price_changed", select(3, ann:try_send("product:lamp", "buy", data)))
    end
  end)

  it("counts who looks", function()
    local ann = server:connect { channels = { "product:lamp" }, transport = "sse" }
    local ben = server:connect { channels = { "product:lamp" }, transport = "sse" }
    server:advance(1)
    assert.equal(2, ann:take("moonwire:presence").data.count)
    ben:disconnect()
    server:advance(4)
    assert.equal(1, ann:take("moonwire:presence").data.count)
  end)

  it("changes by itself, within bounds", function()
    server:advance(3600)
    local products = server:request("GET", "/products"):json()
    assert.equal(6, #products)
    for _, product in ipairs(products) do
      assert.is_true(product.stock >= 0 and product.stock <= 12)
      assert.is_true(math.abs(product.price / product.usual - 1) < 0.17)
    end
  end)

  it("refuses a wrong key, and what is neither price nor stock", function()
    assert.equal(401, set("lamp", { price = 1 }, "wrong").status)
    assert.equal(404, set("x", { price = 1 }).status)
    for _, body in ipairs {
      "",
      "[]",
      "{",
      '{"price":-1}',
      '{"price":"1"}',
      '{"price":1.5}',
      '{"stock":1e12}',
    } do
      assert.equal(400, set("lamp", body).status, body)
    end
    assert.is_nil((server:try_connect { channels = { "product:x" } }))
    local eve = server:connect { channels = { "product:lamp" } }
    assert.equal("too_large", select(3, eve:try_send("product:lamp", "buy", ("x"):rep(2000))))
    local code
    for _ = 1, 10 do
      code = select(3, eve:try_send("product:lamp", "buy", {}))
    end
    assert.equal("rate_limited", code)
  end)
end)
