-- Publishes that wait until replicas of Redis have them.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local ports = require "spec.support.ports"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "a secret key",
  broker = moonwire.redis { url = "unix:%s", wait_replicas = 1, publish_seconds = %s },
}
app:channel("news:{n}", { history = { size = 10 } })
app:post("/say", function()
  local id, message, code = app:publish("news:1", "said", "say")
  return moonwire.json.encode { id = id, message = message, code = code }
end)
return app
]]

local lost = "published, but it may be lost: fewer replicas than wait_replicas have confirmed it"

describe("a publish with wait_replicas", function()
  local primary, replica, node, clients

  before_each(function()
    local port = ports.free()
    primary = redis.start("--port " .. port .. " --repl-diskless-sync-delay 0")
    replica = redis.start("--replicaof 127.0.0.1 " .. port)
    clients = { primary:connect(), replica:connect() }
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close()
    end
    if node then
      node:stop()
    end
    node = nil
    replica:remove()
    primary:remove()
  end)

  local function start(publish_seconds)
    node = server.start {
      script = script:format(primary.path, publish_seconds),
      args = "--listen 127.0.0.1:0",
    }
  end

  local function await_replica()
    for _ = 1, 3000 do
      if clients[1]:call("INFO", "replication"):find("state=online", 1, true) then
        return
      end
      require("socket").sleep(0.02)
    end
    error "the replica is not online"
  end

  local function publish(data, key)
    local response = http.request(node, "POST", "/publish", {
      body = dkjson.encode { channel = "news:1", data = data, idempotency_key = key },
      headers = { Authorization = "Bearer a secret key" },
    })
    return response.status, dkjson.decode(response.body)
  end

  it("returns when a replica has the message", function()
    await_replica()
    start(60)
    for i = 1, 3 do
      assert.equal(200, (publish(i)))
      assert.equal(i, clients[2]:call("XLEN", "{mw}:s:news:1"))
    end
  end)

  it("says that the message may be lost while the replica is stopped", function()
    await_replica()
    start(3)
    local stream = sse.open(node, "/sse?channel=news:1", { timeout = 60 })
    stream:cursor()
    local pid = clients[2]:call("INFO", "server"):match "process_id:(%d+)"
    os.execute("kill -STOP " .. pid)
    local say = http.connect(node, 60)
    assert(say:send(http.format("POST", "/say", { body = "{}" })))
    assert.equal('"say"', stream:event().data)
    local status, body = publish(1, "one")
    assert.same({ 504, { code = "unreplicated", reason = lost } }, { status, body.error })
    local event = stream:event()
    assert.equal("1", event.data)
    local answer = dkjson.decode(say:read_response().body)
    assert.same({ message = lost, code = "unreplicated" }, answer)
    say:close()
    assert.truthy(node:await_log "too few replicas of redis confirm messages")
    local _, lines = node:log():gsub("too few replicas of redis confirm messages", "")
    assert.equal(1, lines)
    os.execute("kill -CONT " .. pid)
    for _ = 1, 20 do
      status, body = publish(1, "one")
      if status ~= 504 then
        break
      end
    end
    assert.same({ 200, { id = event.id } }, { status, body })
    assert.truthy(node:await_log "the replicas of redis confirm messages again")
    stream:close()
  end)
end)
