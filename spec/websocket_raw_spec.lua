-- app:websocket: endpoints with a protocol of the script's own, and the clients that speak to them.

local dkjson = require "dkjson"
local server = require "spec.support.server"

for _, release in ipairs { "5.3", "5.2" } do
  package.path = package.path .. ";" .. package.path:gsub("/lua/5%.4/", "/lua/" .. release .. "/")
end
local websocket = require "http.websocket"

local function start(script)
  return server.start('local moonwire = require "moonwire"\n' .. script .. "\nreturn app")
end

local function connect(app, path, protocols)
  local socket = websocket.new_from_uri("ws://" .. app.host .. ":" .. app.port .. path, protocols)
  assert(socket:connect(30))
  return socket
end

local function ask(socket, text)
  assert(socket:send(text, "text", 30))
  return socket:receive(30)
end

-- The status and the body of the answer to a handshake.
local function handshake(app, path, fields)
  local key = "-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='"
  local command = "curl -s -m 60 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' "
    .. "-H 'Sec-WebSocket-Version: 13' %s %s -w '\n%%{http_code}' %s%s"
  local output = server.run(command:format(key, fields or "", app.address, path))
  return tonumber(output:match "(%d+)$"), output:match "^(.-)\n%d+$"
end

describe("app:websocket", function()
  local app

  after_each(function()
    if app then
      app:stop()
      app = nil
    end
  end)

  it("hands messages to the script and closes as either side says", function()
    app = start [[
local app = moonwire.app {}
app:websocket("/echo/{room}", {
  protocols = { "b", "a" },
  on_open = function(socket, request)
    assert(socket.request == request)
    socket.data = { count = 0 }
    local query, agent = request.query.x, request.headers["user-agent"] ~= nil
    socket:send(("open %s %s %s %s"):format(request.params.room, query, socket.protocol, agent))
  end,
  on_message = function(socket, message, is_binary)
    socket.data.count = socket.data.count + 1
    if message == "close" then
      assert(socket:close(4001, "as you wish"))
      assert(socket.closed)
      local ok, why, code = socket:send "late"
      assert(ok == nil and why == "closed" and code == "closed")
    else
      socket[is_binary and "send_binary" or "send"](socket, socket.data.count .. message)
    end
  end,
  on_close = function(socket, code, reason)
    assert(socket.closed and socket:buffered() == 0)
    app.log.info(("closed %d %s %d"):format(code, reason, socket.data.count))
  end,
})]]
    local first = connect(app, "/echo/kitchen?x=1", { "a", "b", "c" })
    assert.equal("open kitchen 1 b true", (first:receive(30)))
    assert.same({ "1hello", "text" }, { ask(first, "hello") })
    assert(first:send("\0\255", "binary", 30))
    assert.same({ "2\0\255", "binary" }, { first:receive(30) })
    assert.is_nil((ask(first, "close")))
    assert.same({ 4001, "as you wish" }, { first.got_close_code, first.got_close_message })
    first:close(1000, nil, 30)
    assert(app:await_log "closed 4001 as you wish 3")
    local second = connect(app, "/echo/hall")
    assert.equal("open hall nil nil true", (second:receive(30)))
    second:close(1001, "bye", 30)
    assert.equal(1001, second.got_close_code)
    assert(app:await_log "closed 1001 bye 0")
    local third = connect(app, "/echo/hall")
    third:receive(30)
    third.socket:close()
    assert(app:await_log "closed 1006  0")
    assert.is_truthy(table.concat(app.startup, "\n"):find("websocket /echo/{room}", 1, true))
  end)

  it("lets the script refuse before the upgrade", function()
    app = start [[
local app = moonwire.app {}
app:websocket("/{what}", {
  on_open = function(socket, request)
    local what = request.params.what
    if what == "no" then
      return false, "not you"
    elseif what == "teapot" then
      return false, "short and stout", 418
    elseif what == "raised" then
      error { code = "not_found", message = "nobody is here" }
    elseif what == "fault" then
      error "oops"
    elseif what == "late" then
      moonwire.sleep(0.05)
      return nil, "it failed"
    elseif what == "after" then
      socket:send "hello"
      return false, "and goodbye"
    end
  end,
})]]
    local function judged(path)
      local status, body = handshake(app, path)
      local answer = dkjson.decode(body)
      return { status, answer.error.code, answer.error.reason }
    end
    assert.same({ 403, "forbidden", "not you" }, judged "/no")
    assert.same({ 418, "refused", "short and stout" }, judged "/teapot")
    assert.same({ 404, "not_found", "nobody is here" }, judged "/raised")
    for _, path in ipairs { "/fault", "/late" } do
      local faulty = connect(app, path)
      assert.is_nil((faulty:receive(30)))
      assert.is_true(faulty.got_close_code) -- 1013, of which lua-http does not know
      faulty:close(1000, nil, 30)
    end
    assert(app:await_log "on_open of GET /fault: .*oops")
    local plain = ("curl -s -o /dev/null -w '%%{http_code}' %s/x"):format(app.address)
    assert.equal("426", server.run(plain))
    local after = connect(app, "/after")
    assert.equal("hello", (after:receive(30)))
    assert.is_nil((after:receive(30)))
    assert.same({ 1008, "and goodbye" }, { after.got_close_code, after.got_close_message })
    after:close(1000, nil, 30)
  end)

  it("handles the messages of a socket one after the other, and others meanwhile", function()
    app = start [[
local app = moonwire.app {}
app:websocket("/slow", {
  on_open = function(socket)
    socket:send "open"
    moonwire.sleep(0.1)
    socket:send "opened"
  end,
  on_message = function(socket, message)
    local ok, why = true, nil
    if message == "wait" then
      ok, why = moonwire.sleep(0.2)
    elseif message == "long" then
      ok, why = moonwire.sleep(60)
      app.log.info("woken: " .. tostring(why))
    end
    socket:send(message)
  end,
  on_close = function(_, code)
    app.log.info("closed " .. code)
  end,
})]]
    local a, b = connect(app, "/slow"), connect(app, "/slow")
    assert(a:send("wait", "text", 30))
    for i = 1, 50 do
      assert(a:send(tostring(i), "text", 30))
    end
    assert.equal("open", (b:receive(30)))
    assert.equal("opened", (b:receive(30)))
    assert.equal("quick", (ask(b, "quick")))
    for _, wanted in ipairs { "open", "opened", "wait" } do
      assert.equal(wanted, (a:receive(30)))
    end
    for i = 1, 50 do
      assert.equal(tostring(i), (a:receive(30)))
    end
    assert(b:send("long", "text", 30))
    assert(b:send("last", "text", 30))
    assert.equal("pending", (ask(a, "pending")))
    b.socket:close()
    assert(app:await_log "woken: closed")
    assert(app:await_log "closed 1006")
    a:close(1000, nil, 30)
  end)

  it(
    "tells the handler of a message that was held by on_open what has happened meanwhile",
    function()
      local script = [[
local app = moonwire.app { limits = { answer_seconds = SECONDS } }
app:websocket("/{seconds}", {
  on_open = function(socket, request)
    socket:send "hello"
    local ok, why = moonwire.sleep(tonumber(request.params.seconds))
    app.log.info(("on_open %s %s"):format(ok, why))
  end,
  on_message = function(socket, message)
    local ok, why = moonwire.sleep(60)
    app.log.info(("on_message %s %s %s"):format(message, ok, why))
  end,
  on_close = function(socket, code)
    app.log.info("on_close " .. code)
  end,
})]]
      app = start((script:gsub("SECONDS", "600")))
      local gone = connect(app, "/300")
      assert.equal("hello", (gone:receive(30)))
      gone:send("gone", "text", 30)
      gone.socket:close()
      assert(app:await_log "on_open nil closed")
      assert(app:await_log "on_message gone nil closed")
      assert(app:await_log "on_close 1006")
      app:stop()
      app = start((script:gsub("SECONDS", "2")))
      local patient = connect(app, "/20")
      assert.equal("hello", (patient:receive(30)))
      patient:send("patient", "text", 30)
      assert(app:await_log "on_open nil timeout")
      assert(app:await_log "on_message patient nil timeout")
      patient:close(1000, nil, 30)
      assert(app:await_log "on_close 1000")
      local short = connect(app, "/0.1")
      assert.equal("hello", (short:receive(30)))
      short:send("short", "text", 30)
      assert(app:await_log "on_open true nil")
      assert(app:await_log "on_message short nil timeout")
    end
  )

  it("closes for a handler that fails, and goes on", function()
    app = start [[
local app = moonwire.app {}
app:websocket("/x", {
  on_message = function(socket, message)
    if message == "refuse" then
      return false, "not that"
    elseif message == "nil" then
      return nil, "it broke"
    elseif message == "error" then
      error "oops"
    end
    socket:send(message)
  end,
})]]
    for _, case in ipairs {
      { "refuse", 1008, "not that" },
      { "nil", 1011, "" },
      { "error", 1011, "" },
    } do
      local socket = connect(app, "/x")
      assert.equal("fine", (ask(socket, "fine")))
      assert.is_nil((ask(socket, case[1])))
      assert.equal(case[2], socket.got_close_code)
      assert.equal(case[3], socket.got_close_message or "")
      socket:close(1000, nil, 30)
    end
    assert(app:await_log "on_message of /x, client %w+: .*oops")
    assert(app:await_log "on_message of /x, client %w+ .*it broke")
  end)

  it("says what is wrong with what a method is given", function()
    app = start [[
local app = moonwire.app {}
app:channel("news", {})
app:websocket("/x", {
  on_message = function(socket)
    local function fault(method, ...)
      local ok, message = pcall(socket[method], socket, ...)
      assert(not ok, method)
      return (message:gsub("^.-app.lua:%d+: ", ""))
    end
    socket:send(table.concat({
      fault("send", {}),
      fault("send_binary", nil),
      fault("ping", 5),
      fault("ping", ("x"):rep(126)),
      fault("close", "1000x"),
      fault("close", 999),
      fault("close", 1000, 5),
      fault("close", 1000, "a\0b"),
      fault("subscribe", true),
      fault("unsubscribe"),
      select(2, pcall(socket.send, "x")),
    }, "\n"))
  end,
})]]
    local socket = connect(app, "/x")
    assert.equal(
      [[
socket:send: the message must be a string, got table
socket:send_binary: the message must be a string, got nil
socket:ping: the argument must be a string, got number
socket:ping: a ping has at most 125 bytes, got 126
socket:close: a code must be 1000 to 1003, 1007 to 1014, or 3000 to 4999, got string
socket:close: a code must be 1000 to 1003, 1007 to 1014, or 3000 to 4999, got 999
socket:close: the reason must be a string, got number
socket:close: a reason must be at most 123 bytes of UTF-8 text
socket:subscribe: the channel must be a string, got boolean
socket:unsubscribe: the channel must be a string, got no value
call the methods of a socket with a colon, as socket:send(…)]],
      (ask(socket, "go"))
    )
    socket:close(1000, nil, 30)
  end)

  it("knows the user, and follows channels", function()
    app = start [[
local app = moonwire.app { publish_key = "key" }
app:authenticate(function(request)
  return request.query.user and { id = request.query.user, roles = { "x" } } or false
end)
app:channel("news:{id}", { authorize = true })
app:get("/say/{id}", function(request)
  app:publish("news:" .. request.params.id, "said", { id = request.params.id })
  return 204
end)
app:websocket("/feed", {
  on_open = function(socket)
    socket:send(socket.user.id .. #socket.user.roles .. socket.remote)
    socket:subscribe "news:1"
    local known = 0
    for _ in app:clients() do
      known = known + 1
    end
    assert(known == 0 and not app:client(socket.id))
  end,
  on_message = function(socket, message)
    if message == "stop" then
      socket:unsubscribe "news:1"
    else
      socket:subscribe(message)
    end
    socket:send "done"
  end,
})]]
    assert.equal(401, (handshake(app, "/feed")))
    local socket = connect(app, "/feed?user=ada")
    local function say(id)
      server.run(("curl -s %s/say/%d"):format(app.address, id))
    end
    assert.equal("ada1127.0.0.1", (socket:receive(30)))
    say(1)
    local push = dkjson.decode((socket:receive(30)))
    assert.same({ "news:1", "said", { id = "1" } }, { push.channel, push.event, push.data })
    assert.equal("done", (ask(socket, "stop")))
    say(1)
    assert.equal("done", (ask(socket, "news:2")))
    say(2)
    assert.equal("news:2", dkjson.decode((socket:receive(30))).channel)
    assert.is_nil((ask(socket, "elsewhere")))
    assert.equal(1011, socket.got_close_code)
    assert(app:await_log 'no pattern matches the channel "elsewhere"')
    socket:close(1000, nil, 30)
  end)

  it("checks origins of its own", function()
    app = start [[
local app = moonwire.app { origins = { "https://app.example" } }
app:websocket("/default", {})
app:websocket("/own", { origins = { "https://own.example" } })]]
    local function may(path, origin)
      local socket = websocket.new_from_uri("ws://" .. app.host .. ":" .. app.port .. path)
      socket.request.headers:upsert("origin", origin)
      local connected = socket:connect(30)
      socket:close(1000, nil, 30)
      return connected == true
    end
    assert.is_true(may("/default", "https://app.example"))
    assert.is_false(may("/default", "https://own.example"))
    assert.is_true(may("/own", "https://own.example"))
    assert.is_false(may("/own", "https://app.example"))
    assert.is_true(may("/own", app.address))
  end)

  it("bounds what is sent and what waits, and pings the silent", function()
    app = start [[
local app = moonwire.app {}
app:websocket("/small", {
  limits = { message_size = 10 },
  on_open = function(socket)
    socket:send "hello"
  end,
  on_close = function(_, code, reason)
    app.log.info(("closed %d %s"):format(code, reason))
  end,
})
app:websocket("/pinged", {
  limits = { ping_seconds = 1, pong_seconds = 1 },
  on_close = function(_, code)
    app.log.info(("closed %d"):format(code))
  end,
})
app:websocket("/flood", {
  limits = { outbox = 100000 },
  on_message = function(socket)
    local count = 0
    -- lua-http fails if a frame of 126 to 65535 bytes arrives in parts
    while socket:send(("x"):rep(70000)) do
      count = count + 1
      moonwire.sleep(0.001)
    end
    app.log.info(("flooded %s"):format(count > 2))
  end,
})]]
    local socket = connect(app, "/small")
    socket:receive(30)
    assert.is_nil((ask(socket, "more than ten")))
    assert.equal(1009, socket.got_close_code)
    socket:close(1000, nil, 30)
    assert(app:await_log "closed 1009 the frame is larger than the limit")
    local silent = connect(app, "/pinged") -- answers pings only when it receives
    assert(app:await_log "closed 1006")
    silent.socket:close()
    local slow = connect(app, "/flood")
    assert(slow:send("go", "text", 30))
    assert(app:await_log "flooded true")
    assert(app:await_log "closed slow WebSocket of /flood: ")
    while slow:receive(30) do
    end
    assert.is_true(slow.got_close_code) -- 1013, of which lua-http does not know
    slow:close(1000, nil, 30)
  end)

  it("says what is wrong with its options", function()
    local cases = {
      {
        'app:websocket("/x", { on_mesage = print })',
        "unknown option 'on_mesage' %(did you mean 'on_message'%?%)",
      },
      {
        'app:websocket("/x", { limits = { mesage_size = 1 } })',
        "unknown option 'limits.mesage_size' %(did you mean 'message_size'",
      },
      {
        'app:websocket("/x", { limits = { message = 1 } })',
        "unknown option 'limits.message' %(did you mean 'message_size'",
      },
      {
        'app:websocket("/x", { limits = { frame = 1 } })',
        "unknown option 'limits.frame' %(did you mean 'frame_size'",
      },
      {
        'app:websocket("/x", { deflate = 1 })',
        "option 'deflate' must be a boolean or a table, got number",
      },
      {
        'app:websocket("/x", { deflate = { mn = 1 } })',
        "app:websocket \"/x\", deflate: unknown option 'mn'",
      },
      { 'app:websocket("/x", { protocols = { "a b" } })', "a b: a subprotocol must be a token" },
      { 'app:websocket("/x", { origins = { "example" } })', 'app:websocket "/x": example: ' },
      { 'app:websocket("x", {})', 'a route must begin with "/"' },
      { 'app:websocket("/ws", {})', "'/ws' is an endpoint of the server" },
      { 'app:get("/x", print) app:websocket("/x", {})', "already defined at" },
      { "moonwire.app { deflate = { min = -1 } }", "option 'min' must be a non%-negative integer" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(start, "local app = moonwire.app {}\n" .. case[1])
      assert.is_false(ok)
      assert.matches("app.lua:3: ", message)
      assert.matches(case[2], message)
    end
  end)
end)

describe("the echo app", function()
  local app
  local echo = "spec/support/peers/echo"

  setup(function()
    app = server.start { path = "examples/echo/app.lua" }
  end)

  teardown(function()
    app:stop()
  end)

  local function visit(command, options)
    local url = app.address:gsub("^http", "ws") .. "/echo"
    local words = { "timeout 60", command, url, options and server.quote(options) or "", "2>&1" }
    local output = server.run(table.concat(words, " "))
    return dkjson.decode(output) or error("the peer failed: " .. output)
  end

  local function all_true(echoed, count)
    local seen = 0
    for what, came in pairs(echoed) do
      assert.is_true(came, what)
      seen = seen + 1
    end
    assert.equal(count, seen)
  end

  local ws, takeover = "node --no-warnings " .. echo .. ".mjs ws", "clientNoContextTakeover"
  for _, peer in ipairs {
    { "npm's ws, plain", ws, '{"perMessageDeflate":false}', "" },
    { "npm's ws", ws, nil, "permessage-deflate" },
    {
      "npm's ws, small windows",
      ws,
      '{"perMessageDeflate":{"serverMaxWindowBits":9,"clientMaxWindowBits":9,"threshold":0}}',
      "permessage-deflate",
    },
    {
      "npm's ws, a middle window",
      ws,
      '{"perMessageDeflate":{"serverMaxWindowBits":12,"threshold":0}}',
      "permessage-deflate",
    },
    {
      "npm's ws, no takeover",
      ws,
      '{"perMessageDeflate":{"serverNoContextTakeover":true,"' .. takeover .. '":true}}',
      "permessage-deflate",
    },
  } do
    it("echoes to " .. peer[1], function()
      local seen = visit(peer[2], peer[3])
      assert.equal(peer[4], seen.extensions)
      all_true(seen.echoed, 7)
      assert.equal(4002, seen.closed[1])
    end)
  end

  it("echoes to Python's websockets", function()
    for _, compression in ipairs { "deflate", "none" } do
      local seen = visit("/usr/bin/python3 " .. echo .. ".py", compression)
      assert.equal(compression == "none" and "" or "permessage-deflate", seen.extensions)
      all_true(seen.echoed, 6)
      assert.equal(4002, seen.closed[1])
    end
  end)

  it("echoes to lua-http", function()
    local seen = visit("lua5.1 " .. echo .. ".lua")
    all_true(seen.echoed, 4)
    assert.equal(4002, seen.closed[1])
  end)

  it("echoes to Chromium", function()
    local seen = visit("node --no-warnings " .. echo .. ".mjs chromium")
    assert.matches("^permessage%-deflate; server_no_context_takeover", seen.extensions)
    all_true(seen.echoed, 4)
    assert.same({ 4002, "", true }, seen.closed)
  end)
end)
