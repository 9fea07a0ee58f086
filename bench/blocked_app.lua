-- The app of bench/blocked.mjs: a handler that does not return for some seconds.

local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "bench", limits = { rate = 0, answer_seconds = 60 } }

local waits = {
  -- in a function of a C library
  block = function(seconds)
    os.execute("sleep " .. seconds)
  end,
  -- in Lua
  compute = function(seconds)
    local till, x = os.clock() + seconds, 0
    while os.clock() < till do
      for i = 1, 10000 do
        x = (x * 31 + i) % 65537
      end
    end
  end,
}

app:channel("load", { history = { size = 1000 } })
app:channel("relay", { relay = { "note" } })
app:channel("script", {
  on = {
    wait = function(_, _, message)
      waits[message.data.how](message.data.seconds)
    end,
  },
})

return app
