--- moonwire.http: requests to other servers, for which a handler waits. The work is done by libcurl.
local core = require "moonwire.core"
local events = require "moonwire.http_events"
local options = require "moonwire.options"

---@class moonwire.http
local http = {}

local TIMEOUT, CONNECT_TIMEOUT, SIZE, REDIRECTS = 30, 10, 10 * 1024 * 1024, 5

-- libcurl does not count the time for which a request waits for a free connection, so there is a
-- limit of our own. It comes later: libcurl's message says more.
local GRACE = 0.05

---@class moonwire.http.Response
---@field status integer
---@field headers table<string, string> by name in lower case; several of one name are joined by ", "
---@field body string "" if the function of the option stream received it
local Response = {}
Response.__index = Response
Response.__name = "moonwire.http.response"

--- Returns the value of a JSON body.
---@return any value or nil and what is wrong
---@return string|nil message
function Response:json()
  return core.json.decode(self.body)
end

---@class moonwire.http.Options
---@field url? string
---@field method? string
---@field headers? table<string, string|number|string[]>
---@field body? string
---@field json? any
---@field form? table<string, string|number>
---@field timeout? number seconds; nil: 30
---@field connect_timeout? number seconds; nil: 10
---@field size? integer bytes of the body; nil: 10 MiB
---@field redirects? integer nil: 5
---@field unix_socket? string
---@field ca_file? string
---@field verify? boolean
---@field stream? fun(chunk: string, response: moonwire.http.Response): boolean|nil

-- ---- Options ---------------------------------------------------------------------------------------------------------------

local request_spec = {
  url = "text",
  method = "text",
  headers = "table",
  body = "string",
  json = "any",
  form = "table",
  timeout = "duration",
  connect_timeout = "duration",
  size = "count",
  redirects = "count",
  unix_socket = "text",
  ca_file = "text",
  verify = "boolean",
  stream = "function",
}

local events_spec = {}
for name, kind in pairs(request_spec) do
  events_spec[name] = name ~= "stream" and name ~= "size" and kind or nil
end

local function fail(call, text, ...)
  options.raise(("%s: " .. text):format(call, ...))
end

-- A wrong one would let the server take the rest of a body for the next request of the connection.
local framing = { ["content-length"] = true, ["transfer-encoding"] = true }

