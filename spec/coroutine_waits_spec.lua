-- Waits inside the script's own coroutines.

local moonwire = require "moonwire"
local task = require "spec.task"
local testing = require "moonwire.testing"

local run, closing = task.run, task.closing

describe("a wait inside a coroutine", function()
  after_each(testing.stop_all)

  it("suspends the whole task", function()
    local order = {}
    local result = run(function(app)
      app:spawn(function()
        order[#order + 1] = "other"
      end)
      return coroutine.wrap(function(a, b)
        order[#order + 1] = "before"
        assert(moonwire.sleep(0.1) == true)
        order[#order + 1] = "after"
        return a + b
      end)(1, 2)
    end)
    assert.equal(3, result)
    assert.same({ "before", "other", "after" }, order)
  end)

  it("passes through any number of coroutines", function()
    local function nest(depth)
      if depth == 0 then
        assert(moonwire.sleep(0.01))
        return "deep"
      end
      local co = coroutine.create(nest)
      local results = table.pack(coroutine.resume(co, depth - 1))
      assert(coroutine.status(co) == "dead")
      return select(2, table.unpack(results, 1, results.n))
    end
    assert.equal("deep", (run(function()
      return nest(50)
    end)))
  end)

  it("mixes with yields", function()
    local seen = run(function()
      local list = {}
      local function numbers()
        for i = 1, 3 do
          moonwire.sleep(0.01)
          coroutine.yield(i, i * 2)
          moonwire.sleep(0.01)
        end
      end
      for i, double in coroutine.wrap(numbers) do
        moonwire.sleep(0.01)
        list[#list + 1] = i + double
      end
      local co = coroutine.create(function(...)
        local got = { ... }
        while got[1] do
          moonwire.sleep(0.01)
          got = { coroutine.yield(#got) }
        end
        return "end"
      end)
      for _, arguments in ipairs { { 1 }, { 1, 2, 3 }, {}, { 1 } } do
        local _, result = coroutine.resume(co, table.unpack(arguments))
        list[#list + 1] = tostring(result)
      end
      return list
    end)
    assert.same({ 3, 6, 9, "1", "3", "end", "cannot resume dead coroutine" }, seen)
  end)

  it("lets errors after it pass", function()
    local results = run(function()
      local function fail(value)
        return function()
          moonwire.sleep(0.01)
          error(value, 0)
        end
      end
      local reason = { code = 7 }
      local co = coroutine.create(fail(reason))
      local list = { coroutine.resume(co) }
      list[3] = coroutine.status(co)
      list[4] = select(2, pcall(coroutine.wrap(fail "wrapped")))
      local closed = {}
      list[5] = select(
        2,
        pcall(coroutine.wrap(function()
          local _ <close> = closing(closed, "inside")
          fail(reason)()
        end))
      )
      list[6] = closed[1]
      list[7] = pcall(coroutine.wrap(function()
        return pcall(fail "caught")
      end))
      return list, reason
    end)
    assert.is_false(results[1])
    assert.equal(7, results[2].code)
    assert.equal("dead", results[3])
    assert.matches("wrapped$", results[4])
    assert.equal(7, results[5].code)
    assert.equal("inside", results[6])
    assert.is_true(results[7])
  end)

  it("counts as running for other tasks", function()
    local app = moonwire.app {}
    local outer, inner, handler
    local done
    app:spawn(function()
      handler = coroutine.running()
      outer = coroutine.create(function()
        inner = coroutine.create(function()
          moonwire.sleep(1)
          return "slept"
        end)
        return select(2, coroutine.resume(inner))
      end)
      done = select(2, coroutine.resume(outer))
    end)
    local checked
    app:after(0.5, function()
      assert.same(
        { "normal", "running", "normal" },
        { coroutine.status(outer), coroutine.status(inner), coroutine.status(handler) }
      )
      for _, co in ipairs { outer, inner, handler } do
        assert.same(
          { false, "cannot resume non-suspended coroutine: it is waiting" },
          { coroutine.resume(co) }
        )
        local ok, message = pcall(coroutine.close, co)
        assert.is_false(ok)
        assert.matches("cannot close a %l+ coroutine: it is waiting", message)
      end
      checked = true
    end)
    local server = testing.start(app)
    server:advance(0.6)
    assert.is_true(checked)
    assert.is_nil(done)
    server:advance(1)
    assert.equal("slept", done)
    assert.equal("dead", coroutine.status(inner))
    server:stop()
  end)

  it("leaves other functions of coroutines as they are", function()
    run(function()
      local own, is_main = coroutine.running()
      assert.is_false(is_main)
      assert.equal("running", coroutine.status(own))
      assert.is_false(coroutine.isyieldable())
      assert.is_false((pcall(coroutine.close, own)))
      local co
      co = coroutine.create(function()
        assert.is_true(coroutine.isyieldable())
        assert.equal(co, coroutine.running())
        assert.equal("normal", coroutine.status(own))
        assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(own) })
        moonwire.sleep(0.01)
        assert.is_true(coroutine.isyieldable())
        assert.equal(co, coroutine.running())
        assert.is_false(pcall(coroutine.close, co))
        coroutine.yield "yielded"
      end)
      assert.equal("suspended", coroutine.status(co))
      assert.same({ true, "yielded" }, { coroutine.resume(co) })
      assert.equal("suspended", coroutine.status(co))
      assert.is_true(coroutine.close(co))
      assert.equal("dead", coroutine.status(co))
      assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    end)
  end)

  it("can be closed between two waits", function()
    local list = run(function()
      local closed = {}
      local co = coroutine.create(function()
        local _ <close> = closing(closed, "first")
        moonwire.sleep(0.01)
        local _ <close> = closing(closed, "second")
        coroutine.yield()
      end)
      assert(coroutine.resume(co))
      assert(coroutine.close(co))
      local failing = coroutine.create(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            error("while closing", 0)
          end,
        })
        coroutine.yield(moonwire.sleep(0.01))
      end)
      assert(coroutine.resume(failing))
      closed[3] = coroutine.close(failing)
      closed[4] = select(2, coroutine.resume(failing))
      return closed
    end)
    assert.same({ "second", "first", false, "cannot resume dead coroutine" }, list)
  end)

  it("is possible in metamethods, iterators, and protected calls", function()
    run(function()
      local lazy = setmetatable({}, {
        __index = function(_, key)
          moonwire.sleep(0.01)
          return key
        end,
        __add = function()
          return moonwire.sleep(0.01)
        end,
        __pairs = function()
          moonwire.sleep(0.01)
          return next, { 1 }
        end,
      })
      coroutine.wrap(function()
        assert.equal("x", lazy.x)
        assert.is_true(lazy + 1)
        for _ in pairs(lazy) do
          assert.is_true(moonwire.sleep(0.01))
        end
        assert.is_true(select(2, pcall(pcall, moonwire.sleep, 0.01)))
        local _ <close> = setmetatable({}, {
          __close = function()
            assert.is_true(moonwire.sleep(0.01))
          end,
        })
      end)()
    end)
  end)
end)

describe("where Lua cannot suspend", function()
  after_each(testing.stop_all)

  -- Returns the message with which a wait fails inside `through`, in the handler and in coroutines.
  local function refusals(through)
    return run(function()
      local list = {}
      local function try()
        list[#list + 1] = select(2, pcall(moonwire.sleep, 0))
      end
      local function inside()
        through(try)
      end
      inside()
      coroutine.wrap(inside)()
      through(function()
        coroutine.wrap(try)()
      end)
      coroutine.wrap(function()
        moonwire.sleep(0.01)
        inside()
      end)()
      moonwire.sleep(0) -- the task is as before
      return list
    end)
  end

  local places = {
    ["function 'table.sort'"] = function(fn)
      table.sort({ 1, 2 }, function()
        fn()
        return false
      end)
    end,
    ["function 'string.gsub'"] = function(fn)
      string.gsub("a", "a", function()
        fn()
      end)
    end,
    ["function 'tostring'"] = function(fn)
      tostring(setmetatable({}, {
        __tostring = function()
          fn()
          return ""
        end,
      }))
    end,
    ["a finalizer (__gc)"] = function(fn)
      setmetatable({}, {
        __gc = function()
          fn()
        end,
      })
      collectgarbage()
    end,
    ["__close of a coroutine that is being closed"] = function(fn)
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            fn()
          end,
        })
        coroutine.yield()
      end)
      coroutine.resume(co)
      coroutine.close(co)
    end,
  }

  for name, through in pairs(places) do
    it("a wait names " .. name, function()
      local list = refusals(through)
      assert.is_true(#list >= 4)
      for _, message in ipairs(list) do
        assert.is_string(message)
        assert.is_truthy(message:find("cannot wait here: inside " .. name, 1, true), message)
      end
    end)
  end

  it("a wait names coroutines that something else resumed", function()
    local program = [[
      local resume = coroutine.resume
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      local function try()
        print(select(2, pcall(moonwire.sleep, 0)))
      end
      app:spawn(function()
        assert(resume(coroutine.create(function()
          try()
          coroutine.wrap(try)()
          coroutine.wrap(function() resume(coroutine.create(try)) end)()
        end)))
        moonwire.sleep(0)
        app:stop()
      end)
      app:listen "127.0.0.1:0"
      app:run()
    ]]
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(program)
    file:close()
    local command = "LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s 2>&1"
    local pipe = assert(io.popen(command:format(package.path, package.cpath, path)))
    local count = 0
    for line in pipe:lines() do
      if line:find("cannot wait inside this coroutine: something resumed it", 1, true) then
        count = count + 1
      end
    end
    pipe:close()
    os.remove(path)
    assert.equal(3, count)
  end)
end)

describe("a task that is cancelled inside a coroutine", function()
  after_each(testing.stop_all)

  it("is ended at its next wait, the innermost coroutine first", function()
    local closed = {}
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    app:get("/", function()
      local _ <close> = closing(closed, "handler")
      local spare = coroutine.create(function()
        local _ <close> = closing(closed, "suspended")
        coroutine.yield()
      end)
      coroutine.resume(spare)
      coroutine.wrap(function()
        local _ <close> = closing(closed, "outer")
        pcall(coroutine.wrap(function()
          local _ <close> = closing(closed, "inner")
          while true do
            local _, ok, why = pcall(moonwire.sleep, 10)
            closed[#closed + 1] = tostring(ok) .. " " .. why
          end
        end))
        closed[#closed + 1] = "not reached"
      end)()
    end)
    app:get("/ok", function()
      return coroutine.wrap(function()
        moonwire.sleep(0.01)
        return "ok"
      end)()
    end)
    local server = testing.start(app)
    local request = server:start_request("GET", "/")
    server:advance(2)
    assert.equal(503, request.result().status)
    assert.same({ "nil timeout", "inner", "outer", "handler" }, closed)
    for _ = 1, 3 do
      assert.equal("ok", server:request("GET", "/ok", { within = 1 }).body)
    end
    server:stop()
  end)

  it("reports each error of its <close> variables", function()
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    local function failing(text)
      return setmetatable({}, {
        __close = function()
          error(text, 0)
        end,
      })
    end
    app:get("/", function()
      local _ <close> = failing "of the handler"
      coroutine.wrap(function()
        local _ <close> = failing "of the coroutine"
        while true do
          pcall(moonwire.sleep, 10)
        end
      end)()
    end)
    local server = testing.start(app)
    local request = server:start_request("GET", "/")
    local ok, message = pcall(server.advance, server, 2)
    assert.is_false(ok)
    assert.matches("of the coroutine", message)
    assert.matches("of the handler", message)
    assert.equal(503, request.result().status)
  end)

  it("may end as others do", function()
    local closed = {}
    local app = moonwire.app { limits = { answer_seconds = 1 } }
    app:get("/", function()
      local co = coroutine.create(function()
        local _ <close> = closing(closed, "inner")
        return moonwire.sleep(10)
      end)
      local why = select(3, coroutine.resume(co))
      closed[#closed + 1] = why .. " " .. coroutine.status(co)
    end)
    local server = testing.start(app)
    server:start_request("GET", "/")
    server:advance(2)
    assert.same({ "inner", "timeout dead" }, closed)
    server:stop()
  end)
end)
