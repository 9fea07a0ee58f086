-- Examples in Chromium, in two windows each: what the pages claim to keep survives a reload, a network that is gone, and a
-- restart of the server.

local live = require "spec.support.live"

describe("in two windows", function()
  local seen

  setup(function()
    seen = live.run()
  end)

  local claims = {
    document = "a document converges, and is in the browsers when the server has lost it",
    game = "a game has the moon of a player that was away",
    sensors = "sensors lack no reading, and their silence is told",
    shop = "a shop sells the last one once",
    tracking = "a delivery is where it is, also after a restart",
  }
  for _, name in ipairs(live.examples) do
    it(claims[name], function()
      live.check[name](seen[name])
    end)
  end
end)
