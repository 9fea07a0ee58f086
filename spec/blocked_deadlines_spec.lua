-- A handler that computes for longer than a deadline: what arrives in the meantime is read before the deadline decides.
local server = require "spec.support.server"
local http = require "spec.support.http"

-- The handler connects, as clients do, and blocks the server when it has been accepted.
local script = [[
local moonwire = require "moonwire"
local socket = require "socket"
local app = moonwire.app { limits = { head_seconds = 2, idle_seconds = 2 } }

local request = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"

local function read(client)
  moonwire.wait(client, "r", 20)
  return (select(2, client:receive "*a") or "reset") == "timeout" and "answered" or "closed"
end

local function connect(port)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(0)
  return client
end

app:get("/hello", function() return "hello" end)
app:get("/block/{port}", function(request_of_spec)
  local port = tonumber(request_of_spec.params.port)
  local new, kept = connect(port), connect(port)
  kept:send(request)
  read(kept)
  new:send(request)
  kept:send(request)
  socket.sleep(3.2)
  return { new = read(new), kept = read(kept) }
end)
return app
]]

describe("a handler that blocks the server for longer than a deadline", function()
  it("does not disconnect clients whose requests have arrived", function()
    local app = server.start { script = script }
    local seen
    for _ = 1, 3 do -- on a machine that stands still, a deadline may pass before the requests arrive
      seen = http.get(app, "/block/" .. app.port).body
      if seen == '{"kept":"answered","new":"answered"}\n' then
        break
      end
    end
    assert.equal('{"kept":"answered","new":"answered"}\n', seen)
    app:stop()
  end)
end)
