-- A dashboard of the server itself: its connections, messages, memory, and the waits of its script.
--
--     bin/moonwire examples/dashboard/app.lua     then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local SECONDS, KEPT = 1, 120 -- between two samples, and how many are kept

-- A new page receives two minutes of samples, and starts with full charts.
app:channel("dashboard", { authorize = true, history = { size = KEPT, replay = KEPT } })

-- Resident memory in bytes, where the system has /proc.
local function memory()
  local file = io.open "/proc/self/statm"
  local pages = file and file:read "a":match "^%d+ (%d+)"
  if file then
    file:close()
  end
  return pages and tonumber(pages) * 4096 or 0
end

local before

local function sample()
  local stats = app:stats()
  local runs = stats.handlers.run_seconds
  local now = {
    published = stats.published,
    delivered = stats.delivered,
    requests = stats.requests,
    runs = runs.count,
    run_seconds = runs.sum,
  }
  local rates = {}
  for name, value in pairs(now) do
    rates[name] = (value - (before and before[name] or value)) / SECONDS
  end
  before = now
  return {
    time = os.time(),
    connections = stats.connections,
    subscriptions = stats.subscriptions,
    published = rates.published,
    delivered = rates.delivered,
    requests = rates.requests,
    memory = memory(),
    lua = math.floor(collectgarbage "count" * 1024),
    -- the share of the time that the script is busy, in percent
    busy = rates.run_seconds * 100,
  }
end

app:every(SECONDS, function()
  app:publish("dashboard", "sample", sample())
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
