-- What a script can do: routes, requests, clients and channels in hooks, time, tasks, raw streams.

local http = require "spec.support.http"
local json = require("moonwire").json
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}

app:authenticate(function(request)
  local user = request.query.user
  if user == "nobody" then return nil end
  if user == "refused" then return false, "not you", 403 end
  if user == "anonymous" or not user then return true end
  return { id = user, nested = { list = { 1, 2 }, empty = moonwire.array {} } }
end)

-- Requests and answers.
app:post("/echo/{a}/{b}", function(request)
  return {
    method = request.method, path = request.path, query = request.query, query_all = request.query_all,
    headers = request.headers, cookies = request.cookies, params = request.params, body = request.body,
    remote = request.remote,
  }
end)
app:post("/json", function(request)
  local value, message = request:json()
  return { value = value, message = message }
end)
app:get("/text", function() return "text" end)
app:get("/empty", function() end)
app:get("/status", function() return 202 end)
app:get("/created", function() return 201, { id = 1 }, { Location = "/x/1", ["Set-Cookie"] = { "a=1", "b=2" } } end)
app:get("/html", function() return "<p>", { ["content-type"] = "text/html", ["x-content-type-options"] = "x" } end)
app:get("/array", function() return moonwire.array {} end)
app:get("/fault", function() return nil, "the database is down" end)
app:get("/refused", function() error { code = "not_found", message = "no such thing" } end)
app:put("/method", function() return "put" end)
app:delete("/method", function() return "delete" end)

-- Waiting.
app:get("/wait", function(request)
  local closed = {}
  local guard <close> = setmetatable({}, { __close = function() closed[1] = true end })
  return { ok = moonwire.sleep(tonumber(request.query.seconds)) }
end)
app:get("/caught", function()
  return { pcall(function() moonwire.sleep(0.001) error("caught", 0) end) }
end)
app:get("/spawned", function()
  local got
  local function task(...) moonwire.sleep(0.001) got = { n = select("#", ...), ... } end
  while not app:spawn(task, 1, nil, "x") do moonwire.sleep(0.001) end -- while too many are running
  local before = got == nil
  while not got do moonwire.sleep(0.001) end
  return { before = before, n = got.n, first = got[1], third = got[3] }
end)
app:get("/many", function()
  local count, failure, code = 0, nil, nil
  for _ = 1, 20000 do
    local ok, message, its = app:spawn(moonwire.sleep, 0.001)
    if ok then count = count + 1 else failure, code = message, its break end
  end
  return { count = count, failure = failure, code = code }
end)
app:get("/yield", function() coroutine.yield() end)
app:get("/generator", function()
  local list = moonwire.array {}
  for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do list[i] = i end
  return list
end)
app:get("/run", function() return { pcall(app.run, app) } end)

-- Time.
local ticks, overlaps, running, once = 0, 0, false, 0
local timer
timer = app:every(0.005, function()
  if running then overlaps = overlaps + 1 end
  running = true
  moonwire.sleep(0.02)
  running = false
  ticks = ticks + 1
  if ticks == 3 then timer:cancel() end
end)
app:after(0.001, function() once = once + 1 error("an error in a timer") end)
app:after(0.001, function() once = once + 1 end):cancel()
app:get("/ticks", function()
  while ticks < 3 or once < 1 do moonwire.sleep(0.005) end
  moonwire.sleep(0.03)
  return { ticks = ticks, overlaps = overlaps, once = once }
end)

