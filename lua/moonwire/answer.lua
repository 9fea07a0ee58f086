--- Turns what handlers return into the answers that core takes: "accept"[, data] · "refuse",
--- status, code, reason · "respond", status, body, content type, fields · "fault", place, text,
--- which is for the log.
local cookies = require "moonwire.cookies"
local json = require("moonwire.core").json
local options = require "moonwire.options"

local answer = {}

-- The HTTP status of the protocol's codes. A code of the app has 403 for a client that wants to
-- subscribe or connect, and 400 for a message.
local status_of = {
  bad_request = 400,
  unauthorized = 401,
  token_expired = 401,
  forbidden = 403,
  not_subscribed = 403,
  not_found = 404,
  too_large = 413,
  rate_limited = 429,
  internal = 500,
  unavailable = 503,
  unreplicated = 504,
}

local default_code = {
  [400] = "bad_request",
  [401] = "unauthorized",
  [403] = "forbidden",
  [404] = "not_found",
  [413] = "too_large",
  [429] = "rate_limited",
  [500] = "internal",
  [503] = "unavailable",
  [504] = "unreplicated",
}

--- Returns what is wrong with a code for clients, or nil.
---@param code any
---@return string|nil
function answer.code_fault(code)
  if type(code) ~= "string" or not code:find("^[%w_.:-]+$") or #code > 64 then
    return "a code must be 1 to 64 letters, digits, or _.:-"
  end
end

--- Returns what is wrong with a reason for clients, or nil.
---@param reason any
---@param most integer bytes
---@return string|nil
function answer.reason_fault(reason, most)
  if type(reason) ~= "string" or #reason > most or not utf8.len(reason) or reason:find "%z" then
    return ("a reason must be at most %d bytes of UTF-8 text"):format(most)
  end
end

-- A wrong result of a handler. It is raised like a refusal, which also has a code. It has no
-- traceback, because the handler has returned.
local Fault = {}

local function raise(handler, text, ...)
  if type(handler) == "string" then
    options.raise(("%s: %s"):format(handler, text:format(...)))
  end
  local fault = { code = "internal", place = options.definition(handler), text = text:format(...) }
  error(setmetatable(fault, Fault), 0)
end

local function refuse(reason, code, status, other)
  status = status ~= nil and status or status_of[code or "refused"] or other or 403
  code = code ~= nil and code or default_code[status] or "refused"
  reason = reason ~= nil and reason or code
  local fault = answer.code_fault(code) or answer.reason_fault(reason, 1000)
  if not fault and (math.type(status) ~= "integer" or status < 400 or status > 599) then
    fault = "the status must be an integer from 400 to 599, got " .. options.show(status)
  end
  if fault then
    return "fault", nil, "invalid refusal: " .. fault
  end
  return "refuse", status, code, reason
end

--- Returns a refusal. Code, reason, and status come from the script and go to the client, so they
--- are checked.
---@param handler function the script's
---@param reason any text for the client; nil: the code
---@param code any a code of the protocol or of the app
---@param status any an HTTP status from 400 to 599; nil: that of the code
---@param other? integer the status of codes that are the app's own; nil: 403
function answer.refuse(handler, reason, code, status, other)
  local way, its_status, its_code, its_reason = refuse(reason, code, status, other)
  if way == "fault" then
    raise(handler, "%s", its_code)
  end
  return way, its_status, its_code, its_reason
end

--- Returns the refusal that error { code =, message =, status = } raised, or the fault.
---@param raised table
---@param kind string which kind of handler raised it
function answer.raised(raised, kind)
  if getmetatable(raised) == Fault then
    return "fault", raised.place, raised.text
  elseif raised.code == nil and raised.message == nil and raised.status == nil then
    return "fault", nil, "raised a table without code, message, or status: " .. tostring(raised)
  end
  local other = kind == "message" and 400 or 403
  return refuse(raised.message, raised.code, raised.status, other)
end

--- Raises the fault for `nil, message` from a handler. The message is for the log; the client
--- receives only `internal`.
---@param handler function
---@param message any
function answer.fault(handler, message)
  raise(handler, "failed: %s", tostring(message))
end

--- Raises the fault for a result that the handler may not return.
---@param handler function|string the name of a call that received it as an argument
---@param text string a format, and its values
function answer.misused(handler, text, ...)
  raise(handler, (type(handler) == "string" and "got " or "returned ") .. text, ...)
end

