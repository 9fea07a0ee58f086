-- Which answer ends what, for each kind of client: the table of docs/reference/protocol.md, "Refusals", cell by cell.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

-- The hook and what it does are in the name of the user or of the channel: "authenticate.raise", "open.nil:1".
local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 1, channels = 40 } }
local ways = {
  ["raise"] = function() error "oops" end,
  ["table"] = function() error { "odd" } end,
  ["nil"] = function() return nil, "the database is down" end,
  ["false"] = function() return false, "not you" end,
  ["coded"] = function() error { code = "own", message = "not you" } end,
  ["rate"] = function() error { code = "rate_limited", message = "slowly" } end,
  ["unavailable"] = function() error { code = "unavailable", message = "later" } end,
  ["500"] = function() error { code = "broken", message = "for good", status = 500 } end,
  ["late"] = function() moonwire.sleep(10) return nil, "late" end,
  ["long"] = function() app.log.info "it waits" moonwire.sleep(20) return nil, "long" end,
}
local function act(hook, name)
  local at, way = name:match "^(%a+)%.(%w+)"
  if at == hook then
    return ways[way]()
  end
  return true
end
app:authenticate(function(request)
  local name = request.token or "anybody"
  local ok, reason, status = act("authenticate", name)
  if ok ~= true then
    return ok, reason, status
  end
  return { id = name }
end)
app:on_connect(function(client) return act("connect", client.user.id) end)
app:channel("{what}:{n}", {
  authorize = function(client, channel) return act("authorize", channel.params.what) end,
  on_open = function(channel) return act("open", channel.params.what) end,
  on_join = function(client, channel) return act("join", channel.params.what) end,
  on = { say = function(_, channel) return act("say", channel.params.what) end },
})
local tries = {}
app:channel("third:{what}:{n}", { history = { size = 1 }, authorize = function(_, channel)
  local what = channel.params.what
  tries[what] = (tries[what] or 0) + 1
  if tries[what] > 1 then
    channel:publish("message", tries[what])
    return true
  end
  return act("third", "third." .. what)
end })
app:channel("plain", { authorize = true, on = { say = function() return true end } })
app:stream("/raw", function(request, stream) return act("raw", request.query.how) end)
app:websocket("/socket", { on_open = function(_, request)
  local ok, reason = act("socket", request.query.how)
  return ok, reason
end })
return app
]]

-- What ends in each way, as the cells of the table say it.
local LATER = {
  sse = "200 retry",
  envelope = "200 retry",
  handshake = "close 1013",
  connect = "%s, close 1013",
  verb = "%s",
  poll = "503 %s, Retry-After",
  client_poll = "503 %s, Retry-After",
  send = "503 %s, Retry-After",
  send_as = "503 %s, Retry-After",
}

local function target_of(app, how, user, channel)
  return ("%s&token=%s"):format(how:format(channel or "plain"), user or "anybody"), app
end

local function error_code(response)
  return dkjson.decode(response.body).error.code
end

-- "503 internal, Retry-After"; "403 own"; "200".
local function tell(response)
  local text = tostring(response.status)
  if response.status >= 400 then
    text = text .. " " .. error_code(response)
  end
  local after = response.headers["retry-after"]
  if after then
    assert.matches("^[1-4]$", after)
    text = text .. ", Retry-After"
  end
  return text
end

local function read_stream(app, target)
  local connection = http.connect(app)
  assert(connection:send(http.format("GET", target, {})))
  local response = connection:read_head()
  if response.status ~= 200 then
    response.body = connection:read_bytes(tonumber(response.headers["content-length"]))
    connection:close()
    return tell(response)
  end
  assert.equal("text/event-stream", response.headers["content-type"])
  local chunk = connection:read_chunk()
  local put_off = chunk:match "^retry: (%d+)\n$"
  local text = "200"
  if put_off then
    assert.is_true(tonumber(put_off) >= 2000 and tonumber(put_off) <= 8000)
    assert.is_nil(connection:read_chunk())
    text = "200 retry"
  end
  connection:close()
  return text
end

local function read_socket(app, target, protocol)
  local ok, client = pcall(native.open, app, { target = target, protocol = protocol })
  if not ok then
    local status = tostring(client):match "HTTP/1.1 (%d+)"
    return status
  end
  return client
end

