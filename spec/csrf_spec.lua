-- Cross-site request forgery: what a request with the user's cookie may do, by its method, its content type, and the page
-- that it comes from. spec/browser/login.mjs tries the same in Chromium.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local FORM, TEXT, JSON = "application/x-www-form-urlencoded", "text/plain", "application/json"
local MULTIPART = "multipart/form-data; boundary=x"

local function start(settings)
  local app = moonwire.app(settings or {})
  local function done()
    return "done"
  end
  app:authenticate(function(request)
    return { id = request.cookies.session or "nobody" }
  end)
  app:channel("news", {
    authorize = true,
    on = {
      say = function(client)
        return client.user_id
      end,
    },
  })
  app:get("/get", done)
  app:post("/post", done)
  app:put("/put", done)
  app:delete("/delete", done)
  app:post("/callback", done, { cross_site = true })
  app:stream("/stream", function(_, stream)
    stream:send("first", 1)
    stream:close()
  end)
  app:stream("/open", function(_, stream)
    stream:send("first", 1)
    stream:close()
  end, { cross_site = true })
  app:websocket("/socket", {
    on_open = function(socket, request)
      socket:send(request.cookies.session or "nobody")
    end,
  })
  return testing.start(app)
end

-- { method and path, headers, status }; each has the cookie and Host: localhost
local cases = {
  -- a form of another site
  { "POST /post", { ["content-type"] = FORM, origin = "https://evil.example" }, 403 },
  { "POST /post", { ["content-type"] = TEXT, origin = "https://evil.example" }, 403 },
  { "POST /post", { ["content-type"] = MULTIPART, origin = "https://evil.example" }, 403 },
  { "POST /post", { origin = "https://evil.example" }, 403 },
  { "POST /post", { ["content-type"] = FORM, origin = "null" }, 403 },
  { "POST /post", { ["content-type"] = FORM, origin = "" }, 403 },
  { "POST /post", { ["content-type"] = FORM, origin = "https://localhost.evil.example" }, 403 },
  { "POST /post", { ["content-type"] = FORM, origin = "https://localhost:8443" }, 403 },
  {
    "POST /post",
    { ["content-type"] = FORM, origin = "http://localhost, https://evil.example" },
    403,
  },
  { "POST /post", { ["content-type"] = FORM, ["sec-fetch-site"] = "cross-site" }, 403 },
  { "POST /post", { ["content-type"] = FORM, ["sec-fetch-site"] = "same-site" }, 403 },
  { "POST /post", { ["content-type"] = FORM, ["sec-fetch-site"] = "none" }, 403 },
  { "POST /post", { ["content-type"] = FORM, ["sec-fetch-site"] = "same-originn" }, 403 },
  -- types that only begin like JSON
  {
    "POST /post",
    { ["content-type"] = "application/jsonp", origin = "https://evil.example" },
    403,
  },
  {
    "POST /post",
    { ["content-type"] = "text/plain; application/json", origin = "https://evil.example" },
    403,
  },
  {
    "POST /post",
    { ["content-type"] = "text/plain, application/json", origin = "https://evil.example" },
    403,
  },
  {
    "POST /post",
    { ["content-type"] = FORM .. ", application/json", origin = "https://evil.example" },
    403,
  },
  -- neither proves anything
  { "POST /post", { ["content-type"] = FORM }, 403 },
  { "POST /post", {}, 403 },
  { "POST /post", { ["content-type"] = FORM, referer = "http://localhost/" }, 403 },
  {
    "POST /post",
    {
      ["content-type"] = FORM,
      ["x-forwarded-host"] = "evil.example",
      origin = "https://evil.example",
    },
    403,
  },
  -- a page of the same origin, or of a listed one
  { "POST /post", { ["content-type"] = FORM, origin = "http://localhost" }, 200 },
  { "POST /post", { ["content-type"] = FORM, origin = "http://LOCALHOST" }, 200 },
  { "POST /post", { ["content-type"] = MULTIPART, origin = "http://localhost" }, 200 },
  {
    "POST /post",
    { ["content-type"] = FORM, origin = "null", ["sec-fetch-site"] = "same-origin" },
    200,
  },
  { "POST /post", { ["content-type"] = FORM, ["sec-fetch-site"] = "same-origin" }, 200 },
  { "POST /post", { ["content-type"] = FORM, origin = "https://listed.example" }, 200 },
  { "POST /post", { ["content-type"] = FORM, origin = "https://x.family.example" }, 200 },
  -- what needs a preflight
  { "POST /post", { ["content-type"] = JSON }, 200 },
  { "POST /post", { ["content-type"] = "Application/JSON; charset=utf-8" }, 200 },
  { "PUT /put", { ["content-type"] = TEXT, origin = "https://evil.example" }, 200 },
  { "DELETE /delete", { origin = "https://evil.example" }, 200 },
  -- what changes nothing
  { "GET /get", { origin = "https://evil.example", ["sec-fetch-site"] = "cross-site" }, 200 },
  { "HEAD /get", { ["sec-fetch-site"] = "cross-site" }, 200 },
  -- what the app has allowed
  { "POST /callback", { ["content-type"] = FORM, origin = "https://identity.example" }, 200 },
  { "GET /open", { origin = "https://evil.example" }, 200 },
  -- raw streams
  { "GET /stream", { origin = "https://evil.example" }, 403 },
  { "GET /stream", { ["sec-fetch-site"] = "cross-site" }, 403 },
  { "GET /stream", { ["sec-fetch-site"] = "same-site" }, 403 },
  { "GET /stream", { ["sec-fetch-site"] = "none" }, 200 },
  { "GET /stream", { origin = "http://localhost", ["sec-fetch-site"] = "same-origin" }, 200 },
  { "GET /stream", { origin = "https://listed.example" }, 200 },
  { "GET /stream", {}, 200 },
  -- the server's own endpoints, where an image, a link, or a script has no Origin
  {
    "GET /sse?channel=news",
    { ["sec-fetch-site"] = "cross-site", ["sec-fetch-dest"] = "image" },
    403,
  },
  {
    "GET /sse?channel=news",
    { ["sec-fetch-site"] = "cross-site", ["sec-fetch-mode"] = "navigate" },
    403,
  },
  { "GET /sse?channel=news", { ["sec-fetch-site"] = "same-site" }, 403 },
  { "GET /sse?channel=news", { origin = "https://evil.example" }, 403 },
  { "GET /poll?channel=news", { ["sec-fetch-site"] = "cross-site" }, 403 },
  { "GET /poll?channel=news", { origin = "https://evil.example" }, 403 },
  { "GET /poll?channel=news", { ["sec-fetch-site"] = "same-origin" }, 200 },
  { "GET /poll?channel=news", { ["sec-fetch-site"] = "none" }, 200 },
  { "GET /poll?channel=news", {}, 200 },
  { "POST /send", { ["content-type"] = TEXT }, 403 },
  { "POST /send", { ["content-type"] = FORM, origin = "https://evil.example" }, 403 },
  { "POST /send", { ["content-type"] = JSON, origin = "https://evil.example" }, 403 },
  { "POST /send", { ["content-type"] = JSON, ["sec-fetch-site"] = "cross-site" }, 403 },
  { "POST /send", { ["content-type"] = JSON }, 200 },
  { "POST /send", { ["content-type"] = TEXT, origin = "http://localhost" }, 200 },
}

