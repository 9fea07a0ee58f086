-- Answers that stream: app:stream with a method and a body, their heads, and views of channels.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

describe("the answer of app:stream", function()
  local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { heartbeat_seconds = 0.2, answer_seconds = 0.5, body = 1000 } }

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
  local ok, why = moonwire.sleep(1.2)
  stream:send("slept", { ok = ok, why = why })
  stream:close()
end)
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
    return sse.open(app, target, options)
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
    local stream = sse.open(app, "/echo")
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
    local connection = http.connect(app)
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
    local beats, block = 0, stream:next()
    while not block.data do
      beats, block = beats + 1, stream:next()
    end
    assert.is_true(beats > 1)
    assert.same({ ok = true }, dkjson.decode(block.data))
    stream:close()
    assert.equal(503, http.request(app, "POST", "/late", { body = "" }).status)
  end)

  it("respects limits.body, Expect, and HTTP/1.0", function()
    assert.equal(413, http.request(app, "POST", "/echo", { body = ("x"):rep(1001) }).status)
    local connection = http.connect(app)
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
      local stream = sse.open(app, "/own", { headers = case[1] })
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
    local connection = http.connect(app)
    connection:send(http.format("POST", "/gone", { body = "" }))
    connection:close()
    assert.is_string(app:await_log "start after the end: nil closed closed")
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
