--- moonwire.socket: TCP, TLS, and unix-socket clients that wait instead of blocking, with the methods
--- and results of OpenResty's cosockets. Times are in seconds.
local core = require "moonwire.core"
local options = require "moonwire.options"

---@class moonwire.socket
local socket = {}

-- Bounds: what one receive may return; sockets in all pools, and in one.
local RECEIVE_MAX, POOLED_MAX, POOL_SIZE_MAX, POOL_SIZE = 64 * 1024 * 1024, 1000, 1000, 30
local TIMEOUT, IDLE, IDLE_MAX = 60, 60, 3600

---@class moonwire.TcpSocket
---@field package _connection userdata|nil nil: not connected
---@field package _ahead string what was received, and put back
---@field package _owes boolean an answer may still come
local Tcp = {}
Tcp.__index = Tcp

-- ---- The pool -------------------------------------------------------------------------------------------------------------

-- Pools by name: { size = most sockets, [1] = the one that waits longest, … }. An item has the
-- connection, how often it was used again, and whom TLS has verified.
local pools, pooled_count = {}, 0

local function forget_closed()
  pooled_count = 0
  for name, pool in pairs(pools) do
    for i = #pool, 1, -1 do
      if not pool[i].connection:is_parked() then
        table.remove(pool, i)
      end
    end
    pooled_count = pooled_count + #pool
    if #pool == 0 then
      pools[name] = nil
    end
  end
end

local function take_pooled(name)
  local pool = pools[name]
  while pool and #pool > 0 do
    local item = table.remove(pool)
    pooled_count = pooled_count - 1
    if item.connection:adopt() then
      return item
    end
    item.connection:discard()
  end
  pools[name] = nil
end

