-- The Model Context Protocol as the conformance suite, the official client, and rude clients meet it: both revisions.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local SECONDS = 30 -- for what must come, on a machine that is busy
local META = "io.modelcontextprotocol/"
local KEY = ("k"):rep(40)

local function start(given)
  given = given or {}
  given.path = given.path or "spec/mcp/everything.lua"
  given.env = given.env or "MCP_KEY=" .. KEY
  return server.start(given)
end

-- ---- A small client -------------------------------------------------------------------------------------------------------

-- Sends a request, and returns the connection and the head of the response.
local function send(app, method, headers, body)
  local connection = http.connect(app, SECONDS)
  local fields = { Accept = "application/json, text/event-stream" }
  if body then
    fields["Content-Type"] = "application/json"
  end
  for name, value in pairs(headers or {}) do
    fields[name] = value ~= false and value or nil
  end
  local host = fields.Host
  fields.Host = nil
  local text = type(body) == "table" and dkjson.encode(body) or body
  connection:send(http.format(method, "/mcp", { headers = fields, body = text, host = host }))
  local response = connection:read_head()
  response.type = (response.headers["content-type"] or ""):match "^[^;]*"
  return connection, response
end

-- The next event of a stream: a table with data (decoded, "" if empty), id, retry; nil at the end.
local function next_event(connection)
  connection.text = connection.text or ""
  while true do
    local block, rest = connection.text:match "^(.-)\n\n(.*)$"
    if not block then
      local chunk = connection:read_chunk()
      if not chunk then
        return nil
      end
      connection.text = connection.text .. chunk
    else
      connection.text = rest
      local event = {}
      for line in (block .. "\n"):gmatch "(.-)\n" do
        local name, value = line:match "^(%l+): ?(.*)$"
        if name then
          event[name] = value
        end
      end
      if event.data then
        event.data = event.data ~= "" and assert(dkjson.decode(event.data)) or ""
        return event
      end
    end
  end
end

