-- JSON-RPC 2.0 over routes, raw WebSockets, and event streams, as independent clients meet it.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local SECONDS = 30 -- for what must come, on a machine that is busy

local script = [[
local moonwire = require "moonwire"
local jsonrpc = require "moonwire.jsonrpc"
local app = moonwire.app {}
local rpc = jsonrpc.server { batch = 4, concurrent = 2 }
local told, opened = {}, 0

rpc:method("subtract", function(params)
  return (params[1] or params.minuend) - (params[2] or params.subtrahend)
end)
rpc:method("echo", function(params, call) return { params = params, id = call.id, path = call.request and call.request.path } end)
rpc:method("nothing", function() end)
rpc:method("no", function() return false end)
rpc:method("tell", function(params, call) told[#told + 1] = params.text or call.method end)
rpc:method("told", function() return moonwire.array(told) end)
rpc:method("refuse", function() return false, "not today", { until_ = "tomorrow" } end)
rpc:method("fail", function() return nil, "the disk is full" end)
rpc:method("raise", function() error "a bug" end)
rpc:method("code", function() error { code = -32602, message = "which one?", data = { 1 } } end)
rpc:method("word", function() error { code = "forbidden" } end)
rpc:method("function", function() return { f = print } end)
rpc:method("big", function() return math.maxinteger end)
rpc:method("ask", function(params, call)
  local result, message, code, data = call.peer:call("question", params, params.seconds)
  return { result = result, message = message, code = code, data = data }
end)
rpc:method("wait", function() moonwire.sleep(60) end)
rpc:method("opened", function() return opened end)

app:post("/rpc", rpc:route())
app:websocket("/ws-rpc", rpc:websocket {
  on_open = function(socket, request, peer)
    if request.query.refuse then return false, "no" end
    opened = opened + 1
    if request.query.greet then peer:notify("hello", { opened = opened }) end
  end,
  on_close = function() opened = opened - 1 end,
})

local peers = {}
app:stream("/events", function(request, stream)
  local peer = rpc:peer(function(text) return stream:send(nil, text) end)
  peers[request.query.name] = peer
  stream:on_close(function() peer:close() end)
  peer:notify("ready")
end)
app:post("/events", function(request)
  local peer = peers[request.query.name]
  if not peer then return 404 end
  peer:receive(request.body)
  return 202
end)

-- Sockets whose clients leave before the upgrade.
local opening = setmetatable({}, { __mode = "k" })
app:websocket("/ws-slow", rpc:websocket {
  on_open = function(socket)
    opening[socket] = true
    moonwire.sleep(60)
  end,
})
app:get("/opening", function()
  collectgarbage()
  local count = 0
  for _ in pairs(opening) do count = count + 1 end
  return { count }
end)

-- A transport that waits until the response has arrived.
app:get("/prompt", function()
  local peer
  peer = rpc:peer(function()
    peer:receive '{"jsonrpc":"2.0","id":1,"result":"prompt"}'
    return moonwire.sleep(0.001)
  end)
  return { peer:call("question", nil, 60) }
end)
return app
]]

local null_id = '"id":null'

-- what is sent; the status; what the answer is, or has in it
local cases = {
  {
    '{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}',
    200,
    '{"id":1,"jsonrpc":"2.0","result":19}',
  },
  {
    '{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23,"minuend":42},"id":"a"}',
    200,
    '{"id":"a","jsonrpc":"2.0","result":19}',
  },
  {
    '{"jsonrpc":"2.0","method":"echo","id":0}',
    200,
    '"result":{"id":0,"params":{},"path":"/rpc"}',
  },
  { '{"jsonrpc":"2.0","method":"nothing","id":1}', 200, '"result":null' },
  { '{"jsonrpc":"2.0","method":"no","id":1}', 200, '"result":false' },
  {
    '{"jsonrpc":"2.0","method":"big","id":9007199254740993}',
    200,
    '"id":9007199254740993,"jsonrpc":"2.0","result":9223372036854775807',
  },
  { '{"jsonrpc":"2.0","method":"tell","params":{"text":"one"}}', 204, "" },
  { '{"jsonrpc":"2.0","method":"no such"}', 204, "" },
  { '{"jsonrpc":"2.0","method":"raise"}', 204, "" },
  { '{"jsonrpc":"2.0","method":"told","id":1}', 200, '"result":["one"]' },
  {
    '{"jsonrpc":"2.0","method":"no such","id":1}',
    200,
    '"error":{"code":-32601,"message":"unknown method \\"no such\\""},"id":1',
  },
  {
    '{"jsonrpc":"2.0","method":"refuse","id":1}',
    200,
    '"error":{"code":-32000,"data":{"until_":"tomorrow"},"message":"not today"}',
  },
  {
    '{"jsonrpc":"2.0","method":"fail","id":1}',
    200,
    '"error":{"code":-32603,"message":"internal error"}',
  },
  {
    '{"jsonrpc":"2.0","method":"raise","id":1}',
    200,
    '"error":{"code":-32603,"message":"internal error"}',
  },
  {
    '{"jsonrpc":"2.0","method":"function","id":1}',
    200,
    '"error":{"code":-32603,"message":"internal error"},"id":1',
  },
  {
    '{"jsonrpc":"2.0","method":"code","id":1}',
    200,
    '"error":{"code":-32602,"data":[1],"message":"which one?"}',
  },
  {
    '{"jsonrpc":"2.0","method":"word","id":1}',
    200,
    '"error":{"code":-32000,"data":{"code":"forbidden"},"message":"forbidden"}',
  },
  -- the peer of a route cannot be called: there is none
  { '{"jsonrpc":"2.0","method":"ask","id":1}', 200, "-32603" },
  -- what is not JSON-RPC
  { '{"jsonrpc":"2.0","method":"foobar,', 400, '"code":-32700' },
  { "", 400, null_id },
  { "\xff", 400, '"code":-32700' },
  {
    '{"jsonrpc":"2.0","method":"' .. ("€"):rep(40) .. '","id":1}',
    200,
    '"message":"unknown method \\"' .. ("€"):rep(33) .. '\\""',
  },
  { "1", 400, '"error":{"code":-32600,"message":"a message must be an object"},' .. null_id },
  { "null", 400, '"code":-32600' },
  { '{"method":"echo","id":5}', 400, '"message":"the member jsonrpc must be \\"2.0\\""},"id":5' },
  { '{"jsonrpc":"2.0","method":1,"id":5}', 400, '"message":"the method must be a string"},"id":5' },
  {
    '{"jsonrpc":"2.0","method":"echo","params":"bar","id":5}',
    400,
    "params must be an object or an array",
  },
  {
    '{"jsonrpc":"2.0","method":"echo","id":{}}',
    400,
    '"message":"the id must be a string or a number"},' .. null_id,
  },
  { '{"jsonrpc":"2.0","id":5}', 400, "must have a method, a result, or an error" },
  {
    '{"jsonrpc":"2.0","id":5,"result":1,"error":{"code":1}}',
    400,
    "must have a method, a result, or an error",
  },
  { '{"jsonrpc":"2.0","id":5,"error":1}', 400, "the error must be an object with a code" },
  { '{"jsonrpc":"2.0","result":1}', 400, "a response must have an id" },
  -- responses to what nobody has asked
  { '{"jsonrpc":"2.0","id":5,"result":1}', 204, "" },
  { '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}', 204, "" },
  -- batches
  { "[]", 400, "a batch must have 1 to 4 messages, got 0" },
  { "[1,2,3,4,5]", 400, "a batch must have 1 to 4 messages, got 5" },
  {
    "[1]",
    200,
    '[{"error":{"code":-32600,"message":"a message must be an object"},"id":null,"jsonrpc":"2.0"}]',
  },
  { '[{"jsonrpc":"2.0","method":"tell"},{"jsonrpc":"2.0","method":"tell"}]', 204, "" },
  {
    '[{"jsonrpc":"2.0","method":"subtract","params":[3,2],"id":1},{"jsonrpc":"2.0","method":"tell"},{},'
      .. '{"jsonrpc":"2.0","method":"raise","id":2}]',
    200,
    '[{"id":1,"jsonrpc":"2.0","result":1},{"error":{"code":-32600,"message":"the member jsonrpc must be \\"2.0\\""},'
      .. '"id":null,"jsonrpc":"2.0"},{"error":{"code":-32603,"message":"internal error"},"id":2,"jsonrpc":"2.0"}]',
  },
}

describe("JSON-RPC", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function post(target, body)
    local connection = http.connect(app, SECONDS)
    local headers = { ["Content-Type"] = "application/json" }
    connection:send(http.format("POST", target, { headers = headers, body = body }))
    local response = connection:read_response "POST"
    connection:close()
    return response
  end

  local function open(target)
    local client = websocket.open(app, target)
    function client.next_in_time()
      local text, _, code = client.socket:receive(SECONDS)
      assert(text, code)
      return dkjson.decode(text)
    end
    return client
  end

  for i, case in ipairs(cases) do
    it(("answers over a route (%d): %s"):format(i, case[1]), function()
      local response = post("/rpc", case[1])
      assert.equal(case[2], response.status, response.body)
      assert.truthy(response.body:find(case[3], 1, true), response.body)
      if case[3] == "" then
        assert.equal("", response.body)
      end
    end)
  end

  it(
    "logs failures with the place of the method, and not what was raised for the client",
    function()
      post("/rpc", '{"jsonrpc":"2.0","method":"fail","id":1}')
      assert(app:await_log('app.lua:16: JSON%-RPC "fail": failed: the disk is full', SECONDS))
      assert(app:await_log('app.lua:17: JSON%-RPC "raise": .-app.lua:17: a bug', SECONDS))
      assert(app:await_log('JSON%-RPC "function": returned a value that JSON cannot hold', SECONDS))
      assert.falsy(app:log():find("which one", 1, true))
    end
  )

  it("calls methods over a WebSocket, and is called in them", function()
    local client = open "/ws-rpc?greet=1"
    assert.same(
      { jsonrpc = "2.0", method = "hello", params = { opened = 1 } },
      client:next_in_time()
    )
    client:tell { jsonrpc = "2.0", method = "subtract", params = { 3, 1 }, id = 7 }
    assert.same({ jsonrpc = "2.0", id = 7, result = 2 }, client:next_in_time())

    client:tell { jsonrpc = "2.0", method = "ask", params = { text = "how many?" }, id = "a" }
    local question = client:next_in_time()
    assert.equal("question", question.method)
    assert.same({ text = "how many?" }, question.params)
    -- others are answered in the meantime
    client:tell { jsonrpc = "2.0", method = "subtract", params = { 9, 1 }, id = 8 }
    assert.equal(8, client:next_in_time().result)
    client:tell { jsonrpc = "2.0", id = question.id, result = { 42 } }
    assert.same({ jsonrpc = "2.0", id = "a", result = { result = { 42 } } }, client:next_in_time())

    client:tell { jsonrpc = "2.0", method = "ask", id = "b" }
    question = client:next_in_time()
    client:tell {
      jsonrpc = "2.0",
      id = question.id,
      error = { code = 7, message = "no idea", data = 1 },
    }
    assert.same({ message = "no idea", code = 7, data = 1 }, client:next_in_time().result)

    client:tell { jsonrpc = "2.0", method = "ask", id = "c", params = { seconds = 0.01 } }
    question = client:next_in_time()
    local late = client:next_in_time()
    assert.equal("timeout", late.result.code)
    client:tell { jsonrpc = "2.0", id = question.id, result = "too late" }
    client:tell "rubbish"
    assert.equal(-32700, client:next_in_time().error.code)
    client:tell '[{"jsonrpc":"2.0","method":"subtract","params":[3,1],"id":1},{"jsonrpc":"2.0","method":"tell"}]'
    assert.same({ { jsonrpc = "2.0", id = 1, result = 2 } }, client:next_in_time())
    client:close()
  end)

  it("refuses more methods at a time than a connection may have", function()
    local client = open "/ws-rpc"
    for id = 1, 3 do
      client:tell { jsonrpc = "2.0", method = "wait", id = id }
    end
    local refused = client:next_in_time()
    assert.same({ 3, -32000 }, { refused.id, refused.error.code })
    assert.equal(
      "too many requests in progress: at most 2 for one connection",
      refused.error.message
    )
    client:tell { jsonrpc = "2.0", method = "wait", id = { 4 } }
    assert.is_nil(client:next_in_time().id) -- null
    client:drop()
  end)

  it("forgets a socket whose client leaves before the upgrade", function()
    local function await_opening(count)
      local deadline = socket.gettime() + SECONDS
      while http.get(app, "/opening").body ~= ("[%d]\n"):format(count) do
        assert(socket.gettime() < deadline, ("there are never %d"):format(count))
        socket.sleep(0.01)
      end
    end
    local connection = http.connect(app, SECONDS)
    connection:send(http.format("GET", "/ws-slow", {
      headers = {
        Upgrade = "websocket",
        Connection = "Upgrade",
        ["Sec-WebSocket-Version"] = "13",
        ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
      },
    }))
    await_opening(1)
    connection:close()
    await_opening(0)
  end)

  it("takes a response that arrives before its request was sent completely", function()
    assert.equal('["prompt"]\n', http.get(app, "/prompt").body)
  end)

  it("ends the calls of a connection that has ended, and forgets it", function()
    local client = open "/ws-rpc"
    client:tell { jsonrpc = "2.0", method = "ask", id = 1, params = { seconds = 600 } }
    assert.equal("question", client:next_in_time().method)
    client:drop()
    local observer, opened = open "/ws-rpc", nil
    for _ = 1, 2000 do
      observer:tell { jsonrpc = "2.0", method = "opened", id = 1 }
      opened = observer:next_in_time().result
      if opened == 1 then
        break
      end
    end
    assert.equal(1, opened)
    observer:close()
    assert.has_error(function()
      websocket.open(app, "/ws-rpc?refuse=1")
    end)
  end)

  it("runs over an event stream, with a route for what the client sends", function()
    local stream = sse.open(app, "/events?name=ann", { timeout = SECONDS })
    local function next_message()
      return dkjson.decode(stream:event().data)
    end
    assert.same({ jsonrpc = "2.0", method = "ready" }, next_message())
    assert.equal(404, post("/events?name=bob", "{}").status)
    assert.equal(202, post("/events?name=ann", '{"jsonrpc":"2.0","method":"ask","id":1}').status)
    local question = next_message()
    assert.equal("question", question.method)
    post("/events?name=ann", dkjson.encode { jsonrpc = "2.0", id = question.id, result = "yes" })
    assert.same({ jsonrpc = "2.0", id = 1, result = { result = "yes" } }, next_message())
    stream:close()
  end)

  it("says what is wrong with a definition", function()
    local jsonrpc = require "moonwire.jsonrpc"
    local rpc = jsonrpc.server()
    for message, call in pairs {
      ['names that begin with "rpc." are reserved'] = function()
        rpc:method("rpc.discover", print)
      end,
      ["argument 2 must be a function, got nil"] = function()
        rpc:method "one"
      end,
      ["option 'on_message' is set by moonwire.jsonrpc; define methods instead"] = function()
        rpc:websocket { on_message = print }
      end,
      ["unknown option 'batches' %(did you mean 'batch'%?%)"] = function()
        jsonrpc.server { batches = 1 }
      end,
      ["rpc.handle: call it with a colon, as rpc:handle%(…%)"] = function()
        rpc.handle "{}"
      end,
    } do
      local ok, raised = pcall(call)
      assert.is_false(ok)
      assert.matches("^[^:]*jsonrpc_spec.lua:%d+: ", raised)
      assert.matches(message, raised)
    end
  end)
end)
