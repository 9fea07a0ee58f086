-- The command: its arguments, `check`, what it says at the start, and signals.

local http = require "spec.support.http"
local server = require "spec.support.server"

local quote = server.quote

-- Runs the command with the folder of `files` as {folder}; returns exit code, standard output, standard error.
local function moonwire(args, files)
  local folder = server.run "mktemp -d"
  for name, text in pairs(files or {}) do
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
    file:close()
  end
  local preload = os.getenv "MOONWIRE_PRELOAD"
  local command = ("%s timeout 60 lua5.4 bin/moonwire %s >%s 2>%s; echo $?"):format(
    preload and "LD_PRELOAD=" .. quote(preload) or "",
    args:gsub("{folder}", folder),
    quote(folder .. "/out"),
    quote(folder .. "/err")
  )
  local code = tonumber(server.run(command))
  local function read(name)
    local file = assert(io.open(folder .. "/" .. name, "rb"))
    local text = file:read "a"
    file:close()
    return (text:gsub(folder:gsub("%p", "%%%0"), "{folder}"))
  end
  local output, errors = read "out", read "err"
  server.run("rm -rf " .. quote(folder))
  return code, output, errors
end

local function app_with(lines)
  return 'local moonwire = require "moonwire"\nlocal app = moonwire.app {}\n'
    .. lines
    .. "\nreturn app\n"
end

describe("the command's arguments", function()
  it("--help and --version", function()
    local code, output = moonwire "--help"
    assert.equal(0, code)
    assert.matches("^Usage: moonwire", output)
    assert.equal(output, select(2, moonwire "help"))
    for _, word in ipairs { "--version", "-v" } do
      code, output = moonwire(word)
      assert.equal(0, code)
      assert.matches("^moonwire %d+%.%d+%.%d+\n$", output)
    end
  end)

  it("hash-password prints the hash of a line", function()
    local crypto = require("moonwire").crypto
    local code, output =
      moonwire("hash-password < {folder}/in", { ["in"] = "a secret with spaces \nmore\n" })
    assert.equal(0, code)
    assert.is_true(crypto.password_verify("a secret with spaces ", output:match "^(%S+)\n$"))
    local errors
    code, output, errors = moonwire "hash-password < /dev/null"
    assert.equal(1, code)
    assert.equal("", output)
    assert.equal("moonwire: a password must have 1 to 1024 bytes, got 0\n", errors)
  end)

  it("are refused with the likely one, exit code 2", function()
    local cases = {
      {
        "hash-password secret",
        "hash-password takes no argument; it reads the password from standard input",
      },
      { "", "no script given" },
      { "--lisen x app.lua", "unknown option --lisen (did you mean --listen?)" },
      { "--versoin", "unknown option --versoin (did you mean --version?)" },
      { "-x app.lua", "unknown option -x" },
      { "--port 80 app.lua", "unknown option --port (use --listen HOST:PORT)" },
      { "app.lua --listen", "--listen requires a value" },
      {
        "app.lua --log-level loud",
        "--log-level must be debug, info, warning, or error, got loud",
      },
      { "app.lua --unix-mode rw", "--unix-mode must be octal digits like 0660, got rw" },
      {
        "--listen 127.0.0.1:70000 app.lua",
        '--listen: cannot listen on "127.0.0.1:70000": the port must be a number from 0 to 65535',
      },
      {
        "check --listen BAD app.lua",
        '--listen: cannot listen on "BAD": an address must be HOST:PORT, [IPV6]:PORT, or unix:PATH',
      },
      { "check --private=unix: app.lua", '--private: cannot listen on "unix:": missing path' },
      {
        "--broker http://:s3cret@h app.lua",
        "--broker: the URL: must begin with redis://, rediss://, or unix:",
      },
      { "--broker redis://:s3cret@h:0 app.lua", "--broker: the URL: the port must be 1 to 65535" },
      { "a.lua b.lua", "expected one script, got a.lua and b.lua" },
    }
    for _, case in ipairs(cases) do
      local code, output, errors = moonwire(case[1])
      assert.equal(2, code, case[1])
      assert.equal("", output)
      assert.equal("moonwire: " .. case[2] .. "\nTry 'moonwire --help'.\n", errors)
    end
  end)
end)

