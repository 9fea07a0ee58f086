-- A price ticker: six prices walk at random, and every open page sees each step.
--
--     bin/moonwire examples/ticker/app.lua        then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

-- swing: how far one step may move the price, as a share of it.
local market = {
  { symbol = "BTC", name = "Bitcoin", price = 64210.5, digits = 1, swing = 0.0011 },
  { symbol = "ETH", name = "Ether", price = 3120.4, digits = 2, swing = 0.0014 },
  { symbol = "SOL", name = "Solana", price = 148.72, digits = 2, swing = 0.0020 },
  { symbol = "GOLD", name = "Gold, ounce", price = 2391.3, digits = 2, swing = 0.0004 },
  { symbol = "OIL", name = "Crude, barrel", price = 81.46, digits = 2, swing = 0.0009 },
  { symbol = "EUR", name = "Euro in dollars", price = 1.0842, digits = 4, swing = 0.0003 },
}

local traded = {}
for _, asset in ipairs(market) do
  asset.count = 0 -- number of its prices so far, by which the page detects a missing one
  traded[asset.symbol] = true
end

-- A client that reconnects within 600 steps misses nothing. A new subscriber receives the 120 steps
-- that fill a chart.
app:channel("price:{symbol}", {
  history = { size = 600, replay = 120 },
  authorize = function(_, channel)
    if traded[channel.params.symbol] then
      return true
    end
    return false, "no such symbol"
  end,
})

local function step(asset)
  local price = asset.price * (1 + asset.swing * (math.random() + math.random() - 1))
  asset.price = tonumber(("%." .. asset.digits .. "f"):format(price))
  local tick = { symbol = asset.symbol, price = asset.price, count = asset.count + 1 }
  -- A price that was not published is not counted, because no page has missed it.
  if app:publish("price:" .. asset.symbol, "tick", tick) then
    asset.count = tick.count
  end
end

app:after(0, function() -- so that the first page shows a full chart
  for _ = 1, 120 do
    for _, asset in ipairs(market) do
      step(asset)
    end
  end
end)

app:every(0.25, function()
  for _, asset in ipairs(market) do
    if math.random() < 0.5 then
      step(asset)
    end
  end
end)

app:get(path .. "market", function()
  return market
end)
app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
