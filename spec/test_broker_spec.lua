-- An app whose messages a broker orders, without Redis: options, and what waits.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

-- Starts an app with that broker, and returns a function that runs code in a handler.
local function start(channel, settings)
  local app = moonwire.app(settings or { broker = moonwire.redis "redis://localhost" })
  app:channel("room:{room}", channel or { history = { size = 100 } })
  local server = testing.start(app)
  return server,
    function(fn)
      local results
      app:spawn(function()
        results = table.pack(pcall(fn, app))
      end)
      server:advance(0)
      return table.unpack(results, 1, results.n)
    end
end

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

describe("moonwire.redis", function()
  it("takes a URL, and shows no password", function()
    local cases = {
      { "redis://app:p@ss/w@h:1/3", "Redis at redis://h:1/3" },
      { "rediss://h", "Redis at rediss://h" },
      { "unix:/run/redis.sock?db=1", "Redis at unix:/run/redis.sock?db=1" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], tostring(moonwire.redis(case[1])))
    end
    local given =
      { url = "redis://main", sentinels = { "a", "b:7" }, password = "x", prefix = "shop" }
    given.publish_seconds, given.wait_replicas, given.username = 0.5, 1, "app"
    assert.equal("Redis at redis://main", tostring(moonwire.redis(given)))
    given = { url = "rediss://h", verify = false }
    assert.equal("Redis at rediss://h", tostring(moonwire.redis(given)))
  end)

  it("raises for what is wrong, without a secret", function()
    local cases = {
      { {}, "option 'url' is required" },
      { { password = "s3cret" }, "option 'url' is required" },
      { "http://:s3cret@h", "the URL: must begin with redis://" },
      { "redis://:s3cret%0@h", "percent escape" },
      { "redis://h\0", "url has a NUL" },
      { { url = "redis://h", password = "s3cret\0" }, "password has a NUL" },
      { { url = "redis://h", sentinels = { "a", "b\0" } }, "a sentinel has a NUL" },
      { { url = "redis://:s3cret@h", password = "s3cret" }, "the URL has a password" },
      { { url = "redis://h", sentinels = { "a", ":s3cret@b:0" } }, "sentinel 2: the port must be" },
      { { url = "redis://h", prefix = "a b" }, "the prefix must be" },
      {
        { url = "redis://h", prefixx = "a" },
        "unknown option 'prefixx' %(did you mean 'prefix'%?%)",
      },
      {
        { url = "redis://h", verify = false },
        "ca_file and verify = false need a URL with rediss://",
      },
      { { url = "redis://h", publish_seconds = 601 }, "publish_seconds is more than 600" },
      { { url = "redis://h", expiry_seconds = 1 }, "expiry_seconds is not between 2 and 600" },
      { { url = "redis://h", wait_replicas = 17 }, "wait_replicas is more than 16" },
      { 7, "bad argument" },
    }
    for i = 1, #cases - 1 do
      local message = failure(moonwire.redis, cases[i][1])
      assert.matches("test_broker_spec.lua:%d+: moonwire.redis: .*" .. cases[i][2], message)
      assert.is_nil(message:find("s3cret", 1, true))
    end
    local text = "moonwire.app: option 'broker' must be what moonwire.redis returns, got string"
    assert.matches(text, failure(moonwire.app, { broker = "redis://h" }))
  end)
end)

