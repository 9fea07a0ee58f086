-- Three nodes with a real Redis: clients that go from node to node while nodes, connections, and Redis are killed.
--
-- scripts/soak cluster has the long version.

local dkjson = require "dkjson"
local server = require "spec.support.server"

describe("a cluster of three nodes", function()
  local function run(options)
    local result = dkjson.decode(
      server.peer("support/cluster/run.mjs", dkjson.encode(options)):match "[^\n]*\n$"
    )
    assert.same({}, result.wrong)
    assert.is_true(result.published >= options.messages)
    assert.is_true(result.messages > options.messages * options.clients)
    return result
  end

  it("loses no message while nodes, connections, and Redis are killed", function()
    local result = run {
      clients = 6,
      channels = 3,
      messages = 800,
      batch = 5,
      history = 100000,
      redis = { "--appendonly", "yes", "--appendfsync", "always" },
      steps = {
        "kill a node",
        "cut pub/sub",
        "restart Redis",
        "stop a node",
        "cut commands",
      },
    }
    assert.equal(0, result.gaps)
  end)
end)
