-- Two servers with one Redis, as their clients see them.

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
  history = { size = 1000 },
  relay = { "fleeting", kept = { keep = true } },
  on = {
    say = function(client, channel, message)
      local id = assert(channel:publish("said", message.data))
      return { id = id }
    end,
  },
})
app:get("/stats", function()
  return moonwire.json.encode(app:stats())
end)
app:channel("few:{n}", { history = { size = 3 } })
app:get("/history", function(request)
  local query = request.query
  local messages, more =
    app:find("news:1"):history { before = query.before, limit = tonumber(query.limit) }
  local values = {}
  for i, message in ipairs(messages) do
    values[i] = message.data
  end
  return moonwire.json.encode { values = values, first = messages[1].id, more = more }
end)
return app
]]

describe("servers with one Redis", function()
  local instance, nodes

  local function start(index)
    nodes[index] = server.start {
      script = script,
      args = "--listen 127.0.0.1:0 --broker unix:" .. instance.path,
    }
  end

  before_each(function()
    -- "everysec" may write later than it answers, if the disk is slow
    instance = redis.start "--appendonly yes --appendfsync always"
    nodes = {}
    start(1)
    start(2)
  end)

  after_each(function()
    for _, node in pairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  local function publish(node, object)
    local response = http.request(
      nodes[node],
      "POST",
      "/publish",
      { body = dkjson.encode(object), headers = { Authorization = "Bearer a secret key" } }
    )
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body).id
  end

  local function listen(node, channel, since)
    local stream = sse.open(
      nodes[node],
      "/sse?channel=" .. channel .. (since and "&since=" .. since or ""),
      { timeout = 60 }
    )
    if not since then
      stream:cursor()
    end
    return stream
  end

  it("are one server, with one order and one id", function()
    local stream = listen(1, "news:1")
    local socket = websocket.open(nodes[2])
    socket:subscribe "news:1"
    local first = publish(2, { channel = "news:1", data = 1 })
    assert.equal(first, stream:event().id)
    assert.equal(first, socket:next().id)
    local answer, pushes = socket:ask { send = "news:1", event = "say", data = 2 }
    assert.equal(2, pushes[1].data)
    assert.same({ id = pushes[1].id }, answer.ok)
    assert.equal(pushes[1].id, stream:event().id)
    answer = socket:ask { send = "news:1", event = "kept", data = 3 }
    local event = stream:event()
    assert.equal(answer.ok.id, event.id)
    socket:ask { send = "news:1", event = "fleeting", data = 4 }
    assert.equal("4", stream:event().data)
    stream:close()
    local last = publish(1, { channel = "news:1", data = 5 })
    local other = listen(2, "news:1", event.id)
    event = other:event()
    assert.same({ last, "5" }, { event.id, event.data })
    other:close()
    socket:close()
  end)

  it("resume what only Redis has, on a node that has nothing of it", function()
    local stream = listen(1, "news:1")
    local since = publish(1, { channel = "news:1", data = 0 })
    assert.equal(since, stream:event().id)
    stream:close()
    local objects = {}
    for i = 1, 600 do
      objects[i] = { channel = "news:1", data = i }
    end
    local response = http.request(
      nodes[1],
      "POST",
      "/publish",
      { body = dkjson.encode(objects), headers = { Authorization = "Bearer a secret key" } }
    )
    assert.equal(200, response.status)
    stream = listen(2, "news:1", since)
    for i = 1, 600 do
      assert.equal(tostring(i), stream:event().data)
    end
    stream:close()
  end)

  it("publish once what is repeated on another node", function()
    local stream = listen(1, "news:1")
    local first = publish(1, { channel = "news:1", data = 1, idempotency_key = "order 7" })
    assert.equal(first, publish(2, { channel = "news:1", data = 1, idempotency_key = "order 7" }))
    local second = publish(2, { channel = "news:1", data = 2 })
    assert.same({ first, second }, { stream:event().id, stream:event().id })
    stream:close()
  end)

  it("answer polls with messages that only Redis has", function()
    local since = publish(1, { channel = "news:1", data = 0 })
    local objects = {}
    for i = 1, 600 do
      objects[i] = { channel = "news:1", data = i }
    end
    local response = http.request(nodes[1], "POST", "/publish", {
      body = dkjson.encode(objects),
      headers = { Authorization = "Bearer a secret key" },
    })
    assert.equal(200, response.status)
    -- as itself, and as a client, which reads an old id again and again
    for _, query in ipairs { "channel=news:1", "channel=news:1&client=" } do
      for _ = 1, 2 do
        local seen, id, client = 0, since, nil
        while seen < 600 do
          local target = ("/poll?wait=20&%s%s&since=%s"):format(query, client or "", id)
          response = http.get(nodes[2], target)
          assert.equal(200, response.status, response.body)
          local answer = dkjson.decode(response.body)
          client = answer.client
          assert.truthy(query:find "client" == nil or client)
          for _, message in ipairs(answer.messages) do
            assert.is_nil(message.event and message.event:match "^moonwire:", response.body)
            seen = seen + 1
            assert.equal(seen, message.data)
          end
          id = answer.id
        end
      end
    end
  end)

  it("relay once what is sent again on another node", function()
    local stream = listen(1, "news:1")
    local answers = {}
    for i, node in ipairs { 1, 2, 1 } do
      local response = http.request(nodes[node], "POST", "/send", {
        body = '{"send":"news:1","event":"kept","data":1,"idempotency_key":"order 7"}',
      })
      assert.equal(200, response.status, response.body)
      answers[i] = dkjson.decode(response.body).ok.id
    end
    local socket = websocket.open(nodes[2])
    socket:subscribe "news:1"
    local again = { send = "news:1", event = "kept", data = 1, idempotency_key = "order 7" }
    answers[4] = socket:ask(again).ok.id
    socket:close()
    -- a key of POST /publish is another one
    local other = publish(1, { channel = "news:1", data = 2, idempotency_key = "order 7" })
    local first = stream:event().id
    assert.same({ first, first, first, first }, answers)
    assert.equal(other, stream:event().id)
    stream:close()
  end)

  it("read the history of a channel page by page, on a node that has nothing of it", function()
    local objects = {}
    for i = 1, 600 do
      objects[i] = { channel = "news:1", data = i }
    end
    local response = http.request(
      nodes[1],
      "POST",
      "/publish",
      { body = dkjson.encode(objects), headers = { Authorization = "Bearer a secret key" } }
    )
    assert.equal(200, response.status)
    local newest, before = 600, nil
    while newest > 0 do
      local target = "/history?limit=200" .. (before and "&before=" .. before or "")
      local page = dkjson.decode(http.get(nodes[2], target).body)
      assert.equal(200, #page.values)
      assert.equal(newest, page.values[200])
      assert.equal(newest - 199, page.values[1])
      newest, before = newest - 200, page.first
      assert.equal(newest > 0, page.more)
    end
  end)

  it("tell a gap where Redis has nothing, and only there", function()
    local stream = listen(1, "few:1")
    local since = publish(1, { channel = "few:1", data = 0 })
    stream:event()
    stream:close()
    local near
    for i = 1, 5 do
      local id = publish(1, { channel = "few:1", data = i })
      near = i == 2 and id or near
    end
    stream = listen(2, "few:1", since)
    assert.equal("moonwire:gap", stream:event().event)
    assert.equal("3", stream:event().data)
    stream:close()
    stream = listen(2, "few:1", near)
    assert.equal("3", stream:event().data)
    stream:close()
  end)

  it("go on when Redis is killed and comes back", function()
    local stream = listen(1, "news:1")
    publish(2, { channel = "news:1", data = 1 })
    assert.equal("1", stream:event().data)
    instance:kill()
    assert.truthy(nodes[2]:await_log "lost the connection to redis")
    assert.equal(200, http.get(nodes[2], "/health").status)
    local ready = http.get(nodes[2], "/ready")
    assert.equal(503, ready.status)
    assert.equal('{"status":"unavailable","reason":"not connected to redis"}\n', ready.body)
    local waiting = http.connect(nodes[2], 60)
    assert(waiting:send(http.format("POST", "/publish", {
      body = '{"channel":"news:1","data":2}',
      headers = { Authorization = "Bearer a secret key" },
    })))
    instance:start()
    assert.equal(200, waiting:read_response().status)
    waiting:close()
    assert.equal("2", stream:event().data)
    stream:close()
    assert.truthy(nodes[2]:await_log "connected to redis again")
    local stats = dkjson.decode(http.get(nodes[2], "/stats").body)
    assert.is_true(stats.broker_losses >= 1)
    assert.equal(0, stats.broker_lost_ms)
    assert.equal(200, http.get(nodes[2], "/ready").status)
  end)

  it("lose a node that is killed, and nothing else", function()
    local stream = listen(2, "news:1")
    local since = publish(1, { channel = "news:1", data = 1 })
    assert.equal(since, stream:event().id)
    stream:close()
    nodes[1]:finish "KILL"
    nodes[1] = nil
    start(1)
    local last = publish(2, { channel = "news:1", data = 2 })
    stream = listen(1, "news:1", since)
    local event = stream:event()
    assert.same({ last, "2" }, { event.id, event.data })
    stream:close()
  end)

  it("tell everybody of a Redis that has forgotten", function()
    local stream = listen(1, "news:1")
    local since = publish(2, { channel = "news:1", data = 1 })
    assert.equal("1", stream:event().data)
    local client = instance:connect()
    client:call "FLUSHALL"
    client:close()
    local ok, block
    repeat
      ok, block = pcall(stream.next, stream)
    until not ok or not block
    stream = listen(1, "news:1", since)
    assert.equal("moonwire:gap", stream:event().event)
    publish(2, { channel = "news:1", data = 2 })
    assert.equal("2", stream:event().data)
    stream:close()
  end)
end)
