-- examples/cluster: one node of it, in memory. spec/browser/cluster_spec.lua has three of them.

local testing = require "moonwire.testing"

describe("examples/cluster under test", function()
  local server

  before_each(function()
    server = testing.start "examples/cluster/app.lua"
  end)
  after_each(testing.stop_all)

  it("says which node it is, before anything else", function()
    local page = server:connect { channels = { "cluster:ticks" } }
    assert.same({ node = "1" }, page:take("node").data)
  end)

  it("numbers its ticks, and a page that returns misses none", function()
    local page = server:connect { channels = { "cluster:ticks" } }
    page:take "node"
    server:advance(5)
    local first = page:take_all()
    assert.same({ 1, 2, 3 }, { first[1].data.n, first[2].data.n, first[3].data.n })
    page:disconnect()
    server:advance(60)
    page:return_with_last_id()
    page:expect_nothing "moonwire:gap"
    local next_one = page:take("tick").data
    assert.same({ #first + 1, first[1].data.run }, { next_one.n, next_one.run })
  end)

  it("publishes notes of visitors, and refuses what is not one", function()
    local page = server:connect { channels = { "cluster:notes" } }
    page:send("cluster:notes", "note", { text = "hello" })
    assert.same({ text = "hello", node = "1" }, page:take("note").data)
    for _, data in ipairs { { text = "" }, { text = ("x"):rep(201) }, { text = 1 }, {} } do
      local _, reason = page:try_send("cluster:notes", "note", data)
      assert.matches("1 to 200 bytes", reason)
    end
  end)

  it("does not kill or start what is not a node", function()
    for _, path in ipairs { "/nodes/1/kill", "/nodes/4/start", "/nodes/1/stop", "/nodes/1;x/kill" } do
      assert.equal(404, server:request("POST", path).status)
    end
    assert.matches("<!doctype html>", server:request("GET", "/").body)
  end)
end)
