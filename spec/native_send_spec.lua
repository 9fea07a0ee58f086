-- POST /send by curl: what a WebSocket client sends, for whoever has none.

local dkjson = require "dkjson"
local native = require "spec.support.native"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { message_size = 1000, body = 5000 } }
app:authenticate(function(request)
  local name = request.token or request.cookies.name
  if name == "nobody" then
    return false, "who are you?"
  end
  return { id = name or "guest" }
end)
app:channel("room:{room}", {
  authorize = function(client, channel)
    return channel.params.room ~= "closed" or client.user_id == "ann"
  end,
  relay = { "typing", note = { keep = true } },
  on = {
    count = function(_, _, message)
      return #message.binary
    end,
    say = function(client, channel, message)
      if message.data == "wrong" then error "a fault of the app" end
      if message.data == "mute" then return false, "be quiet", "muted" end
      if message.data == "wait" then
        channel:publish("begun")
        moonwire.sleep(0.3)
      end
      channel:publish("said", { who = client.user_id, by = client.transport, what = message.data })
      return message.data
    end,
  },
})
return app
]]

describe("POST /send", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  -- The status and the answer. `headers`: a list of lines.
  local function send(body, headers)
    local words = { "curl -sS --max-time 30 -w '\\n%{http_code}' -X POST --data-binary @-" }
    for _, line in ipairs(headers or {}) do
      words[#words + 1] = "-H " .. server.quote(line)
    end
    words[#words + 1] = app.address .. "/send"
    body = type(body) == "string" and body or dkjson.encode(body)
    local output =
      server.run("printf %s " .. server.quote(body) .. " | " .. table.concat(words, " "))
    local text, status = output:match "^(.*)\n(%d+)$"
    return tonumber(status), dkjson.decode(text) or text
  end

  local function bearer(name)
    return { "Authorization: Bearer " .. name }
  end

  local function watch(channel)
    local watcher = native.open(app)
    watcher:subscribe(channel)
    return watcher
  end

  it("is answered like a WebSocket client", function()
    local watcher = watch "room:1"
    local status, answer =
      send({ send = "room:1", event = "say", data = "hello", ref = "r" }, bearer "ben")
    assert.equal(200, status)
    assert.same({ ref = "r", ok = "hello" }, answer)
    local push = watcher:next()
    assert.same({ who = "ben", by = "http", what = "hello" }, push.data)

    status, answer = send { send = "room:1", event = "say", data = 1 }
    assert.equal(200, status)
    assert.same({ ok = 1 }, answer)
    assert.equal("guest", watcher:next().data.who)

    status, answer = send({ send = "room:1", event = "typing", data = 5, ref = 1 }, bearer "ben")
    assert.equal(200, status)
    assert.same({ ref = 1, ok = true }, answer)
    assert.same({ channel = "room:1", event = "typing", from = "ben", data = 5 }, watcher:next())

    status = send({ send = "room:1", event = "note", data = 6 }, bearer "ben")
    assert.equal(200, status)
    push = watcher:next()
    assert.equal("ben", push.from)
    assert.equal("string", type(push.id))
    watcher:close()
  end)

  it("takes bytes as base64, to handle and to relay", function()
    local watcher = watch "room:1"
    local body = '{"send":"room:1","event":"%s","base64":"AP8K","ref":1}'
    assert.same({ 200, { ref = 1, ok = 3 } }, { send(body:format "count", bearer "ben") })
    assert.same({ 200, { ref = 1, ok = true } }, { send(body:format "typing", bearer "ben") })
    local _, head, payload = watcher:next_frame()
    assert.same({ channel = "room:1", event = "typing", from = "ben" }, dkjson.decode(head))
    assert.equal("\0\255\n", payload)
    assert.same({ ok = 3, ref = "ask 2" }, watcher:ask(dkjson.decode(body:format "count")))
    assert.equal(400, (send '{"send":"room:1","event":"count","base64":"AP8"}'))
    assert.equal(413, (send((body:format("count"):gsub("AP8K", ("AAAA"):rep(500))))))
    watcher:close()
  end)

  it("says by its status what was wrong", function()
    local function check(status, code, body, headers)
      local came, answer = send(body, headers)
      assert.same({ status, code }, { came, answer.error.code })
    end
    local function say(data, room)
      return { send = room or "room:1", event = "say", data = data, ref = 1 }
    end
    check(401, "unauthorized", say(1), bearer "nobody")
    check(403, "forbidden", say(1, "room:closed"), bearer "ben")
    check(404, "not_found", say(1, "elsewhere"))
    check(400, "unknown_event", { send = "room:1", event = "shout" })
    check(400, "muted", say "mute")
    check(500, "internal", say "wrong")
    check(413, "too_large", say(("x"):rep(1000)))
    check(400, "bad_request", "{")
    check(400, "bad_request", "")
    check(400, "bad_request", "[]")
    check(400, "bad_request", { subscribe = "room:1", ref = 1 })
    check(400, "bad_request", { send = "room:1", ping = true })
    check(400, "bad_request", { send = "room:1", event = "open" })
    check(404, "not_found", say(1), { "X-Moonwire-Client: nonsense" })
    assert.equal(200, (send(say(1, "room:closed"), bearer "ann")))
    assert.equal(413, (send(("x"):rep(6000))))
    assert.is_truthy(app:await_log "a fault of the app")
  end)

  it(
    "takes cookies only with JSON or from its own pages, which no form of another site is",
    function()
      local body = { send = "room:1", event = "say", data = 1 }
      local function status(kind)
        return (send(body, { "Cookie: name=ann", "Content-Type: " .. kind }))
      end
      assert.equal(200, status "application/json")
      assert.equal(200, status "application/json; charset=utf-8")
      assert.equal(403, status "text/plain")
      assert.equal(403, status "application/x-www-form-urlencoded")
      assert.equal(403, (send(body, { "Origin: https://elsewhere.example" })))
    end
  )

  it("speaks for a stream that can only listen", function()
    local stream = sse.open(app, "/sse?envelope=1&channel=room:2&token=ann")
    local opened = dkjson.decode(stream:event().data)
    local id = opened.data.client
    local function as(name, body)
      return send(body, { "Authorization: Bearer " .. name, "X-Moonwire-Client: " .. id })
    end
    local watcher = watch "room:2"

    assert.equal(403, (as("ben", { send = "room:2", event = "say", data = "I am Ann", ref = 1 })))
    local status, answer = as("ann", { send = "room:2", event = "say", data = "hello", ref = 2 })
    assert.same({ 200, { ref = 2, ok = "hello" } }, { status, answer })
    assert.same({ who = "ann", by = "sse", what = "hello" }, watcher:next().data)
    assert.equal("hello", dkjson.decode(stream:event().data).data.what)

    -- to the others, and not to the stream itself
    assert.equal(200, (as("ann", { send = "room:2", event = "typing", data = true, ref = 3 })))
    assert.equal("typing", watcher:next().event)

    -- it goes into channels and out again
    status, answer = as("ann", { send = "room:3", event = "say", data = 1, ref = 4 })
    assert.same({ 403, "not_subscribed" }, { status, answer.error.code })
    assert.equal(200, (as("ann", { subscribe = "room:3", ref = 5 })))
    assert.equal(400, (as("ann", { subscribe = "room:3", ref = 6 })))
    assert.equal(200, (as("ann", { send = "room:3", event = "say", data = 2, ref = 7 })))
    assert.equal("room:3", dkjson.decode(stream:event().data).channel)
    assert.equal(200, (as("ann", { unsubscribe = "room:3", ref = 8 })))
    assert.equal(200, (send { send = "room:3", event = "say", data = "unheard" }))
    assert.equal(200, (as("ann", { send = "room:2", event = "say", data = "last", ref = 9 })))
    assert.equal("last", dkjson.decode(stream:event().data).data.what)
    assert.equal("last", watcher:next().data.what)

    stream:close()
    watcher:close()
  end)

  it("waits its turn behind a handler of the same client", function()
    local stream = sse.open(app, "/sse?envelope=1&channel=room:4&token=ann")
    local id = dkjson.decode(stream:event().data).data.client
    local headers = { "Authorization: Bearer ann", "X-Moonwire-Client: " .. id }
    local first = io.popen(
      ("curl -sS --max-time 30 -d %s -H %s -H %s %s/send"):format(
        server.quote '{"send":"room:4","event":"say","data":"wait","ref":1}',
        server.quote(headers[1]),
        server.quote(headers[2]),
        app.address
      )
    )
    assert.equal("begun", dkjson.decode(stream:event().data).event)
    local _, answer = send({ send = "room:4", event = "say", data = "second", ref = 2 }, headers)
    assert.same({ ref = 2, ok = "second" }, answer)
    assert.same({ ref = 1, ok = "wait" }, dkjson.decode(first:read "a"))
    first:close()
    assert.equal("wait", dkjson.decode(stream:event().data).data.what)
    assert.equal("second", dkjson.decode(stream:event().data).data.what)
    stream:close()
  end)
end)
