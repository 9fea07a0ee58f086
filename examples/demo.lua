-- The examples in one app, with an index page:  bin/moonwire examples/demo.lua

local moonwire = require "moonwire"

local app = moonwire.app {}
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local examples = dofile(here .. "demo/examples.lua")

local function read(name)
  local file = assert(io.open(here .. "demo/" .. name))
  local text = file:read "a"
  file:close()
  return text
end

-- Fills the {names} of a template. The values are the demo's own, so they are not escaped.
local function fill(template, values)
  return (template:gsub("{(%l+)}", values))
end

-- An app has one handler that identifies clients, and an example may have one of its own. Each of
-- them returns true for a client that it does not know. Such a client is anonymous.
local identify = {}
function app:authenticate(handler)
  identify[#identify + 1] = handler
  return self
end

local cards = {}
for i, example in ipairs(examples) do
  assert(loadfile(here .. example.name .. "/app.lua"))(app, "/" .. example.name .. "/")
  cards[i] = fill(read "card.html", example)
end
app.authenticate = nil -- from here on, that of all apps
app:authenticate(function(request)
  local user, reason, status = true, nil, nil
  for _, handler in ipairs(identify) do
    local answer, why, with = handler(request)
    if type(answer) == "table" then
      return answer
    elseif not answer then
      user, reason, status = false, why, with
    end
  end
  return user, reason, status
end)

local index = fill(read "index.html", { cards = table.concat(cards) })

app:get("/", function()
  return 200,
    index,
    {
      ["Content-Type"] = "text/html; charset=utf-8",
      ["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; img-src 'self'; "
        .. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }
end)
-- scripts/demo sets DEMO_READY. It is printed last, below the list of definitions.
local ready = os.getenv "DEMO_READY"
if ready then
  app:after(0, function()
    print(ready)
    io.stdout:flush()
  end)
end
app:static("/shared", "shared")
app:static("/demo", "demo/page")

return app
