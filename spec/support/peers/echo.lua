-- lua-http's client against an endpoint that echoes:  lua5.1 echo.lua URL; prints as echo.mjs does.

local dkjson = require "dkjson"
local websocket = require "http.websocket"

local socket = websocket.new_from_uri((...))
assert(socket:connect(5))

local echoed = {}

local function check(what, data, kind)
  assert(socket:send(data, kind, 5))
  local came, came_kind = assert(socket:receive(10))
  echoed[what] = came == data and came_kind == kind
end

check("text", "grüß dich ✓ 🌙", "text")
check("nothing", "", "text")
check("binary", "\0\1\2\255", "binary")
check("large", ("a large text ✓ "):rep(70000), "text")
socket:close(4002, "enough", 5)
local closed = { socket.got_close_code, socket.got_close_message }
print(dkjson.encode { extensions = "", echoed = echoed, closed = closed })
