-- examples/openresty in Chromium: logging in at nginx, and news over each transport.

local dkjson = require "dkjson"
local example = require "spec.openresty.example"
local server = require "spec.support.server"

describe("examples/openresty in Chromium", function()
  it("logs in, publishes, and receives over each transport", function()
    server.run "mkdir -p build"
    local site = example.start()
    local seen =
      dkjson.decode(server.peer("browser/openresty.mjs", site.nginx.address, "build/openresty"))
    site:stop()
    assert.equal("This name and password do not match.", seen.refused)
    assert.same({ websocket = {}, sse = {}, poll = {} }, seen.transports)
  end)
end)
