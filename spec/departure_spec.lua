-- Why a client has gone, as on_disconnect is told, and what presence makes of it.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  limits = { PINGS outbox = 10000, progress_seconds = 60 },
}
app:authenticate(function(request) return { id = request.query.user } end)
app:on_connect(function() end)
app:on_disconnect(function(client, reason) app.log.info("%s has gone: %s.", client.user_id, reason) end)
app:channel("room", { authorize = true, presence = { linger = 60, interval = 0.01 } })
app:get("/close/{user}", function(request)
  for client in app:clients { user_id = request.params.user } do
    client:close(tonumber(request.query.code), "off you go")
  end
end)
app:get("/kick/{user}", function(request)
  for client in app:clients { user_id = request.params.user } do
    app:find("room"):kick(client, "off you go")
  end
end)
app:get("/present", function()
  local names = moonwire.array {}
  for name in pairs(app:find("room") and app:find("room"):presence() or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end)
app:get("/stats", function() return app:stats() end)
app:get("/flood", function()
  for _ = 1, 2000 do app:publish("room", "x", ("x"):rep(9000)) end
end)
return app
]]

-- Where nothing is said of it, nobody is asked by a ping: a spec that waits for something else answers none.
local impatient =
  script:gsub("PINGS", "ping_seconds = 1, pong_seconds = 1, poll_client_seconds = 2,")
script = script:gsub("PINGS", "")

describe("a client that has gone", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function expect(user, reason)
    local line = app:await_log(user .. " has gone: ")
    assert.equal(reason, line:match "has gone: (.*)%.")
  end

  local function ws(user)
    local client = websocket.open(app, "/ws?user=" .. user)
    client:subscribe "room"
    return client
  end

  local function stream_of(user)
    local stream = sse.open(app, "/sse?channel=room&user=" .. user)
    stream:cursor()
    return stream
  end

  -- Closes without reading on, with a reset.
  local function reset(tcp)
    tcp:setoption("linger", { on = true, timeout = 0 })
    tcp:close()
  end

  it("with a close frame, is told by its code", function()
    ws("bye"):close(1000)
    expect("bye", "closed 1000")
    ws("away"):close(1001)
    expect("away", "closed 1001")
    ws("own"):close(4000)
    expect("own", "closed 4000")
  end)

  it("without one, or by the end of a stream, is told from a reset", function()
    ws("dropped"):drop()
    expect("dropped", "closed 1006")
    stream_of("ended"):close()
    expect("ended", "closed")
    local connection = http.connect(app)
    connection:send(http.format("GET", "/sse?channel=room&user=broken"))
    connection:read_head()
    reset(connection.socket)
    expect("broken", "reset")
  end)

  it("against the protocol, is told by the code it was closed with", function()
    local client = ws "wrong"
    client.socket.socket:xwrite("\x81\x01x", "n") -- a frame that is not masked
    client.socket.socket:flush()
    expect("wrong", "protocol 1002")
    client:drop()
  end)

  it("because it was silent, or did not poll, is told so", function()
    local patient = app
    app = server.start(impatient)
    local connection = http.connect(app)
    connection:send(http.format("GET", "/ws?user=silent", {
      headers = {
        Upgrade = "websocket",
        Connection = "Upgrade",
        ["Sec-WebSocket-Version"] = 13,
        ["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA==",
      },
    }))
    assert.equal(101, connection:read_head().status)
    assert.equal(200, http.get(app, "/poll?client=&channel=room&user=lazy").status)
    expect("silent", "timeout")
    expect("lazy", "timeout")
    connection:close()
    app:stop()
    app = patient
  end)

  it("by the app, is told by its code", function()
    local client, stream = ws "unwanted", stream_of "stranger"
    http.get(app, "/close/unwanted?code=4007")
    expect("unwanted", "app 4007")
    http.get(app, "/close/stranger?code=4008")
    expect("stranger", "app 4008")
    assert.equal(200, http.get(app, "/poll?client=&channel=room&user=polling").status)
    http.get(app, "/close/polling?code=4009")
    expect("polling", "app 4009")
    client:drop()
    stream:close()
  end)

  it("because it was too slow, is told so", function()
    local connection = http.connect(app)
    connection:send(http.format("GET", "/sse?channel=room&user=slow"))
    connection:read_head()
    for _ = 1, 3 do
      http.get(app, "/flood")
    end
    expect("slow", "slow")
    connection:close()
  end)

  describe("from presence", function()
    local function await_present(expected)
      local deadline = socket.gettime() + 30
      local names
      repeat
        names = dkjson.decode(http.get(app, "/present").body)
        local seen = {}
        for _, name in ipairs(names) do
          seen[name] = true
        end
        local same = true
        for name, is_there in pairs(expected) do
          same = same and (seen[name] or false) == is_there
        end
        if same then
          return
        end
        socket.sleep(0.02)
      until socket.gettime() > deadline
      assert.same(expected, names)
    end

    it("lingers if it may return, and not if the app has sent it away", function()
      local watcher = ws "watcher" -- so that the channel lives
      local client, other = ws "kicked", ws "kept"
      local second = ws "twice"
      local first = ws "twice"
      local stream = stream_of "shut"
      await_present { kicked = true, kept = true, twice = true, shut = true }
      http.get(app, "/kick/kicked")
      await_present { kicked = false, kept = true }
      http.get(app, "/close/shut?code=4403")
      expect("shut", "app 4403")
      await_present { shut = false, kept = true }
      other:close()
      expect("kept", "closed 1000")
      first:close()
      await_present { kept = true, twice = true }
      http.get(app, "/close/twice?code=4403")
      await_present { twice = false, kept = true }
      client:close()
      second:drop()
      stream:close()
      watcher:close()
    end)
  end)
end)

it("a client is told that the server stops", function()
  local app = server.start(script)
  local client = websocket.open(app, "/ws?user=ann")
  client:subscribe "room"
  local _, _, log = app:finish()
  assert.matches("ann has gone: stopping%.", log)
end)

it("app:stats() counts polls and the clients that poll, of this app alone", function()
  local app, other = server.start(script), server.start(script)
  local first = dkjson.decode(http.get(app, "/poll?client=&channel=room&user=ann").body)
  assert.is_string(first.client)
  http.get(app, "/poll?channel=room&user=bob")
  local stats = dkjson.decode(http.get(app, "/stats").body)
  assert.same({ 2, 1, 1 }, { stats.polls, stats.poll_clients, stats.subscriptions })
  stats = dkjson.decode(http.get(other, "/stats").body)
  assert.same({ 0, 0, 0 }, { stats.polls, stats.poll_clients, stats.subscriptions })
  app:stop()
  other:stop()
end)
