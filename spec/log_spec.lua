-- Standard error as it may be: a pipe that nobody reads, closed, full. And what a client can do to the log.
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local app = require("moonwire").app {}
app:channel("room:{x}", { on = {
  say = function(_, _, message) return message.data.text.value end,
  tell = function(_, _, message) error("bad value " .. message.data) end,
} })
app:get("/lines", function(request)
  for i = 1, tonumber(request.query.n) do app.log.info("line %d %s", i, ("."):rep(100)) end
  return 200, "ok"
end)
app:get("/line", function(request) app.log.warning("%s", request.query.text) return 200, "ok" end)
return app
]]

local function quick_get(app, target)
  local response = http.get(app, target) -- which waits 30 seconds; it would be for ever
  assert.equal(200, response.status)
end

local function finish_quickly(app)
  local code = app:finish() -- which kills what needs 60 seconds
  assert.equal(0, code)
end

describe("standard error", function()
  it("that is a pipe which nobody reads holds up nothing", function()
    local app = server.start { script = script, stderr = "pipe" }
    for _ = 1, 3 do
      quick_get(app, "/lines?n=3000")
    end
    quick_get(app, "/health")
    finish_quickly(app)
  end)

  it("that is read late gets what was buffered, and how much was dropped", function()
    local app = server.start { script = script, stderr = "pipe" }
    quick_get(app, "/lines?n=5000")
    quick_get(app, "/line?text=afterwards")
    local text = server.run("timeout 60 sed '/afterwards/q' " .. app.folder .. "/pipe")
    local lines, last = 0, 0
    for number in text:gmatch "info line (%d+) %.+\n" do
      assert.is_true(tonumber(number) > last)
      lines, last = lines + 1, tonumber(number)
    end
    local dropped = 0
    for count in text:gmatch "%(dropped (%d+) lines of the log" do
      dropped = dropped + tonumber(count)
    end
    assert.is_true(dropped > 0)
    assert.equal(5000, lines + dropped)
    assert.is_truthy(text:find("warning afterwards", 1, true))
    finish_quickly(app)
  end)

  it("that is a full pipe leaves its flags alone", function()
    local app = server.start { script = script, stderr = "pipe" }
    quick_get(app, "/lines?n=3000")
    local info = server.run("cat /proc/" .. app.pid .. "/fdinfo/2")
    local flags = tonumber(info:match "flags:%s*(%d+)", 8)
    assert.equal(0, flags & 2048) -- O_NONBLOCK
    finish_quickly(app)
  end)

  it("that is closed is no number for a connection", function()
    local app = server.start { script = script, stderr = "closed" }
    local client = http.connect(app)
    quick_get(app, "/line?text=secret")
    assert.is_true(client:is_silent(0.2))
    client:close()
    finish_quickly(app)
  end)

  it("that is a full disk holds up nothing", function()
    local app = server.start { script = script, stderr = "full" }
    quick_get(app, "/lines?n=5000")
    quick_get(app, "/health")
    finish_quickly(app)
  end)

  it("gets everything before the end, in order", function()
    local app = server.start { script = script }
    quick_get(app, "/lines?n=1000")
    local code, _, log = app:finish()
    assert.equal(0, code)
    local last = 0
    for number in log:gmatch "info line (%d+) %.+\n" do
      assert.equal(last + 1, tonumber(number))
      last = last + 1
    end
    assert.equal(1000, last)
  end)

  it("gets what os.exit would cut off", function()
    local app = server.start {
      script = [[
local app = require("moonwire").app {}
app:get("/exit", function() for i = 1, 500 do app.log.info("line %d", i) end os.exit(7) end)
return app]],
    }
    http.connect(app):send(http.format("GET", "/exit"))
    local code, _, log = app:finish "CONT"
    assert.equal(7, code)
    assert.is_truthy(log:find "line 500\n")
  end)
end)

