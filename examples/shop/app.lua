-- A shop: any page that shows a product sees its stock and its price change, and how many others look at
-- it. Two pages that buy the last one: one gets it.
--
--     SHOP_KEY=secret bin/moonwire examples/shop/app.lua       then open http://127.0.0.1:8080/, and:
--     curl -H 'Authorization: Bearer secret' -d '{"price":1990}' http://127.0.0.1:8080/products/lamp

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local market = dofile(here .. "market.lua")

local KEY = os.getenv "SHOP_KEY" -- of the back end; without it, nobody can change a product
local last_order = 0

local function changed(product, what)
  app:publish("product:" .. product.id, what, market.state(product))
end

-- The answer to a purchase. The browser client repeats a send whose answer was lost, with the same
-- idempotency key: this function is called once.
local function buy(_, channel, message)
  local product = market.by_id[channel.params.id]
  local seen = type(message.data) == "table" and message.data.price
  if product.stock == 0 then
    return false, "it is sold out", "sold_out"
  elseif seen ~= product.price then
    return false, "the price has changed", "price_changed"
  end
  product.stock, last_order = product.stock - 1, last_order + 1
  changed(product, "stock")
  return { order = last_order, price = product.price }
end

app:channel("product:{id}", {
  presence = { mode = "counts", linger = 2 },
  authorize = function(_, channel)
    return market.by_id[channel.params.id] ~= nil, "no such product"
  end,
  on_join = function(_, channel) -- so a page that was away needs no history
    return market.state(market.by_id[channel.params.id])
  end,
  on = { buy = buy },
  limits = { rate = 2, burst = 5, message_size = 1024 },
})

app:post(path .. "products/{id}", function(request)
  local product, new = market.by_id[request.params.id], request:json()
  if not KEY or not moonwire.crypto.equal(request.token, KEY) then
    error { code = "unauthorized", message = "the key is wrong, or SHOP_KEY is not set" }
  end
  for _, what in ipairs(market.set(product, new)) do
    changed(product, what)
  end
  return market.state(product)
end)
app:get(path .. "products", function()
  return market.products
end)
app:every(tonumber(os.getenv "SHOP_SECONDS") or 3, function()
  market.step(changed)
end)
app:static(path .. "shared", "../shared")
-- Otherwise, another site could show this page in a frame, and trick a visitor into buying.
app:static(path, "page", {
  headers = { ["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'" },
})
return app
