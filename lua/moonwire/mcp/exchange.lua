--- The requests of one POST: they run as tasks, and are answered by JSON, or by a stream if one of
--- them sends something before its result, or takes long.
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local Call = require "moonwire.mcp.call"
local jsonrpc = require "moonwire.jsonrpc"
local methods = require "moonwire.mcp.methods"
local outlets = require "moonwire.mcp.outlet"
local sessions = require "moonwire.mcp.session"

local json, codes = core.json, jsonrpc.codes

local exchanges = { MODERN = "2026-07-28", HEADER_MISMATCH = -32020, UNSUPPORTED_VERSION = -32022 }

local META = "io.modelcontextprotocol/"
local PLAIN_SECONDS = 1 -- for an answer without a stream
local CALLS_MAX = 100 -- in progress, of one session
local SERVER_CALLS_MAX = 5000 -- of all clients: half of the tasks that an app can have
local ID_MAX = 100 -- bytes of a request's id in the ids of events

--- Returns an answer of JSON, as a handler does.
local function answer(status, message)
  return status, json.encode(message), { ["Content-Type"] = "application/json" }
end
exchanges.answer = answer

--- Returns the answer for a request that is refused.
local function fail(status, id, code, text, data)
  return answer(status, jsonrpc.failure(id, code, text, data))
end
exchanges.fail = fail

--- Whether the client accepts a media type.
local function accepts(request, wanted)
  local accept = request.headers.accept
  if not accept or accept:find("*/*", 1, true) then
    return true
  end
  return accept:lower():find(wanted, 1, true) ~= nil
end
exchanges.accepts = accepts

local function finish_one(exchange, i, response)
  exchange.responses[i] = response
  exchange.left = exchange.left - 1
  if exchange.is_streamed and response then
    exchange.outlet:send(json.encode(response))
  end
  if exchange.left == 0 then
    exchange.signal:fire()
    if exchange.is_streamed then
      exchange.outlet:finish()
    end
  end
end

-- Since 2026-07-28, a result says what it is, whose it is, and how long it may be cached.
local cached = {
  ["server/discover"] = true,
  ["tools/list"] = true,
  ["prompts/list"] = true,
  ["resources/list"] = true,
  ["resources/templates/list"] = true,
  ["resources/read"] = true,
}

local function complete(server, call, response)
  local result = response.result
  if call._session or type(result) ~= "table" then
    return response
  end
  result.resultType = result.resultType or "complete"
  if cached[call.method] and result.resultType == "complete" then
    result.ttlMs = result.ttlMs or math.floor(server._cache_seconds * 1000)
    result.cacheScope = result.cacheScope or "private"
  end
  result._meta = result._meta or {}
  result._meta[META .. "serverInfo"] = server._info
  return response
end

-- A result that JSON cannot hold is a fault of its handler.
local function check_json(call, method, response)
  local ok, text = pcall(json.encode, response)
  if ok then
    return response
  end
  text = "returned a value that JSON cannot hold: " .. tostring(text)
  jsonrpc._log_fault(call._handler or method, call.method, text)
  return jsonrpc.failure(response.id, codes.internal_error, "internal error")
end

-- Counts a call that begins, or, without `call`, one that has ended.
local function count_call(exchange, id, call)
  local session, server, change = exchange.session, exchange.server, call and 1 or -1
  server._call_count = server._call_count + change
  if session then
    session.calls[id], session.call_count = call, session.call_count + change
  end
end

-- Returns why no further call can begin, or nil. In a session, a call goes on without its connection,
-- so the limits of connections do not bound how many there are.
local function count_fault(exchange)
  local session = exchange.session
  if session and session.call_count >= CALLS_MAX then
    return ("too many requests in progress: at most %d in a session"):format(CALLS_MAX)
  elseif exchange.server._call_count >= SERVER_CALLS_MAX then
    return "too many requests in progress; retry later"
  end
end

local function run_one(exchange, i, call, message, method)
  local response
  local _ <close> = setmetatable({}, {
    __close = function()
      count_call(exchange, message.id, nil)
      finish_one(exchange, i, not call._is_cancelled and response or nil)
    end,
  })
  response = call:_run(method, message)
  response = check_json(call, method, complete(exchange.server, call, response))
end

local function new_call(exchange, message)
  local params = message.params or {}
  local meta = type(params._meta) == "table" and params._meta or {}
  local session, server = exchange.session, exchange.server
  return Call._new {
    revision = session and session.revision or exchanges.MODERN,
    method = message.method,
    id = message.id,
    arguments = type(params.arguments) == "table" and params.arguments or {},
    request = exchange.request,
    client = session and session.client or sessions.client_of(meta[META .. "clientInfo"]),
    capabilities = session and session.capabilities or meta[META .. "clientCapabilities"] or {},
    _server = server,
    _outlet = exchange.outlet,
    _session = session,
    _meta = meta,
    _params = params,
    _can_ask = message.method == "tools/call"
      or message.method == "prompts/get"
      or message.method == "resources/read",
  }
