--- Streamable HTTP: who may send, sessions of the revisions before 2026-07-28, and what changes.
local core = require "moonwire.core"
local exchanges = require "moonwire.mcp.exchange"
local jsonrpc = require "moonwire.jsonrpc"
local methods = require "moonwire.mcp.methods"
local modern = require "moonwire.mcp.modern"

local json, codes, quote = core.json, jsonrpc.codes, jsonrpc._quote
local answer, fail, accepts = exchanges.answer, exchanges.fail, exchanges.accepts

local LEGACY = { "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05" }
local is_legacy = {}
for _, version in ipairs(LEGACY) do
  is_legacy[version] = true
end

local transport = { versions = { exchanges.MODERN, table.unpack(LEGACY) }, is_legacy = is_legacy }

local NO_SESSION, BAD_REQUEST = -32001, -32000 -- as other servers of those revisions
local BATCH_MAX = 50
local META = "io.modelcontextprotocol/"

-- ---- Who may send ---------------------------------------------------------------------------------------------------------

local function is_listed(list, host, authority)
  for _, item in ipairs(list) do
    if item == host or item == authority or item == "*" then
      return true
    end
  end
  return false
end

-- Against pages that reach a local server under a name of their own (DNS rebinding).
local function check_origin(server, request)
  local authority = (request.headers.host or ""):lower()
  local host = authority:match "^%[[^%]]*%]" or authority:match "^[^:]*"
  if not is_listed(server._hosts, host, authority) then
    local text = "the host %s is not allowed; add it to the option 'hosts' of mcp.server"
    return fail(403, nil, BAD_REQUEST, text:format(quote(authority)))
  end
  local origin = request.headers.origin
  local is_own = not origin or origin:lower():match "^https?://(.*)$" == authority
  if not is_own and not is_listed(server._origins, origin) then
    local text = "the origin %s is not allowed; add it to the option 'origins' of mcp.server"
    return fail(403, nil, BAD_REQUEST, text:format(quote(origin)))
  end
end

-- GET and DELETE are of the revisions with sessions.
local function check_method(request)
  local version = request.headers["mcp-protocol-version"]
  if version == exchanges.MODERN and not request.headers["mcp-session-id"] then
    local status, body, headers = fail(405, nil, BAD_REQUEST, "this revision allows only POST")
    headers.Allow = "POST"
    return status, body, headers
  end
end

-- ---- Sessions -------------------------------------------------------------------------------------------------------------

local function find_session(server, request)
  local id, version = request.headers["mcp-session-id"], request.headers["mcp-protocol-version"]
  if not id then
    local text = "the header Mcp-Session-Id is missing; a session begins with initialize"
    return nil, fail(400, nil, BAD_REQUEST, text)
  elseif version and not is_legacy[version] then
    local text = ("unsupported protocol version %s in a session; supported: %s"):format(
      quote(version),
      table.concat(LEGACY, ", ")
    )
    return nil, fail(400, nil, BAD_REQUEST, text)
  end
  local session = server._sessions:find(id, request)
  if not session then
    local text = "the session is unknown or has ended; begin one with initialize"
    return nil, fail(404, nil, NO_SESSION, text)
  end
  return session
end

local function initialize(server, request, message)
  local params = message.params or {}
  local version = params.protocolVersion
  if type(version) ~= "string" then
    return fail(400, message.id, codes.invalid_params, "params.protocolVersion must be a string")
  end
  version = is_legacy[version] and version or LEGACY[1]
  local session = server._sessions:begin(version, params, request)
  local result = {
    protocolVersion = version,
    capabilities = methods.capabilities(server),
    serverInfo = server._info,
    instructions = server._instructions,
  }
  local status, body, headers = answer(200, jsonrpc.result(message.id, result))
  headers["Mcp-Session-Id"] = session.id
  headers["Access-Control-Expose-Headers"] = "Mcp-Session-Id"
  return status, body, headers
end

-- Returns the outlet of what a session receives without asking, or nil if there are too many. It
-- keeps messages until the client opens its stream.
local function own_outlet(server, session)
  local outlet = session.get and server._outlets:find(session.get.name, session)
  if not outlet then
    outlet = server._outlets:add(session, "g")
    session.get = outlet
  end
  return outlet
end

-- Takes a notification or a response.
local function take(server, session, message, kind)
  if kind == "response" then
    local resume = session.questions[message.id]
    if resume then
      resume(message)
    end
  elseif message.method == "notifications/initialized" then
    own_outlet(server, session)
  elseif message.method == "notifications/cancelled" then
    local id = message.params and message.params.requestId
    local call = id ~= nil and session.calls[id]
    if call then
      call:_cancel()
    end
  end
end