describe("a client that causes errors", function()
  local app
  before_each(function()
    app = server.start(script)
  end)

  local function flood(event, data)
    local client = native.open(app)
    client:subscribe "room:1"
    local before = #app:log()
    local text = ('{"send":"room:1","event":"%s","data":%s,"ref":1}'):format(event, data)
    for i = 1, 300 do
      client:write(text:gsub("%%d", tostring(i)))
    end
    client:take(300)
    client:close()
    return before
  end

  it("does not fill the disk", function()
    local before = flood("say", "null")
    local grown = #app:log() - before
    assert.is_true(grown > 0 and grown < 4000)
    assert.is_string(app:await_log "similar lines were not written: ")
    local _, tracebacks = app:log():gsub("stack traceback", "")
    assert.equal(1, tracebacks)
    app:stop()
  end)

  it("does not fill it with ever new words either", function()
    local before = flood("tell", '"%d"')
    local grown = #app:log() - before
    assert.is_true(grown > 0 and grown < 4000)
    app:stop()
  end)
end)

describe("app.log", function()
  it("raises nothing, whatever it is given", function()
    local app = server.start [[
local app = require("moonwire").app {}
local odd = setmetatable({}, { __tostring = function() error "no" end })
local odder = setmetatable({}, { __tostring = function() return 5 end })
local named = setmetatable({}, { __name = "moonwire.app" })
app:get("/", function()
  local log = app.log
  log() log(nil) log.info() log.info(nil, nil) log.warning(odd) log.error(odder) log(odd, 1)
  log.info("%d", "x") log.info("%d", 1.5) log.info("%s", odd) log.info("%q", {}) log.info("%z", 1) log.info("%s %s", 1)
  log.info("%", 1) log.info(1, 2) log.info({}, 2) log.info(("%99d"):rep(50), 1) log.info(named) log.info(true)
  log.info("\0 \255 \n", 1) log.info("%s", ("x"):rep(100000)) log.info(print, print) log.info(coroutine.create(print))
  log:info("with a colon %d", 7) app:log("by the app") app.log.warn("old %s", "name") app.log(getmetatable(log))
  setmetatable(named, { __metatable = "locked" }) log.info(named) log.info("%s", nil)
  return 200, "ok"
end)
return app]]
    assert.equal(200, http.get(app, "/").status)
    assert.is_string(app:await_log "info with a colon 7")
    assert.is_string(app:await_log "info by the app")
    assert.is_string(app:await_log "warning old name")
    assert.is_string(app:await_log "info %%d x %(not formatted: number expected, got string%)")
    assert.is_string(app:await_log "a table whose __tostring fails")
    app:stop()
  end)
end)

