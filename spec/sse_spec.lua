-- The event stream, byte by byte.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { heartbeat_seconds = 0.3, client_channels = 5 } }

local users = { ada = { id = "ada", name = "Ada" } }
app:authenticate(function(request)
  local name = request.query.user or request.cookies.user
  if name == "busy" then return false, "too many of you", 503 end
  if name == "banned" then return false, "you are banned", 403 end
  if name == nil then return true end
  return users[name] or false, "unknown user"
end)

app:channel("news", { history = { size = 5, replay = 2 }, authorize = true })
app:channel("plain", { authorize = true })
app:channel("room:{room}", {
  history = { size = 100 },
  authorize = function(client, channel)
    if channel.params.room == "coded" then return false, "not with these shoes", "shoes" end
    return client.user ~= nil and channel.params.room ~= "closed"
  end,
  on_join = function(client, channel) return { welcome = client.user.name, room = channel.params.room } end,
})
app:post("/say", function(request)
  local query = request.query
  return { id = app:publish(query.channel, query.event, query.text or request:json(), { volatile = query.volatile ~= nil }) }
end)
return app
]]

local function escape(text)
  return (
    text:gsub("[^%w]", function(character)
      return ("%%%02X"):format(character:byte())
    end)
  )
end

describe("sse", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  -- Publishes JSON and returns the message's id.
  local function say(channel, event, json, more)
    local target = ("/say?channel=%s&event=%s%s"):format(escape(channel), event, more or "")
    local response = http.request(app, "POST", target, { body = json })
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body).id
  end

  describe("the answer", function()
    it("has the headers of a stream", function()
      local stream = sse.open(app, "/sse?channel=news")
      assert.equal(200, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"])
      assert.equal("no-cache, no-transform", stream.headers["cache-control"])
      assert.equal("no", stream.headers["x-accel-buffering"])
      assert.equal("chunked", stream.headers["transfer-encoding"])
      assert.is_nil(stream.headers["content-length"])
      stream:close()
    end)

    it("is delimited by the end of the connection on HTTP/1.0", function()
      local stream = sse.open(app, "/sse?channel=news", { version = "1.0" })
      assert.equal(200, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"])
      assert.is_nil(stream.headers["transfer-encoding"])
      stream:cursor()
      say("news", "old", "10")
      repeat
        local event = stream:event()
      until event.event == "old"
      stream:close()
    end)

    it("is only for GET and HEAD", function()
      local client = http.connect(app)
      client:send(http.format("HEAD", "/sse?channel=news"))
      local head = client:read_head()
      assert.equal(200, head.status)
      assert.equal("text/event-stream", head.headers["content-type"])
      assert.is_true(client:is_silent(0.05)) -- no content, and the connection is kept
      client:close()
      local response = http.request(app, "POST", "/sse?channel=news", { body = "" })
      assert.equal(405, response.status)
      assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
    end)

    it("begins with the time to wait before a return and a cursor", function()
      for _ = 1, 5 do
        local stream = sse.open(app, "/sse?channel=plain")
        local first = stream:next()
        local retry = tonumber(first.retry)
        assert.is_true(retry >= 1000 and retry <= 3000)
        local cursor = first.id and first or stream:next()
        assert.matches("^[0-9a-z]+%-%d+$", cursor.id)
        assert.is_nil(cursor.data)
        assert.is_nil(cursor.event)
        stream:close()
      end
    end)

    it("takes what comes behind the request for no harm", function()
      local stream = sse.open(app, "/sse?channel=plain")
      stream:cursor()
      stream.connection:send "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
      say("plain", "still", "1")
      assert.equal("still", stream:event().event)
      stream:close()
    end)
  end)

  describe("events", function()
    it("have a name, an id and data", function()
      local stream = sse.open(app, "/sse?channel=plain")
      stream:cursor()
      local first = say("plain", "tick", '{"a":[1,2.5,"x"]}')
      local second = say("plain", "tick", "null")
      local event = stream:event()
      assert.equal("tick", event.event)
      assert.equal(first, event.id)
      assert.same({ a = { 1, 2.5, "x" } }, dkjson.decode(event.data))
      event = stream:event()
      assert.equal(second, event.id)
      assert.equal("null", event.data)
      assert.is_true(first < second)
      stream:close()
    end)

    it("have no line for the name if it is message", function()
      local stream = sse.open(app, "/sse?channel=plain")
      stream:cursor()
      say("plain", "message", "1")
      local event = stream:event()
      assert.is_nil(event.event)
      assert.equal("1", event.data)
      stream:close()
    end)

    it("have no id if they are volatile", function()
      local stream = sse.open(app, "/sse?channel=news")
      stream:cursor()
      say("news", "typing", "1", "&volatile=1")
      local event
      repeat
        event = stream:event()
      until event.event == "typing"
      assert.is_nil(event.id)
      stream:close()
      stream = sse.open(app, "/sse?channel=news&since=0")
      local last = say("news", "end", "2")
      repeat
        event = stream:event()
        assert.is_not.equal("typing", event.event)
      until event.id == last
      stream:close()
    end)

    it("of several channels come in one order", function()
      local stream = sse.open(app, "/sse?channel=news&channel=plain&user=ada&channel=room:1")
      stream:cursor()
      local sent = {}
      for i = 1, 30 do
        sent[i] = say(({ "news", "plain", "room:1" })[i % 3 + 1], "tick", tostring(i))
      end
      local seen = {}
      while #seen < 30 do
        local event = assert(stream:event())
        if event.id >= sent[1] then -- before that comes what is replayed
          seen[#seen + 1] = event.id
        end
      end
      assert.same(sent, seen)
      stream:close()
    end)

    it("come once on a channel that is named twice", function()
      local stream = sse.open(app, "/sse?channel=plain&channel=plain")
      stream:cursor()
      say("plain", "tick", "1")
      say("plain", "tock", "2")
      assert.equal("tick", stream:event().event)
      assert.equal("tock", stream:event().event)
      stream:close()
    end)
  end)

  describe("newcomers", function()
    it("get the newest of the history", function()
      for i = 1, 7 do
        say("news", "item", tostring(i))
      end
      local stream = sse.open(app, "/sse?channel=news")
      assert.same({ "6", "7" }, stream:data(2))
      stream:close()
    end)

    it("get all that is kept with since=0, and no gap", function()
      local stream = sse.open(app, "/sse?channel=news&since=0")
      say("news", "item", "8")
      assert.same({ "3", "4", "5", "6", "7", "8" }, stream:data(6))
      stream:close()
    end)

    it("get nothing where there is no history", function()
      say("plain", "tick", "1")
      local stream = sse.open(app, "/sse?channel=plain")
      stream:cursor()
      say("plain", "tick", "2")
      assert.same({ "2" }, stream:data(1))
      stream:close()
    end)
  end)

  describe("those who return", function()
    local ids

    setup(function()
      ids = {}
      for i = 1, 6 do
        ids[i] = say("room:return", "item", tostring(i))
      end
    end)

    local function open(query, headers)
      local stream =
        sse.open(app, "/sse?user=ada&channel=room:return" .. query, { headers = headers })
      stream.marker = say("room:return", "marker", "0", "&volatile=1")
      return stream
    end

    -- The items up to the marker that open published.
    local function items(stream)
      local list = {}
      for event in stream.event, stream do
        if event.event == "marker" then
          stream:close()
          return table.concat(list, " ")
        end
        list[#list + 1] = event.data
      end
    end

    it("go on behind Last-Event-ID", function()
      assert.equal("5 6", items(open("", { ["Last-Event-ID"] = ids[4] })))
      assert.equal("", items(open("", { ["Last-Event-ID"] = ids[6] })))
    end)

    it("go on behind since, and behind its alias", function()
      assert.equal("4 5 6", items(open("&since=" .. ids[3])))
      assert.equal("6", items(open("&lastEventId=" .. ids[5])))
      -- A polyfill adds it to the page's URL, whose since is as old as the page.
      assert.equal("6", items(open("&since=" .. ids[1] .. "&lastEventId=" .. ids[5])))
      assert.equal("6", items(open("&lastEventId=" .. ids[5] .. "&since=" .. ids[1])))
      assert.equal("6", items(open("&since=" .. ids[5] .. "&lastEventId=")))
    end)

    it("are believed by Last-Event-ID rather than by the query", function()
      assert.equal("6", items(open("&since=" .. ids[1], { ["Last-Event-ID"] = ids[5] })))
      assert.equal("6", items(open("&lastEventId=" .. ids[1], { ["Last-Event-ID"] = ids[5] })))
    end)

    it("get back the cursor that they sent", function()
      local stream = open("", { ["Last-Event-ID"] = ids[4] })
      assert.equal(ids[4], stream:cursor())
      stream:close()
    end)
  end)

  it("keep data as it was sent, line ends between its tokens included", function()
    local stream = sse.open(app, "/sse?channel=plain")
    stream:cursor()
    say("plain", "text", '"a\\nb\\r\\nc"')
    assert.equal("a\nb\r\nc", dkjson.decode(stream:event().data))
    stream:close()
  end)

  describe("names", function()
    it("are form-decoded", function()
      local stream = sse.open(app, "/sse?user=ada&channel=room:a+b%2Bc%C3%A4")
      stream:cursor()
      say("room:a b+cä", "tick", "1")
      assert.equal("tick", stream:event().event)
      stream:close()
    end)
  end)

  describe("refuses before the first byte", function()
    local function refusal(query)
      local response = http.get(app, "/sse" .. query)
      assert.equal("application/json", response.headers["content-type"])
      return response.status, dkjson.decode(response.body).error
    end

    it("whom the app does not know", function()
      local status, fault = refusal "?channel=news&user=eve"
      assert.equal(401, status)
      assert.same({ code = "unauthorized", reason = "unknown user" }, fault)
      status, fault = refusal "?channel=news&user=banned"
      assert.equal(403, status)
      assert.equal("you are banned", fault.reason)
    end)

    it("a channel that the app forbids, and then the whole stream", function()
      assert.equal(403, (refusal "?channel=room:1"))
      assert.equal(403, (refusal "?user=ada&channel=room:closed"))
      local status, fault = refusal "?user=ada&channel=news&channel=room:closed"
      assert.equal(403, status)
      assert.equal("forbidden", fault.code)
    end)

    it("with the code of the app", function()
      local status, fault = refusal "?user=ada&channel=room:coded"
      assert.equal(403, status)
      assert.same({ code = "shoes", reason = "not with these shoes" }, fault)
    end)

    it("a channel that no pattern matches", function()
      for _, name in ipairs { "nothing", "news:1", "room", "room:", "room:a:b", "room:a/b", "xnews" } do
        local status, fault = refusal("?channel=" .. name)
        assert.equal(404, status, name)
        assert.equal("not_found", fault.code)
      end
    end)

    it("what is no name", function()
      for _, query in ipairs {
        "",
        "?channel=",
        "?channel=a%00b",
        "?channel=a%0Ab",
        "?channel=%FF",
        "?channel=" .. ("x"):rep(256),
      } do
        local status, fault = refusal(query)
        assert.equal(400, status, query)
        assert.equal("bad_request", fault.code)
      end
    end)

    it("too many channels", function()
      local status =
        refusal "?user=ada&channel=room:1&channel=room:2&channel=room:3&channel=room:4&channel=room:5&channel=room:6"
      assert.equal(400, status)
    end)
  end)

  it("says that a refusal is temporary by a stream that ends", function()
    local stream = sse.open(app, "/sse?channel=news&user=busy")
    assert.equal(200, stream.status)
    assert.equal("text/event-stream", stream.headers["content-type"])
    local first = stream:next()
    assert.is_true(tonumber(first.retry) >= 1000)
    assert.is_nil(first.data)
    assert.is_nil(stream:next())
    stream:close()
  end)

  describe("with envelope=1", function()
    it("begins with moonwire:open", function()
      local stream = sse.open(app, "/sse?envelope=1&user=ada&channel=room:env&channel=news")
      local event = stream:event()
      assert.is_nil(event.event)
      local open = dkjson.decode(event.data)
      assert.equal("moonwire:open", open.event)
      assert.matches("^%S+$", open.data.client)
      assert.matches("^[0-9a-z]+%-%d+$", open.data.id)
      assert.is_nil(open.data.recovered)
      assert.same({ welcome = "Ada", room = "env" }, open.data.channels["room:env"].data)
      assert.is_table(open.data.channels.news)
      stream:close()
    end)

    it("says whether what was missed has been recovered", function()
      local id = say("room:env2", "item", "1")
      local stream = sse.open(app, "/sse?envelope=1&user=ada&channel=room:env2&since=" .. id)
      local open = dkjson.decode(stream:event().data)
      assert.is_true(open.data.recovered)
      assert.equal(id, open.data.id)
      stream:close()
      stream =
        sse.open(app, "/sse?envelope=1&user=ada&channel=room:env2&since=zzzzzzzz-0000000000000001")
      open = dkjson.decode(stream:event().data)
      assert.is_false(open.data.recovered)
      local gap = dkjson.decode(stream:event().data)
      assert.same(
        { event = "moonwire:gap", data = { channel = "room:env2" } },
        { event = gap.event, data = gap.data }
      )
      assert.equal("item", dkjson.decode(stream:event().data).event)
      stream:close()
    end)

    it("wraps every event", function()
      local stream = sse.open(app, "/sse?envelope=1&channel=plain")
      stream:event()
      local id = say("plain", "tick", '{"a":1}')
      say("plain", "tock", "2", "&volatile=1")
      local event = stream:event()
      assert.is_nil(event.event)
      assert.equal(id, event.id)
      assert.same(
        { channel = "plain", event = "tick", id = id, data = { a = 1 } },
        dkjson.decode(event.data)
      )
      event = stream:event()
      assert.is_nil(event.id)
      assert.same({ channel = "plain", event = "tock", data = 2 }, dkjson.decode(event.data))
      stream:close()
    end)

    it("has heartbeats that scripts can see", function()
      local stream = sse.open(app, "/sse?envelope=1&channel=plain")
      stream:event()
      assert.equal("moonwire:ping", dkjson.decode(stream:event().data).event)
      stream:close()
    end)
  end)

  describe("heartbeats", function()
    it("are comments, again and again while it is silent", function()
      local stream = sse.open(app, "/sse?channel=plain")
      stream:cursor()
      for _ = 1, 3 do
        local block = stream:next()
        assert.is_string(block.comment)
        assert.is_nil(block.data)
      end
      stream:close()
    end)
  end)

  it("speaks to curl", function()
    local pipe = assert(
      io.popen(
        ("echo $$; exec curl -sSN --max-time 60 '%s/sse?channel=plain' 2>&1"):format(app.address)
      )
    )
    local pid = pipe:read "l"
    assert.matches("^retry: %d+$", pipe:read "l")
    repeat
      local line = pipe:read "l"
    until line:match "^id: "
    say("plain", "tick", '{"price":1}')
    local lines = {}
    repeat
      lines[#lines + 1] = pipe:read "l"
    until lines[#lines]:match "^data"
    assert.equal('data: {"price":1}', lines[#lines])
    assert.equal("event: tick", lines[#lines - 1])
    server.run("kill " .. pid)
    pipe:close()
  end)

  it("ends when the peer closes its half", function()
    local stream = sse.open(app, "/sse?channel=plain")
    stream:cursor()
    stream.connection.socket:shutdown "send"
    stream.connection:read_rest()
    stream:close()
  end)
end)

describe("raw streams", function()
  local raw = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:stream("/count/{n}", function(request, stream)
  for i = 1, tonumber(request.params.n) do
    stream:send("count", { n = i }, { id = tostring(i) })
    moonwire.sleep(0.001)
  end
  stream:close()
end)
app:stream("/text", function(_, stream)
  stream:send("message", "one\ntwo\r\nthree\rfour\n\nsix\n")
  stream:send("message", "data: x\n\nevent: evil", { retry = 1.5 })
  stream:send("message", "")
  stream:close()
end)
app:stream("/refused", function() return 403, { error = "no" } end)
app:stream("/left", function(_, stream)
  stream:on_close(function() app.log.info("the peer left") end)
  stream:send("message", "hello")
end)
return app
]]
  local app

  setup(function()
    app = server.start(raw)
  end)

  teardown(function()
    app:stop()
  end)

  it("send what the handler sends, and end", function()
    local stream = sse.open(app, "/count/20")
    assert.equal("text/event-stream", stream.headers["content-type"])
    local count = 0
    for event in stream.event, stream do
      count = count + 1
      assert.equal(tostring(count), event.id)
      assert.equal("count", event.event)
      assert.same({ n = count }, dkjson.decode(event.data))
    end
    assert.equal(20, count)
    stream:close()
  end)

  it("split data on every kind of line end", function()
    local stream = sse.open(app, "/text")
    assert.equal("one\ntwo\nthree\nfour\n\nsix\n", stream:event().data)
    local event = stream:event()
    assert.equal("data: x\n\nevent: evil", event.data)
    assert.equal("1500", event.retry)
    assert.is_nil(event.event)
    assert.equal("", stream:event().data)
    assert.is_nil(stream:event())
    stream:close()
  end)

  it("may answer without a stream", function()
    local response = http.get(app, "/refused")
    assert.equal(403, response.status)
    assert.same({ error = "no" }, dkjson.decode(response.body))
  end)

  it("say when the peer has gone", function()
    local stream = sse.open(app, "/left")
    assert.equal("hello", stream:event().data)
    stream:close()
    assert.is_string(app:await_log "the peer left")
  end)
end)
