-- A delivery that its customer follows on a map. The van is where the clock says (delivery.lua), so a
-- restart of the server loses nothing. Everything goes one way, so the page uses an event stream.
--
--     bin/moonwire examples/tracking/app.lua      then open http://127.0.0.1:8080/, or:
--     curl -d '{"place":3}' http://127.0.0.1:8080/orders                   {"code":"6928f5a0-3"}
--     curl -N 'http://127.0.0.1:8080/sse?channel=delivery:6928f5a0-3'      ends by itself

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local town = dofile(here .. "town.lua")
local delivery = dofile(here .. "delivery.lua")(town)

local open = {} -- the deliveries that somebody follows, by channel

-- Publishes where the van is. The last position ends the channel, and with it the stream.
local function report(channel)
  local position = delivery.position(open[channel])
  local is_last = position.state == "delivered"
  if channel:publish("position", position, { final = is_last }) and is_last then
    open[channel] = nil
  end
end

app:channel("delivery:{code}", {
  history = { size = 1, ttl = delivery.VALID }, -- a new page receives the newest position
  limits = { channels = 500 },
  authorize = function(_, channel)
    return delivery.find(channel.params.code) ~= nil, "no such delivery"
  end,
  on_open = function(channel)
    local newest = channel:history()[1]
    if not newest or newest.data.state ~= "delivered" then
      open[channel] = delivery.find(channel.params.code)
      report(channel)
    end
  end,
  on_join = function(_, channel)
    local found = delivery.find(channel.params.code)
    return found and { place = found.place, route = found.route }
  end,
  on_close = function(channel)
    open[channel] = nil
  end,
})

app:every(1, function()
  for channel in pairs(open) do
    report(channel)
  end
end)

app:post(path .. "orders", function(request)
  local order = request:json()
  if type(order) ~= "table" or not town.places[order.place] then
    error { code = "bad_request", message = "place must be the number of a place on the map" }
  end
  return 201, { code = delivery.code(order.place) }
end)
app:get(path .. "town", function()
  return town.map
end)
app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
