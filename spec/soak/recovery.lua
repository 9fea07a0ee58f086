-- scripts/soak recovery: nothing is lost of a million messages, however often the connection is cut.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("price:{symbol}", { history = { size = 400000, replay = 400000 } })

local last, running = {}, true
local names = { "price:a", "price:b", "price:c" }
app:every(0.005, function()
  for _ = 1, running and math.random(0, 200) or 0 do
    local name = names[math.random(3)]
    last[name] = (last[name] or 0) + 1
    app:publish(name, "tick", { channel = name, n = last[name], text = ("x"):rep(math.random(0, 60)) })
  end
end)
app:post("/stop", function() running = false return last end)
return app
]]

describe("A stream that is cut 4,000 times", function()
  it("has a million messages, each once and in order", function()
    local app = server.start(script)
    local output = server.peer(
      "support/recover.mjs",
      app.address,
      "/sse?channel=price:a&channel=price:b&channel=price:c",
      4000,
      "/stop",
      100000
    )
    print(output)
    local result = dkjson.decode(output)
    assert.is_true(result.events >= 1000000)
    app:stop()
  end)
end)