-- Channels.
local log = moonwire.array {}
local function note(...) log[#log + 1] = string.format(...) end
app:channel("room:{room}", {
  history = { size = 10, replay = 10 },
  authorize = function(client, channel)
    client.data = { seen = moonwire.array { "authorize" } }
    note("authorize %s %s", client.user_id, channel.params.room)
    if channel.params.room == "nil" then return nil end
    if channel.params.room == "coded" then return false, "too early", "early" end
    if channel.params.room == "fault" then return nil, "the database is down" end
    return true
  end,
  on_open = function(channel)
    note("open %s", channel.name)
    if channel.params.room == "unopened" then return false, "not today", "closed" end
    return { members = 0 }
  end,
  on_join = function(client, channel)
    table.insert(client.data.seen, "join")
    channel.state.members = channel.state.members + 1
    note("join %d %d %s", channel.state.members, channel:count(), client.user and client.user.nested.list[2])
    return { hello = client.user_id, transport = client.transport, remote = client.remote }
  end,
  on_leave = function(client, channel)
    channel.state.members = channel.state.members - 1
    note("leave %d %s", channel.state.members, table.concat(client.data.seen, "+"))
  end,
  on_close = function(channel) note("close %d %s", channel.state.members, app:find(channel.name) == channel) end,
})
app:channel("open:{name}", { authorize = true })
app:channel("nobody", { authorize = false })
app:get("/log", function() return log end)
app:get("/find", function(request)
  local channel = app:find(request.query.name)
  return { found = channel ~= nil, count = channel and channel:count(), same = channel == app:find(request.query.name),
    state = channel and channel.state }
end)
app:post("/publish/{name}", function(request)
  local ok, id, message, code = pcall(app.publish, app, request.params.name, request.query.event, request:json(),
    { volatile = request.query.volatile == "1" })
  return { ok = ok, id = id, message = message, code = code }
end)
app:get("/client", function()
  return { pcall(function() return app:publish("open:a", "b", 1, { exept = true }) end) }
end)

-- Raw streams.
app:stream("/raw", function(request, stream)
  stream:on_close(function() note("raw closed %s", stream.closed) end)
  if request.query.refuse then return 401, "who are you?" end
  if request.query.code then error { code = "early", message = "too early" } end
  if request.query.error then error("in a stream") end
  if request.query.late then stream:send("first", "1") error("in a stream") end
  if request.query.silent then return end
  assert(stream:send(nil, "a\nb"))
  assert(stream:send("tick", { n = 1 }, { id = "7", retry = 2.5 }))
  moonwire.sleep(0.001)
  assert(stream:send("tick", "2"))
  if request.query.misuse then
    for _, name in ipairs { "open", "error", "moonwire:x", "a b", "" } do
      note("send %s", select(2, pcall(stream.send, stream, name, 1)):match("an event must be 1 to 64") or name)
    end
    assert(stream:send("numbered", 1, { id = 42 }))
  end
  if request.query.close then
    stream:close()
    note("after close %s %s", stream.closed, select(2, stream:send("x", "y")))
  end
end)
app:stream("/waiting", function(_, stream)
  stream:send("begin", "1")
  note("waited %s", select(2, moonwire.sleep(60)))
end)
return app
]]

