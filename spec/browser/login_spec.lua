-- examples/login in Chromium, and the attacks of pages of another origin and of another site.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

-- The example, with channels that authenticate by its cookie: what pages of others could open. /seen says who has asked.
local script = [[
local app = require("moonwire").app {}
local seen = {}
app:authenticate(function(request)
  seen[#seen + 1] = request.cookies.session and "user" or "visitor"
  return { id = "someone" }
end)
app:channel("inbox", { authorize = true, on = { say = function() seen[#seen + 1] = "said" end } })
app:get("/seen", function() return table.concat(seen, " ") end)
return assert(loadfile "examples/login/app.lua")(app, "/")
]]

local function check(app, path, screenshot)
  local seen = dkjson.decode(server.peer("browser/login.mjs", app.address, path, screenshot))
  assert.same({}, seen.complaints)
  assert.equal(path .. "enter", seen.redirected)
  assert.same(
    { text = "This name and password do not match.", name = "ann", password = "" },
    seen.refused
  )
  assert.equal(0, seen.overflow, "the page fits a phone")
  assert.same({ 1, 2, 1 }, { seen.first, seen.second, seen.left })
  assert.equal("", seen.script, "scripts do not see the cookie")
  assert.equal(path .. "enter", seen.thrownOut)
  for site, attack in pairs(seen.attacks) do
    assert.same(
      { "refused", "refused", "refused" },
      { attack.stream, attack.sse, attack.websocket },
      site
    )
    assert.same({ "failed", "failed", "failed" }, { attack.poll, attack.read, attack.json }, site)
    assert.matches('^%S+events {"error":{"code":"forbidden"', attack.opened)
  end
  -- With the user's cookie, and as a visitor without.
  assert.matches('^%S+leave {"error":{"code":"forbidden"', seen.attacks.sameSite.posted)
  assert.matches('^%S+enter {"error":{"code":"forbidden"', seen.attacks.sameSite.entered)
  assert.matches("^%S+enter Log in", seen.attacks.otherSite.posted)
  assert.matches("^%S+enter Log in Please allow cookies", seen.attacks.otherSite.entered)
  for _, request in ipairs(seen.requests) do
    assert.is_nil(request:match "^200 POST" or request:match "^200 GET /account", request)
  end
  assert.same({ url = path .. "account", sessions = 1 }, seen.after)
  assert.same({ "enter true Strict" }, seen.cookies)
end

describe("examples/login in Chromium", function()
  server.run "mkdir -p build"

  it("logs in and out, and no other site can do anything in the user's name", function()
    local app = server.start(script)
    check(app, "/", "build/login")
    assert.equal("", http.get(app, "/seen").body)
    app:stop()
  end)

  it("does so under the demo", function()
    local app = server.start { path = "examples/demo.lua" }
    check(app, "/login/", "build/demo_login")
    app:stop()
  end)
end)
