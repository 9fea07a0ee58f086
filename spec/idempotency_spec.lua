-- A send that carries an idempotency key has its effect once, however often it is sent.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:authenticate(function(request)
  return request.token and { id = request.token } or true
end)
local calls, release = 0, false
app:channel("room:{room}", {
  history = { size = 100 },
  authorize = true,
  relay = { "typing", note = { keep = true } },
  on = {
    say = function(_, channel, message)
      calls = calls + 1
      return { call = calls, id = channel:publish("said", message.data) }
    end,
    bytes = function(_, channel, message)
      calls = calls + 1
      return { call = calls, len = #message.binary }
    end,
    refuse = function()
      calls = calls + 1
      return false, "call " .. calls, "mine"
    end,
    fail = function()
      calls = calls + 1
      error "a fault of the app"
    end,
    busy = function()
      calls = calls + 1
      error { code = "unavailable", message = "call " .. calls }
    end,
    wait = function(_, channel)
      calls = calls + 1
      channel:publish("begun")
      while not release do
        if not moonwire.sleep(0.01) then
          return false, "cancelled", "cancelled"
        end
      end
      return { call = calls }
    end,
  },
})
app:get("/calls", function() return { calls = calls } end)
app:post("/release", function() release = true return 204 end)
app:post("/hold", function() release = false return 204 end)
return app
]]