describe("a script", function()
  local app

  local function get(target)
    return http.get(app, target)
  end

  local function get_json(target)
    local response = get(target)
    assert.equal(200, response.status, response.body)
    return assert(json.decode(response.body))
  end

  -- Waits until the script's own log has that line.
  local function await(line)
    for _ = 1, 500 do
      for _, found in ipairs(get_json "/log") do
        if found == line then
          return true
        end
      end
    end
    error(("no line %q in %s"):format(line, get("/log").body))
  end

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  describe("answers requests", function()
    it("and sees all of them", function()
      local response = http.request(app, "POST", "/echo/%C3%A9/b?x=1&x=2&y=a+b%2B%zz&z&=e", {
        headers = {
          ["X-Name"] = "v",
          Cookie = 'a=1; b="two"; c',
          ["Content-Type"] = "application/json",
        },
        body = "body\0",
      })
      local seen = json.decode(response.body)
      assert.equal("POST", seen.method)
      assert.equal("/echo/é/b", seen.path)
      assert.same({ a = "é", b = "b" }, seen.params)
      assert.same({ x = "2", y = "a b+%zz", z = "", [""] = "e" }, seen.query)
      assert.same({ "1", "2" }, seen.query_all.x)
      assert.equal("v", seen.headers["x-name"])
      assert.same({ a = "1", b = "two" }, seen.cookies)
      assert.equal("body\0", seen.body)
      assert.equal("127.0.0.1", seen.remote)
    end)

    it("with JSON read and written", function()
      assert.same(
        { value = { a = 1 } },
        json.decode(http.request(app, "POST", "/json", { body = '{"a":1}' }).body)
      )
      assert.matches(
        "^not valid JSON",
        json.decode(http.request(app, "POST", "/json", { body = "{" }).body).message
      )
      assert.equal("[]\n", get("/array").body)
    end)

    it("with a status, a body and headers of its own", function()
      local response = get "/text"
      assert.equal("text", response.body)
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      assert.equal("nosniff", response.headers["x-content-type-options"])
      response = get "/html"
      assert.equal("text/html", response.headers["content-type"])
      assert.equal("x", response.headers["x-content-type-options"])
      assert.equal(204, get("/empty").status)
      response = get "/status"
      assert.equal(202, response.status)
      assert.equal("", response.body)
      response = get "/created"
      assert.equal(201, response.status)
      assert.equal('{"id":1}\n', response.body)
      assert.equal("application/json", response.headers["content-type"])
      assert.equal("/x/1", response.headers.location)
      assert.matches("Set%-Cookie: a=1\r\nSet%-Cookie: b=2", response.head)
      assert.equal("put", http.request(app, "PUT", "/method").body)
      assert.equal("delete", http.request(app, "DELETE", "/method").body)
    end)

    it("with refusals and faults", function()
      local response = get "/refused"
      assert.equal(404, response.status)
      assert.same(
        { error = { code = "not_found", reason = "no such thing" } },
        json.decode(response.body)
      )
      response = get "/fault"
      assert.equal(500, response.status)
      assert.is_nil(response.body:find("database", 1, true))
      assert.is_truthy(app:await_log "the database is down")
    end)
  end)

  describe("waits", function()
    it("while others are answered", function()
      local connection = http.connect(app)
      connection:send(http.format("GET", "/wait?seconds=0.05"))
      assert.equal("text", get("/text").body)
      assert.equal('{"ok":true}\n', connection:read_response().body)
      connection:close()
    end)

    it("inside pcall", function()
      assert.same({ false, "caught" }, get_json "/caught")
    end)

    it("but not by coroutine.yield, which still works in coroutines of its own", function()
      assert.equal(500, get("/yield").status)
      assert.is_truthy(app:await_log "app.lua:%d+%): a handler called coroutine.yield")
      assert.same({ 1, 2, 3 }, get_json "/generator")
    end)

    it("and cannot turn the loop", function()
      local result = get_json "/run"
      assert.matches("app:run: the moonwire command runs this script", result[2])
    end)
  end)

  describe("runs tasks", function()
    it("with arguments, after the handler gave way", function()
      assert.same({ before = true, n = 3, first = 1, third = "x" }, get_json "/spawned")
    end)

    it("of a bounded number", function()
      local result = get_json "/many"
      assert.is_true(result.count <= 10000 and result.count > 9000)
      assert.equal("unavailable", result.code)
      assert.same({ before = true, n = 3, first = 1, third = "x" }, get_json "/spawned")
    end)
  end)

  it("has timers that never overlap, can be cancelled, and survive errors", function()
    assert.same({ ticks = 3, overlaps = 0, once = 1 }, get_json "/ticks")
    assert.is_truthy(app:await_log "an error in a timer")
  end)

  describe("says who may come in", function()
    it("by authenticate", function()
      assert.equal(401, get("/sse?channel=open:a&user=nobody").status)
      local response = get "/sse?channel=open:a&user=refused"
      assert.equal(403, response.status)
      assert.equal("not you", json.decode(response.body).error.reason)
    end)

    it("by authorize", function()
      local function refusal(channel)
        local response = get("/sse?user=eve&channel=" .. channel)
        return response.status, json.decode(response.body).error
      end
      local status, fault = refusal "room:nil"
      assert.equal(403, status)
      assert.equal("forbidden", fault.code)
      status, fault = refusal "room:coded"
      assert.equal(403, status)
      assert.same({ code = "early", reason = "too early" }, fault)
      local response = get "/sse?user=eve&channel=room:fault"
      assert.equal(200, response.status)
      assert.matches("^retry: %d+\n$", response.body)
      status, fault = refusal "room:unopened"
      assert.equal(403, status)
      assert.same({ code = "closed", reason = "not today" }, fault)
      assert.equal(403, (refusal "nobody"))
    end)
  end)

  it("follows a channel from open to close, with the clients' data", function()
    local first = sse.open(app, "/sse?envelope=1&channel=room:1&user=ada")
    local open = json.decode(first:event().data)
    assert.equal("moonwire:open", open.event)
    assert.same(
      { hello = "ada", transport = "sse", remote = "127.0.0.1" },
      open.data.channels["room:1"].data
    )
    local second = sse.open(app, "/sse?channel=room:1")
    assert.equal(200, second.status)
    await "join 2 1 nil"
    assert.same(
      { found = true, count = 2, same = true, state = { members = 2 } },
      get_json "/find?name=room:1"
    )
    first:close()
    await "leave 1 authorize+join"
    second:close()
    await "leave 0 authorize+join"
    await "close 0 false"
    local third = sse.open(app, "/sse?channel=room:1&user=ada")
    await "join 1 0 2"
    third:close()
  end)

  it("publishes, and is told when it cannot", function()
    local function publish(target, body)
      return json.decode(
        http.request(app, "POST", "/publish/" .. target, { body = body or "1" }).body
      )
    end
    assert.matches("^%w+%-%d+$", publish("open:x?event=e").id)
    assert.is_true(publish("open:x?event=e&volatile=1").id)
    local result = publish("open:x?event=bad%20name")
    assert.is_false(result.ok)
    assert.matches("app.lua:%d+: app:publish: ", result.id)
    result = publish "elsewhere?event=e"
    assert.is_false(result.ok)
    assert.matches("app.lua:%d+: app:publish: .*elsewhere", result.id)
    result = publish("open:x?event=e", '"' .. ("x"):rep(70000) .. '"')
    assert.is_true(result.ok)
    assert.equal("too_large", result.code)
    assert.matches("app:publish: unknown option 'exept'", get_json("/client")[2])
    assert.same({ found = false, same = true }, get_json "/find?name=open:never")
  end)

  describe("has event streams of its own", function()
    it("that stay open when the handler returns", function()
      local stream = sse.open(app, "/raw")
      assert.equal(200, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"]:match "^[^;]+")
      local event = stream:event()
      assert.equal("a\nb", event.data)
      event = stream:event()
      assert.equal("tick", event.event)
      assert.equal("7", event.id)
      assert.equal("2500", event.retry)
      assert.equal('{"n":1}', event.data)
      assert.equal("2", stream:event().data)
      stream:close()
      await "raw closed true"
    end)

    it("whose events have names like those of channels, and ids that may be integers", function()
      local stream = sse.open(app, "/raw?misuse=1")
      for _ = 1, 3 do
        assert.is_truthy(stream:event())
      end
      local event = stream:event()
      assert.equal("numbered", event.event)
      assert.equal("42", event.id)
      stream:close()
      local count = 0
      for _, line in ipairs(get_json "/log") do
        count = count + (line == "send an event must be 1 to 64" and 1 or 0)
      end
      assert.equal(5, count)
    end)

    it("that can be closed", function()
      local stream = sse.open(app, "/raw?close=1")
      for _ = 1, 3 do
        assert.is_truthy(stream:event())
      end
      assert.is_nil(stream:event())
      stream:close()
      await "after close true closed"
    end)

    it("that can refuse before they begin", function()
      local response = get "/raw?refuse=1"
      assert.equal(401, response.status)
      assert.equal("who are you?", response.body)
      assert.equal(403, get("/raw?code=1").status)
      response = get "/raw?error=1"
      assert.equal(200, response.status)
      assert.matches("^retry: %d+\n$", response.body)
    end)

    it("that begin without an event and end with a late error", function()
      local stream = sse.open(app, "/raw?silent=1")
      assert.equal(200, stream.status)
      stream:close()
      stream = sse.open(app, "/raw?late=1")
      assert.equal("1", stream:event().data)
      assert.is_nil(stream:event())
      stream:close()
    end)

    it("whose handler's wait ends when the peer goes", function()
      local stream = sse.open(app, "/waiting")
      assert.equal("1", stream:event().data)
      stream:close()
      await "waited closed"
    end)
  end)
end)
