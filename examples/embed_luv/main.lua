-- A program with the event loop of luv: a TCP server for old clients that send lines of text. moonwire
-- runs on the same loop. Each line is published to the channel "lines", and what subscribers say goes
-- to all TCP clients.
--
--     lua5.4 examples/embed_luv/main.lua [ADDRESS [TCP-PORT [WORKERS]]]

local attach = require "moonwire.attach.luv"
local moonwire = require "moonwire"
local uv = require "luv"

local address, tcp_port = arg[1] or "127.0.0.1:8080", tonumber(arg[2] or 7000)
local peers = {} -- TCP clients

local app = moonwire.app {}

app:channel("lines", {
  history = { size = 100, replay = 20 },
  on = {
    say = function(_, _, message)
      local text = type(message.data) == "table" and message.data.text
      if type(text) ~= "string" then
        return false, "text is missing"
      end
      for peer in pairs(peers) do
        peer:write(text .. "\n")
      end
    end,
  },
})

-- ---- The program's own part -------------------------------------------------------------------

local LINE_MAX = 1000

local function serve(peer)
  local rest = ""
  peers[peer] = true
  peer:read_start(function(err, bytes)
    rest = rest .. (bytes or "")
    for line in rest:gmatch "([^\n]*)\n" do
      app:publish("lines", "line", { text = line })
    end
    rest = rest:match "[^\n]*$"
    if err or not bytes or #rest > LINE_MAX then
      peers[peer] = nil
      peer:close()
    end
  end)
end

local tcp = uv.new_tcp()
assert(tcp:bind("127.0.0.1", tcp_port))
assert(tcp:listen(128, function(err)
  assert(not err, err)
  local peer = uv.new_tcp()
  tcp:accept(peer)
  serve(peer)
end))

-- ---- Both on one loop -------------------------------------------------------------------------

local signals = {}

-- The loop ends when nothing on it is open.
local function stop()
  app:stop()
  tcp:close()
  for peer in pairs(peers) do
    peer:close()
  end
  for _, signal in ipairs(signals) do
    signal:close()
  end
end

for i, name in ipairs { "sigint", "sigterm" } do
  signals[i] = uv.new_signal()
  signals[i]:start(name, stop)
end

assert(app:listen(address, { workers = tonumber(arg[3] or 1) }))
attach(app)
print("listening on http://" .. app:address())
print("lines are taken at 127.0.0.1:" .. tcp:getsockname().port)
print "ready"
io.stdout:flush()
uv.run()
