-- Devices post readings with a key, dashboards follow them, and a device that goes silent is an alert.
--
--     SENSOR_KEY=secret bin/moonwire examples/sensors/app.lua    then open http://127.0.0.1:8080/, and:
--     curl -H 'Authorization: Bearer secret' -d '{"value":21.5,"unit":"°C"}' http://127.0.0.1:8080/readings/attic

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local parse = dofile(here .. "reading.lua")

local KEY = os.getenv "SENSOR_KEY" -- without it, nobody can post
local DEVICES_MAX, SILENT, FORGOTTEN = 50, tonumber(os.getenv "SENSOR_SILENT") or 10, 3600 -- seconds
local devices, count = {}, 0 -- by name: the newest reading, and the seconds since

app:channel("devices", { authorize = true, history = { size = 200, ttl = FORGOTTEN, replay = 20 } })
app:channel("device:{device}", {
  history = { size = 120, ttl = FORGOTTEN, replay = 120 },
  authorize = function(_, channel)
    return devices[channel.params.device] ~= nil, "no such device"
  end,
})

local function report(event, device) -- "added", "silent", "back", or "removed"
  app:publish("devices", event, { device = device, time = os.time() })
end

local function take(name, value, unit)
  local before = devices[name]
  local event = not before and "added" or before.age >= SILENT and "back"
  count = before and count or count + 1
  devices[name] = { value = value, unit = unit, age = 0 }
  if event then
    report(event, name)
  end
  app:publish("device:" .. name, "reading", { value = value, unit = unit, time = os.time() })
end

app:every(1, function()
  for name, device in pairs(devices) do
    device.age = device.age + 1
    if device.age == SILENT then
      report("silent", name)
    elseif device.age >= FORGOTTEN then
      devices[name], count = nil, count - 1
      report("removed", name)
    end
  end
end)

app:post(path .. "readings/{device}", function(request)
  if not KEY or not moonwire.crypto.equal(request.token, KEY) then
    error { code = "unauthorized", message = "the key is wrong, or SENSOR_KEY is not set" }
  end
  local name, value, unit = parse(request)
  if not devices[name] and count >= DEVICES_MAX then
    error { code = "unavailable", message = "there are too many devices" }
  end
  take(name, value, unit)
  return 204
end)
app:get(path .. "devices", function()
  return { silent = SILENT, devices = devices }
end)
dofile(here .. "pretend.lua")(app, take)
app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
