-- One channel, many subscribers, as fast as possible.

local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "k", limits = { drain_seconds = 1 } }
app:channel("flood", {})
app:post("/burst", function()
  for n = 1, 500 do
    app:publish("flood", "item", { n = n })
  end
  return 204
end)
return app
]]

describe("fan-out", function()
  it(
    "gives 2,000 subscribers 500 messages, published at once, and 500 more, pipelined, each once and in order",
    function()
      local app = server.start(script)
      server.peer("support/fanout.mjs", app.address, "/sse?channel=flood", 2000, 500, "/burst", "k")
      app:stop() -- raises if one object is left alive
    end
  )

  it("leaves nothing behind when the subscribers stay until the end", function()
    local http = require "spec.support.http"
    local app = server.start(script)
    local clients = {}
    for i = 1, 200 do
      clients[i] = http.connect(app)
      clients[i]:send(http.format("GET", "/sse?channel=flood"))
    end
    for _, client in ipairs(clients) do
      assert.equal(200, client:read_head().status)
    end
    assert.equal(204, http.request(app, "POST", "/burst", { body = "" }).status)
    app:stop()
    for _, client in ipairs(clients) do
      local rest = client:read_rest()
      assert.matches('data: {"n":500}', rest, 1, true)
      assert.equal("0\r\n\r\n", rest:sub(-5)) -- ended, not cut
      client:close()
    end
  end)
end)
