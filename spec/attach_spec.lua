-- An app on the event loop of a program: luv's, and that of cqueues. The program serves lines over TCP,
-- which are its own work, and commands of the spec.

local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local PROGRAM = [[
local host = dofile("spec/support/hosts/" .. arg[1] .. ".lua")
local moonwire = require "moonwire"
local app = moonwire.app { limits = { drain_seconds = 5 } }
local app_turns, host_turns = 0, 0

app:channel("news", { history = { size = 100 }, on = {
  say = function(_, channel, message)
    return { id = channel:publish("said", message.data) }
  end,
} })
app:get("/", function() return "hello" end)
app:get("/wait", function()
  app.log.info "waiting"
  local ok, why = moonwire.sleep(1000)
  app.log.info("woken: " .. tostring(why))
end)
app:get("/stop", function() app:stop() return "stopping" end)
assert(app:listen("127.0.0.1:0", { workers = tonumber(arg[2]) }))

local commands = {}
local attachment = host.attach(app)

function commands.echo(text) return text end
function commands.publish(text) return app:publish("news", "line", text) end
function commands.after()
  app:after(0.02, function() app:publish("news", "line", "app") end)
  host.after(0.2, function() app:publish("news", "line", "host") end)
  return "set"
end
function commands.listen()
  assert(app:listen "127.0.0.1:0")
  return app:address(2)
end
-- Each side has something to do in each iteration.
function commands.load()
  app:spawn(function() while moonwire.sleep(0) do app_turns = app_turns + 1 end end)
  host.busy(function() host_turns = host_turns + 1 end)
  return "loaded"
end
function commands.turns() return app_turns .. " " .. host_turns end
function commands.stop() app:stop() return "stopping" end
function commands.detach() attachment:detach() return "detached" end
function commands.attach() attachment = host.attach(app) return "attached" end
function commands.steps()
  for _ = 1, 200 do app:step() end
  return "stepped"
end
function commands.raises()
  return select(2, pcall(host.attach, app)) .. "; " .. select(2, pcall(app.run, app))
end
function commands.running() return tostring((pcall(app.fd, app))) end
function commands.finish() host.after(0.01, host.finish) return "finishing" end
function commands.leave() host.leave() return "left" end

local port = host.serve(function(line)
  local name, text = line:match "^(%l+) ?(.*)$"
  return tostring(commands[name](text))
end)
print("listening on http://" .. app:address())
print("port " .. port)
print "ready"
io.stdout:flush()
host.run()
if arg[3] == "stop" then -- the loop has been left
  app:stop()
  while app:step() do end
  print "stopped"
  host.finish()
  host.run()
end
print("at the end", pcall(app.fd, app))
]]

local function start(kind, workers, after)
  local program = server.start {
    plain = true,
    script = PROGRAM,
    args = ("%s %d %s"):format(kind, workers, after or ""),
  }
  local port = table.concat(program.startup, "\n"):match "port (%d+)"
  function program.connect()
    local connection = assert(socket.connect("127.0.0.1", tonumber(port)))
    connection:settimeout(60)
    return connection
  end
  local control = program.connect()
  function program.tell(line)
    assert(control:send(line .. "\n"))
    return assert(control:receive "*l")
  end
  return program
end

-- Lets the program end by itself.
local function finish(program)
  program.tell "finish"
  local code, output, log = program:finish "0" -- no signal
  assert.equal(0, code, log)
  return output, log
end

local function expect_working(program)
  assert.equal("hello", http.get(program, "/").body)
  assert.equal("again", program.tell "echo again")
end

