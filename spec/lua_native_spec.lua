-- What scripts do with clients that speak: handlers, relayed events, and what can be asked of a client.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 20 } }

local log = moonwire.array {}
local function note(...) log[#log + 1] = string.format(...) end
app:get("/log", function() return log end)

app:authenticate(function(request)
  local name = request.token or request.query.user
  if name == "nobody" then return false, "who are you?" end
  return name and { id = tonumber(name) or name } or true
end)
app:on_connect(function(client)
  if client.user_id == "banned" then return false, "you are banned", 403 end
  if client.user_id == "broken" then error("a secret of on_connect") end
  if client.user_id == "greeted" then
    client:send("welcome", { user = client.user, transport = client.transport })
    client:subscribe("talk:lobby")
  end
  client.data = { seen = moonwire.array { "connect" } }
  note("connect %s %s", client.user_id, client.transport)
end)
app:on_disconnect(function(client, reason)
  note("disconnect %s %s %s", client.user_id, #reason > 0, table.concat(client.data.seen, "+"))
end)

local function code_of(fn, ...)
  local ok, message = pcall(fn, ...)
  return ok or message
end

local function list(...)
  local items = moonwire.array { ... }
  for i = 1, select("#", ...) do items[i] = items[i] == nil and moonwire.null or items[i] end
  return items
end

local on = {}
function on.echo(_, _, message)
  return { event = message.event, data = message.data, raw = message.raw, binary = message.binary, id = message.id }
end
function on.nothing() end
function on.null() return moonwire.null end
function on.fault() return nil, "a secret of the database" end
function on.raise() error("a secret of the handler") end
function on.refuse(_, _, message) return false, message.data.reason, message.data.code end
function on.deep(_, _, message) local function dive() error(message.data) end dive() end
function on.nonsense() return print end
function on.unread() return "fine" end
function on.say(client, channel, message)
  local id = channel:publish("said", { from = client.user_id, text = message.data })
  return { id = id }
end
function on.others(client, channel, message)
  return channel:publish("said", message.data, { except = client, volatile = true })
end
function on.bytes(client, channel, message)
  channel:publish("bytes", message.binary, { binary = true })
  client:send("bytes", "\0own\255", { binary = true, channel = channel.name })
  return #message.binary
end
function on.push(client)
  client:send("first", 1)
  moonwire.sleep(0.01)
  client:send("second", { 2 })
  return "acknowledged"
end
function on.reach(client)
  return list(client.transport, app:client(client.id) == client, client:send("x", 1))
end
function on.wait(client, _, message)
  note("begin %s", message.data.name)
  local ok, why = moonwire.sleep(message.data.seconds)
  note("end %s %s", message.data.name, ok and "ok" or why)
  return message.data.name
end
function on.remember(client, channel, message)
  table.insert(client.data.seen, message.data)
  channel.state.by_client[client] = (channel.state.by_client[client] or 0) + 1
  return { seen = client.data.seen, count = channel.state.by_client[client] }
end
function on.kick(client, channel, message)
  for other in app:clients { user_id = message.data.user_id } do
    assert(channel:kick(other, message.data.reason, message.data.code))
  end
  return channel:count()
end
function on.close(client, _, message)
  for other in app:clients { user_id = message.data.user_id } do
    assert(other:close(message.data.code, message.data.reason))
  end
end
function on.clients(_, _, message)
  local names = moonwire.array {}
  for client in app:clients(message.data) do table.insert(names, tostring(client.user_id)) end
  table.sort(names)
  return names
end
function on.find(client)
  local found = app:client(client.id)
  return { same = found == client, none = app:client("nobody") == nil, text = tostring(client) == "client " .. client.id }
end
function on.move(client, channel, message)
  return list(client:subscribe("talk:moved"), client:unsubscribe(channel.name, message.data.reason, message.data.code))
end
local gone
function on.keep(client) gone = client end
app:get("/gone", function()
  return { user = gone.user, seen = gone.data.seen, send = list(gone:send("late", 1)), close = list(gone:close()),
    subscribe = list(gone:subscribe("talk:1")), unsubscribe = list(gone:unsubscribe("talk:1")),
    kick = list(app:find("talk:stays"):kick(gone)) }
end)
function on.misuse(client, channel)
  return moonwire.array {
    code_of(client.send, client, 5),
    code_of(client.send, client, "bad name"),
    code_of(client.send, client, "open"),
    code_of(client.send, client, "x", print),
    code_of(client.send, client, "x", {}, { binary = true }),
    code_of(client.send, client, "x", 1, { chanel = "talk:1" }),
    code_of(client.send, 5),
    code_of(client.close, client, 1005),
    code_of(client.close, client, 1000, ("x"):rep(124)),
    code_of(client.subscribe, client, "elsewhere"),
    code_of(client.subscribe, client),
    code_of(client.unsubscribe, client, channel.name, "", "bad code"),
    code_of(channel.kick, channel, {}),
    code_of(channel.publish, channel, "x", 1, { except = client.id }),
    code_of(channel.publish, channel, "x", 1, { binary = true }),
    code_of(function() return client.nothing end),
    code_of(function() client.id = "x" end),
    code_of(app.clients, app, { user = 1 }),
    code_of(app.client, app, 5),
    code_of(client.unsubscribe, client, "elsewhere"),
  }
end
function on.large(client) return list(client:send("x", ("x"):rep(70000))) end

app:channel("talk:{name}", {
  authorize = function(client, channel)
    return channel.params.name ~= "closed" or nil
  end,
  on_open = function() return { by_client = setmetatable({}, { __mode = "k" }) } end,
  on_join = function(client, channel)
    if channel.params.name == "hooks" then
      channel:publish("joined", client.user_id, { except = client })
      client:send("hello", channel.name)
    elseif channel.params.name == "kicked" then
      channel:kick(client)
    elseif channel.params.name == "slow" then
      moonwire.sleep(0.05)
    end
  end,
  on_leave = function(client, channel)
    if channel.params.name == "hooks" then channel:publish("left", client.user_id) end
    note("leave %s %s", client.user_id, channel.name)
  end,
  on = on,
  relay = { "typing", "x.y", update = { keep = true }, moved = {} },
  history = { size = 5 },
})
app:channel("quiet", { authorize = true })
return app
]]

