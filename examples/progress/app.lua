-- The progress of jobs that run elsewhere. A job reports its progress; pages follow.
--
--     PROGRESS_KEY=secret bin/moonwire examples/progress/app.lua      then open http://127.0.0.1:8080/
--     curl -H 'Authorization: Bearer secret' -d '{"percent":45,"text":"resizing"}' \
--       http://127.0.0.1:8080/report/nightly
--     curl -N 'http://127.0.0.1:8080/sse?channel=progress:nightly'    ends by itself after 100 %

local moonwire = require "moonwire"
local crypto = moonwire.crypto

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

-- Without a key of its own, only the jobs of the page's button report.
local KEY = os.getenv "PROGRESS_KEY" or crypto.random(16, "base64url")
local RUNNING_MAX, STEP_SECONDS = 20, 0.5

-- The newest report is the state: a page that comes late receives it first. It is kept for an hour.
app:channel("progress:{job}", {
  authorize = true,
  history = { size = 1, ttl = 3600 },
  limits = { channels = 1000 },
})

-- Publishes a report. The one with 100 percent is final: streams end, and are not opened again.
local function report(job, percent, text)
  local state = { percent = percent, text = text, time = os.time() }
  return app:publish("progress:" .. job, "progress", state, { final = percent == 100 })
end

app:post(path .. "report/{job}", function(request)
  local job, state = request.params.job, request:json()
  if not crypto.equal(request.token or "", KEY) then
    error { code = "unauthorized", message = "a key is required" }
  elseif #job > 40 or not job:find "^[%w-]+$" then
    error { code = "bad_request", message = "a job has 1 to 40 letters, digits, and hyphens" }
  end
  local percent = type(state) == "table" and math.tointeger(state.percent)
  local text = percent and state.text or ""
  if not percent or percent < 0 or percent > 100 or type(text) ~= "string" or #text > 200 then
    error { code = "bad_request", message = "expected a percent, and a text of up to 200 bytes" }
  end
  local id, message, code = report(job, percent, text)
  return id and { id = id } or error { code = code, message = message }
end)

-- A job to look at, for the page's button. It runs in this script, and ends with it.
local running = 0
app:post(path .. "jobs", function()
  if running >= RUNNING_MAX then
    error { code = "unavailable", message = "too many jobs are running" }
  end
  local job = crypto.random(9, "hex")
  running = running + 1
  app:spawn(function()
    local percent = 0
    repeat
      report(job, percent, ("step %d of 20"):format(percent // 5))
      percent = percent + 5
    until percent > 100 or not moonwire.sleep(STEP_SECONDS)
    running = running - 1
  end)
  return 201, { job = job }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
