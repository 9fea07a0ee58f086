-- More examples with two browsers than in spec/browser/stand_spec.lua, and all of them through nginx.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local others = { "ticker", "chat", "echo" }
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
