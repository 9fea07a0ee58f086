-- The app of bench/run: channels without hooks, so that it measures delivery alone.

local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "bench", limits = { connections = 19500, rate = 0 } }

app:channel("live:{name}", { relay = { "m" } })
-- A client that polls reads from the history what was published between its polls.
app:channel("poll:{name}", { history = { size = 1000 } })

return app
