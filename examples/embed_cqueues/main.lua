-- A program with the event loop of cqueues: a TCP server for old clients that send lines of text.
-- moonwire runs on the same loop. Each line is published to the channel "lines", and what subscribers
-- say goes to all TCP clients.
--
--     lua5.4 examples/embed_cqueues/main.lua [ADDRESS [TCP-PORT [WORKERS]]]

local attach = require "moonwire.attach.cqueues"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local moonwire = require "moonwire"
local signal = require "cqueues.signal"
local socket = require "cqueues.socket"

local address, tcp_port = arg[1] or "127.0.0.1:8080", tonumber(arg[2] or 7000)
local queue = cqueues.new()
local peers = {} -- for each TCP client, what it must still receive

local app = moonwire.app {}

local LINE_MAX, WAITING_MAX = 1000, 100

-- A handler cannot wait for the queue. It leaves its work to a coroutine of the queue.
app:channel("lines", {
  history = { size = 100, replay = 20 },
  on = {
    say = function(_, _, message)
      local text = type(message.data) == "table" and message.data.text
      if type(text) ~= "string" then
        return false, "text is missing"
      end
      for _, waiting in pairs(peers) do
        if #waiting < WAITING_MAX then
          table.insert(waiting, text .. "\n")
        end
        waiting.changed:signal()
      end
    end,
  },
})

-- ---- The program's own part -------------------------------------------------------------------

local function write_all(peer, waiting)
  while not waiting.closed do
    while waiting[1] do
      peer:write(table.remove(waiting, 1))
    end
    waiting.changed:wait()
  end
end

local function serve(peer)
  local waiting = { changed = condition.new() }
  peers[peer] = waiting
  peer:setmode("tn", "bn")
  peer:setmaxline(LINE_MAX)
  peer:onerror(function(_, _, code)
    return code -- instead of raising it
  end)
  queue:wrap(write_all, peer, waiting)
  for line in peer:lines "*l" do
    app:publish("lines", "line", { text = line })
  end
  peers[peer], waiting.closed = nil, true
  waiting.changed:signal()
  peer:close()
end

local tcp = socket.listen { host = "127.0.0.1", port = tcp_port, nodelay = true }
assert(tcp:listen())

local stopping, stopped = false, condition.new()

queue:wrap(function()
  local ready = { pollfd = tcp:pollfd(), events = "r" }
  repeat
    local peer = tcp:accept(0)
    if peer then
      queue:wrap(serve, peer)
    else
      cqueues.poll(ready, stopped)
    end
  until stopping
  tcp:close()
end)

-- ---- Both on one loop -------------------------------------------------------------------------

signal.block(signal.SIGINT, signal.SIGTERM)
queue:wrap(function()
  signal.listen(signal.SIGINT, signal.SIGTERM):wait()
  app:stop()
  stopping = true
  stopped:signal()
  for peer in pairs(peers) do
    peer:shutdown "r"
  end
end)

assert(app:listen(address, { workers = tonumber(arg[3] or 1) }))
attach(app, queue)
print("listening on http://" .. app:address())
print("lines are taken at 127.0.0.1:" .. select(3, tcp:localname()))
print "ready"
io.stdout:flush()
assert(queue:loop())
