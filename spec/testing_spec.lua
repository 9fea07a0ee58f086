-- moonwire.testing: the server, its clock, its requests, and errors of handlers.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function start(define)
  local app = moonwire.app {}
  define(app)
  return testing.start(app)
end

-- The message with which fn fails.
local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

describe("a server under test", function()
  after_each(testing.stop_all)

  it("answers requests", function()
    local server = start(function(app)
      app:post("/rooms/{room}", function(request)
        local headers = { ["Set-Cookie"] = "session=s1; Path=/", ["X-Token"] = request.token }
        return 201,
          { room = request.params.room, a = request.query.a, got = request:json() },
          headers
      end)
    end)
    local response = server:request("POST", "/rooms/1", {
      query = { a = "x y&z" },
      token = "secret",
      body = { text = "hello" },
    })
    assert.equal(201, response.status)
    assert.same({ room = "1", a = "x y&z", got = { text = "hello" } }, response:json())
    assert.equal("application/json", response.headers["content-type"])
    assert.equal("secret", response.headers["x-token"])
    assert.equal("s1", response.cookies.session)
    assert.equal(404, server:request("GET", "/nothing").status)
    assert.equal("", server:request("HEAD", "/health").body)
    assert.matches(
      'expected a body of JSON: .*got "',
      failure(function()
        server:request("GET", "/moonwire.js"):json()
      end)
    )
  end)

  it("serves files", function()
    local server = start(function(app)
      app:static("/", "browser")
    end)
    local text = assert(io.open "spec/browser/cuts.mjs"):read "a"
    for _ = 1, 20 do
      assert.equal(text, server:request("GET", "/cuts.mjs").body)
    end
  end)

  it("has the time that the test gives it", function()
    local ticks, once, slept = 0, nil, nil
    local server
    server = start(function(app)
      app:every(10, function()
        ticks = ticks + 1
      end)
      app:after(2.5, function()
        once = server:time()
      end)
      app:spawn(function()
        moonwire.sleep(1)
        moonwire.sleep(1)
        slept = server:time()
      end)
    end)
    local began = server:time()
    assert.equal(0, ticks)
    server:advance(1.999)
    assert.is_nil(slept)
    server:advance(0.001)
    assert.is_near(began + 2, slept, 0.0005)
    server:advance(100)
    assert.equal(10, ticks)
    assert.is_near(began + 2.5, once, 0.0005)
    assert.is_near(began + 102, server:time(), 0.0005)
    server:advance(24 * 3600)
    assert.equal(8650, ticks)
  end)

  it("lets handlers wait as long as the test says", function()
    local server = start(function(app)
      app:get("/slow", function()
        moonwire.sleep(3)
        return "done"
      end)
    end)
    local message = failure(server.request, server, "GET", "/slow")
    assert.matches(
      "testing_spec.lua:%d+: GET /slow: expected a response, got nothing yet; its handler waits",
      message
    )
    assert.equal("done", server:request("GET", "/slow", { within = 3 }).body)
    local pending = server:start_request("GET", "/slow")
    server:advance(2)
    assert.is_false(pending.done())
    server:advance(1)
    assert.is_true(pending.done())
    assert.equal("done", pending.result().body)
    -- as on the wire: 503 when the app takes too long
    local server_slow = start(function(app)
      app:get("/", function()
        moonwire.sleep(31)
      end)
    end)
    assert.equal(503, server_slow:request("GET", "/", { within = 40 }).status)
  end)

  it("publishes, and says why it cannot", function()
    local server = start(function(app)
      app:channel("a", { history = { size = 1 } })
    end)
    assert.is_string(server:publish("a", "b", 1))
    assert.is_true(server:publish("a", "b", 1, { volatile = true }))
    assert.matches(
      'testing_spec.lua:%d+: app:publish: no pattern matches the channel "b"',
      failure(server.publish, server, "b", "b", 1)
    )
    assert.matches(
      "server:publish: expected to publish to a, and it failed: .* %(too_large%)",
      failure(server.publish, server, "a", "b", ("x"):rep(70000))
    )
  end)

  describe("with a handler that fails", function()
    local function broken()
      return start(function(app)
        app:get("/", function(request)
          return request.nothing.field
        end)
        app:get("/failed", function()
          return nil, "the database is down"
        end)
        app:after(5, function()
          error "in a timer"
        end)
        app:channel("a", {
          on_leave = function()
            error "in a hook"
          end,
        })
      end)
    end

    it("fails the test with the traceback", function()
      local server = broken()
      for _ = 1, 3 do
        local message = failure(server.request, server, "GET", "/")
        assert.matches(
          "^spec/testing_spec.lua:%d+: a handler failed: handler of GET /: spec/testing_spec.lua:%d+: attempt to index",
          message
        )
        assert.matches("stack traceback:\n\tspec/testing_spec.lua:%d+: in", message)
      end
      assert.matches(
        "failed: the database is down",
        failure(server.request, server, "GET", "/failed")
      )
      assert.matches("a handler failed: .*in a timer", failure(server.advance, server, 6))
      local client = server:connect { channels = { "a" } }
      assert.matches("in a hook", failure(client.disconnect, client))
    end)

    it("expects errors", function()
      local server = broken()
      local text = server:expect_error("attempt to index", function()
        assert.equal(500, server:request("GET", "/").status)
        assert.equal(500, server:request("GET", "/").status)
      end)
      assert.matches("handler of GET /", text)
      assert.matches(
        'expected a handler to fail with "nope", and none failed',
        failure(server.expect_error, server, "nope", function() end)
      )
      assert.matches(
        'expected a handler to fail with "nope", and one failed with: handler of GET /: ',
        failure(server.expect_error, server, "nope", function()
          server:request("GET", "/")
        end)
      )
      -- what the function itself raises passes
      assert.equal(
        "mine",
        failure(server.expect_error, server, "nope", function()
          error("mine", 0)
        end)
      )
      server:request("GET", "/health")
    end)

    it("fails when it is stopped", function()
      local server = broken()
      server:connect { channels = { "a" } }
      assert.matches(
        "testing_spec.lua:%d+: a handler failed: .*in a hook",
        failure(server.stop, server)
      )
      server:stop()
    end)
  end)

  it("stops as by a signal, on the clock of the test", function()
    local seen = {}
    local server = start(function(app)
      app:channel("a", {
        on_close = function()
          moonwire.sleep(2)
          seen.closed = true
        end,
      })
    end)
    local client = server:connect { channels = { "a" } }
    server:stop()
    assert.is_true(seen.closed)
    assert.is_true(client.closed)
    assert.matches("the server has stopped", failure(server.connect, server))
    assert.matches("the server has stopped", failure(server.advance, server, 1))
    assert.matches("client 1: the connection is closed", failure(client.send, client, "a", "b"))
  end)

  it("says so when an app does not come to rest", function()
    local server = start(function(app)
      app:get("/", function()
        local function again()
          app:spawn(again)
        end
        again()
      end)
    end)
    assert.matches("the app does not come to rest", failure(server.request, server, "GET", "/"))
  end)

  it("lives beside others", function()
    local function define(app)
      app:channel("a", { history = { size = 5 } })
    end
    local first, second = start(define), start(define)
    local one = first:connect { channels = { "a" } }
    local other = second:connect { channels = { "a" } }
    first:publish("a", "x", 1)
    assert.equal(1, one:take("x").data)
    other:expect_nothing()
    first:advance(1000)
    assert.is_true(first:time() > second:time() + 900)
  end)

  it("says what is misused", function()
    assert.matches(
      "testing_spec.lua:%d+: testing.start: argument 1 must be an app or the path of a script, got table",
      failure(testing.start, {})
    )
    local server = start(function(app)
      app:channel "a"
    end)
    assert.matches("testing.start: the app is running", failure(testing.start, server.app))
    assert.matches(
      "server:connect: unknown option 'chanels' %(did you mean 'channels'%?%)",
      failure(server.connect, server, { chanels = {} })
    )
    assert.matches(
      "server:connect: option 'channels' is required for \"sse\"",
      failure(server.connect, server, { transport = "sse" })
    )
    assert.matches(
      "server:advance: argument 1 must be a non%-negative number of seconds, got the string",
      failure(server.advance, server, "x")
    )
    assert.matches("call it with a colon", failure(server.advance, 1))
    assert.matches("call it with a colon", failure(server:connect().take, "x"))
  end)

  it("says which Lua it requires, before the C module fails to load", function()
    for _, name in ipairs { "init", "testing" } do
      local environment = setmetatable({ _VERSION = "Lua 5.1" }, { __index = _G })
      local module = assert(loadfile("lua/moonwire/" .. name .. ".lua", "t", environment))
      assert.matches("^moonwire requires Lua 5.4, got Lua 5.1; with busted", failure(module))
    end
  end)

  it("leaves nothing behind", function()
    testing.stop_all()
    collectgarbage()
    for i = 1, 3 do
      local server = start(function(app)
        app:channel("a", { history = { size = 5 }, presence = true })
        app:every(1, function() end)
      end)
      for _, transport in ipairs { "websocket", "sse", "poll" } do
        local client = server:connect { transport = transport, channels = { "a" } }
        if i == 2 then
          client:stop_reading()
        end
      end
      server:publish("a", "b", 1)
      server:start_request("GET", "/poll", { query = { channel = "a", since = "x" } })
      server:stop()
    end
    local core = require "moonwire.core"
    for _, kind in ipairs {
      "conn",
      "session",
      "client",
      "request",
      "membership",
      "channel",
      "message",
      "blob",
      "subscription",
    } do
      assert.equal(0, core.live(kind), kind)
    end
  end)

  it("runs a thousand tests a second", function()
    local socket = require "socket"
    local count, began = 500, socket.gettime()
    for i = 1, count do
      local server = start(function(app)
        app:channel("room:{room}", {
          history = { size = 10 },
          on = {
            say = function(_, channel, message)
              return { id = channel:publish("said", message.data) }
            end,
          },
        })
      end)
      local ann = server:connect { channels = { "room:1" } }
      local ben = server:connect { channels = { "room:1" }, transport = "sse" }
      assert(ann:send("room:1", "say", { n = i }).id)
      assert(ben:take("said").data.n == i)
      server:stop()
    end
    local rate = count / (socket.gettime() - began)
    -- the machine may be busy
    assert.is_true(rate > 10, ("%.0f tests a second"):format(rate))
    if os.getenv "MOONWIRE_SHOW_RATE" then
      print(("%.0f tests a second"):format(rate))
    end
  end)
end)

