-- One channel for each value of `slow`.

local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "bench", limits = { outbox = 262144 } }

app:channel("catchup:{name}", { history = { size = 100 } })
app:channel("close:{name}", { slow = "close" })
app:channel("drop:{name}", { slow = "drop" })
app:channel("latest:{name}", { slow = "latest" })
app:get("/stats", function()
  return app:stats()
end)

return app
