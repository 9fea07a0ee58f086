-- Examples in Chromium, in two windows each (browser/live.mjs), and what is right of each.

local assert = require "luassert"
local dkjson = require "dkjson"
local server = require "spec.support.server"

local live = { examples = { "document", "game", "sensors", "shop", "tracking" }, check = {} }

local ENV = "SENSOR_KEY=secret SENSOR_SILENT=4 SHOP_KEY=secret SHOP_SECONDS=3600 TRACKING_SPEED=2"

--- Runs all of them. Returns what the pages showed, by example.
---@param ... string flags of live.mjs
---@return table<string, table>
function live.run(...)
  local arguments, apps = { ... }, {}
  for _, name in ipairs(live.examples) do
    local pair = {}
    for i = 1, 2 do -- the second is the first after a restart
      local app = server.start { path = "examples/" .. name .. "/app.lua", env = ENV }
      apps[#apps + 1], pair[i] = app, app.address
    end
    arguments[#arguments + 1] = ("%s=%s,%s"):format(name, pair[1], pair[2])
  end
  local seen = dkjson.decode(server.peer("browser/live.mjs", table.unpack(arguments)))
  for _, app in ipairs(apps) do
    app:stop()
  end
  return seen
end

local function check_page(result)
  assert.same({ {}, 0 }, { result.complaints, result.overflow })
end

function live.check.document(result)
  check_page(result)
  local text = "Ann was here. Roses are red.\nViolets are blue. So was Ben. 🦉"
  assert.same({ text, text }, result.merged)
  assert.equal(text, result.reloaded)
  assert.same({ text, text, utf8.len(text) }, result.restarted)
  assert.matches("kept in this browser", result.warning)
  assert.equal(0, result.markup)
end

function live.check.game(result)
  check_page(result)
  assert.same({ caught = true, kept = true }, { caught = result.caught, kept = result.kept })
end

function live.check.sensors(result)
  check_page(result)
  assert.same({ 25, 25, 25 }, result.counts)
  assert.equal("battery has gone silent", result.alert)
  assert.equal(0, result.markup)
  assert.same({ 27, true }, result.afterRestart)
end

function live.check.shop(result)
  check_page(result)
  assert.same({ "Not bought: it is sold out.", "Yours, for €20.00. Order 1." }, result.answers)
  assert.same({ true, "12.50" }, { result.disabled, result.kept })
end

function live.check.tracking(result)
  check_page(result)
  assert.is_true(result.code)
  assert.same({ "Harbor, West Bank", "Harbor, West Bank" }, result.place)
  local unknown = "The server does not know this delivery: no such delivery."
  assert.same({ unknown, unknown }, result.problems)
end

return live
