-- One channel, many subscribers by both transports, and several who speak at once.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { drain_seconds = 1 } }
app:channel("room:{room}", {
  on = {
    say = function(client, channel, message)
      local id = channel:publish("said", message.data)
      client:send("whispered", { n = message.data.n })
      return { id = id }
    end,
  },
})
return app
]]

describe("at scale", function()
  it("all get each message once and in one order, by WebSocket and by event stream", function()
    local app = server.start(script)
    local counts = server.peer("support/scale.mjs", app.address, 1000, 1000, 10, 100)
    assert.same({ subscribers = 2010, messages = 100, acknowledged = 100 }, dkjson.decode(counts))
    app:stop() -- raises if one object is left alive
  end)
end)
