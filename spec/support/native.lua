-- A client of the native protocol over a raw socket, which decides itself what goes into one write and when it is cut.

local dkjson = require "dkjson"
local http = require "spec.support.http"

local client = {}
client.__index = client

local TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

local function frame(opcode, payload)
  local length = #payload
  local head = length < 126 and string.pack("BB", 0x80 | opcode, 0x80 | length)
    or length < 65536 and string.pack(">BBI2", 0x80 | opcode, 0x80 | 126, length)
    or string.pack(">BBI8", 0x80 | opcode, 0x80 | 127, length)
  return head .. "\0\0\0\0" .. payload -- a mask of zeros leaves the payload as it is
end

local function decode(text)
  return assert(dkjson.decode(text))
end

-- Opens a WebSocket. `options`: target ("/ws"), protocol, timeout, receive_buffer, decode (of
-- JSON, which raises what it cannot read).
local function open(to, options)
  options = options or {}
  local connection = http.connect(to, options.timeout, options.receive_buffer)
  local headers = {
    Upgrade = "websocket",
    Connection = "Upgrade",
    ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    ["Sec-WebSocket-Protocol"] = options.protocol,
    Cookie = options.cookie,
  }
  assert(connection:send(http.format("GET", options.target or "/ws", { headers = headers })))
  local response = connection:read_head()
  assert(response.status == 101, response.head)
  return setmetatable({
    connection = connection,
    decode = options.decode or decode,
    last_ref = 0,
  }, client)
end

local function encode(object)
  return frame(TEXT, type(object) == "string" and object or dkjson.encode(object))
end

-- Sends objects (or texts as they are), all in one write.
function client:write(...)
  local frames = {}
  for i, object in ipairs { ... } do
    frames[i] = encode(object)
  end
  assert(self.connection:send(table.concat(frames)))
end

local function read_frame(connection)
  local first, length = string.unpack("BB", connection:read_bytes(2))
  if length == 126 then
    length = string.unpack(">I2", connection:read_bytes(2))
  elseif length == 127 then
    length = string.unpack(">I8", connection:read_bytes(8))
  end
  return first & 15, connection:read_bytes(length)
end

-- The next object; or nil, the code and the reason if the server closes.
function client:next()
  while true do
    local opcode, payload = read_frame(self.connection)
    if opcode == TEXT then
      return self.decode(payload)
    elseif opcode == PING then
      assert(self.connection:send(frame(PONG, payload)))
    elseif opcode == CLOSE then
      local code = string.unpack(">I2", payload)
      return nil, code, payload:sub(3)
    else
      error("a frame with opcode " .. opcode)
    end
  end
end

-- The opcode of the next frame; of a binary one also its object, as text, and its bytes.
function client:next_frame()
  local opcode, payload = read_frame(self.connection)
  return opcode, payload:match "^(.-)\n(.*)$"
end

-- A list of the next `count` objects.
function client:take(count)
  local list = {}
  for i = 1, count do
    local object, code = self:next()
    list[i] = object or error("closed with " .. code)
  end
  return list
end

-- Sends an object with a ref of its own. Returns its answer, and a list of what came before it.
function client:ask(object)
  self.last_ref = self.last_ref + 1
  local ref, before = "ask " .. self.last_ref, {}
  object.ref = ref
  self:write(object)
  while true do
    local came, code = self:next()
    if not came then
      error("closed with " .. code)
    elseif came.ref == ref then
      return came, before
    end
    before[#before + 1] = came
  end
end

-- Subscribes; returns what the acknowledgement says.
function client:subscribe(channel, since)
  local answer = self:ask { subscribe = channel, since = since }
  return answer.ok or error(dkjson.encode(answer))
end

function client:is_silent(seconds)
  return self.connection.buffer == "" and self.connection:is_silent(seconds)
end

function client:close()
  assert(self.connection:send(frame(CLOSE, string.pack(">I2", 1000))))
  local _, code = self:next()
  self.connection:close()
  return code
end

-- The connection just ends.
function client:cut()
  self.connection:close()
end

return { open = open }
