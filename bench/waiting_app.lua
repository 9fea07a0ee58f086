-- The app of bench/waiting.mjs: handlers that wait for a back end, and threads that block.

local moonwire = require "moonwire"
local app = moonwire.app { limits = { rate = 0, answer_seconds = 600, drain_seconds = 0.1 } }
local pool = moonwire.work.pool { name = "blocked", threads = 2, timeout = 600 }

app:channel("relay", { relay = { "note" } })

app:get("/wait", function(request)
  return moonwire.http.get(request.query.url, { timeout = 600 }) and 204
end)
app:get("/block", function(request)
  pool:run(function(seconds)
    io.popen("sleep " .. seconds):close() -- os.execute would ignore SIGINT meanwhile
  end, request.query.seconds)
  return 204
end)

return app