local function await_close(client)
  local object, code = client:next()
  assert.is_nil(object)
  client.connection:close()
  return "close " .. code
end

-- Each is asked with a user and a channel, and says what came of it.
local kinds = {}

function kinds.sse(app, user, channel)
  return read_stream(app, target_of(app, "/sse?channel=%s", user, channel))
end

function kinds.envelope(app, user, channel)
  return read_stream(app, target_of(app, "/sse?envelope=1&channel=%s", user, channel))
end

function kinds.handshake(app, user)
  local client = read_socket(app, "/ws?token=" .. user)
  return type(client) == "string" and client or await_close(client)
end

function kinds.connect(app, user)
  local client = read_socket(app, "/ws", "moonwire.1")
  client:write { connect = { token = user }, ref = 0 }
  local answer = client:next()
  return answer.error.code .. ", " .. await_close(client)
end

function kinds.verb(app, _, channel)
  local client = read_socket(app, "/ws?token=anybody")
  local answer = client:ask { subscribe = channel }
  assert.is_true(client:ask({ ping = true }).ok) -- the connection stays
  client:close()
  return answer.error.code
end

function kinds.poll(app, user, channel)
  return tell(http.get(app, (target_of(app, "/poll?wait=0&channel=%s", user, channel))))
end

function kinds.client_poll(app, user, channel)
  return tell(http.get(app, (target_of(app, "/poll?wait=0&client=&channel=%s", user, channel))))
end

local function post(app, user, verb, client)
  return tell(http.request(app, "POST", "/send", {
    headers = { Authorization = "Bearer " .. (user or "anybody"), ["X-Moonwire-Client"] = client },
    body = dkjson.encode(verb),
  }))
end

function kinds.send(app, user, channel)
  return post(app, user, { send = channel or "plain", event = "say" })
end

-- On behalf of a client that polls: the one who asks is authenticated, the client subscribes.
function kinds.send_as(app, user, channel)
  local response = http.get(app, "/poll?wait=0&client=&channel=plain&token=anybody")
  local client = dkjson.decode(response.body).client
  return post(app, user, channel and { subscribe = channel } or { ping = true }, client)
end

-- Which hooks a kind of client meets. A poll and a send of their own are not members, so they open and join nothing.
local meets = {
  sse = { "authenticate", "connect", "authorize", "open", "join" },
  envelope = { "authenticate", "connect", "authorize", "open", "join" },
  handshake = { "authenticate", "connect" },
  connect = { "authenticate", "connect" },
  verb = { "authorize", "open", "join" },
  poll = { "authenticate", "authorize" },
  client_poll = { "authenticate", "connect", "authorize", "open", "join" },
  send = { "authenticate", "authorize" },
  send_as = { "authenticate", "authorize", "open", "join" },
}

-- "403 forbidden" at the handshake is 403, by a verb "forbidden".
local function real(kind, status, code)
  if kind == "handshake" then
    return tostring(status)
  elseif kind == "connect" then
    return code .. ", close 4401"
  elseif kind == "verb" then
    return code
  end
  return status .. " " .. code
end

local function later(kind, code, status)
  return (LATER[kind]:gsub("%%s", code):gsub("^503", tostring(status)))
end

