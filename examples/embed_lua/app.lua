-- The script of the C program. `measured` and `stop` are called by main.c.

local attach = require "moonwire.attach.luv"
local moonwire = require "moonwire"
local uv = require "luv"

local app = moonwire.app {}
app:channel("measured", { history = { size = 10, replay = 1 } })
app:channel("uptime", { history = { size = 1, replay = 1 } })

function _G.measured(value)
  app:publish("measured", "value", value)
end

-- A timer of luv, on the loop of the C program.
local timer = uv.new_timer()
timer:start(0, 1000, function()
  app:publish("uptime", "seconds", math.floor(uv.uptime()))
end)

function _G.stop()
  app:stop()
  timer:close()
end

assert(app:listen(arg[1] or "127.0.0.1:8080", { workers = tonumber(arg[2] or 1) }))
attach(app)
print("listening on http://" .. app:address())
print "ready"
io.stdout:flush()
