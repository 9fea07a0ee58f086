-- The test that docs/tutorial/6-deploy.md prints, with the app of the step before.

local server = require "spec.support.server"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function block(page, name)
  return page:match("\n`" .. name:gsub("%p", "%%%0") .. "`:\n\n```%w+\n(.-\n)```\n")
    or error("the page has no " .. name)
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("the tutorial", function()
  it("ends with a test that passes", function()
    local directory = server.run "mktemp -d"
    server.run("mkdir " .. directory .. "/page")
    write(directory .. "/app.lua", block(read "docs/tutorial/5-offline.md", "app.lua"))
    write(directory .. "/app_spec.lua", block(read "docs/tutorial/6-deploy.md", "app_spec.lua"))
    local root = server.run "pwd"
    local command =
      "cd %s && LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s;;' lua5.4 $(command -v busted) -o TAP app_spec.lua 2>&1"
    local cpath = package.cpath:match "[^;]*build/[^;]*"
    if cpath:sub(1, 1) ~= "/" then
      cpath = root .. "/" .. cpath
    end
    local output = server.run(command:format(directory, root, root, cpath))
    local _, passed = ("\n" .. output):gsub("\nok ", "")
    assert.equal(5, passed, output)
    assert.is_nil(output:find "not ok", output)
    server.run("rm -r " .. directory)
  end)
end)
