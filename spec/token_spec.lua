-- moonwire.token, auth, tickets, and close_user, as a script uses them.
local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local KEY = ("k"):rep(32)

-- A key pair of RFC 8037, in PEM.
local PRIVATE = [[
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
]]
local PUBLIC = [[
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
]]

describe("moonwire.token", function()
  it("signs and verifies", function()
    local text = moonwire.token.sign({ sub = "ann", level = 3 }, { key = KEY, expires_in = 60 })
    local claims = assert(moonwire.token.verify(text, { key = KEY }))
    assert.equal("ann", claims.sub)
    assert.equal(3, claims.level)
    assert.is_true(math.abs(claims.exp - os.time() - 60) <= 2)
    assert.same(claims, (moonwire.token { key = KEY }):verify(text))
  end)

  it("says why a token is not valid", function()
    local auth = moonwire.token { key = KEY }
    local function refused(message, code, text)
      local claims, why, got = auth:verify(text)
      assert.is_nil(claims)
      assert.equal(message, why)
      assert.equal(code, got)
    end
    refused("a token is required", "unauthorized", nil)
    refused("a token is required", "unauthorized", "")
    refused(
      "the token has expired",
      "token_expired",
      moonwire.token.sign({ exp = 5 }, { key = KEY })
    )
    refused(
      "the signature of the token is invalid",
      "unauthorized",
      moonwire.token.sign({}, { key = ("x"):rep(32), expires_in = 60 })
    )
    refused(
      'the token never expires: "exp" is required',
      "unauthorized",
      moonwire.token.sign({}, { key = KEY })
    )
  end)

  it("takes key pairs, issuers, and audiences", function()
    local text = moonwire.token.sign(
      { iss = "login", aud = { "chat", "mail" } },
      { private_key = PRIVATE, expires_in = 60 }
    )
    local given = { public_key = PUBLIC, issuer = "login", audience = "chat" }
    assert.same({ "chat", "mail" }, moonwire.token.verify(text, given).aud)
    given.audience = "shop"
    assert.equal(
      'the token is for another audience ("aud")',
      select(2, moonwire.token.verify(text, given))
    )
  end)

  it("raises if it is misused", function()
    local function raises(text, fn, ...)
      local ok, message = pcall(fn, ...)
      assert.is_false(ok)
      assert.is_truthy(message:find(text, 1, true), message)
    end
    raises(
      "one of key, public_key, and jwks_file is required",
      moonwire.token,
      { key = os.getenv "NO_SUCH_KEY" }
    )
    raises(
      "key: the key is too short: HS256 requires at least 32 bytes, got 6",
      moonwire.token,
      { key = "secret" }
    )
    raises("unknown option 'kye' (did you mean 'key'?)", moonwire.token, { kye = KEY })
    raises(
      "jwks_file: /nowhere: No such file or directory",
      moonwire.token,
      { jwks_file = "/nowhere" }
    )
    raises("one of key and private_key is required", moonwire.token.sign, {}, {})
    raises(
      "the claims have 'exp', and option 'expires_in' sets it",
      moonwire.token.sign,
      { exp = 1 },
      { key = KEY, expires_in = 1 }
    )
    raises("argument 1 must be a table, got string", moonwire.token.sign, "x", { key = KEY })
    raises(
      "option 'auth' must be what moonwire.token or moonwire.trusted_header returns, got table",
      moonwire.app,
      { auth = {} }
    )
    local app = moonwire.app { auth = moonwire.token { key = KEY } }
    raises("the app already identifies clients, by option 'auth'", app.authenticate, app, print)
    app:channel("open", {})
    raises("option 'authorize' is required with option 'auth' of the app", testing.start, app)
    local anonymous = moonwire.app {}
    anonymous:channel("room", { authorize = "token" })
    raises("option 'authorize' = \"token\" requires", testing.start, anonymous)
  end)
end)

