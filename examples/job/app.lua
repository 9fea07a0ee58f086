-- Jobs that report their progress. The result is the final message of a job's channel: it ends the
-- channel for its subscribers, and a client that subscribes later, or reconnects, still receives
-- it.
--
--     bin/moonwire examples/job/app.lua                        then open http://127.0.0.1:8080/, or:
--     curl -d '' http://127.0.0.1:8080/jobs                    {"id":"5f2c41d09a7e"}
--     curl -N 'http://127.0.0.1:8080/sse?channel=job:5f2c41d09a7e'    ends by itself

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local STEPS = 20

-- A new subscriber receives what is kept: some steps, and the result. It expires after an hour.
app:channel("job:{id}", { authorize = true, history = { size = 5, ttl = 3600, replay = 5 } })

-- The result must arrive: a full queue is a matter of seconds.
local function publish_result(id, result)
  repeat
    local sent, message, code = app:publish("job:" .. id, "done", result, { final = true })
    if sent then
      return
    elseif code ~= "unavailable" then
      error(message)
    end
  until not moonwire.sleep(1)
end

local function work(id)
  local sum = 0
  for step = 1, STEPS do
    if not moonwire.sleep(0.1) then
      return -- the server stops
    end
    sum = sum + step
    -- A step that cannot be published is not repeated: moonwire logs it, and the next step tells as much.
    local sent, _, code = app:publish("job:" .. id, "step", { step = step, of = STEPS })
    if not sent and code == "closed" then
      return
    end
  end
  publish_result(id, { sum = sum })
end

app:post(path .. "jobs", function()
  local id = moonwire.crypto.random(6, "hex") -- a number would mean another job after a restart
  local ok, message, code = app:spawn(work, id)
  if not ok then
    error { code = code, message = message }
  end
  return 201, { id = id }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
