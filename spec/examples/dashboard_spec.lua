-- examples/dashboard, in memory.

local testing = require "moonwire.testing"

describe("examples/dashboard under test", function()
  local server

  before_each(function()
    server = testing.start "examples/dashboard/app.lua"
  end)
  after_each(testing.stop_all)

  it("shows a new page two minutes, and then each second", function()
    server:advance(300)
    local page = server:connect { transport = "sse", channels = { "dashboard" } }
    assert.equal(120, #page:take_all())
    for _ = 1, 3 do
      page:expect_nothing()
      server:advance(1)
      local sample = page:take("sample").data
      assert.equal(1, sample.subscriptions)
      for _, name in ipairs { "published", "delivered", "requests", "memory", "lua", "busy" } do
        assert.is_true(sample[name] >= 0, name)
      end
      assert.equal(1, sample.published)
    end
  end)

  it("counts whoever looks", function()
    local pages = {}
    for i = 1, 5 do
      pages[i] = server:connect { transport = "sse", channels = { "dashboard" } }
    end
    server:advance(2)
    pages[1]:take "sample"
    local sample = pages[1]:take("sample").data
    assert.same({ 5, 5 }, { sample.subscriptions, sample.delivered })
  end)
end)
