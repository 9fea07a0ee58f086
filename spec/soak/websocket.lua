-- scripts/soak websocket: all that Autobahn|Testsuite asks, in full.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local function ask(app, path, ...)
  local output = server.peer("websocket/suite.mjs", app.address .. path, "--all", ...)
  print(output)
  local counts = dkjson.decode(output:match "([^\n]*)\n$")
  assert.same({ OK = counts.OK, ["NON-STRICT"] = 0, UNCLEAN = 0, FAILED = 0 }, counts)
  return counts.OK
end

describe("The echo app", function()
  it("takes messages of 64 MiB, no larger ones, and lets go of them", function()
    local app = server.start { path = "examples/echo/app.lua" }
    local limit = 64 * 1024 * 1024
    print(server.peer("websocket/large.mjs", app.address .. "/echo", limit))
    assert.is_true(app:rss() * 1024 < 2 * limit)
    app:stop()
  end)
end)

describe("The cases of Autobahn|Testsuite", function()
  it("pass against the echo app", function()
    local app = server.start { path = "examples/echo/app.lua" }
    assert.equal(517, ask(app, "/echo"))
    app:stop()
  end)

  it("pass with context takeover in both directions", function()
    local app = server.start { path = "spec/websocket/app.lua" }
    ask(app, "/takeover", "--messages", 100, "--only", "5,9.3,12,13")
    app:stop()
  end)
end)
