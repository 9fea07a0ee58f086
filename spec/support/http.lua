-- A small HTTP/1.1 client over raw sockets, which can also send what no client should.

local socket = require "socket"
local unix = require "socket.unix"

local http = {}
local connection = {}
connection.__index = connection

-- Connects to a server of spec.support.server, or to one of its listeners. Every wait is bounded by `timeout`
-- (30 seconds, so that on a busy machine only what never comes fails). `receive_buffer` is the size in bytes that the kernel
-- keeps of what arrives and is not read; by default the kernel's choice, which may grow to tens of megabytes.
function http.connect(to, timeout, receive_buffer)
  local self = setmetatable({ buffer = "", timeout = timeout or 30 }, connection)
  if to.path then
    self.socket = assert(unix())
    assert(self.socket:connect(to.path))
  else
    self.socket = assert(to.host:find(":", 1, true) and socket.tcp6() or socket.tcp4())
    if receive_buffer then
      assert(self.socket:setoption("recv-buffer-size", receive_buffer))
    end
    assert(self.socket:connect(to.host, to.port))
    self.socket:setoption("tcp-nodelay", true)
  end
  self.socket:settimeout(0)
  return self
end

-- Sends everything; nil and the error if the peer closed meanwhile.
function connection:send(text)
  local sent = 0
  while sent < #text do
    local last, fault, partial = self.socket:send(text, sent + 1)
    if fault == "timeout" then
      local _, writable = socket.select(nil, { self.socket }, self.timeout)
      if not writable[1] then
        return nil, "timeout"
      end
    elseif fault then
      return nil, fault
    end
    sent = last or partial
  end
  return true
end

-- Waits for more bytes; nil and "closed" or "timeout".
function connection:fill(deadline)
  while true do
    local data, fault, partial = self.socket:receive(65536)
    data = data or partial
    if data ~= "" then
      self.buffer = self.buffer .. data
      return true
    end
    if fault ~= "timeout" then
      return nil, "closed"
    end
    local left = deadline - socket.gettime()
    if left <= 0 or not socket.select({ self.socket }, nil, left)[1] then
      return nil, "timeout"
    end
  end
end

function connection:deadline(seconds)
  return socket.gettime() + (seconds or self.timeout)
end

local function need(self, deadline, what)
  local ok, fault = self:fill(deadline)
  if not ok then
    error(("%s while waiting for %s; so far: %q"):format(fault, what, self.buffer:sub(1, 200)), 0)
  end
end

function connection:read_until(text)
  local deadline = self:deadline()
  while true do
    local first, last = self.buffer:find(text, 1, true)
    if first then
      local part = self.buffer:sub(1, first - 1)
      self.buffer = self.buffer:sub(last + 1)
      return part
    end
    need(self, deadline, ("%q"):format(text))
  end
end

function connection:read_bytes(count)
  local deadline = self:deadline()
  while #self.buffer < count do
    need(self, deadline, count .. " bytes")
  end
  local part = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return part
end

-- Everything until the peer closes.
function connection:read_rest()
  local deadline = self:deadline()
  while true do
    local ok, fault = self:fill(deadline)
    if not ok then
      assert(fault == "closed", "the connection stays open")
      local part = self.buffer
      self.buffer = ""
      return part
    end
  end
end

-- True if the peer closes within the time-out and sends nothing more.
function connection:is_closed()
  local ok, fault = self:fill(self:deadline())
  return not ok and fault == "closed" and self.buffer == ""
end

-- True if nothing comes within `seconds`.
function connection:is_silent(seconds)
  local ok, fault = self:fill(self:deadline(seconds))
  return not ok and fault == "timeout"
end

function connection:read_head()
  local head = self:read_until "\r\n\r\n"
  local lines = head:gmatch "[^\r\n]+"
  local first = lines()
  local version, status, reason = first:match "^HTTP/(%d%.%d) (%d%d%d) (.*)$"
  assert(version, "no status line: " .. first)
  local response =
    { version = version, status = tonumber(status), reason = reason, headers = {}, head = head }
  for line in lines do
    local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
    assert(name, "no header field: " .. line)
    response.headers[name:lower()] = value
  end
  return response
end

-- One chunk of a chunked body, or nil after the last one.
function connection:read_chunk()
  local size = tonumber(self:read_until("\r\n"):match "^%x+", 16)
  local data = self:read_bytes(size)
  assert(self:read_bytes(2) == "\r\n", "no line end behind a chunk")
  return size > 0 and data or nil
end

local function read_body(self, response)
  if response.headers["transfer-encoding"] == "chunked" then
    local chunks = {}
    for chunk in self.read_chunk, self do
      chunks[#chunks + 1] = chunk
    end
    return table.concat(chunks)
  end
  local length = tonumber(response.headers["content-length"])
  if length then
    return self:read_bytes(length)
  end
  return self:read_rest()
end

-- Reads one response. `method` is the request's: HEAD has no body.
function connection:read_response(method)
  local response = self:read_head()
  if
    method == "HEAD"
    or response.status == 204
    or response.status == 304
    or response.status < 200
  then
    response.body = ""
  else
    response.body = read_body(self, response)
  end
  return response
end

function connection:close()
  self.socket:close()
end

-- The text of a request. `options`: headers (table), body, version ("1.1"), host.
function http.format(method, target, options)
  options = options or {}
  local lines = { ("%s %s HTTP/%s"):format(method, target, options.version or "1.1") }
  local headers = { Host = options.host or "localhost" }
  if options.body then
    headers["Content-Length"] = #options.body
  end
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  for name, value in pairs(headers) do
    lines[#lines + 1] = ("%s: %s"):format(name, value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

-- One request on a connection of its own.
function http.request(to, method, target, options)
  local self = http.connect(to)
  assert(self:send(http.format(method, target, options)))
  local response = self:read_response(method)
  self:close()
  return response
end

function http.get(to, target, headers)
  return http.request(to, "GET", target, { headers = headers })
end

-- Sends bytes as they are on a connection of its own, and returns all that comes until the peer closes.
function http.raw(to, text)
  local self = http.connect(to)
  self:send(text) -- the peer may close before it has read all
  local rest = self:read_rest()
  self:close()
  return rest
end

return http
