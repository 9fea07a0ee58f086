-- The programs of examples/ that have an event loop of their own: embed_luv, embed_cqueues, and, in C,
-- embed_lua.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local flavour = os.getenv "MOONWIRE_FLAVOUR" or "release"

local function expect_end(program, signal)
  local code, _, log = program:finish(signal)
  assert.equal(0, code, log)
  assert.equal("", log)
end

for _, name in ipairs { "embed_luv", "embed_cqueues" } do
  describe("examples/" .. name, function()
    for workers = 1, 2 do
      it(("joins TCP clients and subscribers, with %d workers"):format(workers), function()
        local program = server.start {
          plain = true,
          path = ("examples/%s/main.lua"):format(name),
          args = "127.0.0.1:0 0 " .. workers,
        }
        local port = table.concat(program.startup, "\n"):match "lines are taken at 127.0.0.1:(%d+)"
        local peer = assert(socket.connect("127.0.0.1", tonumber(port)))
        peer:settimeout(60)
        local stream = sse.open(program, "/sse?channel=lines")
        stream:cursor()
        peer:send "one\ntwo\nthr"
        assert.equal('{"text":"one"}', stream:event().data)
        assert.equal('{"text":"two"}', stream:event().data)
        peer:send "ee\n"
        assert.equal('{"text":"three"}', stream:event().data)

        local client = websocket.open(program)
        client:subscribe "lines"
        for i = 1, 5 do
          local text = "line " .. i
          assert.is_true(client:ask({ send = "lines", event = "say", data = { text = text } }).ok)
          assert.equal(text, peer:receive "*l")
        end
        assert.is_table(client:ask({ send = "lines", event = "say", data = 1 }).error)
        program:signal "TERM"
        while stream:next() do
        end
        assert.is_nil((client:next()))
        expect_end(program, "0") -- it ends by itself
        assert.is_nil((peer:receive "*l"))
      end)
    end
  end)
end

describe("examples/embed_lua", function()
  local folder, command

  setup(function()
    folder = server.run "mktemp -d"
    command = folder .. "/embed_lua"
    local flags = flavour == "asan" and "-g -fsanitize=address,undefined" or "-O2"
    local make = "make -s -C examples/embed_lua CFLAGS='-Werror %s' OUT=%s 2>&1 || echo failed"
    assert.equal("", server.run(make:format(flags, command)))
  end)

  teardown(function()
    server.run("rm -rf " .. folder)
  end)

  for workers = 1, 2 do
    it(("publishes what the C program measures, with %d workers"):format(workers), function()
      local program = server.start {
        command = command,
        path = "examples/embed_lua/app.lua",
        args = "127.0.0.1:0 " .. workers,
      }
      local stream = sse.open(program, "/sse?channel=measured&channel=uptime&since=0")
      local seen = {}
      while not (seen.seconds and (seen.value or 0) > 2) do
        local event = stream:event()
        seen[event.event] = dkjson.decode(event.data)
      end
      program:signal "INT"
      while stream:next() do
      end
      expect_end(program, "0")
    end)
  end

  it("ends cleanly when its script fails, in the midst of everything", function()
    local script = folder .. "/bad.lua"
    local file = assert(io.open(script, "w"))
    file:write [[
local app = require("moonwire").app {}
require("luv").new_timer():start(0, 1, print)
app:every(0.001, print)
assert(app:listen("127.0.0.1:0", { workers = tonumber(arg[1]) }))
require "moonwire.attach.luv"(app)
for _ = 1, 3 do app:step() end
error "on purpose"
]]
    file:close()
    for workers = 1, 2 do
      local line = "LUA_PATH=%s LUA_CPATH=%s %s %s %d 2>&1; echo exit $?"
      local cpath = package.cpath:gsub("%./build/%w+/", "./build/" .. flavour .. "/")
      local output = server.run(
        line:format(server.quote(package.path), server.quote(cpath), command, script, workers)
      )
      assert.matches("bad.lua:7: on purpose.*exit 1$", output)
      assert.is_nil(output:find "open handles" or output:find "Sanitizer", output)
    end
  end)
end)
