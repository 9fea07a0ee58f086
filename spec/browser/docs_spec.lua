-- The pages that the documents print, in Chromium, each with the script of its page.

local blocks = require "spec.docs.blocks"
local dkjson = require "dkjson"
local server = require "spec.support.server"

local function script_of(block)
  for _, other in ipairs(blocks.of(block.page)) do
    if blocks.is_script(other) then
      return other
    end
  end
  error(block.page .. " has no script")
end

describe("a page of the documents in Chromium", function()
  for _, block in ipairs(blocks.all "html") do
    it(blocks.place(block) .. " shows what is sent", function()
      local app = server.start {
        script = script_of(block).code,
        files = { ["page/index.html"] = block.code },
      }
      local seen = dkjson.decode(server.peer("browser/docs.mjs", app.address))
      assert.same({}, seen.complaints)
      assert.matches("hello", seen.log)
      app:stop()
    end)
  end
end)
