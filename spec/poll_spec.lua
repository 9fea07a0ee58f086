-- GET /poll: for whoever can hold neither a WebSocket nor an event stream. Asked by curl, by raw sockets and by Node.js.

local dkjson = require "dkjson"
local socket = require "socket"
local free_port = require("spec.support.ports").free
local server = require "spec.support.server"
local http = require "spec.support.http"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { poll_client_seconds = 2 }, origins = { "https://listed.example" } }
local log = {}
app:authenticate(function(request)
  local name = request.query.user
  if name == "nobody" then return false, "who are you?" end
  return { id = name or "guest" }
end)
app:on_connect(function(client) log[#log + 1] = "connect " .. client.user_id .. " " .. client.transport end)
app:on_disconnect(function(client, reason) log[#log + 1] = "disconnect " .. client.user_id .. " " .. reason end)
app:channel("kept:{name}", { authorize = true, history = { size = 5 } })
app:channel("last:{name}", { authorize = true, history = { size = 1 } })
app:channel("bare:{name}", { authorize = true })
app:channel("room:{name}", {
  authorize = function(client, channel)
    return channel.params.name ~= "closed" or false, "it is closed"
  end,
  history = { size = 50 },
  presence = { linger = 0.2, interval = 0.05 },
  on_join = function(client, channel) log[#log + 1] = "join " .. channel.name return { topic = "tea" } end,
  on_leave = function(client, channel) log[#log + 1] = "leave " .. channel.name end,
  on = {
    say = function(client, channel, message)
      if message.data == "kick me" then channel:kick(client, "as you like") return end
      if message.data == "hint" then client:send("hint", { only = "you" }) return end
      channel:publish("said", { who = client.user_id, what = message.data })
      return true
    end,
  },
})
app:post("/publish/{channel}", function(request)
  local ids = {}
  for n = 1, tonumber(request.query.count) do
    ids[n] = app:publish(request.params.channel, "item", { n = n })
  end
  return moonwire.json.encode(moonwire.array(ids))
end)
app:get("/log", function() local text = table.concat(log, "; ") log = {} return text end)
return app
]]

local racing = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("price:{symbol}", { history = { size = 20000 } })
local last, running, names = {}, true, { "price:a", "price:b", "price:c" }
app:every(0.003, function()
  for _ = 1, running and math.random(0, 4) or 0 do
    local name = names[math.random(3)]
    last[name] = (last[name] or 0) + 1
    app:publish(name, "tick", { channel = name, n = last[name], text = ("x"):rep(math.random(0, 60)) })
  end
end)
app:post("/stop", function() running = false return last end)
return app
]]

describe("GET /poll", function()
  local app
  local names = 0

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function fresh(kind)
    names = names + 1
    return kind .. ":" .. names
  end

  local function publish(channel, count)
    local target = ("/publish/%s?count=%d"):format(channel, count)
    local response = http.request(app, "POST", target, { body = "" })
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  local function log()
    return http.get(app, "/log").body
  end

  -- The answer to a poll by curl, decoded, and how long it took.
  local function poll(query, status)
    local words = "curl -sS --max-time 30 -w '\\n%{http_code} %{time_total}' "
    local output = server.run(words .. server.quote(app.address .. "/poll?" .. query))
    local text, code, seconds = output:match "^(.*)\n(%d+) ([%d.]+)$"
    assert.equal(status or 200, tonumber(code), text)
    return dkjson.decode(text), tonumber(seconds)
  end

  -- Asks on a connection of its own, which is returned before the answer comes.
  local function ask(query, method)
    local connection = http.connect(app, 60)
    assert(connection:send(http.format(method or "GET", "/poll?" .. query)))
    return connection
  end

  local function read(connection)
    local response = connection:read_response()
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  -- "1 2 3" for the items of an answer, other events by their names.
  local function told(answer)
    local words = {}
    for _, push in ipairs(answer.messages) do
      words[#words + 1] = push.event == "item" and tostring(math.tointeger(push.data.n))
        or push.event
    end
    return table.concat(words, " ")
  end

  it("gives newcomers the cursor and what they get", function()
    local name = fresh "kept"
    local ids = publish(name, 3)
    local answer, seconds = poll("channel=" .. name)
    assert.same({ id = ids[3], messages = {}, gaps = {} }, answer)
    assert.is_true(seconds < 15, seconds)
    local latest = fresh "last"
    ids = publish(latest, 3)
    answer = poll("channel=" .. latest)
    assert.equal(ids[3], answer.id)
    assert.same(
      { channel = latest, event = "item", id = ids[3], data = { n = 3 } },
      answer.messages[1]
    )
    assert.is_nil(answer.recovered)
  end)

  it("answers at once with what is newer, and else waits for it", function()
    local name, other = fresh "kept", fresh "kept"
    local ids = publish(name, 4)
    local answer = poll(("channel=%s&channel=%s&since=%s"):format(name, other, ids[2]))
    assert.equal("3 4", told(answer))
    assert.is_true(answer.recovered)
    assert.equal(ids[4], answer.id)
    local connection = ask(("channel=%s&channel=%s&since=%s"):format(name, other, answer.id))
    assert.is_true(connection:is_silent(0.2))
    ids = publish(other, 1)
    answer = read(connection)
    assert.equal("1", told(answer))
    assert.equal(ids[1], answer.id)
    -- The connection is kept, for the next one.
    assert(
      connection:send(http.format("GET", "/poll?wait=0&channel=" .. name .. "&since=" .. answer.id))
    )
    assert.same({ id = answer.id, recovered = true, messages = {}, gaps = {} }, read(connection))
    connection:close()
  end)

  it("waits no longer than it was asked to", function()
    local name = fresh "kept"
    local since = poll("channel=" .. name).id
    local answer, seconds = poll(("channel=%s&since=%s&wait=1"):format(name, since))
    assert.same({}, answer.messages)
    assert.is_true(answer.recovered)
    assert.is_true(seconds >= 0.9 and seconds < 15, seconds)
    answer, seconds = poll(("channel=%s&since=%s&wait=0"):format(name, since))
    assert.same({}, answer.messages)
    assert.is_true(seconds < 10, seconds)
  end)

  it("names the channels on which something is gone", function()
    local whole, holed, bare = fresh "kept", fresh "kept", fresh "bare"
    local since = publish(whole, 1)[1]
    publish(holed, 7)
    publish(bare, 1)
    publish(whole, 1)
    local query = ("channel=%s&channel=%s&channel=%s&since="):format(whole, holed, bare)
    local answer = poll(query .. since)
    assert.is_false(answer.recovered)
    table.sort(answer.gaps)
    local expected = { holed, bare }
    table.sort(expected)
    assert.same(expected, answer.gaps)
    assert.equal("3 4 5 6 7 1", told(answer))
    assert.equal("1 3 4 5 6 7 1", told(poll(query .. "0")))
    assert.is_true(poll(query .. "0").recovered)
    assert.is_false(poll(query .. "zzzzzzzz-0000000000000001").recovered)
    assert.equal(3, #poll(query .. "rubbish").gaps)
  end)

  it("refuses by HTTP's own statuses", function()
    assert.equal("bad_request", poll("", 400).error.code)
    assert.equal("not_found", poll("channel=nowhere", 404).error.code)
    assert.equal("unauthorized", poll("channel=kept:1&user=nobody", 401).error.code)
    assert.equal("it is closed", poll("channel=kept:1&channel=room:closed", 403).error.reason)
    assert.equal(
      "it is closed",
      poll("client=&channel=kept:1&channel=room:closed", 403).error.reason
    )
    for _, wait in ipairs { "", "-1", "1.5", "soon" } do
      assert.equal("bad_request", poll("channel=kept:1&wait=" .. wait, 400).error.code)
    end
    assert.equal(405, http.request(app, "POST", "/poll", { body = "" }).status)
    log()
  end)

  it("is never cached, and never not modified", function()
    local headers =
      { ["If-None-Match"] = "*", ["If-Modified-Since"] = "Fri, 20 Nov 2026 00:00:00 GMT" }
    for _ = 1, 2 do
      local response = http.get(app, "/poll?channel=kept:1", headers)
      assert.equal(200, response.status)
      assert.equal("no-store", response.headers["cache-control"])
      assert.is_nil(response.headers.etag)
      assert.is_nil(response.headers["last-modified"])
      assert.equal("Origin", response.headers.vary)
    end
    local response = http.request(app, "HEAD", "/poll?channel=kept:1")
    assert.equal(200, response.status)
    assert.is_true(tonumber(response.headers["content-length"]) > 0)
  end)

  it("answers origins as an event stream does", function()
    local listed = { Origin = "https://listed.example" }
    local response = http.get(app, "/poll?channel=kept:1", listed)
    assert.equal("https://listed.example", response.headers["access-control-allow-origin"])
    response = http.get(app, "/poll?channel=room:closed", listed)
    assert.equal(403, response.status)
    assert.equal("https://listed.example", response.headers["access-control-allow-origin"])
    assert.equal(
      403,
      http.get(app, "/poll?channel=kept:1", { Origin = "https://evil.example" }).status
    )
    assert.equal(204, http.request(app, "OPTIONS", "/poll", { headers = listed }).status)
  end)

  it("says that a channel has ended", function()
    local name = fresh "kept"
    local response = http.request(app, "POST", "/publish", {
      headers = { Authorization = "Bearer key" },
      body = ('{"channel":"%s","event":"item","data":{"n":1},"final":true}'):format(name),
    })
    local id = dkjson.decode(response.body).id
    assert.equal("1 moonwire:end", told(poll("since=0&channel=" .. name)))
    response = http.get(app, ("/poll?channel=%s&since=%s"):format(name, id))
    assert.equal(204, response.status)
    assert.equal("no-store", response.headers["cache-control"])
  end)

  it("holds no subscription for who has gone", function()
    local name = fresh "bare"
    local since = poll("channel=" .. name).id
    local connection = ask(("channel=%s&since=%s"):format(name, since))
    assert.is_true(connection:is_silent(0.1))
    connection:close()
    -- What was asked for is not there any more: the next message of a channel without history is missed.
    socket.sleep(0.1)
    publish(name, 1)
    assert.same({ name }, poll(("channel=%s&since=%s"):format(name, since)).gaps)
  end)

  it("gives a race of 200 clients everything, once and in order", function()
    local race = server.start(racing)
    local query = "channel=price:a&channel=price:b&channel=price:c"
    local result =
      dkjson.decode(server.peer("support/poll.mjs", race.address, query, 200, 5, "/stop"))
    assert.is_true(result.cut > 20, result.cut)
    assert.is_true(result.merged > 20, result.merged)
    for _, name in ipairs { "price:a", "price:b", "price:c" } do
      assert.is_true(result.last[name] > 50, result.last[name])
    end
    race:stop()
  end)

  it("gives who is cut off twenty times all 10,000 messages", function()
    local other = server.start [[
      local app = require("moonwire").app {}
      app:channel("items", { history = { size = 10000 } })
      local n, last = 0, 0
      app:post("/more", function() last = last + 500 return "" end)
      app:every(0.002, function()
        for _ = 1, math.random(0, 20) do
          if n < last then n = n + 1 app:publish("items", "item", { n = n }) end
        end
      end)
      return app
    ]]
    local output = server.peer("support/poll_fetch.mjs", other.address, "items", 10000, 20)
    local result = dkjson.decode(output)
    assert.equal(10000, result.seen)
    assert.equal(20, result.cuts)
    assert.is_true(result.failed > 0)
    other:stop()
  end)

  it("tells the gap that a restart is, and answers those who wait", function()
    local text = [[
      local app = require("moonwire").app {}
      app:channel("a", { history = { size = 5 } })
      app:post("/publish", function() return app:publish("a", "item", { n = 1 }) end)
      return app
    ]]
    text = text:gsub('"/publish"', '"/do"')
    local port = free_port()
    local first = server.start { script = text, args = "--listen 127.0.0.1:" .. port }
    local since = http.request(first, "POST", "/do", { body = "" }).body
    local connection = http.connect(first, 10)
    assert(connection:send(http.format("GET", "/poll?channel=a&since=" .. since)))
    assert.is_true(connection:is_silent(0.2))
    first:stop()
    assert.same({ id = since, recovered = true, messages = {}, gaps = {} }, read(connection))
    local second = server.start { script = text, args = "--listen 127.0.0.1:" .. port }
    local answer = dkjson.decode(http.get(second, "/poll?channel=a&since=" .. since).body)
    assert.same({ "a" }, answer.gaps)
    assert.is_false(answer.recovered)
    assert.is_true(
      dkjson.decode(http.get(second, "/poll?channel=a&wait=0&since=" .. answer.id).body).recovered
    )
    second:stop()
  end)

  it("can be moved, and turned off", function()
    for path, status in pairs { ['"/lp"'] = 200, ["false"] = 404 } do
      local other = server.start(([[
        local app = require("moonwire").app { paths = { poll = %s } }
        app:channel("a", {})
        return app
      ]]):format(path))
      assert.equal(404, http.get(other, "/poll?channel=a").status)
      assert.equal(status, http.get(other, "/lp?channel=a").status)
      other:stop()
    end
  end)

  describe("with client=", function()
    before_each(function()
      log()
    end)

    -- Waits until the app has noted this.
    local function await_log(expected)
      local deadline, text = socket.gettime() + 8, ""
      repeat
        text = text .. log()
        socket.sleep(0.05)
      until text:find(expected, 1, true) or socket.gettime() > deadline
      assert.truthy(text:find(expected, 1, true), text)
      return text
    end

    local function send(client, verb, user)
      local response = http.request(app, "POST", "/send?user=" .. (user or "ann"), {
        headers = { ["X-Moonwire-Client"] = client },
        body = dkjson.encode(verb),
      })
      return response.status, dkjson.decode(response.body)
    end

    it("comes, lasts from poll to poll, and goes when it polls no more", function()
      local name = fresh "room"
      local answer = poll(("client=&user=ann&channel=%s"):format(name))
      assert.equal("connect ann poll; join " .. name, log())
      assert.same({ topic = "tea" }, answer.channels[name].data)
      assert.equal(1, answer.channels[name].presence.count)
      assert.is_not_nil(answer.channels[name].presence.members.ann)
      local client, since = answer.client, answer.id
      for n = 1, 3 do
        publish(name, 1)
        answer = poll(("client=%s&user=ann&channel=%s&since=%s"):format(client, name, since))
        assert.equal(client, answer.client)
        assert.is_nil(answer.channels)
        assert.truthy(told(answer):find "1", n)
        since = answer.id
      end
      assert.equal("", log())
      assert.equal("leave " .. name .. "; disconnect ann timeout", (await_log "disconnect"))
      -- Too late: somebody new, who has missed nothing.
      publish(name, 1)
      answer = poll(("client=%s&user=ann&channel=%s&since=%s"):format(client, name, since))
      assert.is_true(answer.recovered)
      assert.not_equal(client, answer.client)
      assert.equal("1", told(answer))
    end)

    it("is of one user", function()
      local name = fresh "room"
      local client = poll(("client=&user=ann&channel=%s"):format(name)).client
      assert.equal(
        "forbidden",
        poll(("client=%s&user=bob&channel=%s"):format(client, name), 403).error.code
      )
      assert.equal(403, (send(client, { send = name, event = "say", data = "x" }, "bob")))
    end)

    it("speaks by POST /send, and is spoken to", function()
      local name = fresh "room"
      local answer = poll(("client=&user=ann&channel=%s"):format(name))
      local client, since = answer.client, answer.id
      local query = ("client=%s&user=ann&channel=%s&since="):format(client, name)
      local connection = ask(query .. since)
      assert.equal(200, (send(client, { send = name, event = "say", data = "hello" })))
      answer = read(connection)
      -- Its own coming may have been announced before.
      if not told(answer):find "said" then
        answer = poll(query .. answer.id)
      end
      assert.truthy(told(answer):find "said")
      since = answer.id
      assert.equal(200, (send(client, { send = name, event = "say", data = "hint" })))
      answer = poll(query .. since)
      assert.truthy(told(answer):find "hint")
      assert.equal(since, answer.id)
      assert.equal(200, (send(client, { send = name, event = "say", data = "kick me" })))
      answer = poll(("client=%s&user=ann&since=%s"):format(client, since))
      assert.truthy(told(answer):find "moonwire:unsubscribed")
      await_log("leave " .. name)
    end)

    it("lets two polls of one client be: they do not lose each other's messages", function()
      local name = fresh "kept"
      local answer = poll(("client=&user=ann&channel=%s"):format(name))
      local query = ("client=%s&user=ann&channel=%s&since=%s"):format(
        answer.client,
        name,
        answer.id
      )
      local older = ask(query)
      assert.is_true(older:is_silent(0.1))
      local newer = ask(query)
      assert.equal("", told(read(older)))
      assert.is_true(newer:is_silent(0.1))
      local id = publish(name, 1)[1]
      answer = read(newer)
      assert.equal("1", told(answer))
      assert.equal(id, answer.id)
      assert.equal("1", told(poll(query)))
      older:close()
      newer:close()
    end)
  end)
end)