describe("a script under test", function()
  local directory

  local function write(name, text)
    local file = assert(io.open(directory .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  before_each(function()
    local pipe = assert(io.popen "mktemp -d")
    directory = pipe:read "l"
    pipe:close()
  end)

  after_each(function()
    testing.stop_all()
    os.execute(("rm -r '%s'"):format(directory))
  end)

  it("finds its modules, which are new for each test", function()
    write("counter_of_a_test.lua", "return { count = 0 }")
    write("late_of_a_test.lua", "return 'late'")
    write(
      "app.lua",
      [[
      local app = require("moonwire").app {}
      local counter = require "counter_of_a_test"
      app:get("/", function()
        counter.count = counter.count + 1
        return { count = counter.count, late = require "late_of_a_test" }
      end)
      return app]]
    )
    local path = package.path
    for _ = 1, 2 do
      local server = testing.start(directory .. "/app.lua")
      assert.same({ count = 1, late = "late" }, server:request("GET", "/"):json())
      assert.same({ count = 2, late = "late" }, server:request("GET", "/"):json())
      server:stop()
      assert.equal(path, package.path)
      assert.is_nil(package.loaded.counter_of_a_test)
      assert.is_nil(package.loaded.late_of_a_test)
    end
  end)

  it("says what is wrong with it", function()
    local path = package.path
    write("app.lua", "return 1")
    assert.matches(
      "spec/testing_spec.lua:%d+: testing.start: the script .*app.lua must return its app, and it returned number",
      failure(testing.start, directory .. "/app.lua")
    )
    write("app.lua", "return return")
    assert.matches("app.lua:1: ", failure(testing.start, directory .. "/app.lua"))
    write("app.lua", "local app = require('moonwire').app {}\napp:channel('a:*')\nreturn app")
    assert.matches("app.lua:2: app:channel", failure(testing.start, directory .. "/app.lua"))
    write("app.lua", "local app = require('moonwire').app {}\napp:channel('a:b}')\nreturn app")
    assert.matches("app.lua:2: app:channel", failure(testing.start, directory .. "/app.lua"))
    assert.matches("testing.start: cannot open", failure(testing.start, directory .. "/none.lua"))
    assert.equal(path, package.path)
  end)
end)
