-- Definitions that do not hold: each error says where, which key, and what was probably meant.

local options = require "moonwire.options"

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

-- The message of a definition in a script of a few lines, whose path is app.lua.
local function failure_of(script)
  local chunk = assert(
    load('local moonwire = require "moonwire"\nlocal app = moonwire.app {}\n' .. script, "@app.lua")
  )
  return failure(chunk)
end

describe("a misspelt option", function()
  it("is named with its place and the likely one", function()
    assert.equal(
      [[app.lua:4: app:channel "room:{room}": unknown option 'histroy' (did you mean 'history'?)]],
      failure_of '\napp:channel("room:{room}", { histroy = { size = 1 } })'
    )
    assert.equal(
      [[app.lua:3: app:channel "a": unknown option 'history.sise' (did you mean 'size'?)]],
      failure_of 'app:channel("a", { history = { sise = 1 } })'
    )
    assert.equal(
      [[app.lua:3: moonwire.app: unknown option 'orgins' (did you mean 'origins'?)]],
      failure_of "moonwire.app { orgins = {} }"
    )
    assert.equal(
      [[app.lua:3: moonwire.app: unknown option 'limits.bdoy' (did you mean 'body'?)]],
      failure_of "moonwire.app { limits = { bdoy = 1 } }"
    )
  end)

  it("without a likely one is named alone", function()
    assert.equal(
      [[app.lua:3: app:channel "a": unknown option 'colour']],
      failure_of 'app:channel("a", { colour = true })'
    )
    assert.equal(
      [[app.lua:3: app:channel "a": an option must have a name, got the key 1]],
      failure_of 'app:channel("a", { "x" })'
    )
  end)
end)

