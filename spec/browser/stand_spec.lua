-- Each example with two browsers: a reload, a network that is cut, a server that restarts, and hostile text.

local dkjson = require "dkjson"
local server = require "spec.support.server"

-- Those that spec/browser/stories.mjs knows.
local examples = { "scoreboard", "feed", "notifications", "polling", "progress", "dashboard" }

describe("with two browsers, nothing is lost or run:", function()
  local seen

  setup(function()
    seen = dkjson.decode(server.peer("browser/stand.mjs", table.unpack(examples)))
  end)

  for _, name in ipairs(examples) do
    it(name, function()
      assert.same({}, seen[name])
    end)
  end
end)