local function post_session(server, request, stream, messages, kinds, is_batch)
  if not is_batch and kinds[1] == "request" and messages[1].method == "initialize" then
    return initialize(server, request, messages[1])
  end
  local session, status, body, headers = find_session(server, request)
  if not session then
    return status, body, headers
  elseif is_batch and session.revision ~= "2025-03-26" then
    local text = ("the protocol version %s has no batches"):format(session.revision)
    return fail(400, nil, codes.invalid_request, text)
  end
  local requests, ids = {}, {}
  for i, message in ipairs(messages) do
    if kinds[i] == "request" then
      local id = message.id
      if id == json.null or session.calls[id] or ids[id] then
        local text = "the id must not be null, or that of a request in progress"
        return fail(400, nil, codes.invalid_request, text)
      end
      requests[#requests + 1], ids[id] = message, true
    else
      take(server, session, message, kinds[i])
    end
  end
  if #requests == 0 then
    return 202
  end
  return exchanges.run(server, request, stream, session, requests, is_batch)
end

-- ---- The three methods of HTTP --------------------------------------------------------------------------------------------

-- A decoded array has a metatable.
local function is_object(params)
  return params == nil or type(params) == "table" and getmetatable(params) == nil
end

local function read_messages(request)
  local content_type = (request.headers["content-type"] or ""):lower()
  if content_type:match "^[^;%s]*" ~= "application/json" then
    return nil, fail(415, nil, BAD_REQUEST, "the header Content-Type must be application/json")
  elseif not accepts(request, "application/json") and not accepts(request, "text/event-stream") then
    local text = "the header Accept must list application/json and text/event-stream"
    return nil, fail(406, nil, BAD_REQUEST, text)
  end
  local messages, is_batch = jsonrpc.decode(request.body, BATCH_MAX)
  if not messages then
    return nil, answer(400, is_batch)
  end
  local kinds = {}
  for i, message in ipairs(messages) do
    local kind, why = jsonrpc.kind(message)
    if not kind then
      return nil, fail(400, nil, codes.invalid_request, why --[[@as string]])
    elseif not is_object(message.params) then
      return nil, fail(400, message.id, codes.invalid_params, "params must be an object")
    end
    kinds[i] = kind
  end
  return { messages = messages, kinds = kinds, is_batch = is_batch }
end

local function is_modern(request, message)
  local version = request.headers["mcp-protocol-version"]
  local meta = message.params and message.params._meta
  if type(meta) == "table" and meta[META .. "protocolVersion"] ~= nil then
    return true
  end
  return version ~= nil and not is_legacy[version] and not request.headers["mcp-session-id"]
end

function transport.post(server, request, stream)
  local status, body, headers = check_origin(server, request)
  if status then
    return status, body, headers
  end
  local read
  read, status, body, headers = read_messages(request)
  if not read then
    return status, body, headers
  elseif not read.is_batch and is_modern(request, read.messages[1]) then
    return modern.post(server, request, stream, read.messages[1], read.kinds[1])
  end
  return post_session(server, request, stream, read.messages, read.kinds, read.is_batch)
end

-- The stream of a request that this process does not know: its answer is lost with the process that
-- began it. The client is told so, instead of waiting for its own time-out.
local function answer_lost(stream, name)
  local digits = name:match "^p[%w_-]+~(%x+)$"
  local text = digits
    and digits:gsub("%x%x", function(pair)
      return string.char(tonumber(pair, 16))
    end)
  local id = text and json.decode(text)
  if type(id) ~= "string" and type(id) ~= "number" then
    return false
  end
  local problem = "the answer is lost: the server has restarted, or resume_seconds have passed"
  stream:send(nil, json.encode(jsonrpc.failure(id, codes.internal_error, problem)))
  stream:close()
  return true
end

local function resume(server, session, stream, last_id)
  local name, n = last_id:match "^([%w_~-]+)%.(%d+)$"
  local outlet = name and server._outlets:find(name, session)
  if outlet then
    outlet:attach(stream, math.tointeger(tonumber(n)) or math.maxinteger)
    return true
  end
  return name ~= nil and answer_lost(stream, name)
end

function transport.get(server, request, stream)
  local status, body, headers = check_origin(server, request)
  if not status then
    status, body, headers = check_method(request)
  end
  if status then
    return status, body, headers
  elseif request.method ~= "GET" then
    return 405, nil, { Allow = "GET, POST, DELETE" }
  elseif not accepts(request, "text/event-stream") then
    return fail(406, nil, BAD_REQUEST, "the header Accept must list text/event-stream")
  end
  local session
  session, status, body, headers = find_session(server, request)
  if not session then
    return status, body, headers
  end
  local last_id = request.headers["last-event-id"]
  if last_id and last_id ~= "" and resume(server, session, stream, last_id) then
    return
  end
  local outlet = own_outlet(server, session)
  if not outlet then
    return fail(503, nil, BAD_REQUEST, "too many streams are open; retry later")
  elseif outlet.stream then
    return fail(409, nil, BAD_REQUEST, "the session has a stream already; close it first")
  end
  outlet:attach(stream)
end

function transport.delete(server, request)
  local status, body, headers = check_origin(server, request)
  if not status then
    status, body, headers = check_method(request)
  end
  if status then
    return status, body, headers
  end
  local session
  session, status, body, headers = find_session(server, request)
  if not session then
    return status, body, headers
  end
  server._sessions:finish(session)
  for _, call in pairs(session.calls) do
    call:_cancel()
  end
  for _, outlet in pairs(session.outlets) do
    server._outlets:drop(outlet)
  end
  return 204
end

-- ---- What changes ---------------------------------------------------------------------------------------------------------

--- Notifies clients that a list or a resource has changed.
---@param server moonwire.mcp.Server
---@param method string
---@param filter string of subscriptions/listen
---@param uri? string
function transport.announce(server, method, filter, uri)
  local text = json.encode(jsonrpc.notification(method, uri and { uri = uri } or nil))
  for _, session in server._sessions:each() do
    local outlet = session.get and session.outlets[session.get.name]
    if outlet and (not uri or session.subscriptions[uri]) then
      outlet:send(text)
    end
  end
  for listener in pairs(server._listeners) do
    local wanted = listener.filter[filter]
    local is_wanted = wanted == true
    for _, item in ipairs(type(wanted) == "table" and wanted or {}) do
      is_wanted = is_wanted or item == uri
    end
    if is_wanted then
      local meta = { [META .. "subscriptionId"] = listener.id }
      local params = { uri = uri, _meta = meta }
      listener.outlet:send(json.encode(jsonrpc.notification(method, params)))
    end
  end
end

return transport