local function put_pooled(name, size, item)
  local pool = pools[name]
  if pool and #pool >= pool.size or pooled_count >= POOLED_MAX then
    forget_closed()
    pool = pools[name]
  end
  if not pool then
    pool = { size = size }
    pools[name] = pool
  end
  if #pool >= pool.size then
    table.remove(pool, 1).connection:discard()
  elseif pooled_count >= POOLED_MAX then
    item.connection:discard()
    return nil, "too many sockets in the pools"
  else
    pooled_count = pooled_count + 1
  end
  pool[#pool + 1] = item
  return true
end

-- ---- Checks of arguments --------------------------------------------------------------------------------------------------

local function check_seconds(call, position, value, default)
  if value == nil then
    return default
  elseif type(value) ~= "number" or value ~= value or value < 0 or value > 1e9 then
    local text = "%s: argument %d must be seconds from 0 to 1e9, got %s"
    options.raise(text:format(call, position, options.show(value)))
  end
  return value
end

local connect_spec = { pool = "string", pool_size = "count" }

local function check_target(host, port, given)
  local call = "tcp:connect"
  options.argument(call, 1, host, "string")
  local path = host:match "^unix:(.+)$"
  if path then
    if type(port) == "table" then
      given = port
    end
    port = nil
  else
    port = math.tointeger(tonumber(port))
    if not port or port < 1 or port > 65535 then
      options.raise(("%s: argument 2 must be a port from 1 to 65535"):format(call))
    end
  end
  given = options.read(call, given, connect_spec)
  local size = given.pool_size or POOL_SIZE
  if size < 1 or size > POOL_SIZE_MAX then
    options.raise(("%s: option 'pool_size' must be from 1 to %d"):format(call, POOL_SIZE_MAX))
  end
  return path or host, port, given.pool or (path and host or host .. ":" .. port), size
end

-- ---- Connecting -----------------------------------------------------------------------------------------------------------

--- Returns a socket that is not connected.
---@return moonwire.TcpSocket
function socket.tcp()
  return setmetatable({
    _ahead = "",
    _owes = false,
    _connect_timeout = TIMEOUT,
    _send_timeout = TIMEOUT,
    _read_timeout = TIMEOUT,
  }, Tcp)
end

--- Connects, or takes a connection out of the pool. Waits.
---@param host string a name, an address, or "unix:" with a path
---@param port integer|nil none for a unix socket
---@param given? { pool: string?, pool_size: integer? }
---@return true|nil
---@return string|nil message "timeout", "closed", "connection refused", …
function Tcp:connect(host, port, given)
  local target, number, pool, size = check_target(host, port, given)
  if self._connection then
    self._connection:close()
  end
  self._ahead, self._owes, self._pool, self._pool_size = "", false, pool, size
  self._host = number and host or nil
  local item = take_pooled(pool)
  if item then
    self._connection, self._reused, self._verified = item.connection, item.reused + 1, item.verified
    return true
  end
  local connection, message = core.connect(target, number, self._connect_timeout)
  self._connection, self._reused, self._verified = connection, 0, nil
  if not connection then
    return nil, message
  end
  return true
end

--- Connects a new socket. Waits.
---@param host string
---@param port integer|nil
---@param given? { pool: string?, pool_size: integer? }
---@return moonwire.TcpSocket|nil
---@return string|nil message
function socket.connect(host, port, given)
  local self = socket.tcp()
  local ok, message = self:connect(host, port, given)
  if not ok then
    return nil, message
  end
  return self
end

local tls_spec = { name = "string", verify = "boolean", ca = "string" }
local trusted

--- Names a file of certificates (PEM) that sslhandshake trusts in place of those of the system.
---@param path string|nil nil: those of the system
function socket.trust(path)
  if path ~= nil then
    options.argument("moonwire.socket.trust", 1, path, "string")
  end
  trusted = path
end

local function read_handshake(self, session, name, verify)
  local ca = trusted
  if type(session) == "table" then
    local given = options.read("tcp:sslhandshake", session, tls_spec)
    name, verify, ca = given.name, given.verify, given.ca or trusted
  elseif name ~= nil then
    options.argument("tcp:sslhandshake", 2, name, "string")
  end
  return name or self._host or "", verify ~= false, ca
end

--- Encrypts the connection with TLS, and verifies the peer's certificate. Waits.
---@param session? boolean|{ name: string?, verify: boolean?, ca: string? } options, or ignored
---@param name? string the name that the certificate must have; nil: the host
---@param verify? boolean false: any certificate is accepted
---@return true|nil
---@return string|nil message
function Tcp:sslhandshake(session, name, verify)
  if not self._connection then
    return nil, "closed"
  end
  local host, must_verify, ca = read_handshake(self, session, name, verify)
  local verified = ("%s %s %s"):format(host, must_verify, ca)
  if self._verified then
    if self._verified == verified then
      return true
    end
    self:close()
    return nil, "the pooled connection has other TLS options; use another pool"
  elseif #self._ahead > 0 then
    self:close()
    return nil, "data is left from before TLS"
  end
  local ok, message = self._connection:encrypt(host, self._connect_timeout, ca, not must_verify)
  if not ok then
    return nil, message
  end
  self._verified = verified
  return true
end

--- Sets the time-out of each wait, in seconds; nil: 60.
---@param seconds number|nil
function Tcp:settimeout(seconds)
  seconds = check_seconds("tcp:settimeout", 1, seconds, TIMEOUT)
  self._connect_timeout, self._send_timeout, self._read_timeout = seconds, seconds, seconds
  return true
end

--- Sets the time-outs of connecting, sending, and receiving; nil leaves one as it is.
---@param connect number|nil
---@param send number|nil
---@param read number|nil
function Tcp:settimeouts(connect, send, read)
  local call = "tcp:settimeouts"
  self._connect_timeout = check_seconds(call, 1, connect, self._connect_timeout)
  self._send_timeout = check_seconds(call, 2, send, self._send_timeout)
  self._read_timeout = check_seconds(call, 3, read, self._read_timeout)
  return true
end

-- ---- Sending --------------------------------------------------------------------------------------------------------------

local function flatten(data, parts, depth)
  for _, item in ipairs(data) do
    if type(item) == "table" and depth < 20 then
      flatten(item, parts, depth + 1)
    elseif type(item) == "string" or type(item) == "number" then
      parts[#parts + 1] = item
    else
      local text = "tcp:send: a table may have strings, numbers, and tables of them, got %s"
      options.raise(text:format(type(item)))
    end
  end
  return parts
end

--- Sends all of it. Waits until the system has accepted it.
---@param data string|number|table a table is sent as its items, one after the other
---@return integer|nil count of bytes
---@return string|nil message
function Tcp:send(data)
  if type(data) == "table" then
    data = table.concat(flatten(data, {}, 1))
  elseif type(data) == "number" then
    data = tostring(data)
  end
  options.argument("tcp:send", 1, data, "string")
  if not self._connection then
    return nil, "closed"
  end
  self._owes = true
  local ok, message = self._connection:send(data, self._send_timeout)
  if not ok then
    return nil, message
  end
  return #data
end

-- ---- Receiving ------------------------------------------------------------------------------------------------------------

-- Waits until something was received. Returns true, or nil and a message.
local function fill(self)
  if not self._connection then
    return nil, "closed"
  end
  return self._connection:fill(self._read_timeout)
end

-- Returns at least one byte, and at most so many; or nil and a message. Waits.
local function take(self, most)
  if self._ahead ~= "" then
    local text = self._ahead:sub(1, most)
    self._ahead = self._ahead:sub(most + 1)
    return text
  end
  local ok, message = fill(self)
  if not ok then
    return nil, message
  end
  return self._connection:take(most)
end

-- A receive that failed: what came of it is the third result. More may come.
local function fail(self, message, parts)
  self._owes = true
  if message == "too large" then
    self:close()
  end
  return nil, message, table.concat(parts)
end

local function receive_count(self, count)
  local parts, left = {}, count
  while left > 0 do
    local text, message = take(self, left)
    if not text then
      return fail(self, message, parts)
    end
    parts[#parts + 1] = text
    left = left - #text
  end
  self._owes = false
  return table.concat(parts)
end

local function receive_all(self)
  local parts, size = {}, 0
  while true do
    local text, message = take(self, RECEIVE_MAX)
    -- a task that is cancelled is told "closed", too
    if not text and self._connection and select(3, self._connection:state()) then
      self._owes = false
      return table.concat(parts)
    elseif not text then
      return fail(self, message, parts)
    end
    parts[#parts + 1] = text
    size = size + #text
    if size > RECEIVE_MAX then
      return fail(self, "too large", parts)
    end
  end
end

local function take_line(self)
  local ahead = self._ahead
  if ahead == "" then
    local ok, message = fill(self)
    if not ok then
      return nil, message
    end
    return self._connection:line()
  end
  local at = ahead:find("\n", 1, true)
  self._ahead = at and ahead:sub(at + 1) or ""
  return at and ahead:sub(1, at - 1) or ahead, at ~= nil
end

local function receive_line(self)
  local parts, size = {}, 0
  while true do
    local text, complete = take_line(self)
    if not text then
      return fail(self, complete, parts)
    end
    parts[#parts + 1] = text
    size = size + #text
    if complete then
      self._owes = false
      return (table.concat(parts):gsub("\r", ""))
    elseif size > RECEIVE_MAX then
      return fail(self, "too large", parts)
    end
  end
end

--- Receives a line, a number of bytes, or everything until the peer ends. Waits.
---@param pattern? integer|"*l"|"*a" nil: "*l", a line without its end
---@return string|nil
---@return string|nil message "timeout" (the connection stays open), "closed", …
---@return string|nil partial what came before that
function Tcp:receive(pattern)
  local call = "tcp:receive"
  if not self._connection then
    return nil, "closed", ""
  elseif pattern == nil or pattern == "*l" or pattern == "l" then
    return receive_line(self)
  elseif pattern == "*a" or pattern == "a" then
    return receive_all(self)
  end
  local count = math.tointeger(tonumber(pattern))
  if not count or count < 0 or count > RECEIVE_MAX then
    local text = '%s: argument 1 must be "*l", "*a", or a number of bytes up to %d, got %s'
    options.raise(text:format(call, RECEIVE_MAX, options.show(pattern)))
  end
  return receive_count(self, count)
end

--- Receives what is there, at least one byte. Waits.
---@param most integer
---@return string|nil
---@return string|nil message
function Tcp:receiveany(most)
  most = math.tointeger(most)
  if not most or most < 1 or most > RECEIVE_MAX then
    local text = "tcp:receiveany: argument 1 must be a number of bytes from 1 to %d"
    options.raise(text:format(RECEIVE_MAX))
  end
  local text, message = take(self, most)
  if not text then
    return fail(self, message, {})
  end
  self._owes = false
  return text
end

local until_spec = { inclusive = "boolean" }

-- Returns the text before the delimiter, or, with a size, up to so many bytes of it.
local function receive_until(self, state, size)
  if state.ended then
    state.ended = false
    return nil, nil, nil
  end
  local delimiter, text = state.delimiter, ""
  local keep = #delimiter - 1 -- so much at the end may be a part of it
  while true do
    local from, to = text:find(delimiter, 1, true)
    if from and not (size and from - 1 > size) then
      local result = text:sub(1, state.inclusive and to or from - 1)
      self._ahead = text:sub(to + 1) .. self._ahead
      state.ended = size ~= nil
      self._owes = false
      return result
    elseif size and #text - keep >= size then
      self._ahead = text:sub(size + 1) .. self._ahead
      return text:sub(1, size)
    end
    local more, message = take(self, RECEIVE_MAX)
    if not more then
      return fail(self, message, { text })
    end
    text = text .. more
    if #text > RECEIVE_MAX then
      return fail(self, "too large", { text })
    end
  end
end

--- Returns a function that receives up to a delimiter, which is removed. The function waits. With a
--- number of bytes it returns the text in parts, and then nil.
---@param delimiter string
---@param given? { inclusive: boolean? } the delimiter is returned, too
---@return fun(size: integer?): string|nil, string|nil, string|nil
function Tcp:receiveuntil(delimiter, given)
  local call = "tcp:receiveuntil"
  options.argument(call, 1, delimiter, "string")
  if delimiter == "" then
    options.raise(call .. ": the delimiter must not be empty")
  end
  local state =
    { delimiter = delimiter, inclusive = options.read(call, given, until_spec).inclusive }
  return function(size)
    if size ~= nil and (math.type(size) ~= "integer" or size < 1) then
      options.raise(call .. ": the size must be a positive integer")
    end
    return receive_until(self, state, size)
  end
end

-- ---- Ends -----------------------------------------------------------------------------------------------------------------

--- Puts the connection into the pool, for the next task that connects to the same place. A connection
--- on which anything is unread, or an answer is owed, is closed instead.
---@param seconds? number until it is closed; nil: 60
---@param size? integer of the pool, if there is none yet; nil: that of connect
---@return true|nil
---@return string|nil message
function Tcp:setkeepalive(seconds, size)
  local call = "tcp:setkeepalive"
  seconds = check_seconds(call, 1, seconds, IDLE)
  seconds = seconds == 0 and IDLE_MAX or math.min(seconds, IDLE_MAX)
  size = size == nil and self._pool_size or math.tointeger(size)
  if self._pool and (not size or size < 1 or size > POOL_SIZE_MAX) then
    options.raise(("%s: argument 2 must be from 1 to %d"):format(call, POOL_SIZE_MAX))
  end
  local connection = self._connection
  self._connection = nil
  if not connection then
    return nil, "closed"
  end
  local unread, is_usable = connection:state()
  if not unread then
    return nil, "closed"
  elseif unread > 0 or #self._ahead > 0 or self._owes or not is_usable then
    connection:close()
    return nil,
      (unread > 0 or #self._ahead > 0) and "unread data in buffer"
        or not is_usable and "closed"
        or "an answer is owed"
  end
  local ok, message = connection:park(seconds)
  if not ok then
    return nil, message
  end
  local item = { connection = connection, reused = self._reused, verified = self._verified }
  return put_pooled(self._pool, size, item)
end

--- Returns how often the connection was taken out of the pool.
---@return integer|nil
---@return string|nil message
function Tcp:getreusedtimes()
  if not self._connection then
    return nil, "closed"
  end
  return self._reused
end

--- Closes the connection.
---@return true|nil
---@return string|nil message
function Tcp:close()
  local connection = self._connection
  self._connection, self._ahead = nil, ""
  if not connection then
    return nil, "closed"
  end
  return connection:close()
end

-- Returns the number of bytes that were received and not taken.
---@package
function Tcp:_unread()
  local unread = self._connection and self._connection:state()
  return (unread or 0) + #self._ahead
end

-- Returns the hash of the peer's certificate (tls-server-end-point), and the certificate (DER), or
-- nothing. For moonwire.compat.ngx.
---@package
function Tcp:_binding()
  if self._connection then
    return self._connection:binding()
  end
end

--- Has no effect: Nagle's algorithm is always off, and TCP keep-alive on.
---@return true
function Tcp.setoption()
  return true
end

options.guard(Tcp, "tcp")

return socket
