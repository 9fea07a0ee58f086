-- Handlers that misbehave, and clients that leave them alone.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 0.5 } }

local function raise() error("a secret detail") end
local cycle = {}
cycle.cycle = cycle

app:authenticate(function(request)
  if request.query.user == "raise" then raise() end
  if request.query.user == "nonsense" then return 42 end
  if request.query.user == "wait" then moonwire.sleep(1e6) end
  return { id = request.query.user or "ada" }
end)

-- Routes.
app:get("/hello", function() return "hello" end)
app:get("/raise", raise)
app:get("/raise/table", function() error({}) end)
app:get("/raise/nil", function() error(nil) end)
app:get("/raise/coded", function() error { code = "teapot", message = "I am a teapot", status = 418 } end)
app:get("/raise/late", function() moonwire.sleep(0.01) raise() end)
app:get("/nonsense/function", function() return print end)
app:get("/nonsense/boolean", function() return true end)
app:get("/nonsense/status", function() return 999, "x" end)
app:get("/nonsense/cycle", function() return cycle end)
app:get("/nonsense/nan", function() return { 0 / 0 } end)
app:get("/nonsense/headers", function() return 200, "x", { ["X-Evil"] = "a\r\nSet-Cookie: b" } end)
app:get("/nonsense/length", function() return 200, "x", { ["Content-Length"] = "7" } end)
app:get("/nonsense/false", function() return false, "no" end)
app:get("/nonsense/text", function() return "404", "x" end)
app:get("/tail", function() return app:publish("nowhere") end)
app:get("/large", function()
  local id, message, code = app:publish("join:large", "x", ("x"):rep(70000))
  return { id = id, message = message, code = code }
end)
app:get("/timer", function()
  app:after(0, function() return app:publish("from a timer") end)
  app:spawn(function() return app:publish("from a task") end)
end)
app:get("/forever", function(request)
  local guard <close> = setmetatable({}, { __close = function() app.log.info("closed %s", request.query.tag) end })
  app.log.info("begun %s", request.query.tag)
  local ok, reason = moonwire.sleep(1e6)
  app.log.info("woken %s: %s %s", request.query.tag, ok, reason)
  moonwire.sleep(1e6)
  app.log.info("never %s", request.query.tag)
end)
app:get("/nested", function()
  local inner = coroutine.wrap(function() moonwire.sleep(0.01) end)
  local ok, reason = pcall(inner)
  return { ok = ok, reason = reason }
end)

-- Channels.
app:channel("authorize:{how}", {
  authorize = function(_, channel)
    if channel.params.how == "raise" then raise() end
    if channel.params.how == "wait" then moonwire.sleep(1e6) end
    if channel.params.how == "coded" then error { code = "late", message = "not at this hour" } end
    return channel.params.how == "yes"
  end,
})
app:channel("open:{how}", {
  authorize = true,
  on_open = function(channel)
    if channel.params.how == "raise" then raise() end
    if channel.params.how == "wait" then moonwire.sleep(1e6) end
  end,
})
app:channel("join:{how}", {
  authorize = true,
  on_join = function(_, channel)
    if channel.params.how == "raise" then raise() end
    if channel.params.how == "nonsense" then return print end
    if channel.params.how == "refuse" then return false, "full", "full" end
    if channel.params.how == "wait" then moonwire.sleep(1e6) end
    if channel.params.how == "stay" then app.log.info "begun stay" moonwire.sleep(1e6) end
  end,
  on_leave = function(_, channel) app.log.info("left %s", channel.name) end,
})
app:channel("leave:{how}", { authorize = true, on_leave = raise, on_close = raise })

app:channel("hooks:{name}", {
  history = { size = 100 },
  authorize = function(client, channel) channel:publish("authorize", { user = client.user_id }) return true end,
  on_open = function(channel) channel:publish("opened") return { count = 0 } end,
  on_join = function(client, channel)
    channel.state.count = channel.state.count + 1
    local id = channel:publish("join", { user = client.user_id, count = channel.state.count })
    return { id = id }
  end,
  on_leave = function(client, channel) channel:publish("leave", { user = client.user_id }) end,
  on_close = function() app:publish("hooks:closed", "close") end,
})

-- Occupancy, counted.
local counts = { open = 0, join = 0, leave = 0, close = 0 }
local is_open = false
app:channel("busy", {
  authorize = true,
  on_open = function()
    if is_open then app.log.error("opened twice") end
    is_open = true
    counts.open = counts.open + 1
    moonwire.sleep(math.random() / 100)
  end,
  on_join = function() counts.join = counts.join + 1 moonwire.sleep(math.random() / 100) end,
  on_leave = function() counts.leave = counts.leave + 1 moonwire.sleep(math.random() / 100) end,
  on_close = function()
    moonwire.sleep(math.random() / 100)
    is_open = false
    counts.close = counts.close + 1
    app.log.info("busy: %d %d %d %d", counts.open, counts.join, counts.leave, counts.close)
  end,
})
return app
]]

