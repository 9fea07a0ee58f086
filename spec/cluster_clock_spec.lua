-- A cluster whose Redis has another time than before: its clock is set back, and channels are quiet for longer than their marks
-- last.
--
-- SOAK=1: 10,000 channels, in place of 2,000.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local websocket = require "spec.support.websocket"
local witness = require "spec.support.cluster.witness"

local CHANNELS, CLIENTS = os.getenv "SOAK" and 10000 or 2000, 10

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "a secret key",
  broker = moonwire.redis { url = "unix:" .. os.getenv "REDIS", publish_seconds = 20 },
  limits = { client_channels = 10000, client_names = 0, address_names = 0 },
}
app:channel("news:{n}", { history = { size = 100 } })
app:channel("quiet:{n}", { history = { size = 10, ttl = 3600 } })
return app
]]

describe("a cluster whose Redis has a clock that moves", function()
  local instance, client, nodes

  before_each(function()
    instance = redis.start(nil, nil, true)
    client = instance:connect()
    nodes = {}
    for i = 1, 2 do
      nodes[i] = server.start { script = script, env = "REDIS=" .. instance.path }
    end
  end)

  after_each(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    client:close()
    instance:remove()
  end)

  local function time()
    return math.tointeger(client:call("TIME")[1])
  end

  it("orders messages while the clock is set back, and has no gap", function()
    local numbers = witness.numbers "news:1"
    local there = witness.new(nodes[1], "news:1")
    local before = time()
    for _, offset in ipairs { 0, -10, -3600, 5, -10 } do
      instance:set_clock(offset)
      for i = 1, 4 do
        numbers:publish(nodes[1 + i % 2])
      end
      there:await(numbers.last, numbers.ids)
    end
    assert.is_true(time() < before)
    for i = 2, numbers.last do
      assert.is_true(numbers.ids[i] > numbers.ids[i - 1])
    end
    client:call("CLIENT", "KILL", "TYPE", "pubsub")
    local back = witness.new(nodes[2], "news:1", numbers.ids[2])
    back:has(2)
    numbers:publish(nodes[1])
    for _, one in ipairs { there, back } do
      one:await(numbers.last, numbers.ids)
      assert.equal(0, one.gaps)
      one:close()
    end
  end)

  -- Publishes to channels with these numbers, and returns the ids.
  local function publish(node, first, last)
    local ids = {}
    for from = first, last, 100 do
      local messages = {}
      for n = from, math.min(from + 99, last) do
        messages[#messages + 1] = { channel = "quiet:" .. n, data = n }
      end
      local response = http.request(node, "POST", "/publish", {
        headers = { Authorization = "Bearer " .. witness.KEY },
        body = dkjson.encode(messages),
      })
      assert.equal(200, response.status, response.body)
      for i, answer in ipairs(dkjson.decode(response.body)) do
        ids[from + i - 1] = assert(answer.id)
      end
    end
    return ids
  end

  it("has no gap in channels that were quiet for longer than their marks last", function()
    publish(nodes[2], 1, CHANNELS)
    local others = witness.numbers "news:1"
    local other = witness.new(nodes[1], "news:1")
    local clients = {}
    for i = 1, CLIENTS do
      clients[i] = websocket.open(nodes[1])
      for n = i, CHANNELS, CLIENTS do
        clients[i]:tell { subscribe = "quiet:" .. n }
      end
    end
    for i = 1, CLIENTS do
      local answer = clients[i]:ask { subscribe = "news:" .. i + 1 }
      assert.is_truthy(answer.ok, dkjson.encode(answer))
    end
    instance:set_clock(26 * 3600)
    assert.equal(0, client:call("EXISTS", "{mw}:c:quiet:1", "{mw}:s:quiet:1"))
    -- the node that is cut off has seen that time has passed
    others:publish(nodes[2])
    other:await(others.last)
    other:close()
    client:call("CLIENT", "KILL", "TYPE", "pubsub")
    local ids = publish(nodes[2], 1, CHANNELS)
    for i, one in ipairs(clients) do
      for n = i, CHANNELS, CLIENTS do
        local push = assert(one:next())
        assert.same({ "quiet:" .. n, n, ids[n] }, { push.channel, push.data, push.id })
      end
      one:close()
    end
    -- a client that was away for a short time, and has the id of another channel
    instance:set_clock(52 * 3600)
    local since = publish(nodes[1], 1, 1)[1]
    assert.equal(0, client:call("EXISTS", "{mw}:c:quiet:2", "{mw}:s:quiet:2"))
    for _, node in ipairs(nodes) do
      local back = websocket.open(node)
      for n = 2, 20 do
        local answer = back:ask { subscribe = "quiet:" .. n, since = since }
        assert.is_true(answer.ok.recovered, dkjson.encode(answer))
      end
      back:close()
    end
  end)
end)
