-- Drivers in C that block, with moonwire.work, against the real databases.

local blocks = require "spec.docs.blocks"
local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local PAGE = "docs/how-to/database.md"

-- The files of the page that it leaves to this spec, in order.
local function files_of_page()
  local files = {}
  for _, block in ipairs(blocks.of(PAGE)) do
    if block.not_run and block.not_run:find("work_drivers_spec", 1, true) then
      files[#files + 1] = block.text
    end
  end
  return files
end

-- Runs a program of PostgreSQL, which refuses root.
local function as_user(command)
  if server.run "id -u" == "0" then
    return ("runuser -u nobody -- sh -c '%s'"):format(command)
  end
  return ("sh -c '%s'"):format(command)
end

local function start_postgres()
  local programs = server.run "ls -d /usr/lib/postgresql/*/bin | tail -n 1"
  local folder = server.run "mktemp -d"
  server.run(("chmod 777 %s"):format(folder))
  local function run(command)
    return server.run(as_user(("cd %s && PATH=%s:$PATH %s"):format(folder, programs, command)))
  end
  run "initdb -D data -A trust -U chat -E UTF8 --no-sync >log 2>&1"
  local function start()
    run(
      ('pg_ctl -D data -w -l log -o "-k %s -c listen_addresses= -c fsync=off" start >/dev/null'):format(
        folder
      )
    )
  end
  start()
  return {
    folder = folder,
    start = start,
    stop = function()
      run "pg_ctl -D data -m immediate -w stop"
    end,
    query = function(sql)
      return run(('psql -h %s -U chat -d postgres -c "%s"'):format(folder, sql))
    end,
  }
end

describe("moonwire.work with LuaSQL", function()
  it("asks PostgreSQL, and again after the server was restarted", function()
    local database = start_postgres()
    local guard <close> = setmetatable({}, { __close = database.stop })
    database.query "CREATE TABLE users (name TEXT, age INTEGER)"
    database.query "INSERT INTO users VALUES (\\$\\$O\\x27Hara\\$\\$, 41), (\\$\\$Ada\\$\\$, 36)"
    local files = files_of_page()
    local app = server.start {
      script = files[1],
      files = { ["users.lua"] = files[2] },
      env = ('DATABASE="host=%s user=chat dbname=postgres"'):format(database.folder),
    }
    local function age(name)
      local answer = http.get(app, "/users/" .. name)
      local user = dkjson.decode(answer.body)
      return answer.status, user
    end
    assert.same({ 200, { age = 36 } }, { age "Ada" })
    assert.equal(404, (age "nobody"))
    assert.equal(404, (age "x'%20OR%20'1'='1"))
    database.stop()
    assert.equal(500, (age "Ada"))
    database.start()
    local status, user
    for _ = 1, 8 do -- each thread finds out by itself
      status, user = age "Ada"
    end
    assert.same({ 200, { age = 36 } }, { status, user })
    app:stop()
    assert.is_not_nil(guard)
  end)

  it("writes to SQLite from one thread", function()
    local app = server.start {
      script = [[
        local moonwire = require "moonwire"
        local app = moonwire.app {}
        local database = moonwire.work.pool { name = "database", threads = 1 }
        app:post("/add", function(request) return { id = database:run("store", "add", request.body) } end)
        app:get("/count", function() return { count = database:run("store", "count") } end)
        return app
      ]],
      files = {
        ["store.lua"] = [[
          local connection = assert(require("luasql.sqlite3").sqlite3():connect(os.getenv "FILE"))
          assert(connection:execute "CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT)")
          local store = {}
          function store.add(text)
            assert(connection:execute(("INSERT INTO said (text) VALUES ('%s')"):format(connection:escape(text))))
            return connection:getlastautoid()
          end
          function store.count()
            local cursor = assert(connection:execute "SELECT count(*) FROM said")
            local count = cursor:fetch()
            cursor:close()
            return math.tointeger(count)
          end
          return store
        ]],
      },
      env = "FILE=" .. server.run "mktemp -u",
    }
    local connections = {}
    for i = 1, 20 do
      connections[i] = http.connect(app)
      connections[i]:send(http.format("POST", "/add", { body = "it's " .. i }))
    end
    for _, connection in ipairs(connections) do
      assert.equal(200, connection:read_response().status)
      connection:close()
    end
    assert.equal(20, dkjson.decode(http.get(app, "/count").body).count)
    app:stop()
  end)
end)
