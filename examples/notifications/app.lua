-- Notifications: a private channel for each user, and a count of what is unread that survives a
-- restart. README.md states how to run it. It needs LuaSQL for SQLite (in Debian: lua-sql-sqlite3).

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local KEY = os.getenv "NOTIFY_KEY" or "demo"
local COOKIE_KEY = os.getenv "NOTIFY_COOKIE_KEY" or moonwire.crypto.random(32) -- set it: logins survive a restart
local USERS = { ann = "Ann", ben = "Ben", cleo = "Cleo" } -- without passwords, which examples/login has
package.path = debug.getinfo(1, "S").source:match "^@(.*/)" .. "?.lua;" .. package.path
local database = moonwire.work.pool { name = "notifications", threads = 1, queue = 100 }
local function query(...)
  local result, problem, code = database:run("notifications_store", ...)
  return result or error { code = code, message = problem }
end

local function user_of(request)
  local id = request:cookie("inbox", { signed = COOKIE_KEY })
  return USERS[id] and { id = id, name = USERS[id] }
end

app:authenticate(function(request)
  return not request.token and user_of(request) or true
end)

app:channel("inbox:{user}", {
  authorize = function(client, channel)
    return client.user ~= nil and client.user_id == channel.params.user, "not your inbox"
  end,
  history = { size = 100, ttl = 3600 },
  limits = { rate = 5 },
  on = {
    read = function(client, channel, message) -- everything up to an id; all tabs show it
      local upto = math.tointeger(message.data) or error { code = "bad_id" }
      channel:publish("read", { upto = upto, unread = query("read", client.user_id, upto) })
    end,
  },
})

app:post(path .. "notify/{user}", function(request)
  local user, body = request.params.user, request:json()
  local text = type(body) == "table" and body.text
  if not moonwire.crypto.equal(request.token or "", KEY) then
    error { code = "unauthorized", message = "a key is required" }
  elseif not USERS[user] or type(text) ~= "string" or not text:find "%S" or #text > 500 then
    error { code = "bad_request", message = "expected a known user, and a text of 1 to 500 bytes" }
  end
  local item = query("add", user, text) -- a page that the message does not reach loads the inbox
  app:publish("inbox:" .. user, "notification", item)
  return { id = item.id }
end)

app:get(path .. "inbox", function(request)
  local user = user_of(request)
  local inbox = user and query("list", user.id) or {}
  return { user = user, items = moonwire.array(inbox.items or {}), unread = inbox.unread }
end)

app:post(path .. "enter/{user}", function(request)
  local user = request.params.user
  local cookie = USERS[user] and { value = user, signed = COOKIE_KEY } or false -- any other name logs out
  return 204, nil, { cookies = { inbox = cookie } }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
