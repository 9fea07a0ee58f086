-- More examples with two browsers than in spec/browser/stand_spec.lua, and all of them through nginx.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local others = { "ticker", "chat", "echo", "login", "job" }
local all = { "scoreboard", "feed", "notifications", "polling", "progress", "dashboard" }
table.move(others, 1, #others, #all + 1, all)

local function check(way, examples, ...)
  local words = { ... }
  table.move(examples, 1, #examples, #words + 1, words)

  describe(way .. ", nothing is lost or run:", function()
    local seen

    setup(function()
      seen = dkjson.decode(server.peer("browser/stand.mjs", table.unpack(words)))
    end)

    for _, name in ipairs(examples) do
      it(name, function()
        assert.same({}, seen[name])
      end)
    end
  end)
end

check("directly", others)
check("through nginx", all, "--nginx")

-- Those of spec/browser/live_spec.lua, whose checks are in it.
describe("in two windows through nginx", function()
  local live = require "spec.support.live"
  local seen

  setup(function()
    seen = live.run "--nginx"
  end)

  for _, name in ipairs(live.examples) do
    it(name, function()
      live.check[name](seen[name])
    end)
  end
end)
