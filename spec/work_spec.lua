-- Code that blocks, on threads of its own: moonwire.work.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"

local module = [[
local calls = 0
local jobs = {}
function jobs.add(a, b) return a + b end
function jobs.echo(...) return ... end
function jobs.fail() error "no luck" end
function jobs.fail_with_table() error {} end
function jobs.sleep(seconds) os.execute("sleep " .. seconds) return "slept" end
function jobs.spin() while true do end end
function jobs.count() calls = calls + 1 return calls end
function jobs.paths() return package.path, package.cpath end
function jobs.unpackable() return print end
function jobs.large() return ("x"):rep(17 * 1024 * 1024) end
return jobs
]]

local script = [[
local moonwire = require "moonwire"
local work = moonwire.work
local app = moonwire.app { limits = { answer_seconds = 20, drain_seconds = 0.2 } }
local one = work.pool { name = "one", threads = 1, timeout = 2 }
local few = work.pool { name = "few", threads = 1, queue = 1, timeout = 60 }
local writer = work.pool { name = "writer", threads = 1 }

local function all(tasks)
  local left = #tasks
  moonwire.await(function(resume)
    for _, task in ipairs(tasks) do
      app:spawn(function()
        task()
        left = left - 1
        if left == 0 then resume() end
      end)
    end
  end)
end

local cases = {}
function cases.add() return work.run("jobs", "add", 1, 2) end
function cases.kinds()
  local text, nothing, items, null, count = work.run("jobs", "echo", "a\0\255", nil, { x = { 1, 2.5, true } }, moonwire.null, 7)
  return { text == "a\0\255", nothing == nil, items.x[1] == 1, items.x[2] == 2.5, null == moonwire.null, math.type(count) }
end
function cases.no_results() return select("#", work.run("jobs", "echo")) end
function cases.code() return work.run(function(a) return a .. "!" .. type(package.path) end, "hi") end
function cases.paths()
  local path, cpath = work.run("jobs", "paths")
  return { path == package.path, cpath == package.cpath }
end
function cases.one_writer()
  local counts = {}
  all {
    function() counts[1] = writer:run("jobs", "count") end,
    function() counts[2] = writer:run("jobs", "count") end,
  }
  return counts
end
function cases.fail() return work.run("jobs", "fail") end
function cases.fail_with_table() return work.run("jobs", "fail_with_table") end
function cases.no_module() return work.run("nojobs", "x") end
function cases.no_function() return work.run("jobs", "nothing") end
function cases.bad_argument() return work.run("jobs", "echo", 1, { a = { print } }) end
function cases.bad_result() return work.run("jobs", "unpackable") end
function cases.large_argument() return work.run("jobs", "echo", ("x"):rep(17 * 1024 * 1024)) end
function cases.large_result() return work.run("jobs", "large") end
function cases.upvalue() local t = {} return work.run(function() return t end) end
function cases.c_function() return work.run(print) end
function cases.no_target() return work.run(7) end
function cases.no_name() return work.run("jobs") end
function cases.same_name() return work.pool { name = "one" } end
function cases.threads() return work.pool { name = "x", threads = 65 } end
function cases.option() return work.pool { name = "x", thread = 2 } end
function cases.late() return { select(2, one:run("jobs", "sleep", 4)) } end
function cases.again() return one:run("jobs", "add", 2, 3) end

app:get("/case/{name}", function(request)
  local ok, value = pcall(cases[request.params.name])
  return { ok = ok, value = ok and value or tostring(value) }
end)
app:get("/raise", function() return work.run("jobs", "fail") end)
app:get("/sleep", function() return work.run("jobs", "sleep", 0.2) end)
app:get("/spin", function() return { work.pool { name = "spin", threads = 1, timeout = 600 }:run("jobs", "spin") } end)
app:get("/full", function()
  local codes = {}
  local function take()
    local code = select(3, few:run("jobs", "sleep", 0.1)) or "ran"
    codes[#codes + 1] = code
  end
  all { take, take, take, take, take }
  table.sort(codes)
  return codes
end)
app:channel("room:{name}", {
  on = {
    slow = function() return { done = work.run("jobs", "sleep", 0.3) } end,
    quick = function() return { done = "quick" } end,
  },
})
return app
]]

describe("moonwire.work", function()
  local app

  setup(function()
    app = server.start { script = script, files = { ["jobs.lua"] = module } }
  end)

  teardown(function()
    app:stop()
  end)

  local function case(name)
    return dkjson.decode(http.get(app, "/case/" .. name).body)
  end

  it("calls functions of modules, and functions without upvalues", function()
    assert.equal(3, case("add").value)
    assert.equal("hi!string", case("code").value)
    assert.equal(0, case("no_results").value)
  end)

  it("takes and returns plain data, and strings of any bytes", function()
    assert.same({ true, true, true, true, true, "integer" }, case("kinds").value)
  end)

  it("searches modules where the script does", function()
    assert.same({ true, true }, case("paths").value)
  end)

  it("keeps a thread's state from call to call", function()
    assert.same({ 1, 2 }, case("one_writer").value)
  end)

  local faults = {
    fail = "jobs.lua:5: no luck",
    fail_with_table = "an error that is not text was raised",
    no_module = "module 'nojobs' not found",
    no_function = "module 'jobs' has no function 'nothing', but a nil",
    bad_argument = "argument 2%.a",
    bad_result = "result 1",
    large_argument = "argument 1: all together exceed 16777216 bytes",
    large_result = "result 1: all together exceed 16777216 bytes",
    upvalue = "the function uses the local variable 't' of its script",
    c_function = "a C function cannot go to another thread",
    no_target = "argument 1 must be the name of a module, or a function, got 7",
    no_name = "argument 2 must be a string, got nil",
    same_name = "there is a pool 'one' already",
    threads = "option 'threads' must be from 1 to 64, got 65",
    option = "did you mean 'threads'",
  }
  for name, text in pairs(faults) do
    it("raises what is wrong: " .. name, function()
      local answer = case(name)
      assert.is_false(answer.ok)
      assert.matches(text, answer.value)
    end)
  end

  it("logs what a function raised if nobody catches it", function()
    assert.equal(500, http.get(app, "/raise").status)
    assert.is_string(app:await_log "handler of GET /raise.*jobs.lua:5: no luck")
  end)

  it("gives up a call that does not return, and replaces its thread", function()
    assert.same({ "jobs.sleep did not return in time", "timeout" }, case("late").value)
    assert.equal(5, case("again").value)
    assert.is_string(app:await_log 'pool "one": jobs.sleep did not return within 2000 ms')
  end)

  it("refuses calls beyond its queue", function()
    local codes = dkjson.decode(http.get(app, "/full").body)
    assert.same({ "ran", "ran", "unavailable", "unavailable", "unavailable" }, codes)
  end)

  it("does not stop other handlers, or their clients", function()
    local client, other = native.open(app), native.open(app)
    client:subscribe "room:1"
    other:subscribe "room:1"
    client:write { send = "room:1", event = "slow", ref = 8 }
    other:write { send = "room:1", event = "quick", ref = 9 }
    assert.equal("quick", other:next().ok.done)
    assert.equal("slept", client:next().ok.done)
    client:write { send = "room:1", event = "slow", ref = 9 }
    client:cut()
    other:close()
    assert.equal(3, case("add").value)
  end)

  it("does not keep the server from stopping", function()
    local busy = server.start { script = script, files = { ["jobs.lua"] = module } }
    local request = http.connect(busy)
    request:send(http.format("GET", "/spin"))
    assert.equal(200, http.get(busy, "/health").status)
    assert.equal(0, (busy:finish()))
    request:close()
  end)
end)
