-- The examples in one app, with an index page:  bin/moonwire examples/demo.lua

local moonwire = require "moonwire"

local app = moonwire.app {}
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

-- Each example is a script that creates an app, or adds itself to the app that it receives.
for _, name in ipairs { "ticker", "chat", "login" } do
  assert(loadfile(here .. name .. "/app.lua"))(app, "/" .. name .. "/")
end

app:static("/", "demo")
return app
