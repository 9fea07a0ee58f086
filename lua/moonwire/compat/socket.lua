--- moonwire.compat.socket: what drivers for LuaSocket use of it, on moonwire.socket. Takes the places
--- of the modules socket, socket.unix, and, unless it is installed, socket.url. Other modules of
--- LuaSocket, such as socket.http, do not run on it.
local core = require "moonwire.core"
local tcp = require "moonwire.socket"

local socket = { _VERSION = "LuaSocket 3.0 (moonwire)", gettime = core.now }

-- LuaSocket waits without limit by default, and with a negative number.
local WITHOUT_LIMIT = 1e9

local Socket = {}
Socket.__index = Socket

local function new(is_unix)
  local self = setmetatable({ _socket = tcp.tcp(), _is_unix = is_unix, _received = 0 }, Socket)
  self._socket:settimeout(WITHOUT_LIMIT)
  return self
end

function Socket:connect(host, port)
  local ok, message
  if self._is_unix then
    ok, message = self._socket:connect("unix:" .. host)
  else
    ok, message = self._socket:connect(host, port)
  end
  if not ok then
    return nil, message
  end
  self._host, self._port = host, port
  return 1
end

--- Sends data[i..j]. Returns the index of the last byte; or nil, a message, and the index before it.
function Socket:send(data, i, j)
  data = tostring(data)
  i, j = i or 1, j or -1
  local part = data:sub(i, j)
  local first = i < 0 and math.max(#data + i + 1, 1) or math.max(i, 1)
  local ok, message = self._socket:send(part)
  if not ok then
    return nil, message, first - 1
  end
  return first + #part - 1
end

function Socket:receive(pattern, prefix)
  prefix = prefix or ""
  if type(pattern) == "number" then
    pattern = math.max(pattern - #prefix, 0)
  end
  local text, message, partial = self._socket:receive(pattern)
  if not text then
    return nil, message, prefix .. (partial or "")
  end
  return prefix .. text
end

function Socket:settimeout(seconds)
  self._socket:settimeout(seconds and seconds >= 0 and seconds or WITHOUT_LIMIT)
  return 1
end

function Socket:close()
  self._socket:close()
  return 1
end

--- Closes the connection: one direction alone cannot be shut down.
function Socket:shutdown()
  return self:close()
end

function Socket:dirty()
  return self._socket:_unread() > 0
end

function Socket:getpeername()
  return self._host, self._port
end

function Socket.setoption()
  return 1
end

function Socket.getfd()
  return -1
end

function socket.tcp()
  return new(false)
end
socket.tcp4, socket.tcp6 = socket.tcp, socket.tcp

function socket.connect(host, port)
  local self = new(false)
  local ok, message = self:connect(host, port)
  if not ok then
    return nil, message
  end
  return self
end

function socket.sleep(seconds)
  return core.sleep(math.max(seconds, 0))
end

function socket.select()
  error(
    "socket.select is not available in moonwire: a task waits for one socket at a time; "
      .. "start a task for each with app:spawn",
    2
  )
end

local function new_unix()
  return new(true)
end
local unix = setmetatable({ stream = new_unix, tcp = new_unix }, { __call = new_unix })

-- The parts of a URL that drivers read.
local url = {}

function url.unescape(text)
  return (
    text:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  )
end

function url.parse(text)
  local parts = {}
  local rest = text:gsub("#(.*)$", function(fragment)
    parts.fragment = fragment
    return ""
  end)
  rest = rest:gsub("^(%a[%w+.-]*):", function(scheme)
    parts.scheme = scheme:lower()
    return ""
  end)
  rest = rest:gsub("^//([^/?]*)", function(authority)
    parts.authority = authority
    return ""
  end)
  rest = rest:gsub("%?(.*)$", function(query)
    parts.query = query
    return ""
  end)
  parts.path = rest ~= "" and rest or nil
  if parts.authority then
    local user, place = parts.authority:match "^(.*)@(.*)$"
    local name, password = (user or ""):match "^([^:]*):?(.*)$"
    parts.userinfo, parts.user = user, user and name
    parts.password = password ~= "" and password or nil
    place = place or parts.authority
    parts.port = place:match ":(%d+)$"
    parts.host = place:gsub(":%d+$", ""):gsub("^%[(.*)%]$", "%1")
  end
  return parts
end

package.loaded["socket"] = socket
package.loaded["socket.unix"] = unix
if not package.searchpath("socket.url", package.path) then
  package.loaded["socket.url"] = url
end

return socket
