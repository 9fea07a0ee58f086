-- scripts/soak cluster: three nodes with a real Redis for minutes, with 300 clients and 100,000 messages.

local dkjson = require "dkjson"
local server = require "spec.support.server"

describe("a cluster of three nodes, for long", function()
  local function run(options)
    local output = server.peer("support/cluster/run.mjs", dkjson.encode(options))
    print(output)
    local result = dkjson.decode(output:match "[^\n]*\n$")
    assert.same({}, result.wrong)
    assert.is_true(result.published >= options.messages)
    return result
  end

  local whole = { "--appendonly", "yes", "--appendfsync", "always" }

  it("loses none of 100,000 messages to 300 clients", function()
    local result = run {
      clients = 100,
      channels = 10,
      each = 2,
      batch = 20,
      messages = 100000,
      history = 200000,
      redis = whole,
      steps = { "random:60" },
      patience = 300,
    }
    assert.equal(0, result.gaps)
  end)

  it("loses no message while pub/sub is cut every second", function()
    local result = run {
      clients = 60,
      channels = 10,
      each = 2,
      batch = 20,
      messages = 40000,
      history = 200000,
      redis = whole,
      steps = { "random:20" },
      cutMs = 1000,
      patience = 300,
    }
    assert.is_true(result.cuts > 20)
    assert.equal(0, result.gaps)
  end)

  it("has no race between the joins of 5,000 clients and the messages of another node", function()
    local output = server.peer(
      "support/cluster/race.mjs",
      dkjson.encode { clients = 5000, channels = 200, after = 200 }
    )
    print(output)
    local result = dkjson.decode(output:match "[^\n]*\n$")
    assert.same({}, result.wrong)
    assert.is_true(result.received >= 5000 * 200)
  end)

  it("tells everybody of what Redis has lost", function()
    local result = run {
      clients = 20,
      channels = 5,
      batch = 5,
      messages = 5000,
      history = 200000,
      redis = { "--appendonly", "no" },
      gaps = true,
      steps = {
        "restart Redis",
        "empty Redis",
        "fill Redis",
        "pause a node",
        "restart Redis",
        "kill a node",
      },
      patience = 300,
    }
    assert.is_true(result.gaps > 0)
  end)
end)
