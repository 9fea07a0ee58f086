-- A client of the native protocol by lua-http, whose WebSocket is none of ours.

local dkjson = require "dkjson"

-- Debian has lua-http's Lua files for releases of Lua before this one, which is all the same to them.
-- Each spec file loads this file again, in the same state.
local own_path = package.path
for _, release in ipairs { "5.3", "5.2" } do
  if not own_path:find("/lua/" .. release .. "/", 1, true) then
    package.path = package.path .. ";" .. own_path:gsub("/lua/5%.4/", "/lua/" .. release .. "/")
  end
end
local websocket = require "http.websocket"

local client = {}
client.__index = client

local TIMEOUT = 30

-- Opens a WebSocket at "/ws?user=ada". `options`: protocol, headers.
local function open(to, target, options)
  options = options or {}
  local url = ("ws://%s:%d%s"):format(to.host, to.port, target or "/ws")
  local socket = websocket.new_from_uri(url, options.protocol and { options.protocol })
  for name, value in pairs(options.headers or {}) do
    socket.request.headers:upsert(name, value)
  end
  assert(socket:connect(TIMEOUT))
  return setmetatable({ socket = socket, last_ref = 0 }, client)
end

-- Sends an object, or a text as it is.
function client:tell(object)
  local text = type(object) == "string" and object or dkjson.encode(object)
  assert(self.socket:send(text, "text", TIMEOUT))
end

-- Sends an object with bytes behind it.
function client:tell_bytes(object, bytes)
  assert(self.socket:send(dkjson.encode(object) .. "\n" .. bytes, "binary", TIMEOUT))
end

-- The next object, with the bytes behind it as `bytes`; nil, the code and the reason when it was closed.
function client:next()
  local data, kind = self.socket:receive(TIMEOUT)
  if not data then
    return nil, self.socket.got_close_code, self.socket.got_close_message
  end
  local head, bytes = data, nil
  if kind == "binary" then
    head, bytes = data:match "^([^\n]*)\n(.*)$"
  end
  local object = assert(dkjson.decode(head))
  object.bytes = bytes
  return object
end

-- Sends an object with a ref of its own and returns its answer, and the pushes that came before it.
function client:ask(object)
  self.last_ref = self.last_ref + 1
  local pushes = {}
  object.ref = "ask " .. self.last_ref
  self:tell(object)
  while true do
    local came, code, reason = self:next()
    if not came then
      error(
        ("closed (%s %s) before an answer to %s"):format(code, reason, dkjson.encode(object)),
        2
      )
    elseif came.ref == object.ref then
      return came, pushes
    end
    pushes[#pushes + 1] = came
  end
end

function client:subscribe(channel)
  local answer, pushes = self:ask { subscribe = channel }
  assert(answer.ok, dkjson.encode(answer))
  return answer.ok, pushes
end

function client:close(code)
  self.socket:close(code or 1000, nil, TIMEOUT)
end

-- The connection just ends.
function client:drop()
  self.socket.socket:close()
end

return { open = open }
