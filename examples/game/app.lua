-- A game for up to 24 players, without accounts: catch the stars. The server computes the world 20 times
-- a second, and publishes it as bytes. A page sends which keys are down, as one byte.
--
--     bin/moonwire examples/game/app.lua          then open http://127.0.0.1:8080/ in two windows

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local world = dofile(here .. "world.lua")

local function is_key(key)
  return type(key) == "string" and #key == 32 and key:find "^%x+$"
end

-- A page makes up a secret key. When it returns with the same key, it finds its moon where it was. It enters
-- each time it has subscribed, and the client repeats what had no answer, so it may enter twice.
local function enter(client, _, message)
  local key, entered = message.data, client.data
  if not is_key(key) or (entered and entered.key ~= key) then
    return false, "enter with one key, of 32 hexadecimal digits", "bad_key"
  end
  if not entered then
    local moon = world.enter(key)
    if not moon then
      return false, ("all %d moons are taken"):format(world.moons_max), "full"
    end
    client.data = { key = key, slot = moon.slot }
  end
  return { slot = client.data.slot }
end

local function steer(client, _, message)
  if client.data and message.binary and #message.binary == 1 then
    world.steer(client.data.key, message.binary:byte())
  end
end

app:channel("game", {
  authorize = true,
  on = { enter = enter, steer = steer },
  on_leave = function(client)
    if client.data then
      world.leave(client.data.key)
      client.data = nil
    end
  end,
  history = { size = 1 }, -- for polls, which would miss what is between them
  slow = "latest", -- a page on a bad network sees fewer steps, and never old ones
  limits = {
    message_size = 256,
    outbox = 16 * 1024,
    rate = 5,
    events = { steer = { rate = 30, burst = 60 } },
  },
})

app:every(0.05, function()
  local channel = app:find "game"
  if channel and channel:count() > 0 then
    local winner = world.step()
    channel:publish("state", world.encode(), { binary = true, key = "state" })
    if winner then
      channel:publish("won", { slot = winner.slot }, { key = "won" })
    end
  end
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
