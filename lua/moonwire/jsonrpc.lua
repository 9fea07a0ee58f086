--- moonwire.jsonrpc: JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over routes, event streams,
--- and raw WebSockets.
local core = require "moonwire.core"
local options = require "moonwire.options"

local json = core.json
local array_class = getmetatable(json.array {})

---@class moonwire.jsonrpc
---@field codes table<string, integer> the codes of errors that the standard defines
local jsonrpc = {
  codes = {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    server_error = -32000, -- the first of those that implementations define
  },
}
local codes = jsonrpc.codes

local BATCH, CONCURRENT, CALLS, CALL_SECONDS = 100, 16, 1000, 30
local KEPT_BYTES = 2000 -- of an error's text in the log
local QUOTED_BYTES = 100 -- of what the peer has sent, in an error's text

-- ---- Messages -------------------------------------------------------------------------------------------------------------

---@alias moonwire.jsonrpc.Id string|number

--- Makes a request, to be encoded as JSON.
---@param id moonwire.jsonrpc.Id
---@param method string
---@param params? table
---@return table
function jsonrpc.request(id, method, params)
  return { jsonrpc = "2.0", id = id, method = method, params = params }
end

---@param method string
---@param params? table
---@return table
function jsonrpc.notification(method, params)
  return { jsonrpc = "2.0", method = method, params = params }
end

---@param id moonwire.jsonrpc.Id
---@param value any
---@return table
function jsonrpc.result(id, value)
  return { jsonrpc = "2.0", id = id, result = value == nil and json.null or value }
end

---@param id? moonwire.jsonrpc.Id nil: null, for a message whose id could not be read
---@param code integer
---@param message string
---@param data? any
---@return table
function jsonrpc.failure(id, code, message, data)
  local problem = { code = code, message = message, data = data }
  return { jsonrpc = "2.0", id = id == nil and json.null or id, error = problem }
end

local function is_array(value)
  return type(value) == "table" and (getmetatable(value) == array_class or value[1] ~= nil)
end

local function is_object(value)
  return type(value) == "table" and not is_array(value)
end

local function is_id(value)
  return type(value) == "string" or type(value) == "number"
end

--- Tells what a decoded message is: "request", "notification", or "response". nil and what is wrong
--- with it if it is none of them.
---@param message any
---@return "request"|"notification"|"response"|nil
---@return string|nil why
function jsonrpc.kind(message)
  if not is_object(message) then
    return nil, "a message must be an object"
  elseif message.jsonrpc ~= "2.0" then
    return nil, 'the member jsonrpc must be "2.0"'
  elseif message.id ~= nil and message.id ~= json.null and not is_id(message.id) then
    return nil, "the id must be a string or a number"
  elseif message.method == nil then
    local has_result, has_error = message.result ~= nil, message.error ~= nil
    if has_result == has_error then
      return nil, "a message must have a method, a result, or an error"
    elseif
      has_error and not (is_object(message.error) and type(message.error.code) == "number")
    then
      return nil, "the error must be an object with a code"
    elseif message.id == nil then
      return nil, "a response must have an id"
    end
    return "response"
  elseif type(message.method) ~= "string" then
    return nil, "the method must be a string"
  elseif message.params ~= nil and type(message.params) ~= "table" then
    return nil, "params must be an object or an array"
  end
  return message.id == nil and "notification" or "request"
end

