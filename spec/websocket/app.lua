-- The endpoints that the cases of this folder are run against; each returns every message as it came.

local moonwire = require "moonwire"

local app = moonwire.app { limits = { queue = 512 * 1024 * 1024 } }

app:channel("room:{room}", { authorize = true }) -- for /ws, which is no echo, but frames as the others do

local function endpoint(path, options)
  options.on_message = options.on_message
    or function(socket, message, is_binary)
      if is_binary then
        socket:send_binary(message)
      else
        socket:send(message)
      end
    end
  app:websocket(path, options)
end

local wide = { message_size = 64 * 1024 * 1024, outbox = 256 * 1024 * 1024, rate = 0 }

endpoint("/echo", { limits = wide })
endpoint("/plain", { limits = wide, deflate = false })
endpoint("/limits", { limits = { frame_size = 1000, message_size = 1500 } })
endpoint("/protocols", { protocols = { "first", "second" } })
-- These compress even what becomes larger by it.
endpoint("/takeover", {
  limits = wide,
  deflate = { min = 0, server_context_takeover = true, client_context_takeover = true },
})
endpoint("/limits/takeover", {
  limits = { frame_size = 1000, message_size = 1500 },
  deflate = { min = 0, client_context_takeover = true },
})
endpoint("/deflate", { limits = wide, deflate = { min = 0 } })

-- "CODE REASON" closes with them, from our side; what was sent before it still arrives.
endpoint("/close", {
  deflate = { min = 0 },
  on_message = function(socket, message)
    local code, reason = message:match "^(%d+) ?(.*)$"
    socket:send "before"
    socket:close(math.tointeger(code), reason)
  end,
})

endpoint("/fault", {
  on_message = function()
    error "a handler that fails"
  end,
})

return app
