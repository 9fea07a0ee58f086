-- How many channels one client, and one address, may create; and how many clients may poll from one address.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { client_names = 3, address_names = 5, address_polls = 4 } }
app:channel("kept:{x}", { history = { size = 5 }, relay = { say = { keep = true } } })
app:channel("plain:{x}", {})
app:get("/stats", function() return app:stats() end)
return app
]]

local REFUSAL = { code = "unavailable", reason = "too many channels: try again later" }

-- The address by which this machine would leave, if it has one: peers that come by it are not on loopback.
local function own_address()
  local probe = assert(socket.udp())
  local found = probe:setpeername("192.0.2.1", 9) and probe:getsockname()
  probe:close()
  return found ~= "0.0.0.0" and not tostring(found):match "^127%." and found or nil
end

describe("new channels", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  after_each(function()
    app:stop() -- raises if one object is left alive
  end)

  local function leave_behind(client, name)
    local answer = client:ask { subscribe = name }
    if answer.ok then
      assert.is_truthy(client:ask({ send = name, event = "say", data = 1 }).ok)
      client:ask { unsubscribe = name }
    end
    return answer.error
  end

  it("are limited for each client", function()
    local greedy, other = native.open(app, { target = "/ws" }), native.open(app, { target = "/ws" })
    for i = 1, 3 do
      assert.is_nil(leave_behind(greedy, "kept:" .. i))
    end
    assert.same(REFUSAL, leave_behind(greedy, "kept:4"))
    assert.same(REFUSAL, greedy:ask({ subscribe = "plain:1" }).error)
    assert.is_nil(leave_behind(greedy, "kept:1"))
    assert.is_nil(leave_behind(other, "kept:4"))
    greedy:close()
    other:close()
  end)

  it("are not limited by the address on loopback", function()
    local streams = {}
    for i = 1, 8 do
      streams[i] = http.connect(app)
      streams[i]:send(http.format("GET", "/sse?channel=plain:" .. i))
      assert.equal(200, streams[i]:read_head().status)
      assert.equal(200, http.request(app, "GET", "/poll?client=&channel=plain:1").status)
    end
    local stats = dkjson.decode(http.request(app, "GET", "/stats").body)
    assert.equal(8, stats.channels)
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)
end)

describe("new channels from another machine", function()
  it("are limited for each address, as clients that poll are", function()
    local address = own_address()
    if not address then
      pending "this machine has no address but loopback"
      return
    end
    local app = server.start {
      script = script,
      args = ("--listen 127.0.0.1:0 --listen %s:0"):format(address),
    }
    local port, streams = app.listeners[2].port, {}
    local far = { host = address, port = port, address = ("http://%s:%d"):format(address, port) }
    for i = 1, 7 do
      streams[i] = http.connect(far)
      streams[i]:send(http.format("GET", "/sse?channel=plain:" .. i))
      assert.equal(200, streams[i]:read_head().status)
    end
    local stats = dkjson.decode(http.request(app, "GET", "/stats").body)
    assert.equal(5, stats.channels)
    assert.equal(503, http.request(far, "GET", "/poll?channel=plain:9").status)
    assert.equal(200, http.request(app, "GET", "/poll?channel=plain:9").status)
    for i = 1, 3 do
      local response = http.request(far, "GET", "/poll?client=&channel=plain:1")
      assert.equal(i < 3 and 200 or 503, response.status)
    end
    for _, stream in ipairs(streams) do
      stream:close()
    end
    app:stop()
  end)
end)
