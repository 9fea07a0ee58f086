-- Which pages may open a stream: those of the same origin, and those that the app lists.

local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "secret",
  origins = { "https://a.example", "https://*.b.example", "http://localhost:3000" },
}
app:channel("news", {
  on = {
    say = function() return { heard = true } end,
    fail = function() error "oops" end,
    refuse = function() return false, "not now" end,
  },
})
app:get("/hello", function() return "hello" end)
return app
]]

describe("origins", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function open(origin, host)
    local stream =
      sse.open(app, "/sse?channel=news", { headers = { Origin = origin }, host = host })
    stream:close()
    return stream
  end

  it("are not asked of clients that are no browsers", function()
    local stream = open(nil)
    assert.equal(200, stream.status)
    assert.is_nil(stream.headers["access-control-allow-origin"])
  end)

  it("may be the server's own", function()
    local host = "127.0.0.1:" .. app.port
    assert.equal(200, open("http://" .. host, host).status)
    assert.equal(200, open("http://shop.example", "shop.example").status)
    assert.equal(200, open("https://shop.example", "shop.example").status) -- TLS ends at a proxy
    assert.equal(200, open("http://SHOP.example", "shop.EXAMPLE").status)
  end)

  it("may be listed, and are then told so", function()
    for _, origin in ipairs {
      "https://a.example",
      "https://x.b.example",
      "https://x.y.b.example",
      "http://localhost:3000",
    } do
      local stream = open(origin)
      assert.equal(200, stream.status, origin)
      assert.equal(origin, stream.headers["access-control-allow-origin"])
      assert.matches("Origin", stream.headers.vary)
    end
  end)

  for _, origin in ipairs {
    "https://evil.example",
    "http://a.example",
    "https://a.example:8443",
    "https://a.example.evil.example",
    "https://xa.example",
    "https://b.example",
    "https://evilb.example",
    "https://x.b.example.evil.example",
    "http://x.b.example",
    "http://localhost:3001",
    "null",
    "garbage",
    "https://evil.example/https://a.example",
  } do
    it("are refused if they are foreign: " .. origin, function()
      local response = http.get(app, "/sse?channel=news", { Origin = origin })
      assert.equal(403, response.status)
      assert.matches("differs from Host, and the option origins does not list it", response.body)
      assert.is_nil(response.headers["access-control-allow-origin"])
      assert.matches('"code":"forbidden"', response.body)
    end)
  end

  it("may ask beforehand, if they are listed", function()
    local function ask(origin)
      return http.request(app, "OPTIONS", "/sse?channel=news", {
        headers = { Origin = origin, ["Access-Control-Request-Method"] = "GET" },
      })
    end
    local response = ask "https://a.example"
    assert.equal(204, response.status)
    assert.equal("https://a.example", response.headers["access-control-allow-origin"])
    assert.matches("GET", response.headers["access-control-allow-methods"])
    response = ask "https://evil.example"
    assert.equal(403, response.status)
    assert.is_nil(response.headers["access-control-allow-origin"])
  end)

  it(
    "that are listed read every answer to a send, so that no page sends again what was done",
    function()
      local sends = {
        { 200, '{"send":"news","event":"say","data":1}' },
        { 400, '{"send":"news","event":"refuse"}' },
        { 400, '{"send":"news","event":"nothing"}' },
        { 400, "{}" },
        { 404, '{"send":"nowhere","event":"say"}' },
        { 413, ('{"send":"news","event":"say","data":"%s"}'):format(("x"):rep(70000)) },
        { 500, '{"send":"news","event":"fail"}' },
      }
      for _, case in ipairs(sends) do
        local function send(origin)
          local headers = { Origin = origin, ["Content-Type"] = "application/json" }
          return http.request(app, "POST", "/send", { headers = headers, body = case[2] })
        end
        local response = send "https://a.example"
        assert.equal(case[1], response.status, case[2])
        assert.equal("https://a.example", response.headers["access-control-allow-origin"])
        assert.equal("true", response.headers["access-control-allow-credentials"])
        assert.equal("Origin", response.headers.vary)
        response = send "https://evil.example"
        assert.equal(403, response.status)
        assert.is_nil(response.headers["access-control-allow-origin"])
        assert.equal("Origin", response.headers.vary)
      end
    end
  )

  it("that are listed read refusals of the server itself", function()
    for target, status in pairs {
      ["/sse"] = 400,
      ["/sse?channel=nowhere"] = 404,
      ["/poll?channel=nowhere"] = 404,
      ["/send"] = 405,
    } do
      local response = http.get(app, target, { Origin = "https://a.example" })
      assert.equal(status, response.status, target)
      assert.equal("https://a.example", response.headers["access-control-allow-origin"], target)
    end
  end)

  it("never get CORS from /publish", function()
    local response = http.request(app, "POST", "/publish", {
      headers = { Origin = "https://a.example", Authorization = "Bearer secret" },
      body = '{"channel":"news"}',
    })
    assert.is_nil(response.headers["access-control-allow-origin"])
  end)
end)

describe('the origin "*"', function()
  local app

  setup(function()
    app = server.start [[
local moonwire = require "moonwire"
local app = moonwire.app { origins = { "https://a.example", "*" } }
app:channel("news", {})
return app
]]
  end)

  teardown(function()
    app:stop()
  end)

  local function fields(origin)
    local stream = sse.open(app, "/sse?channel=news", { headers = { Origin = origin } })
    stream:close()
    return stream.headers["access-control-allow-origin"],
      stream.headers["access-control-allow-credentials"]
  end

  it("lets everybody read, but gives nobody a user's cookies", function()
    assert.same({ "*" }, { fields "https://evil.example" })
  end)

  it("takes nothing from those that are named", function()
    assert.same({ "https://a.example", "true" }, { fields "https://a.example" })
  end)
end)
