-- What clients and back ends receive while Redis refuses to publish.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "a secret key" }
app:channel("news:{n}", {
  history = { size = 10 },
  relay = { "fleeting", kept = { keep = true } },
})
app:post("/say", function()
  local _, message, code = app:publish("news:1", "said", 1)
  local results = app:publish_all { { "news:1", "said", 2 } }
  return moonwire.json.encode { message = message, code = code, all = results[1].error }
end)
return app
]]

local full = "redis is full: raise its maxmemory, or keep fewer messages"

describe("a Redis that refuses to publish", function()
  local instance, node, client

  before_each(function()
    instance = redis.start()
    client = instance:connect()
  end)

  after_each(function()
    client:close()
    node:stop()
    instance:remove()
  end)

  local function start()
    node = server.start {
      script = script,
      args = "--listen 127.0.0.1:0 --broker unix:" .. instance.path,
    }
  end

  -- Waits until GET /ready is answered like this.
  local function await_ready(status, reason)
    local response
    for _ = 1, 600 do
      response = http.get(node, "/ready")
      local body = dkjson.decode(response.body)
      if response.status == status and body.reason == reason then
        return
      end
      require("socket").sleep(0.1)
    end
    error(("/ready: %d %s"):format(response.status, response.body))
  end

  local function post(target, object)
    local headers = target == "/publish" and { Authorization = "Bearer a secret key" } or nil
    local response =
      http.request(node, "POST", target, { body = dkjson.encode(object), headers = headers })
    return response, dkjson.decode(response.body)
  end

  it("is named in every answer, and by /ready, until it has memory again", function()
    start()
    await_ready(200)
    local stream = sse.open(node, "/sse?channel=news:1", { timeout = 60 })
    stream:cursor()
    local socket = websocket.open(node)
    socket:subscribe "news:1"
    client:call("CONFIG", "SET", "maxmemory", "1")
    await_ready(503, full)
    local expected = { code = "unavailable", reason = full }
    for _ = 1, 3 do
      local response, body = post("/publish", { channel = "news:1", data = 1 })
      assert.same({ 503, expected }, { response.status, body.error })
      assert.truthy(response.headers["retry-after"])
      response, body = post("/send", { send = "news:1", event = "kept", data = 1 })
      assert.same({ 503, expected }, { response.status, body.error })
      assert.same(expected, socket:ask({ send = "news:1", event = "kept", data = 1 }).error)
    end
    local _, body = post("/publish", { { channel = "news:1", data = 1 } })
    assert.same({ { error = expected } }, body)
    _, body = post("/say", {})
    assert.same({ message = full, code = "unavailable", all = expected }, body)
    -- a volatile message needs no memory
    socket:ask { send = "news:1", event = "fleeting", data = 2 }
    assert.equal("2", stream:event().data)
    client:call("CONFIG", "SET", "maxmemory", "0")
    await_ready(200)
    assert.equal(200, (post("/publish", { channel = "news:1", data = 3 })).status)
    assert.equal("3", stream:event().data)
    assert.truthy(node:await_log "redis accepts messages again")
    local _, lines = node:log():gsub("redis refuses to publish: OOM", "")
    assert.equal(1, lines)
    _, lines = node:log():gsub("lost the connection to redis", "")
    assert.equal(0, lines)
    socket:close()
    stream:close()
  end)

  it("is named while it has too few replicas, and when it becomes one itself", function()
    start()
    client:call("CONFIG", "SET", "min-replicas-to-write", "1")
    await_ready(503, "redis has too few replicas: min-replicas-to-write")
    local response = post("/publish", { channel = "news:1", data = 1 })
    assert.equal(503, response.status)
    client:call("CONFIG", "SET", "min-replicas-to-write", "0")
    await_ready(200)
    client:call("REPLICAOF", "127.0.0.1", "1")
    await_ready(503, "redis is a replica, which cannot publish: connect to the primary")
    client:call("REPLICAOF", "NO", "ONE")
    await_ready(200)
  end)

  it("is named while it does not know the password", function()
    client:call("CONFIG", "SET", "requirepass", "secret")
    start()
    await_ready(503, "redis denies access: check the user, the password, and the ACL")
    client:call("CONFIG", "SET", "requirepass", "")
    await_ready(200)
  end)
end)
