--- The revision 2026-07-28: each request stands for itself, and repeats parts of its body in headers.
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local Call = require "moonwire.mcp.call"
local exchanges = require "moonwire.mcp.exchange"
local jsonrpc = require "moonwire.jsonrpc"
local outlets = require "moonwire.mcp.outlet"
local schema = require "moonwire.mcp.schema"

local json, codes, fail, quote = core.json, jsonrpc.codes, exchanges.fail, jsonrpc._quote
local MODERN, HEADER_MISMATCH = exchanges.MODERN, exchanges.HEADER_MISMATCH
local META = "io.modelcontextprotocol/"
local SUBSCRIPTIONS_MAX = 1000 -- resources of one subscriptions/listen

local modern = {}

-- Whether a header is that value, which may be encoded as =?base64?…?=.
local function is_same(header, value)
  if type(value) == "number" then
    return tonumber(header) == value
  end
  value = tostring(value)
  return header == "=?base64?" .. crypto._encode(value, "base64") .. "?="
    or header == value and not header:find "^=%?base64%?.*%?=$"
end

local function check_header(request, name, value)
  local header = request.headers[name:lower()]
  if header == nil then
    return ("the header %s is missing"):format(name)
  elseif not is_same(header, value) then
    return ("the header %s differs from the body: %s"):format(name, quote(header))
  end
end

local function check_parameter_headers(server, request, params)
  local tool, fault = server._tools[params.name], nil
  if not tool then
    return nil
  end
  schema.each_header(tool.input, function(path, name)
    local value = params.arguments
    for _, step in ipairs(path) do
      value = type(value) == "table" and value[step] or nil
    end
    local header = request.headers["mcp-param-" .. name:lower()]
    local is_empty = value == nil or value == json.null or type(value) == "table"
    if is_empty and header ~= nil then
      fault = ("the header Mcp-Param-%s has no value in the body"):format(name)
    elseif not is_empty then
      fault = check_header(request, "Mcp-Param-" .. name, value) or fault
    end
  end)
  return fault
end

local named = { ["tools/call"] = "name", ["prompts/get"] = "name", ["resources/read"] = "uri" }

local function check_modern_headers(server, request, message, params)
  local fault = check_header(request, "Mcp-Method", message.method)
  local field = named[message.method]
  if not fault and field and params[field] ~= nil then
    fault = check_header(request, "Mcp-Name", params[field])
  end
  if not fault and message.method == "tools/call" then
    fault = check_parameter_headers(server, request, params)
  end
  return fault
end

local function check_modern(server, request, message)
  local header = request.headers["mcp-protocol-version"]
  local params = message.params or {}
  local meta = type(params._meta) == "table" and params._meta or {}
  local version, id = meta[META .. "protocolVersion"], message.id
  if not header then
    return fail(400, id, HEADER_MISMATCH, "the header MCP-Protocol-Version is missing")
  elseif type(version) ~= "string" or type(meta[META .. "clientCapabilities"]) ~= "table" then
    local text = "params._meta needs %sprotocolVersion and %sclientCapabilities"
    return fail(400, id, codes.invalid_params, text:format(META, META))
  elseif version ~= header then
    local text = "the header MCP-Protocol-Version differs from the body: "
    return fail(400, id, HEADER_MISMATCH, text .. quote(header))
  elseif version ~= MODERN then
    local data = { supported = server._versions, requested = version }
    local text = "unsupported protocol version"
    if server._is_legacy[version] then
      text = text .. " without a session; begin one with initialize"
    end
    return fail(400, id, exchanges.UNSUPPORTED_VERSION, text, data)
  end
  local fault = check_modern_headers(server, request, message, params)
  if fault then
    return fail(400, id, HEADER_MISMATCH, fault)
  end
  local level = meta[META .. "logLevel"]
  if level ~= nil and not Call.levels[level] then
    return fail(400, id, codes.invalid_params, "unknown log level")
  end
end

local filters = { "toolsListChanged", "promptsListChanged", "resourcesListChanged" }

-- subscriptions/listen: the answer is a stream of what changes.
local function listen(server, stream, message)
  local wanted = message.params.notifications
  if type(wanted) ~= "table" then
    return fail(400, message.id, codes.invalid_params, "params.notifications must be an object")
  end
  local filter = {}
  for _, name in ipairs(filters) do
    local kind = name:match "^%l+"
    filter[name] = wanted[name] == true and server._has[kind] and true or nil
  end
  if type(wanted.resourceSubscriptions) == "table" and server._has.resources then
    local uris = json.array {}
    for _, uri in ipairs(wanted.resourceSubscriptions) do
      if type(uri) == "string" and #uris < SUBSCRIPTIONS_MAX then
        uris[#uris + 1] = uri
      end
    end
    filter.resourceSubscriptions = uris
  end
  local outlet = outlets.plain()
  local listener = { id = message.id, filter = filter, outlet = outlet }
  outlet.on_detached = function()
    server._listeners[listener] = nil
  end
  stream:start()
  outlet:attach(stream)
  server._listeners[listener] = true
  local params = { _meta = { [META .. "subscriptionId"] = message.id }, notifications = filter }
  local method = "notifications/subscriptions/acknowledged"
  outlet:send(json.encode(jsonrpc.notification(method, params)))
end

--- Answers one message of a POST.
function modern.post(server, request, stream, message, kind)
  if kind == "response" then
    return fail(400, nil, codes.invalid_request, "responses are not accepted; see inputResponses")
  elseif kind == "notification" then
    return 202
  elseif message.id == json.null then
    return fail(400, nil, codes.invalid_request, "the id must not be null")
  end
  local status, body, headers = check_modern(server, request, message)
  if status then
    return status, body, headers
  elseif message.method == "subscriptions/listen" then
    return listen(server, stream, message)
  end
  return exchanges.run(server, request, stream, nil, { message }, false)
end

return modern
