-- examples/scoreboard, in memory.

local testing = require "moonwire.testing"

describe("examples/scoreboard under test", function()
  local server

  before_each(function()
    server = testing.start "examples/scoreboard/app.lua"
  end)
  after_each(testing.stop_all)

  local function states()
    local by_id, answer = {}, server:request("GET", "/matches"):json()
    for _, match in ipairs(answer.matches) do
      by_id[match.id] = match
    end
    return by_id, answer.season
  end

  it("has a thousand matches, and every change", function()
    local client = server:connect { transport = "sse", channels = { "scores" } }
    local before = states()
    assert.equal(1000, #before)
    server:advance(10)
    for _, message in ipairs(client:take_all()) do
      local match = before[message.data.id]
      assert.equal(match.rev + 1, message.data.rev)
      match.rev, match.score, match.minute =
        message.data.rev, message.data.score, message.data.minute
    end
    assert.same(before, states())
  end)

  it("gives a slow spectator the newest state of each match", function()
    local client = server:connect { transport = "sse", channels = { "scores" } }
    client:stop_reading()
    for rev = 1, 1000 do
      for id = 1, 20 do
        local change = { id = id, rev = rev, score = { 0, 0 }, minute = 1 }
        server:publish("scores", "score", change, { key = tostring(id) })
      end
    end
    client:start_reading()
    local seen, count = {}, 0
    for _, message in ipairs(client:take_all()) do
      assert.is_true(message.data.rev > (seen[message.data.id] or 0))
      seen[message.data.id], count = message.data.rev, count + 1
    end
    for id = 1, 20 do
      assert.equal(1000, seen[id])
    end
    assert.is_true(count < 20000)
  end)

  it("has a new season with each start", function()
    local _, season = states()
    server:stop()
    server = testing.start "examples/scoreboard/app.lua"
    assert.not_equal(season, select(2, states()))
  end)
end)
