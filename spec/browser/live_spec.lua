-- Examples in Chromium, in two windows each: what the pages claim to keep survives a reload, a network that is gone, and a
-- restart of the server.

local dkjson = require "dkjson"
local server = require "spec.support.server"

describe("in two windows", function()
  local seen, apps = nil, {}
  local ENV = "SENSOR_KEY=secret SENSOR_SILENT=4 SHOP_KEY=secret SHOP_SECONDS=3600 TRACKING_SPEED=2"

  setup(function()
    local arguments = {}
    for i, name in ipairs { "document", "game", "sensors", "shop", "tracking" } do
      for _ = 1, 2 do
        apps[#apps + 1] = server.start { path = "examples/" .. name .. "/app.lua", env = ENV }
      end
      local first, second = apps[#apps - 1].address, apps[#apps].address
      arguments[i] = ("%s=%s,%s"):format(name, first, second)
    end
    seen = dkjson.decode(server.peer("browser/live.mjs", table.unpack(arguments)))
  end)

  teardown(function()
    for _, app in ipairs(apps) do
      app:stop()
    end
  end)

  before_each(function()
    for name, result in pairs(seen) do
      assert.same({ {}, 0 }, { result.complaints, result.overflow }, name)
    end
  end)

  it("a document converges, and is in the browsers when the server has lost it", function()
    local result = seen.document
    local text = "Ann was here. Roses are red.\nViolets are blue. So was Ben. 🦉"
    assert.same({ text, text }, result.merged)
    assert.equal(text, result.reloaded)
    assert.same({ text, text, utf8.len(text) }, result.restarted)
    assert.matches("kept in this browser", result.warning)
    assert.equal(0, result.markup)
  end)

  it("a game has the moon of a player that was away", function()
    assert.same(
      { caught = true, kept = true },
      { caught = seen.game.caught, kept = seen.game.kept }
    )
  end)

  it("sensors lack no reading, and their silence is told", function()
    local result = seen.sensors
    assert.same({ 25, 25, 25 }, result.counts)
    assert.equal("battery has gone silent", result.alert)
    assert.equal(0, result.markup)
    assert.same({ 27, true }, result.afterRestart)
  end)

  it("a shop sells the last one once", function()
    local result = seen.shop
    assert.same({ "Not bought: it is sold out.", "Yours, for €20.00. Order 1." }, result.answers)
    assert.same({ true, "12.50" }, { result.disabled, result.kept })
  end)

  it("a delivery is where it is, also after a restart", function()
    local result = seen.tracking
    assert.is_true(result.code)
    assert.same({ "Harbor, West Bank", "Harbor, West Bank" }, result.place)
    local unknown = "The server does not know this delivery: no such delivery."
    assert.same({ unknown, unknown }, result.problems)
  end)
end)
