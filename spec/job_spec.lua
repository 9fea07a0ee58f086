-- examples/job: a channel that ends with its result.

local http = require "spec.support.http"
local server = require "spec.support.server"

describe("examples/job", function()
  it("ends with the result, which is there for who comes later as well", function()
    local app = server.start { path = "examples/job/app.lua" }
    local job = http.request(app, "POST", "/jobs", { body = "" }).body:match '^{"id":"(%x+)"}\n$'
    local target = "/sse?channel=job:" .. assert(job)
    local function listen()
      local stream = http.raw(app, http.format("GET", target, { version = "1.0" }))
      local steps, last = {}, nil
      for step, id in stream:gmatch 'event: step\ndata: {"of":20,"step":(%d+)}\nid: (%S+)\n' do
        steps[#steps + 1], last = tonumber(step), id
      end
      assert.matches('event: done\ndata: {"sum":210}\nid: ', stream, 1, true)
      local channel, newest =
        stream:match 'event: moonwire:end\ndata: {"channel":"job:(%x+)"}\nid: (%S+)\n\n$'
      assert.equal(job, channel)
      return steps, last, newest
    end

    local live = listen()
    assert.is_true(#live >= 4 and live[#live] == 20) -- more, unless the machine is slow
    local late, before, newest = listen()
    assert.same({ 17, 18, 19, 20 }, late)
    assert.equal(200, http.get(app, target, { ["Last-Event-ID"] = before }).status)
    assert.equal(204, http.get(app, target, { ["Last-Event-ID"] = newest }).status)
    app:stop()
  end)
end)
