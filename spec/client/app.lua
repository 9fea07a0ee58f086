-- What the specs of the browser client talk to. Each run has a directory of its own, so nothing is shared but the code.

local moonwire = require "moonwire"

local app = moonwire.app {
  limits = {
    message_size = 2 << 20,
    ws_message_size = 8 << 20,
    body = 8 << 20,
    outbox = 1 << 20,
    drain_seconds = 1,
  },
}

app:authenticate(function(request)
  if request.token == "expired" then
    return false, "the token has expired"
  end
  return request.token and { id = request.token } or true
end)

local published, calls, release = {}, 0, false

app:channel("items", { history = { size = 12000 }, authorize = true })
app:channel("short", { history = { size = 5, replay = 3 }, authorize = true })
app:channel("job:{id}", { history = { size = 10, replay = 10 }, authorize = true })
app:channel("closed:{name}", {
  authorize = function()
    return false, "it is closed"
  end,
})
app:channel("{name}", { history = { size = 10, replay = 2, readable = true }, authorize = true })
-- What is told of its members does not fit into one answer.
app:channel("crowd:{name}", {
  authorize = true,
  presence = {
    info = function()
      return ("x"):rep(40000)
    end,
    linger = 0.1,
    interval = 0.05,
  },
})
app:channel("room:{room}", {
  history = { size = 100, replay = 2, readable = true },
  authorize = true,
  presence = {
    info = function(client)
      return { name = client.user and client.user.id }
    end,
    linger = 0.1,
    interval = 0.05,
  },
  on_join = function(client)
    return { you = client.user_id, by = client.transport }
  end,
  relay = { "typing", note = { keep = true } },
  on = {
    say = function(client, channel, message)
      calls = calls + 1
      if message.data == "refuse" then
        return false, "not that", "mine"
      end
      local id = channel:publish("said", { from = client.user_id, what = message.data })
      return { id = id, call = calls }
    end,
    length = function(_, channel, message)
      channel:publish("bytes", message.binary, { binary = true })
      return #message.binary
    end,
    wait = function(_, channel)
      calls = calls + 1
      channel:publish "begun"
      while not release do
        if not moonwire.sleep(0.01) then
          return false, "cancelled", "cancelled"
        end
      end
      return { call = calls }
    end,
  },
})

local page =
  [[<!doctype html><meta charset="utf-8"><title>client</title><script type="module" src="/page.js"></script>]]
local policy = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'"

app:get("/page", function()
  return 200,
    page,
    { ["Content-Type"] = "text/html; charset=utf-8", ["Content-Security-Policy"] = policy }
end)
app:get("/page.js", function()
  return 200,
    'import * as moonwire from "/moonwire.js"; window.moonwire = moonwire;',
    { ["Content-Type"] = "text/javascript" }
end)
app:get("/favicon.ico", function()
  return 204
end)

-- Messages that are numbered, in each channel from 1: POST /fill?count=10&channel=items
app:post("/fill", function(request)
  local channel = request.query.channel
  local n = published[channel] or 0
  for _ = 1, tonumber(request.query.count) do
    n = n + 1
    app:publish(channel, "item", { n = n })
  end
  published[channel] = n
  return { published = n }
end)
-- One message as it is asked for: POST /publish-one?channel=…&event=… with the data as its body
app:post("/publish-one", function(request)
  local options = { final = request.query.final ~= nil }
  local data = request:json()
  app:publish(request.query.channel, request.query.event, data, options)
  return 204
end)
app:get("/calls", function()
  return { calls = calls }
end)
app:post("/release", function()
  release = true
  return 204
end)
app:post("/kick", function(request)
  local channel = app:find(request.query.channel)
  for client in app:clients {} do
    channel:kick(client, "go away")
  end
  return 204
end)
app:post("/close", function(request)
  for client in app:clients {} do
    client:close(tonumber(request.query.code), "because")
  end
  return 204
end)
app:post("/whisper", function()
  for client in app:clients {} do
    client:send("whispered", { secret = true })
  end
  return 204
end)

return app