describe("an error is logged with its name and its place", function()
  local app, client
  local script_of_errors = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
local E = { code = "x", message = "thrown table" }
app:on_disconnect(function() error(E) end)
app:channel("thrown", { on_leave = function() error(E) end, on_close = function() error(E) end, linger = 0 })
app:channel("returned", { linger = 0,
  on_leave = function() return false, "refused in leave" end,
  on_close = function() return nil, "db down in close" end })
app:every(0.3, function() error(E) end)
app:after(0.01, function() return nil, "db down in after" end)
app:after(0.01, function() return false, "no in after" end)
app:spawn(function() error(E) end)
app:spawn(function() error { "plain table" } end)
app:spawn(function() error { message = "only a message" } end)
app:spawn(function() error({}) end)
app:spawn(function() error(setmetatable({}, { __tostring = function() return "its own text" end })) end)
app:spawn(function() error() end)
app:spawn(function() error(42) end)
app:spawn(function() return nil, "db down in task" end)
app:get("/later", function() moonwire.sleep(0.01) error { "after a wait" } end)
app:stream("/stream", function(_, stream) stream:on_close(function() return nil, "db down in stream" end) stream:close() end)
app:get("/deep", function() local function deep(n) if n == 0 then error "deep down" end deep(n - 1) return 1 end deep(180000) end)
app:get("/over", function() local function over() return 1 + over() end return over() end)
app:get("/own", function() coroutine.wrap(function() error { "in a coroutine" } end)() end)
app:get("/yield", function() coroutine.yield() end)
return app]]

  setup(function()
    app = server.start(script_of_errors)
    client = native.open(app)
    client:subscribe "thrown"
    client:subscribe "returned"
    client:ask { unsubscribe = "thrown" }
    client:ask { unsubscribe = "returned" }
    client:close()
    for _, path in ipairs { "later", "deep", "over", "own", "yield" } do
      assert.equal(500, http.get(app, "/" .. path).status)
    end
    http.get(app, "/stream")
  end)

  teardown(function()
    app:stop()
  end)

  for _, case in ipairs {
    { "disconnect", "on_disconnect of client [^\n]*app%.lua:4%): [^\n]*thrown table %(x%)" },
    { "leave, thrown", 'on_leave of "thrown" [^\n]*app%.lua:5%): [^\n]*thrown table %(x%)' },
    { "close, thrown", 'on_close of "thrown" [^\n]*app%.lua:5%): [^\n]*thrown table %(x%)' },
    { "leave, returned", 'on_leave of "returned" [^\n]*app%.lua:7%): [^\n]*refused in leave' },
    { "close, returned", 'on_close of "returned" [^\n]*app%.lua:8%): failed: db down in close' },
    { "every", "a timer's handler %([^\n]*app%.lua:9%): thrown table %(x%)" },
    { "after, nil", "a timer's handler %([^\n]*app%.lua:10%): failed: db down in after" },
    { "after, false", "a timer's handler %([^\n]*app%.lua:11%): returned false: no in after" },
    { "task, refusal", "a spawned task %([^\n]*app%.lua:12%): thrown table %(x%)" },
    { "task, list", "a spawned task %([^\n]*app%.lua:13%): plain table" },
    { "task, message", "a spawned task %([^\n]*app%.lua:14%): only a message" },
    { "task, empty", "a spawned task %([^\n]*app%.lua:15%): raised a table without a message" },
    { "task, __tostring", "a spawned task %([^\n]*app%.lua:16%): its own text" },
    { "task, nil", "a spawned task %([^\n]*app%.lua:17%): nil" },
    { "task, number", "a spawned task %([^\n]*app%.lua:18%): 42" },
    { "task, nil and a message", "a spawned task %([^\n]*app%.lua:19%): failed: db down in task" },
    { "after a wait", "handler of GET /later %([^\n]*app%.lua:20%): after a wait" },
    { "a stream's end", "a stream's on_close %([^\n]*app%.lua:21%): failed: db down in stream" },
    { "a deep stack", "handler of GET /deep: [^\n]*app%.lua:22: deep down" },
    { "a stack that overflows", "handler of GET /over: [^\n]*app%.lua:23: stack overflow" },
    { "a coroutine of its own", "handler of GET /own %([^\n]*app%.lua:24%): in a coroutine" },
    { "a stray yield", "handler of GET /yield %([^\n]*app%.lua:25%): [^\n]*coroutine.yield" },
  } do
    it("(" .. case[1] .. ")", function()
      assert.is_string(app:await_log(case[2]) or app:log())
      assert.is_truthy(app:log():find(case[2]), app:log())
    end)
  end

  it("in a traceback of some frames", function()
    local _, frames =
      app:log():match("deep down\n    stack traceback:(.-)%(further levels"):gsub("\n", "")
    assert.is_true(frames < 30)
  end)

  it("and a deep stack costs no seconds", function()
    for _ = 1, 3 do
      http.get(app, "/deep") -- which waits 30 seconds, with sanitizers, on a busy machine
    end
  end)
end)

describe("a debug line", function()
  it("has no secrets, and names the peer", function()
    local app = server.start {
      script = script,
      args = "--listen 127.0.0.1:0 --log-level debug",
    }
    http.get(app, "/sse?channel=no:such&token=s3cret&since=0")
    http.get(app, "/line?text=plain&access_token=s3cret&ticket=s3cret")
    assert.is_string(
      app:await_log "request from 127%.0%.0%.1: GET /sse%?channel=no:such&token=%*%*%*&since=0"
    )
    assert.is_string(
      app:await_log "request from .+ /line%?text=plain&access_token=%*%*%*&ticket=%*%*%*"
    )
    assert.is_string(app:await_log "connect from 127%.0%.0%.1 to 127%.0%.0%.1:%d+")
    local _, _, log = app:finish()
    assert.is_nil(log:find("s3cret", 1, true))
  end)
end)

