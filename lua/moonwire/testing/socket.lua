--- A client of a WebSocket that the app serves by app:websocket.
local Frames = require "moonwire.testing.frames"
local Inbox = require "moonwire.testing.inbox"
local options = require "moonwire.options"
local refusal = require "moonwire.testing.refusal"
local text = require "moonwire.testing.text"

local spec = {
  protocols = "strings",
  headers = "table",
  cookies = "table",
  query = "table",
  token = "string",
  within = "seconds",
  name = "text",
}

local Socket = {}
Socket.__index = Socket
Socket.__name = "moonwire.testing.Socket"
Inbox.mix(Socket)
Socket.take_all = nil

---@param server moonwire.testing.Server
---@param call string
---@param path string
---@param given table|nil
function Socket._open(server, call, path, given)
  options.argument(call, 1, path, "string")
  given = text.add_cookies(options.read(call, given, spec))
  local self = setmetatable({
    name = given.name or server:_next_name "socket",
    closed = false,
    _server = server,
    _inbox = {},
  }, Socket)
  local target = text.target(path, given.query)
  self._frames = Frames.open(
    server:_connect(),
    target,
    text.headers({}, given.headers, given.token),
    given.protocols,
    function(payload, is_binary)
      table.insert(self._inbox, { payload = payload, is_binary = is_binary })
    end
  )
  server:_add(self)
  server:_await(given.within, function()
    return self._frames.state ~= "opening"
  end)
  if self._frames.response.status ~= 101 then
    self._frames:drop()
    self.closed = true
    return refusal.of(self._frames.response)
  end
  self.protocol = self._frames.protocol
  return self
end

function Socket:pump()
  local frames = self._frames
  frames.paused = self.paused
  local moved = frames:pump()
  if frames.state == "closed" then
    self.closed, self.close_code, self.close_reason = true, frames.close_code, frames.close_reason
  end
  return moved
end

function Socket._describe(message)
  if message.is_binary then
    return ("%d bytes"):format(#message.payload)
  end
  return text.show(message.payload)
end

--- Takes the first message that was received.
---@return string message
---@return boolean is_binary
function Socket:take()
  local message = Inbox.take(self)
  return message.payload, message.is_binary
end

local function send(self, call, payload, is_binary)
  options.argument(call, 1, payload, "string")
  if self._frames.state ~= "open" then
    Inbox.fail(self.name, "the socket is closed; nothing can be sent")
  end
  self._frames:send(payload, is_binary)
  self._server:_settle()
end

--- Sends a text message.
---@param payload string
function Socket:send(payload)
  send(self, "socket:send", payload, false)
end

--- Sends a binary message.
---@param payload string
function Socket:send_binary(payload)
  send(self, "socket:send_binary", payload, true)
end

--- Closes by a close frame.
---@param code? integer 1000 by default
---@param reason? string
function Socket:close(code, reason)
  self._frames:close(code, reason)
  self._server:_settle()
end

function Socket:drop()
  self._frames:drop()
  self.closed, self.close_code = true, self.close_code or 1006
end

--- Ends the connection without a close frame.
function Socket:disconnect()
  self:drop()
  self._server:_settle()
end

options.guard(Socket, "socket")

return Socket
