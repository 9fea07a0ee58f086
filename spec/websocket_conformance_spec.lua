-- RFC 6455 and RFC 7692 over sockets: the cases of spec/websocket, by a client that shares nothing with the server.

local dkjson = require "dkjson"
local server = require "spec.support.server"

-- The last line of a peer counts; those before say what is wrong.
local function run(...)
  local output = server.peer(...)
  local complaints, counts = output:match "^(.-)([^\n]*)\n$"
  return dkjson.decode(counts), complaints
end

describe("WebSocket", function()
  local app

  setup(function()
    app = server.start { path = "spec/websocket/app.lua" }
  end)

  teardown(function()
    app:stop()
  end)

  it("is what the cases say, frame by frame, and ends as it should", function()
    local counts, complaints = run("websocket/run_cases.mjs", app.address)
    assert.equal("", complaints)
    assert.equal(0, counts.failed)
    assert.is_true(counts.passed > 3000)
  end)
end)

describe("examples/echo", function()
  -- A few messages of each kind; scripts/soak sends a thousand, and the large ones.
  it("passes the cases of Autobahn|Testsuite, strictly", function()
    local app = server.start { path = "examples/echo/app.lua" }
    local counts, complaints = run(
      "websocket/suite.mjs",
      app.address .. "/echo",
      "--messages",
      2,
      "--largest",
      1024 * 1024,
      "--at-once",
      8
    )
    assert.equal("", complaints)
    assert.same({ OK = 493, ["NON-STRICT"] = 0, UNCLEAN = 0, FAILED = 0 }, counts)
    app:stop()
  end)
end)
