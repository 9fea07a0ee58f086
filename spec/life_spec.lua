-- The end of a process that has an app, in every state: spec/support/life.lua. Under the sanitizers,
-- nothing may leak or be used after it was freed.

local server = require "spec.support.server"

-- Runs the cases at the same time, and returns those that went wrong with what they wrote.
local function run(words)
  local flavour = os.getenv "MOONWIRE_FLAVOUR" or "release"
  local cpath = package.cpath:gsub("%./build/%w+/", "./build/" .. flavour .. "/")
  local preload = os.getenv "MOONWIRE_PRELOAD"
  local one = ('out=$(timeout 200 env %s lua5.4 spec/support/life.lua $0 $1 2>&1) || echo "$0 $1: $? $out"'):format(
    preload and "LD_PRELOAD=" .. server.quote(preload) or ""
  )
  local command = "printf '%%s\\n' %s | LUA_PATH=%s LUA_CPATH=%s xargs -P 6 -L 1 sh -c %s"
  return server.run(
    command:format(words, server.quote(package.path), server.quote(cpath), server.quote(one))
  )
end

describe("the end of a process", function()
  local names = {}

  setup(function()
    local list = "LUA_PATH=%s LUA_CPATH=%s lua5.4 spec/support/life.lua list"
    local output = server.run(list:format(server.quote(package.path), server.quote(package.cpath)))
    for name in output:gmatch "%S+" do
      names[#names + 1] = name
    end
    assert.is_true(#names > 40)
  end)

  it("is clean in every state", function()
    local words = {}
    for _, name in ipairs(names) do
      words[#words + 1] = ("'%s 1'"):format(name)
    end
    assert.equal("", run(table.concat(words, " ")))
  end)

  it("is clean while several workers run", function()
    assert.equal(
      "",
      run "'listening 2' 'full 2' 'stopping 2' 'exit_now 2' 'running:hang 2' 'stopping:spawn_woken 2' 'luv 2' 'cqueues 2'"
    )
  end)
end)