local function add_field(call, fields, name, value)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    fail(call, "option 'headers': %s is not the name of a header field", options.show(name))
  elseif type(value) ~= "string" and type(value) ~= "number" then
    fail(call, "option 'headers': %s must be a string, got %s", name, options.show(value))
  end
  value = tostring(value)
  if value:find "[\0\r\n]" then
    fail(call, "option 'headers': %s must not have line ends", name)
  elseif framing[name:lower()] then
    fail(call, "option 'headers': %s follows from the body; leave it out", name)
  end
  -- libcurl takes a field without a value with a semicolon.
  fields[#fields + 1] = not value:find "[^ \t]" and name .. ";" or name .. ": " .. value
end

local function encode_form(call, form)
  local parts = {}
  local function encode(text)
    return (
      text:gsub("[^%w*._-]", function(byte)
        return byte == " " and "+" or ("%%%02X"):format(byte:byte())
      end)
    )
  end
  for name, value in pairs(form) do
    local kind = type(value)
    if type(name) ~= "string" or kind ~= "string" and kind ~= "number" then
      fail(call, "option 'form' must hold strings and numbers by name, got %s", options.show(value))
    end
    parts[#parts + 1] = encode(name) .. "=" .. encode(tostring(value))
  end
  table.sort(parts)
  return table.concat(parts, "&")
end

-- Returns the body, and its type unless the caller states it.
local function read_body(call, given)
  local count = (given.body and 1 or 0) + (given.json ~= nil and 1 or 0) + (given.form and 1 or 0)
  if count > 1 then
    fail(call, "of the options 'body', 'json', and 'form' only one may be set")
  elseif given.json ~= nil then
    return core.json.encode(given.json), "application/json"
  elseif given.form then
    return encode_form(call, given.form), "application/x-www-form-urlencoded"
  end
  return given.body
end

local function read_fields(call, headers, content_type)
  local fields, has_type, has_agent = { "Expect:" }, false, false
  for name, value in pairs(headers or {}) do
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      add_field(call, fields, name, item)
    end
    local lower = tostring(name):lower()
    has_type = has_type or lower == "content-type"
    has_agent = has_agent or lower == "user-agent"
  end
  if not has_type then
    -- Without it, libcurl would say that any body is a form.
    fields[#fields + 1] = content_type and "Content-Type: " .. content_type or "Content-Type:"
  end
  if not has_agent then
    fields[#fields + 1] = "User-Agent: moonwire/" .. core.version
  end
  return fields
end

-- For messages, which end in logs: without the user's name, the password, and the query.
local function shown(url)
  return (url:gsub("^([^/]*//)[^/]*@", "%1"):gsub("[?#].*", ""))
end

-- Starts a request. `is_open_ended`: its time limit holds for each part of the answer.
local function start(call, given, is_open_ended)
  if not given.url then
    fail(call, "option 'url' is missing")
  elseif not given.url:find "^[Hh][Tt][Tt][Pp][Ss]?://" then
    fail(
      call,
      "option 'url' must begin with http:// or https://, got %s",
      options.show(shown(given.url))
    )
  elseif given.url:find "[\0-\32\127]" then
    fail(call, "option 'url' must not have white space or control characters")
  elseif given.method and not given.method:find "^[%u][%u_-]*$" then
    fail(call, "option 'method' must have capital letters, got %s", options.show(given.method))
  end
  for _, name in ipairs { "unix_socket", "ca_file" } do
    if given[name] and given[name]:find("\0", 1, true) then
      fail(call, "option '%s' must not have zero bytes", name)
    end
  end
  local body, content_type = read_body(call, given)
  return core.fetch {
    url = given.url,
    method = given.method or (body and "POST" or "GET"),
    fields = read_fields(call, given.headers, content_type),
    body = body,
    timeout_ms = is_open_ended and 0 or math.ceil((given.timeout or TIMEOUT) * 1000),
    connect_ms = math.ceil((given.connect_timeout or CONNECT_TIMEOUT) * 1000),
    redirects = given.redirects or REDIRECTS,
    unix_socket = given.unix_socket,
    ca_file = given.ca_file,
    unverified = given.verify == false,
  }
end

-- ---- Answers ---------------------------------------------------------------------------------------------------------------

-- Calls take(chunk) for each part of the body. Returns true, or nil, message, and code.
local function read_all(fetch, seconds, take)
  while true do
    local chunk, message, code = fetch:read(seconds)
    if not chunk then
      return not code or nil, message, code
    end
    local ok
    ok, message, code = take(chunk)
    if not ok then
      return nil, message, code
    end
  end
end

local function collect(size)
  local chunks, len = {}, 0
  return chunks,
    function(chunk)
      len = len + #chunk
      if len > size then
        return nil, ("the body exceeds %d bytes"):format(size), "too_large"
      end
      chunks[#chunks + 1] = chunk
      return true
    end
end

local function request(call, given)
  given = options.read(call, given, request_spec)
  local stream = given.stream
  local seconds = stream and (given.timeout or TIMEOUT) or nil
  local fetch <close>, problem, problem_code = start(call, given, stream ~= nil)
  if not fetch then
    return nil, problem, problem_code
  end
  local status, headers, code =
    fetch:head(seconds or math.min((given.timeout or TIMEOUT) + GRACE, 1e9))
  if not status then
    return nil, headers, code
  end
  local chunks, take = collect(given.size or SIZE)
  local response = setmetatable({ status = status, headers = headers, body = "" }, Response)
  if stream then
    take = function(chunk)
      if stream(chunk, response) == false then
        return nil, "the function of the option 'stream' returned false", "closed"
      end
      return true
    end
  end
  local ok, message
  ok, message, code = read_all(fetch, seconds, take)
  if not ok then
    return nil, message, code
  end
  response.body = table.concat(chunks)
  return response
end

--- Sends a request, and waits for the answer.
---@param given moonwire.http.Options
---@return moonwire.http.Response|nil
---@return string|nil message
---@return string|nil code
function http.request(given)
  return request("moonwire.http.request", given)
end

local function with_url(call, url, given, method)
  options.argument(call, 1, url, "string")
  local merged = { url = url, method = method }
  for name, value in pairs(given or {}) do
    if name == "url" or name == "method" then
      fail(call, "option '%s' is for moonwire.http.request", name)
    end
    merged[name] = value
  end
  return request(call, merged)
end

--- Does http.request with the method GET.
---@param url string
---@param given? moonwire.http.Options
---@return moonwire.http.Response|nil
---@return string|nil message
---@return string|nil code
function http.get(url, given)
  return with_url("moonwire.http.get", url, given, "GET")
end

--- Does http.request with the method POST.
---@param url string
---@param given? moonwire.http.Options
---@return moonwire.http.Response|nil
---@return string|nil message
---@return string|nil code
function http.post(url, given)
  return with_url("moonwire.http.post", url, given, "POST")
end

-- ---- Event streams ---------------------------------------------------------------------------------------------------------

---@class moonwire.http.Event
---@field event string "message" if the server states none
---@field data string
---@field id string|nil the last id that the server has stated

--- Reads an event stream: for event in moonwire.http.events { url = … } do. Raises if the answer is
--- not one, or is cut. The loop ends when the server ends the stream.
---@param given moonwire.http.Options
---@return fun(): moonwire.http.Event|nil
function http.events(given)
  local call = "moonwire.http.events"
  given = options.read(call, given, events_spec)
  local headers = { Accept = "text/event-stream" }
  for name, value in pairs(given.headers or {}) do
    headers[name] = value
  end
  local seconds = given.timeout or TIMEOUT
  local fetch, message = start(call, setmetatable({ headers = headers }, { __index = given }), true)
  if not fetch then
    error(("%s: %s"):format(shown(given.url), message), 2)
  end
  local status, fields, code = fetch:head(seconds)
  local kind = status and fields["content-type"] or ""
  if not status or status ~= 200 or not kind:find "^text/event%-stream" then
    fetch:close()
    if code == "closed" then
      return function() end
    end
    local why = not status and fields
      or status ~= 200 and ("the server answered %d"):format(status)
      or ("the server answered with %s"):format(kind ~= "" and kind or "no content type")
    error(("%s: %s"):format(shown(given.url), why), 2)
  end
  return events.iterate(fetch, seconds, shown(given.url)), nil, nil, fetch
end

return http
