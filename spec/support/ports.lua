-- Ports for programs that must know theirs before they listen, or that listen on it again.

local socket = require "socket"

local ports = {}

-- Returns a port of 127.0.0.1 that is free. It is below those that the system gives to clients' connections, which might take it
-- before the program does, or while the program restarts. Not by math.random, whose numbers busted repeats.
function ports.free()
  local random <close> = assert(io.open("/dev/urandom", "rb"))
  random:setvbuf "no"
  while true do
    local port = 10000 + string.unpack("I2", random:read(2)) % 20000
    local listener = socket.bind("127.0.0.1", port)
    if listener then
      listener:close()
      return port
    end
  end
end

return ports