describe("an app with tokens", function()
  after_each(testing.stop_all)

  local function start(more)
    local app = moonwire.app { auth = moonwire.token { key = KEY, cookie = "login" } }
    app:channel("room:{room}", {
      authorize = "token",
      presence = true,
      on = {
        who = function(client)
          return { id = client.user_id, level = client.user.level or 0 }
        end,
      },
    })
    app:channel("open", {
      authorize = function(client)
        return client.user.sub ~= "eve"
      end,
    })
    app:post("/ticket", function(request)
      local user, message, code = app._settings.auth:verify(request.token)
      if not user then
        error { code = code, message = message }
      end
      return { ticket = app:ticket(user, 10) }
    end)
    if more then
      more(app)
    end
    return testing.start(app), app
  end

  it("identifies clients without asking the script", function()
    local server = start()
    local token = server:token { sub = "ann", level = 2, channels = { "room:{any}" } }
    for _, transport in ipairs { "websocket", "sse", "poll" } do
      local client =
        server:connect { token = token, channels = { "room:1" }, transport = transport }
      assert.same({ id = "ann", level = 2 }, client:send("room:1", "who"))
    end
    local client, reason, code, status =
      server:try_connect { token = "x.y.z", transport = "sse", channels = { "open" } }
    assert.is_nil(client)
    assert.equal("malformed header of the token", reason)
    assert.equal("unauthorized", code)
    assert.equal(401, status)
    assert.is_nil((server:try_connect { transport = "sse", channels = { "open" } }))
    assert.equal(
      "ann",
      server:connect({ cookies = { login = token }, transport = "sse", channels = { "open" } })
        and "ann"
    )
  end)

  it("lets tokens grant channels, and functions decide", function()
    local server = start()
    local ann = server:connect { token = server:token { sub = "ann", channels = { "room:1" } } }
    assert.is_truthy(ann:subscribe "room:1")
    local ok, reason, code = ann:try_subscribe "room:2"
    assert.is_nil(ok)
    assert.equal("the token does not grant this channel", reason)
    assert.equal("forbidden", code)
    assert.is_truthy(ann:subscribe "open")
    local eve = server:connect { token = server:token { sub = "eve" } }
    assert.is_nil((eve:try_subscribe "open"))
  end)

  it("tells clients that their tokens expire, and closes them", function()
    local reasons = {}
    local server = start(function(app)
      app:on_disconnect(function(client, why)
        reasons[#reasons + 1] = client.user_id .. " " .. why
      end)
    end)
    local ann = server:connect {
      token = server:token({ sub = "ann" }, { expires_in = 100 }),
      channels = { "open" },
    }
    server:advance(85)
    assert.equal(21, ann:take("moonwire:expiring").data.expires)
    ann:renew(server:token({ sub = "ann" }, { expires_in = 100 }))
    server:advance(80)
    assert.is_false(ann.closed)
    server:advance(21)
    assert.is_true(ann.closed)
    assert.equal(4401, ann.close_code)
    assert.same({ "ann expired" }, reasons)
  end)

  it("gives tickets for one connection", function()
    local server = start()
    local answer = server:request("POST", "/ticket", { token = server:token { sub = "ann" } })
    local ticket = answer:json().ticket
    assert.is_truthy(ticket:find "^%w+$")
    local stream =
      server:connect { query = { ticket = ticket }, transport = "sse", channels = { "open" } }
    local again, reason =
      server:try_connect { query = { ticket = ticket }, transport = "sse", channels = { "open" } }
    assert.is_nil(again)
    assert.equal("the ticket is unknown, was used, or has expired", reason)
    assert.is_false(stream.closed)
    assert.equal(401, server:request("POST", "/ticket").status)
  end)

  it("closes everything of a user", function()
    local server, app = start()
    local token = server:token { sub = "ann", channels = { "room:1" } }
    local socket = server:connect { token = token, channels = { "room:1" } }
    local stream = server:connect { token = token, channels = { "room:1" }, transport = "sse" }
    local bea = server:connect {
      token = server:token { sub = "bea", channels = { "room:1" } },
      channels = { "room:1" },
    }
    assert.equal(2, app:close_user("ann", "banned"))
    server:advance(0)
    assert.equal(4403, socket.close_code)
    assert.equal("banned", socket.close_reason)
    assert.is_true(stream.closed)
    assert.is_false(bea.closed)
    assert.is_nil(app:find("room:1"):presence().ann)
    assert.equal(0, app:close_user "ann")
    assert.has_error(function()
      app:close_user {}
    end)
  end)

  it("takes tickets beside authenticate, too", function()
    local app = moonwire.app {}
    app:authenticate(function()
      return false, "no"
    end)
    app:channel("open", { authorize = true })
    local server = testing.start(app)
    local ticket = app:ticket { id = 7 }
    local client =
      server:connect { query = { ticket = ticket }, transport = "sse", channels = { "open" } }
    assert.is_false(client.closed)
    local anonymous = moonwire.app {}
    testing.start(anonymous)
    assert.has_error(function()
      anonymous:ticket { id = 7 }
    end)
    assert.has_error(function()
      app:ticket({ id = 7 }, 3601)
    end)
  end)
end)
