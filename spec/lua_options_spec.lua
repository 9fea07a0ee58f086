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
      [[app.lua:3: app:channel "a": unknown option 'presence']],
      failure_of 'app:channel("a", { presence = true })'
    )
    assert.equal(
      [[app.lua:3: app:channel "a": options are named, and 1 is not a name]],
      failure_of 'app:channel("a", { "x" })'
    )
  end)
end)

describe("an option of the wrong type", function()
  it("is named with what it must be and what it is", function()
    local cases = {
      {
        "{ history = { size = 'x' } }",
        "option 'history.size' must be a non-negative integer, got string",
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
      { "{ history = {} }", "option 'history' needs a 'size'" },
      {
        "{ history = { size = 1, ttl = -1 } }",
        "option 'history.ttl' must be a non-negative number of seconds, got -1",
      },
      {
        "{ history = { size = 1, ttl = 0/0 } }",
        "option 'history.ttl' must be a non-negative number of seconds, got ",
      },
      { "{ authorize = 'x' }", "option 'authorize' must be a function or a boolean, got string" },
      { "{ on_join = true }", "option 'on_join' must be a function, got boolean" },
      {
        "{ linger = '5' }",
        "option 'linger' must be a non-negative number of seconds, got string",
      },
      { "5", "options must be a table, got number" },
    }
    for _, case in ipairs(cases) do
      local message = failure_of(('app:channel("a", %s)'):format(case[1]))
      local expected = 'app.lua:3: app:channel "a": ' .. case[2]
      assert.equal(expected, message:sub(1, #expected))
    end
  end)

  it("is found in moonwire.app", function()
    local cases = {
      { "{ limits = { body = 0 } }", "option 'limits.body' must be a positive integer, got 0" },
      {
        "{ limits = { head_seconds = 0 } }",
        "option 'limits.head_seconds' must be a positive number of seconds, got 0",
      },
      { "{ origins = 'x' }", "option 'origins' must be a list of strings, got string" },
      { "{ origins = { 'x', 1 } }", "option 'origins' must be a list of strings, got table" },
      {
        "{ publish_key = '' }",
        "option 'publish_key' must be a string that is not empty, got string",
      },
      {
        "{ paths = { sse = 'x' } }",
        "option 'paths.sse' must be a path that begins with '/', or false, got string",
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
      { "app:every(0, print)", "app:every: argument 1 must be a number of seconds, got 0" },
      { "app:every('1', print)", "app:every: argument 1 must be a number of seconds, got 1" },
      { "app:after(-1, print)", "app:after: argument 1 must be a number of seconds, got -1" },
      { "app:after(1)", "app:after: argument 2 must be a function, got nil" },
      { "app:spawn(5)", "app:spawn: argument 1 must be a function, got number" },
      { "app:authenticate()", "app:authenticate: argument 1 must be a function, got nil" },
      { "app:publish('a', 'b', 1)", "app:publish: the app is not running yet" },
      { "app:step()", "app:step: the app is not running yet" },
      { "app:find('a')", "app:find: the app is not running yet" },
      {
        "app:authenticate(print) app:authenticate(print)",
        "app:authenticate: the app has one already",
      },
    }
    for _, case in ipairs(cases) do
      assert.equal("app.lua:3: " .. case[2], failure_of(case[1]))
    end
  end)
end)

describe("the start", function()
  local function start_failure(script)
    return failure_of(script .. '\napp:listen "127.0.0.1:0"')
  end

  it("stops at a channel without authorize if the app authenticates", function()
    assert.matches(
      "^app.lua:3: app:channel \"a\": the app authenticates, so every channel must say 'authorize'",
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
