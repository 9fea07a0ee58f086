-- The inboxes in SQLite. This module runs on a thread of moonwire.work, which keeps the connection.

local environment = require("luasql.sqlite3").sqlite3()
local KEPT, LISTED = 200, 30 -- for each user

-- The ids of a new file begin at the time, so that they are above those of a file that was lost.
local schema = {
  "CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT, text TEXT, time INTEGER, read INTEGER)",
  "CREATE INDEX IF NOT EXISTS by_user ON inbox (user, id)",
  ([[INSERT INTO sqlite_sequence (name, seq) SELECT 'inbox', %d
     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'inbox')]]):format(os.time()),
}

local connection = assert(environment:connect(os.getenv "NOTIFY_FILE" or ":memory:"))
for _, statement in ipairs(schema) do
  assert(connection:execute(statement))
end

-- Replaces each "?" by a value.
local function run(sql, ...)
  local values, i = { ... }, 0
  return assert(connection:execute((sql:gsub("%?", function()
    i = i + 1
    local value = values[i]
    return math.type(value) and ("%d"):format(value) or "'" .. connection:escape(value) .. "'"
  end))))
end

local store = {}

local function unread(user)
  local cursor = run("SELECT count(*) FROM inbox WHERE user = ? AND read = 0", user)
  local count = math.tointeger(tonumber(cursor:fetch()))
  cursor:close()
  return count
end

function store.add(user, text)
  local time = os.time()
  run("INSERT INTO inbox (user, text, time, read) VALUES (?, ?, ?, 0)", user, text, time)
  local id = math.tointeger(connection:getlastautoid())
  run(
    "DELETE FROM inbox WHERE user = ? AND id <= (SELECT id FROM inbox WHERE user = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
    user,
    user,
    KEPT
  )
  return { id = id, text = text, time = time, unread = unread(user) }
end

-- Marks everything up to an id as read, and returns how many are still unread.
function store.read(user, upto)
  run("UPDATE inbox SET read = 1 WHERE user = ? AND id <= ? AND read = 0", user, upto)
  return unread(user)
end

function store.list(user)
  local sql = "SELECT id, text, time, read FROM inbox WHERE user = ? ORDER BY id DESC LIMIT ?"
  local cursor, items = run(sql, user, LISTED), {}
  for id, text, time, read in cursor.fetch, cursor do
    id, time = math.tointeger(tonumber(id)), math.tointeger(tonumber(time))
    items[#items + 1] = { id = id, text = text, time = time, read = tonumber(read) == 1 }
  end
  cursor:close()
  return { items = items, unread = unread(user) }
end

return store