describe("an idempotency key", function()
  local app
  setup(function()
    app = server.start(script)
  end)
  teardown(function()
    app:stop()
  end)

  local function connect(user, room)
    local client = native.open(app, user and { target = "/ws?token=" .. user })
    client:subscribe(room or "room:1")
    return client
  end

  local function post(body, user)
    local headers = { ["Content-Type"] = "application/json" }
    headers.Authorization = user and "Bearer " .. user
    local response =
      http.request(app, "POST", "/send", { body = dkjson.encode(body), headers = headers })
    return dkjson.decode(response.body), response.status
  end

  local function say(key, event, room)
    return { send = room or "room:1", event = event or "say", data = 1, idempotency_key = key }
  end

  local function calls()
    return dkjson.decode(http.get(app, "/calls").body).calls
  end

  it("calls the handler once, whichever way the send comes again", function()
    local before = calls()
    local client, other = connect "ann", connect "ann"
    local first = client:ask(say "k1").ok
    assert.equal(before + 1, first.call)
    assert.same(first, client:ask(say "k1").ok)
    assert.same(first, other:ask(say "k1").ok)
    assert.same(first, post(say "k1", "ann").ok)
    assert.same(first, post(say("k1", "say", "room:2"), "ann").ok)
    assert.equal(before + 1, calls())
    assert.not_same(first, client:ask(say "k2").ok)
    client:close()
    other:close()
  end)

  it("belongs to its user; those of anonymous clients are one set", function()
    local ann, ben, nobody, nobody_else = connect "ann", connect "ben", connect(), connect()
    local answers = { ann:ask(say "u").ok, ben:ask(say "u").ok, nobody:ask(say "u").ok }
    assert.not_same(answers[1], answers[2])
    assert.not_same(answers[1], answers[3])
    assert.not_same(answers[2], answers[3])
    assert.same(answers[3], nobody_else:ask(say "u").ok)
    assert.same(answers[3], post(say "u").ok)
    for _, client in ipairs { ann, ben, nobody, nobody_else } do
      client:close()
    end
  end)

  it("gives refusals and faults of the handler again, but not what may pass", function()
    local client = connect "ann"
    for _, event in ipairs { "refuse", "fail" } do
      local first = client:ask(say("r " .. event, event)).error
      local before = calls()
      assert.same(first, client:ask(say("r " .. event, event)).error)
      assert.same(first, post(say("r " .. event, event), "ann").error)
      assert.equal(before, calls())
    end
    local _, status = post(say("r fail", "fail"), "ann")
    assert.equal(500, status)
    local busy = client:ask(say("busy", "busy")).error
    assert.equal("unavailable", busy.code)
    assert.not_same(busy, client:ask(say("busy", "busy")).error)
    client:close()
  end)

  it("publishes a relayed event once", function()
    local watcher, client = connect "ben", connect "ann"
    local first = client:ask(say("n", "note")).ok
    assert.equal("string", type(first.id))
    assert.same(first, client:ask(say("n", "note")).ok)
    assert.same(first, post(say("n", "note"), "ann").ok)
    assert.is_true(client:ask(say("t", "typing")).ok)
    assert.is_true(client:ask(say("t", "typing")).ok)
    assert.is_true(post(say("p", "typing"), "ann").ok)
    assert.is_true(post(say("p", "typing"), "ann").ok)
    watcher:write { send = "room:1", event = "say", data = "last" }
    local events = {}
    repeat
      local push = watcher:next()
      events[#events + 1] = push.event .. " " .. tostring(push.from)
    until push.event == "said"
    assert.same({ "note ann", "typing ann", "typing ann", "said nil" }, events)
    -- the sender of a relayed event does not get it; the one that posted is another client
    local _, before = client:ask { ping = true }
    local own = {}
    for _, push in ipairs(before) do
      own[#own + 1] = push.event
    end
    assert.same({ "typing", "said" }, own)
    client:close()
    watcher:close()
  end)

  it("makes a repeated send wait for the answer of the first", function()
    http.request(app, "POST", "/hold", { body = "" })
    local ann, other = connect "ann", connect "ann"
    local before = calls()
    ann:write { send = "room:1", event = "wait", idempotency_key = "w", ref = 1 }
    repeat
      local push = other:next()
    until push.event == "begun"
    other:write(
      { send = "room:1", event = "wait", idempotency_key = "w", ref = 2 },
      { ping = true, ref = 3 }
    )
    assert.is_true(other:is_silent(0.1))
    http.request(app, "POST", "/release", { body = "" })
    local answers = other:take(2)
    assert.same({ ref = 2, ok = { call = before + 1 } }, answers[1])
    assert.equal(3, answers[2].ref)
    repeat
      local push = ann:next()
      assert.is_true(push.ref == nil or push.ok.call == before + 1)
    until push.ref
    assert.equal(before + 1, calls())
    ann:close()
    other:close()
  end)

  it("keeps the handler of a client that was cut going, for the client that asks again", function()
    http.request(app, "POST", "/hold", { body = "" })
    local watcher, ann = connect "ben", connect "ann"
    local before = calls()
    ann:write { send = "room:1", event = "wait", idempotency_key = "cut", ref = 1 }
    repeat
      local push = watcher:next()
    until push.event == "begun"
    ann:cut()
    ann = connect "ann"
    ann:write { send = "room:1", event = "wait", idempotency_key = "cut", ref = 1 }
    ann:cut() -- one that waits for the answer may go, too
    ann = connect "ann"
    ann:write { send = "room:1", event = "wait", idempotency_key = "cut", ref = 1 }
    socket.sleep(0.05)
    http.request(app, "POST", "/release", { body = "" })
    assert.same({ ref = 1, ok = { call = before + 1 } }, ann:next())
    assert.equal(before + 1, calls())
    ann:close()
    watcher:close()
  end)

  it("is refused if it is malformed, and goes with bytes as well", function()
    local client = connect "ann"
    for _, key in ipairs { "", ("x"):rep(129), 5 } do
      assert.equal("bad_request", client:ask(say(key)).error.code)
      assert.equal(400, select(2, post(say(key), "ann")))
    end
    assert.is_truthy(client:ask(say(("x"):rep(128))).ok)
    client:close()
    local seen = dkjson.decode(server.peer("support/idempotent_bytes.mjs", app.address))
    assert.same({ seen[1], seen[1] }, seen)
    assert.equal(3, seen[1].ok.len)
  end)

  it("leaves nothing behind when the server stops while sends wait for each other", function()
    local another = server.start(script)
    local function open()
      local client = native.open(another, { target = "/ws?token=ann" })
      client:subscribe "room:1"
      return client
    end
    local first, second = open(), open()
    first:write { send = "room:1", event = "wait", idempotency_key = "s", ref = 1 }
    repeat
      local push = second:next()
    until push.event == "begun"
    second:write(
      { send = "room:1", event = "wait", idempotency_key = "s", ref = 2 },
      { send = "room:1", event = "say", ref = 3 }
    )
    another:stop()
  end)
end)