-- All messages of a stream, to its end.
local function messages_of(connection)
  local list = {}
  for event in next_event, connection do
    if event.data ~= "" then
      list[#list + 1] = event.data
    end
  end
  return list
end

-- A request that is answered by JSON, or by a stream, of which it returns the last message, too.
local function ask(app, headers, body, method)
  local connection, response = send(app, method or "POST", headers, body)
  if response.type == "text/event-stream" then
    response.messages = messages_of(connection)
    response.message = response.messages[#response.messages]
  elseif response.headers["content-length"] ~= nil and response.status ~= 204 then
    response.body = connection:read_bytes(tonumber(response.headers["content-length"]))
    response.message = dkjson.decode(response.body)
  end
  connection:close()
  return response
end

local function rpc(id, method, params)
  return { jsonrpc = "2.0", id = id, method = method, params = params }
end

local function initialize(app, version, capabilities)
  local params = {
    protocolVersion = version or "2025-11-25",
    capabilities = capabilities or setmetatable({}, { __jsontype = "object" }),
    clientInfo = { name = "raw", version = "1" },
  }
  local response = ask(app, nil, rpc(1, "initialize", params))
  assert.equal(200, response.status, response.body)
  return response.headers["mcp-session-id"], response.message.result
end

local function call(id, name, arguments, meta)
  return rpc(id, "tools/call", { name = name, arguments = arguments, _meta = meta })
end

local function modern_meta(capabilities, more)
  local meta = {
    [META .. "protocolVersion"] = "2026-07-28",
    [META .. "clientCapabilities"] = capabilities or setmetatable({}, { __jsontype = "object" }),
  }
  for name, value in pairs(more or {}) do
    meta[name] = value
  end
  return meta
end

local function modern_headers(body, more)
  local params = body.params or {}
  local headers = {
    ["MCP-Protocol-Version"] = "2026-07-28",
    ["Mcp-Method"] = body.method,
    ["Mcp-Name"] = params.name or params.uri,
  }
  for name, value in pairs(more or {}) do
    headers[name] = value
  end
  return headers
end

-- A request of 2026-07-28.
local function modern(id, method, params, capabilities, meta)
  params = params or {}
  params._meta = modern_meta(capabilities, meta)
  return rpc(id, method, params)
end

local function counters(app)
  local body = modern(1, "tools/call", { name = "counters" })
  return ask(app, modern_headers(body), body).message.result.structuredContent
end

-- Waits until a counter has a value.
local function await_counter(app, name, value)
  local socket = require "socket"
  local deadline = socket.gettime() + SECONDS
  repeat
    local count = counters(app)[name]
    if count == value then
      return
    end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error(("%s is not %d in time"):format(name, value))
end

-- ---- The public suites ----------------------------------------------------------------------------------------------------

-- The conformance runner needs Node.js 22, which npm has for some machines.
local function find_node()
  local directory = "node_modules/node-linux-%s/bin/node"
  for _, node in ipairs { "node", directory:format "x64", directory:format "arm64" } do
    local version = server.run(node .. " --version 2>/dev/null"):match "^v(%d+)"
    if version and tonumber(version) >= 22 then
      return node
    end
  end
end

describe("MCP", function()
  local app

  setup(function()
    app = start()
  end)

  teardown(function()
    app:stop()
  end)

  it("passes every active scenario of the conformance runner", function()
    local node = find_node()
    if not node then
      pending "the conformance runner needs Node.js 22"
      return
    end
    local runner = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    local command = "timeout 120 %s %s server --url http://localhost:%d/mcp 2>&1"
    local output = server.run(command:format(node, runner, app.port))
    local passed, failed = output:match "Total: (%d+) passed, (%d+) failed"
    assert.equal("0", failed, output)
    assert.is_true(tonumber(passed) >= 39, output)
  end)

  it("serves the official client", function()
    local seen = dkjson.decode(server.peer("mcp/client.mjs", app.address))
    local session = seen.session
    seen.session = nil
    assert.same({
      server = { name = "everything", title = "Everything", version = "1.2.3" },
      instructions = "Call the tools whose names begin with test_.",
      tools = true,
      text = "This is a simple text response for testing.",
      image = "image",
      progress = { 0, 50, 100 },
      progressed = "done",
      sampling = "LLM response: you said hello",
      elicitation = 'User response: action=accept, content={"response":"yes"}',
      roots = '{"uri":"file:///home"}',
      whoami = '{"capabilities":{"elicitation":{"form":{}},"roots":{},"sampling":{}},"client":"spec","revision":"2025-11-25"}',
      reconnection = "Reconnection test completed successfully.",
      reconnected = { 1 },
      logged = "Tool with logging executed successfully",
      log = {
        "the stream ends now",
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
      },
      quiet = 0,
      resources = { "test://static-text", "test://static-binary", "test://watched-resource" },
      templates = { "test://template/{id}/data", "test://asking/{name}" },
      read = '{"data":"Data for ID: a b","id":"a b","templateTest":true}',
      missing = -32002,
      prompt = "Prompt with arguments: arg1='a', arg2='b'",
      completion = { "paris", "park", "party" },
      updated = "test://watched-resource",
      error = "This tool intentionally returns an error for testing",
      bug = "internal error",
      invalid = "invalid arguments: arguments.prompt must be of type string",
      cancelled = "McpError: MCP error -32001: enough",
      counters = { started = 1, cancelled = 1, finished = 0 },
    }, seen)
    assert.is_string(session)
    assert(app:await_log("the value of the secret is 42", SECONDS))
  end)

  it("goes on with the session of the official client after a restart", function()
    local first = start()
    local session = initialize(first, nil, { sampling = {} })
    first:stop()
    local second = start()
    local seen = dkjson.decode(server.peer("mcp/client.mjs", second.address, session))
    assert.same({
      text = "This is a simple text response for testing.",
      sampling = "LLM response: you said again",
      whoami = '{"capabilities":{"sampling":{}},"client":"raw","revision":"2025-11-25"}',
      ended = 400, -- the client has forgotten it
    }, seen)
    second:stop()
  end)

  -- ---- Sessions -----------------------------------------------------------------------------------------------------------

  it("negotiates the revision", function()
    for asked, given in pairs {
      ["2025-11-25"] = "2025-11-25",
      ["2025-06-18"] = "2025-06-18",
      ["2025-03-26"] = "2025-03-26",
      ["2024-11-05"] = "2024-11-05",
      ["1999-01-01"] = "2025-11-25",
      ["2030-01-01"] = "2025-11-25",
    } do
      local session, result = initialize(app, asked)
      assert.equal(given, result.protocolVersion)
      assert.matches("^[!-~]+$", session)
    end
  end)

  -- What is wrong with a request of a session: its name, headers ("SESSION" is replaced), body, status, a part of the answer.
  local refused = {
    { "no session", {}, rpc(1, "tools/list"), 400, "Mcp%-Session%-Id is missing" },
    {
      "an unknown session",
      { ["Mcp-Session-Id"] = "x" },
      rpc(1, "tools/list"),
      404,
      "unknown or has ended",
    },
    {
      "a session that was altered",
      { ["Mcp-Session-Id"] = "SESSIONx" },
      rpc(1, "tools/list"),
      404,
      "initialize",
    },
    {
      "a huge session",
      { ["Mcp-Session-Id"] = ("x"):rep(4000) },
      rpc(1, "tools/list"),
      404,
      "initialize",
    },
    {
      "a wrong version",
      { ["Mcp-Session-Id"] = "SESSION", ["MCP-Protocol-Version"] = "1999-01-01" },
      rpc(1, "tools/list"),
      400,
      "supported: 2025%-11%-25",
    },
    {
      "a batch",
      { ["Mcp-Session-Id"] = "SESSION" },
      { rpc(1, "ping") },
      400,
      "2025%-11%-25 has no batches",
    },
    {
      "another host",
      { ["Mcp-Session-Id"] = "SESSION", Host = "evil.example" },
      rpc(1, "ping"),
      403,
      "hosts",
    },
    {
      "another origin",
      { ["Mcp-Session-Id"] = "SESSION", Origin = "https://evil.example" },
      rpc(1, "ping"),
      403,
      "origins",
    },
    {
      "no origin at all",
      { ["Mcp-Session-Id"] = "SESSION", Origin = "null" },
      rpc(1, "ping"),
      403,
      "origins",
    },
    {
      "a form",
      { ["Content-Type"] = "application/x-www-form-urlencoded" },
      rpc(1, "ping"),
      415,
      "Content%-Type",
    },
    { "HTML wanted", { Accept = "text/html" }, rpc(1, "ping"), 406, "Accept" },
    { "not JSON", {}, "{", 400, '"code":%-32700' },
    { "no JSON-RPC", {}, "{}", 400, '"code":%-32600' },
    {
      "params as a list",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "ping", { 1 }),
      400,
      "params must be an object",
    },
    {
      "a response with params",
      {},
      '{"jsonrpc":"2.0","id":1,"params":0,"result":true}',
      400,
      "params must be an object",
    },
    { "initialize without a version", {}, rpc(1, "initialize"), 400, "protocolVersion" },
    {
      "an unknown method",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "tools/cal"),
      200,
      '"code":%-32601',
    },
    {
      "a method of 2026-07-28",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "server/discover"),
      200,
      "%-32601",
    },
    {
      "an unknown method whose quotation ends in a character",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, ("€"):rep(40)),
      200,
      '%-32601,"message":"unknown method \\"' .. ("€"):rep(33) .. '\\""',
    },
    {
      "an unknown tool whose quotation ends in a character",
      { ["Mcp-Session-Id"] = "SESSION" },
      call(1, ("€"):rep(40)),
      200,
      'unknown tool: \\"' .. ("€"):rep(33) .. '\\""',
    },
    {
      "an origin that is not UTF-8",
      { ["Mcp-Session-Id"] = "SESSION", Origin = "\xffé!" },
      rpc(1, "ping"),
      403,
      'the origin \\"%?%?%?!\\" is not allowed',
    },
    {
      "a URI with what is not UTF-8",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "resources/read", { uri = "test://template/%FF/data" }),
      200,
      "resource not found",
    },
    {
      "a completion for a number",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "completion/complete", { ref = { type = "ref/prompt", name = 1 } }),
      200,
      "the ref must name a prompt",
    },
    {
      "a subscription to a long URI",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "resources/subscribe", { uri = ("test://template/%s/data"):format(("x"):rep(65536)) }),
      200,
      "at most 65536 bytes in all",
    },
    {
      "an unknown tool",
      { ["Mcp-Session-Id"] = "SESSION" },
      call(1, "no such"),
      200,
      "unknown tool",
    },
    {
      "a wrong cursor",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "tools/list", { cursor = "0" }),
      200,
      "invalid cursor",
    },
    {
      "an unknown prompt",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "prompts/get", { name = "x" }),
      200,
      "unknown prompt",
    },
    {
      "a prompt without its arguments",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "prompts/get", { name = "test_prompt_with_arguments" }),
      200,
      "is required",
    },
    {
      "a completion for nothing",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "completion/complete", { ref = { type = "ref/prompt", name = "x" } }),
      200,
      "the ref must name a prompt",
    },
    {
      "a wrong level",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "logging/setLevel", { level = "loud" }),
      200,
      "unknown level",
    },
    {
      "a subscription to nothing",
      { ["Mcp-Session-Id"] = "SESSION" },
      rpc(1, "resources/subscribe", { uri = "x:y" }),
      200,
      "resource not found",
    },
    {
      "a result that JSON cannot hold",
      { ["Mcp-Session-Id"] = "SESSION" },
      call(1, "not_json"),
      200,
      '"isError":true',
    },
    {
      "sampling without the capability",
      { ["Mcp-Session-Id"] = "SESSION" },
      call(1, "test_sampling", { prompt = "" }),
      200,
      "does not support",
    },
  }

  for _, case in ipairs(refused) do
    it("says what is wrong in a session: " .. case[1], function()
      local session, headers = initialize(app), {}
      for name, value in pairs(case[2]) do
        headers[name] = value:gsub("SESSION", session)
      end
      local response = ask(app, headers, case[3])
      assert.equal(case[4], response.status, response.body)
      assert.matches(case[5], response.body)
    end)
  end

  it("answers simple clients, which accept anything, or JSON alone", function()
    local session = initialize(app)
    for _, accept in ipairs { "*/*", "application/json", false } do
      local headers = { ["Mcp-Session-Id"] = session, Accept = accept }
      local response = ask(app, headers, rpc(1, "ping"))
      assert.same(
        { 200, "application/json", {} },
        { response.status, response.type, response.message.result }
      )
    end
    local headers = { ["Mcp-Session-Id"] = session, Accept = "application/json" }
    local response =
      ask(app, headers, call(2, "test_tool_with_progress", nil, { progressToken = 1 }))
    assert.equal("application/json", response.type)
    assert.equal("done", response.message.result.content[1].text)
  end)

  it("takes notifications and responses, also those that nobody waits for", function()
    local headers = { ["Mcp-Session-Id"] = initialize(app) }
    for _, body in ipairs {
      { jsonrpc = "2.0", method = "notifications/initialized" },
      { jsonrpc = "2.0", method = "notifications/cancelled", params = { requestId = 99 } },
      { jsonrpc = "2.0", method = "notifications/cancelled" },
      { jsonrpc = "2.0", method = "notifications/whatever" },
      { jsonrpc = "2.0", id = "x", result = { action = "accept" } },
      { jsonrpc = "2.0", id = 1, error = { code = -1, message = "no" } },
    } do
      local response = ask(app, headers, body)
      assert.same({ 202, nil }, { response.status, response.body ~= "" and response.body or nil })
    end
  end)

  it("has batches in 2025-03-26", function()
    local session = initialize(app, "2025-03-26")
    local headers = { ["Mcp-Session-Id"] = session }
    local response = ask(
      app,
      headers,
      { rpc(1, "ping"), rpc("b", "no/such"), { jsonrpc = "2.0", method = "notifications/x" } }
    )
    assert.equal("application/json", response.type)
    assert.same({ 1, "b" }, { response.message[1].id, response.message[2].id })
    assert.equal(-32601, response.message[2].error.code)
    -- one of them needs a stream
    response = ask(
      app,
      headers,
      { rpc(1, "ping"), call(2, "test_tool_with_progress", nil, { progressToken = "p" }) }
    )
    assert.equal("text/event-stream", response.type)
    local ids = {}
    for _, message in ipairs(response.messages) do
      ids[#ids + 1] = message.id or message.params.progress
    end
    table.sort(ids)
    assert.same({ 0, 1, 2, 50, 100 }, ids)
  end)

  it("refuses more requests than a server may have in progress", function()
    local full = server.start [[
      local app = require("moonwire").app {}
      local server = require("moonwire.mcp").server { name = "full" }
      server:tool("count", nil, function() return tostring(server._call_count) end)
      app:post("/full/{count}", function(request) server._call_count = tonumber(request.params.count) end)
      server:mount(app)
      return app
    ]]
    local headers = { ["Mcp-Session-Id"] = initialize(full) }
    for count, part in pairs { [4999] = '"text":"5000"', [5000] = "too many requests in progress" } do
      http.request(full, "POST", "/full/" .. count, { body = "" })
      for _ = 1, 2 do
        assert.matches(part, ask(full, headers, call(1, "count")).body)
      end
    end
    full:stop()
  end)

  it("keeps nothing of a client that leaves before its request begins", function()
    local slow = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      local server = require("moonwire.mcp").server { name = "slow" }
      local arrived, ran = 0, 0
      app:before("/mcp", function(request)
        if request.headers["x-slow"] then
          arrived = arrived + 1
          moonwire.sleep(60)
        end
      end)
      server:tool("quick", nil, function() ran = ran + 1 end)
      server:tool("long", nil, function()
        ran = ran + 1
        moonwire.sleep(60)
      end)
      app:get("/kept", function()
        server._outlets:sweep(0)
        return { arrived, ran, server._outlets._count, server._call_count }
      end)
      server:mount(app)
      return app
    ]]
    local socket = require "socket"
    local function await_kept(...)
      local deadline, wanted = socket.gettime() + SECONDS, { ... }
      repeat
        local kept = dkjson.decode(http.get(slow, "/kept").body)
        if kept[1] == wanted[1] and kept[2] == wanted[2] and kept[3] + kept[4] == 0 then
          return
        end
        socket.sleep(0.01)
      until socket.gettime() > deadline
      assert.same({ wanted[1], wanted[2], 0, 0 }, dkjson.decode(http.get(slow, "/kept").body))
    end
    local function leave(body, headers, arrived)
      headers["X-Slow"], headers["Content-Type"] = "1", "application/json"
      local connection = http.connect(slow, SECONDS)
      local given = { headers = headers, body = dkjson.encode(body) }
      connection:send(http.format("POST", "/mcp", given))
      await_kept(arrived, arrived - 1)
      connection:close()
      await_kept(arrived, arrived)
    end
    leave(call(1, "quick"), { ["Mcp-Session-Id"] = initialize(slow) }, 1)
    local body = modern(1, "tools/call", { name = "long" })
    leave(body, modern_headers(body), 2)
    slow:stop()
  end)

  it("refuses two requests of one id in a batch", function()
    local headers = { ["Mcp-Session-Id"] = initialize(app, "2025-03-26") }
    local response = ask(app, headers, { rpc(1, "ping"), rpc(1, "ping") })
    assert.equal(400, response.status)
    assert.matches("that of a request in progress", response.body)
  end)

  it("does not hand malformed answers to tools", function()
    local session = initialize(app, nil, { roots = {}, elicitation = {} })
    local headers = { ["Mcp-Session-Id"] = session }
    for _, result in ipairs { 5, "x", dkjson.null, { action = 5 }, { roots = "x" } } do
      for _, body in ipairs { call(1, "roots"), call(1, "test_elicitation", { message = "" }) } do
        local connection = send(app, "POST", headers, body)
        local event
        repeat
          event = assert(next_event(connection))
        until event.data ~= ""
        ask(app, headers, { jsonrpc = "2.0", id = event.data.id, result = result })
        event = assert(next_event(connection))
        assert.matches("the client's answer is malformed", dkjson.encode(event.data))
        connection:close()
      end
    end
  end)

  it("gives pages of a list", function()
    local paged = server.start [[
      local app = require("moonwire").app {}
      local server = require("moonwire.mcp").server { name = "paged", page = 2 }
      for i = 1, 5 do server:tool("tool" .. i, nil, function() end) end
      server:mount(app, "/mcp")
      return app
    ]]
    local headers, names, cursor = { ["Mcp-Session-Id"] = initialize(paged) }, {}, nil
    repeat
      local result =
        ask(paged, headers, rpc(1, "tools/list", cursor and { cursor = cursor })).message.result
      for _, tool in ipairs(result.tools) do
        names[#names + 1] = tool.name
      end
      cursor = result.nextCursor
    until not cursor
    assert.same({ "tool1", "tool2", "tool3", "tool4", "tool5" }, names)
    assert.equal(-32601, ask(paged, headers, rpc(1, "resources/list")).message.error.code)
    paged:stop()
  end)

  it("has one stream of its own for each session, and resumes it", function()
    local session = initialize(app)
    local headers = { ["Mcp-Session-Id"] = session, Accept = "text/event-stream" }
    local stream, response = send(app, "GET", headers)
    assert.same({ 200, "text/event-stream" }, { response.status, response.type })
    local first = next_event(stream)
    assert.equal("", first.data)
    assert.is_string(first.id)
    assert.equal(409, ask(app, headers, nil, "GET").status)

    ask(
      app,
      { ["Mcp-Session-Id"] = session },
      rpc(1, "resources/subscribe", { uri = "test://watched-resource" })
    )
    ask(app, { ["Mcp-Session-Id"] = session }, call(2, "test_update_resource"))
    local event = next_event(stream)
    assert.equal("notifications/resources/updated", event.data.method)
    ask(app, { ["Mcp-Session-Id"] = session }, call(3, "test_update_resource"))
    local missed = next_event(stream)

    -- again from the first: the second comes again; the former stream ends
    headers["Last-Event-ID"] = event.id
    local again = send(app, "GET", headers)
    assert.equal(event.id, next_event(again).id)
    assert.same(missed, next_event(again))
    assert.is_nil(next_event(stream))
    -- an unknown id, of another process for example: a new stream, if there is none
    headers["Last-Event-ID"] = "gAAAA.7"
    assert.equal(409, ask(app, headers, nil, "GET").status)
    again:close()
    stream:close()
    local ended = ask(app, { ["Mcp-Session-Id"] = session }, nil, "DELETE")
    assert.equal(204, ended.status)
    assert.equal(404, ask(app, headers, nil, "GET").status)
    assert.equal(404, ask(app, { ["Mcp-Session-Id"] = session }, nil, "DELETE").status)
    -- another session does not get what that one has
    headers["Mcp-Session-Id"], headers["Last-Event-ID"] = initialize(app), event.id
    local other = send(app, "GET", headers)
    local fresh = next_event(other)
    assert.not_equal(event.id, fresh.id)
    other:close()
  end)

  it("resumes the answer to a POST, also after it was cut before the client read it", function()
    local session = initialize(app)
    local headers = { ["Mcp-Session-Id"] = session }
    local stream =
      send(app, "POST", headers, call(7, "test_tool_with_progress", nil, { progressToken = "t" }))
    local first = next_event(stream)
    assert.same({ "", "1000" }, { first.data, first.retry })
    stream:close()
    headers["Last-Event-ID"], headers.Accept = first.id, "text/event-stream"
    local list = messages_of((send(app, "GET", headers)))
    assert.same(
      { 0, 50, 100 },
      { list[1].params.progress, list[2].params.progress, list[3].params.progress }
    )
    assert.same({ 7, "done" }, { list[4].id, list[4].result.content[1].text })
    -- and once more: it is kept for a while
    assert.equal(4, #messages_of((send(app, "GET", headers))))
    -- a number beyond the last one, and one that is not a number
    headers["Last-Event-ID"] = first.id:gsub("%.%d+$", ".99999999999999999999")
    assert.equal(0, #messages_of((send(app, "GET", headers))))
  end)

  it("survives clients that leave before the first event", function()
    local session = initialize(app)
    local function post_and_leave(body, await)
      local connection = http.connect(app, SECONDS)
      local fields = { ["Content-Type"] = "application/json", ["Mcp-Session-Id"] = session }
      connection:send(http.format("POST", "/mcp", { headers = fields, body = dkjson.encode(body) }))
      if await then
        await()
      end
      connection:close()
    end
    post_and_leave(call("at once", "test_tool_with_progress", nil, { progressToken = 1 }))
    local before = counters(app)
    for id = 1, 5 do
      post_and_leave(call(id, "wait", { seconds = 0.05 }), function()
        await_counter(app, "started", before.started + id)
      end)
    end
    -- a lost connection is no cancellation in this revision
    await_counter(app, "finished", before.finished + 5)
    assert.equal(200, ask(app, { ["Mcp-Session-Id"] = session }, rpc(9, "ping")).status)
  end)

  it("keeps what a session receives until its stream is open", function()
    local headers = { ["Mcp-Session-Id"] = initialize(app) }
    ask(app, headers, { jsonrpc = "2.0", method = "notifications/initialized" })
    ask(app, headers, call(1, "test_trigger_tool_change"))
    headers.Accept = "text/event-stream"
    local stream = send(app, "GET", headers)
    assert.equal("", next_event(stream).data)
    assert.equal("notifications/tools/list_changed", next_event(stream).data.method)
    stream:close()
  end)

  it(
    "answers after a restart: the session goes on, and answers that are lost are said to be lost",
    function()
      local first = start()
      local session = initialize(first, nil, { roots = {} })
      local headers = { ["Mcp-Session-Id"] = session }
      local post =
        send(first, "POST", headers, call("a b", "wait", { seconds = 600 }, { progressToken = 1 }))
      local posted = next_event(post)
      local get = send(first, "GET", { ["Mcp-Session-Id"] = session, Accept = "text/event-stream" })
      local got = next_event(get)
      first:finish "KILL"

      local second = start()
      local result = ask(second, headers, call(1, "whoami")).message.result.structuredContent
      assert.same(
        { revision = "2025-11-25", client = "raw", capabilities = { roots = {} } },
        result
      )
      headers.Accept, headers["Last-Event-ID"] = "text/event-stream", posted.id
      local list = messages_of((send(second, "GET", headers)))
      assert.equal(1, #list)
      assert.same({ "a b", -32603 }, { list[1].id, list[1].error.code })
      assert.matches("the answer is lost", list[1].error.message)
      headers["Last-Event-ID"] = got.id
      local stream, response = send(second, "GET", headers)
      assert.equal(200, response.status)
      assert.equal("", next_event(stream).data)
      stream:close()
      second:stop()

      local other = start { env = "MCP_KEY=" .. ("o"):rep(40) }
      assert.equal(404, ask(other, { ["Mcp-Session-Id"] = session }, rpc(1, "ping")).status)
      other:stop()
    end
  )

  it("cancels a request, and everything at the end of the session", function()
    local session = initialize(app)
    local headers = { ["Mcp-Session-Id"] = session }
    local before = counters(app)
    local streams = {}
    for id = 1, 2 do
      streams[id] = send(app, "POST", headers, call(id, "wait", nil, { progressToken = id }))
      assert.equal("", next_event(streams[id]).data)
    end
    assert.equal(400, ask(app, headers, rpc(2, "ping")).status) -- the id is in use
    ask(
      app,
      headers,
      { jsonrpc = "2.0", method = "notifications/cancelled", params = { requestId = 1 } }
    )
    local list = messages_of(streams[1])
    assert.same({ 1, "notifications/progress" }, { #list, list[1].method })
    await_counter(app, "cancelled", before.cancelled + 1)
    assert.equal(204, ask(app, headers, nil, "DELETE").status)
    assert.equal(1, #messages_of(streams[2]))
    await_counter(app, "cancelled", before.cancelled + 2)
  end)

  it("binds sessions to users, and hosts and origins to what the server allows", function()
    local guarded = server.start [[
      local app = require("moonwire").app { origins = { "https://page.example" } }
      local server = require("moonwire.mcp").server {
        name = "guarded", hosts = { "mcp.example" }, origins = { "https://page.example" }
      }
      app:before("/mcp", function(request)
        request.user = request.token and { id = request.token }
        if not request.user then return 401, nil, { ["WWW-Authenticate"] = "Bearer" } end
      end)
      server:tool("me", nil, function(_, call) return call.user.id end)
      server:mount(app)
      return app
    ]]
    assert.equal(401, ask(guarded, nil, rpc(1, "initialize")).status)
    local headers =
      { Authorization = "Bearer ann", Host = "mcp.example", Origin = "https://page.example" }
    local response = ask(guarded, headers, rpc(1, "initialize", { protocolVersion = "2025-11-25" }))
    assert.equal(200, response.status, response.body)
    assert.truthy(response.head:find("Access-Control-Expose-Headers: Mcp-Session-Id", 1, true))
    headers["Mcp-Session-Id"] = response.headers["mcp-session-id"]
    assert.equal("ann", ask(guarded, headers, call(1, "me")).message.result.content[1].text)
    headers.Authorization = "Bearer bob"
    assert.equal(404, ask(guarded, headers, call(1, "me")).status)
    headers.Host = "other.example"
    assert.equal(403, ask(guarded, headers, call(1, "me")).status)
    guarded:stop()
  end)

  -- ---- 2026-07-28 ---------------------------------------------------------------------------------------------------------

  local object = setmetatable({}, { __jsontype = "object" })
  local discover = modern(5, "server/discover")
  local simple = modern(5, "tools/call", { name = "test_simple_text" })
  local header_tool = modern(
    5,
    "tools/call",
    { name = "test_header", arguments = { region = "Hello, 世界", count = 42 } }
  )
  local older = rpc(
    5,
    "tools/list",
    { _meta = modern_meta(nil, { [META .. "protocolVersion"] = "2025-11-25" }) }
  )

  -- name, body, headers besides the right ones (false: not sent), status, a part of the answer
  local cases = {
    { "server/discover", discover, {}, 200, '"supportedVersions":%["2026%-07%-28","2025%-11%-25"' },
    { "a tool", simple, {}, 200, '"resultType":"complete"' },
    {
      "the server in each result",
      simple,
      {},
      200,
      '"io.modelcontextprotocol/serverInfo":{"name":"everything"',
    },
    {
      "how long a list may be cached",
      modern(5, "tools/list"),
      {},
      200,
      '"cacheScope":"private".*"ttlMs":60000',
    },
    { "a session id, which is ignored", simple, { ["Mcp-Session-Id"] = "x" }, 200, '"complete"' },
    {
      "a Last-Event-ID, which is ignored",
      simple,
      { ["Last-Event-ID"] = "x.1" },
      200,
      '"complete"',
    },
    { "no version header", simple, { ["MCP-Protocol-Version"] = false }, 400, "%-32020" },
    {
      "another version header",
      simple,
      { ["MCP-Protocol-Version"] = "2025-11-25" },
      400,
      "%-32020",
    },
    {
      "no method header",
      simple,
      { ["Mcp-Method"] = false },
      400,
      "%-32020.*Mcp%-Method is missing",
    },
    { "another method header", simple, { ["Mcp-Method"] = "tools/list" }, 400, "%-32020" },
    { "a method header in upper case", simple, { ["Mcp-Method"] = "TOOLS/CALL" }, 400, "%-32020" },
    { "no name header", simple, { ["Mcp-Name"] = false }, 400, "%-32020.*Mcp%-Name is missing" },
    { "another name header", simple, { ["Mcp-Name"] = "counters" }, 400, "%-32020" },
    {
      "a name header in Base64",
      simple,
      { ["Mcp-Name"] = "=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=" },
      200,
      "complete",
    },
    {
      "a name header in wrong Base64",
      simple,
      { ["Mcp-Name"] = "=?base64?dGVzdF9zaW1wbGVfdGV4dA?=" },
      400,
      "%-32020",
    },
    {
      "headers of parameters",
      header_tool,
      { ["Mcp-Param-Region"] = "=?base64?SGVsbG8sIOS4lueVjA==?=", ["Mcp-Param-Count"] = "42.0" },
      200,
      "complete",
    },
    {
      "a missing header of a parameter",
      header_tool,
      { ["Mcp-Param-Count"] = "42" },
      400,
      "Mcp%-Param%-Region is missing",
    },
    {
      "another header of a parameter",
      header_tool,
      { ["Mcp-Param-Region"] = "=?base64?SGVsbG8sIOS4lueVjA==?=", ["Mcp-Param-Count"] = "43" },
      400,
      "Mcp%-Param%-Count",
    },
    {
      "a header of a parameter that is not there",
      modern(5, "tools/call", { name = "test_header" }),
      { ["Mcp-Param-Count"] = "42" },
      400,
      "no value in the body",
    },
    { "no _meta", rpc(5, "tools/list", object), {}, 400, "%-32602" },
    { "no params", rpc(5, "tools/list"), {}, 400, "%-32602" },
    {
      "no capabilities",
      rpc(5, "tools/list", { _meta = { [META .. "protocolVersion"] = "2026-07-28" } }),
      {},
      400,
      "%-32602",
    },
    {
      "an older version",
      older,
      { ["MCP-Protocol-Version"] = "2025-11-25" },
      400,
      "%-32022.*begin one with initialize",
    },
    {
      "an unknown version",
      rpc(
        5,
        "tools/list",
        { _meta = modern_meta(nil, { [META .. "protocolVersion"] = "2030-01-01" }) }
      ),
      { ["MCP-Protocol-Version"] = "2030-01-01" },
      400,
      '"code":%-32022,"data":{"requested":"2030%-01%-01","supported":%["2026%-07%-28"',
    },
    { "an unknown method", modern(5, "tools/cal"), {}, 404, "%-32601" },
    { "initialize", modern(5, "initialize"), {}, 404, "%-32601" },
    { "ping", modern(5, "ping"), {}, 404, "%-32601" },
    {
      "resources/subscribe",
      modern(5, "resources/subscribe", { uri = "x:y" }),
      {},
      404,
      "%-32601",
    },
    { "an unknown tool", modern(5, "tools/call", { name = "no" }), {}, 400, "%-32602" },
    {
      "an unknown resource",
      modern(5, "resources/read", { uri = "no:such" }),
      {},
      400,
      "%-32602.*resource not found",
    },
    {
      "a missing capability",
      modern(5, "tools/call", { name = "test_missing_capability" }),
      {},
      400,
      '%-32021,"data":{"requiredCapabilities":{"sampling":{}}}',
    },
    {
      "an unknown log level",
      modern(5, "tools/list", nil, nil, { [META .. "logLevel"] = "loud" }),
      {},
      400,
      "%-32602",
    },
    {
      "a response",
      { jsonrpc = "2.0", id = 5, result = object },
      { ["Mcp-Method"] = false },
      400,
      "inputResponses",
    },
    {
      "a method header that is not UTF-8",
      simple,
      { ["Mcp-Method"] = "\xff" },
      400,
      '%-32020.*differs from the body: \\"%?\\"',
    },
    { "a filter that is none", modern(5, "subscriptions/listen"), {}, 400, "params.notifications" },
    {
      "a wrong inputResponses",
      modern(
        5,
        "tools/call",
        { name = "test_input_required_result_elicitation", inputResponses = 1 },
        { elicitation = object }
      ),
      {},
      400,
      "inputResponses must be an object",
    },
    {
      "a requestState of somebody else's",
      modern(5, "tools/call", { name = "test_simple_text", requestState = "x" }),
      {},
      400,
      "requestState is invalid",
    },
    { "another host", simple, { Host = "evil.example:80" }, 403, "hosts" },
    { "another origin", simple, { Origin = "http://evil.example" }, 403, "origins" },
    {
      "its own origin",
      simple,
      { Host = "localhost:99", Origin = "http://localhost:99" },
      200,
      "complete",
    },
  }

  for _, case in ipairs(cases) do
    it("answers in 2026-07-28: " .. case[1], function()
      local response = ask(app, modern_headers(case[2], case[3]), case[2])
      assert.equal(case[4], response.status, response.body)
      assert.matches(case[5], response.body)
      assert.is_nil(response.headers["mcp-session-id"])
      if response.status ~= 403 and case[2].method then
        assert.equal(5, response.message.id)
      end
    end)
  end

  it("has neither GET nor DELETE in 2026-07-28, and takes notifications", function()
    local headers = { ["MCP-Protocol-Version"] = "2026-07-28" }
    for _, method in ipairs { "GET", "DELETE" } do
      local response = ask(app, headers, nil, method)
      assert.same({ 405, "POST" }, { response.status, response.headers.allow })
    end
    assert.equal(202, ask(app, headers, { jsonrpc = "2.0", method = "notifications/x" }).status)
  end)

  it("streams progress, and the log if the client wants it", function()
    local body = modern(
      3,
      "tools/call",
      { name = "test_tool_with_logging" },
      nil,
      { [META .. "logLevel"] = "debug" }
    )
    local connection, response = send(app, "POST", modern_headers(body), body)
    assert.equal("text/event-stream", response.type)
    assert.equal("no", response.headers["x-accel-buffering"])
    local first = next_event(connection)
    assert.same({ nil, "Tool execution started" }, { first.id, first.data.params.data })
    assert.equal(3, #messages_of(connection)) -- two more lines, and the result
    connection:close()
    body = modern(
      4,
      "tools/call",
      { name = "test_tool_with_logging" },
      nil,
      { [META .. "logLevel"] = "warning" }
    )
    assert.equal("application/json", ask(app, modern_headers(body), body).type)
  end)

  it("cancels a call when its client leaves", function()
    local before = counters(app)
    local body = modern(3, "tools/call", { name = "wait" }, nil, { progressToken = 1 })
    local connection = send(app, "POST", modern_headers(body), body)
    assert.equal(0, next_event(connection).data.params.progress)
    connection:close()
    await_counter(app, "cancelled", before.cancelled + 1)
    -- also before the stream has begun
    body = modern(3, "tools/call", { name = "wait" })
    connection = http.connect(app, SECONDS)
    local fields = modern_headers(body, { ["Content-Type"] = "application/json" })
    connection:send(http.format("POST", "/mcp", { headers = fields, body = dkjson.encode(body) }))
    await_counter(app, "started", before.started + 2)
    connection:close()
    await_counter(app, "cancelled", before.cancelled + 2)
  end)

  it("asks in results, round by round, and trusts only what it has sealed", function()
    local can = { elicitation = object }
    local function round(name, more)
      local params = { name = name }
      for key, value in pairs(more or {}) do
        params[key] = value
      end
      local body = modern(math.random(1e6), "tools/call", params, can)
      return ask(app, modern_headers(body), body)
    end
    local function accept(content)
      return { action = "accept", content = content }
    end
    local name = "test_input_required_result_multi_round"
    local first = round(name).message.result
    assert.equal("input_required", first.resultType)
    assert.equal("elicitation/create", first.inputRequests.step1.method)
    assert.is_nil(first.ttlMs)
    local second = round(name, {
      requestState = first.requestState,
      inputResponses = { step1 = accept { name = "Ann" }, other = 1 },
    }).message.result
    assert.is_nil(second.inputRequests.step1)
    assert.is_table(second.inputRequests.step2)
    local last = round(name, {
      requestState = second.requestState,
      inputResponses = { step2 = accept { color = "red" } },
    }).message.result
    assert.same({ "complete", "Ann likes red" }, { last.resultType, last.content[1].text })
    -- an answer that is missing, or malformed, is asked for again
    for _, given in ipairs { object, { step2 = 1 }, { step2 = { content = {} } } } do
      local again = round(name, { requestState = second.requestState, inputResponses = given })
      assert.is_table(again.message.result.inputRequests.step2)
    end
    -- resources and prompts may ask, too
    local function read(more)
      local params = { uri = "test://asking/a%20b" }
      for key, value in pairs(more or {}) do
        params[key] = value
      end
      local body = modern(math.random(1e6), "resources/read", params, can)
      return ask(app, modern_headers(body), body)
    end
    local asked = read().message.result
    local retry =
      { requestState = asked.requestState, inputResponses = { ["1"] = accept { why = "x" } } }
    assert.equal("a b: x", read(retry).message.result.contents[1].text)
    retry.inputResponses["1"].action = "decline"
    assert.equal(-32602, read(retry).message.error.code)
    -- the state belongs to one request
    for _, given in ipairs {
      { name = "test_input_required_result_request_state" },
      { arguments = { a = 1 } },
      { requestState = second.requestState .. "x" },
      { requestState = 5 },
    } do
      given.requestState = given.requestState or second.requestState
      local response = round(name, given)
      assert.same({ 400, -32602 }, { response.status, response.message.error.code }, response.body)
    end
  end)

  it("tells those who listen what has changed, and only what they want", function()
    local body = modern("s", "subscriptions/listen", {
      notifications = {
        toolsListChanged = true,
        resourceSubscriptions = { { x = 1 }, "test://watched-resource", 5 },
      },
    })
    local stream, response = send(app, "POST", modern_headers(body), body)
    assert.equal("text/event-stream", response.type)
    local event = next_event(stream)
    body.params.notifications.resourceSubscriptions = { "test://watched-resource" }
    local id = { [META .. "subscriptionId"] = "s" }
    assert.equal("notifications/subscriptions/acknowledged", event.data.method)
    assert.same({ _meta = id, notifications = body.params.notifications }, event.data.params)
    for _, name in ipairs {
      "test_trigger_prompt_change",
      "test_update_resource",
      "test_trigger_tool_change",
    } do
      local trigger = modern(1, "tools/call", { name = name })
      ask(app, modern_headers(trigger), trigger)
    end
    event = next_event(stream)
    assert.same(
      { "notifications/resources/updated", { _meta = id, uri = "test://watched-resource" } },
      { event.data.method, event.data.params }
    )
    event = next_event(stream)
    assert.same(
      { "notifications/tools/list_changed", { _meta = id } },
      { event.data.method, event.data.params }
    )
    stream:close()
  end)

  it("says what is wrong with a definition", function()
    local mcp = require "moonwire.mcp"
    local one = mcp.server { name = "one" }
    local nothing = function() end
    for message, define in pairs {
      ["option 'name' is required"] = function()
        mcp.server {}
      end,
      ["a key must have at least 32 bytes"] = function()
        mcp.server { name = "x", key = "short" }
      end,
      ["unknown option 'host' %(did you mean 'hosts'%?%)"] = function()
        mcp.server { name = "x", host = {} }
      end,
      ["argument 3 must be a function, got nil"] = function()
        one:tool("x", {})
      end,
      ["server:tool \"x\": unknown option 'inputs' %(did you mean 'input'%?%)"] = function()
        one:tool("x", { inputs = {} }, nothing)
      end,
      ["option 'input' must be a schema with type = \"object\""] = function()
        one:tool("x", { input = { x = { type = "string" } } }, nothing)
      end,
      ["a capture must be {name}"] = function()
        one:resource("file:///{+path}", nil, nothing)
      end,
      ['argument 1 must be "tool", "resource", or "prompt"'] = function()
        one:remove("tools", "x")
      end,
    } do
      local ok, raised = pcall(define)
      assert.is_false(ok)
      assert.matches("^[^:]*mcp_spec.lua:%d+: ", raised)
      assert.matches(message, raised)
    end
  end)
end)
