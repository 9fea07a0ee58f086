-- Nodes with a real Redis: clients that go from node to node while nodes, connections, and Redis are killed, and many that join
-- at once.
--
-- scripts/soak cluster has the long versions.

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

  it(
    "loses no message while pub/sub is cut every second, and publishers after every tenth request",
    function()
      local result = run {
        clients = 6,
        channels = 3,
        messages = 2000,
        batch = 5,
        history = 100000,
        redis = { "--appendonly", "no" },
        steps = { "wait for cuts" },
        cutMs = 1000,
      }
      assert.is_true(result.cuts >= 3)
      assert.equal(0, result.gaps)
    end
  )

  it(
    "has no race between the joins of a thousand clients and the messages of another node",
    function()
      local result = dkjson.decode(
        server
          .peer("support/cluster/race.mjs", dkjson.encode { clients = 1000, channels = 20, after = 50 })
          :match "[^\n]*\n$"
      )
      assert.same({}, result.wrong)
      assert.is_true(result.received >= 1000 * 50)
    end
  )
end)
