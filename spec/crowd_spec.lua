-- Thousands of handlers that wait at once for a back end, while clients leave.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local CLIENTS, SENDS = 5000, 2

-- The back end is a pool of tasks that answer in another order than they are asked, fail, or never
-- answer. It begins when all clients wait.
local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = {
  head_seconds = 120, ping_seconds = 600, answer_seconds = 600, -- for as long as it takes to open them all
} }
local jobs, gate = moonwire.queue(20000), moonwire.queue(1)
local asked, held = 0, {}

local function serve()
  while true do
    local job = jobs:pop()
    if not job then return end
    moonwire.sleep(math.random(0, 3) / 1000)
    if job.n == 2 and job.client % 50 == 1 then
      held[#held + 1] = job.resume -- never answers
    elseif job.client % 7 == 1 then
      job.resume(nil, "failed")
    else
      -- in a coroutine of its own, as drivers do
      coroutine.wrap(function()
        moonwire.sleep(0)
        job.resume({ client = job.client, n = job.n })
      end)()
    end
  end
end
app:spawn(function()
  gate:pop()
  for _ = 1, 100 do app:spawn(serve) end
end)

local waiting = 0
app:channel("room", { on = { ask = function(client, channel, message)
  local data = message.data
  waiting = waiting + 1
  local gone <close> = setmetatable({}, { __close = function() waiting = waiting - 1 end })
  local answer, why = moonwire.timeout(data.n == 2 and data.client % 50 == 1 and 0.5 or 600, moonwire.await, function(resume)
    assert(jobs:push({ client = data.client, n = data.n, resume = resume }, 0))
  end)
  if not answer then return false, why, why end
  return answer
end } })
app:get("/full", function() return tostring(waiting == ]] .. CLIENTS .. [[) end)
app:post("/begin", function() gate:push(true) return 204 end)
app:get("/rest", function()
  collectgarbage()
  collectgarbage()
  return { waiting = waiting, jobs = jobs:count(), tasks = app:stats().handlers.waiting, memory = collectgarbage "count" }
end)
return app
]]

describe("a crowd of handlers that wait", function()
  it("gets its own results, each client in its order, and leaves nothing", function()
    local app = server.start(script)
    local counts =
      dkjson.decode(server.peer("support/waiting_crowd.mjs", app.address, CLIENTS, SENDS))
    local left, silent, failed = 0, 0, 0
    for client = 0, CLIENTS - 1 do
      if client % 5 == 0 then
        left = left + 1
      else
        silent = silent + (client % 50 == 1 and 1 or 0)
        failed = failed + (client % 7 == 1 and (client % 50 == 1 and 1 or 2) or 0)
      end
    end
    assert.equal(left, counts.left)
    assert.equal(CLIENTS - left, counts.done)
    assert.equal(failed, counts.failed)
    assert.equal(silent, counts.timeout)
    assert.equal((CLIENTS - left) * SENDS - failed - silent, counts.ok)
    local rest
    local deadline = socket.gettime() + 60
    repeat -- clients that have left are noticed in the next turns
      rest = dkjson.decode(http.get(app, "/rest").body)
    until rest.waiting == 0 and rest.tasks == 100 and rest.jobs == 0 or socket.gettime() > deadline
    assert.equal(0, rest.waiting)
    assert.equal(0, rest.jobs)
    assert.equal(100, rest.tasks) -- those of the back end
    assert.is_true(rest.memory < 20000)
    app:stop()
  end)
end)
