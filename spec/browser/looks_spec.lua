-- The pages of all examples, as the demo serves them: on a phone and a desktop, light and dark.
--
-- MOONWIRE_SCREENSHOTS=docs/screenshots makes the pictures of the documentation.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local examples = dofile "examples/demo/examples.lua"

describe("the looks of", function()
  local names, pages = { "index" }, { "index=/" }
  for _, example in ipairs(examples) do
    for i, page in ipairs(example.pages or { "" }) do
      local name = i == 1 and example.name or example.name .. "-" .. page
      names[#names + 1] = name
      pages[#pages + 1] = ("%s=/%s/%s"):format(name, example.name, page)
    end
  end
  local seen

  setup(function()
    local app = server.start { path = "examples/demo.lua" }
    local screenshots = os.getenv "MOONWIRE_SCREENSHOTS" or "-"
    seen =
      dkjson.decode(server.peer("browser/looks.mjs", app.address, screenshots, table.unpack(pages)))
    app:stop()
  end)

  for _, name in ipairs(names) do
    it(name, function()
      assert.same({}, seen[name])
    end)
  end
end)
