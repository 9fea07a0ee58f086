-- examples/progress, in memory.

local crypto = require("moonwire").crypto
local testing = require "moonwire.testing"

describe("examples/progress under test", function()
  local server, random

  before_each(function()
    random = crypto.random
    crypto.random = function(count, encoding) -- the key is random if there is none in the environment
      return count == 16 and "secret" or random(count, encoding)
    end
    server = testing.start "examples/progress/app.lua"
  end)
  after_each(function()
    crypto.random = random
    testing.stop_all()
  end)

  local function report(job, body, token)
    return server:request("POST", "/report/" .. job, { body = body, token = token or "secret" })
  end

  for _, transport in ipairs { "sse", "websocket", "poll" } do
    it("is followed to its end, also by those who come late, over " .. transport, function()
      report("nightly", { percent = 45, text = "resizing" })
      local early = server:connect { transport = transport, channels = { "progress:nightly" } }
      assert.same(
        { 45, "resizing" },
        { early:take("progress").data.percent, early.closed and "" or "resizing" }
      )
      report("nightly", { percent = 80 })
      assert.same(
        { 80, "" },
        (function(data)
          return { data.percent, data.text }
        end)(early:take("progress").data)
      )
      report("nightly", { percent = 100, text = "done" })
      assert.equal(100, early:take("progress").data.percent)
      early:take "moonwire:end"
      local late = server:connect { transport = transport, channels = { "progress:nightly" } }
      assert.equal("done", late:take("progress").data.text)
      late:take "moonwire:end"
    end)
  end

  it("runs a job of its own, and not more than twenty at the same time", function()
    local jobs = {}
    for i = 1, 20 do
      local response = server:request("POST", "/jobs")
      assert.equal(201, response.status)
      jobs[i] = response:json().job
    end
    assert.equal(503, server:request("POST", "/jobs").status)
    local page = server:connect { transport = "sse", channels = { "progress:" .. jobs[20] } }
    server:advance(15)
    page:take "moonwire:end"
    assert.equal(201, server:request("POST", "/jobs").status)
  end)

  for _, case in ipairs {
    { "nightly", { percent = 1 }, 401, "wrong" },
    { "nightly", { percent = 101 }, 400 },
    { "nightly", { percent = -1 }, 400 },
    { "nightly", { percent = 0.5 }, 400 },
    { "nightly", { percent = "all" }, 400 },
    { "nightly", { percent = 1, text = { 1 } }, 400 },
    { "nightly", { percent = 1, text = ("x"):rep(201) }, 400 },
    { "nightly", "[", 400 },
    { "nightly", "7", 400 },
    { "nightly", '{"percent":1,"text":"\xff"}', 400 },
    { ("x"):rep(41), { percent = 1 }, 400 },
    { "a:b", { percent = 1 }, 400 },
    { "%3Cscript%3E", { percent = 1 }, 400 },
  } do
    it(
      ("refuses %s of %s"):format(
        type(case[2]) == "string" and case[2]:gsub("[^ -~]", "?") or "a report",
        case[1]
      ),
      function()
        assert.equal(case[3], report(case[1], case[2], case[4]).status)
      end
    )
  end
end)
