-- How many connections, streams, and clients one address or one user may have, over sockets. Loopback
-- does not count as an address, so a proxy names others.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { trusted_proxies = { "127.0.0.1" }, limits = { LIMITS } }
app:authenticate(function(request) return { id = request.token } end)
app:channel("news", { authorize = true })
app:get("/who", function(request) return request.remote end)
app:get("/stats", function() return app:stats().limits end)
return app
]]

local function start(limits)
  return server.start((script:gsub("LIMITS", limits)))
end

local upgrade = {
  Upgrade = "websocket",
  Connection = "Upgrade",
  ["Sec-WebSocket-Version"] = "13",
  ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
}

-- Asks as a client of that address. Returns what became of it in short, and the connection, which the caller closes.
local function ask(app, address, target)
  local connection = http.connect(app)
  local headers = { ["X-Forwarded-For"] = address }
  for name, value in pairs(target:find "^/ws" and upgrade or {}) do
    headers[name] = value
  end
  connection:send(http.format("GET", target, { headers = headers }))
  local response = connection:read_head()
  if response.headers["content-type"] == "text/event-stream" then
    local is_refused = connection:read_chunk():find "^retry: %d+\n$"
    return is_refused and not connection:read_chunk() and "retry" or "open", connection
  end
  local after = response.headers["retry-after"]
  return response.status .. (after and ", Retry-After" or ""), connection
end

-- The same, for an answer alone.
local function tell(app, address, target)
  local answer, connection = ask(app, address, target)
  connection:close()
  return answer
end

local function count(app, name)
  return dkjson.decode(http.get(app, "/stats").body)[name]
end

it("an address has so many connections", function()
  local app = start "address_connections = 3"
  local streams = {}
  for i = 1, 3 do
    local answer
    answer, streams[i] = ask(app, "203.0.113.7", "/sse?channel=news")
    assert.equal("open", answer)
  end
  assert.equal("retry", tell(app, "203.0.113.7", "/sse?channel=news"))
  assert.equal("429, Retry-After", tell(app, "203.0.113.7", "/who"))
  assert.equal("429, Retry-After", tell(app, "203.0.113.7", "/ws"))
  assert.equal("200", tell(app, "203.0.113.8", "/who"))
  assert.equal(3, count(app, "address_connections"))
  streams[1]:close()
  local answer
  repeat
    answer = tell(app, "203.0.113.7", "/who")
  until answer == "200" or assert.equal("429, Retry-After", answer)
  for i = 2, 3 do
    streams[i]:close()
  end
  app:stop()
end)

it("the addresses of one /64 are one", function()
  local app = start "address_connections = 1"
  local answer, stream = ask(app, "2001:db8:1:2::1", "/sse?channel=news")
  assert.equal("open", answer)
  assert.equal("429, Retry-After", tell(app, "2001:db8:1:2:ffff::9", "/who"))
  assert.equal("200", tell(app, "2001:db8:1:3::1", "/who"))
  stream:close()
  app:stop()
end)

it("an address begins so many streams a second", function()
  local app = start "address_handshakes = 0.001, address_handshakes_burst = 2"
  assert.equal("open", tell(app, "203.0.113.7", "/sse?channel=news"))
  assert.equal("101", tell(app, "203.0.113.7", "/ws"))
  assert.equal("retry", tell(app, "203.0.113.7", "/sse?channel=news"))
  assert.equal("429, Retry-After", tell(app, "203.0.113.7", "/ws"))
  assert.equal("200", tell(app, "203.0.113.7", "/who")) -- which is no stream
  assert.equal("open", tell(app, "203.0.113.8", "/sse?channel=news"))
  assert.equal(2, count(app, "address_handshakes"))
  app:stop()
end)

it("a user has so many clients", function()
  local app = start "user_connections = 2"
  local streams = {}
  for i = 1, 2 do
    local answer
    answer, streams[i] = ask(app, "203.0.113." .. i, "/sse?channel=news&token=ann")
    assert.equal("open", answer)
  end
  assert.equal("retry", tell(app, "203.0.113.3", "/sse?channel=news&token=ann"))
  assert.equal("429, Retry-After", tell(app, "203.0.113.3", "/poll?channel=news&client=&token=ann"))
  local _, socket = ask(app, "203.0.113.3", "/ws?token=ann")
  local head, length = string.unpack("BB", socket:read_bytes(2))
  assert.equal(0x88, head)
  assert.equal(1013, (string.unpack(">I2", socket:read_bytes(length))))
  socket:close()
  local answer, other = ask(app, "203.0.113.3", "/sse?channel=news&token=bob")
  assert.equal("open", answer)
  other:close()
  assert.equal(3, count(app, "user_connections"))
  for _, stream in ipairs(streams) do
    stream:close()
  end
  app:stop()
end)
