-- An app inside a program that turns the loop itself.

local http = require "spec.support.http"
local moonwire = require "moonwire"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

-- Turns the app's loop until `condition` holds, waiting as a host program would.
local function turn(app, condition)
  local deadline = socket.gettime() + 30
  local descriptor = {
    getfd = function()
      return app:fd()
    end,
  }
  while not condition() do
    assert(socket.gettime() < deadline, "time-out")
    local timeout = math.min(app:timeout() or 1, 1)
    socket.select({ descriptor }, nil, timeout)
    app:step()
  end
end

local function stop(app)
  app:stop()
  local deadline = socket.gettime() + 30
  while app:step() do
    assert(socket.gettime() < deadline, "the app does not stop")
  end
end

-- Sends a request and returns all that came back when the peer closes.
local function ask(app, target)
  local host, port = app:address():match "^(.*):(%d+)$"
  local connection = assert(socket.connect(host, tonumber(port)))
  connection:settimeout(0)
  connection:send(("GET %s HTTP/1.0\r\n\r\n"):format(target))
  local text = ""
  turn(app, function()
    local data, fault, partial = connection:receive(4096)
    text = text .. (data or partial)
    return fault == "closed"
  end)
  connection:close()
  return text
end

describe("an embedded app", function()
  local function started(define)
    local app = moonwire.app {}
    if define then
      define(app)
    end
    assert(app:listen "127.0.0.1:0")
    return app
  end

  it("is turned by its host", function()
    local app = started(function(app)
      app:get("/", function()
        moonwire.sleep(0.01)
        return "hello"
      end)
    end)
    assert.matches("\r\n\r\nhello$", ask(app, "/"))
    stop(app)
    assert.is_false(app:step())
  end)

  it("has an address for each listener", function()
    local app = started()
    assert(app:listen "[::1]:0")
    assert.matches("^127%.0%.0%.1:%d+$", app:address())
    assert.matches("^%[::1%]:%d+$", app:address(2))
    assert.is_nil(app:address(3))
    stop(app)
  end)

  it("is told of an address that cannot be had", function()
    local first = started()
    local second = moonwire.app {}
    local ok, message = second:listen(first:address())
    assert.is_nil(ok)
    assert.is_string(message)
    stop(first)
    stop(second)
  end)

  it("runs what was asked for before the start", function()
    local seen = {}
    local app = moonwire.app {}
    app:spawn(function(...)
      seen.spawned = select("#", ...)
    end, 1, nil)
    app:after(0, function()
      seen.after = true
    end)
    app
      :after(0, function()
        seen.cancelled = true
      end)
      :cancel()
    app:every(0.001, function()
      seen.every = (seen.every or 0) + 1
    end)
    assert(app:listen "127.0.0.1:0")
    turn(app, function()
      return seen.spawned and seen.after and (seen.every or 0) > 2
    end)
    assert.equal(2, seen.spawned)
    assert.is_nil(seen.cancelled)
    stop(app)
  end)

  it("can be run to its end, by a handler that stops it", function()
    local app = moonwire.app {}
    app:after(0.001, function()
      app:stop()
    end)
    app:run { listen = "127.0.0.1:0" }
    assert.has_error(function()
      app:run()
    end)
  end)

  it("ends its tasks when it stops", function()
    local seen = {}
    local app = started()
    app:spawn(function()
      local _ <close> = setmetatable({}, {
        __close = function()
          seen.closed = true
        end,
      })
      seen.waiting = true
      seen.ok, seen.why = moonwire.sleep(1000)
      pcall(moonwire.sleep, 1)
      seen.never = true
    end)
    turn(app, function()
      return seen.waiting
    end)
    stop(app)
    assert.equal("closed", seen.why)
    assert.is_true(seen.closed)
    assert.is_nil(seen.never)
  end)

  it("cannot be turned by its own handlers", function()
    local app = started()
    local messages = {}
    app:spawn(function()
      for name, call in pairs { step = app.step, run = app.run } do
        messages[name] = select(2, pcall(call, app))
      end
    end)
    turn(app, function()
      return messages.step and messages.run
    end)
    for name, message in pairs(messages) do
      assert.matches(
        ("lua_embed_spec.lua:%%d+: app:%s: cannot be called from a handler"):format(name),
        message
      )
    end
    stop(app)
  end)

  it("takes no definition while it runs, and publishes nothing afterwards", function()
    local app = started(function(app)
      app:channel("a")
    end)
    for _, define in ipairs { app.channel, app.get, app.stream, app.static } do
      local _, message = pcall(define, app, "/b", define == app.static and "/" or print)
      assert.is_truthy(
        message:find("the app is running", 1, true) or message:find "options must be",
        message
      )
    end
    assert.is_string(app:publish("a", "b", 1))
    stop(app)
    assert.has_error(function()
      app:publish("a", "b", 1)
    end)
    local ok, _, code = app:spawn(print)
    assert.is_nil(ok)
    assert.equal("unavailable", code)
  end)

  it("lives beside others of its kind", function()
    local first = started(function(app)
      app:get("/", function()
        return "first"
      end)
    end)
    local second = started(function(app)
      app:get("/", function()
        return "second"
      end)
    end)
    assert.matches("first$", ask(first, "/"))
    assert.matches("second$", ask(second, "/"))
    stop(first)
    stop(second)
  end)

  it("is given back with the state it lives in", function()
    local script = [[
      local app = require("moonwire").app {}
      app:every(0.001, function() require("moonwire").sleep(10) end)
      app:channel("a", { history = { size = 1 } })
      assert(app:listen "127.0.0.1:0")
      app:publish("a", "b", 1)
      for _ = 1, 100 do app:step() end]]
    local command = ("%s -e 'package.path=%q package.cpath=%q' -e '%s'"):format(
      "lua5.4",
      package.path,
      package.cpath,
      script
    )
    assert.is_true(os.execute(command))
  end)
end)

