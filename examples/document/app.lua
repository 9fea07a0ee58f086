-- A text that several people write at the same time. Each page changes its own copy immediately, also
-- offline, and all copies become the same: see document.lua, and page/text.js.
--
--     bin/moonwire examples/document/app.lua      then open http://127.0.0.1:8080/ in two windows

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local document = dofile(here .. "document.lua")

local KEPT_SECONDS = 3600 -- a document without readers is forgotten; browsers that wrote keep their copy

local documents = {} -- by channel name

-- Every copy receives the edits of the others. It notices by the version if it has missed one, and
-- then reads the whole document.
local function edit(client, channel, message)
  local self = documents[channel.name]
  if not self then
    return false, "nobody reads this document", "closed"
  end
  local changed, reason, code = document.merge(self, message.data)
  if changed == nil then
    return false, reason, code
  elseif changed or self.unsent then
    local news = { version = self.version, edit = message.data }
    self.unsent = not channel:publish("edit", news, { except = client })
  end
  return { version = self.version }
end

-- There is no history: a copy that was away, or has a gap, merges the whole document.
app:channel("document:{name}", {
  authorize = function(_, channel)
    if #channel.params.name > 24 or not channel.params.name:find "^[%w-]+$" then
      return false, "a document's name has 1 to 24 letters, digits, and hyphens"
    end
    return true
  end,
  presence = true,
  relay = { "cursor" }, -- passed on without calling Lua, and not kept
  on = { edit = edit },
  on_open = function(channel)
    documents[channel.name] = documents[channel.name] or document.new()
  end,
  on_close = function(channel)
    documents[channel.name] = nil
  end,
  linger = KEPT_SECONDS,
  limits = {
    channels = 50,
    members = 50,
    events = { edit = { rate = 20, burst = 100 }, cursor = { rate = 15, burst = 30 } },
  },
})

app:get(path .. "text/{name}", function(request)
  local self = documents["document:" .. request.params.name] or document.new()
  local headers = { ["Content-Type"] = "application/json", ["Cache-Control"] = "no-store" }
  return 200, document.encode(self), headers
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
