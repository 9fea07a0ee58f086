-- The app of bench/instructions.mjs and bench/memory.mjs: a channel of each kind whose cost is
-- recorded.

local moonwire = require "moonwire"
local app =
  moonwire.app { publish_key = "bench", limits = { connections = 11000, ping_seconds = 3600 } } -- its clients answer no pings

local function nothing() end
local function allow()
  return true
end

app:channel("plain:{name}")
app:channel("events:{name}", {
  on = {
    say = function()
      return true
    end,
  },
})
app:channel("authorize:{name}", { authorize = allow })
app:channel(
  "rated:{name}",
  { authorize = allow, relay = { "move" }, limits = { rate = 0.01, burst = 1 } }
)
app:channel("hooks:{name}", { on_join = nothing, on_leave = nothing })
app:channel("presence:{name}", { presence = { mode = "counts" } })

return app