describe("a script whose clients speak", function()
  local app
  local opened

  local function open(target, options)
    local client = websocket.open(app, target, options)
    opened[#opened + 1] = client
    return client
  end

  -- A client in that channel.
  local function enter(channel, target)
    local client = open(target or "/ws?user=ada")
    client:subscribe(channel)
    return client
  end

  local function send(client, channel, event, data)
    return client:ask { send = channel, event = event, data = data }
  end

  local function read_log()
    return dkjson.decode(http.get(app, "/log").body)
  end

  -- Waits until the script's own log has that line.
  local function await(line)
    for _ = 1, 1000 do
      for _, found in ipairs(read_log()) do
        if found == line then
          return true
        end
      end
    end
    error(("no line %q in %s"):format(line, table.concat(read_log(), "\n")))
  end

  setup(function()
    app = server.start(script)
  end)

  before_each(function()
    opened = {}
  end)

  after_each(function()
    for _, client in ipairs(opened) do
      client:drop()
    end
  end)

  teardown(function()
    app:stop()
  end)

  it("says at the start what they may send", function()
    local lines = table.concat(app.startup, "\n")
    assert.matches(
      "channel talk:{name}: authorize decides who may subscribe, history of 5, clients may send bytes, ",
      lines,
      1,
      true
    )
    assert.matches(
      ", unread, wait, typing (relayed), x.y (relayed), moved (relayed), update (relayed and kept)\n",
      lines,
      1,
      true
    )
    assert.matches("channel quiet: open to all authenticated clients, no history\n", lines, 1, true)
  end)

  describe("answers a message", function()
    local client

    before_each(function()
      client = enter "talk:answers"
    end)

    local function answer(event, data)
      return (send(client, "talk:answers", event, data))
    end

    it("with ok, or a value", function()
      assert.is_true(answer("nothing").ok)
      assert.equal(dkjson.null, select(1, dkjson.decode('{"a":null}', 1, dkjson.null)).a)
      assert.equal("fine", answer("unread", { 1 }).ok)
      client:tell '{"send":"talk:answers","event":"null","ref":1}'
      assert.equal('{"ref":1,"ok":null}', (client.socket:receive(5)))
    end)

    it("and sees all of it", function()
      client:tell '{"send":"talk:answers","event":"echo","data": {"a": [1, 2.5, "é", null]} ,"ref":1}'
      local ok = client:next().ok
      assert.equal("echo", ok.event)
      assert.equal('{"a": [1, 2.5, "é", null]}', ok.raw)
      assert.same({ 1, 2.5, "é" }, ok.data.a)
      assert.is_nil(ok.binary)
      client:tell '{"send":"talk:answers","event":"echo","ref":2}'
      assert.equal(
        '{"ref":2,"ok":{"data":null,"event":"echo","raw":"null"}}',
        (client.socket:receive(5))
      )
      client:tell_bytes({ send = "talk:answers", event = "echo", ref = 3 }, "by\ntes")
      assert.same({ event = "echo", binary = "by\ntes" }, client:next().ok)
    end)

    it("whose data Lua cannot hold with a refusal, if it reads them", function()
      client:tell '{"send":"talk:answers","event":"unread","data":1e999,"ref":1}'
      assert.equal("fine", client:next().ok)
      client:tell '{"send":"talk:answers","event":"echo","data":1e999,"ref":2}'
      assert.equal("bad_request", client:next().error.code)
    end)

    it("with a refusal", function()
      assert.same({ code = "refused", reason = "no" }, answer("refuse", { reason = "no" }).error)
      assert.same(
        { code = "own", reason = "no" },
        answer("refuse", { reason = "no", code = "own" }).error
      )
      assert.same({ code = "refused", reason = "refused" }, answer("refuse", {}).error)
      assert.same(
        { code = "early", reason = "too" },
        answer("deep", { code = "early", message = "too" }).error
      )
    end)

    it("with internal, and a line in the log, if something went wrong", function()
      local internal = { code = "internal", reason = "internal error" }
      assert.same(internal, answer("fault").error)
      assert.is_truthy(
        app:await_log 'on.fault of "talk:answers" %(.*app.lua:%d+%): failed: a secret of the database'
      )
      assert.same(internal, answer("raise").error)
      assert.is_truthy(
        app:await_log 'on.raise of "talk:answers": .*app.lua:%d+: a secret of the handler'
      )
      assert.is_truthy(app:await_log "stack traceback")
      assert.same(internal, answer("nonsense").error)
      assert.is_truthy(
        app:await_log 'on.nonsense of "talk:answers" %([^()]*app.lua:%d+%): result: JSON cannot hold a function\n'
      )
      assert.same(internal, answer("deep", "text").error)
      assert.same(internal, answer("refuse", { reason = 5 }).error)
      assert.same(internal, answer("refuse", { reason = "x", code = "bad code" }).error)
      assert.is_true(answer("nothing").ok)
    end)

    it("only if it has a handler", function()
      assert.equal("unknown_event", answer("said", 1).error.code)
      assert.equal("not_subscribed", send(client, "talk:other", "say", 1).error.code)
    end)
  end)

  describe("sends", function()
    it("what a handler publishes before its acknowledgement", function()
      local client = enter "talk:order"
      local answer, pushes = send(client, "talk:order", "say", "hi")
      assert.equal(1, #pushes)
      assert.same({ from = "ada", text = "hi" }, pushes[1].data)
      assert.equal(pushes[1].id, answer.ok.id)
      answer, pushes = send(client, "talk:order", "push")
      assert.equal("acknowledged", answer.ok)
      assert.same({ { event = "first", data = 1 }, { event = "second", data = { 2 } } }, pushes)
    end)

    it("to all but one", function()
      local first, second = enter "talk:except", enter "talk:except"
      local answer, pushes = send(first, "talk:except", "others", "psst")
      assert.is_true(answer.ok)
      assert.same({}, pushes)
      assert.same({ channel = "talk:except", event = "said", data = "psst" }, second:next())
    end)

    it("bytes", function()
      local first, second = enter "talk:bytes", enter "talk:bytes"
      local stream = sse.open(app, "/sse?envelope=1&channel=talk:bytes&user=eve")
      first:tell_bytes({ send = "talk:bytes", event = "bytes", ref = 1 }, "\0\1\n\255")
      assert.equal("\0\1\n\255", first:next().bytes)
      assert.same({ channel = "talk:bytes", event = "bytes", bytes = "\0own\255" }, first:next())
      assert.equal(4, first:next().ok)
      assert.equal("\0\1\n\255", second:next().bytes)
      repeat
        local event = dkjson.decode(stream:event().data)
      until event.base64 and assert.equal("AAEK/w==", event.base64)
      stream:close()
    end)

    it("from hooks", function()
      local first = open "/ws?user=ada"
      local ok, pushes = first:subscribe "talk:hooks"
      assert.is_string(ok.id)
      assert.same({ { event = "hello", data = "talk:hooks" } }, pushes)
      local second = enter("talk:hooks", "/ws?user=bob")
      local joined = first:next()
      assert.equal("joined", joined.event)
      assert.equal("bob", joined.data)
      second:close()
      local left = first:next()
      assert.equal("left", left.event)
      assert.equal("bob", left.data)
    end)
  end)

  it("lets events pass from client to client", function()
    local first, second = enter("talk:relay", "/ws?user=7"), enter("talk:relay", "/ws?user=bob")
    local answer, pushes = send(first, "talk:relay", "typing", { on = true })
    assert.is_true(answer.ok)
    assert.same({}, pushes)
    assert.same(
      { channel = "talk:relay", event = "typing", from = "7", data = { on = true } },
      second:next()
    )
    answer = send(first, "talk:relay", "update", 1)
    local update = second:next()
    assert.equal(answer.ok.id, update.id)
    assert.equal("7", update.from)
    assert.is_true(send(first, "talk:relay", "moved").ok)
    assert.is_nil(second:next().id)
  end)

  it("keeps what it wrote on a client, and knows the client again", function()
    local client = enter("talk:data", "/ws?user=dora")
    assert.same(
      { seen = { "connect", "a" }, count = 1 },
      send(client, "talk:data", "remember", "a").ok
    )
    assert.same(
      { seen = { "connect", "a", "b" }, count = 2 },
      send(client, "talk:data", "remember", "b").ok
    )
    assert.same({ same = true, none = true, text = true }, send(client, "talk:data", "find").ok)
    client:close()
    await "disconnect dora true connect+a+b"
  end)

  describe("works through one client's input in order", function()
    it("while a handler waits", function()
      local other = enter "talk:pipe"
      local client = open "/ws?user=pia"
      client:tell '{"subscribe":"talk:pipe","ref":1}'
      client:tell '{"send":"talk:pipe","event":"wait","data":{"name":"one","seconds":0.05},"ref":2}'
      client:tell '{"send":"talk:pipe","event":"typing","data":"relayed","ref":3}'
      client:tell '{"send":"talk:pipe","event":"wait","data":{"name":"two","seconds":0.001},"ref":4}'
      client:tell '{"send":"talk:pipe","event":"say","data":"said","ref":5}'
      client:tell '{"unsubscribe":"talk:pipe","ref":6}'
      client:tell '{"send":"talk:pipe","event":"say","data":"late","ref":7}'
      client:tell '{"subscribe":"talk:slow","ref":8}'
      client:tell '{"send":"talk:slow","event":"nothing","ref":9}'
      local came = {}
      repeat
        local object = client:next()
        came[#came + 1] = object.ref or object.event
      until object.ref == 9
      assert.same({ 1, 2, 3, 4, "said", 5, 6, 7, 8, 9 }, came)
      assert.equal("typing", other:next().event)
      assert.equal("said", other:next().event)
    end)

    it("while others are served", function()
      local slow, fast = enter "talk:together", enter "talk:together"
      slow:tell '{"send":"talk:together","event":"wait","data":{"name":"slow","seconds":0.3},"ref":1}'
      await "begin slow"
      assert.is_true(send(fast, "talk:together", "nothing").ok)
      for _, line in ipairs(read_log()) do
        assert.not_equal("end slow ok", line)
      end
      assert.equal("slow", slow:next().ok)
    end)

    it("until it goes", function()
      local client = enter("talk:leaves", "/ws?user=lea")
      client:tell '{"send":"talk:leaves","event":"wait","data":{"name":"left","seconds":60},"ref":1}'
      client:tell '{"send":"talk:leaves","event":"wait","data":{"name":"never","seconds":0},"ref":2}'
      await "begin left"
      client:drop()
      await "end left closed"
      await "leave lea talk:leaves"
      await "disconnect lea true connect"
      for _, line in ipairs(read_log()) do
        assert.not_equal("begin never", line)
      end
    end)
  end)

  describe("takes clients out", function()
    it("of a channel", function()
      local first, second = enter "talk:kick", enter("talk:kick", "/ws?user=bob")
      assert.equal(
        "number",
        type(send(first, "talk:kick", "kick", { user_id = "bob", reason = "rude" }).ok)
      )
      assert.same({
        event = "moonwire:unsubscribed",
        data = { channel = "talk:kick", code = "kicked", reason = "rude" },
      }, second:next())
      assert.equal("not_subscribed", send(second, "talk:kick", "say").error.code)
      await "leave bob talk:kick"
      second:subscribe "talk:kick"
      send(first, "talk:kick", "kick", { user_id = "bob", code = "spam" })
      assert.same({ channel = "talk:kick", code = "spam", reason = "" }, second:next().data)
    end)

    it("of a channel that they are about to enter", function()
      local client = open "/ws?user=kim"
      client:tell '{"subscribe":"talk:kicked","ref":1}'
      local came = { client:next(), client:next() }
      assert.is_truthy(came[1].ok)
      assert.equal("kicked", came[2].data.code)
      await "leave kim talk:kicked"
    end)

    it("altogether", function()
      local first, second = enter "talk:close", enter("talk:close", "/ws?user=bob")
      assert.is_true(
        send(first, "talk:close", "close", { user_id = "bob", code = 4403, reason = "tschüß" }).ok
      )
      local _, code, reason = second:next()
      assert.equal(4403, code)
      assert.equal("tschüß", reason)
      second = enter("talk:close", "/ws?user=bob")
      send(first, "talk:close", "close", { user_id = "bob" })
      _, code = second:next()
      assert.equal(1000, code)
    end)

    it("and into others", function()
      local client = enter "talk:moves"
      local answer, pushes = send(client, "talk:moves", "move", { reason = "elsewhere" })
      assert.same({ true, true }, answer.ok)
      assert.same(
        { channel = "talk:moves", code = "unsubscribed", reason = "elsewhere" },
        pushes[1].data
      )
      assert.is_true(send(client, "talk:moved", "nothing").ok)
      assert.equal("not_subscribed", send(client, "talk:moves", "nothing").error.code)
    end)
  end)

  it("is told what holds no longer, and what never did", function()
    local stays, client = enter "talk:stays", enter("talk:gone", "/ws?user=gus")
    assert.is_true(send(client, "talk:gone", "keep").ok)
    client:close()
    await "disconnect gus true connect"
    local closed = { dkjson.null, "closed", "closed" }
    local gone = http.get(app, "/gone")
    gone = assert(dkjson.decode(gone.body, 1, dkjson.null), app:log())
    assert.same({ id = "gus" }, gone.user)
    for _, call in ipairs { "send", "close", "subscribe", "unsubscribe", "kick" } do
      assert.same(closed, gone[call], call)
    end
    local faults = send(stays, "talk:stays", "misuse").ok
    local expected = {
      "app.lua:%d+: client:send: the event must be a string, got number$",
      "app.lua:%d+: client:send: ",
      "app.lua:%d+: client:send: ",
      "app.lua:%d+: client:send: data: ",
      "app.lua:%d+: client:send: binary data must be a string of bytes, got table$",
      "app.lua:%d+: client:send: unknown option 'chanel' %(did you mean 'channel'%?%)$",
      "app.lua:%d+: client:send: call it with a colon on a client, got number$",
      "app.lua:%d+: client:close: invalid close code 1005$",
      "app.lua:%d+: client:close: a reason must be at most 123 bytes of UTF%-8 text$",
      "app.lua:%d+: client:subscribe: .*elsewhere",
      "app.lua:%d+: client:subscribe: argument 1 must be a string, got nil$",
      "app.lua:%d+: client:unsubscribe: a code must be 1 to 64 letters, digits, or _.:%-$",
      "app.lua:%d+: channel:kick: argument 1 must be a client or the id of a user, got table$",
      "app.lua:%d+: channel:publish: option 'except' must be a client, got string$",
      "app.lua:%d+: channel:publish: binary data must be a string of bytes, got number$",
      "no such field of a client: 'nothing'$",
      "cannot set client.id",
      "app.lua:%d+: app:clients: unknown option 'user'",
      "app.lua:%d+: app:client: argument 1 must be a string, got number$",
      "app.lua:%d+: client:unsubscribe: .*elsewhere",
    }
    for i, pattern in ipairs(expected) do
      assert.matches(pattern, tostring(faults[i]), 1)
    end
    assert.equal("too_large", send(stays, "talk:stays", "large").ok[3])
  end)

  describe("meets everybody", function()
    it("who connects, by the token or the query", function()
      local client = open("/ws", { protocol = "moonwire.1" })
      assert.is_string(client:ask({ connect = { token = "tom" } }).ok.client)
      await "connect tom websocket"
      client = open("/ws", { headers = { authorization = "Bearer ben" } })
      client:subscribe "quiet"
      await "connect ben websocket"
      local stream = sse.open(app, "/sse?channel=quiet&user=sue")
      await "connect sue sse"
      stream:close()
      await "disconnect sue true connect"
    end)

    it("and sends away whom it does not want", function()
      for user, status in pairs { nobody = 401, banned = 403, broken = 101 } do
        local response = http.get(app, "/ws?user=" .. user, {
          Connection = "Upgrade",
          Upgrade = "websocket",
          ["Sec-WebSocket-Version"] = "13",
          ["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA==",
        })
        assert.equal(status, response.status, user)
      end
      assert.is_truthy(app:await_log "on_connect of client broken: .*a secret of on_connect")
      assert.is_true(select(2, open("/ws?user=broken"):next())) -- 1013, of which lua-http does not know
      local client = open("/ws", { protocol = "moonwire.1" })
      local answer = client:ask { connect = { token = "banned" } }
      assert.same({ code = "forbidden", reason = "you are banned" }, answer.error)
      local _, code = client:next()
      assert.equal(4401, code)
      assert.equal(403, http.get(app, "/sse?channel=quiet&user=banned").status)
    end)

    it("and greets them, first of all", function()
      local client = open "/ws?user=greeted"
      assert.same({ user = { id = "greeted" }, transport = "websocket" }, client:next().data)
      assert.is_true(send(client, "talk:lobby", "nothing").ok)
      local stream = sse.open(app, "/sse?channel=quiet&user=greeted")
      local event = stream:event()
      assert.equal("welcome", event.event)
      assert.equal('{"transport":"sse","user":{"id":"greeted"}}', event.data)
      stream:close()
      client = open("/ws", { protocol = "moonwire.1" })
      local answer, pushes = client:ask { connect = { token = "greeted" } }
      assert.is_string(answer.ok.client)
      assert.same(
        { { event = "welcome", data = { user = { id = "greeted" }, transport = "websocket" } } },
        pushes
      )
      assert.is_true(send(client, "talk:lobby", "nothing").ok)
    end)

    it("who is there", function()
      local first, second, third =
        enter("talk:all", "/ws?user=x1"),
        enter("talk:all", "/ws?user=42"),
        enter("talk:all", "/ws?user=42")
      for _, id in ipairs { 42, 42.0, "42" } do
        assert.same({ "42", "42" }, send(first, "talk:all", "clients", { user_id = id }).ok)
      end
      assert.same({}, send(first, "talk:all", "clients", { user_id = 42.5 }).ok)
      assert.same({}, send(first, "talk:all", "clients", { user_id = "" }).ok)
      assert.same({ "x1" }, send(first, "talk:all", "clients", { user_id = "x1" }).ok)
      assert.same({}, send(first, "talk:all", "clients", { user_id = "nobody" }).ok)
      second:close()
      third:close()
      local left
      repeat
        left = send(first, "talk:all", "clients", { user_id = "42" }).ok
      until #left == 0
    end)
  end)

  describe("serves clients without a socket", function()
    local function post(body, headers, target)
      headers = headers or {}
      headers["Content-Type"] = "application/json"
      local response =
        http.request(app, "POST", target or "/send?user=paul", { headers = headers, body = body })
      return response.status, dkjson.decode(response.body)
    end

    it("for one message", function()
      local listener = enter "talk:post"
      local status, answer = post '{"send":"talk:post","event":"say","data":"posted","ref":1}'
      assert.equal(200, status)
      local said = listener:next()
      assert.same({ from = "paul", text = "posted" }, said.data)
      assert.same({ ref = 1, ok = { id = said.id } }, answer)
      for code, expected in pairs { own = 400, forbidden = 403, not_found = 404, unavailable = 503 } do
        local body = { send = "talk:post", event = "refuse", data = { reason = "no", code = code } }
        status, answer = post(dkjson.encode(body))
        assert.equal(expected, status, code)
        assert.equal(code, answer.error.code)
        body.event, body.data = "deep", { code = code, message = "no" }
        assert.equal(expected, (post(dkjson.encode(body))), code)
      end
      answer = select(2, post '{"send":"talk:post","event":"reach"}')
      assert.same({ "http", false, nil, "closed", "closed" }, answer.ok)
      assert.equal(400, (post '{"send":"talk:post","event":"refuse","data":{}}'))
      assert.equal(500, (post '{"send":"talk:post","event":"raise"}'))
      assert.equal(403, (post '{"send":"talk:closed","event":"say"}'))
    end)

    it("as the client of a stream", function()
      local stream = sse.open(app, "/sse?envelope=1&channel=talk:stream&user=paul")
      local id = dkjson.decode(stream:event().data).data.client
      local as_client = { ["X-Moonwire-Client"] = id }
      local status, answer = post('{"send":"talk:stream","event":"push"}', as_client)
      assert.equal(200, status)
      assert.equal("acknowledged", answer.ok)
      assert.equal("first", dkjson.decode(stream:event().data).event)
      assert.equal("second", dkjson.decode(stream:event().data).event)
      answer = select(2, post('{"send":"talk:stream","event":"reach"}', as_client))
      assert.same({ "sse", true, true }, answer.ok)
      assert.equal("x", dkjson.decode(stream:event().data).event)
      status = post('{"send":"talk:stream","event":"refuse","data":{"code":"own"}}', as_client)
      assert.equal(400, status)
      stream:close()
    end)
  end)
end)

describe("an app whose endpoints and limits are its own", function()
  local app

  setup(function()
    app = server.start [[
local moonwire = require "moonwire"
local app = moonwire.app {
  paths = { ws = "/socket", send = "/say" },
  limits = { ws_message_size = 1000, input_backlog = 100, connect_seconds = 2, ping_seconds = 1, pong_seconds = 2 },
}
app:channel("a", { on = { say = function(_, _, message) return message.data end } })
return app
]]
  end)

  teardown(function()
    app:stop()
  end)

  it("has them where it said", function()
    local client = websocket.open(app, "/socket")
    client:subscribe "a"
    assert.equal(1, client:ask({ send = "a", event = "say", data = 1 }).ok)
    assert.equal(404, http.get(app, "/ws").status)
    local body = '{"send":"a","event":"say","data":2}'
    assert.equal('{"ok":2}', http.request(app, "POST", "/say", { body = body }).body)
    assert.equal(404, http.request(app, "POST", "/send", { body = body }).status)
    client:drop()
  end)

  it("closes on who sends too much, or does not connect, or falls silent", function()
    local client = websocket.open(app, "/socket")
    client:tell(("x"):rep(2000))
    assert.equal(1009, select(2, client:next()))
    client = websocket.open(app, "/socket", { protocol = "moonwire.1" })
    assert.equal(4408, select(2, client:next()))
    client = websocket.open(app, "/socket", { protocol = "moonwire.1" })
    assert.is_string(client:ask({ connect = { token = "" } }).ok.client)
    assert.same({ ping = true }, client:next())
    assert.is_nil(client:next())
  end)
end)
