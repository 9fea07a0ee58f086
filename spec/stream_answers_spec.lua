-- Answers that stream: app:stream with a method and a body, their heads, and views of channels.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

-- A busy machine may need long, but not for ever.
local SECONDS = 30

local function open_stream(app, target, options)
  options = options or {}
  options.timeout = SECONDS
  return sse.open(app, target, options)
end

-- Calls fn until it returns a true value, which it returns; or nil when the time is up.
local function await(fn)
  local deadline = socket.gettime() + SECONDS
  repeat
    local value = fn()
    if value then
      return value
    end
    socket.sleep(0.002)
  until socket.gettime() > deadline
end

describe("the answer of app:stream", function()
  local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { heartbeat_seconds = 0.2, answer_seconds = 2, body = 1000 } }

local function echo(request, stream)
  assert(stream:start(201, { ["X-Method"] = request.method, ["Cache-Control"] = "private",
    ["X-Twice"] = { "one", "two" }, cookies = { seen = { value = "yes" } } }))
  stream:send("body", request.body, { id = 7 })
  stream:close()
end
for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE" } do
  app:stream(method, "/echo", echo)
end
app:stream("POST", "/plain", function(request) return 422, { got = #request.body }, { ["X-Plain"] = "yes" } end)
app:stream("POST", "/busy", function() error { code = "unavailable", message = "not now" } end)
app:stream("POST", "/primed", function(_, stream)
  stream:start()
  stream:send(nil, "", { id = "a-1" })
  stream:close()
end)
app:stream("POST", "/long", function(_, stream)
  assert(stream:start { ["X-Long"] = "yes" })
  local ok, why = moonwire.sleep(3.5) -- limits are checked every second
  moonwire.rendezvous("go", 60)
  stream:send("slept", { ok = ok, why = why })
  stream:close()
end)
app:post("/go", function() return { ok = moonwire.rendezvous.bring "go" } end)
app:stream("POST", "/late", function() moonwire.sleep(60) end)
app:stream("POST", "/idle", function(_, stream) stream:start() end)
app:stream("POST", "/own", function(_, stream) stream:send("first", 1) end, { origins = true })
app:stream("/own", function(_, stream) stream:send("first", 1) stream:close() end, { origins = true })
app:delete("/own", function() return 204 end, { origins = true })
app:stream("POST", "/wrong", function(request, stream)
  local wrong = load("return function(stream) " .. request.body .. " end")()
  local ok, problem = pcall(wrong, stream)
  return { ok = ok, problem = tostring(problem) }
end)
app:stream("POST", "/after", function(request, stream)
  stream:send("first", 1)
  local ok, problem = pcall(stream.start, stream)
  stream:send("second", { ok = ok, problem = problem })
  stream:close()
  stream:send("third", { pcall(stream.start, stream, 200) })
end)
app:stream("POST", "/gone", function(request, stream)
  app.log.info "the handler of /gone waits"
  moonwire.sleep(60)
  local ok, problem, code = stream:start()
  app.log.info("start after the end: %s %s %s", ok, problem, code)
end)
return app
]]
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function post(target, body, options)
    options = options or {}
    options.method, options.body = options.method or "POST", body or ""
    return open_stream(app, target, options)
  end

  it("has the request's body, a status, and header fields", function()
    for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
      local stream = post("/echo", "ask " .. method, { method = method })
      assert.equal(201, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"])
      assert.equal(method, stream.headers["x-method"])
      assert.equal("private", stream.headers["cache-control"])
      assert.equal("no", stream.headers["x-accel-buffering"])
      local event = stream:event()
      assert.same({ "body", "ask " .. method, "7" }, { event.event, event.data, event.id })
      assert.is_nil(stream:event())
      stream:close()
    end
  end)

  it("is one without a body for GET and HEAD", function()
    local stream = open_stream(app, "/echo")
    assert.equal(201, stream.status)
    assert.equal("", stream:event().data)
    stream:close()
    local head = http.request(app, "HEAD", "/echo")
    assert.equal(201, head.status)
    assert.equal("HEAD", head.headers["x-method"])
    assert.equal(400, http.request(app, "GET", "/echo", { body = "no" }).status)
  end)

  it("refuses other methods with the list of those it has", function()
    local response = http.request(app, "GET", "/plain")
    assert.equal(405, response.status)
    assert.equal("POST, OPTIONS", response.headers.allow)
  end)

  it("may be a plain answer, after which the connection stays open", function()
    local connection = http.connect(app, 30)
    for i = 1, 3 do
      connection:send(http.format("POST", "/plain", { body = ("x"):rep(i) }))
      local response = connection:read_response()
      assert.equal(422, response.status)
      assert.equal("yes", response.headers["x-plain"])
      assert.same({ got = i }, dkjson.decode(response.body))
    end
    connection:close()
    local response = http.request(app, "POST", "/busy", { body = "" })
    assert.equal(503, response.status) -- and not the end of a stream, as for an EventSource
    assert.equal("unavailable", dkjson.decode(response.body).error.code)
  end)

  it("sends an id with empty data", function()
    local stream = post "/primed"
    local event = stream:event()
    assert.same({ "a-1", "" }, { event.id, event.data })
    stream:close()
  end)

  it("lasts longer than answer_seconds, with heartbeats, once it is open", function()
    local stream = post "/long"
    assert.equal("yes", stream.headers["x-long"])
    for _ = 1, 3 do
      assert.equal("", stream:next().comment)
    end
    assert.is_true(await(function()
      return dkjson.decode(http.request(app, "POST", "/go").body).ok
    end))
    assert.same({ ok = true }, dkjson.decode(stream:event().data))
    stream:close()
    assert.equal(503, http.request(app, "POST", "/late", { body = "" }).status)
  end)

  it("respects limits.body, Expect, and HTTP/1.0", function()
    assert.equal(413, http.request(app, "POST", "/echo", { body = ("x"):rep(1001) }).status)
    local connection = http.connect(app, 30)
    connection:send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    assert.equal(100, connection:read_head().status)
    connection:send "yes"
    assert.equal(201, connection:read_head().status)
    connection:close()
    local stream = post("/echo", "old", { version = "1.0" })
    assert.is_nil(stream.headers["transfer-encoding"])
    assert.equal("old", stream:event().data)
    assert.is_nil(stream:event())
    stream:close()
  end)

  it("refuses other origins if it says so", function()
    local cases = {
      { {}, 200 },
      { { Origin = "http://localhost" }, 200 },
      { { Origin = "http://evil.example" }, 403 },
      { { Origin = "null" }, 403 },
      { { ["Sec-Fetch-Site"] = "cross-site" }, 403 },
      { { Origin = "http://evil.example", Cookie = "a=b" }, 403 },
    }
    for _, case in ipairs(cases) do
      local stream = open_stream(app, "/own", { headers = case[1] })
      assert.equal(case[2], stream.status)
      stream:close()
      stream = post("/own", "", { headers = case[1] })
      assert.equal(case[2], stream.status)
      stream:close()
      local deleted = http.request(app, "DELETE", "/own", { headers = case[1] })
      assert.equal(case[2] == 200 and 204 or 403, deleted.status)
    end
  end)

  it("raises errors for heads that cannot be sent, and can still answer", function()
    local cases = {
      [ [[stream:start(200, { ["X-A"] = "a\r\nX-B: b" })]] ] = 'the header "X-A" is malformed',
      [ [[stream:start(200, { ["X-A"] = "a\nb" })]] ] = 'the header "X-A" is malformed',
      [ [[stream:start(200, { ["X A"] = "a" })]] ] = 'the header "X A" is malformed',
      [ [[stream:start(200, { ["X-A\r\nX-B: b"] = "a" })]] ] = "is malformed",
      [ [[stream:start(200, { [1] = "a" })]] ] = "got a header name that is not a string",
      [ [[stream:start(200, { ["X-A"] = true })]] ] = 'got the header "X-A" as a boolean',
      [ [[stream:start(200, { ["Content-Length"] = 3 })]] ] = "is set by the server itself",
      [ [[stream:start(200, { ["Transfer-Encoding"] = "x" })]] ] = "is set by the server itself",
      [ [[stream:start { ["content-type"] = "text/html" }]] ] = "Content-Type",
      [ [[stream:start(204)]] ] = "the status of a stream must be from 200 to 599, and not 204",
      [ [[stream:start(304)]] ] = "the status of a stream",
      [ [[stream:start(101)]] ] = "the status of a stream",
      [ [[stream:start(600)]] ] = "the status of a stream",
      [ [[stream:start("200")]] ] = 'the status must be an integer, got the string "200"',
      [ [[stream:start(200, "x")]] ] = "stream:start: argument 2 must be a table",
      [ [[stream.start()]] ] = "call it with a colon on a stream",
      [ [[stream:start(200, { cookies = 1 })]] ] = "got cookies as a number",
    }
    for code, problem in pairs(cases) do
      local response = http.request(app, "POST", "/wrong", { body = code })
      assert.equal(200, response.status, code)
      local result = dkjson.decode(response.body)
      assert.is_false(result.ok, code)
      assert.truthy(result.problem:find(problem, 1, true), code .. ": " .. result.problem)
    end
  end)

  it("cannot start twice", function()
    local stream = post "/after"
    assert.equal("first", stream:event().event)
    local second = dkjson.decode(stream:event().data)
    assert.is_false(second.ok)
    assert.truthy(second.problem:find("the stream has started already", 1, true))
    assert.is_nil(stream:event())
    stream:close()
  end)

  it("does not start after its client has disconnected", function()
    local connection = http.connect(app, 30)
    connection:send(http.format("POST", "/gone", { body = "" }))
    -- without it, a client that has disconnected may have no handler at all
    assert.is_string(app:await_log("the handler of /gone waits"))
    connection:close()
    assert.is_string(app:await_log("start after the end: nil closed closed"))
  end)
end)