describe("app:run in a program of plain Lua", function()
  local function start(lines)
    return server.start {
      plain = true,
      script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "secret", limits = { drain_seconds = 1 } }
app:channel("news", { history = { size = 1 } })
app:get("/stuck", function() app.log.info("stuck") while true do end end)
]] .. (lines or "") .. [[
app:run { listen = { "127.0.0.1:0", "unix:" .. arg[0] .. ".sock" }, private = "127.0.0.1:0" }
print "after run"
]],
    }
  end

  it("prints what the command prints", function()
    local app = start "assert(app:listen('127.0.0.1:0', { private = true }))"
    local lines = table.concat(app.startup, "\n"):gsub(app.folder:gsub("%p", "%%%0"), "{folder}")
    assert.equal(
      [[
moonwire 0.1.0
listening on http://127.0.0.1:PORT (private)
listening on http://127.0.0.1:PORT
listening on unix:{folder}/app.lua.sock
listening on http://127.0.0.1:PORT (private)
channel news: open to everyone, history of 1, new subscribers get 1
route GET /stuck
publishing over HTTP: POST /publish with publish_key, on the private listener only
ready]],
      (lines:gsub(":%d%d%d+", ":PORT"))
    )
    app:stop()
  end)

  it("stops on SIGINT and SIGTERM, and returns", function()
    for _, signal in ipairs { "INT", "TERM" } do
      local app = start [[
app:channel("room", { on_leave = function() app.log.info "left" end })
app:on_disconnect(function() app.log.info "disconnected" end)
]]
      local stream = sse.open(app, "/sse?channel=room")
      stream:cursor()
      app:signal "HUP"
      assert.is_string(app:await_log "SIGHUP is ignored")
      local code, output, log = app:finish(signal)
      assert.equal(0, code)
      assert.matches("after run", output)
      assert.matches("stopping %(SIG" .. signal .. "%)", log)
      assert.matches("left.*disconnected", log)
      stream:close()
    end
  end)

  it("ends at the second signal, even while a handler never returns", function()
    local app = start()
    local connection = http.connect(app)
    connection:send(http.format("GET", "/stuck"))
    assert.is_truthy(app:await_log "stuck")
    app:signal "TERM"
    app:await_signal(15)
    assert.equal(143, (app:finish "TERM"))
    connection:close()
  end)

  it("leaves the signals as they were", function()
    local app = server.start {
      plain = true,
      setup = "trap '' HUP;", -- as nohup does
      script = [[
local moonwire = require "moonwire"
local function dispositions()
  local status = io.open "/proc/self/status":read "a"
  local function of_ours(name) -- SIGHUP, SIGINT, SIGTERM
    return tonumber(status:match(name .. ":%s*(%x+)"), 16) & 0x4003
  end
  return of_ours "SigIgn" .. " " .. of_ours "SigCgt"
end
local before = dispositions()
for i = 1, 2 do
  local app = moonwire.app {}
  app:after(i == 1 and 0 or 1e6, function() app:stop() end)
  app:run { listen = "127.0.0.1:0" }
  io.stderr:write("run ", i, " ", tostring(dispositions() == before), "\n")
end
]],
    }
    assert.is_string(app:await_log "run 1 true")
    local code, _, log = app:finish "INT"
    assert.equal(0, code)
    assert.matches("run 2 true", log)
  end)
end)

describe("waiting", function()
  it("outside of a task is refused with what to do", function()
    local _, message = pcall(moonwire.sleep, 1)
    assert.matches("cannot wait outside of a task; use app:spawn", message)
  end)
end)