--- What a handler left in client.data cannot be stored.
---@param handler function
---@param message string where in client.data, and why
function answer.unkept(handler, message)
  raise(handler, "%s; client.data is unchanged", message)
end

local function add_field(handler, fields, name, value)
  if type(value) ~= "string" and math.type(value) ~= "integer" then
    answer.misused(handler, "the header %q as a %s", name, type(value))
  end
  fields[#fields + 1] = name
  fields[#fields + 1] = tostring(value)
end

-- The key "cookies" of the headers: a table of cookies by name, of which each becomes a field.
local function add_cookies(handler, request, fields, given)
  if type(given) ~= "table" then
    answer.misused(handler, "cookies as a %s; they must be a table", type(given))
  end
  local is_call = type(handler) == "string"
  local names, where = {}, is_call and options.caller() or options.definition(handler)
  for name in pairs(given) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    local ok, value = pcall(cookies.write, name, given[name], request, where)
    if not ok then
      raise(handler, "%s", (value:gsub("^" .. where:gsub("%p", "%%%0") .. ": ", "")))
    end
    add_field(handler, fields, "Set-Cookie", value)
  end
end

-- Returns a list of name, value, name, value, and the content type. A header that is a list becomes
-- several fields.
local function read_headers(handler, request, headers)
  local fields, content_type, has_options = {}, nil, false
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" then
      answer.misused(handler, "a header name that is not a string")
    elseif name == "cookies" then
      add_cookies(handler, request, fields, value)
    elseif name:lower() == "content-type" then
      content_type = value
    elseif type(value) == "table" then
      for _, item in ipairs(value) do
        add_field(handler, fields, name, item)
      end
    else
      add_field(handler, fields, name, value)
    end
    has_options = has_options or name:lower() == "x-content-type-options"
  end
  return fields, content_type, has_options
end

--- Returns the head of a stream as a list of name, value, name, value. Raises if it is wrong.
---@param call string
---@param request moonwire.Request
---@param headers table|nil
---@return string[]
function answer.stream_fields(call, request, headers)
  local fields, content_type = read_headers(call, request, headers)
  if content_type then
    raise(call, "the header %q of a stream is set by the server itself", "Content-Type")
  end
  return fields
end

local function check_response(handler, status, body, headers)
  local is_pair = headers ~= nil and type(headers) ~= "table"
  if body == nil and is_pair then
    answer.fault(handler, headers)
  elseif body == false then
    answer.misused(
      handler,
      "false; to refuse in a route, use error { status = 403, message = … }"
    )
  elseif body ~= nil and type(body) ~= "string" and type(body) ~= "table" then
    answer.misused(handler, "a %s as the body", type(body))
  elseif is_pair and not status and type(body) == "string" then
    local text = "%s and then a %s; the status must be a number"
    answer.misused(handler, text, options.show(body), type(headers))
  elseif is_pair then
    answer.misused(handler, "a %s as the headers", type(headers))
  elseif status and (math.type(status) ~= "integer" or status < 200 or status > 599) then
    answer.misused(handler, "%s as the status", tostring(status))
  end
end

-- Appends a newline, for readers in a terminal.
local function encode(handler, body)
  local ok, text = pcall(json.encode, body)
  if not ok then
    answer.misused(handler, "a body that JSON cannot hold: %s", (text:gsub("^value", "body")))
  end
  return text .. "\n"
end

--- Returns the response to an HTTP request. The handler returned [status,] body [, headers].
---@param handler function
---@param request moonwire.Request
function answer.respond(handler, request, ...)
  local status, body, headers = ...
  if type(status) ~= "number" then
    status, body, headers = nil, ...
  end
  check_response(handler, status, body, headers)
  status = status or (body == nil and 204 or 200)
  local fields, content_type, has_options = read_headers(handler, request, headers)
  if type(body) == "table" then
    body, content_type = encode(handler, body), content_type or "application/json"
  elseif body and not content_type then
    content_type = "text/plain; charset=utf-8"
    if not has_options then
      add_field(handler, fields, "X-Content-Type-Options", "nosniff")
    end
  end
  return "respond", status, body, content_type, fields
end

--- Returns the response of the app's own handler for what is not found: 404 by default.
---@param handler function
---@param request moonwire.Request
function answer.not_found(handler, request, ...)
  if type((...)) == "number" then
    return answer.respond(handler, request, ...)
  end
  return answer.respond(handler, request, 404, ...)
end

return answer
