-- Each limit that refuses has a counter of its name in app:stats().limits, and its consequence.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { LIMITS } }
app:channel("room:{room}", {
  relay = { "move" },
  history = { size = 5 },
  limits = { channels = 2 },
  on = {
    wait = function() while true do moonwire.sleep(60) end end,
    say = function(_, channel, message) return channel:publish("said", message.data) end,
  },
})
app:channel("other:{room}", {})
app:post("/post", function(request) return { size = #request.body } end)
app:get("/stats", function() return app:stats().limits end)
app:get("/publish-to/{name}", function(request)
  local id, message, code = app:publish("room:" .. request.params.name, "said", 1)
  return { id = id, message = message, code = code }
end)
app:websocket("/echo", {
  LIMITED
  on_message = function(socket, text) socket:send(text) end,
})
return app
]]

local function start(limits, limited)
  local text = script:gsub("LIMITS", limits or "", 1):gsub("LIMITED", limited or "", 1)
  return server.start(text)
end

local function counts(app)
  return dkjson.decode(http.request(app, "GET", "/stats").body)
end

local function raw(app, text)
  local connection = http.connect(app)
  connection:send(text)
  return connection
end

describe("limits of requests", function()
  it("are counted by name", function()
    local app = start "target = 100, head = 1000, fields = 8, body = 50"
    local function status(method, target, options)
      return http.request(app, method, target, options).status
    end
    assert.equal(414, status("GET", "/" .. ("x"):rep(100)))
    local connection = raw(app, "GET /" .. ("x"):rep(2000) .. " HTTP/1.1\r\n")
    assert.equal(414, connection:read_response("GET").status)
    connection:close()
    assert.equal(431, status("GET", "/", { headers = { X = ("x"):rep(1000) } }))
    local many = {}
    for i = 1, 9 do
      many["X-" .. i] = "1"
    end
    assert.equal(431, status("GET", "/", { headers = many }))
    assert.equal(413, status("POST", "/post", { body = ("x"):rep(51) }))
    assert.equal(200, status("POST", "/post", { body = ("x"):rep(50) }))
    local chunks =
      raw(app, "POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n")
    assert.equal(413, chunks:read_response("POST").status)
    chunks:close()
    local seen = counts(app)
    assert.same({ 1, 2, 1, 2 }, { seen.target, seen.head, seen.fields, seen.body })
    app:stop()
  end)

  it("in time are counted by name", function()
    local app = start(
      [[head_seconds = 1, body_seconds = 1, idle_seconds = 1, connect_seconds = 1, message_seconds = 1,
      poll_client_seconds = 1, answer_seconds = 1]],
      "limits = { ping_seconds = 1, pong_seconds = 1 },"
    )
    local poll =
      dkjson.decode(http.request(app, "GET", "/poll?channel=room:1&client=1&wait=0").body)
    assert.is_string(poll.client)
    local silent = raw(app, "")
    local head = raw(app, "GET / HTTP/1.1\r\nHost:")
    local body = raw(app, "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
    local idle = raw(app, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    idle:read_response "GET"
    local unconnected = native.open(app, { protocol = "moonwire.1" })
    local unfinished = native.open(app)
    unfinished.connection:send(string.char(0x81, 0x85, 0, 0, 0, 0) .. "12")
    local deaf = native.open(app, { target = "/echo" }) -- which answers no ping
    local slow = native.open(app)
    slow:subscribe "room:1"
    assert.equal(408, head:read_response("GET").status)
    assert.equal(408, body:read_response("POST").status)
    assert.is_true(idle:is_closed() and silent:is_closed())
    assert.equal(4408, select(2, unconnected:next()))
    assert.equal(1008, select(2, unfinished:next()))
    local late = slow:ask { send = "room:1", event = "wait" }
    assert.equal("internal", late.error and late.error.code, dkjson.encode(late))
    deaf.connection:read_rest()
    local seen
    repeat
      seen = counts(app)
    until seen.poll_client_seconds > 0
    local names =
      { "head_seconds", "body_seconds", "idle_seconds", "connect_seconds", "message_seconds" }
    for _, name in ipairs(names) do
      assert.is_true(seen[name] >= 1, name)
    end
    assert.is_true(seen.head_seconds >= 2 and seen.answer_seconds == 1 and seen.pong_seconds >= 1)
    app:stop()
  end)
end)

describe("limits of messages", function()
  it("are counted by name", function()
    local app = start "message_size = 20, ws_message_size = 500"
    local client = native.open(app)
    client:subscribe "room:1"
    local long = ("x"):rep(30)
    assert.equal(
      "too_large",
      client:ask({ send = "room:1", event = "say", data = long }).error.code
    )
    local answer = http.request(app, "POST", "/send", {
      body = dkjson.encode { send = "room:1", event = "say", data = long },
      headers = { ["Content-Type"] = "application/json" },
    })
    assert.equal(413, answer.status)
    answer = http.request(app, "POST", "/publish", {
      body = dkjson.encode { channel = "room:1", event = "said", data = long },
      headers = { Authorization = "Bearer key" },
    })
    assert.equal(413, answer.status)
    client:write(("x"):rep(501))
    assert.equal(1009, select(2, client:next()))
    local socket = native.open(app, { target = "/echo" })
    socket:write(("x"):rep(501))
    assert.equal(1009, select(2, socket:next()))
    local seen = counts(app)
    assert.same({ 3, 2 }, { seen.message_size, seen.ws_message_size })
    client:cut()
    socket:cut()
    app:stop()
  end)

  it("of raw WebSockets let the next one wait", function()
    local app = start("", "limits = { rate = 50, burst = 20 },")
    local socket = native.open(app, { target = "/echo" })
    local text = {}
    for i = 1, 30 do
      text[i] = string.char(0x81, 0x82, 0, 0, 0, 0) .. ("%02d"):format(i)
    end
    local begun = require("socket").gettime()
    socket.connection:send(table.concat(text))
    for i = 1, 30 do
      local bytes = socket.connection:read_bytes(4)
      assert.equal(("%02d"):format(i), bytes:sub(3)) -- all of them, in order
    end
    local seconds = require("socket").gettime() - begun
    assert.is_true(seconds >= 0.18, seconds) -- 10 of them at 50 a second, less one
    local seen = counts(app)
    assert.is_true(seen.websocket_rate >= 1)
    assert.truthy(app:await_log "paused a WebSocket of /echo: limits.rate reached")
    -- It reads again, and is alive.
    socket.connection:send(string.char(0x81, 0x82, 0, 0, 0, 0) .. "ok")
    assert.equal("ok", socket.connection:read_bytes(4):sub(3))
    socket:close()
    app:stop()
  end)

  it("of raw WebSockets close it, with over_rate", function()
    local app = start('rate = 0.001, burst = 2, over_rate = "close"')
    local socket = native.open(app, { target = "/echo" })
    socket:write({ 1 }, { 2 }, { 3 })
    local object, code, reason
    repeat
      object, code, reason = socket:next()
    until not object
    assert.equal(1008, code)
    assert.equal("rate_limited", reason)
    assert.equal(1, counts(app).websocket_rate)
    socket:cut()
    app:stop()
  end)

  it("of raw WebSockets can be turned off", function()
    local app = start("rate = 1, burst = 1", "limits = { rate = 0 },")
    local socket = native.open(app, { target = "/echo" })
    for i = 1, 50 do
      socket:write { i }
    end
    assert.equal(50, #socket:take(50))
    assert.equal(0, counts(app).websocket_rate)
    socket:close()
    app:stop()
  end)
end)

describe("limits of channels", function()
  it("of one pattern leave the others their share", function()
    local app = start()
    local client = native.open(app)
    client:subscribe "room:1"
    assert.is_string(dkjson.decode(http.request(app, "GET", "/publish-to/2").body).id)
    local answer = client:ask { subscribe = "room:3" }
    assert.same("unavailable", answer.error.code)
    local refused = dkjson.decode(http.request(app, "GET", "/publish-to/3").body)
    assert.equal("unavailable", refused.code)
    assert.truthy(refused.message:find("limits.channels", 1, true))
    local stream = http.connect(app)
    stream:send(http.format("GET", "/sse?channel=room:3", {}))
    local head = stream:read_head()
    assert.equal(200, head.status)
    assert.truthy(stream:read_rest():find "retry:")
    assert.equal(503, http.request(app, "GET", "/poll?channel=room:3").status)
    -- What is live can be used, and other patterns have room.
    client:subscribe "room:2"
    client:subscribe "other:1"
    local seen = counts(app)
    assert.is_true(seen.channel_channels >= 3 and seen.channels == 0)
    assert.truthy(app:await_log "limits.channels %(2%) of its pattern reached %(channel=room:3%)")
    client:close()
    app:stop()
  end)

  it("of one subscriber are counted on every transport", function()
    local app = start "client_channels = 1"
    local client = native.open(app)
    client:subscribe "room:1"
    assert.equal("refused", client:ask({ subscribe = "room:2" }).error.code)
    assert.equal(400, http.request(app, "GET", "/sse?channel=room:1&channel=room:2").status)
    assert.equal(400, http.request(app, "GET", "/poll?channel=room:1&channel=room:2").status)
    assert.equal(3, counts(app).client_channels)
    client:close()
    app:stop()
  end)
end)
