-- The entries in SQLite. This module runs on a thread of moonwire.work, which keeps the connection.

local environment = require("luasql.sqlite3").sqlite3()
local KEPT = 10000 -- the oldest are deleted

-- The ids of a new file begin at the time, so that they are above those of a file that was lost.
local schema = {
  "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY AUTOINCREMENT, author TEXT, text TEXT, time INTEGER)",
  ([[INSERT INTO sqlite_sequence (name, seq) SELECT 'entries', %d
     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'entries')]]):format(os.time()),
}

local connection = assert(environment:connect(os.getenv "FEED_FILE" or ":memory:"))
for _, statement in ipairs(schema) do
  assert(connection:execute(statement))
end

local store = {}

function store.add(author, text)
  local time = os.time()
  local insert = "INSERT INTO entries (author, text, time) VALUES ('%s', '%s', %d)"
  assert(
    connection:execute(insert:format(connection:escape(author), connection:escape(text), time))
  )
  local id = math.tointeger(connection:getlastautoid())
  assert(connection:execute(("DELETE FROM entries WHERE id <= %d"):format(id - KEPT)))
  return { id = id, author = author, text = text, time = time }
end

-- The newest entries before an id, newest first.
function store.page(before, limit)
  local select =
    "SELECT id, author, text, time FROM entries WHERE id < %d ORDER BY id DESC LIMIT %d"
  local cursor, entries = assert(connection:execute(select:format(before, limit))), {}
  for id, author, text, time in cursor.fetch, cursor do
    id, time = math.tointeger(tonumber(id)), math.tointeger(tonumber(time))
    entries[#entries + 1] = { id = id, author = author, text = text, time = time }
  end
  cursor:close()
  return entries
end

return store
