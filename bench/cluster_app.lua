-- The app of bench/cluster.mjs. REDIS is the broker; without it, there is none.

local moonwire = require "moonwire"

local app = moonwire.app {
  publish_key = "bench",
  broker = os.getenv "REDIS" and moonwire.redis(os.getenv "REDIS") or nil,
  limits = {
    connections = 19500,
    rate = 0,
    channels = 200000,
    client_channels = 200000,
    client_names = 0,
    address_names = 0,
    verb_rate = 0,
  },
}

app:channel("live:{name}", { history = { size = 100 } })

return app