describe("a refusal", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local count = 0
  local function ask(kind, hook, way)
    count = count + 1
    local name = hook .. "." .. way
    if hook == "authenticate" or hook == "connect" then
      return kinds[kind](app, name)
    end
    return kinds[kind](app, nil, name .. ":" .. count)
  end

  for kind, hooks in pairs(meets) do
    describe("of " .. kind, function()
      for _, hook in ipairs(hooks) do
        it("by " .. hook .. " is temporary after a fault", function()
          for _, way in ipairs { "raise", "table", "nil" } do
            assert.equal(later(kind, "internal", 503), ask(kind, hook, way), way)
          end
        end)

        it("by " .. hook .. " is temporary if the hook says so", function()
          assert.equal(later(kind, "rate_limited", 429), ask(kind, hook, "rate"))
          assert.equal(later(kind, "unavailable", 503), ask(kind, hook, "unavailable"))
        end)

        it("by " .. hook .. " is final otherwise", function()
          local codes =
            { authenticate = "unauthorized", authorize = "forbidden", connect = "forbidden" }
          local statuses = { authenticate = 401 }
          local code, status = codes[hook] or "refused", statuses[hook] or 403
          assert.equal(real(kind, status, code), ask(kind, hook, "false"))
          assert.equal(real(kind, 403, "own"), ask(kind, hook, "coded"))
          assert.equal(real(kind, 500, "broken"), ask(kind, hook, "500"))
        end)
      end
    end)
  end

  it("of a raw stream is temporary after a fault, and final otherwise", function()
    for way, expected in pairs {
      raise = "200 retry",
      table = "200 retry",
      ["nil"] = "200 retry",
      rate = "200 retry",
      unavailable = "200 retry",
      coded = "403 own",
      ["500"] = "500 broken",
    } do
      assert.equal(expected, read_stream(app, "/raw?how=raw." .. way), way)
    end
  end)

  it("of a raw WebSocket is temporary after a fault, and final otherwise", function()
    for way, expected in pairs {
      raise = "close 1013",
      table = "close 1013",
      ["nil"] = "close 1013",
      rate = "close 1013",
      unavailable = "close 1013",
      ["false"] = "403",
      coded = "403",
      ["500"] = "500",
    } do
      local client = read_socket(app, "/socket?token=anybody&how=socket." .. way)
      assert.equal(expected, type(client) == "string" and client or await_close(client), way)
    end
  end)

  it("of a message is not temporary: it may have been carried out", function()
    assert.equal("500 internal", kinds.send(app, nil, "say.raise:1"))
    assert.equal("500 internal", kinds.send(app, nil, "say.nil:1"))
    assert.equal("429 rate_limited, Retry-After", kinds.send(app, nil, "say.rate:1"))
    assert.equal("400 own", kinds.send(app, nil, "say.coded:1"))
  end)

  it("is final where the request itself is wrong", function()
    for target, expected in pairs {
      ["/sse"] = "400 bad_request",
      ["/sse?channel=nowhere"] = "404 not_found",
      ["/sse?envelope=1&channel=nowhere"] = "404 not_found",
      ["/sse?channel=%00"] = "400 bad_request",
    } do
      assert.equal(expected, read_stream(app, target), target)
    end
    for target, expected in pairs {
      ["/poll"] = "400 bad_request",
      ["/poll?channel=nowhere"] = "404 not_found",
      ["/poll?client=&channel=nowhere"] = "404 not_found",
    } do
      assert.equal(expected, tell(http.get(app, target)), target)
    end
    assert.equal("404 not_found", kinds.send(app, nil, "nowhere"))
    assert.equal("not_found", kinds.verb(app, nil, "nowhere"))
  end)
end)

-- Asks without waiting for the answer; returns a function that tells it.
local function begin(app, kind, user)
  local targets = {
    sse = "/sse?channel=plain&token=",
    envelope = "/sse?envelope=1&channel=plain&token=",
    poll = "/poll?channel=plain&token=",
    client_poll = "/poll?client=&channel=plain&token=",
    handshake = "/ws?token=",
    raw_handshake = "/socket?how=none&token=",
  }
  if kind == "connect" then
    local client = native.open(app, { target = "/ws", protocol = "moonwire.1" })
    client:write { connect = { token = user }, ref = 0 }
    return function()
      local object, code = client:next()
      local text = object and object.error.code .. ", " .. await_close(client) or "close " .. code
      return text
    end
  end
  local connection = http.connect(app)
  if kind == "send" then
    assert(connection:send(http.format("POST", "/send", {
      headers = { Authorization = "Bearer " .. user },
      body = '{"send":"plain","event":"say"}',
    })))
  else
    local headers = {}
    if kind:find "handshake" then
      headers = {
        Upgrade = "websocket",
        Connection = "Upgrade",
        ["Sec-WebSocket-Version"] = "13",
        ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
      }
    end
    assert(connection:send(http.format("GET", targets[kind] .. user, { headers = headers })))
  end
  return function()
    local response = connection:read_head()
    if response.status == 101 then
      local _, length = string.unpack("BB", connection:read_bytes(2))
      return "close " .. string.unpack(">I2", connection:read_bytes(length))
    elseif response.headers["content-type"] == "text/event-stream" then
      local text = connection:read_chunk():match "^retry: %d+\n$" and "200 retry" or "200"
      assert.is_nil(connection:read_chunk())
      return text
    end
    response.body = connection:read_bytes(tonumber(response.headers["content-length"]))
    return tell(response)
  end
end

