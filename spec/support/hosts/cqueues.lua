-- A program's own work on an event loop of cqueues. luv.lua has the same functions.

local attach = require "moonwire.attach.cqueues"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local host = {}
local queue = cqueues.new()
local ended, ending, left = false, condition.new(), false
local peers = {}

function host.attach(app)
  return attach(app, queue)
end

local function serve(peer, answer)
  peers[peer] = true
  peer:setmode("tn", "bn")
  for line in peer:lines "*l" do
    peer:write(answer(line) .. "\n")
  end
  peers[peer] = nil
  peer:close()
end

function host.serve(answer)
  local tcp = socket.listen { host = "127.0.0.1", port = 0, nodelay = true }
  assert(tcp:listen())
  queue:wrap(function()
    local ready = { pollfd = tcp:pollfd(), events = "r" }
    while not ended do
      local peer = tcp:accept(0)
      if peer then
        queue:wrap(serve, peer, answer)
      else
        cqueues.poll(ready, ending)
      end
    end
    tcp:close()
  end)
  return (select(3, tcp:localname()))
end

function host.after(seconds, fn)
  queue:wrap(function()
    cqueues.sleep(seconds)
    fn()
  end)
end

function host.busy(fn)
  queue:wrap(function()
    while not ended do
      fn()
      cqueues.poll(0)
    end
  end)
end

function host.finish()
  ended = true
  ending:signal()
  for peer in pairs(peers) do
    peer:shutdown "r"
  end
end

function host.leave()
  left = true
end

function host.run()
  left = false
  while not left and not queue:empty() do
    assert(queue:step())
  end
end

return host
