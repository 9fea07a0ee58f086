--- The client's side of a WebSocket (RFC 6455), without extensions: the upgrade, masked frames,
--- pings and closing.
local Connection = require "moonwire.testing.connection"
local text = require "moonwire.testing.text"

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

-- Of the standard's example: the key is not a secret, and its answer is known.
local KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

---@class moonwire.testing.Frames
---@field response moonwire.testing.Reader of the upgrade
---@field state "opening"|"open"|"closing"|"closed"
---@field protocol string|nil the subprotocol
---@field close_code integer|nil 1005 and 1006 as in browsers
---@field close_reason string|nil
---@field on_message fun(payload: string, is_binary: boolean)
local Frames = {}
Frames.__index = Frames

---@param connection moonwire.testing.Connection
---@param target string
---@param headers table|nil
---@param protocols string[]|nil
---@param on_message fun(payload: string, is_binary: boolean)
function Frames.open(connection, target, headers, protocols, on_message)
  local own = {
    upgrade = "websocket",
    connection = "Upgrade",
    ["sec-websocket-version"] = 13,
    ["sec-websocket-key"] = KEY,
    ["sec-websocket-protocol"] = protocols and #protocols > 0 and table.concat(protocols, ", ")
      or nil,
  }
  connection:write(text.request("GET", target, own, headers))
  return setmetatable({
    response = Connection.reader "GET",
    state = "opening",
    on_message = on_message,
    _connection = connection,
  }, Frames)
end

local function mask(payload, key)
  local word = string.unpack("<I4", key)
  local long, parts, at = word | word << 32, {}, 1
  while at + 7 <= #payload do
    parts[#parts + 1] = string.pack("<i8", string.unpack("<i8", payload, at) ~ long)
    at = at + 8
  end
  for i = at, #payload do
    parts[#parts + 1] = string.char(payload:byte(i) ~ key:byte((i - 1) % 4 + 1))
  end
  return table.concat(parts)
end

local function write_frame(self, opcode, payload)
  local length = #payload
  local head = length < 126 and string.pack("BB", 0x80 | opcode, 0x80 | length)
    or length < 65536 and string.pack(">BBI2", 0x80 | opcode, 0x80 | 126, length)
    or string.pack(">BBI8", 0x80 | opcode, 0x80 | 127, length)
  local key = string.pack("<I4", math.random(0, 0xffffffff))
  self._connection:write(head .. key .. mask(payload, key))
end

-- The next frame: whether it is the last of its message, its opcode, its payload; nil if it is not
-- complete.
local function read_frame(connection)
  local buffer = connection.buffer
  if #buffer < 2 then
    return nil
  end
  local first, length, at = string.unpack("BB", buffer)
  assert(length < 128, "the server masks its frames")
  local format = length == 126 and ">I2" or length == 127 and ">I8" or nil
  if format then
    if #buffer < at + string.packsize(format) - 1 then
      return nil
    end
    length, at = string.unpack(format, buffer, at)
  end
  if #buffer < at + length - 1 then
    return nil
  end
  local payload = buffer:sub(at, at + length - 1)
  connection.buffer = buffer:sub(at + length)
  return first & 0x80 ~= 0, first & 15, payload
end

local function set_closed(self, code, reason)
  self.state = "closed"
  self.close_code, self.close_reason = self.close_code or code, self.close_reason or reason
  self._connection:close()
end

local function on_close_frame(self, payload)
  local code = #payload >= 2 and string.unpack(">I2", payload) or 1005
  self.close_code, self.close_reason = code, payload:sub(3)
  if self.state == "open" then
    write_frame(self, CLOSE, payload:sub(1, 2))
    self.state = "closing" -- the server ends the connection
  end
end

local function on_frame(self, is_last, opcode, payload)
  if opcode == PING then
    write_frame(self, PONG, payload)
  elseif opcode == CLOSE then
    on_close_frame(self, payload)
  elseif opcode ~= PONG then
    if opcode ~= CONTINUATION then
      self._opcode, self._parts = opcode, {}
    end
    table.insert(self._parts, payload)
    if is_last and self.state == "open" then
      self.on_message(table.concat(self._parts), self._opcode == BINARY)
    end
  end
end

local function finish_upgrade(self)
  local response = self.response
  response:feed(self._connection)
  if response.status == 101 then
    assert(
      response.headers["sec-websocket-accept"] == ACCEPT,
      "the upgrade has another Sec-WebSocket-Accept"
    )
    self.protocol = response.headers["sec-websocket-protocol"]
    self.state = "open"
  elseif response.complete then
    set_closed(self, 1006, "")
  end
end

--- Reads what came and answers what must be answered. Returns whether anything came.
function Frames:pump()
  if self.state == "closed" or self.paused then
    return false
  end
  local moved = self._connection:read()
  if self.state == "opening" then
    finish_upgrade(self)
  end
  while self.state == "open" or (self.state == "closing" and not self.close_code) do
    local is_last, opcode, payload = read_frame(self._connection)
    if not opcode then
      break
    end
    on_frame(self, is_last, opcode, payload)
  end
  if self.state ~= "closed" and self._connection:ended() then
    set_closed(self, 1006, "")
    moved = true
  end
  return moved
end

---@param payload string
---@param is_binary boolean|nil
function Frames:send(payload, is_binary)
  write_frame(self, is_binary and BINARY or TEXT, payload)
end

--- Sends a close frame; the server answers it and ends the connection.
function Frames:close(code, reason)
  if self.state == "open" then
    write_frame(self, CLOSE, string.pack(">I2", code or 1000) .. (reason or ""))
    self.state = "closing"
  end
end

--- Ends the connection without a close frame.
function Frames:drop()
  if self.state ~= "closed" then
    set_closed(self, 1006, "")
  end
end

return Frames
