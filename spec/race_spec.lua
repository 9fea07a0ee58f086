-- What must hold while everything moves: clients that resume while a publisher never stops, that are cut again and again, and a
-- server that is started anew under them.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local reader = require "spec.support.reader"
local free_port = require("spec.support.ports").free
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { idle_seconds = 300 } }
app:channel("price:{symbol}", { history = { size = 5000 } })
app:channel("items", { history = { size = 20000 } })

local last = {}
local names = { "price:a", "price:b", "price:c" }
app:post("/some", function()
  for _ = 1, math.random(0, 3) do
    local name = names[math.random(3)]
    last[name] = (last[name] or 0) + 1
    app:publish(name, "tick", { channel = name, n = last[name], text = ("x"):rep(math.random(0, 60)) })
  end
  return 204
end)
app:post("/stop", function() return last end)

local n = 0
app:post("/publish", function(request)
  for _ = 1, tonumber(request.query.count) do
    n = n + 1
    app:publish("items", "item", { n = n })
  end
  return { n = n }
end)
return app
]]

for _, kind in ipairs { "stream", "envelope", "websocket" } do
  it("a thousand clients resume while a publisher never stops, by " .. kind, function()
    local app = server.start(script)
    local seen =
      dkjson.decode(server.peer("support/race.mjs", app.address, kind, 1000, "/some", "/stop"))
    assert.equal(1000, seen.clients)
    assert.is_true(seen.replayed > 1000)
    app:stop()
  end)
end

it("a WebSocket client that is cut twenty times sees 1 to 10,000", function()
  local app = server.start(script)
  local seen =
    dkjson.decode(server.peer("support/ws_cuts.mjs", app.address, "items", "/publish", 10000, 20))
  assert.same({ 10000, 20, 21 }, { seen.last, seen.cuts, seen.subscribed })
  app:stop()
end)

describe("a server that is started anew", function()
  for _, kind in ipairs(reader.kinds) do
    it("tells everyone of the gap, on " .. kind, function()
      local port = free_port()
      local app = server.start { script = script, args = "--listen 127.0.0.1:" .. port }
      local function publish(count)
        local response = http.request(app, "POST", "/publish?count=" .. count, { body = "" })
        assert.equal(200, response.status)
      end
      local clients = {}
      for i = 1, 30 do
        clients[i] = reader.open(kind, app, { "items" })
      end
      publish(10)
      for i, client in ipairs(clients) do
        for n = 1, i % 10 do
          local push = client:next()
          assert.equal(n, push.data.n)
          client.last = push.id
        end
        client.last = client.last or client.cursor
      end
      app:stop()
      app = server.start { script = script, args = "--listen 127.0.0.1:" .. port }
      publish(20)
      for _, client in ipairs(clients) do
        local returned = reader.open(kind, app, { "items" }, { since = client.last })
        assert.is_true(returned.recovered == nil or returned.recovered == false)
        assert.equal(kind ~= "an event stream", returned.recovered == false)
        if kind ~= "a WebSocket" then
          local gap = returned:next()
          assert.same({ "moonwire:gap", { channel = "items" } }, { gap.event, gap.data })
        end
        for n = 1, 20 do
          assert.equal(n, returned:next().data.n)
        end
        client:cut()
        client.returned = returned
      end
      publish(1)
      for _, client in ipairs(clients) do
        local push = client.returned:next()
        assert.equal(21, push.data.n)
        client.returned:cut()
        -- from here on all is as ever
        local again = reader.open(kind, app, { "items" }, { since = push.id })
        assert.is_true(again.recovered == nil or again.recovered == true)
        again:cut()
      end
      app:stop()
    end)
  end
end)
