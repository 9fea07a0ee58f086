-- One ticker, fetched in four ways side by side: short polling, long polling, Server-Sent Events, and
-- WebSocket. The page counts what each of them costs.
--
--     bin/moonwire examples/polling/app.lua       then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local STEP_SECONDS = 0.5
local tick = { count = 0, price = 100 }

-- A client that is away for less than half a minute misses nothing.
app:channel("polling", { authorize = true, history = { size = 60 } })

app:every(STEP_SECONDS, function()
  local price = tick.price * (1 + 0.01 * (math.random() - 0.5))
  local following = { count = tick.count + 1, price = tonumber(("%.2f"):format(price)) }
  -- A tick that was not published is not counted, because no page has missed it.
  if app:publish("polling", "tick", following) then
    tick = following
  end
end)

-- Short polling needs no channel: each request is answered with the newest tick.
app:get(path .. "tick", function()
  return 200, tick, { ["Cache-Control"] = "no-store" }
end)

-- How many bytes of head a request of this browser has. A page cannot see that.
app:get(path .. "head", function(request)
  local bytes = #("GET " .. request.path .. " HTTP/1.1\r\n\r\n")
  for name, value in pairs(request.headers) do
    bytes = bytes + #name + #value + #": \r\n"
  end
  return { bytes = bytes }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
