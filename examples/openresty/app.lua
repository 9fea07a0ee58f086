-- The moonwire side of examples/openresty. nginx has the pages, the login, and the publishing.
--
--   TOKEN_KEY=… PUBLISH_KEY=… moonwire app.lua --listen unix:/run/moonwire/app.sock --private unix:/run/moonwire/private.sock
--
-- TOKEN_KEY is the secret of the tokens that nginx signs. Without it, nginx says who the user is, in a header.

local moonwire = require "moonwire"

local token_key = os.getenv "TOKEN_KEY"

local app = moonwire.app {
  publish_key = os.getenv "PUBLISH_KEY",
  trusted_proxies = { "unix" },
  auth = token_key and moonwire.token { key = token_key, cookie = "token" }
    or moonwire.trusted_header "X-Remote-User",
}

-- What content_by_lua, log_by_lua, and a timer publish.
app:channel("news", { authorize = true, history = { size = 100, replay = 20 } })
app:channel("requests", { authorize = true, history = { size = 20, replay = 20 } })
app:channel("clock", { authorize = true, history = { size = 1, replay = 1 } })

-- Messages for one user.
app:channel("user:{id}", {
  history = { size = 20 },
  authorize = function(client, channel)
    return client.user_id == channel.params.id
  end,
})

return app