describe("moonwire check", function()
  it("says what a sound script defines", function()
    local code, output, errors = moonwire("check {folder}/app.lua", {
      ["app.lua"] = app_with [[
app:channel("price:{symbol}", { history = { size = 100, ttl = 60, replay = 5 } })
app:get("/hello", print)]],
    })
    assert.equal("", errors)
    assert.equal(0, code)
    assert.matches(
      "channel price:{symbol}: open to everyone, history of 100 for 60 s, new subscribers get 5\n",
      output,
      1,
      true
    )
    assert.matches("route GET /hello\n", output, 1, true)
  end)

  it("shows the broker, without its password", function()
    local text = [[
local moonwire = require "moonwire"
return moonwire.app { broker = moonwire.redis "redis://app:s3cret@one:1" }
]]
    local cases = {
      { "", "messages are ordered by Redis at redis://one:1\n" },
      { "--broker rediss://:s3cret@two/3 ", "messages are ordered by Redis at rediss://two/3\n" },
    }
    for _, case in ipairs(cases) do
      local code, output, errors =
        moonwire("check " .. case[1] .. "{folder}/app.lua", { ["app.lua"] = text })
      assert.equal(0, code, errors)
      assert.matches(case[2], output, 1, true)
      assert.is_nil(output:find("s3cret", 1, true))
    end
  end)

  it("runs the script, and says so", function()
    local code, output =
      moonwire("check {folder}/app.lua", { ["app.lua"] = app_with 'print "I ran"' })
    assert.equal(0, code)
    assert.matches("I ran\n", output, 1, true)
    assert.matches(
      "moonwire check [^\n]* run the script and print what it defines",
      (select(2, moonwire "--help"))
    )
    local file = assert(io.open "docs/reference/command.md")
    assert.matches("`moonwire check app.lua` runs the script", file:read "a", 1, true)
    file:close()
  end)

  it("says file and line of what is wrong, exit code 1", function()
    local cases = {
      {
        app_with 'app:channel("a", { authroize = true })',
        [[{folder}/app.lua:3: app:channel "a": unknown option 'authroize' (did you mean 'authorize'?)]],
      },
      {
        app_with 'app:channel("a")\napp:authenticate(print)',
        [[{folder}/app.lua:3: app:channel "a": option 'authorize' is required with app:authenticate]],
      },
      { app_with "app:chanel()", "{folder}/app.lua:3: attempt to call a nil value" },
      { app_with 'error "stop"', "{folder}/app.lua:3: stop" },
      { "local x = = 1", "{folder}/app.lua:1: unexpected symbol near '='" },
      { "return 5", "{folder}/app.lua: the script must return its app" },
      {
        app_with "app:run()",
        "{folder}/app.lua:3: app:run: the moonwire command runs this script; return the app instead",
      },
      {
        app_with 'app:chanel("a", {})',
        "{folder}/app.lua:3: attempt to call a nil value (method 'chanel') (did you mean 'channel'?)",
      },
      {
        app_with 'app:frobnicate("a")',
        "{folder}/app.lua:3: attempt to call a nil value (method 'frobnicate')",
      },
      {
        app_with 'app:post("/poll", function() end)',
        "{folder}/app.lua:3: app:post \"/poll\": '/poll' is an endpoint of the server",
      },
      {
        'local moonwire = require "moonwire"\nlocal app = moonwire.app { publish_key = "secret\\n" }\nreturn app',
        "{folder}/app.lua:2: moonwire.app: publish_key: has a newline or another control character",
      },
      {
        'local moonwire = require "moonwire"\nlocal app = moonwire.app { publish_key = "secret\\0" }\nreturn app',
        "{folder}/app.lua:2: moonwire.app: publish_key: has a NUL",
      },
      {
        app_with "moonwire.sleep(1)",
        "{folder}/app.lua:3: cannot wait outside of a task; use app:spawn",
      },
    }
    for _, case in ipairs(cases) do
      local code, output, errors = moonwire("check {folder}/app.lua", { ["app.lua"] = case[1] })
      assert.equal("moonwire: " .. case[2], errors:sub(1, #case[2] + 10))
      assert.equal(1, code)
      assert.equal("", output)
      assert.is_nil(errors:find("traceback", 1, true), errors)
    end
  end)

  it("says the way to an error inside a library", function()
    local code, _, errors = moonwire("check {folder}/app.lua", {
      ["app.lua"] = app_with 'require("library").fail()',
      ["library.lua"] = 'return { fail = function() error "inside" end }',
    })
    assert.equal(1, code)
    assert.matches("{folder}/library.lua:1: inside\nstack traceback:", errors, 1, true)
    assert.matches("{folder}/app.lua:3: in ", errors, 1, true)
  end)

  it("places what a script returns by a tail call", function()
    local code, _, errors = moonwire("check {folder}/app.lua", {
      ["app.lua"] = 'return require("moonwire").app "x"',
    })
    assert.equal(1, code)
    assert.equal(
      "moonwire: {folder}/app.lua: moonwire.app: options must be a table, got string\n",
      errors
    )
  end)

  it("takes each word for a level of the log", function()
    for _, level in ipairs { "debug", "info", "warn", "warning", "error" } do
      assert.equal(
        0,
        (
          moonwire(
            "check --log-level " .. level .. " {folder}/app.lua",
            { ["app.lua"] = app_with "" }
          )
        )
      )
    end
  end)

  it("names a script that is not there", function()
    local code, _, errors = moonwire "check nowhere/app.lua"
    assert.equal(1, code)
    assert.matches("^moonwire: cannot open nowhere/app.lua", errors)
  end)
end)

describe("the start", function()
  it("says addresses, channels, routes and what is open", function()
    local app = server.start {
      script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "secret" }
app:authenticate(function() return true end)
app:channel("room:{room}", { authorize = function() return true end })
app:channel("news", { authorize = true, history = { size = 1 } })
app:channel("closed", { authorize = false })
app:channel("log", {
  authorize = true,
  history = { size = 9, ttl = 60, bytes = 5000, replay = 3, readable = true },
  limits = { outbox = 70000, age = 2.5 },
})
app:channel("prices", { authorize = true, slow = "latest" })
app:channel("hall", { authorize = true, presence = { mode = "counts" }, limits = { members = 50 } })
app:post("/orders/{id}", function() end)
app:stream("/raw", function() end)
app:static("/files", ".")
return app
]],
      args = "--listen 127.0.0.1:0 --listen unix:{folder}/app.sock --private 127.0.0.1:0",
    }
    local lines = table
      .concat(app.startup, "\n")
      :gsub(app.folder:gsub("%p", "%%%0"), "{folder}")
      :gsub(":%d%d%d+", ":PORT")
    app:stop()
    assert.equal(
      [[
moonwire 0.1.0
listening on http://127.0.0.1:PORT
listening on unix:{folder}/app.sock
listening on http://127.0.0.1:PORT (private)
channel room:{room}: authorize decides who may subscribe, no history
channel news: open to all authenticated clients, history of 1, new subscribers get 1
channel closed: closed to all clients, no history
channel log: open to all authenticated clients, history of 9 for 60 s in 5000 bytes, new subscribers get 3, clients may read it, slow: catchup, beyond 70000 bytes or 2.5 s
channel prices: open to all authenticated clients, no history, slow: latest
channel hall: open to all authenticated clients, no history, presence in counts of at most 50
route POST /orders/{id}
stream GET /raw
static /files from {folder}/.
publishing over HTTP: POST /publish with publish_key, on the private listener only
ready]],
      lines
    )
  end)

  it("fails with exit code 1 at an address that is taken, and names the option", function()
    local app = server.start(app_with "")
    local code, output, errors =
      moonwire(("--listen 127.0.0.1:%d {folder}/app.lua"):format(app.port), {
        ["app.lua"] = app_with "",
      })
    app:stop()
    assert.equal(1, code)
    assert.equal("", output)
    local text =
      'moonwire: cannot listen on "127.0.0.1:%d": address already in use; choose another with --listen HOST:PORT\n'
    assert.equal(text:format(app.port), errors)
  end)

  it("finds modules and files beside a script that is named by a symbolic link", function()
    for _, link in ipairs { "link.lua", "links/link.lua", "links/again.lua" } do
      local folder = server.run "mktemp -d"
      server.run(
        ("cd %s && mkdir links && ln -s app/app.lua link.lua && cd links"):format(folder)
          .. " && ln -s ../app/app.lua link.lua && ln -s link.lua again.lua"
      )
      server.run(
        ("mkdir -p %s/app/files && echo hello > %s/app/files/a.txt"):format(folder, folder)
      )
      local script = app_with [[
app:get("/", function() return { arg[0]:match "[^/]*$", require("words").hello } end)
app:static("/files", "files")]]
      for name, text in pairs { ["app.lua"] = script, ["words.lua"] = 'return { hello = "hello" }' } do
        local file = assert(io.open(folder .. "/app/" .. name, "wb"))
        file:write(text)
        file:close()
      end
      local app = server.start { path = folder .. "/" .. link }
      assert.equal(('["%s","hello"]\n'):format(link:match "[^/]*$"), http.get(app, "/").body)
      assert.equal("hello\n", http.get(app, "/files/a.txt").body)
      app:stop()
      server.run("rm -rf " .. folder)
    end
  end)

  it("says in one sentence that there are too few descriptors", function()
    -- the sanitizers need some themselves
    if os.getenv "MOONWIRE_PRELOAD" then
      return
    end
    local folder = server.run "mktemp -d"
    server.run(("ln -s $PWD/bin/moonwire %s/moonwire"):format(folder))
    local file = assert(io.open(folder .. "/app.lua", "wb"))
    file:write(app_with "")
    file:close()
    local failed = 0
    for limit = 6, 16 do
      for _, command in ipairs { "bin/moonwire", folder .. "/moonwire" } do
        -- without what this process has open
        local close =
          "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; ulimit -n %d; echo $$; exec timeout 60 "
        local line = close .. "lua5.4 %s %s/app.lua --listen 127.0.0.1:0 --listen unix:%s/socket"
        local pipe =
          io.popen(("bash -c '%s' 2>&1"):format(line:format(limit, command, folder, folder)))
        local pid, lines = pipe:read "l", {}
        for text in pipe:lines() do
          lines[#lines + 1] = text
          if text == "ready" then
            os.execute("kill " .. pid)
          end
        end
        pipe:close()
        local output = table.concat(lines, "\n")
        if not output:find "ready" then
          failed = failed + 1
          assert.matches("^moonwire: [^\n]*[Tt]oo many open files; raise ulimit %-n$", output)
        end
      end
    end
    assert.is_true(failed >= 6)
    server.run("rm -rf " .. folder)
  end)

  it("finds modules and files beside the script", function()
    local app = server.start {
      script = app_with 'app:get("/", function() return require("words").hello end)',
      files = { ["words.lua"] = 'return { hello = "hello" }' },
    }
    assert.equal("hello", http.get(app, "/").body)
    app:stop()
  end)
end)

