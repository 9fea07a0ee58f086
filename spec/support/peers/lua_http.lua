-- lua-http's client, for which Debian has all it needs under Lua 5.1:  lua5.1 lua_http.lua URL [PROTOCOL]. The steps are
-- those of scenario.mjs.

local dkjson = require "dkjson"
local websocket = require "http.websocket"

local url, protocol = ...
local CHANNEL = "room:peers"

local client = {}
client.__index = client

function client:send(object)
  assert(self.socket:send(dkjson.encode(object), "text", 5))
end

function client:next()
  local data, opcode = assert(self.socket:receive(10))
  if opcode == "text" then
    table.insert(self.told, (assert(dkjson.decode(data))))
  else
    local head, bytes = data:match "^([^\n]*)\n(.*)$"
    local object = (assert(dkjson.decode(head)))
    object.bytes = bytes:gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)
    table.insert(self.told, object)
  end
end

local function enter()
  local self = setmetatable({ told = {} }, client)
  self.socket = websocket.new_from_uri(url, protocol and { protocol })
  assert(self.socket:connect(5))
  if protocol then
    self:send { connect = setmetatable({}, { __jsontype = "object" }), ref = 0 }
    self:next()
  end
  self:send { subscribe = CHANNEL, ref = 1 }
  self:next()
  return self
end

local a, b = enter(), enter()
b:send { send = CHANNEL, event = "say", data = { text = "grüß dich ✓ 🌙" }, ref = "say" }
b:send { send = CHANNEL, event = "typing", data = { true }, ref = 3 }
local bytes = '{"send":"room:peers","event":"typing","ref":4}\n\0\n\255'
assert(b.socket:send(bytes, "binary", 5))
b:send { send = CHANNEL, event = "shout", ref = 5 }
b:send { ping = true, ref = 6 }
for _ = 1, 6 do
  b:next()
end
for _ = 1, 3 do
  a:next()
end
a:send { unsubscribe = CHANNEL, ref = 2 }
a:next()
local large = ("x"):rep(60000)
b:send { send = CHANNEL, event = "say", data = large, ref = 7 }
b:next()
b:next()
local echoed = b.told[#b.told - 1]
echoed.data = echoed.data == large and "the same" or "something else"
local closed = {}
for i, one in ipairs { a, b } do
  one.socket:close(1000, nil, 5)
  closed[i] = one.socket.got_close_code
end
print(dkjson.encode { said = { a.told, b.told }, closed = closed })