describe("with a broker, a handler", function()
  after_each(testing.stop_all)

  it("waits for its publishes, in order, also over coroutines of its own", function()
    local server = start {
      on = {
        say = function(_, channel, message)
          local ids = {}
          for i = 1, 3 do
            ids[i] = assert(channel:publish("said", i))
          end
          ids[4] = coroutine.wrap(function()
            return channel:publish("said", message.data)
          end)()
          return ids
        end,
      },
      history = { size = 100 },
    }
    for _, transport in ipairs { "websocket", "sse" } do
      local client = server:connect { transport = transport, channels = { "room:1" } }
      local speaker = server:connect { channels = { "room:1" } }
      local ids = speaker:send("room:1", "say", "last")
      for i, data in ipairs { 1, 2, 3, "last" } do
        local message = client:take("said", "room:1")
        assert.same({ data, ids[i] }, { message.data, message.id })
      end
    end
  end)

  it("publishes without waiting where it says so", function()
    local server, run = start()
    local client = server:connect { channels = { "room:1" } }
    assert.same({ true, true }, {
      run(function(app)
        return app:publish("room:1", "a", 1, { wait = false })
      end),
    })
    assert.is_true(server.app:publish("room:1", "a", 2, { wait = false }))
    assert.is_true(server.app:publish("room:1", "v", 3, { volatile = true }))
    assert.equal(3, client:take("v", "room:1").data)
    for _, data in ipairs { 1, 2 } do
      assert.equal(data, client:take("a", "room:1").data)
    end
  end)

  it("is told where it cannot wait, before anything is published", function()
    local server, run = start()
    local client = server:connect { channels = { "room:1" } }
    local text = "%S+: app:publish: a broker orders the messages, and this code cannot wait for it: .*"
      .. "set wait = false, or use app:spawn"
    assert.matches(text, failure(server.app.publish, server.app, "room:1", "a", 1))
    assert.matches(
      text:gsub("publish:", "publish_all:"),
      failure(server.app.publish_all, server.app, { { "room:1", "a", 1 } })
    )
    local ok, message = run(function(app)
      table.sort({ 2, 1 }, function(a, b)
        app:publish("room:1", "a", 1)
        return a < b
      end)
    end)
    assert.is_false(ok)
    assert.matches(text, message)
    server:publish("room:1", "a", "only this")
    assert.equal("only this", client:take("a", "room:1").data)
  end)

  it("that was cancelled does not wait", function()
    local id, message, code, after
    local server = start {
      authorize = true,
      history = { size = 100 },
      on = {
        say = function(_, channel)
          moonwire.sleep(1000)
          id, message, code = channel:publish("said", 1)
          after = true
        end,
      },
    }
    local listener = server:connect { channels = { "room:1" } }
    local speaker = server:connect { channels = { "room:1" } }
    speaker:start_send("room:1", "say")
    speaker:close()
    server:advance(1)
    assert.same({ true, true }, { id, after })
    assert.same({}, { message, code })
    assert.equal(1, listener:take("said", "room:1").data)
  end)

  it("ends with the server", function()
    local outcome
    local server, run = start()
    local app = server.app
    run(function()
      app:spawn(function()
        app:stop()
        outcome = table.pack(app:publish("room:1", "a", 1))
      end)
    end)
    server:stop()
    assert.is_true(outcome[1] == nil and outcome[3] == "closed" or type(outcome[1]) == "string")
  end)

  it("runs in every test of an app that asks for it", function()
    local app = moonwire.app {}
    app:channel("room:{room}", {})
    local server = testing.start(app, { broker = true })
    assert.matches("a broker orders", failure(app.publish, app, "room:1", "a", 1))
    assert.matches(
      'no pattern matches the channel "zoo"',
      failure(server.publish, server, "zoo", "a", 1)
    )
    server:stop()
    app = moonwire.app { broker = moonwire.redis "redis://localhost" }
    app:channel("room:{room}", {})
    testing.start(app, { broker = false })
    assert.is_string(app:publish("room:1", "a", 1))
    assert.matches(
      "testing.start: unknown option 'brokr' %(did you mean 'broker'%?%)",
      failure(testing.start, app, { brokr = true })
    )
  end)

  it("reads the history of any channel", function()
    local server, run = start()
    local _, id = run(function(app)
      return app:publish("room:1", "a", 1)
    end)
    local ok, list, more, code = run(function(app)
      return app:find("room:1"):history()
    end)
    assert.same({ true, 1, false }, { ok, #list, more, code })
    assert.same({ id, 1 }, { list[1].id, list[1].data })
    assert.same({}, (select(
      2,
      run(function(app)
        return app:find("room:other"):history { since = id }
      end)
    )))
    assert.is_nil(server.app:find "zoo")
    local channel = server.app:find "room:1"
    assert.matches(
      "channel:history: a broker orders the messages, and this code cannot wait for it: .*; use app:spawn",
      failure(channel.history, channel)
    )
    local is_fine, message = run(function(app)
      return app:find("room:1"):history { since = "x" }
    end)
    assert.is_false(is_fine)
    assert.matches('channel:history: since is not a message id: "x"', message)
  end)

  it("joins, relays, and reads history as without one", function()
    local server = start {
      history = { size = 10, readable = true },
      relay = { moved = { keep = true }, "typing" },
    }
    local first = server:connect { channels = { "room:1" } }
    local other = server:connect { transport = "poll", channels = { "room:1" } }
    first:send("room:1", "moved", 1)
    first:send("room:1", "typing", 2)
    assert.equal(1, other:take("moved", "room:1").data)
    assert.equal(2, other:take("typing", "room:1").data)
    assert.equal(1, #first:history "room:1")
  end)
end)

describe("app:publish_all", function()
  after_each(testing.stop_all)

  for _, has_broker in ipairs { true, false } do
    describe(has_broker and "with a broker" or "without one", function()
      local settings = not has_broker and {} or nil

      it("publishes in order, and returns results in order", function()
        local server, run = start(nil, settings)
        local client = server:connect { channels = { "room:1", "room:2" } }
        local ok, results, errors = run(function(app)
          return app:publish_all {
            { "room:1", "a", 1 },
            { "room:2", "a", 2, key = "k" },
            { channel = "room:1", event = "v", data = 3, volatile = true },
            { "room:1", "a", "\0", binary = true },
            { "room:2" },
            { "room:2", "a", 4, final = true },
          }
        end)
        assert.is_true(ok, results)
        assert.equal(0, errors)
        assert.equal(6, #results)
        assert.same({}, results[3])
        local previous = ""
        for _, i in ipairs { 1, 2, 4, 5, 6 } do
          assert.is_true(results[i].id > previous)
          previous = results[i].id
        end
        assert.equal(results[1].id, client:take("a", "room:1").id)
        assert.equal(3, client:take("v", "room:1").data)
        assert.equal("\0", client:take("a", "room:1").binary)
        assert.equal(2, client:take("a", "room:2").data)
        assert.equal(moonwire.null, client:take("message", "room:2").data)
        assert.equal(results[6].id, client:take("a", "room:2").id)
      end)

      it("reports each that failed, and goes on", function()
        local server, run = start(nil, settings)
        local ok, results, errors = run(function(app)
          return app:publish_all { { "room:1", "a", ("x"):rep(70000) }, { "room:1", "a", 2 } }
        end)
        assert.is_true(ok, results)
        assert.equal(1, errors)
        assert.equal("too_large", results[1].error.code)
        assert.matches("limits.message_size", results[1].error.reason)
        assert.is_string(results[2].id)
        assert.same({}, (select(
          2,
          run(function(app)
            return app:publish_all {}
          end)
        )))
        assert.is_not_nil(server)
      end)

      it("does not wait where it says so", function()
        local server = start(nil, settings)
        local client = server:connect { channels = { "room:1" } }
        local results, errors = server.app:publish_all(
          { { "room:1", "a", 1 }, { "room:1", "a", 2 } },
          { wait = false }
        )
        assert.equal(0, errors)
        assert.equal(2, #results)
        assert.equal(1, client:take("a", "room:1").data)
        assert.equal(2, client:take("a", "room:1").data)
      end)

      it("raises for misuse", function()
        local _, run = start(nil, settings)
        local many = {}
        for i = 1, 101 do
          many[i] = { "room:1", "a", i }
        end
        local cases = {
          { 1, "argument 1 must be a table, got number" },
          { many, "101 items, at most 100 are allowed" },
          { { 1 }, "item 1 must be a table, got number" },
          { { { "room:1", "a", 1 }, {} }, "item 2: option 'channel' is required" },
          {
            { { "room:1", "a", 1, final = 1 } },
            "item 1: option 'final' must be a boolean, got number",
          },
          { { { "room:1", "a", 1, wait = false } }, "item 1: unknown option 'wait'" },
          { { { "room:1", "a", 1, binary = true } }, "item 1: binary data must be a string" },
          { { { "room:1", "open", 1 } }, "item 1: the event names open and error are reserved" },
          { { { "room:1", "a", print } }, "item 1: data: JSON cannot hold a function" },
          { { { "room:1", "a" }, { "zoo", "a" } }, 'item 2: no pattern matches the channel "zoo"' },
          {
            { { "room:1", "a", 1, final = true, volatile = true } },
            "item 1: a final message cannot be volatile",
          },
        }
        for _, case in ipairs(cases) do
          local ok, message = run(function(app)
            return app:publish_all(case[1])
          end)
          assert.is_false(ok)
          assert.matches("test_broker_spec.lua:%d+: app:publish_all: " .. case[2], message)
        end
      end)
    end)
  end
end)
