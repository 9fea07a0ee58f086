-- An echo: /echo returns every message, text as text and bytes as bytes. Conformance tests use it.
--
--     bin/moonwire examples/echo/app.lua          then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

local MIB = 1024 * 1024

-- The demo passes its own app and another path. Otherwise, this is the whole app, with room for a
-- message of 64 MiB, and for others that are queued at the same time.
local app, path = ...
app, path = app or moonwire.app { limits = { queue = 512 * MIB } }, path or "/"

app:websocket(path .. "echo", {
  -- rate = 0: the tests send as fast as they can.
  limits = { message_size = 64 * MIB, outbox = 256 * MIB, rate = 0 },
  deflate = true, -- the default
  on_message = function(socket, message, is_binary)
    local sent
    if is_binary then
      sent = socket:send_binary(message)
    else
      sent = socket:send(message)
    end
    -- The queue is full. Close, so that the lost message does not go unnoticed.
    if not sent then
      socket:close(1013, "the queue is full")
    end
  end,
})

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
