-- examples/polling, in memory.

local testing = require "moonwire.testing"

describe("examples/polling under test", function()
  local server

  before_each(function()
    server = testing.start "examples/polling/app.lua"
  end)
  after_each(testing.stop_all)

  it("has the same ticks on each transport", function()
    local clients = {}
    for _, transport in ipairs { "poll", "sse", "websocket" } do
      clients[transport] = server:connect { transport = transport, channels = { "polling" } }
    end
    server:advance(5)
    for transport, client in pairs(clients) do
      for count = 1, 10 do
        assert.equal(count, client:take("tick").data.count, transport)
      end
    end
    local response = server:request("GET", "/tick")
    assert.equal(10, response:json().count)
    assert.equal("no-store", response.headers["cache-control"])
  end)

  it("keeps half a minute for a client that reconnects", function()
    local client = server:connect { transport = "sse", channels = { "polling" } }
    server:advance(1)
    client:take_all()
    client:disconnect()
    server:advance(29)
    client:return_with_last_id()
    client:expect_nothing "moonwire:gap"
    assert.equal(3, client:take("tick").data.count)
  end)

  it("counts the bytes of a request's head", function()
    local plain = server:request("GET", "/head"):json().bytes
    local more = server:request("GET", "/head", { headers = { ["x-more"] = "12345" } }):json().bytes
    assert.equal(#"x-more: 12345\r\n", more - plain)
  end)
end)
