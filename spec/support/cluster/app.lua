-- A node of the clusters of spec/cluster_spec.lua.

local moonwire = require "moonwire"

local app = moonwire.app { publish_key = os.getenv "PUBLISH_KEY" }

app:channel("c:{n}", { history = { size = tonumber(os.getenv "HISTORY"), replay = 0 } })

-- Publishes in a handler, which waits until Redis has the message.
app:post("/say", function(request)
  local item = request:json()
  local id, reason, code = app:publish(item.channel, "item", item)
  if not id then
    error { code = code, message = reason }
  end
  return { id = id }
end)

return app
