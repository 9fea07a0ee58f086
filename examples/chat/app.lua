-- A chat: rooms with a memory, names, who is typing, and private messages.
--
--     bin/moonwire examples/chat/app.lua          then open http://127.0.0.1:8080/ in two windows

local moonwire = require "moonwire"

-- Run alone this is the whole app, with its page at "/". The demo hands over its own app and another path.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local TEXT_MAX = 2000 -- characters
local PEOPLE_MAX = 1000 -- who are known at once
local GRACE = 6 -- seconds in which somebody whose connection was cut may return unnoticed
local MEMORY = 600 -- seconds for which an absent person's name stays taken

-- ---- Who ------------------------------------------------------------------------------------------------------------------

-- There are no passwords here. A page invents a key, keeps it to itself, and shows it with the name it wants: "KEY:NAME". So one
-- person may have many windows and come back after a cut, and nobody else can speak in that name meanwhile.
local people = {} -- by key: id, key, name, seen
local named = {} -- the same by name, in lower case
local count, last_id = 0, 0

local function is_text(value, max)
  if type(value) ~= "string" or not value:find "%S" or value:find "[\0-\9\11-\31\127]" then
    return false
  end
  local length = utf8.len(value)
  return length ~= nil and length <= max
end

local function rename(person, name)
  if person.name then
    named[person.name:lower()] = nil
  end
  person.name = name
  named[name:lower()] = person
end

app:authenticate(function(request)
  if request.token == nil then
    return true -- a reader of some other channel: anonymous
  end
  local key, name = request.token:match "^(%x+):(.+)$"
  if not key or #key ~= 32 or not is_text(name, 24) or name:find "\n" then
    return false, "a name has 1 to 24 letters"
  end
  local person, owner = people[key], named[name:lower()]
  if owner and owner ~= person then
    return false, "somebody else has that name"
  elseif not person and count >= PEOPLE_MAX then
    return false, "there is no room for one more"
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
    elseif os.time() - person.seen > MEMORY then
      people[key], named[person.name:lower()] = nil, nil
      count = count - 1
    end
  end
end)

-- ---- Rooms ----------------------------------------------------------------------------------------------------------------

local function card(client)
  return { id = client.user_id, name = client.user.name }
end

-- A line for the whole room. Its id comes back to the sender, who has seen the line itself by then.
local function say(client, channel, message)
  local text = type(message.data) == "table" and message.data.text
  if not is_text(text, TEXT_MAX) then
    return false, ("a message has 1 to %d characters"):format(TEXT_MAX), "bad_text"
  end
  local id = channel:publish("said", { from = card(client), text = text, time = os.time() })
  return { id = id }
end

-- A line for one person, in all windows of both. It is not kept: it arrives now, or the sender is told.
local function whisper(client, channel, message)
  local data = type(message.data) == "table" and message.data or {}
  local member = channel:presence()[data.to]
  if not is_text(data.text, TEXT_MAX) then
    return false, ("a message has 1 to %d characters"):format(TEXT_MAX), "bad_text"
  elseif not member then
    return false, "nobody of that name is in the room", "gone"
  end
  local line = {
    from = card(client),
    to = { id = data.to, name = member.info.name },
    text = data.text,
    time = os.time(),
  }
  local windows = 0
  for other in app:clients { user_id = data.to } do
    windows = windows + (other:send("whispered", line) and 1 or 0)
  end
  if windows == 0 then
    return false, ("%s has just left"):format(member.info.name), "gone"
  end
  for own in app:clients { user_id = client.user_id } do
    if data.to ~= client.user_id then
      own:send("whispered", line)
    end
  end
end

app:channel("room:{room}", {
  history = { size = 200, ttl = 24 * 3600, replay = 50, readable = true },
  -- Who is there is told to all by moonwire: a person once, however many windows, and nobody who is back within the grace.
  presence = {
    info = function(client)
      return { name = client.user.name }
    end,
    linger = GRACE,
  },
  authorize = function(client, channel)
    if not client.user then
      return false, "say who you are first", "unauthorized"
    elseif not channel.params.room:find "^[%w-]+$" or #channel.params.room > 24 then
      return false, "a room's name has 1 to 24 letters, digits and hyphens"
    end
    return true
  end,
  on_join = function(client)
    return { you = client.user_id }
  end,
  relay = { "typing" },
  on = { say = say, whisper = whisper },
})

app:static(path, "page")
return app
