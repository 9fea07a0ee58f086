-- The examples with two browsers, as in spec/browser/stand_spec.lua, through nginx.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local examples = { "scoreboard", "feed", "notifications", "polling", "progress", "dashboard" }

describe("through nginx, nothing is lost or run:", function()
  local seen

  setup(function()
    seen = dkjson.decode(server.peer("browser/stand.mjs", "--nginx", table.unpack(examples)))
  end)

  for _, name in ipairs(examples) do
    it(name, function()
      assert.same({}, seen[name])
    end)
  end
end)
