-- Two windows of the chat in Chromium.

local dkjson = require "dkjson"
local server = require "spec.support.server"

describe("the chat in Chromium", function()
  server.run "mkdir -p build"

  local function check(script, path, screenshots)
    local app = server.start { path = script }
    local seen = dkjson.decode(server.peer("browser/chat.mjs", app.address, path, screenshots))
    assert.same({}, seen.complaints)
    assert.same({ ann = { "Ann", "Ben" }, ben = { "Ann", "Ben" } }, seen.atFirst)

    -- what people write is shown and never run
    assert.equal(0, seen.markup)
    assert.same({}, seen.stolen)
    assert.same({ violated = "script-src-elem", ran = false }, seen.policy)

    local private = { "Just between us: who is that?", "No idea" }
    assert.same({ ann = private, ben = private, eve = 0 }, seen.privates)
    assert.equal("(1) Chat · moonwire", seen.titleWithUnread)

    -- who was cut off has what the others have
    local expected = { "Is anybody here?", "I am" }
    table.move(seen.hostile, 1, #seen.hostile, #expected + 1, expected)
    for i = 1, 3 do
      table.insert(expected, "While you were away, " .. i)
    end
    assert.same(expected, seen.room.ben)
    assert.same(expected, seen.room.ann)
    assert.same({ gaps = 0, flickers = 0 }, { gaps = seen.gaps, flickers = seen.flickers })
    -- nobody sees that a page is loaded anew
    assert.same({ "Ben joined" }, seen.ofBen)
    -- who is cut off for too long is told what it has not
    assert.same({ gaps = 1, behindGap = 200, ofBen = 250 }, seen.flood)

    assert.matches("this name is taken", seen.refusal)
    assert.same({ lines = { "Nobody but me" }, people = { "Ben" } }, seen.alone)
    assert.same({ "Ann", "Ben" }, seen.atLast)
    assert.same({ { 50, 100, 150, 200 }, "flood 52" }, { seen.older, seen.oldest })
    assert.equal(0, seen.overflow, "the page fits a phone")
    app:stop()
  end

  it("is two people talking", function()
    check("examples/chat/app.lua", "/", "build/chat")
  end)

  it("is so under the demo as well", function()
    check("examples/demo.lua", "/chat/", "build/demo_chat")
  end)
end)
