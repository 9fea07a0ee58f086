-- A cluster whose Redis is replaced by a replica that lacks some writes, and one with two primaries.

local ports = require "spec.support.ports"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local socket = require "socket"
local sockets = require "spec.support.sockets"
local witness = require "spec.support.cluster.witness"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "a secret key",
  broker = moonwire.redis { url = "unix:" .. os.getenv "REDIS", publish_seconds = 20 },
}
app:channel("news:{n}", { history = { size = 100 } })
return app
]]

describe("a replica that becomes the primary", function()
  local directory, primary, replica, nodes, port
  local numbers, clients

  -- Makes the node's way to Redis lead there. What is connected stays so.
  local function lead(node, instance)
    server.run(("ln -sfn %s %s/%d"):format(instance.path, directory, node))
  end

  local function call(instance, ...)
    local client = instance:connect()
    local reply = client:call(...)
    client:close()
    return reply
  end

  local function await(what, condition)
    local begin = socket.gettime()
    while not condition() do
      assert(socket.gettime() - begin < 60, what)
      socket.sleep(0.02)
    end
  end

  local function is_in_step()
    local offset = call(primary, "INFO", "replication"):match "master_repl_offset:(%d+)"
    local info = call(replica, "INFO", "replication")
    return info:find "master_link_status:up" and info:match "slave_repl_offset:(%d+)" == offset
  end

  -- Starts the cluster. The client at the first node has three messages, and so has the replica.
  local function start(options)
    port = ports.free()
    local more = " --bind 127.0.0.1 --repl-diskless-sync-delay 0 --appendonly no"
    primary = redis.start(("--port %d"):format(port) .. more .. " " .. (options or ""))
    replica = redis.start(("--port %d"):format(ports.free()) .. more)
    call(replica, "REPLICAOF", "127.0.0.1", port)
    await("the replica is connected", is_in_step)
    for i = 1, 2 do
      lead(i, primary)
      nodes[i] = server.start {
        script = script,
        env = ("REDIS=%s/%d"):format(directory, i),
      }
    end
    clients[1] = witness.new(nodes[1], "news:1")
    for i = 1, 3 do
      numbers:publish(nodes[1 + i % 2])
    end
    clients[1]:await(numbers.last, numbers.ids)
    await("the replica has everything", is_in_step)
  end

  before_each(function()
    directory = sockets.directory()
    nodes, clients = {}, {}
    numbers = witness.numbers "news:1"
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close()
    end
    for _, node in ipairs(nodes) do
      node:stop()
    end
    primary:remove()
    replica:remove()
    server.run("rm -rf " .. directory)
  end)

  local function assert_ids_are_unique()
    local seen = {}
    for number, id in pairs(numbers.ids) do
      assert.is_nil(seen[id], ("%d and %s have the id %s"):format(number, seen[id], id))
      seen[id] = number
    end
  end

  -- A client that has the id of that message comes back to a node, and receives a gap.
  local function assert_gap_after(number, node)
    local back = witness.new(nodes[node], "news:1", numbers.ids[number])
    back:has(number)
    back:await(numbers.last, numbers.ids)
    assert.equal(1, back.gaps)
    back:close()
  end

  it("lacks two messages, and has three others before their node looks", function()
    start()
    call(replica, "REPLICAOF", "NO", "ONE")
    numbers:publish(nodes[1])
    local lost = numbers:publish(nodes[1])
    clients[1]:await(lost, numbers.ids)
    primary:kill()
    lead(2, replica)
    assert.truthy(nodes[2]:await_log "connected to redis again")
    clients[2] = witness.new(nodes[2], "news:1")
    for _ = 1, 3 do
      numbers:publish(nodes[2])
    end
    clients[2]:await(numbers.last, numbers.ids)
    lead(1, replica)
    assert.truthy(nodes[1]:await_log "redis has lost messages: a new epoch begins")
    for i = 1, 2 do
      numbers:publish(nodes[i])
    end
    for i = 1, 2 do
      clients[i]:await(numbers.last, numbers.ids)
      assert.equal(1, clients[i].gaps)
    end
    assert_gap_after(3, 2)
    assert_gap_after(lost, 2)
    assert_gap_after(lost + 3, 1)
    assert_ids_are_unique()
  end)

  it("takes over with everything, and there is no gap", function()
    start()
    clients[2] = witness.new(nodes[2], "news:1", numbers.ids[2])
    call(replica, "REPLICAOF", "NO", "ONE")
    primary:kill()
    for i = 1, 2 do
      lead(i, replica)
    end
    for i = 1, 4 do
      numbers:publish(nodes[1 + i % 2])
    end
    for i = 1, 2 do
      clients[i]:await(numbers.last, numbers.ids)
      assert.equal(0, clients[i].gaps)
    end
    assert_ids_are_unique()
  end)

  -- The primary and the replica serve one node each, and then the replica both. Returns how many of the publishes to the earlier
  -- primary were refused.
  local function split()
    clients[2] = witness.new(nodes[2], "news:1", numbers.ids[2])
    call(replica, "REPLICAOF", "NO", "ONE")
    lead(2, replica)
    call(primary, "CLIENT", "KILL", "TYPE", "pubsub") -- both, but the way of the first node leads back
    assert.truthy(nodes[2]:await_log "connected to redis again")
    local refused = 0
    for _ = 1, 2 do
      local next_number = numbers.last + 1
      local status, id = witness.try_publish(nodes[1], "news:1", next_number)
      numbers.last = next_number
      numbers.ids[next_number] = status == 200 and id or nil
      refused = refused + (status == 503 and 1 or 0)
    end
    for _ = 1, 3 do
      numbers:publish(nodes[2])
    end
    -- the earlier primary learns of the other
    lead(1, replica)
    call(primary, "REPLICAOF", "127.0.0.1", replica.options:match "%d+")
    for i = 1, 2 do
      numbers:publish(nodes[i])
    end
    for i = 1, 2 do
      clients[i]:await(numbers.last) -- what the earlier primary has ordered is a gap later
    end
    return refused
  end

  it("serves beside the earlier primary, and what that one ordered is a gap for all", function()
    start()
    assert.equal(0, split())
    assert.same({ 1, 1 }, { clients[1].gaps, clients[2].gaps })
  end)

  it("serves alone if the earlier primary must have a replica, and there is no gap", function()
    start "--min-replicas-to-write 1 --min-replicas-max-lag 10"
    call(replica, "CONFIG", "SET", "min-replicas-to-write", 0)
    assert.equal(2, split())
    assert.same({ 0, 0 }, { clients[1].gaps, clients[2].gaps })
    assert_ids_are_unique()
  end)
end)
