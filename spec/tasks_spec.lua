-- Tasks that work together: moonwire.all, queues, caches; and many that wait at once.

local moonwire = require "moonwire"
local task = require "spec.task"
local testing = require "moonwire.testing"

local run, raises, closing = task.run, task.raises, task.closing

describe("moonwire.all", function()
  after_each(testing.stop_all)

  it("runs functions at the same time", function()
    run(function()
      local list = table.pack(moonwire.all {
        function()
          moonwire.sleep(0.5)
          return "a", "not returned"
        end,
        function()
          moonwire.sleep(0.9)
          return nil
        end,
        function()
          return "c"
        end,
        coroutine.wrap(function()
          moonwire.sleep(0.9)
          return "d"
        end),
      })
      assert.same({ "a", nil, "c", "d", n = 4 }, list)
      assert.equal(0, select("#", moonwire.all {}))
    end, 0.95)
  end)

  it("raises the first error, when the others have ended", function()
    run(function()
      local list = {}
      raises("app.lua:1: the first", moonwire.all, {
        function()
          local _ <close> = closing(list, "ended")
          while true do
            pcall(moonwire.sleep, 10)
          end
        end,
        function()
          moonwire.sleep(0.1)
          error("app.lua:1: the first", 0)
        end,
        function()
          local why = select(2, moonwire.sleep(10))
          list[#list + 1] = why
          error "the second"
        end,
      })
      table.sort(list)
      assert.same({ "closed", "ended" }, list)
      local reason = { code = "forbidden" }
      local _, raised = pcall(moonwire.all, {
        function()
          error(reason)
        end,
      })
      assert.equal(reason, raised)
      raises("argument 1 must be a table", moonwire.all, print)
      raises("item 2 must be a function, got number", moonwire.all, { print, 1 })
    end)
  end)

  it("is cancelled with its handler", function()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local list = {}
    app:get("/", function()
      local function wait()
        local _ <close> = closing(list, "end")
        local why = select(2, moonwire.sleep(100))
        list[#list + 1] = why
        moonwire.sleep(100)
      end
      local ok, why = moonwire.all { wait, wait }
      list[#list + 1] = tostring(ok) .. " " .. why
    end)
    local server = testing.start(app)
    server:start_request("GET", "/")
    server:advance(2)
    table.sort(list)
    assert.same({ "end", "end", "nil timeout", "timeout", "timeout" }, list)
    -- a function that has its own time
    local result
    app:spawn(function()
      result = table.pack(moonwire.timeout(1, moonwire.all, {
        function()
          moonwire.sleep(100)
        end,
      }))
    end)
    server:advance(2)
    assert.same({ nil, "timeout", n = 2 }, result)
    server:stop()
  end)
end)

describe("a queue", function()
  after_each(testing.stop_all)

  it("passes values in order, and waits where it is full or empty", function()
    run(function(app)
      local queue, got = moonwire.queue(2), {}
      app:spawn(function()
        for i = 1, 6 do
          assert.is_true(queue:push(i))
        end
        queue:close()
        assert.same({ nil, "closed" }, { queue:push(7) })
      end)
      moonwire.sleep(0.1)
      assert.equal(2, queue:count())
      while true do
        local value, why = queue:pop()
        if not value then
          assert.equal("closed", why)
          break
        end
        got[#got + 1] = value
      end
      assert.same({ 1, 2, 3, 4, 5, 6 }, got)
    end)
  end)

  it("serves those that wait in their order, and forgets those that end", function()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local queue, got = moonwire.queue(1), {}
    app:get("/pop/{who}", function(request)
      local _ <close> = closing(got, "end " .. request.params.who)
      local value = queue:pop()
      if value then
        got[#got + 1] = request.params.who .. value
      else
        pcall(queue.pop, queue) -- is ended here
      end
    end)
    local server = testing.start(app)
    server:start_request("GET", "/pop/a")
    server:advance(2)
    assert.same({ "end a" }, got)
    for _, who in ipairs { "b", "c", "d" } do
      server:start_request("GET", "/pop/" .. who)
    end
    got[1] = nil
    app:spawn(function()
      for i = 1, 3 do
        assert.is_true(queue:push(i, 0))
      end
      assert.is_true(queue:push(4, 0))
      assert.same({ nil, "timeout" }, { queue:push(5, 0) })
      assert.same({ nil, "timeout" }, { queue:push(5, 0.1) })
      assert.equal(4, queue:pop())
      assert.same({ nil, "timeout" }, { queue:pop(0) })
      assert.same({ nil, "timeout" }, { queue:pop(0.1) })
    end)
    server:advance(1)
    assert.same({ "b1", "end b", "c2", "end c", "d3", "end d" }, got)
    server:stop()
  end)

  it("raises on misuse", function()
    raises("argument 1 must be a number", moonwire.queue, "x")
    raises("an integer from 1 to", moonwire.queue, 0)
    local queue = moonwire.queue(1)
    raises("must not be nil", queue.push, queue, nil)
    assert.is_true(queue:push(1)) -- outside of a task, as long as it does not wait
    local line = debug.getinfo(1, "l").currentline + 1
    local _, message = pcall(queue.push, queue, 2)
    assert.matches(("tasks_spec.lua:%d: cannot wait outside of a task"):format(line), message)
    assert.equal(1, queue:pop())
    raises("outside of a task", queue.pop, queue)
    raises("queue:push: argument 2 must be a number, got string", queue.push, queue, 2, "x")
    raises("queue:pop: argument 1 must be a number, got string", queue.pop, queue, "x")
    for _, seconds in ipairs { -1, 1e10, 0 / 0 } do
      raises("queue:push: the time must be 0 to 1e9 seconds", queue.push, queue, 2, seconds)
      raises("queue:pop: the time must be 0 to 1e9 seconds", queue.pop, queue, seconds)
    end
  end)
end)

describe("a cache", function()
  after_each(testing.stop_all)

  it("makes each value once", function()
    run(function(app)
      local cache, made, got = moonwire.cache { ttl = 10 }, 0, {}
      local function make(key)
        made = made + 1
        local number = made
        moonwire.sleep(0.1)
        return key .. number
      end
      for _ = 1, 5 do
        app:spawn(function()
          local value = cache:get("a", make)
          got[#got + 1] = value
        end)
      end
      assert.equal("b1", cache:get("b", make))
      moonwire.sleep(0.2)
      assert.same({ "a2", "a2", "a2", "a2", "a2" }, got)
      assert.equal("a2", cache:get("a", make))
      assert.equal(2, cache:count())
      moonwire.sleep(11)
      assert.equal("a3", cache:get("a", make))
      cache:delete "a"
      assert.equal("a4", cache:get("a", make))
      cache:set("a", "given", 1)
      assert.equal("given", cache:get("a", make))
      moonwire.sleep(2)
      assert.equal("a5", cache:get("a", make))
      cache:clear()
      assert.equal(0, cache:count())
      assert.is_false(cache:get("f", function()
        return false
      end))
      assert.is_false(cache:get("f", error))
      assert.equal(
        1,
        cache:get("short", function()
          return 1, 0.5
        end)
      )
      moonwire.sleep(1)
      assert.equal(
        2,
        cache:get("short", function()
          return 2
        end)
      )
    end, 30)
  end)

  it("hands failures to all that wait, and does not keep them", function()
    run(function(app)
      local cache, got = moonwire.cache { make_seconds = 1 }, {}
      app:spawn(function()
        got[1] = select(2, pcall(cache.get, cache, "a", error))
        moonwire.sleep(0.05)
        got[2] = select(2, cache:get("b", error))
      end)
      raises("wanted", cache.get, cache, "a", function()
        moonwire.sleep(0.1)
        error "wanted"
      end)
      assert.same({ nil, "no row", "not_found" }, {
        cache:get("b", function()
          moonwire.sleep(0.1)
          return nil, "no row", "not_found"
        end),
      })
      moonwire.sleep(0.1)
      assert.matches("wanted", got[1])
      assert.equal("no row", got[2])
      assert.equal(0, cache:count())
      assert.same({ nil, "timeout" }, {
        cache:get("c", function()
          while true do
            pcall(moonwire.sleep, 10)
          end
        end),
      })
      raises("option 'siez' %(did you mean 'size'%?%)", moonwire.cache, { siez = 1 })
      raises("must not be nil", cache.get, cache, nil, print)
      for _, ttl in ipairs { "x", 0, -1, 0 / 0, 1e10 } do
        raises(
          "cache:set: the ttl must be a positive number of seconds",
          cache.set,
          cache,
          1,
          1,
          ttl
        )
      end
    end, 5)
  end)

  it("drops the value that was not used for longest", function()
    run(function()
      local cache = moonwire.cache { size = 2 }
      cache:set("a", 1)
      cache:set("b", 2)
      assert.equal(1, cache:get("a", error))
      cache:set("c", 3)
      assert.equal(2, cache:count())
      assert.equal(1, cache:get("a", error))
      assert.equal(3, cache:get("c", error))
      assert.is_nil((cache:get("b", function() end)))
    end)
  end)

  it("finishes a value although the client that asked first has left", function()
    local app = moonwire.app {}
    local cache, made = moonwire.cache {}, 0
    app:get("/", function()
      return cache:get("a", function()
        made = made + 1
        moonwire.sleep(1)
        return "made"
      end)
    end)
    app:channel("room", {
      on = {
        ask = function()
          local value = cache:get("a", function()
            made = made + 1
            moonwire.sleep(1)
            return "made"
          end)
          return value or false, "closed"
        end,
      },
    })
    local server = testing.start(app)
    local first = server:connect { channels = { "room" } }
    first:start_send("room", "ask")
    local request = server:start_request("GET", "/")
    first:disconnect()
    server:advance(2)
    assert.equal("made", request.result().body)
    assert.equal(1, made)
    server:stop()
  end)
end)

describe("app:stats().handlers", function()
  after_each(testing.stop_all)

  it("has histograms of handlers, by how long they ran and waited", function()
    local app = moonwire.app {}
    app:get("/{way}", function(request)
      if request.params.way == "wait" then
        moonwire.sleep(1)
      end
    end)
    local server = testing.start(app)
    for _ = 1, 3 do
      server:request("GET", "/quick")
    end
    local request = server:start_request("GET", "/wait")
    local stats = app:stats().handlers
    assert.equal(1, stats.waiting)
    assert.equal(3, stats.run_seconds.count)
    assert.equal(0, stats.wait_seconds.count)
    server:advance(1)
    assert.equal(204, request.result().status)
    stats = app:stats().handlers
    assert.equal(0, stats.waiting)
    assert.equal(4, stats.run_seconds.count)
    assert.equal(1, stats.wait_seconds.count)
    assert.is_true(stats.run_seconds.sum > 0)
    local before = 0
    for i, bucket in ipairs(stats.run_seconds.buckets) do
      assert.is_true(bucket.count >= before)
      assert.is_true(i == 1 or bucket.le > stats.run_seconds.buckets[i - 1].le)
      before = bucket.count
    end
    assert.equal(4, before)
    server:stop()
  end)
end)
