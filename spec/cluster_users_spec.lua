-- What an app does to a user on all servers of a cluster: two processes with one real Redis.

local http = require "spec.support.http"
local native = require "spec.support.native"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local APP = [[
local moonwire = require "moonwire"
local app = moonwire.app { broker = moonwire.redis { url = "unix:%s", publish_seconds = 120 } }
app:authenticate(function(request)
  return { id = request.query.name or "nobody" }
end)
app:channel("news", { authorize = true })
app:channel("other", { authorize = true })
app:post("/close/{user}", function(request)
  return { closed = app:close_user(request.params.user, "closed") }
end)
app:post("/notify/{user}", function(request)
  return { sent = app:send_user(request.params.user, "notice", tonumber(request.body)) }
end)
app:post("/notify/{user}/many/{count}", function(request)
  local sent = 0
  for i = 1, tonumber(request.params.count) do
    sent = sent + (app:send_user(request.params.user, "notice", i) and 1 or 0)
  end
  return { sent = sent }
end)
app:post("/kick/{user}", function(request)
  return { ok = app:find("news"):kick(request.params.user, request.body) }
end)
return app
]]

-- Reads the stream to its end.
local function await_end(stream)
  while stream:event() do
  end
  stream:close()
end

local function open(node, user)
  local stream = sse.open(node, "/sse?channel=news&channel=other&name=" .. user, { timeout = 60 })
  assert.equal(200, stream.status)
  stream:cursor()
  return stream
end

local function post(node, target, body)
  local answer = http.request(node, "POST", target, { body = body or "", timeout = 60 })
  assert.equal(200, answer.status)
  return answer.body
end

-- Reads to the end, and returns what came: "notice 1", and so on.
local function take_all(stream)
  local taken = {}
  local event = stream:event()
  while event do
    taken[#taken + 1] = ("%s %s"):format(event.event, event.data)
    event = stream:event()
  end
  stream:close()
  return taken
end

describe("users of a cluster", function()
  local instance, nodes

  setup(function()
    instance = redis.start()
    local app = APP:format(instance.path)
    nodes = { server.start(app), server.start(app) }
  end)

  teardown(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  it("are closed on all servers", function()
    local streams = { open(nodes[1], "ann"), open(nodes[2], "ann"), open(nodes[2], "ann") }
    local other = open(nodes[2], "bea")
    local answer = http.request(nodes[1], "POST", "/close/ann", { body = "" })
    assert.matches('"closed":1', answer.body) -- on its own server
    for _, stream in ipairs(streams) do
      await_end(stream)
    end
    -- and nobody else
    answer = http.request(nodes[2], "POST", "/close/bea", { body = "" })
    assert.matches('"closed":1', answer.body)
    await_end(other)
  end)

  it("receive what is sent to them on all servers", function()
    local streams = { open(nodes[1], "ann"), open(nodes[2], "ann"), open(nodes[2], "ann") }
    local socket = native.open(nodes[2], { target = "/ws?name=ann" })
    socket:subscribe "news"
    local other = open(nodes[2], "bea")
    assert.matches('"sent":1', post(nodes[1], "/notify/ann", "7"))
    assert.matches('"sent":0', post(nodes[1], "/notify/bea", "8")) -- on its own server
    assert.matches('"ok":true', post(nodes[1], "/kick/ann", "out"))
    assert.matches('"ok":true', post(nodes[1], "/kick/nobody", "out"))
    local notice = socket:next()
    assert.same({ event = "notice", data = 7 }, notice)
    local unsubscribed = socket:next()
    assert.equal("moonwire:unsubscribed", unsubscribed.event)
    assert.same({ channel = "news", code = "kicked", reason = "out" }, unsubscribed.data)
    post(nodes[1], "/close/ann")
    post(nodes[1], "/close/bea")
    for _, stream in ipairs(streams) do
      local taken = take_all(stream)
      assert.equal("notice 7", taken[1])
      assert.matches('^moonwire:unsubscribed .*"out"', taken[2])
      assert.equal(2, #taken)
    end
    assert.same({ "notice 8" }, take_all(other))
  end)

  it("receive it once while connections to Redis are cut", function()
    local client = instance:connect()
    local streams = { open(nodes[1], "ann"), open(nodes[2], "ann") }
    local function cut(i)
      client:call("CLIENT", "KILL", "TYPE", i % 2 == 0 and "normal" or "pubsub", "SKIPME", "yes")
    end
    for i = 1, 6 do
      cut(i)
      post(nodes[1 + i % 2], "/notify/ann", tostring(i))
      cut(i + 1)
    end
    for i, stream in ipairs(streams) do
      local taken = {}
      for at = 1, 6 do
        taken[at] = stream:event().data
      end
      table.sort(taken)
      assert.equal("1 2 3 4 5 6", table.concat(taken, " "), "on server " .. i)
    end
    post(nodes[1], "/kick/ann", "out")
    cut(1)
    cut(2)
    for _, stream in ipairs(streams) do
      assert.equal("moonwire:unsubscribed", stream:event().event)
    end
    cut(1)
    post(nodes[1], "/close/ann")
    cut(2)
    for _, stream in ipairs(streams) do
      assert.same({}, take_all(stream))
    end
    client:close()
  end)

  it("receive many at a time", function()
    local stream = open(nodes[2], "ann")
    assert.matches('"sent":500', post(nodes[1], "/notify/ann/many/500"))
    post(nodes[1], "/close/ann")
    local taken = take_all(stream)
    assert.equal(500, #taken)
    for i, text in ipairs(taken) do
      assert.equal("notice " .. i, text)
    end
  end)

  it("are closed whatever other programs have written in between", function()
    local client = instance:connect()
    local stream = open(nodes[2], "ann")
    client:call("PUBLISH", "{mw}:x", "garbage")
    client:call("XADD", "{mw}:x", "9000000000000000-0", "x", "y")
    client:call("PUBLISH", "{mw}:x", "garbage")
    http.request(nodes[1], "POST", "/close/ann", { body = "" })
    await_end(stream)
    for _, garbage in ipairs {
      "",
      "close_user 9 9\nann",
      "close_user 3 500\nann",
      "close_user 3 0\nannmore",
      "close_user 3\nann",
      "close_user 3 18446744073709551615\nann",
      "send_user 3 0\nann",
      "send_user 3 0\nann1 - 6 0 0 0\nnotice{",
      "send_user 3 0\nann1 f 6 0 0 0\nnotice1",
      "send_user 3 3\nann\0\0\0001 - 6 0 0 0\nnotice1",
      "send_user 3 0\nann1 - 12 0 0 0\nmoonwire:gap1",
      "kick_user 3 4 0 0\nannnews",
      "kick_user 3 0 1 0\nannx",
      "kick_user 3 4 1 0\nannnew",
      "later",
    } do
      local position = client:call("HGET", "{mw}:h", "control")
      client:call(
        "XADD",
        "{mw}:x",
        ("%d-0"):format(position + 1),
        "b",
        position,
        "o",
        "other",
        "m",
        garbage
      )
      client:call("HSET", "{mw}:h", "position", position + 1, "control", position + 1)
      client:call("PUBLISH", "{mw}:x", "")
    end
    client:close()
    stream = open(nodes[2], "ann")
    http.request(nodes[1], "POST", "/close/ann", { body = "" })
    assert.same({}, take_all(stream))
  end)
end)
