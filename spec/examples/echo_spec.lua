-- examples/echo, in memory.

local testing = require "moonwire.testing"

describe("examples/echo under test", function()
  local server

  before_each(function()
    server = testing.start "examples/echo/app.lua"
  end)
  after_each(testing.stop_all)

  it("returns text as text and bytes as bytes", function()
    local socket = server:websocket "/echo"
    for _, text in ipairs { "", "hello", "grüße", ("x"):rep(100000) } do
      socket:send(text)
      assert.same({ text, false }, { socket:take() })
    end
    socket:send_binary "\0\255\n"
    assert.same({ "\0\255\n", true }, { socket:take() })
    socket:close(1000, "enough")
    socket:expect_closed(1000)
  end)

  it("closes who sends what is not text", function()
    local socket = server:websocket "/echo"
    socket:send "\255"
    socket:expect_closed(1007)
  end)

  it("keeps everything for a peer that does not read", function()
    local socket = server:websocket "/echo"
    socket:stop_reading()
    for i = 1, 100 do
      socket:send(("%d "):format(i) .. ("x"):rep(20000))
    end
    socket:start_reading()
    for i = 1, 100 do
      assert.equal(tostring(i), (socket:take():match "^%d+"))
    end
  end)
end)
