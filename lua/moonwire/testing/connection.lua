--- A connection to the server in memory, and the HTTP/1.1 responses on it.

---@class moonwire.testing.Connection
---@field buffer string what came and was not used yet
local Connection = {}
Connection.__index = Connection

---@param core moonwire.Server
---@return moonwire.testing.Connection|nil
---@return string|nil message
function Connection.open(core)
  local memory, message = core:connect_memory()
  if not memory then
    return nil, message
  end
  return setmetatable({ buffer = "", _memory = memory }, Connection)
end

--- Sends bytes. Bytes for a connection that the server has ended are lost, as on a network.
function Connection:write(bytes)
  self._memory:write(bytes)
end

--- Appends to the buffer what came. Returns whether anything did.
function Connection:read()
  local first = self._memory:read()
  if not first then
    return false
  end
  local parts = { self.buffer, first }
  for more in self._memory.read, self._memory do
    parts[#parts + 1] = more
  end
  self.buffer = table.concat(parts)
  return true
end

--- Takes bytes off the buffer; nil if it does not have as many.
function Connection:take(count)
  if #self.buffer < count then
    return nil
  end
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

--- Takes the bytes before a separator off the buffer, and the separator; nil if there is none.
function Connection:take_until(separator)
  local first, last = self.buffer:find(separator, 1, true)
  if not first then
    return nil
  end
  local bytes = self.buffer:sub(1, first - 1)
  self.buffer = self.buffer:sub(last + 1)
  return bytes
end

--- The server sends nothing more, and all of it was read.
function Connection:ended()
  return self._memory:ended()
end

function Connection:close()
  self._memory:close()
end

-- ---- Responses ------------------------------------------------------------------------------------------------------------

---@class moonwire.testing.Reader
---@field status integer|nil nil: the head did not come yet
---@field headers table<string, string> names in lower case; of several headers of a name the values are joined
---@field cookies table<string, string> what Set-Cookie sets
---@field body string as far as it came
---@field complete boolean
local Reader = {}
Reader.__index = Reader

--- Reads one response. `method` is the request's: a response to HEAD has no body.
---@param method string
---@return moonwire.testing.Reader
function Connection.reader(method)
  local self = { headers = {}, cookies = {}, body = "", complete = false }
  self._method, self._step = method, "head"
  return setmetatable(self, Reader)
end

local steps = {}

local function read_header(self, line)
  local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
  name = assert(name, "the response has the line " .. line):lower()
  self.headers[name] = self.headers[name] and self.headers[name] .. ", " .. value or value
  if name == "set-cookie" then
    local cookie, its_value = value:match "^%s*([^=;]+)=([^;]*)"
    self.cookies[cookie or value] = its_value
  end
end

local function body_step(self)
  local length = self.headers["content-length"]
  if self._method == "HEAD" or self.status == 204 or self.status == 304 then
    return "done"
  elseif (self.headers["transfer-encoding"] or ""):lower() == "chunked" then
    return "chunk"
  end
  self._left = tonumber(length)
  return length and "fixed" or "rest"
end

-- Each step returns the next one, or nil if it needs more bytes.
function steps.head(self, connection)
  local head = connection:take_until "\r\n\r\n"
  if not head then
    return nil
  end
  local first, lines = head:match "^([^\r\n]*)\r?\n?(.*)$"
  local status = tonumber(first:match "^HTTP/1%.[01] (%d%d%d)")
  assert(status, "the response begins with " .. first)
  if status < 200 and status ~= 101 then
    return "head" -- 100 Continue
  end
  self.status = status
  for line in lines:gmatch "[^\r\n]+" do
    read_header(self, line)
  end
  return status == 101 and "done" or body_step(self)
end

function steps.fixed(self, connection)
  local bytes = connection:take(self._left)
  if bytes then
    self.body = bytes
    return "done"
  end
end

function steps.chunk(self, connection)
  local line = connection:take_until "\r\n"
  if line then
    self._left = assert(tonumber(line:match "^%x+", 16), "a chunk begins with " .. line)
    return self._left > 0 and "data" or "last"
  end
end

function steps.data(self, connection)
  local bytes = connection:take(self._left + 2)
  if bytes then
    self.body = self.body .. bytes:sub(1, -3)
    return "chunk"
  end
end

function steps.last(_, connection)
  return connection:take_until "\r\n" and "done" or nil
end

function steps.rest(self, connection)
  self.body = self.body .. connection.buffer
  connection.buffer = ""
  return connection:ended() and "done" or nil
end

--- Uses what is in the connection's buffer.
function Reader:feed(connection)
  while not self.complete do
    local step = steps[self._step](self, connection)
    if not step then
      return
    end
    self._step = step
    self.complete = step == "done"
  end
end

--- Takes what came of the body.
function Reader:take_body()
  local body = self.body
  self.body = ""
  return body
end

return Connection
