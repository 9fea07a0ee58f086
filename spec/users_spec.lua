-- app:send_user, and channel:kick with the id of a user, on one server.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function start(settings)
  local app = moonwire.app(settings)
  app:authenticate(function(request)
    return request.query.user and { id = request.query.user } or true
  end)
  app:channel("room:{room}", { authorize = true, presence = true })
  app:channel("other", { authorize = true })
  return testing.start(app), app
end

local function connect(server, user, transport)
  local channels = { "room:1", "other" }
  return server:connect { query = { user = user }, transport = transport, channels = channels }
end

local function each_transport(server, user)
  local clients = {}
  for i, transport in ipairs { "websocket", "sse", "poll" } do
    clients[i] = connect(server, user, transport)
  end
  return clients
end

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

-- Takes what the channel's presence has announced.
local function discard(clients)
  for _, client in ipairs(clients) do
    client:take_all()
  end
end

describe("app:send_user", function()
  it("sends to every client of the user, on any transport", function()
    local server, app = start()
    local ann, bea = each_transport(server, "ann"), connect(server, "bea")
    server:advance(2)
    discard(ann)
    discard { bea }
    assert.equal(3, app:send_user("ann", "notice", { text = "hello" }))
    assert.equal(3, app:send_user("ann", nil, "\0\255", { binary = true, channel = "room:1" }))
    server:advance(0)
    for _, client in ipairs(ann) do
      local message = client:take "notice"
      assert.equal("hello", message.data.text)
      assert.is_falsy(message.channel)
      assert.is_falsy(message.id)
      message = client:take("message", "room:1")
      assert.equal("\0\255", message.binary)
      client:expect_nothing()
    end
    bea:expect_nothing()
  end)

  it("finds users by what client.user_id is", function()
    local server, app = start()
    local seven, anonymous = connect(server, "7"), connect(server)
    server:advance(2)
    discard { seven, anonymous }
    assert.equal(1, app:send_user(7, "notice"))
    assert.equal(1, app:send_user(app:client(anonymous.id).user_id, "notice"))
    assert.equal(0, app:send_user("nobody", "notice"))
    server:advance(0)
    seven:take "notice"
    anonymous:take "notice"
  end)

  it("sends to nobody who has disconnected, and to many", function()
    local server, app = start { limits = { user_connections = 0 } }
    local clients = {}
    for i = 1, 200 do
      clients[i] = connect(server, i % 2 == 0 and "even" or "user" .. i)
    end
    assert.equal(100, app:send_user("even", "notice"))
    for i = 2, 100, 2 do
      clients[i]:close()
    end
    server:advance(1)
    assert.equal(50, app:send_user("even", "notice"))
    assert.equal(1, app:send_user("user199", "notice"))
    assert.equal(50, app:close_user "even")
  end)

  it("reports what cannot be sent", function()
    local server, app = start { limits = { message_size = 100 } }
    connect(server, "ann")
    local sent, message, code = app:send_user("ann", "notice", ("x"):rep(100))
    assert.is_nil(sent)
    assert.matches("limits.message_size", message)
    assert.equal("too_large", code)
    assert.matches("argument 1 must be the id of a user", failure(app.send_user, app, {}, "notice"))
    assert.matches("argument 1 must be the id of a user", failure(app.send_user, app, "", "notice"))
    assert.matches("the event must be a string", failure(app.send_user, app, "ann", 7))
    assert.matches("reserved", failure(app.send_user, app, "ann", "moonwire:gap"))
    assert.matches("data: ", failure(app.send_user, app, "ann", "notice", print))
    local given = { bin = true }
    assert.matches("unknown option 'bin'", failure(app.send_user, app, "ann", "notice", 1, given))
    given = { channel = "" }
    assert.equal(1, app:send_user("ann", "notice", 1, given)) -- as without
    given = { channel = "a\n" }
    assert.matches("app:send_user: ", failure(app.send_user, app, "ann", "notice", 1, given))
    server:stop()
    assert.matches("the app has stopped", failure(app.send_user, app, "ann", "notice"))
  end)

  it("does not wait for a broker, and has its limit", function()
    local settings = { broker = moonwire.redis "redis://localhost" }
    settings.limits = { message_size = 1 << 20 }
    local server, app = start(settings)
    local ann = connect(server, "ann")
    assert.equal(1, app:send_user("ann", "notice", ("x"):rep(65534)))
    local sent, message, code = app:send_user("ann", "notice", ("x"):rep(65535))
    assert.is_nil(sent)
    assert.matches("64 KiB", message)
    assert.equal("too_large", code)
    -- where nothing can wait
    table.sort({ 1, 2 }, function()
      assert.equal(1, app:send_user("ann", "sorted"))
      return false
    end)
    server:advance(0)
    ann:take "sorted"
  end)
end)

describe("channel:kick with the id of a user", function()
  it("ends the subscriptions of all clients of the user to that channel", function()
    local server, app = start()
    local ann, bea = each_transport(server, "ann"), connect(server, "bea")
    local channel = app:find "room:1"
    server:advance(2)
    discard(ann)
    discard { bea }
    assert.is_true(channel:kick("ann", "mind your language"))
    server:advance(2)
    for _, client in ipairs(ann) do
      local data = client:take("moonwire:unsubscribed").data
      assert.equal("kicked", data.code)
      assert.equal("mind your language", data.reason)
    end
    assert.is_nil(channel:presence().ann)
    assert.is_table(channel:presence().bea)
    discard(ann)
    discard { bea }
    server:publish("room:1", "said", 1)
    server:publish("other", "said", 2)
    bea:take("said", "room:1")
    for _, client in ipairs(ann) do
      assert.equal(2, client:take("said", "other").data)
      client:expect_nothing()
    end
    -- a second time, and for those who are not there, nothing happens
    assert.is_true(channel:kick("ann", nil, "again"))
    assert.is_true(channel:kick(7))
    server:advance(0)
    for _, client in ipairs(ann) do
      client:expect_nothing()
    end
  end)

  it("raises for what is neither a client nor a user", function()
    local server, app = start()
    connect(server, "ann")
    local channel = app:find "room:1"
    local text = "channel:kick: argument 1 must be a client or the id of a user, got "
    assert.matches(text .. "table", failure(channel.kick, channel, {}))
    assert.matches(text .. "nil", failure(channel.kick, channel))
    assert.matches(text .. "1.5", failure(channel.kick, channel, 1.5))
    assert.matches("a reason must be", failure(channel.kick, channel, "ann", ("x"):rep(124)))
    assert.matches("a code must be", failure(channel.kick, channel, "ann", "", "a b"))
  end)
end)
