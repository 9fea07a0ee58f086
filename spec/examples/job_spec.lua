-- examples/job, in memory.

local testing = require "moonwire.testing"

describe("examples/job under test", function()
  local server

  before_each(function()
    server = testing.start "examples/job/app.lua"
  end)
  after_each(testing.stop_all)

  local function start_job()
    local response = server:request("POST", "/jobs")
    assert.equal(201, response.status)
    return "job:" .. response:json().id
  end

  for _, transport in ipairs { "websocket", "sse", "poll" } do
    it("reports steps and ends with the result, over " .. transport, function()
      local channel = start_job()
      local client = server:connect { transport = transport, channels = { channel } }
      for step = 1, 20 do
        client:expect_nothing()
        server:advance(0.1)
        assert.same({ step = step, of = 20 }, client:take("step").data)
        if step < 20 then
          client:expect_nothing()
        end
      end
      assert.same({ sum = 210 }, client:take("done").data)
      client:take "moonwire:end"
      client:expect_nothing()
    end)
  end

  it("keeps the last steps and the result for an hour", function()
    local channel = start_job()
    server:advance(3600)
    local late = server:connect { channels = { channel } }
    local steps = {}
    for i = 1, 4 do
      steps[i] = late:take("step").data.step
    end
    assert.same({ 17, 18, 19, 20 }, steps)
    assert.same({ sum = 210 }, late:take("done").data)
    server:advance(10)
    local later = server:connect { channels = { channel } }
    later:expect_nothing "done"
  end)

  it("runs jobs beside each other", function()
    local first = start_job()
    server:advance(1)
    local second = start_job()
    local client = server:connect { channels = { first, second } }
    server:advance(1)
    client:take("done", first)
    client:expect_nothing("done", second)
    server:advance(1)
    client:take("done", second)
  end)

  it("ends in the middle of a job", function()
    start_job()
    server:advance(0.55)
    server:stop()
  end)
end)
