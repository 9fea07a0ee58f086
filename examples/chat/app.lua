-- A chat with rooms, names, presence, and private messages. The tutorial (docs/tutorial) builds it
-- step by step.
--
--     bin/moonwire examples/chat/app.lua          then open http://127.0.0.1:8080/ in two windows

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local TEXT_MAX = 2000 -- characters of a message
local PEOPLE_MAX = 1000 -- people who are remembered at the same time
local LINGER = 6 -- seconds in which a person may reconnect without leaving the room
local NAME_SECONDS = 600 -- how long the name of a person who has left stays reserved

local function is_text(value, max)
  if type(value) ~= "string" or not value:find "%S" or value:find "[\0-\9\11-\31\127]" then
    return false
  end
  local length = utf8.len(value)
  return length ~= nil and length <= max
end

-- This chat has no passwords. A page chooses a secret key, and states it with a name: "KEY:NAME". A
-- person may use several windows, and may reconnect. The name stays reserved for that key.
local people = {} -- by key: id, key, name, seen
local named = {} -- the same by name in lower case
local count, last_id = 0, 0

local function rename(person, name)
  if person.name then
    named[person.name:lower()] = nil
  end
  person.name = name
  named[name:lower()] = person
end

app:authenticate(function(request)
  if request.token == nil then
    return true -- anonymous: may use other channels of the same server
  end
  local key, name = request.token:match "^(%x+):(.+)$"
  if not key or #key ~= 32 or not is_text(name, 24) or name:find "\n" then
    return false, "a name has 1 to 24 characters"
  end
  local person, owner = people[key], named[name:lower()]
  if owner and owner ~= person then
    return false, "this name is taken"
  elseif not person and count >= PEOPLE_MAX then
    return false, "too many people are here"
  elseif not person then
    count, last_id = count + 1, last_id + 1
    person = { id = "u" .. last_id, key = key }
    people[key] = person
  end
  rename(person, name)
  person.seen = os.time()
  return { id = person.id, name = name }
end)

local function is_connected(user_id)
  return app:clients({ user_id = user_id })() ~= nil
end

app:every(60, function()
  for key, person in pairs(people) do
    if is_connected(person.id) then
      person.seen = os.time()
    elseif os.time() - person.seen > NAME_SECONDS then
      people[key], named[person.name:lower()] = nil, nil
      count = count - 1
    end
  end
end)

local function card(client)
  return { id = client.user_id, name = client.user.name }
end

-- A message for the whole room. The sender receives it, too, before the acknowledgement.
local function say(client, channel, message)
  local text = type(message.data) == "table" and message.data.text
  if not is_text(text, TEXT_MAX) then
    return false, ("a message has 1 to %d characters"):format(TEXT_MAX), "bad_text"
  end
  local line = { from = card(client), text = text, time = os.time() }
  local id, problem, code = channel:publish("said", line)
  if not id then
    return false, problem, code
  end
  return { id = id }
end

-- A message for one person, in all windows of both. It is not kept: either it arrives now, or the
-- sender is notified.
local function whisper(client, channel, message)
  local data = type(message.data) == "table" and message.data or {}
  local member = channel:presence()[data.to]
  if not is_text(data.text, TEXT_MAX) then
    return false, ("a message has 1 to %d characters"):format(TEXT_MAX), "bad_text"
  elseif not member then
    return false, "this person is not in the room", "gone"
  end
  local to = { id = data.to, name = member.info.name }
  local line = { from = card(client), to = to, text = data.text, time = os.time() }
  local windows = 0
  for other in app:clients { user_id = data.to } do
    windows = windows + (other:send("whispered", line) and 1 or 0)
  end
  if windows == 0 then
    return false, ("%s has just left"):format(to.name), "gone"
  end
  for own in app:clients { user_id = client.user_id } do
    if data.to ~= client.user_id then
      own:send("whispered", line)
    end
  end
end

app:channel("room:{room}", {
  history = { size = 200, ttl = 24 * 3600, replay = 50, readable = true },
  presence = {
    info = function(client)
      return { name = client.user.name }
    end,
    linger = LINGER,
  },
  authorize = function(client, channel)
    if not client.user then
      return false, "log in first", "unauthorized"
    elseif not channel.params.room:find "^[%w-]+$" or #channel.params.room > 24 then
      return false, "a room name has 1 to 24 letters, digits, and hyphens"
    end
    return true
  end,
  on_join = function(client)
    return { you = client.user_id }
  end,
  relay = { "typing" },
  on = { say = say, whisper = whisper },
})

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