describe("an option of the wrong type", function()
  it("is named with what it must be and what it is", function()
    local cases = {
      {
        "{ history = { size = 'x' } }",
        "option 'history.size' must be a non-negative integer, got the string \"x\"",
      },
      {
        "{ history = { size = -1 } }",
        "option 'history.size' must be a non-negative integer, got -1",
      },
      {
        "{ history = { size = 1.5 } }",
        "option 'history.size' must be a non-negative integer, got 1.5",
      },
      { "{ history = 5 }", "option 'history' must be a table, got number" },
      { "{ history = {} }", "option 'history.size' is required" },
      {
        "{ history = { size = 1, ttl = -1 } }",
        "option 'history.ttl' must be a positive number of seconds, got -1",
      },
      {
        "{ history = { size = 1, ttl = 0 } }",
        "option 'history.ttl' must be a positive number of seconds, got 0",
      },
      {
        "{ history = { size = 1, ttl = 0/0 } }",
        "option 'history.ttl' must be a positive number of seconds, got ",
      },
      {
        "{ history = { size = 5, replay = 6 } }",
        "option 'history.replay' must be at most 'history.size' (5), got 6",
      },
      {
        "{ history = { size = 5, bytes = 0 } }",
        "option 'history.bytes' must be a positive integer, got 0",
      },
      {
        "{ history = { size = 5, readable = 1 } }",
        "option 'history.readable' must be a boolean, got number",
      },
      {
        "{ history = { size = 5 }, slow = 'latests' }",
        'option \'slow\' must be "catchup", "close", "drop" or "latest", got the string "latests" (did you mean "latest"?)',
      },
      {
        "{ slow = true }",
        'option \'slow\' must be "catchup", "close", "drop" or "latest", got boolean',
      },
      { "{ slow = 'catchup' }", "option 'slow': \"catchup\" requires a history" },
      {
        "{ history = { size = 0 }, slow = 'catchup' }",
        "option 'slow': \"catchup\" requires a history",
      },
      { "{ limits = { outbox = 0 } }", "option 'limits.outbox' must be a positive integer, got 0" },
      {
        "{ limits = { age = 0 } }",
        "option 'limits.age' must be a positive number of seconds, got 0",
      },
      { "{ limits = { ages = 1 } }", "unknown option 'limits.ages' (did you mean 'age'?)" },
      { "{ final = true }", "unknown option 'final' (it is an option of publishing)" },
      { "{ key = 'a' }", "unknown option 'key' (it is an option of publishing)" },
      { "{ readable = true }", "unknown option 'readable' (it is an option of 'history')" },
      { "{ finale = true }", "unknown option 'finale'" },
      { "{ on_slow = 1 }", "option 'on_slow' must be a function, got number" },
      {
        "{ authorize = 'x' }",
        "option 'authorize' must be a function, a boolean, or \"token\", got string",
      },
      { "{ on_join = true }", "option 'on_join' must be a function, got boolean" },
      {
        "{ linger = '5' }",
        "option 'linger' must be a non-negative number of seconds, got the string \"5\"",
      },
      { "5", "options must be a table, got number" },
    }
    for _, case in ipairs(cases) do
      local message = failure_of(('app:channel("a", %s)'):format(case[1]))
      local expected = 'app.lua:3: app:channel "a": ' .. case[2]
      assert.equal(expected, message:sub(1, #expected))
    end
  end)

  it("is found in presence", function()
    local cases = {
      {
        "{ presence = 1 }",
        ": option 'presence' must be a boolean, a function, or a table, got number",
      },
      {
        "{ presence = { mode = 'some' } }",
        ', presence: option \'mode\' must be "full" or "counts", got the string "some"',
      },
      {
        "{ presence = { mode = 'count' } }",
        ', presence: option \'mode\' must be "full" or "counts", got the string "count" (did you mean "counts"?)',
      },
      {
        "{ presence = { info = false } }",
        ", presence: option 'info' must be a function or true, got boolean",
      },
      {
        "{ presence = { linger = -1 } }",
        ", presence: option 'linger' must be a non-negative number of seconds, got -1",
      },
      {
        "{ presence = { intervall = 1 } }",
        ", presence: unknown option 'intervall' (did you mean 'interval'?)",
      },
      { "{ limits = { members = 5 } }", ": option 'limits.members' needs 'presence'" },
      {
        "{ presence = true, limits = { members = 0 } }",
        ": option 'limits.members' must be a positive integer, got 0",
      },
    }
    for _, case in ipairs(cases) do
      assert.equal(
        'app.lua:3: app:channel "a"' .. case[2],
        failure_of('app:channel("a", ' .. case[1] .. ")")
      )
    end
    for _, presence in ipairs {
      "true",
      "false",
      "print",
      "{}",
      "{ info = true, linger = 0, interval = 0 }",
    } do
      assert(load('require("moonwire").app():channel("a", { presence = ' .. presence .. " })"))()
    end
  end)

  it("is found in moonwire.app", function()
    local cases = {
      { "{ limits = { body = 0 } }", "option 'limits.body' must be a positive integer, got 0" },
      {
        "{ limits = { head_seconds = 0 } }",
        "option 'limits.head_seconds' must be a positive number of seconds, got 0",
      },
      {
        "{ limits = { size = 1 } }",
        "unknown option 'limits.size' (did you mean 'message_size'?)",
      },
      {
        "{ limits = { message = 1 } }",
        "unknown option 'limits.message' (did you mean 'ws_message_size'?)",
      },
      {
        "{ limits = { stash = 1 } }",
        "unknown option 'limits.stash' (did you mean 'input_backlog'?)",
      },
      { "{ limits = { replay = 0 } }", "option 'limits.replay' must be a positive integer, got 0" },
      {
        "{ limits = { replay_bytes = 0.5 } }",
        "option 'limits.replay_bytes' must be a positive integer, got 0.5",
      },
      {
        "{ limits = { history = 0 } }",
        "option 'limits.history' must be a positive integer, got 0",
      },
      {
        "{ origins = 'x' }",
        "option 'origins' must be a list of strings, got the string \"x\"",
      },
      { "{ origins = { 'x', 1 } }", "option 'origins' must be a list of strings, got table" },
      {
        "{ publish_key = '' }",
        "option 'publish_key' must be a non-empty string, got the string \"\"",
      },
      {
        "{ paths = { sse = 'x' } }",
        "option 'paths.sse' must be a path that begins with '/', or false, got the string \"x\"",
      },
    }
    for _, case in ipairs(cases) do
      assert.equal("app.lua:3: moonwire.app: " .. case[2], failure_of("moonwire.app " .. case[1]))
    end
  end)
end)

describe("a wrong argument", function()
  it("is named with its place", function()
    local cases = {
      { "app:channel(5)", "app:channel: argument 1 must be a string, got number" },
      { 'app:get("/x")', "app:get: argument 2 must be a function, got nil" },
      {
        "app:every(0, print)",
        "app:every: argument 1 must be a number of seconds, at least 0.001, got 0",
      },
      {
        "app:every('1', print)",
        'app:every: argument 1 must be a number of seconds, at least 0.001, got the string "1"',
      },
      {
        "app:after(-1, print)",
        "app:after: argument 1 must be a non-negative number of seconds, got -1",
      },
      { "app:after(1)", "app:after: argument 2 must be a function, got nil" },
      { "app:spawn(5)", "app:spawn: argument 1 must be a function, got number" },
      { "app:authenticate()", "app:authenticate: argument 1 must be a function, got nil" },
      {
        "app:publish('a', 'b', 1)",
        "app:publish: the app is not running yet; use app:after(0, …)",
      },
      { "app:step()", "app:step: the app is not running yet" },
      { "app:find('a')", "app:find: the app is not running yet" },
      {
        "app:authenticate(print) app:authenticate(print)",
        "app:authenticate: the app already has such a handler",
      },
    }
    for _, case in ipairs(cases) do
      assert.equal("app.lua:3: " .. case[2], failure_of(case[1]))
    end
  end)
end)

describe("a call by the wrong sign", function()
  it("says whether it takes a dot or a colon", function()
    local cases = {
      { "app.publish('a')", "app.publish: call it with a colon, as app:publish(…)" },
      { "app.channel('a')", "app.channel: call it with a colon, as app:channel(…)" },
      { "app.step()", "app.step: call it with a colon, as app:step(…)" },
    }
    for _, case in ipairs(cases) do
      assert.equal("app.lua:3: " .. case[2], failure_of(case[1]))
    end
  end)
end)

describe("a tail call", function()
  local function caller_of(script)
    return failure(options.call, assert(load(script, "@app.lua")))
  end

  it("is placed in the function that made it, or in its script", function()
    local app = 'local moonwire = require "moonwire"\nlocal app = moonwire.app {}\n'
    assert.equal(
      "app.lua: moonwire.app: options must be a table, got string",
      caller_of 'return require("moonwire").app "x"'
    )
    local handler =
      assert(load(app .. "return function()\n return app:channel(5)\nend", "@app.lua"))()
    assert.equal(
      "app.lua:3: app:channel: argument 1 must be a string, got number",
      failure(options.call, handler)
    )
  end)
end)

describe("a pattern", function()
  it("that cannot be, or is there already, is refused where it is defined", function()
    local cases = {
      {
        "app:channel('room:*')",
        "app:channel \"room:*\": '*' is not allowed in a pattern; {name} matches one segment",
      },
      {
        "app:get('/a?b=1', print)",
        "app:get \"/a?b=1\": a route cannot contain '?' or white space; request.query has the query",
      },
      {
        "app:get('/a b', print)",
        "app:get \"/a b\": a route cannot contain '?' or white space; request.query has the query",
      },
      {
        "app:channel('a:{b}') app:channel('a:{c}')",
        'app:channel "a:{c}": already defined at app.lua:3',
      },
      {
        "app:get('/a', print) app:stream('/a', print)",
        'app:stream "/a": already defined at app.lua:3',
      },
    }
    for _, case in ipairs(cases) do
      assert.equal("app.lua:3: " .. case[2], failure_of(case[1]))
    end
    local apart =
      failure_of "app:get('/a', print) app:post('/a', print) app:channel('/a') error('end', 0)"
    assert.equal("end", apart)
  end)
end)

describe("the start", function()
  local function start_failure(script)
    return failure_of(script .. '\napp:listen "127.0.0.1:0"')
  end

  it("stops at a channel without authorize if the app authenticates", function()
    assert.matches(
      "^app.lua:3: app:channel \"a\": option 'authorize' is required with app:authenticate",
      start_failure 'app:channel("a")\napp:authenticate(print)'
    )
  end)

  it("stops at patterns that overlap or are malformed, where they were defined", function()
    assert.matches(
      '^app.lua:4: app:channel "{b}:a": ',
      start_failure 'app:channel("a:{b}")\napp:channel("{b}:a")'
    )
    assert.matches('^app.lua:3: app:channel "{": ', start_failure 'app:channel("{")')
    assert.matches('^app.lua:3: app:get "x": ', start_failure 'app:get("x", print)')
    assert.matches(
      '^app.lua:3: app:stream "/{a}{b}": ',
      start_failure 'app:stream("/{a}{b}", print)'
    )
  end)

  it("stops at a route that stands on an endpoint which is on", function()
    local function failure_at(path, settings)
      local script =
        'local app = require("moonwire").app { %s }\napp:get("%s", print)\nassert(app:listen "127.0.0.1:0")'
      local ok, message = pcall(assert(load(script:format(settings or "", path), "@app.lua")))
      return not ok and message or nil
    end
    for _, path in ipairs { "/sse", "/ws", "/send", "/health", "/ready" } do
      assert.equal(
        ("app.lua:2: app:get %q: '%s' is an endpoint of the server; move it with moonwire.app { paths = { %s = … } }"):format(
          path,
          path,
          path:sub(2)
        ),
        failure_at(path)
      )
    end
    assert.is_truthy(failure_at("/publish", "publish_key = 'x'"))
    assert.is_truthy(failure_at("/events", "paths = { sse = '/events' }"))
    assert.is_nil(failure_at "/publish")
    assert.is_nil(failure_at("/sse", "paths = { sse = '/events' }"))
    assert.is_nil(failure_at("/ws", "paths = { ws = false }"))
  end)

  it("stops at two endpoints with one path, and says where", function()
    local message = failure_of 'moonwire.app { paths = { sse = "/ws" } }:listen "127.0.0.1:0"'
    assert.matches("^app.lua:3: moonwire.app: .*two endpoints have the same path$", message)
  end)

  it("names a directory for a socket that is not there", function()
    local message = failure_of 'assert(app:listen "unix:/nowhere/at/all.sock")'
    assert.matches('"unix:/nowhere/at/all.sock": no such directory: /nowhere/at$', message)
  end)

  it("stops at a directory that is not there, and at an origin that is none", function()
    assert.matches('^app.lua:3: app:static "/": ', start_failure 'app:static("/", "nowhere")')
    assert.matches(
      "^app.lua:3: moonwire.app: ",
      failure_of 'moonwire.app { origins = { "example" } }:listen "127.0.0.1:0"'
    )
  end)
end)

describe("options.nearest", function()
  it("finds what was probably meant", function()
    assert.equal("history", options.nearest("histroy", { "history", "linger" }))
    assert.equal("--listen", options.nearest("--lisen", { "--listen", "--private" }))
    assert.equal("on_join", options.nearest("on_joined", { "on_join", "on_open" }))
    assert.is_nil(options.nearest("presence", { "history", "linger", "authorize" }))
    assert.is_nil(options.nearest(("x"):rep(1000), { "history" }))
  end)
end)

describe("what clients may send", function()
  it("is checked when it is defined", function()
    local cases = {
      { "{ on = function() end }", "option 'on' must be a table, got function" },
      { "{ on = { say = true } }", "option 'on.say' must be a function, got boolean" },
      {
        "{ on = { function() end } }",
        "option 'on' has no names: write on = { say = function … end }",
      },
      { "{ on = { [true] = print } }", "option 'on' has a key true" },
      { "{ relay = 'typing' }", "option 'relay' must be a table, got string" },
      { "{ relay = { 5 } }", "option 'relay[1]' must be the name of an event, got number" },
      { "{ relay = { [3] = 'typing' } }", "option 'relay' has a key 3" },
      { "{ relay = { typing = true } }", "option 'relay.typing' must be a table, got boolean" },
      { "{ relay = { 'typing', 'typing' } }", "event 'typing' is in 'relay' twice" },
      { "{ relay = { 'typing', typing = {} } }", "event 'typing' is in 'relay' twice" },
      { "{ on = { say = print }, relay = { 'say' } }", "event 'say' is in both 'on' and 'relay'" },
      {
        "{ on = { say = print }, relay = { say = {} } }",
        "event 'say' is in both 'on' and 'relay'",
      },
    }
    for _, case in ipairs(cases) do
      assert.equal(
        'app.lua:3: app:channel "a": ' .. case[2],
        failure_of(('app:channel("a", %s)'):format(case[1])),
        case[1]
      )
    end
    assert.equal(
      [[app.lua:3: app:channel "a", relay.say: unknown option 'kepe' (did you mean 'keep'?)]],
      failure_of 'app:channel("a", { relay = { say = { kepe = true } } })'
    )
  end)

  it("has names that the core knows", function()
    for _, case in ipairs {
      { "on = { ['bad name'] = print }", "bad name" },
      { "on = { open = print }", "open" },
      { "relay = { 'moonwire:x' }", "moonwire:x" },
      { "relay = { [''] = {} }", "" },
    } do
      local script = ('app:channel("a", { %s })\nassert(app:listen "127.0.0.1:0")'):format(case[1])
      local message = failure_of(script)
      assert.matches('^app.lua:3: app:channel "a": ', message)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)
end)

describe("a handler that an app has once", function()
  it("is not set twice, and must be a function", function()
    for _, name in ipairs { "authenticate", "on_connect", "on_disconnect" } do
      assert.equal(
        ("app.lua:4: app:%s: the app already has such a handler"):format(name),
        failure_of(("app:%s(print)\napp:%s(print)"):format(name, name))
      )
      assert.equal(
        ("app.lua:3: app:%s: argument 1 must be a function, got nil"):format(name),
        failure_of(("app:%s()"):format(name))
      )
    end
  end)
end)
