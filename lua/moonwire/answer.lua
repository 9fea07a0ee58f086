--- What handlers return, as the answers that core takes: "accept"[, data] · "refuse", status, code, reason ·
--- "respond", status, body, content type, fields.
local json = require("moonwire.core").json

local answer = {}

-- The HTTP status of the protocol's codes; a code of the app's own is a refusal like "forbidden".
local status_of = {
  bad_request = 400,
  unauthorized = 401,
  token_expired = 401,
  forbidden = 403,
  refused = 403,
  not_found = 404,
  unknown_event = 404,
  too_large = 413,
  rate_limited = 429,
  internal = 500,
  unavailable = 503,
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
}

--- A refusal. What the script says is checked, because it goes out to the client.
---@param what string the handler, for messages
---@param reason any a text for the client; nil: the code
---@param code any a word of the protocol or of the app
---@param status any an HTTP status from 400 to 599; nil: that of the code
function answer.refuse(what, reason, code, status)
  status = status ~= nil and status or status_of[code or "refused"] or 403
  code = code ~= nil and code or default_code[status] or "refused"
  reason = reason ~= nil and reason or code
  if type(code) ~= "string" or not code:find("^[%w_.:-]+$") or #code > 64 then
    error(("%s: the code of a refusal must be 1 to 64 letters, digits or _.:-"):format(what), 0)
  elseif type(reason) ~= "string" or not utf8.len(reason) or #reason > 1000 then
    error(
      ("%s: the reason of a refusal must be a text of at most 1000 bytes of UTF-8"):format(what),
      0
    )
  elseif math.type(status) ~= "integer" or status < 400 or status > 599 then
    error(("%s: the status of a refusal must be from 400 to 599"):format(what), 0)
  end
  return "refuse", status, code, (reason:gsub("%z", ""))
end

--- The refusal that was raised by error { code =, message =, status = }.
---@param raised table
function answer.raised(raised)
  return answer.refuse("error", raised.message, raised.code, raised.status)
end

--- `nil, message` from a handler: something went wrong, which is the app's business and not the client's.
---@param what string
---@param message any
function answer.fault(what, message)
  error(("%s failed: %s"):format(what, tostring(message)), 0)
end

local function add_field(fields, name, value)
  if type(value) ~= "string" and math.type(value) ~= "integer" then
    error(("a handler returned the header %q as a %s"):format(name, type(value)), 0)
  end
  fields[#fields + 1] = name
  fields[#fields + 1] = tostring(value)
end

-- A list of name, value, name, value; the content type is told apart. A header given as a list is several fields.
local function read_headers(headers)
  local fields, content_type, has_options = {}, nil, false
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" then
      error("a handler returned headers whose names are no strings", 0)
    elseif name:lower() == "content-type" then
      content_type = value
    elseif type(value) == "table" then
      for _, item in ipairs(value) do
        add_field(fields, name, item)
      end
    else
      add_field(fields, name, value)
    end
    has_options = has_options or name:lower() == "x-content-type-options"
  end
  return fields, content_type, has_options
end

--- The answer to an HTTP request: what the handler returned as [status,] body [, headers].
function answer.respond(...)
  local status, body, headers = ...
  if type(status) ~= "number" then
    status, body, headers = nil, ...
  end
  if body == nil and headers ~= nil and type(headers) ~= "table" then
    answer.fault("a handler", headers)
  elseif body ~= nil and type(body) ~= "string" and type(body) ~= "table" then
    error(("a handler returned a %s as the body"):format(type(body)), 0)
  elseif headers ~= nil and type(headers) ~= "table" then
    error(("a handler returned a %s as the headers"):format(type(headers)), 0)
  end
  status = status or (body == nil and 204 or 200)
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    error(("a handler returned %s as the status"):format(tostring(status)), 0)
  end
  local fields, content_type, has_options = read_headers(headers)
  if type(body) == "table" then
    body, content_type = json.encode(body), content_type or "application/json"
  elseif body and not content_type then
    content_type = "text/plain; charset=utf-8"
    if not has_options then
      add_field(fields, "X-Content-Type-Options", "nosniff")
    end
  end
  return "respond", status, body, content_type, fields
end

return answer
