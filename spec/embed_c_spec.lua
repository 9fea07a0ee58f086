-- The C program of examples/embed_c: channels over Server-Sent Events and WebSocket, without Lua.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local flavour = os.getenv "MOONWIRE_FLAVOUR" or "release"
local folder, program

-- Runs a shell command and returns what it printed, and whether it went well.
local function run(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1"))
  local output = pipe:read "a"
  return output, pipe:close()
end

local function signal(self, name)
  self.signalled = true
  run(("kill -%s %d"):format(name, self.pid))
end

-- Starts the program at a port of the system's choice.
local function start(mode)
  -- The shell tells the process before the program can tell anything.
  local words = [[sh -c 'echo $$; exec "$0" "$@"' %s %s 127.0.0.1:0; echo "exit $?"]]
  local pipe = assert(io.popen(words:format(program, mode)))
  local self = { pipe = pipe, pid = assert(tonumber(pipe:read "l")) }
  -- A spec that failed leaves its program running, and Lua would wait for it at the end.
  self.guard = setmetatable({}, {
    __gc = function()
      if not self.finished then
        run("kill -KILL " .. self.pid)
      end
    end,
  })
  self.host, self.port = pipe:read("l"):match "^listening on ([%d.]+):(%d+)$"
  self.port = assert(tonumber(self.port))
  return self
end

-- Ends it and returns what it had still to say: "exit 0" says that the library gave everything back.
local function finish(self)
  if not self.signalled then
    signal(self, "TERM")
  end
  local output = self.pipe:read "a"
  self.pipe:close()
  self.finished = true
  return output
end

describe("the C program of the example", function()
  setup(function()
    folder = run("mktemp -d"):gsub("%s+$", "")
    program = folder .. "/embed_c"
    local flags = flavour == "asan" and "-g -fsanitize=address,undefined" or "-O2"
    local command = "make -s -C examples/embed_c FLAVOUR=%s CFLAGS='-Werror %s' OUT=%s"
    local output, ok = run(command:format(flavour, flags, program))
    assert(ok, output)
  end)

  teardown(function()
    run("rm -rf " .. folder)
  end)

  for mode, name in pairs { [""] = "on a libuv loop of its own", ["--poll"] = "stepped by poll" } do
    describe(name, function()
      local server

      before_each(function()
        server = start(mode)
      end)

      after_each(function()
        assert.equal("exit 0\n", finish(server))
      end)

      it("answers what a client says, and tells everybody", function()
        local listener = sse.open(server, "/sse?channel=room:1")
        listener:cursor()
        local client = websocket.open(server)
        client:subscribe "room:1"
        local answer = client:ask { send = "room:1", event = "say", data = { text = "hello" } }
        local event = listener:event()
        assert.equal("said", event.event)
        assert.equal('{"text":"hello"}', event.data)
        assert.equal(event.id, answer.ok.id)

        local response = http.request(server, "POST", "/send", {
          headers = { ["Content-Type"] = "application/json" },
          body = '{"send":"room:1","event":"say","data":2}',
        })
        assert.equal(200, response.status)
        assert.equal(listener:event().id, dkjson.decode(response.body).ok.id)
        client:tell_bytes({ send = "room:1", event = "say" }, "a\0b")
        assert.equal("YQBi", dkjson.decode(listener:event().data).base64)
        client:close()
        listener:close()
      end)

      it("refuses what it does not know", function()
        local client = websocket.open(server)
        client:subscribe "room:1"
        assert.equal("unknown_event", client:ask({ send = "room:1", event = "shout" }).error.code)
        assert.equal("not_found", client:ask({ subscribe = "hall" }).error.code)
        client:close()
      end)

      it("ticks", function()
        local listener = sse.open(server, "/sse?channel=clock")
        local first = dkjson.decode(listener:event().data).tick
        local second = dkjson.decode(listener:event().data).tick
        assert.equal(first + 1, second)
        listener:close()
      end)

      it("stops while clients are there", function()
        local listener = sse.open(server, "/sse?channel=room:1")
        listener:cursor()
        local client = websocket.open(server)
        client:subscribe "room:1"
        signal(server, "INT")
        while listener:next() do
        end
        local object, code = client:next()
        assert.is_nil(object)
        assert.equal(1001, code)
      end)
    end)
  end

  it("says why it does not start", function()
    local output, ok = run(program .. " nowhere")
    assert.is_nil(ok)
    assert.truthy(output:find('cannot listen on "nowhere"', 1, true))
  end)
end)
