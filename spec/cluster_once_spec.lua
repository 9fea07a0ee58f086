-- app:once: processes with one real Redis. Each call adds its server's name to a list in a file.

local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local socket = require "socket"

local APP = [[
local moonwire = require "moonwire"
local app = moonwire.app { broker = moonwire.redis { url = "unix:%s", publish_seconds = 2 } }
local name = os.getenv "NODE"
local function note(what)
  local file = assert(io.open("%s/calls", "a"))
  file:write(what, " ", name, "\n")
  file:close()
end
app:once("sweep", 1, function()
  note "begin"
  moonwire.sleep(0.2)
  note "end"
  if name == "b" then error "as it is wrong" end
end)
local long = app:once("long", 1, function()
  note "long"
  moonwire.sleep(3600)
end)
app:get("/cancel", function() long:cancel() return "cancelled" end)
return app
]]

describe("app:once in a cluster", function()
  local instance, nodes

  before_each(function()
    instance = redis.start()
    nodes = {}
  end)

  after_each(function()
    for _, node in pairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  local function start(name)
    local script = APP:format(instance.path, instance.directory)
    nodes[name] = server.start { script = script, env = "NODE=" .. name }
  end

  local function stop(name)
    nodes[name]:stop()
    nodes[name] = nil
  end

  local function calls()
    local list = {}
    local file = io.open(instance.directory .. "/calls")
    for line in file and file:lines() or function() end do
      list[#list + 1] = line
    end
    if file then
      file:close()
    end
    return list
  end

  -- Waits until there are so many lines that match, after the first `from` lines. Returns them.
  local function await(pattern, count, from)
    local deadline = socket.gettime() + 60
    while true do
      local found, list = {}, calls()
      for i = (from or 0) + 1, #list do
        if list[i]:find(pattern) then
          found[#found + 1] = list[i]
        end
      end
      if #found >= count then
        return found, #list
      end
      assert(socket.gettime() < deadline, pattern .. ": " .. table.concat(list, ", "))
      socket.sleep(0.05)
    end
  end

  local function is_one_at_a_time(list)
    local running
    for _, line in ipairs(list) do
      local what, name = line:match "^(%l+) (%l)$"
      if what == "begin" then
        assert.is_nil(running, table.concat(list, ", "))
        running = name
      elseif what == "end" then
        assert.equal(running, name)
        running = nil
      end
    end
  end

  it("calls the function on one server at a time, and on another one when that ends", function()
    start "a"
    await("begin a", 1)
    start "b"
    start "c"
    await("end", 3)
    -- the server of the last call has the next one
    local _, seen = await("end a", 2)
    stop "a"
    await("end [bc]", 2, seen)
    is_one_at_a_time(calls())
    -- an error is logged, and not the end: b is alone
    stop "c"
    _, seen = await("end b", 1)
    await("end b", 2, seen)
    assert.is_string(nodes.b:await_log "as it is wrong")
    is_one_at_a_time(calls())
  end)

  it("calls it again when the server of a call has been killed, or has stopped", function()
    start "a"
    await("long a", 1)
    start "b"
    local client = instance:connect()
    assert.matches("^.+%.%d+$", client:call("GET", "{mw}:o:long"))
    nodes.a:finish "KILL"
    -- its lease expires in at most ten seconds, which this makes shorter
    local left = client:call("PTTL", "{mw}:o:long")
    assert(left > 0 and left <= 10000, left)
    client:call("PEXPIRE", "{mw}:o:long", 1)
    await("long b", 1)
    start "a"
    stop "b" -- it is freed
    await("long a", 2)
    -- what does not begin again
    assert.equal("cancelled", http.request(nodes.a, "GET", "/cancel").body)
    client:close()
  end)

  it("waits while Redis is unavailable", function()
    start "a"
    await("end a", 1)
    instance:kill()
    assert.is_string(nodes.a:await_log "lost the connection to redis")
    local seen = #calls()
    instance:start()
    await("end a", 2, seen)
    is_one_at_a_time(calls())
  end)
end)