describe("a request with a cookie", function()
  local settings = { origins = { "https://listed.example", "https://*.family.example" } }
  after_each(testing.stop_all)

  for _, case in ipairs(cases) do
    local line, headers, status = table.unpack(case)
    local words = {}
    for name, value in pairs(headers) do
      words[#words + 1] = name .. ": " .. value
    end
    table.sort(words)
    it(("%s, %s: %d"):format(line, table.concat(words, ", "), status), function()
      local server = start(settings)
      local method, path = line:match "^(%S+) (%S+)$"
      local body = method == "POST" and '{"send":"news","event":"say","data":1}' or nil
      local given = { headers = headers, cookies = { session = "ann" }, body = body }
      local response = server:request(method, path, given)
      assert.equal(status, response.status)
      if status == 403 then
        assert.equal("forbidden", response:json().error.code)
      end
      -- Without a cookie there is no user whose name could be used.
      if not path:find "^/sse" and not path:find "^/poll" and path ~= "/send" then
        given.cookies = nil
        assert.equal(200, server:request(method, path, given).status)
      end
    end)
  end

  it("is told what would be accepted", function()
    local response = start():request(
      "POST",
      "/post",
      { cookies = { session = "ann" }, headers = { origin = "https://evil.example" } }
    )
    local reason = response:json().error.reason
    assert.matches("may come from another site", reason)
    assert.matches("application/json", reason)
  end)
end)

describe('a page that only "*" allows', function()
  after_each(testing.stop_all)

  it("connects as a visitor without cookies", function()
    local server = start { origins = { "*" } }
    local given = { headers = { origin = "https://evil.example" }, cookies = { session = "ann" } }
    local function sender(headers)
      local response = server:request("POST", "/send", {
        headers = headers,
        cookies = { session = "ann" },
        body = { send = "news", event = "say", data = 1 },
      })
      return response:json().ok
    end
    assert.equal("nobody", sender { origin = "https://evil.example" })
    assert.equal("ann", sender { origin = "http://localhost" })
    assert.equal("ann", sender {})
    assert.equal("nobody", (server:websocket("/socket", given):take()))
    given.headers = {}
    assert.equal("ann", (server:websocket("/socket", given):take()))
    given.headers = { ["sec-fetch-site"] = "cross-site" }
    given.transport, given.channels = "sse", { "news" }
    assert.equal("nobody", server.app:client(server:connect(given).id).user_id)
    given.headers = {}
    assert.equal("ann", server.app:client(server:connect(given).id).user_id)
    -- nor may it post in the user's name
    given =
      { headers = { origin = "https://evil.example" }, cookies = { session = "ann" }, body = "a=b" }
    assert.equal(403, server:request("POST", "/post", given).status)
  end)
end)