describe("descriptors", function()
  local function connect_many(app, count)
    local list = {}
    for i = 1, count do
      list[i] = socket.tcp()
      list[i]:connect(app.host, app.port)
    end
    return list
  end

  local function close_all(list)
    for _, connection in ipairs(list) do
      connection:close()
    end
  end

  local function await_health(app)
    local status
    repeat
      local ok, response = pcall(http.get, app, "/health")
      status = ok and response.status
    until status == 200
  end

  it("allow as many connections as ulimit says, less a reserve", function()
    -- The default is for one worker a core.
    local app = server.start { script = script, setup = "ulimit -n 60;", workers = "auto" }
    local list = connect_many(app, 100)
    local line = app:await_log "refused a connection: limits.connections %(%d+%) reached"
    close_all(list)
    assert.is_string(line)
    -- Fewer on a machine with many cores, which may have many workers.
    local count = tonumber(line:match "connections %((%d+)%)")
    assert.is_true(count >= 30 and count <= 36, line)
    await_health(app)
    assert.is_nil(app:log():find "cannot be accepted")
    app:stop()
  end)

  it("that run out are told in the log, and connections are taken again", function()
    local app = server.start {
      script = script:gsub("app {}", "app { limits = { connections = 1000 } }", 1),
      setup = "ulimit -n 60;",
    }
    assert.is_string(
      app:await_log "warning limits.connections %(1000%) exceeds what ulimit %-n %(60%) allows"
    )
    local list = connect_many(app, 100)
    assert.is_string(
      app:await_log "error 127[^\n]+: connections cannot be accepted: [^\n]*raise ulimit %-n"
    )
    local _, count = app:log():gsub("cannot be accepted", "")
    assert.is_true(count < 5)
    close_all(list)
    await_health(app)
    app:stop()
  end)

  it("that are too few at the start are a short message", function()
    if os.getenv "MOONWIRE_PRELOAD" then
      return -- sanitizers need more themselves
    end
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local command =
      "sh -c 'ulimit -n 8; exec timeout 60 lua5.4 bin/moonwire %s --listen 127.0.0.1:0' 2>&1"
    local output = server.run(command:format(path))
    os.remove(path)
    assert.is_truthy(output:find("cannot start: [^\n]*; raise ulimit %-n"))
    assert.is_nil(output:find "traceback")
  end)
end)

describe("a handler that holds the script", function()
  local slow = [[
local app = require("moonwire").app {}
app:authenticate(function(request) if request.query.slow then os.execute "sleep 1.2" end return true end)
app:channel("room:{x}", { authorize = true,
  on_join = function(client) os.execute "sleep 1.2" end,
  on = { say = function() os.execute "sleep 1.2" end } })
app:get("/block", function() os.execute "sleep 2.5" return 200, "done" end)
app:get("/quick", function() return 200, "done" end)
app:get("/spin", function() while true do end end)
app:get("/task", function() app:spawn(function() os.execute "sleep 1.2" end) return 200, "done" end)
app:get("/after", function() app:after(0, function() os.execute "sleep 1.2" end) return 200, "done" end)
return app]]
  local app
  before_each(function()
    app = server.start(slow)
  end)

  it("is named while it runs and when it returns", function()
    http.get(app, "/block")
    assert.is_string(
      app:await_log "handler of GET /block %([^\n]*app%.lua:6%) has been running for %d+%.%d s"
    )
    assert.is_string(app:await_log "handler of GET /block %([^\n]*app%.lua:6%) ran for %d+%.%d s")
    http.get(app, "/quick")
    assert.is_nil(app:log():find "quick")
    app:stop()
  end)

  it("is named if it never returns", function()
    http.connect(app):send(http.format("GET", "/spin"))
    assert.is_string(app:await_log "handler of GET /spin %([^\n]*app%.lua:8%) has been running")
    app:signal "KILL"
    app:finish()
  end)

  it("is named by its hook, task or timer", function()
    http.get(app, "/task")
    assert.is_string(app:await_log "a spawned task %([^\n]*app%.lua:9%) ran for %d+%.")
    http.get(app, "/after")
    assert.is_string(app:await_log "a timer's handler %([^\n]*app%.lua:10%) ran for %d+%.")
    local client = native.open(app, { target = "/ws?slow=1" })
    client:subscribe "room:1"
    client:ask { send = "room:1", event = "say" }
    assert.is_string(app:await_log "authenticate of GET /ws %([^\n]*app%.lua:2%) ran for %d+%.")
    assert.is_string(app:await_log 'on_join of "room:1" %([^\n]*app%.lua:4%) ran for %d+%.')
    assert.is_string(app:await_log 'on%.say of "room:1" %([^\n]*app%.lua:5%) ran for %d+%.')
    client:close()
    app:stop()
  end)
end)