end

local function start_one(exchange, i, message)
  local method = methods.find(exchange.server, message.method, not exchange.session)
  if not method then
    local text = "unknown method " .. jsonrpc._quote(message.method)
    finish_one(exchange, i, jsonrpc.failure(message.id, codes.method_not_found, text))
    return
  end
  local fault = count_fault(exchange)
  if fault then
    finish_one(exchange, i, jsonrpc.failure(message.id, codes.internal_error, fault))
    return
  end
  local call = new_call(exchange, message)
  count_call(exchange, message.id, call)
  local task, problem = core.child(run_one, exchange, i, call, message, method)
  if not task then
    count_call(exchange, message.id, nil)
    finish_one(exchange, i, jsonrpc.failure(message.id, codes.internal_error, problem))
    return
  end
  call._task = task
  exchange.calls[#exchange.calls + 1] = call
end

local function cancel_all(exchange)
  for _, call in ipairs(exchange.calls) do
    call:_cancel()
  end
end

-- The HTTP status of an answer without a stream. Clients of legacy revisions read errors only from
-- answers with 200.
local statuses = {
  [codes.method_not_found] = 404,
  [codes.invalid_params] = 400,
  [codes.invalid_request] = 400,
  [exchanges.HEADER_MISMATCH] = 400,
  [-32021] = 400,
  [exchanges.UNSUPPORTED_VERSION] = 400,
}

local function plain(exchange)
  if exchange.is_batch then
    local list = json.array {}
    for i = 1, exchange.count do
      list[#list + 1] = exchange.responses[i]
    end
    return answer(200, list)
  end
  local response = exchange.responses[1]
  if not response then
    return 202 -- it was cancelled
  end
  local code = response.error and response.error.code
  return answer(not exchange.session and statuses[code] or 200, response)
end

-- The answer becomes a stream: what was sent and what is ready first.
local function stream_answer(exchange, stream)
  local outlet = exchange.outlet
  exchange.is_streamed = true
  outlet.on_message = nil
  if not exchange.session then
    outlet.on_detached = function()
      cancel_all(exchange)
    end
    stream:start()
  end
  outlet:attach(stream)
  for i = 1, exchange.count do
    if exchange.responses[i] then
      outlet:send(json.encode(exchange.responses[i]))
    end
  end
  if exchange.left == 0 then
    outlet:finish()
  end
end

local function drop(exchange)
  if exchange.session then
    exchange.server._outlets:drop(exchange.outlet)
  end
end

-- The client has disconnected. Since 2026-07-28, this cancels. In a session, the calls go on.
local function abandon(exchange)
  if not exchange.session then
    cancel_all(exchange)
  elseif exchange.left == 0 then
    drop(exchange)
  else
    exchange.is_streamed = true
  end
end

-- Waits for the responses, or for a message before them, or until a stream must begin.
local function await(exchange, stream)
  -- If the handler was told before that its client has disconnected, the wait ends it.
  local is_answered = false
  local _ <close> = setmetatable({}, {
    __close = function()
      if not is_answered then
        abandon(exchange)
      end
    end,
  })
  local can_stream = accepts(exchange.request, "text/event-stream")
  if can_stream then
    exchange.outlet.on_message = function()
      exchange.signal:fire()
    end
  end
  local has_ended, why = exchange.left == 0 or exchange.outlet:needs_stream() and can_stream, nil
  if not has_ended then
    has_ended, why = exchange.signal:wait(can_stream and PLAIN_SECONDS or nil)
  end
  local is_gone = not has_ended and (why ~= "timeout" or not can_stream)
  if is_gone then
    return 503
  end
  is_answered = true
  if exchange.left == 0 and not (can_stream and exchange.outlet:needs_stream()) then
    drop(exchange)
    return plain(exchange)
  end
  stream_answer(exchange, stream)
end

-- Runs requests of one POST, and answers.
function exchanges.run(server, request, stream, session, messages, is_batch)
  local outlet
  if session then
    local id = #messages == 1 and json.encode(messages[1].id) or ""
    local tail = id ~= "" and #id <= ID_MAX and "~" .. crypto._encode(id, "hex") or ""
    outlet = server._outlets:add(session, "p", tail)
  else
    outlet = outlets.plain()
  end
  if not outlet then
    return fail(503, messages[1].id, codes.internal_error, "too many streams are open; retry later")
  end
  local exchange = {
    server = server,
    request = request,
    session = session,
    outlet = outlet,
    is_batch = is_batch,
    count = #messages,
    left = #messages,
    responses = {},
    calls = {},
    signal = core.signal(),
  }
  for i, message in ipairs(messages) do
    start_one(exchange, i, message)
  end
  return await(exchange, stream)
end

return exchanges
