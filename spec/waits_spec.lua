-- What handlers wait for besides time: descriptors, calls, other functions, values of other tasks.

local moonwire = require "moonwire"
local socket = require "socket"
local task = require "spec.task"
local testing = require "moonwire.testing"

local run, raises = task.run, task.raises

-- Two connected sockets.
local function connect()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local client = assert(socket.connect("127.0.0.1", port))
  local peer = assert(listener:accept())
  listener:close()
  client:settimeout(0)
  return client, peer
end

describe("moonwire.wait", function()
  after_each(testing.stop_all)

  it("returns when a descriptor is ready", function()
    local client, peer = connect()
    local order = {}
    run(function(app)
      assert.is_true(moonwire.wait(client, "w"))
      app:spawn(function()
        order[#order + 1] = "other"
        peer:send "hello\n"
      end)
      assert.is_true(moonwire.wait(client:getfd(), "r", 5))
      order[#order + 1] = client:receive()
      app:spawn(function()
        peer:close()
      end)
      assert.is_true(coroutine.wrap(moonwire.wait)(client, "r"))
      order[#order + 1] = select(2, client:receive())
    end)
    assert.same({ "other", "hello", "closed" }, order)
    client:close()
  end)

  it("ends after its time", function()
    local client, peer = connect()
    run(function()
      for _ = 1, 3 do
        assert.same({ nil, "timeout" }, { moonwire.wait(client, "r", 0.1) })
      end
      assert.same({ nil, "timeout" }, { moonwire.wait(client, "r", 0) })
      peer:send "x"
      assert.is_true(moonwire.wait(client, "r", 1))
    end)
    client:close()
    peer:close()
  end)

  it("raises on misuse", function()
    local client, peer = connect()
    run(function(app)
      app:spawn(function()
        moonwire.wait(client, "r")
      end)
      moonwire.sleep(0)
      raises("descriptor %d+: another task waits for it", moonwire.wait, client, "r")
      raises("descriptor %d+: another task waits for it", moonwire.wait, client, "w")
      peer:send "x"
      raises("expected a descriptor, got nil", moonwire.wait, nil, "r")
      raises("the method getfd", moonwire.wait, {}, "r")
      raises("not valid", moonwire.wait, -1, "r")
      raises("not valid", moonwire.wait, 1.5, "r")
      raises("descriptor 99999 is not open", moonwire.wait, 99999, "r")
      raises("invalid option 'x'", moonwire.wait, client, "x")
      raises("from 0 to 1e9", moonwire.wait, client, "r", -1)
    end)
    raises("outside of a task", moonwire.wait, client, "r")
    client:close()
    peer:close()
  end)

  it("is cancelled with its handler, and leaves the descriptor to others", function()
    local client, peer = connect()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local results = {}
    app:get("/", function()
      local _ <close> = setmetatable({}, {
        __close = function()
          results[#results + 1] = "closed"
        end,
      })
      for _ = 1, 3 do
        results[#results + 1] = select(
          2,
          pcall(function()
            return select(2, moonwire.wait(client, "r"))
          end)
        )
      end
    end)
    local server = testing.start(app)
    local request = server:start_request("GET", "/")
    server:advance(2)
    assert.equal(503, request.result().status)
    assert.same({ "timeout", "closed" }, results)
    app:spawn(function()
      results[3] = moonwire.wait(client, "r", 5)
      results[4] = select(2, moonwire.wait(peer, "r"))
    end)
    server:advance(0)
    peer:send "x"
    server:advance(0)
    assert.is_true(results[3])
    server:stop()
    assert.equal("closed", results[4])
    client:close()
    peer:close()
  end)
end)

describe("moonwire.await", function()
  after_each(testing.stop_all)

  it("returns what resume is called with", function()
    run(function(app)
      local resume
      app:after(0.1, function()
        assert.is_true(resume("a", nil, "c", nil))
        assert.is_false(resume "again")
      end)
      local results = table.pack(moonwire.await(function(fn)
        resume = fn
      end))
      assert.same({ "a", nil, "c", nil, n = 4 }, results)
      assert.equal(
        1,
        moonwire.await(function(fn)
          fn(1) -- before the wait
          fn(2)
        end, 0)
      )
      assert.equal(
        "in a coroutine",
        coroutine.wrap(function()
          return moonwire.await(function(fn)
            app:after(0.1, function()
              fn "in a coroutine"
            end)
          end)
        end)()
      )
    end)
  end)

  it("ends after its time, or with an error", function()
    run(function()
      local resume
      assert.same(
        { nil, "timeout" },
        { moonwire.await(function(fn)
          resume = fn
        end, 0.1) }
      )
      assert.is_false(resume "too late")
      raises("wanted", moonwire.await, function()
        error "wanted"
      end)
      raises("argument 1 must be a function", moonwire.await, 1)
      raises("argument 2 must be a number", moonwire.await, print, "x")
    end)
  end)

  it("is cancelled with its handler", function()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local resume, why
    app:get("/", function()
      why = select(
        2,
        moonwire.await(function(fn)
          resume = fn
        end)
      )
    end)
    local server = testing.start(app)
    server:start_request("GET", "/")
    server:advance(2)
    assert.equal("timeout", why)
    assert.is_false(resume(1))
    -- a call in the same moment counts
    local results
    app:spawn(function()
      results = { moonwire.await(function(fn)
        resume = fn
      end) }
    end)
    server:advance(0)
    app:spawn(function()
      resume "resumed"
      app:stop()
    end)
    server:advance(0)
    assert.same({ "resumed" }, results)
    server:stop()
  end)
end)

describe("moonwire.timeout", function()
  after_each(testing.stop_all)

  it("returns what its function returns", function()
    run(function()
      local list = table.pack(moonwire.timeout(1, function(...)
        moonwire.sleep(0.1)
        return select("#", ...), nil, ...
      end, "a", nil))
      assert.same({ 2, nil, "a", nil, n = 4 }, list)
      assert.equal("quick", moonwire.timeout(1, tostring, "quick"))
      raises("wanted", moonwire.timeout, 1, function()
        moonwire.sleep(0.1)
        error "wanted"
      end)
      local reason = {}
      assert.equal(reason, select(2, pcall(moonwire.timeout, 1, error, reason)))
      raises("number expected, got nil", moonwire.timeout, nil, print)
      raises("function expected", moonwire.timeout, 1)
    end)
    raises("outside of a task", moonwire.timeout, 1, print)
  end)

  it("ends the wait of its function, and then the function", function()
    run(function()
      local closed = {}
      local function guard(name)
        return setmetatable({}, {
          __close = function()
            closed[#closed + 1] = name
          end,
        })
      end
      local list = table.pack(moonwire.timeout(0.1, function()
        local ok, why = moonwire.sleep(10)
        return "told", ok, why
      end))
      assert.same({ "told", nil, "timeout", n = 3 }, list)
      list = table.pack(moonwire.timeout(0.1, function()
        local _ <close> = guard "function"
        coroutine.wrap(function()
          local _ <close> = guard "coroutine"
          while true do
            pcall(moonwire.sleep, 10)
          end
        end)()
      end))
      assert.same({ nil, "timeout", n = 2 }, list)
      assert.same({ "coroutine", "function" }, closed)
      -- the task itself may wait
      assert.is_true(moonwire.sleep(0.1))
      assert.is_nil((moonwire.timeout(0.1, moonwire.await, function() end)))
      assert.is_true(moonwire.sleep(0.1))
    end, 2)
  end)

  it("may be nested", function()
    run(function()
      local function spin()
        while true do
          pcall(moonwire.sleep, 10)
        end
      end
      local list = table.pack(moonwire.timeout(1, function()
        local ok, why = moonwire.timeout(0.1, spin)
        assert.same({ nil, "timeout" }, { ok, why })
        assert.is_true(moonwire.sleep(0.1))
        return "outer goes on"
      end))
      assert.equal("outer goes on", list[1])
      local reached
      list = table.pack(moonwire.timeout(0.1, function()
        moonwire.timeout(1, spin)
        reached = true
      end))
      assert.same({ nil, "timeout", n = 2 }, list)
      assert.is_nil(reached)
    end, 3)
  end)

  it("lets yields of a coroutine pass", function()
    run(function()
      local seen = {}
      for i in
        coroutine.wrap(function()
          local last = moonwire.timeout(1, function()
            for i = 1, 3 do
              moonwire.sleep(0.1)
              coroutine.yield(i)
            end
            return "last"
          end)
          coroutine.yield(last)
        end)
      do
        moonwire.sleep(0.1)
        seen[#seen + 1] = i
      end
      assert.same({ 1, 2, 3, "last" }, seen)
      local echo = coroutine.wrap(function()
        return moonwire.timeout(1, function(...)
          return coroutine.yield(coroutine.yield(...))
        end, "a")
      end)
      assert.same({ "a", "b", "c" }, { echo(), echo "b", echo "c" })
      -- it becomes due while it is suspended, and ends at its wait
      local late = coroutine.wrap(function()
        return moonwire.timeout(0.1, function()
          coroutine.yield()
          return moonwire.sleep(0.1)
        end)
      end)
      late()
      moonwire.sleep(0.2)
      assert.same({ nil, "timeout" }, { late() })
      coroutine.wrap(function()
        moonwire.timeout(0.1, coroutine.yield)
      end)()
      collectgarbage()
      assert.is_true(moonwire.sleep(0.2))
    end, 3)
  end)

  it("is cancelled with its handler", function()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local list = {}
    app:get("/{way}", function(request)
      local _ <close> = setmetatable({}, {
        __close = function()
          list[#list + 1] = "handler"
        end,
      })
      local result = moonwire.timeout(10, function()
        local _ <close> = setmetatable({}, {
          __close = function()
            list[#list + 1] = "function"
          end,
        })
        local _, why = moonwire.sleep(100)
        list[#list + 1] = why
        if request.params.way == "again" then
          moonwire.sleep(100)
        end
        return "returned"
      end)
      list[#list + 1] = result
    end)
    local server = testing.start(app)
    server:start_request("GET", "/again")
    server:advance(20)
    assert.same({ "timeout", "function", "handler" }, list)
    list = {}
    server:start_request("GET", "/once")
    server:advance(20)
    assert.same({ "timeout", "function", "returned", "handler" }, list)
    app:spawn(function()
      moonwire.timeout(10, function()
        moonwire.sleep(100)
        moonwire.sleep(100)
      end)
    end)
    server:advance(0)
    server:stop()
  end)

  it("logs what is raised while its function is closed", function()
    local app = moonwire.app {}
    local result
    app:spawn(function()
      result = table.pack(moonwire.timeout(0.1, function()
        local _ <close> = setmetatable({}, {
          __close = function()
            error "while closing"
          end,
        })
        while true do
          pcall(moonwire.sleep, 1)
        end
      end))
    end)
    local server = testing.start(app)
    raises("while closing", server.advance, server, 1)
    assert.same({ nil, "timeout", n = 2 }, result)
    server:stop()
  end)
end)