describe("handlers", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  after_each(function() -- whatever happened, it goes on
    assert.equal("hello", http.get(app, "/hello").body)
  end)

  local function assert_internal(response)
    assert.equal(500, response.status)
    assert.same(
      { error = { code = "internal", reason = "internal error" } },
      dkjson.decode(response.body)
    )
  end

  describe("of routes that raise", function()
    for _, path in ipairs { "/raise", "/raise/table", "/raise/nil", "/raise/late" } do
      it("are answered with 500: " .. path, function()
        assert_internal(http.get(app, path))
      end)
    end

    it("are answered with 500 if the stack overflows", function()
      -- Which may take longer than this app's limits.answer_seconds.
      local deep = server.start [[
        local app = require("moonwire").app {}
        app:get("/deep", function()
          local function dive(n) return 1 + dive(n + 1) end
          return tostring(dive(1))
        end)
        return app
      ]]
      assert_internal(http.get(deep, "/deep"))
      deep:stop()
    end)

    it("are logged with the place", function()
      http.get(app, "/raise")
      assert.is_string(app:await_log "app%.lua:4: a secret detail")
      assert.is_string(app:await_log "stack traceback")
    end)

    it("may raise a refusal", function()
      local response = http.get(app, "/raise/coded")
      assert.equal(418, response.status)
      assert.same(
        { error = { code = "teapot", reason = "I am a teapot" } },
        dkjson.decode(response.body)
      )
    end)
  end)

  describe("of routes that return nonsense", function()
    for _, what in ipairs { "function", "boolean", "status", "cycle", "nan", "headers", "length" } do
      it("are answered with 500: " .. what, function()
        local response = http.get(app, "/nonsense/" .. what)
        assert_internal(response)
        assert.is_nil(response.headers["set-cookie"])
        assert.is_string(app:await_log("/nonsense/" .. what))
      end)
    end
  end)

  describe("are told in one line that names them", function()
    local function line_of(path, text)
      http.get(app, path)
      local pattern = "handler of GET " .. path .. " %([^()]*app%.lua:%d+%): " .. text
      assert.is_string(app:await_log(pattern), path)
    end

    it("if they return what they must not", function()
      line_of("/nonsense/boolean", "returned a boolean as the body\n")
      line_of("/nonsense/status", "returned 999 as the status\n")
      line_of("/nonsense/nan", "returned a body that JSON cannot hold: body%[1%]: [^\n]*\n")
      line_of(
        "/nonsense/false",
        "returned false; to refuse in a route, use error { status = 403, message = … }\n"
      )
      line_of(
        "/nonsense/text",
        'returned the string "404" and then a string; the status must be a number\n'
      )
    end)

    it("even behind a tail call", function()
      http.get(app, "/tail")
      assert.is_string(app:await_log "app%.lua:%d+: app:publish: [^\n]*nowhere")
      http.get(app, "/timer")
      assert.is_string(app:await_log "app%.lua:%d+: app:publish: [^\n]*from a timer")
      assert.is_string(app:await_log "app%.lua:%d+: app:publish: [^\n]*from a task")
    end)
  end)

  it("that lose a message are told in the log", function()
    assert.equal("too_large", dkjson.decode(http.get(app, "/large").body).code)
    assert.is_string(app:await_log "app%.lua:%d+: app:publish: not published: ")
  end)

  describe("of streams", function()
    local function refusal(query)
      local response = http.get(app, "/sse?" .. query)
      return response.status, dkjson.decode(response.body).error
    end

    it("put the stream off if they raise", function()
      for _, query in ipairs {
        "user=raise&channel=authorize:yes",
        "user=nonsense&channel=authorize:yes",
        "channel=authorize:raise",
        "channel=open:raise",
        "channel=join:raise",
        "channel=join:nonsense",
      } do
        local response = http.get(app, "/sse?" .. query)
        assert.equal(200, response.status, query)
        assert.matches("^retry: %d+\n$", response.body)
      end
    end)

    it("may refuse, from depth too", function()
      local status, fault = refusal "channel=authorize:coded"
      assert.equal(403, status)
      assert.same({ code = "late", reason = "not at this hour" }, fault)
      status, fault = refusal "channel=join:refuse"
      assert.equal(403, status)
      assert.same({ code = "full", reason = "full" }, fault)
    end)

    it("undo what had been joined when a later channel is refused", function()
      refusal "channel=join:undone&channel=join:refuse"
      assert.is_string(app:await_log "left join:undone")
      assert.is_nil(app:log():match "left join:refuse")
    end)

    it("that raise when a client leaves are only logged", function()
      local stream = sse.open(app, "/sse?channel=leave:x")
      stream:cursor()
      stream:close()
      assert.is_string(app:await_log "on_leave")
      assert.is_string(app:await_log "on_close")
    end)
  end)

  describe("that wait for ever", function()
    it("are woken, and their client is answered", function()
      local response = http.get(app, "/forever?tag=one")
      assert.equal(503, response.status)
      assert.equal("unavailable", dkjson.decode(response.body).error.code)
      assert.is_string(app:await_log "woken one: nil timeout")
      assert.is_string(app:await_log "closed one")
      assert.is_nil(app:log():match "never one")
    end)

    it("are a temporary refusal of a stream", function()
      for _, query in ipairs {
        "user=wait&channel=authorize:yes",
        "channel=authorize:wait",
        "channel=open:wait",
        "channel=join:wait",
      } do
        local stream = sse.open(app, "/sse?" .. query)
        assert.equal(200, stream.status, query)
        assert.is_string(stream:next().retry)
        assert.is_nil(stream:next())
        stream:close()
      end
    end)

    it("do not keep others waiting", function()
      local waiting = {}
      for i = 1, 50 do
        waiting[i] = http.connect(app)
        waiting[i]:send(http.format("GET", "/forever?tag=many"))
      end
      assert.equal("hello", http.get(app, "/hello").body)
      for _, client in ipairs(waiting) do
        assert.equal(503, client:read_response().status)
        client:close()
      end
    end)

    it("may wait in a coroutine of their own", function()
      local value = dkjson.decode(http.get(app, "/nested").body)
      assert.is_true(value.ok)
    end)
  end)

  describe("whose client has gone", function()
    it("are woken at once", function()
      local patient = server.start((script:gsub("answer_seconds = 0%.5", "answer_seconds = 600")))
      local client = http.connect(patient)
      client:send(http.format("GET", "/forever?tag=gone"))
      assert.is_string(patient:await_log "begun gone")
      client:close()
      assert.is_string(patient:await_log "woken gone: nil closed")
      assert.is_string(patient:await_log "closed gone")
      patient:stop()
    end)

    it("leave no one behind in the channel", function()
      local client = http.connect(app)
      client:send(http.format("GET", "/sse?channel=join:before&channel=join:stay"))
      assert.is_string(app:await_log "begun stay")
      client:close()
      assert.is_string(app:await_log "left join:before")
    end)
  end)

  describe("that publish from inside a hook", function()
    local function read(stream, name)
      local event
      repeat
        event = assert(stream:event())
      until event.event == name
      return dkjson.decode(event.data)
    end

    it("reach those who are there, once and in order", function()
      local first = sse.open(app, "/sse?user=first&channel=hooks:a&channel=hooks:closed")
      first:cursor()
      local second = sse.open(app, "/sse?user=second&channel=hooks:a")
      second:cursor()
      assert.same({ user = "second" }, read(first, "authorize"))
      assert.same({ user = "second", count = 2 }, read(first, "join"))
      second:close()
      assert.same({ user = "second" }, read(first, "leave"))
      first:close()
    end)

    it("reach a newcomer who asks for all", function()
      local stream = sse.open(app, "/sse?user=new&channel=hooks:b&since=0")
      local names = {}
      for i = 1, 3 do
        names[i] = stream:event().event
      end
      assert.same({ "authorize", "opened", "join" }, names)
      stream:close()
    end)

    it("may publish when the last one has left", function()
      local watcher = sse.open(app, "/sse?user=watcher&channel=hooks:closed")
      watcher:cursor()
      local stream = sse.open(app, "/sse?user=last&channel=hooks:c")
      stream:cursor()
      stream:close()
      read(watcher, "close")
      watcher:close()
    end)
  end)

  it("are called for each coming and going, also when these overlap", function()
    local total = 0
    for _ = 1, 10 do
      local streams = {}
      for i = 1, 10 do
        streams[i] = http.connect(app)
        streams[i]:send(http.format("GET", "/sse?channel=busy"))
        total = total + 1
      end
      for i, client in ipairs(streams) do
        if i % 2 == 0 then
          client:read_head()
        end
        client:close()
      end
    end
    -- Once all have gone, each join has its leave and each open its close.
    local last = sse.open(app, "/sse?channel=busy")
    last:cursor()
    last:close()
    local function settled()
      local counts
      for line in app:log():gmatch "busy: ([%d ]+)" do
        counts = line
      end
      local open, join, leave, close = (counts or "1 1 0 0"):match "(%d+) (%d+) (%d+) (%d+)"
      return open == close and join == leave and tonumber(join) <= total + 1
    end
    assert.is_string(app:await_log "busy: ")
    local deadline = os.time() + 30
    repeat
      local again = sse.open(app, "/sse?channel=busy")
      again:cursor()
      again:close()
      total = total + 1
    until settled() or os.time() > deadline
    assert.is_true(settled())
    assert.is_nil(app:log():match "opened twice")
  end)
end)