local waiting_kinds =
  { "sse", "envelope", "poll", "client_poll", "send", "handshake", "raw_handshake", "connect" }

local function begin_all(app, user)
  local list = {}
  for _, kind in ipairs(waiting_kinds) do
    list[kind] = begin(app, kind, user)
  end
  return list
end

local function check_all(list, expected)
  for kind, finish in pairs(list) do
    assert.equal(expected[kind], finish(), kind)
  end
end

it("a hook that does not answer in time refuses for now", function()
  local app = server.start(script)
  local list = begin_all(app, "authenticate.late")
  -- What was cancelled may answer before the server answers in its place.
  for kind, finish in pairs(list) do
    list[kind] = kind ~= "connect"
        and function()
          return (finish():gsub("internal", "unavailable"))
        end
      or finish
  end
  check_all(list, {
    sse = "200 retry",
    envelope = "200 retry",
    poll = "503 unavailable, Retry-After",
    client_poll = "503 unavailable, Retry-After",
    send = "503 unavailable, Retry-After",
    handshake = "close 1013",
    raw_handshake = "close 1013",
    connect = "internal, close 1013",
  })
  app:stop()
end)

it("a server that stops refuses for now what waits", function()
  for signal, code in pairs { TERM = 1012, INT = 1001 } do
    local app =
      server.start((script:gsub("answer_seconds = 1", "answer_seconds = 60, drain_seconds = 1")))
    local list = begin_all(app, "authenticate.long")
    local deadline = socket.gettime() + 30
    repeat
      local _, waiting = app:log():gsub("it waits", "")
    until waiting == #waiting_kinds or socket.gettime() > deadline
    app:signal(signal)
    check_all(list, {
      sse = "200 retry",
      envelope = "200 retry",
      poll = "503 unavailable, Retry-After",
      client_poll = "503 unavailable, Retry-After",
      send = "503 unavailable, Retry-After",
      handshake = "close " .. code,
      raw_handshake = "close " .. code,
      connect = "close " .. code,
    })
    assert.equal(0, (app:finish "0")) -- without a second signal
  end
end)

it("a server that has reached limits.waiting refuses for now", function()
  local app = server.start((script:gsub("answer_seconds = 1", "answer_seconds = 60, waiting = 1")))
  local first = begin(app, "sse", "authenticate.long")
  assert.is_truthy(app:await_log "it waits")
  check_all(begin_all(app, "anybody"), {
    sse = "200 retry",
    envelope = "200 retry",
    poll = "503 unavailable, Retry-After",
    client_poll = "503 unavailable, Retry-After",
    send = "503 unavailable, Retry-After",
    handshake = "close 1013",
    raw_handshake = "close 1013",
    connect = "unavailable, close 1013",
  })
  app:signal "TERM"
  assert.equal("200 retry", first())
  assert.equal(0, (app:finish "0")) -- without a second signal
end)

it("a server that has reached limits.channels refuses for now", function()
  local app = server.start((script:gsub("channels = 40", "channels = 1")))
  local holder = native.open(app, { target = "/ws?token=anybody" })
  assert.is_table(holder:ask({ subscribe = "plain" }).ok)
  assert.equal("200 retry", kinds.sse(app, nil, "a:1"))
  assert.equal("200 retry", kinds.envelope(app, nil, "a:1"))
  assert.equal("503 unavailable, Retry-After", kinds.poll(app, nil, "a:1"))
  assert.equal("503 unavailable, Retry-After", kinds.client_poll(app, nil, "a:1"))
  assert.equal("503 unavailable, Retry-After", kinds.send_as(app, nil, "a:1"))
  assert.equal("unavailable", kinds.verb(app, nil, "a:1"))
  holder:close()
  app:stop()
end)

it("an EventSource reconnects after a temporary refusal, and only then", function()
  local app = server.start(script)
  local expected = { raise = "open", ["nil"] = "open", rate = "open", ["false"] = "closed" }
  local pipes = {}
  for way in pairs(expected) do
    local url = ("%s/sse?token=anybody&channel=third:%s:1"):format(app.address, way)
    pipes[way] = io.popen("node spec/support/refused_eventsource.mjs " .. server.quote(url))
  end
  for way, word in pairs(expected) do
    assert.equal(word, pipes[way]:read "l", way)
    pipes[way]:close()
  end
  app:stop()
end)
