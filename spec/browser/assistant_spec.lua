-- The page of examples/assistant in a real browser.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local script = [[
local app = require("moonwire").app {}
local asked = 0
app:before("/v1", function() asked = asked + 1 end)
app:get("/asked", function() return { asked = asked } end)
return assert(loadfile "examples/assistant/app.lua")(app, "/")
]]

describe("examples/assistant in Chromium", function()
  server.run "mkdir -p build"

  it("continues its answers through reloads, tabs, and a network that fails", function()
    local app = server.start { script = script, setup = "unset OPENAI_BASE_URL;" }
    local seen = dkjson.decode(server.peer("browser/assistant.mjs", app.address, "build/assistant"))
    assert.same({}, seen.complaints)
    for i = 1, 3 do
      assert.equal(seen.counted, seen.count.texts[i])
      assert.equal("Complete", seen.count.notes[i])
    end
    assert.equal(seen.stopped.texts[1], seen.stopped.texts[2])
    assert.is_nil(seen.stopped.texts[1]:find("2000", 1, true))
    assert.same({ "Stopped", "Stopped" }, seen.stopped.notes)
    assert.equal("Stopped", seen.stopped.byKey)
    assert.same({ seen.counted .. " 101", "1 2 3" }, seen.network.texts)
    assert.same({ isShown = true, markup = 0 }, seen.hostile)
    assert.same({ violated = "script-src-elem", ran = false }, seen.policy)
    for i = 1, 3 do
      assert.equal(6, #seen.lists[i])
      assert.equal("count to 100", seen.lists[i][6])
    end
    assert.same({ text = seen.counted, current = { "count to 100" } }, seen.past)
    assert.equal("The server no longer has this answer.", seen.nowhere)
    assert.equal(0, seen.overflow)
    assert.same({ asked = 6 }, dkjson.decode(http.get(app, "/asked").body))
    app:stop()
  end)
end)
