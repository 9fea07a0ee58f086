-- An echo: /echo returns every message as it came, text as text and bytes as bytes. It is what
-- conformance runs talk to.
--
--     bin/moonwire examples/echo/app.lua

local moonwire = require "moonwire"

local MIB = 1024 * 1024

-- A message of 64 MiB, and others that wait for the script or for the peer meanwhile.
local app = moonwire.app { limits = { queue = 512 * MIB } }

app:websocket("/echo", {
  limits = { message_size = 64 * MIB, outbox = 256 * MIB },
  deflate = true, -- as is the default
  on_message = function(socket, message, is_binary)
    local sent
    if is_binary then
      sent = socket:send_binary(message)
    else
      sent = socket:send(message)
    end
    -- A queue is full: what cannot be answered must not be lost without a word.
    if not sent then
      socket:close(1013, "too much is waiting")
    end
  end,
})

return app
