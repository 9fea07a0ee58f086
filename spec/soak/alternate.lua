-- scripts/soak alternate: clients that move to another worker with each poll or connection receive what those that stay do.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { history = 20000 } }
app:channel("c:{n}", { history = { size = 5, ttl = 1 } })
app:get("/stats", function() return app:stats() end)
return app
]]

it(
  "a million messages, rings of 5 for one second, 20,000 bytes of histories, four workers",
  function()
    local app = server.start { script = script, workers = 4 }
    local output = server.peer("support/alternate.mjs", app.address, "key", 1000000, 20, 2)
    print(output)
    assert.is_true(dkjson.decode(output).kinds["a stream that alternates"].moves > 500)
    local stats = dkjson.decode(http.get(app, "/stats").body)
    assert.equal(0, stats.floor_gaps)
    app:stop()
  end
)
