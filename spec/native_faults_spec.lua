-- What attackers found, held down: answers that come too late, tokens of somebody else, leaving one of several channels.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local released = false
local app = moonwire.app { limits = { answer_seconds = 1, input_backlog = 2000 } }
app:authenticate(function(request)
  return request.token and { id = request.token } or true
end)
app:channel("room:{room}", {
  authorize = true,
  on_leave = function(client, channel) app.log.info("left %s", channel.name) end,
  relay = { "typing" },
  on = {
    say = function(client, channel, message)
      app.log.info("begun")
      if message.data ~= "hold" then
        moonwire.sleep(0.7)
      else -- until the test has sent what it sends meanwhile, or the handler is ended
        repeat until released or not moonwire.sleep(0.01)
      end
      return "late"
    end,
  },
})
app:get("/release", function() released = true return 204 end)
app:get("/slow", function() app.log.info("slow") moonwire.sleep(0.3) return "slow" end)
return app
]]

describe("the native protocol", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  after_each(function()
    app:stop()
  end)

  local function envelopes(...)
    local target = "/sse?envelope=1"
    for _, channel in ipairs { ... } do
      target = target .. "&channel=" .. channel
    end
    local stream = sse.open(app, target)
    local opened = dkjson.decode(stream:event().data)
    return stream, opened.data.client
  end

  local function send(connection, id, object)
    connection:send(http.format("POST", "/send", {
      headers = { ["X-Moonwire-Client"] = id, ["Content-Type"] = "application/json" },
      body = dkjson.encode(object),
    }))
  end

  it("lets a stream leave one of its channels", function()
    local stream, id = envelopes("room:1", "room:2")
    local connection = http.connect(app)
    send(connection, id, { unsubscribe = "room:1", ref = 1 })
    assert.equal(200, connection:read_response("POST").status)
    assert.is_truthy(app:await_log "left room:1")
    stream:close()
    assert.is_truthy(app:await_log "left room:2")
    connection:close()
  end)

  it("gives no late answer to the next request of a connection", function()
    local stream, id = envelopes "room:1"
    local connections = {}
    for i = 1, 5 do
      connections[i] = http.connect(app)
      send(connections[i], id, { send = "room:1", event = "say", ref = i })
    end
    -- One, whichever it is, waits after four that take 0.7 s each: it is given up, and its turn comes all the same.
    local late = {}
    for i = 1, 5 do
      if connections[i]:read_response("POST").status == 503 then
        late[#late + 1] = connections[i]
      end
    end
    assert.is_true(#late > 0)
    for _ = 1, 12 do
      for _, connection in ipairs(late) do
        connection:send(http.format("GET", "/slow"))
      end
      for _, connection in ipairs(late) do
        assert.equal("slow", connection:read_response("GET").body)
      end
    end
    for i = 1, 5 do
      connections[i]:close()
    end
    stream:close()
  end)

  it("refuses a token of another user", function()
    local client = native.open(app, { protocol = "moonwire.1" })
    assert.is_truthy(client:ask({ connect = { token = "ada" } }).ok)
    assert.is_truthy(client:ask({ token = "ada" }).ok)
    assert.equal("forbidden", client:ask({ token = "bob" }).error.code)
    client:subscribe "room:1"
    local other = native.open(app)
    other:subscribe "room:1"
    client:ask { send = "room:1", event = "typing" }
    assert.equal("ada", other:next().from)
    other:close()
    client:close()
  end)

  it("bounds what others send for a client that is busy", function()
    app:stop()
    app = server.start((script:gsub("answer_seconds = 1", "answer_seconds = 100")))
    local stream, id = envelopes "room:1"
    local busy = http.connect(app)
    send(busy, id, { send = "room:1", event = "say", data = "hold", ref = 1 })
    assert.is_truthy(app:await_log "begun")
    local statuses = {}
    for i = 1, 5 do
      local connection = http.connect(app)
      send(connection, id, { send = "room:1", event = "typing", data = ("x"):rep(900), ref = i })
      statuses[i] = connection
    end
    -- With several workers they arrive in any order. What is refused is answered while the handler runs.
    local sockets = {}
    for i = os.getenv "MOONWIRE_SPEC_WORKERS" and 1 or 5, 5 do
      sockets[#sockets + 1] = statuses[i].socket
    end
    assert.is_truthy(socket.select(sockets, nil, 30)[1], "none is refused")
    http.get(app, "/release")
    local refused, last_status = 0, nil
    for i = 1, 5 do
      local response = statuses[i]:read_response "POST"
      last_status = response.status
      if response.status ~= 200 then
        refused = refused + 1
        assert.equal(503, response.status)
        assert.equal("unavailable", dkjson.decode(response.body).error.code)
      end
      statuses[i]:close()
    end
    assert.is_true(refused >= 1 and refused < 5, refused)
    if not os.getenv "MOONWIRE_SPEC_WORKERS" then
      assert.equal(503, last_status)
    end
    busy:close()
    stream:close()
  end)
end)

describe("a server that stops", function()
  it("tells WebSockets whether it comes back", function()
    for signal, expected in pairs { TERM = 1012, INT = 1001 } do
      local app = server.start(script)
      local client = native.open(app)
      client:subscribe "room:1"
      assert.equal(0, (app:finish(signal)))
      local came, code = client:next()
      assert.is_nil(came)
      assert.equal(expected, code)
      client:cut()
    end
  end)
end)