describe("app:stream", function()
  local moonwire = require "moonwire"

  it("raises errors for methods that it cannot have", function()
    local app = moonwire.app {}
    for _, method in ipairs { "OPTIONS", "post", "HEAD", "", "CONNECT" } do
      local ok, problem = pcall(app.stream, app, method, "/a", print)
      assert.is_false(ok)
      assert.truthy(problem:find('the method must be "GET", "POST"', 1, true), problem)
    end
    assert.is_false((pcall(app.stream, app, "POST", "/a")))
    assert.is_false((pcall(app.stream, app, "POST", "/a", print, { origin = true })))
    app:stream("POST", "/a", print)
    app:stream("/a", print)
    local ok, problem = pcall(app.post, app, "/a", print)
    assert.is_false(ok)
    assert.truthy(problem:find("already defined", 1, true))
  end)
end)

describe("stream:follow", function()
  local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { heartbeat_seconds = 0.2, drain_seconds = 0.1 } }
local hooks = {}
local function hook(name)
  return function() hooks[#hooks + 1] = name return true end
end

app:channel("answer:{id}", {
  history = { size = 1000 },
  authorize = hook "authorize", on_open = hook "open", on_join = hook "join", on_leave = hook "leave",
  on_close = hook "close",
})
app:channel("short:{id}", { history = { size = 3 } })
app:channel("live:{id}", {})
app:stream("POST", "/follow/{kind}/{id}", function(request, stream)
  local ok, problem, code = stream:follow(request.params.kind .. ":" .. request.params.id,
    { since = request.last_event_id, until_final = request.query.stays == nil })
  stream:send("over", { ok = ok, problem = problem, code = code })
  if not request.query.open then stream:close() end
  app.log.info("followed %s: %s %s %s", request.params.id, ok, problem, code)
end)
app:stream("/follow/{kind}/{id}", function(request, stream)
  stream:start(200, { ["X-Kind"] = request.params.kind })
  stream:send("before", 1)
  local ok = stream:follow(request.params.kind .. ":" .. request.params.id,
    { since = request.last_event_id, until_final = true })
  stream:send("over", { ok = ok })
  stream:close()
end)
app:stream("POST", "/limited/{id}", function(request, stream)
  local ok, problem, code = moonwire.timeout(0.1, function() return stream:follow("answer:" .. request.params.id) end)
  stream:send("over", { ok = ok, problem = problem, code = code })
  ok = stream:follow("answer:" .. request.params.id, { since = request.last_event_id, until_final = true })
  stream:send("over", { ok = ok })
  stream:close()
end)
app:stream("POST", "/both/{id}", function(request, stream)
  app:spawn(function()
    local ok, problem = pcall(stream.follow, stream, "live:" .. request.params.id)
    stream:send("second", { ok = ok, problem = problem })
    moonwire.sleep(0.05)
    stream:close()
  end)
  local _, problem, code = stream:follow("answer:" .. request.params.id)
  app.log.info("closed by another task: %s %s", problem, code)
end)
app:stream("POST", "/wrong", function(request, stream)
  local wrong = load("return function(stream, app) " .. request.body .. " end")()
  local ok, problem = pcall(wrong, stream, app)
  stream:send("result", { ok = ok, problem = tostring(problem) })
  stream:close()
end)
app:post("/say/{kind}/{id}", function(request)
  for i = 1, tonumber(request.query.count or 1) do
    local id, problem, code = app:publish(request.params.kind .. ":" .. request.params.id, "token", request.body .. i,
      { final = request.query.final ~= nil and i == tonumber(request.query.count or 1) })
    if not id then return 503, problem end
  end
  return 204
end)
app:get("/state", function()
  return { hooks = hooks, subscriptions = app:stats().subscriptions, tasks = app:stats().tasks }
end)
return app
]]
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function follow(target, last_id)
    return open_stream(app, "/follow/" .. target, {
      method = "POST",
      body = "",
      headers = { ["Last-Event-ID"] = last_id },
    })
  end

  local function say(target, body)
    local response = http.request(app, "POST", "/say/" .. target, { body = body or "t" })
    assert.equal(204, response.status)
  end

  local function state()
    return dkjson.decode(http.get(app, "/state").body)
  end

  -- Waits until that many subscribers are there.
  local function until_subscribed(count)
    local done = await(function()
      return state().subscriptions == count
    end)
    assert(done, ("%d subscriptions, and not %d"):format(state().subscriptions, count))
  end

  -- Returns the tokens up to the event "over", and what that has.
  local function read_tokens(stream)
    local tokens, last = {}, nil
    while true do
      local event = assert(stream:event(), "the stream ended")
      if event.event == "over" then
        return tokens, dkjson.decode(event.data), last
      end
      assert.equal("token", event.event)
      assert.truthy(event.id)
      tokens[#tokens + 1], last = dkjson.decode(event.data), event.id
    end
  end

  it("sends what the channel has, and then what it gets, until the final message", function()
    say "answer/a?count=5"
    local early = follow "answer/a"
    assert.equal(200, early.status)
    for i = 1, 5 do
      assert.same('"t' .. i .. '"', early:event().data)
    end
    say("answer/a?final=1", "last")
    local tokens, result = read_tokens(early)
    assert.same({ "last1" }, tokens)
    assert.is_true(result.ok)
    assert.is_nil(early:next())
    early:close()
    local late = follow "answer/a"
    tokens, result = read_tokens(late)
    assert.equal(6, #tokens)
    assert.is_true(result.ok)
    late:close()
    assert.same({}, state().hooks)
    until_subscribed(0)
  end)

  it("resumes by the id of the last event", function()
    say "answer/b?count=10"
    local stream = follow "answer/b"
    local id
    for _ = 1, 4 do
      id = stream:event().id
    end
    stream:close()
    say("answer/b?final=1&count=3", "x")
    local again = follow("answer/b", id)
    local tokens, result, last = read_tokens(again)
    assert.same({ "t5", "t6", "t7", "t8", "t9", "t10", "x1", "x2", "x3" }, tokens)
    assert.is_true(result.ok)
    again:close()
    local over = follow("answer/b", last)
    tokens, result = read_tokens(over)
    assert.same({}, tokens)
    assert.is_true(result.ok)
    over:close()
  end)

  it("tells a gap where messages are missing, or the id is not known", function()
    say "short/c?count=10"
    local stream = follow "short/c"
    local first = stream:event()
    assert.same("t8", dkjson.decode(first.data)) -- a new reader, and no gap
    stream:close()
    say "short/c?count=10"
    for _, id in ipairs { first.id, "nonsense", "abcd-000000000001", ("9"):rep(200) } do
      local again = follow("short/c", id)
      local gap = again:event()
      assert.equal("moonwire:gap", gap.event)
      assert.same({ channel = "short:c" }, dkjson.decode(gap.data))
      assert.is_nil(gap.id)
      assert.same("t8", dkjson.decode(again:event().data))
      again:close()
    end
  end)

  it("loses nothing, and sends nothing twice, to 200 at once that leave and return", function()
    local readers = {}
    for i = 1, 200 do
      readers[i] = { stream = follow "answer/d", tokens = {} }
    end
    until_subscribed(200)
    local function read(reader)
      local event = assert(reader.stream:event(), "the stream ended")
      if event.event == "over" then
        return true
      end
      reader.id = event.id
      table.insert(reader.tokens, (dkjson.decode(event.data)))
    end
    for round = 1, 10 do
      say(("answer/d?count=5%s"):format(round == 10 and "&final=1" or ""), ("r%d-"):format(round))
      for i, reader in ipairs(readers) do
        for _ = 1, (i + round) % 4 do
          read(reader)
        end
        if (i + round) % 7 == 0 then
          reader.stream:close()
          reader.stream = follow("answer/d", reader.id)
        end
      end
    end
    for _, reader in ipairs(readers) do
      repeat
      until read(reader)
      assert.equal(50, #reader.tokens)
      for n, token in ipairs(reader.tokens) do
        assert.equal(("r%d-%d"):format((n - 1) // 5 + 1, (n - 1) % 5 + 1), token)
      end
      reader.stream:close()
    end
    until_subscribed(0)
  end)

  it("stays in a channel that ends, without until_final", function()
    local stream = follow "live/e?stays=1"
    until_subscribed(1)
    say "live/e?final=1"
    assert.same("t1", dkjson.decode(stream:event().data))
    say "live/e"
    assert.same("t1", dkjson.decode(stream:event().data))
    stream:close()
    assert.is_string(app:await_log("followed e: nil closed closed"))
    until_subscribed(0)
  end)

  it("goes on with other events, and on the same connection order", function()
    say "answer/f?final=1"
    local stream = open_stream(app, "/follow/answer/f")
    assert.equal("answer", stream.headers["x-kind"])
    assert.equal("before", stream:event().event)
    assert.equal("token", stream:event().event)
    assert.equal("over", stream:event().event)
    assert.is_nil(stream:event())
    stream:close()
  end)

  it("ends with a scope, and may begin again", function()
    local stream = open_stream(app, "/limited/g", { method = "POST", body = "" })
    local event = stream:event()
    assert.equal("over", event.event)
    assert.equal("timeout", dkjson.decode(event.data).problem)
    say "answer/g?final=1"
    assert.equal("token", stream:event().event)
    assert.is_true(dkjson.decode(stream:event().data).ok)
    stream:close()
    until_subscribed(0)
  end)

  it("is one at a time, and ends when another task closes the stream", function()
    local stream = open_stream(app, "/both/h", { method = "POST", body = "" })
    local second = dkjson.decode(stream:event().data)
    assert.is_false(second.ok)
    assert.truthy(second.problem:find("the stream follows a channel already", 1, true))
    assert.is_nil(stream:event())
    assert.is_string(app:await_log("closed by another task: closed closed"))
    stream:close()
  end)

  it("raises errors for what is wrong", function()
    local cases = {
      [ [[stream:follow()]] ] = "stream:follow: argument 1 must be a string",
      [ [[stream:follow("nothing:a")]] ] = "stream:follow: no pattern matches the channel",
      [ [[stream:follow("a\nb")]] ] = "stream:follow: the name of the channel is malformed",
      [ [[stream:follow("answer:a", { sinc = "1" })]] ] = "unknown option 'sinc'",
      [ [[stream:follow("answer:a", { since = 1 })]] ] = "option 'since' must be a string",
      [ [[stream.follow("answer:a")]] ] = "call it with a colon on a stream",
    }
    for code, problem in pairs(cases) do
      local stream = open_stream(app, "/wrong", { method = "POST", body = code })
      local result = dkjson.decode(stream:event().data)
      assert.is_false(result.ok, code)
      assert.truthy(result.problem:find(problem, 1, true), code .. ": " .. result.problem)
      stream:close()
    end
  end)

  it("leaves nothing behind when clients disconnect, or the server stops", function()
    local streams = {}
    for i = 1, 20 do
      streams[i] = follow "live/i"
    end
    until_subscribed(20)
    for i = 1, 10 do
      streams[i]:close()
    end
    until_subscribed(10)
    app:stop()
    for i = 11, 20 do
      repeat
      until not streams[i]:event()
      streams[i]:close()
    end
    app = server.start(script)
  end)
end)

describe("channel:produce", function()
  local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("answer:{id}", { history = { size = 1000 } })
local log = {}

local ways = {
  steady = function(channel)
    for i = 1, 5 do
      channel:publish("token", i)
      moonwire.sleep(0.001)
    end
    channel:publish("done", 1, { final = true })
  end,
  raises = function(channel) channel:publish("token", 1) error "upstream is broken" end,
  refuses = function() error { code = "quota", message = "no more today" } end,
  returns = function() return false, "too long", "too_large" end,
  fails = function() return nil, "connection refused" end,
  hangs = function(channel)
    channel:publish("token", 1)
    log[#log + 1] = table.concat({ tostring((moonwire.sleep(600))), select(2, moonwire.sleep(0)) or "-" }, " ")
  end,
  stubborn = function(channel)
    channel:publish("token", 1)
    while true do pcall(moonwire.sleep, 600) end
  end,
  polite = function(channel)
    channel:publish("token", 1)
    local _, why = moonwire.sleep(600)
    channel:publish("stopped", why, { final = true })
  end,
}
app:post("/ask/{way}/{id}", function(request)
  local ok, problem, code = app:produce("answer:" .. request.params.id, ways[request.params.way],
    { idle_seconds = tonumber(request.query.idle) })
  return { ok = ok, problem = problem, code = code }
end)
app:post("/again/{id}", function(request)
  return { ok = app:find("answer:" .. request.params.id):produce(ways.steady) }
end)
app:post("/stop/{id}", function(request)
  local channel = app:find("answer:" .. request.params.id)
  return { ok = channel and channel:cancel(request.body) or false }
end)
app:stream("/answer/{id}", function(request, stream)
  stream:follow("answer:" .. request.params.id, { since = request.last_event_id, until_final = true })
  stream:close()
end)
app:post("/wrong", function(request)
  local ok, problem = pcall(load("return function(app) " .. request.body .. " end")(), app)
  return { ok = ok, problem = tostring(problem) }
end)
app:get("/log", function() return { log = moonwire.array(log), producers = next(app._producers) ~= nil, subscriptions = app:stats().subscriptions } end)
return app
]]
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function post(target, body)
    local response = http.request(app, "POST", target, { body = body or "" })
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  local function ask(target)
    assert.same({ ok = true }, post("/ask/" .. target))
  end

  -- Returns the names of the events of an answer, and the data of the last one.
  local function listen(id)
    local stream, names, last = open_stream(app, "/answer/" .. id), {}, nil
    for event in stream.event, stream do
      names[#names + 1], last = event.event, dkjson.decode(event.data)
    end
    stream:close()
    return table.concat(names, " "), last
  end

  it("goes on without listeners, one at a time", function()
    ask "hangs/one"
    local second = post "/ask/steady/one"
    assert.same({ nil, "conflict" }, { second.ok, second.code })
    assert.truthy(second.problem:find('"answer:one" has a producer already', 1, true))
    assert.is_true(post("/stop/one").ok)
    ask "steady/a"
    assert.equal("token token token token token done", (listen "a"))
    assert.is_true(post("/again/a").ok)
  end)

  it("tells its listeners when it fails, and the log why", function()
    ask "raises/b"
    local names, last = listen "b"
    assert.equal("token failed", names)
    assert.same({ code = "internal", message = "internal error" }, last)
    assert.is_string(app:await_log("upstream is broken"))
    ask "refuses/c"
    names, last = listen "c"
    assert.same({ "failed", { code = "quota", message = "no more today" } }, { names, last })
    ask "returns/d"
    names, last = listen "d"
    assert.same({ "failed", { code = "too_large", message = "too long" } }, { names, last })
    ask "fails/e"
    names, last = listen "e"
    assert.same({ "failed", { code = "internal", message = "internal error" } }, { names, last })
    assert.is_string(app:await_log("connection refused"))
  end)

  it("is cancelled from another request", function()
    ask "hangs/f"
    assert.is_true(post("/stop/f", "enough").ok)
    local names, last = listen "f"
    assert.same({ "token cancelled", { reason = "enough" } }, { names, last })
    ask "stubborn/g"
    assert.is_true(post("/stop/g", "enough").ok)
    assert.equal("token cancelled", (listen "g"))
    ask "polite/h"
    assert.is_true(post("/stop/h", "enough").ok)
    names, last = listen "h"
    assert.same({ "token stopped", "closed" }, { names, last })
    assert.is_false(post("/stop/h", "again").ok)
    assert.is_false(post("/stop/nobody").ok)
    assert.is_true(await(function()
      return not dkjson.decode(http.get(app, "/log").body).producers
    end))
  end)

  it("is cancelled when nobody has listened for idle_seconds", function()
    ask "hangs/i?idle=0.2"
    assert.is_string(app:await_log 'cancelled the producer of "answer:i": no subscribers')
    local names, last = listen "i"
    assert.same({ "token cancelled", { reason = "no subscribers" } }, { names, last })
    local stream = open_stream(app, "/answer/j")
    assert.is_true(await(function()
      return dkjson.decode(http.get(app, "/log").body).subscriptions == 1
    end))
    ask "hangs/j?idle=0.2"
    assert.equal("token", stream:event().event)
    ask "hangs/k?idle=0.2"
    assert.is_string(app:await_log 'cancelled the producer of "answer:k": no subscribers')
    assert.is_true(post("/stop/j", "enough").ok) -- it had a listener all the time
    assert.equal('{"reason":"enough"}', stream:event().data)
    stream:close()
  end)

  it("raises errors for what is wrong", function()
    local cases = {
      [ [[app:produce("nothing:a", print)]] ] = "app:produce",
      [ [[app:produce("answer:a")]] ] = "app:produce: argument 2 must be a function",
      [ [[app:produce("answer:a", print, { idle = 1 })]] ] = "unknown option 'idle'",
      [ [[app:produce("answer:a", print, { idle_seconds = "x" })]] ] = "option 'idle_seconds'",
    }
    for code, problem in pairs(cases) do
      local result = post("/wrong", code)
      assert.is_false(result.ok, code)
      assert.truthy(result.problem:find(problem, 1, true), code .. ": " .. result.problem)
    end
  end)
end)

describe("moonwire.rendezvous", function()
  local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:post("/wait/{id}", function(request)
  app.log.info("rendezvous %s: begins", request.params.id)
  local ok, first, second = pcall(moonwire.rendezvous, request.params.id, tonumber(request.body))
  app.log.info("rendezvous %s: %s", request.params.id, ok and second or first)
  return { ok = ok, first = first, second = second }
end)
app:post("/bring/{id}", function(request)
  return { ok = moonwire.rendezvous.bring(request.params.id, request.body, 2) }
end)
app:post("/wrong", function(request)
  return { problem = select(2, pcall(load("return function(meet) " .. request.body .. " end")(), moonwire.rendezvous)) }
end)
return app
]]
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function post(target, body)
    return dkjson.decode(http.request(app, "POST", target, { body = body or "" }).body)
  end

  local function wait(target)
    local connection = http.connect(app, 30)
    connection:send(http.format("POST", target, { body = "" }))
    return connection
  end

  local function bring(id, body)
    return await(function()
      return post("/bring/" .. id, body).ok
    end)
  end

  it("brings values from one request to another, whichever workers have them", function()
    local waiters = {}
    for i = 1, 20 do
      waiters[i] = wait("/wait/" .. i)
    end
    for i = 20, 1, -1 do
      assert.is_true(bring(i, "value " .. i))
      assert.is_false(post("/bring/" .. i, "again").ok)
    end
    for i, waiter in ipairs(waiters) do
      local result = dkjson.decode(waiter:read_response().body)
      assert.same({ ok = true, first = "value " .. i, second = 2 }, result)
      waiter:close()
    end
  end)

  it("ends with its time, or its client, and its id is free again", function()
    assert.same({ ok = true, second = "timeout" }, post("/wait/a", "0.01"))
    assert.same({ ok = true, second = "timeout" }, post("/wait/a", "0.01"))
    assert.is_false(post("/bring/a").ok)
    local waiter = wait "/wait/b"
    -- a request whose client has disconnected before calls no handler
    assert.is_string(app:await_log("rendezvous b: begins"))
    waiter:close()
    assert.is_string(app:await_log("rendezvous b: closed"))
    assert.is_false(post("/bring/b").ok)
  end)

  it("has one task for an id", function()
    local first = wait "/wait/c"
    -- all handlers run on one thread: another one runs when the first waits
    assert.is_string(app:await_log("rendezvous c: begins"))
    local second = post("/wait/c", "0.001")
    assert.is_false(second.ok)
    assert.truthy(
      second.first:find('moonwire.rendezvous: another task waits for the string "c"', 1, true),
      second.first
    )
    assert.is_true(bring("c", "one"))
    assert.equal("one", dkjson.decode(first:read_response().body).first)
    first:close()
  end)

  it("raises errors for what is wrong", function()
    assert.truthy(
      post("/wrong", "meet()").problem:find(
        "the id must be a string or an integer, got nil",
        1,
        true
      )
    )
    assert.truthy(post("/wrong", "meet.bring({})").problem:find("got table", 1, true))
    assert.truthy(
      post("/wrong", "meet('a', 'b')").problem:find("argument 2 must be a number", 1, true)
    )
  end)
end)
