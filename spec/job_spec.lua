-- examples/job: a channel that ends with its result.

local http = require "spec.support.http"
local server = require "spec.support.server"

describe("examples/job", function()
  it("ends with the result, which is there for who comes later as well", function()
    local app = server.start { path = "examples/job/app.lua" }
    assert.equal('{"id":"1"}\n', http.request(app, "POST", "/jobs", { body = "" }).body)
    local target = "/sse?channel=job:1"
    local function listen()
      local stream = http.raw(app, http.format("GET", target, { version = "1.0" }))
      local steps, last = {}, nil
      for id, step in stream:gmatch 'id: (%S+)\nevent: step\ndata: {"of":20,"step":(%d+)}\n' do
        steps[#steps + 1], last = tonumber(step), id
      end
      local result =
        'event: done\ndata: {"sum":210}\n\nevent: moonwire:end\ndata: {"channel":"job:1"}\n'
      assert.matches(result, stream, 1, true)
      return steps, last, stream:match "id: (%S+)\n[^i]*$"
    end

    local live = listen()
    assert.is_true(#live >= 15 and live[#live] == 20, "it listened from near the beginning")
    local late, before, newest = listen()
    assert.same({ 17, 18, 19, 20 }, late)
    assert.equal(200, http.get(app, target, { ["Last-Event-ID"] = before }).status)
    assert.equal(204, http.get(app, target, { ["Last-Event-ID"] = newest }).status)
    app:stop()
  end)
end)
