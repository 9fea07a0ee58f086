-- Tokens that expire, in Chromium, against the command.

local dkjson = require "dkjson"
local server = require "spec.support.server"

-- Each number once, in order, from 1 on.
local function assert_complete(numbers)
  assert.is_true(#numbers > 0)
  for i, n in ipairs(numbers) do
    assert.equal(i, n)
  end
end

describe("in Chromium, a token", function()
  local app, seen

  setup(function()
    app = server.start [[
      local moonwire = require "moonwire"
      local KEY = ("k"):rep(32)
      local app = moonwire.app { auth = moonwire.token { key = KEY, cookie = "login" }, limits = { poll_seconds = 5 } }
      local connected, n = {}, 0
      app:channel("numbers", { authorize = true, history = { size = 10000 } })
      app:on_connect(function(client)
        connected[client.user_id] = (connected[client.user_id] or 0) + 1
      end)
      app:every(0.2, function()
        n = n + 1
        app:publish("numbers", "number", { n = n })
      end)
      local function sign(request)
        return moonwire.token.sign({ sub = request.query.user }, { key = KEY, expires_in = tonumber(request.query.seconds) })
      end
      app:post("/token", sign)
      app:post("/login", function(request)
        return 204, nil, { ["Set-Cookie"] = "login=" .. sign(request) .. "; HttpOnly; SameSite=Lax; Path=/" }
      end)
      app:post("/ticket", function(request)
        return app:ticket { sub = request.query.user }
      end)
      app:post("/revoke", function(request)
        return tostring(app:close_user(request.query.user, "revoked"))
      end)
      app:get("/connected/{user}", function(request)
        return tostring(connected[request.params.user])
      end)
      app:get("/page", function()
        return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" }
      end)
      app:get("/favicon.ico", function() return 204 end)
      return app
    ]]
    seen = dkjson.decode(server.peer("browser/tokens.mjs", app.address))
  end)

  teardown(function()
    app:stop()
  end)

  for _, transport in ipairs { "websocket", "sse", "poll" } do
    it("is renewed by the browser client over " .. transport .. ", without a reconnect", function()
      local page = seen[transport]
      assert.same({ "connect", "expiring", "expiring" }, page.reasons)
      assert.same({ "connecting", "open" }, page.states)
      assert_complete(page.numbers)
      assert.equal("1", server.run(("curl -s %s/connected/%s"):format(app.address, transport)))
    end)
  end

  it("in the URL of an EventSource ends it permanently, after a notice", function()
    local page = seen.url
    assert.equal(2, page.opens)
    assert.equal(2, page.told)
    assert.equal(2, page.closed)
    assert_complete(page.numbers)
  end)

  it("in a cookie, renewed at the notice, lets EventSource continue by itself", function()
    local page = seen.cookie
    assert.equal(2, page.opens)
    assert.equal(0, page.closed)
    assert.is_true(page.told >= 1)
    assert_complete(page.numbers)
  end)

  it("is not needed with a ticket, which opens one EventSource", function()
    local page = seen.ticket
    assert.equal(1, page.revoked)
    assert.equal(1, page.opens)
    assert.equal(1, page.closed)
    assert_complete(page.numbers)
  end)

  it("does not bring back a client whose user was closed", function()
    assert.same({ "connecting", "open", "closed 4403 revoked" }, seen.revoked.states)
  end)
end)