for _, kind in ipairs { "luv", "cqueues" } do
  for workers = 1, 2 do
    describe(("moonwire.attach.%s with %d workers"):format(kind, workers), function()
      it("serves clients beside the program's own", function()
        local program = start(kind, workers)
        local stream = sse.open(program, "/sse?channel=news")
        stream:cursor()
        local client = websocket.open(program)
        client:subscribe "news"
        for i = 1, 20 do
          assert.equal("b" .. i, program.tell("echo b" .. i))
          local id = program.tell("publish p" .. i)
          assert.equal(id, stream:event().id)
          local answer = client:ask { send = "news", event = "say", data = i }
          assert.equal(answer.ok.id, stream:event().id)
        end
        -- a timer that the program sets while the app has nothing to do
        assert.equal("set", program.tell "after")
        assert.equal('"app"', stream:event().data)
        assert.equal('"host"', stream:event().data)
        -- and a listener
        local _, port = program.tell("listen"):match "^(.*):(%d+)$"
        assert.equal("hello", http.get({ host = "127.0.0.1", port = tonumber(port) }, "/").body)
        client:close()
        stream:close()
        program.tell "stop"
        finish(program)
      end)

      it("takes turns with a program that never waits, and leaves it its turns", function()
        local program = start(kind, workers)
        program.tell "load"
        for _ = 1, 20 do
          expect_working(program)
        end
        local app_turns, host_turns = program.tell("turns"):match "^(%d+) (%d+)$"
        local share = tonumber(app_turns) / tonumber(host_turns)
        assert.is_true(share > 0.1 and share < 10, ("%s to %s"):format(app_turns, host_turns))
        program.tell "stop"
        finish(program)
      end)

      it("ends before the program does, whose descriptors work", function()
        local program = start(kind, workers)
        local stream = sse.open(program, "/sse?channel=news")
        stream:cursor()
        local waiting = http.connect(program)
        waiting:send(http.format("GET", "/wait"))
        assert.is_string(program:await_log "waiting")
        http.get(program, "/stop")
        while stream:next() do
        end
        waiting:close()
        assert.is_string(program:await_log "woken: closed")
        repeat
          local running = program.tell "running"
        until running == "false"
        -- those that the app had are used again
        local peers = {}
        for i = 1, 20 do
          peers[i] = program.connect()
        end
        for i, peer in ipairs(peers) do
          assert(peer:send("echo " .. i .. "\n"))
          assert.equal(tostring(i), peer:receive "*l")
          peer:close()
        end
        assert.matches("at the end\tfalse", finish(program))
        stream:close()
      end)

      it("is stepped to its end after the program has left its loop", function()
        local program = start(kind, workers, "stop")
        local stream = sse.open(program, "/sse?channel=news")
        stream:cursor()
        program.tell "leave"
        while stream:next() do
        end
        stream:close()
        local code, output, log = program:finish "0"
        assert.equal(0, code, log)
        assert.matches("stopped.*at the end\tfalse", output)
      end)

      it("may be left running", function()
        local program = start(kind, workers)
        local stream = sse.open(program, "/sse?channel=news")
        stream:cursor()
        local waiting = http.connect(program)
        waiting:send(http.format("GET", "/wait"))
        assert.is_string(program:await_log "waiting")
        program.tell "leave"
        local code, output, log = program:finish "0"
        assert.equal(0, code, log)
        assert.matches("at the end\ttrue", output)
        stream:close()
        waiting:close()
      end)
    end)
  end

  describe("moonwire.attach." .. kind, function()
    it("can be detached, and attached again", function()
      local program = start(kind, 1)
      assert.equal("detached", program.tell "detach")
      local connection = http.connect(program)
      connection:send(http.format("GET", "/"))
      assert.equal("still here", program.tell "echo still here")
      assert.is_true(connection:is_silent(0.05))
      program.tell "steps"
      assert.equal("hello", connection:read_response("GET").body)
      assert.equal("attached", program.tell "attach")
      expect_working(program)
      local raised = program.tell "raises"
      assert.matches(
        "app.lua:%d+: moonwire.attach." .. kind .. ": the app is attached already",
        raised
      )
      assert.matches("app:run: the app is attached to an event loop", raised)
      program.tell "stop"
      finish(program)
      connection:close()
    end)

    it("wants an app that listens", function()
      local moonwire = require "moonwire"
      local attach = require("moonwire.attach." .. kind)
      local queue = kind == "cqueues" and require("cqueues").new() or nil
      for given, message in pairs {
        [moonwire.app {}] = "the app is not running yet; call app:listen first",
        [42] = "argument 1 must be an app, got 42",
      } do
        local _, raised = pcall(attach, given, queue)
        assert.equal(
          ("attach_spec.lua:%d: moonwire.attach.%s: %s"):format(1, kind, message),
          (raised:gsub("^.*/", ""):gsub(":%d+:", ":1:", 1))
        )
      end
    end)
  end)
end

describe("app:listen", function()
  it("takes the number of workers at the first call", function()
    local app = require("moonwire").app {}
    assert(app:listen("127.0.0.1:0", { workers = 2 }))
    local _, message = pcall(app.listen, app, "127.0.0.1:0", { workers = 2 })
    assert.matches("attach_spec.lua:%d+: app:listen: option 'workers': the app is running", message)
    app:stop()
    while app:step() do
      socket.select(nil, nil, 0.001)
    end
  end)
end)