describe("signals", function()
  it("SIGTERM and SIGINT end it with exit code 0", function()
    for _, signal in ipairs { "TERM", "INT" } do
      local app = server.start(app_with "")
      local connection = http.connect(app)
      local code = app:finish(signal)
      assert.equal(0, code)
      assert.is_true(connection:is_closed())
      connection:close()
    end
  end)

  it("a second one ends the process at once, even while a handler never returns", function()
    local numbers = { INT = 2, TERM = 15 }
    for _, signals in ipairs {
      { "INT", "INT" },
      { "TERM", "TERM" },
      { "INT", "TERM" },
      { "TERM", "INT" },
    } do
      local app = server.start(app_with [[
app:get("/stuck", function() app.log.info("stuck") while true do end end)]])
      local connection = http.connect(app)
      connection:send(http.format("GET", "/stuck"))
      assert.is_truthy(app:await_log "stuck")
      app:signal(signals[1])
      app:await_signal(numbers[signals[1]])
      assert.equal(128 + numbers[signals[2]], (app:finish(signals[2])))
      connection:close()
    end
  end)

  it("SIGHUP does not end it", function()
    local app = server.start(app_with 'app:get("/", function() return "still here" end)')
    for _ = 1, 3 do
      app:signal "HUP"
      app:await_signal(1)
    end
    assert.is_truthy(app:await_log "SIGHUP is ignored")
    assert.equal("still here", http.get(app, "/").body)
    assert.equal(0, (app:finish()))
  end)

  it("a second one does not wait for a stop that takes long", function()
    local app = server.start(app_with [[
app:get("/slow", function()
  app.log.info("waiting")
  require("moonwire").sleep(60)
end)]])
    local connection = http.connect(app)
    connection:send(http.format("GET", "/slow"))
    assert.is_truthy(app:await_log "waiting")
    app:signal "INT"
    assert.is_truthy(app:await_log "stopping %(SIGINT%)")
    assert.equal(130, (app:finish "INT"))
    connection:close()
  end)
end)
