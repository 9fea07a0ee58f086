-- A feed: anybody posts, everybody sees it at once, and older entries page in from SQLite.
--
--     FEED_FILE=feed.db bin/moonwire examples/feed/app.lua        then open http://127.0.0.1:8080/
--
-- Without FEED_FILE, the entries are in memory, and end with the server. It needs LuaSQL for SQLite
-- (in Debian: lua-sql-sqlite3).

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

local PAGE = 20

-- feed_store.lua runs on a thread of its own, so a slow disk delays no other handler. SQLite allows
-- one writer at a time. At most 100 calls wait; beyond that, posts are refused.
package.path = here .. "?.lua;" .. package.path
local database = moonwire.work.pool { name = "feed", threads = 1, queue = 100 }

local function is_text(value, max)
  local length = type(value) == "string" and value:find "%S" and utf8.len(value)
  return length and length <= max and not value:find "[\0-\9\11-\31\127]"
end

local function post(_, channel, message)
  local data = type(message.data) == "table" and message.data or {}
  if not is_text(data.author, 40) or not is_text(data.text, 500) then
    return false,
      "an entry has an author of 1 to 40 characters, and 1 to 500 characters",
      "bad_entry"
  end
  local entry, problem, code = database:run("feed_store", "add", data.author, data.text)
  if not entry then
    return false, problem, code
  end
  -- It is stored: pages that this message does not reach find it when they load the newest entries.
  channel:publish("entry", entry)
  return { id = entry.id }
end

-- A client posts once in two seconds, and all together twenty times a second.
app:channel("feed", {
  authorize = true,
  history = { size = 200, ttl = 3600 },
  limits = { message_size = 4096, rate = 0.5, burst = 5, total_rate = 20 },
  on = { post = post },
})

-- The newest entries, or those before an id.
app:get(path .. "entries", function(request)
  local before = math.tointeger(tonumber(request.query.before or math.maxinteger))
  if not before then
    error { code = "bad_request", message = "before must be the id of an entry" }
  end
  local entries, problem, code = database:run("feed_store", "page", before, PAGE)
  if not entries then
    error { code = code, message = problem }
  end
  return 200,
    { entries = moonwire.array(entries), more = #entries == PAGE },
    { ["Cache-Control"] = "no-store" }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
