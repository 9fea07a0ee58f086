-- What becomes of requests that are under way when the server stops.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { drain_seconds = %g, head_seconds = 60, body_seconds = 60 } }
local function work(seconds)
  app.log.info "begun"
  local ok, why = moonwire.sleep(seconds)
  app.log.info("done %%s %%s", ok, why)
end
app:get("/wait/{seconds}", function(request) work(tonumber(request.params.seconds)) return "done" end)
app:post("/upload", function(request) return { length = #request.body } end)
app:get("/stop", function() app:stop() return "stopping" end)
app:get("/stop/later", function() app:stop() moonwire.sleep(0.2) return "stopping" end)
app:stream("/raw", function(_, stream)
  work(0.3)
  stream:send("late", 1)
end)
app:channel("room", { on = {
  work = function(_, channel, message)
    work(message.data)
    channel:publish("worked")
    return "done"
  end,
} })
return app
]]

local function start(drain_seconds)
  return server.start { script = script:format(drain_seconds or 30) }
end

-- Opens a connection and sends a request, without waiting for its answer.
local function ask(app, method, target, options)
  local connection = http.connect(app)
  connection:send(http.format(method, target, options))
  return connection
end

describe("when the server stops", function()
  it("a route that is being handled is answered", function()
    for _, signal in ipairs { "TERM", "INT" } do
      local app = start()
      local connection = ask(app, "GET", "/wait/2")
      local stream = sse.open(app, "/sse?channel=room")
      stream:cursor()
      assert.is_string(app:await_log "begun")
      local idle = http.connect(app)
      app:signal(signal)
      assert.is_nil(stream:next()) -- others need not wait for it
      assert.is_true(idle:is_closed())
      local response = connection:read_response()
      assert.equal(200, response.status)
      assert.equal("done", response.body)
      assert.equal("close", response.headers.connection)
      assert.is_true(connection:is_closed())
      local code, _, log = app:finish "0"
      assert.equal(0, code)
      assert.matches("done true nil", log)
    end
  end)

  it("a message that is being handled is answered, by whatever it came", function()
    local app = start()
    local client = websocket.open(app)
    client:subscribe "room"
    client:tell { send = "room", event = "work", data = 2, ref = 1 }
    local stream = sse.open(app, "/sse?channel=room&envelope=1")
    local id = dkjson.decode(stream:event().data).data.client
    local body = dkjson.encode { send = "room", event = "work", data = 2, ref = 2 }
    local sender =
      ask(app, "POST", "/send", { body = body, headers = { ["X-Moonwire-Client"] = id } })
    local alone = ask(app, "POST", "/send", { body = body })
    local deadline = socket.gettime() + 30
    repeat
      local _, begun = app:log():gsub("begun", "")
    until begun == 3 or socket.gettime() > deadline
    app:signal "INT"
    local seen = {}
    repeat
      local message, code = client:next()
      seen[#seen + 1] = message and (message.ref or message.event) or code
    until not message
    assert.equal(1, seen[#seen - 1])
    assert.equal(1001, seen[#seen])
    for _, connection in ipairs { sender, alone } do
      assert.same({ ref = 2, ok = "done" }, dkjson.decode(connection:read_response().body))
    end
    local events = {}
    for event in stream.event, stream do
      events[#events + 1] = dkjson.decode(event.data).event
    end
    assert.equal("worked", events[1])
    assert.equal(0, (app:finish "0"))
  end)

  it("an upload that has begun is answered", function()
    local app = start()
    local connection = http.connect(app)
    local request = http.format("POST", "/upload", { body = ("x"):rep(1000) })
    connection:send(request:sub(1, 500))
    local second = http.connect(app)
    second:send "POST /upl"
    socket.sleep(0.1)
    app:signal "TERM"
    assert.is_true(connection:is_silent(0.2))
    connection:send(request:sub(501))
    assert.equal('{"length":1000}\n', connection:read_response().body)
    second:send(request:sub(10))
    assert.equal('{"length":1000}\n', second:read_response().body)
    assert.equal(0, (app:finish "0"))
  end)

  it("a raw stream that has not begun may begin, and ends", function()
    local app = start()
    local connection = ask(app, "GET", "/raw")
    assert.is_string(app:await_log "begun")
    app:signal "TERM"
    local response = connection:read_response()
    assert.equal(200, response.status)
    assert.equal(0, (app:finish "0"))
  end)

  it("what is not finished within drain_seconds is refused, and says why", function()
    local app = start(0.5)
    local connection, upload = ask(app, "GET", "/wait/60"), http.connect(app)
    upload:send "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
    local client = websocket.open(app)
    client:subscribe "room"
    client:tell { send = "room", event = "work", data = 60, ref = 1 }
    assert.is_string(app:await_log "begun.*begun")
    local begun = socket.gettime()
    app:signal "INT"
    for _, waiting in ipairs { connection, upload } do
      local response = waiting:read_response()
      assert.equal(503, response.status)
      local fault = dkjson.decode(response.body).error
      assert.same({ code = "unavailable", reason = "the server is stopping" }, fault)
    end
    local message, code = client:next()
    assert.is_nil(message)
    assert.equal(1001, code)
    assert.is_true(socket.gettime() - begun >= 0.45)
    local exit, _, log = app:finish "0"
    assert.equal(0, exit)
    assert.matches("done nil closed.*done nil closed", log)
    assert.matches("stopping exceeds limits%.drain_seconds %(drain_ms in C%)", log)
  end)

  it("by a route of its own, that route is answered as well", function()
    for _, path in ipairs { "/stop", "/stop/later" } do
      local app = start()
      local response = http.get(app, path)
      assert.equal(200, response.status)
      assert.equal("stopping", response.body)
      assert.equal(0, (app:finish "0"))
    end
  end)
end)
