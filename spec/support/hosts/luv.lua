-- A program's own work on the event loop of luv. cqueues.lua has the same functions.

local attach = require "moonwire.attach.luv"
local uv = require "luv"

local host = { attach = attach }
local handles = {}

local function keep(handle)
  handles[handle] = true
  return handle
end

local function close(handle)
  handles[handle] = nil
  if not handle:is_closing() then
    handle:close()
  end
end

-- Answers each line of each TCP client by what `answer(line)` returns. Returns the port.
function host.serve(answer)
  local tcp = keep(uv.new_tcp())
  assert(tcp:bind("127.0.0.1", 0))
  assert(tcp:listen(128, function()
    local peer, rest = keep(uv.new_tcp()), ""
    tcp:accept(peer)
    peer:read_start(function(err, bytes)
      rest = rest .. (bytes or "")
      for line in rest:gmatch "([^\n]*)\n" do
        peer:write(answer(line) .. "\n")
      end
      rest = rest:match "[^\n]*$"
      if err or not bytes then
        close(peer)
      end
    end)
  end))
  return tcp:getsockname().port
end

function host.after(seconds, fn)
  local timer = keep(uv.new_timer())
  timer:start(math.floor(seconds * 1000), 0, function()
    close(timer)
    fn()
  end)
end

-- Calls fn in each iteration from now on.
function host.busy(fn)
  keep(uv.new_idle()):start(fn)
end

-- Ends the program's own work; the loop then ends by itself, with all others.
function host.finish()
  for handle in pairs(handles) do
    close(handle)
  end
end

-- Leaves the loop, although there is work.
function host.leave()
  uv.stop()
end

function host.run()
  uv.run()
end

return host
