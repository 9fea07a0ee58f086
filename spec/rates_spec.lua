-- How often clients may send: options, and what happens beyond them, over sockets.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"

local function fails(options, message)
  local moonwire = require "moonwire"
  local ok, text = pcall(function()
    local app = moonwire.app(options.app)
    app:channel("room:{r}", {
      relay = { "move" },
      on = { say = function() end },
      limits = options.channel,
    })
  end)
  assert.is_false(ok)
  assert.truthy(tostring(text):find(message, 1, true), text)
end

describe("rates", function()
  it("are checked when they are defined", function()
    fails({ app = { limits = { rate = -1 } } }, "option 'limits.rate' must be 0 or a number")
    fails({ app = { limits = { rate = 1e7 } } }, "option 'limits.rate' must be 0 or a number")
    fails({ app = { limits = { rate = "5" } } }, 'got the string "5"')
    fails(
      { app = { limits = { rate = 0, burst = 5 } } },
      "option 'limits.burst' needs 'limits.rate' above 0"
    )
    fails({ app = { limits = { over_rate = "closed" } } }, '(did you mean "close"?)')
    fails({ channel = { burst = 5 } }, "option 'limits.burst' needs 'limits.rate' above 0")
    fails(
      { channel = { total_burst = 5 } },
      "option 'limits.total_burst' needs 'limits.total_rate' above 0"
    )
    fails(
      { channel = { events = { mov = { rate = 1 } } } },
      "'limits.events.mov': clients may not send this event (did you mean 'move'?)"
    )
    fails({ channel = { events = { move = { rat = 1 } } } }, "unknown option 'rat'")
    fails(
      { channel = { events = { move = {} } } },
      "option 'limits.events.move' needs 'rate' above 0"
    )
    fails({ channel = { events = { move = 5 } } }, "options must be a table")
  end)

  it("let a game send 20 times a second, and stop a flood", function()
    local app = server.start [[
      local app = require("moonwire").app { limits = { ping_seconds = 600 } } -- one of them does not read for a while
      app:channel("room:{r}", { relay = { "move" } })
      app:get("/stats", function() return app:stats() end)
      return app
    ]]
    local flooder, other = native.open(app), native.open(app)
    for _, client in ipairs { flooder, other } do
      assert.truthy(client:ask { subscribe = "room:1" }.ok)
    end
    local begun, refused = os.time(), 0
    for _ = 1, 20 do
      local flood = {}
      for i = 1, 1000 do
        flood[i] = { send = "room:1", event = "move", data = i }
      end
      flooder:write(table.unpack(flood))
      local _, before = flooder:ask { ping = true }
      for _, answer in ipairs(before) do
        assert.equal("rate_limited", answer.error.code)
        assert.is_true(answer.error.retry_after > 0 and answer.error.retry_after <= 0.01)
        refused = refused + 1
      end
    end
    other:write { ping = true, ref = "last" }
    local relayed = 0
    while true do
      local push = other:next()
      if push.ref == "last" then
        break
      end
      relayed = relayed + (push.event == "move" and 1 or 0)
    end
    local seconds = os.time() - begun + 2
    assert.is_true(relayed >= 200 and relayed <= 200 + seconds * 100, relayed)
    local stats = dkjson.decode(http.request(app, "GET", "/stats").body)
    assert.is_true(stats.limits.rate == refused and refused + relayed == 20000)
    local warnings = select(2, app:log():gsub("limits.rate reached", ""))
    assert.is_true(warnings <= seconds + 1, app:log())
    flooder:close()
    other:close()
    app:stop()
  end)

  it("close a client with over_rate", function()
    local app = server.start [[
      local app = require("moonwire").app {}
      app:channel("room:{r}", { relay = { "move" }, limits = { rate = 0.001, burst = 2, over_rate = "close" } })
      return app
    ]]
    local client = native.open(app)
    assert.truthy(client:ask { subscribe = "room:1" }.ok)
    for _ = 1, 2 do
      assert.truthy(client:ask { send = "room:1", event = "move" }.ok)
    end
    local answer = client:ask { send = "room:1", event = "move" }
    assert.equal("rate_limited", answer.error.code)
    local object, code = client:next()
    assert.is_nil(object)
    assert.equal(1008, code)
    app:stop()
  end)
end)