--- Decodes a text. Returns the list of its messages, which are not checked yet, and whether it is a
--- batch. nil and the response to send if the text has none.
---@param text string
---@param batch? integer most messages of a batch; 0 refuses batches; nil: 100
---@return any[]|nil messages
---@return boolean|table is_batch, or the response
function jsonrpc.decode(text, batch)
  batch = batch or BATCH
  local value, message = json.decode(text)
  if value == nil then
    return nil, jsonrpc.failure(nil, codes.parse_error, message --[[@as string]])
  elseif not is_array(value) then
    return { value }, false
  elseif batch == 0 then
    return nil, jsonrpc.failure(nil, codes.invalid_request, "batches are not supported")
  elseif #value == 0 or #value > batch then
    local problem = ("a batch must have 1 to %d messages, got %d"):format(batch, #value)
    return nil, jsonrpc.failure(nil, codes.invalid_request, problem)
  end
  return value, true
end

-- Quotes what the peer has sent, which may be long, and need not be UTF-8: JSON holds nothing else.
local function quote(text)
  text = text:sub(1, QUOTED_BYTES)
  if not utf8.len(text) then
    text = text:gsub("[\xC2-\xF4][\x80-\xBF]*$", "") -- a character that was cut
  end
  return ("%q"):format(utf8.len(text) and text or text:gsub("[\x80-\xFF]", "?"))
end
jsonrpc._quote = quote -- for moonwire.mcp

-- ---- Methods --------------------------------------------------------------------------------------------------------------

---@class moonwire.jsonrpc.Call
---@field method string
---@field id moonwire.jsonrpc.Id|nil nil for a notification
---@field peer moonwire.jsonrpc.Peer|nil the connection that the message came over
---@field request moonwire.Request|nil of a route or a WebSocket
---@field socket moonwire.Socket|nil

---@alias moonwire.jsonrpc.Handler fun(params: table, call: moonwire.jsonrpc.Call): any, string?, any

---@class moonwire.jsonrpc.Rpc
---@field package _methods table<string, moonwire.jsonrpc.Handler>
---@field package _batch integer
---@field package _concurrent integer
local Rpc = {}
Rpc.__index = Rpc

local function log_fault(handler, method, text)
  text = tostring(text)
  text = #text > KEPT_BYTES and text:sub(1, KEPT_BYTES) .. "…" or text
  local where = options.definition(handler)
  core.log_error("error", where, ("%s: JSON-RPC %q: %s"):format(where, method, text))
end

-- Returns what a raised table says to the peer, or nil if it says nothing.
local function read_raised(raised)
  if type(raised) ~= "table" or raised.message == nil and raised.code == nil then
    return nil
  end
  local is_number = math.type(raised.code) == "integer"
  local data = raised.data
  if not is_number and raised.code ~= nil and data == nil then
    data = { code = tostring(raised.code) }
  end
  local message = raised.message ~= nil and tostring(raised.message) or tostring(raised.code)
  return is_number and raised.code or codes.server_error, message, data
end

local function settle(handler, message, ok, value, why, data)
  if not ok then
    local code, text, more = read_raised(value)
    if code then
      return jsonrpc.failure(message.id, code, text, more)
    end
    log_fault(handler, message.method, value)
  elseif value == false and why ~= nil then
    return jsonrpc.failure(message.id, codes.server_error, tostring(why), data)
  elseif value == nil and why ~= nil then
    log_fault(handler, message.method, "failed: " .. tostring(why))
  else
    return jsonrpc.result(message.id, value)
  end
  return jsonrpc.failure(message.id, codes.internal_error, "internal error")
end

local function with_trace(raised)
  return type(raised) == "table" and raised or debug.traceback(tostring(raised), 2)
end

-- For moonwire.mcp, whose methods answer in the same way.
jsonrpc._log_fault, jsonrpc._settle, jsonrpc._with_trace = log_fault, settle, with_trace

-- Returns the response to one message, or nil if it has none.
function Rpc:_answer(message, call)
  local kind, why = jsonrpc.kind(message)
  if not kind then
    local id = is_object(message) and is_id(message.id) and message.id or nil
    return jsonrpc.failure(id, codes.invalid_request, why --[[@as string]])
  elseif kind == "response" then
    return nil
  end
  local handler = self._methods[message.method]
  call.method, call.id = message.method, message.id
  local response = handler
    and settle(
      handler,
      message,
      xpcall(options.call, with_trace, handler, message.params or {}, call)
    )
  if kind == "notification" then
    return nil
  elseif not response then
    local text = "unknown method " .. quote(message.method)
    return jsonrpc.failure(message.id, codes.method_not_found, text)
  end
  return response
end

-- A result that JSON cannot hold is a fault of its handler.
local function encode(self, response, method)
  local ok, text = pcall(json.encode, response)
  if ok then
    return text
  end
  local handler = self._methods[method]
  if handler then
    log_fault(handler, method, "returned a value that JSON cannot hold: " .. tostring(text))
  end
  return json.encode(jsonrpc.failure(response.id, codes.internal_error, "internal error"))
end

local function copy(context)
  local result = {}
  for name, value in pairs(context or {}) do
    result[name] = value
  end
  return result
end

--- Handles a text that a client has sent: calls the methods, one after the other. May wait.
---@param text string
---@param context? table its members become members of `call`
---@return string|nil reply nil if the text has only notifications and responses
---@return boolean is_invalid the text as a whole is not JSON-RPC
function Rpc:handle(text, context)
  options.argument("rpc:handle", 1, text, "string")
  if context ~= nil then
    options.argument("rpc:handle", 2, context, "table")
  end
  local messages, is_batch = jsonrpc.decode(text, self._batch)
  if not messages then
    return json.encode(is_batch), true
  end
  local replies = {}
  for _, message in ipairs(messages) do
    local response = self:_answer(message, copy(context))
    if response then
      replies[#replies + 1] = encode(self, response, is_object(message) and message.method)
    end
  end
  if #replies == 0 then
    return nil, false
  end
  local is_invalid = not is_batch and jsonrpc.kind(messages[1]) == nil
  return is_batch and "[" .. table.concat(replies, ",") .. "]" or replies[1], is_invalid
end

--- Defines a method, also while the app runs.
---@param name string
---@param handler moonwire.jsonrpc.Handler
---@return moonwire.jsonrpc.Rpc
function Rpc:method(name, handler)
  options.argument("rpc:method", 1, name, "string")
  options.argument("rpc:method", 2, handler, "function")
  if name:sub(1, 4) == "rpc." then
    options.raise 'rpc:method: names that begin with "rpc." are reserved'
  end
  self._methods[name] = handler
  return self
end

--- Returns a handler for app:post.
---@return fun(request: moonwire.Request): ...
function Rpc:route()
  return function(request)
    local reply, is_invalid = self:handle(request.body, { request = request })
    if not reply then
      return 204
    end
    return is_invalid and 400 or 200, reply, { ["Content-Type"] = "application/json" }
  end
end

-- ---- Peers ----------------------------------------------------------------------------------------------------------------

---@class moonwire.jsonrpc.Peer
---@field package _server moonwire.jsonrpc.Rpc
---@field package _send fun(text: string): any, string?, string?
---@field package _waiting table<integer, fun(response: table|nil)>
local Peer = {}
Peer.__index = Peer

--- Returns the other side of a connection, for a transport of the app's own. Pass what it sends to
--- peer:receive, and call peer:close at the end.
---@param send fun(text: string): any, string?, string? sends a text
---@param context? table its members become members of `call`
---@return moonwire.jsonrpc.Peer
function Rpc:peer(send, context)
  options.argument("rpc:peer", 1, send, "function")
  local peer = { _server = self, _send = send, _waiting = {}, _count = 0, _next = 1, _running = 0 }
  peer._context = copy(context)
  peer._context.peer = setmetatable(peer, Peer)
  return peer
end

--- Sends a notification.
---@param method string
---@param params? table
---@return any ... what the transport's send returns
function Peer:notify(method, params)
  options.argument("peer:notify", 1, method, "string")
  if self._closed then
    return nil, "the connection has ended", "closed"
  end
  return self._send(json.encode(jsonrpc.notification(method, params)))
end

--- Sends a request, and waits for the response.
---@param method string
---@param params? table
---@param seconds? number nil: 30
---@return any result nil: see message and code
---@return string|nil message
---@return integer|string|nil code that of the response; or "timeout", "closed", or "unavailable"
---@return any data of an error of the response
function Peer:call(method, params, seconds)
  options.argument("peer:call", 1, method, "string")
  seconds = seconds or CALL_SECONDS
  if self._closed then
    return nil, "the connection has ended", "closed"
  elseif self._count >= CALLS then
    return nil, ("%d calls wait for their responses already"):format(CALLS), "unavailable"
  end
  local id, signal, response = self._next, core.signal(), nil
  self._next = id + 1
  local text = json.encode(jsonrpc.request(id, method, params))
  local _ <close> = setmetatable({}, {
    __close = function()
      self._waiting[id], self._count = nil, self._count - 1
    end,
  })
  self._count = self._count + 1
  self._waiting[id] = function(given)
    response = given
    signal:fire()
  end
  -- it may wait, and meanwhile the response may arrive
  local ok, message, code = self._send(text)
  if not ok then
    return nil, message or "cannot send", code or "unavailable"
  end
  local _, why = signal:wait(seconds)
  if response then
    if response.error then
      return nil, tostring(response.error.message), response.error.code, response.error.data
    end
    return response.result
  elseif why == "timeout" then
    return nil, ("no response to %q within %g s"):format(method, seconds), "timeout"
  end
  return nil, "the connection has ended", "closed"
end

local function run_one(self, text)
  local _ <close> = setmetatable({}, {
    __close = function()
      self._running = self._running - 1
    end,
  })
  local reply = self._server:handle(text, self._context)
  if reply then
    self._send(reply)
  end
end

-- Hands responses to the calls that wait for them. Returns whether there was anything else.
local function take_responses(self, messages)
  local has_more = false
  for _, message in ipairs(messages) do
    if jsonrpc.kind(message) == "response" then
      local resume = self._waiting[message.id]
      if resume then
        resume(message)
      end
    else
      has_more = true
    end
  end
  return has_more
end

--- Takes a text that the peer has sent. Responses end the calls that wait for them. Methods run as
--- tasks of their own, so that a method may call the peer, and their responses are sent.
---@param text string
function Peer:receive(text)
  options.argument("peer:receive", 1, text, "string")
  local messages, is_batch = jsonrpc.decode(text, self._server._batch)
  if not messages then
    self._send(json.encode(is_batch))
    return
  elseif not take_responses(self, messages) then
    return
  end
  local most = self._server._concurrent
  if self._running >= most then
    local id = not is_batch and is_object(messages[1]) and messages[1].id
    id = is_id(id) and id or nil
    local problem = ("too many requests in progress: at most %d for one connection"):format(most)
    self._send(json.encode(jsonrpc.failure(id, codes.server_error, problem)))
    return
  end
  self._running = self._running + 1
  local task, problem = core.child(run_one, self, text)
  if not task then
    self._running = self._running - 1
    self._send(json.encode(jsonrpc.failure(nil, codes.server_error, problem --[[@as string]])))
  end
end

--- Ends the calls that wait: their connection has ended.
function Peer:close()
  self._closed = true
  for _, resume in pairs(self._waiting) do
    resume(nil)
  end
end

local function check_websocket(given)
  options.argument("rpc:websocket", 1, given, "table")
  if given.on_message ~= nil then
    options.raise "rpc:websocket: option 'on_message' is set by moonwire.jsonrpc; define methods instead"
  end
end

--- Returns options for app:websocket. on_open and on_close receive the peer as a further argument.
---@param given? table options of app:websocket, without on_message
---@return moonwire.WebsocketOptions
function Rpc:websocket(given)
  given = given or {}
  check_websocket(given)
  -- Peers by their sockets. One whose client leaves before the upgrade has no on_close.
  local result, peers = copy(given), setmetatable({}, { __mode = "k" })
  function result.on_open(socket, request)
    local context = { socket = socket, request = request }
    local peer = self:peer(function(text)
      return socket:send(text)
    end, context)
    peers[socket] = peer
    if not given.on_open then
      return
    end
    local is_refused = true
    local _ <close> = setmetatable({}, {
      __close = function()
        peers[socket] = not is_refused and peer or nil
      end,
    })
    local answer = table.pack(options.call(given.on_open, socket, request, peer))
    is_refused = answer[1] == false
    return table.unpack(answer, 1, answer.n)
  end
  function result.on_message(socket, text)
    local peer = peers[socket]
    if peer then
      peer:receive(text)
    end
  end
  function result.on_close(socket, code, reason)
    local peer = peers[socket]
    peers[socket] = nil
    if peer then
      peer:close()
    end
    if given.on_close then
      return options.call(given.on_close, socket, code, reason, peer)
    end
  end
  return result
end

-- ---- Servers --------------------------------------------------------------------------------------------------------------

local server_spec = { methods = "table", batch = "count", concurrent = "amount" }

---@class moonwire.jsonrpc.ServerOptions
---@field methods? table<string, moonwire.jsonrpc.Handler>
---@field batch? integer most messages of a batch; 0 refuses batches; nil: 100
---@field concurrent? integer most methods that run at the same time for one connection; nil: 16

--- Returns a set of methods.
---@param given? moonwire.jsonrpc.ServerOptions
---@return moonwire.jsonrpc.Rpc
function jsonrpc.server(given)
  given = options.read("jsonrpc.server", given, server_spec)
  local server = setmetatable({
    _methods = {},
    _batch = given.batch or BATCH,
    _concurrent = given.concurrent or CONCURRENT,
  }, Rpc)
  for name, handler in pairs(given.methods or {}) do
    server:method(name, handler)
  end
  return server
end

options.guard(Rpc, "rpc")
options.guard(Peer, "peer")

return jsonrpc
