-- moonwire.testing: clients over all transports, raw streams, and raw WebSockets.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

local function chat(define)
  local app = moonwire.app { limits = { outbox = 100000 } }
  app:authenticate(function(request)
    if not request.token then
      return true
    elseif request.token == "bad" then
      return false, "no such token"
    end
    return { id = request.token }
  end)
  app:channel("room:{room}", {
    authorize = function(client, channel)
      return channel.params.room ~= "closed" or client.user_id == "ann"
    end,
    history = { size = 20, readable = true },
    presence = true,
    on_join = function(client)
      return { you = client.user_id }
    end,
    relay = { "typing", update = { keep = true } },
    on = {
      say = function(client, channel, message)
        if message.binary then
          return {
            bytes = #message.binary,
            id = channel:publish("bytes", message.binary, { binary = true }),
          }
        elseif message.data.text == "" then
          return false, "say something", "empty"
        elseif message.data.wait then
          moonwire.sleep(message.data.wait)
        end
        return { id = channel:publish("said", { from = client.user_id, text = message.data.text }) }
      end,
    },
  })
  if define then
    define(app)
  end
  return testing.start(app)
end

for _, transport in ipairs { "websocket", "sse", "poll" } do
  describe("a test client over " .. transport, function()
    after_each(testing.stop_all)

    local function join(server, name, options)
      local given = { transport = transport, channels = { "room:1" }, token = name, name = name }
      for key, value in pairs(options or {}) do
        given[key] = value
      end
      return server:connect(given)
    end

    it("sends, and takes what comes", function()
      local server = chat()
      local ann, ben = join(server, "ann"), join(server, "ben")
      assert.same({ you = "ann" }, ann.channels["room:1"].data)
      assert.equal(transport, server.app:client(ann.id).transport)
      local acknowledgement = ann:send("room:1", "say", { text = "hello" })
      for _, client in ipairs { ann, ben } do
        local message = client:take "said"
        assert.same({ from = "ann", text = "hello" }, message.data)
        assert.equal("room:1", message.channel)
        assert.equal(acknowledgement.id, message.id)
        assert.equal(message.id, client.last_id)
        client:expect_nothing "said"
      end
      assert.is_true(ann:send("room:1", "typing"))
      assert.equal("ann", ben:take("typing").from)
      assert.is_string(ann:send("room:1", "update", { n = 1 }).id)
      assert.equal(1, ben:take("update", "room:1").data.n)
      ann:expect_nothing "typing"
    end)

    it("names what was expected and what came instead", function()
      local server = chat()
      local ann = join(server, "ann")
      ann:take_all()
      assert.matches(
        '^spec/testing_clients_spec.lua:%d+: ann: expected the event "said", and nothing came$',
        failure(ann.take, ann, "said")
      )
      ann:send("room:1", "say", { text = "hello" })
      assert.matches(
        '^spec/testing_clients_spec.lua:%d+: ann: expected the event "shout" on room:2, and this came:\n'
          .. '  1%. said on room:1: {"from":"ann","text":"hello"}$',
        failure(ann.take, ann, "shout", "room:2")
      )
      assert.matches(
        "ann: expected nothing, and this came:\n  1%. said on room:1",
        failure(ann.expect_nothing, ann)
      )
      assert.matches(
        'ann: expected no event "said", and this came:\n  1%. said',
        failure(ann.expect_nothing, ann, "said")
      )
      ann:expect_nothing "shout"
      ann:take "said"
      ann:expect_nothing()
      assert.matches(
        "ann: expected to be closed, and the connection is open",
        failure(ann.expect_closed, ann)
      )
    end)

    it("is refused as on the wire", function()
      local server = chat()
      local given = { transport = transport, channels = { "room:1" }, token = "bad" }
      local client, reason, code = server:try_connect(given)
      assert.same({ nil, "no such token", "unauthorized" }, { client, reason, code })
      assert.matches(
        "server:connect: expected the client to be accepted, and it was refused: no such token %(unauthorized",
        failure(server.connect, server, given)
      )
      given = { transport = transport, channels = { "room:closed" } }
      client, reason, code = server:try_connect(given)
      assert.same({ nil, "room:closed: forbidden", "forbidden" }, { client, reason, code })
      given.channels = { "nothing" }
      assert.equal("not_found", select(3, server:try_connect(given)))

      local ann = join(server, "ben")
      assert.same(
        { nil, "say something", "empty" },
        { ann:try_send("room:1", "say", { text = "" }) }
      )
      assert.matches(
        "ben: expected sending to room:1 to be accepted, and it was refused: say something %(empty%)",
        failure(ann.send, ann, "room:1", "say", { text = "" })
      )
      assert.same({ nil, "forbidden", "forbidden" }, { ann:try_subscribe "room:closed" })
      assert.matches(
        "expected subscribing to room:closed to be accepted",
        failure(ann.subscribe, ann, "room:closed")
      )
      assert.equal("not_subscribed", select(3, ann:try_send("room:2", "say", { text = "x" })))
    end)

    it("subscribes and unsubscribes", function()
      local server = chat()
      local ann = join(server, "ann")
      assert.same({ you = "ann" }, ann:subscribe("room:2").data)
      server:publish("room:2", "said", 2)
      assert.equal(2, ann:take("said", "room:2").data)
      ann:unsubscribe "room:2"
      server:publish("room:2", "said", 3)
      ann:expect_nothing "said"
      assert.is_nil(ann.channels["room:2"])
    end)

    it("knows who is there", function()
      local server = chat()
      local ann = join(server, "ann")
      local ben = join(server, "ben")
      server:advance(1)
      for _, client in ipairs { ann, ben } do
        local members, count = client:members "room:1"
        assert.same({ ann = moonwire.null, ben = moonwire.null }, members)
        assert.equal(2, count)
      end
      ben:disconnect()
      server:advance(50)
      assert.same({ ann = moonwire.null }, (ann:members "room:1"))
      assert.matches("expected to know the members of room:9", failure(ann.members, ann, "room:9"))
    end)

    it("returns with its last id, and receives what it missed", function()
      local server = chat()
      local ann = join(server, "ann")
      server:publish("room:1", "said", 1)
      assert.equal(1, ann:take("said").data)
      ann:disconnect()
      server:publish("room:1", "said", 2)
      server:publish("room:1", "said", 3)
      server:advance(100)
      assert.equal(ann, ann:return_with_last_id())
      assert.is_true(ann.recovered)
      assert.equal(2, ann:take("said").data)
      assert.equal(3, ann:take("said").data)
      ann:expect_nothing "said"
      ann:expect_nothing "moonwire:gap"

      ann:disconnect()
      for i = 1, 30 do
        server:publish("room:1", "said", i)
      end
      ann:return_with_last_id()
      assert.is_false(ann.recovered)
      assert.equal("room:1", ann:take("moonwire:gap").channel)
      assert.equal(11, ann:take("said").data)

      -- another page, which stored an id
      local id = ann.last_id
      server:publish("room:1", "said", "later")
      local page = join(server, "ann", { last_id = id })
      assert.equal("later", page:take("said").data)
      page:expect_nothing "said"
    end)

    it("stays connected while time passes", function()
      local server = chat()
      local ann = join(server, "ann")
      ann:take_all()
      server:advance(3600)
      assert.is_false(ann.closed)
      ann:expect_nothing()
      server:publish("room:1", "said", 1)
      assert.equal(1, ann:take("said").data)
    end)

    it("is kicked and closed", function()
      local server = chat()
      local ann = join(server, "ann")
      local app = server.app
      app:find("room:1"):kick(app:client(ann.id), "be nice", "rude")
      assert.same(
        { channel = "room:1", code = "rude", reason = "be nice" },
        ann:take("moonwire:unsubscribed").data
      )
      assert.is_nil(ann.channels["room:1"])
      app:client(ann.id):close(4403, "away")
      if transport == "poll" then
        return -- its next poll makes a new client
      end
      assert.equal(
        transport == "websocket" and "away" or nil,
        ann:expect_closed(transport == "websocket" and 4403 or nil)
      )
      assert.matches(
        "ann: expected a message, and nothing came; the connection ",
        failure(function()
          ann:take_all()
          ann:take()
        end)
      )
      if transport == "websocket" then
        assert.matches(
          "expected to be closed with 1000, and it was closed with 4403 %(away%)",
          failure(ann.expect_closed, ann, 1000)
        )
      end
    end)

    it("waits for handlers as long as the test says", function()
      local server = chat()
      local ann = join(server, "ann")
      local slow = { text = "late", wait = 2 }
      assert.matches(
        "ann: expected an answer to .*, and none came: its handler waits",
        failure(ann.send, ann, "room:1", "say", slow)
      )
      server:advance(2)
      ann:take "said"
      assert.is_string(ann:send("room:1", "say", slow, { within = 2 }).id)
      ann:take "said"
      local pending = ann:start_send("room:1", "say", slow)
      assert.is_false(pending.done())
      server:advance(2)
      assert.is_true(pending.done())
      assert.equal(ann:take("said").id, pending.result().id)
    end)

    it("sends and takes bytes", function()
      local server = chat()
      local ann = join(server, "ann")
      local bytes = "\0\1\255binary\n\r"
      assert.equal(#bytes, ann:send("room:1", "say", bytes, { binary = true }).bytes)
      assert.equal(bytes, ann:take("bytes").binary)
    end)

    it("reads the history", function()
      local server = chat()
      local ann = join(server, "ann")
      for i = 1, 5 do
        server:publish("room:1", "said", i)
      end
      local messages, more = ann:history("room:1", { limit = 2 })
      assert.same({ 4, 5, true }, { messages[1].data, messages[2].data, more })
      messages, more = ann:history("room:1", { before = messages[1].id })
      assert.same({ 3, false }, { #messages, more })
    end)

    it("sends once what it sends twice with a key", function()
      local server = chat()
      local ann = join(server, "ann")
      local key = { idempotency_key = "k1" }
      local first = ann:send("room:1", "say", { text = "x" }, key)
      assert.same(first, ann:send("room:1", "say", { text = "x" }, key))
      ann:take "said"
      ann:expect_nothing "said"
    end)

    it("can be slow", function()
      local server = chat(function(app)
        app:channel("tick", { slow = "drop", authorize = true, limits = { outbox = 1000 } })
      end)
      local ann = join(server, "ann", { channels = { "tick" } })
      ann:stop_reading()
      for i = 1, 300 do
        server:publish("tick", "tick", { n = i, filler = ("x"):rep(500) })
      end
      if transport ~= "poll" then
        assert.equal(1, server.app:stats().slow)
      end
      ann:start_reading()
      local last = 0
      for _, message in ipairs(ann:take_all()) do
        last = message.event == "tick" and message.data.n or last
      end
      if transport == "poll" then
        return -- a poll client is not slow: what its polls do not fetch is in no history
      end
      assert.is_true(last < 300)
      server:publish("tick", "tick", { n = 301 })
      assert.equal(301, ann:take("tick").data.n)
    end)

    it("is gone when it has not read for long", function()
      local left
      local server = chat(function(app)
        app:on_disconnect(function(client)
          left = client.user_id
        end)
      end)
      local ann = join(server, "ann")
      ann:stop_reading()
      for _ = 1, 20 do
        server:publish("room:1", "said", ("x"):rep(50000))
      end
      server:advance(120)
      assert.equal("ann", left)
    end)

    it("follows a channel to its end", function()
      local server = chat(function(app)
        app:channel("job:{id}", { history = { size = 5, replay = 5 }, authorize = true })
      end)
      local ann = join(server, "ann", { channels = { "job:1" } })
      server:publish("job:1", "done", 1, { final = true })
      assert.equal(1, ann:take("done").data)
      assert.equal("job:1", ann:take("moonwire:end").channel)
      if transport == "sse" then
        ann:expect_closed()
        local again, _, code = ann:try_return_with_last_id()
        assert.same({ nil, "ended" }, { again, code })
      end
    end)

    it("is told when the server stops", function()
      local server = chat()
      local ann = join(server, "ann")
      server:stop()
      assert.is_true(ann.closed)
      if transport == "websocket" then
        assert.equal(1001, ann.close_code)
      end
    end)
  end)
end

describe("a test client", function()
  after_each(testing.stop_all)

  it("renews its token", function()
    local server = chat()
    local ann = server:connect { token = "ann" }
    ann:renew "ann"
    assert.equal("unauthorized", select(3, ann:try_renew "bad"))
  end)

  it("leaves with a close frame, or without", function()
    local reasons = {}
    local server = chat(function(app)
      app:on_disconnect(function(_, reason)
        reasons[#reasons + 1] = reason
      end)
    end)
    server:connect():close(1000)
    server:connect():disconnect()
    assert.equal(2, #reasons)
  end)

  it("finds moved endpoints", function()
    local app = moonwire.app {
      paths = { ws = "/live/ws", sse = "/live/sse", send = "/live/send", poll = false },
    }
    app:channel("a", { relay = { "x" } })
    local server = testing.start(app)
    local one = server:connect { channels = { "a" } }
    local other = server:connect { channels = { "a" }, transport = "sse" }
    other:send("a", "x", 1)
    assert.equal(1, one:take("x").data)
    assert.matches(
      'the app has turned the endpoint "poll" off',
      failure(server.connect, server, { channels = { "a" }, transport = "poll" })
    )
  end)

  it("has headers, cookies and a query", function()
    local app = moonwire.app {}
    app:authenticate(function(request)
      return { id = request.cookies.session .. request.headers["x-a"] .. request.query.b }
    end)
    app:channel("a", { authorize = true, presence = true })
    local server = testing.start(app)
    for _, transport in ipairs { "websocket", "sse", "poll" } do
      local client = server:connect {
        transport = transport,
        channels = { "a" },
        headers = { Cookie = "session=1", ["X-A"] = "2" },
        query = { b = 3 },
      }
      assert.equal("123", server.app:client(client.id).user_id)
    end
  end)

  it("reads members in pages where there are many", function()
    local server = chat()
    local last
    for i = 1, 600 do
      last = server:connect { channels = { "room:1" }, token = ("user-%099d"):format(i) }
    end
    server:advance(2)
    local members, count = last:members "room:1"
    assert.equal(600, count)
    assert.is_not_nil(members[("user-%099d"):format(17)])
  end)
end)

describe("a raw stream under test", function()
  after_each(testing.stop_all)

  local function serve()
    local app = moonwire.app {}
    app:stream("/count/{from}", function(request, stream)
      if request.params.from == "none" then
        return 403, "not you"
      end
      local first = tonumber(request.headers["last-event-id"] or request.params.from)
      for i = first + 1, first + 3 do
        stream:send("count", { n = i }, { id = i })
        moonwire.sleep(1)
      end
      stream:send(nil, "two\nlines", { retry = 5 })
      stream:close()
    end)
    app:stream("POST", "/echo", function(request, stream)
      stream:start(201, { ["X-Length"] = #request.body })
      stream:send("echo", request.body)
      stream:close()
    end)
    return testing.start(app)
  end

  it("has a method, a body, and the head of the response", function()
    local stream = serve():stream("/echo", { method = "POST", body = "hello" })
    assert.equal(201, stream.status)
    assert.equal("5", stream.headers["x-length"])
    assert.equal("hello", stream:take("echo").data)
    stream:expect_closed()
  end)

  it("is read event by event", function()
    local server = serve()
    local stream = server:stream "/count/10"
    assert.same({ event = "count", data = '{"n":11}', id = "11" }, stream:take())
    stream:expect_nothing()
    server:advance(1)
    assert.equal("12", stream:take("count").id)
    stream:disconnect()
    server:advance(5)
    assert.equal(stream, stream:return_with_last_id())
    assert.equal('{"n":13}', stream:take().data)
    server:advance(10)
    stream:take()
    stream:take()
    assert.same({ event = "message", data = "two\nlines", id = "15" }, stream:take())
    assert.equal(5, stream.retry)
    stream:expect_closed()
  end)

  it("is refused", function()
    local server = serve()
    assert.same({ nil, "status 403", "403", 403 }, { server:try_stream "/count/none" })
    assert.matches(
      "server:stream: expected the stream to be accepted, and it was refused: status 403",
      failure(server.stream, server, "/count/none")
    )
    assert.equal("not_found", select(3, server:try_stream "/nothing"))
    assert.matches(
      "no event stream: Content%-Type application/json",
      failure(server.stream, server, "/health")
    )
  end)
end)

describe("a raw WebSocket under test", function()
  after_each(testing.stop_all)

  local seen = {}
  local function serve()
    local app = moonwire.app {}
    app:channel("news", {})
    app:websocket("/echo", {
      protocols = { "b", "a" },
      on_open = function(socket, request)
        if request.query.no then
          return false, "go away", 404
        end
        socket:subscribe "news"
        socket:send "welcome"
      end,
      on_message = function(socket, message, is_binary)
        if message == "bye" then
          socket:close(4000, "bye")
        elseif is_binary then
          socket:send_binary(message)
        else
          socket:send(message)
        end
      end,
      on_close = function(_, code, reason)
        seen = { code, reason }
      end,
    })
    return testing.start(app)
  end

  it("sends and takes messages", function()
    local server = serve()
    local socket = server:websocket("/echo", { protocols = { "a" } })
    assert.equal("a", socket.protocol)
    assert.same({ "welcome", false }, { socket:take() })
    for _, length in ipairs { 0, 1, 125, 126, 65535, 65536, 200000 } do
      local text = ("m"):rep(length)
      socket:send(text)
      assert.equal(text, (socket:take()))
    end
    socket:send_binary "\0\255"
    assert.same({ "\0\255", true }, { socket:take() })
    server:publish("news", "item", 1)
    assert.matches('"event":"item"', (socket:take()))
    socket:expect_nothing()
    server:advance(600)
    assert.is_false(socket.closed)
  end)

  it("is closed from either side", function()
    local server = serve()
    local socket = server:websocket "/echo"
    socket:take()
    socket:send "bye"
    assert.equal("bye", socket:expect_closed(4000))
    assert.same({ 4000, "bye" }, seen)
    assert.matches("socket 1: the socket is closed", failure(socket.send, socket, "x"))
    socket = server:websocket "/echo"
    socket:close(1000, "done")
    socket:expect_closed(1000)
    assert.same({ 1000, "done" }, seen)
    socket = server:websocket "/echo"
    socket:disconnect()
    assert.equal(1006, seen[1])
    socket = server:websocket "/echo"
    socket:stop_reading()
    server:advance(600)
    assert.equal(1006, seen[1])
  end)

  it("is refused", function()
    local server = serve()
    assert.same(
      { nil, "go away", "not_found", 404 },
      { server:try_websocket("/echo", { query = { no = 1 } }) }
    )
    assert.equal(
      "forbidden",
      select(3, server:try_websocket("/echo", { headers = { Origin = "http://x.example" } }))
    )
    assert.matches(
      "expected the WebSocket to be accepted",
      failure(server.websocket, server, "/nothing")
    )
  end)
end)
