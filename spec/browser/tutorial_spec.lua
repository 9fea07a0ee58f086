-- Each step of docs/tutorial, with the script and the page that it prints, in two windows of Chromium.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- The block after a line such as "`app.lua`:".
local function block(page, name)
  return page:match("\n`" .. name:gsub("%p", "%%%0") .. "`:\n\n```%w+\n(.-\n)```\n")
    or error("the page has no " .. name)
end

describe("the tutorial", function()
  for step, name in ipairs { "1-hello", "2-rooms", "3-login", "4-presence", "5-offline" } do
    it("works as printed: " .. name, function()
      local page = read("docs/tutorial/" .. name .. ".md")
      local files = {
        ["page/index.html"] = block(page, "page/index.html"),
        ["page/favicon.ico"] = "",
      }
      local app = server.start { script = block(page, "app.lua"), files = files }
      local seen = dkjson.decode(server.peer("browser/tutorial.mjs", step, app.address))
      assert.same({}, seen.complaints)
      local expected = { "hello <b>there</b>", "good evening" }
      if step >= 3 then
        expected = { "Ann: hello <b>there</b>", "Ben: good evening" }
      end
      assert.same(expected, seen.ann)
      assert.same(step >= 4 and { "Ann", "Ben" } or nil, seen.people)
      app:stop()
    end)
  end

  it("ends with the app of examples/chat", function()
    local last = block(read "docs/tutorial/5-offline.md", "app.lua")
    local example = read("examples/chat/app.lua")
      :gsub("app:static%(path %.%. [^\n]*\n", "") -- the stylesheet of all examples
      :gsub("app:static%(path,", 'app:static("/",')
    local from = "local TEXT_MAX"
    assert.equal(
      last:sub(last:find(from, 1, true), -1),
      example:sub(example:find(from, 1, true), -1)
    )
  end)
end)
