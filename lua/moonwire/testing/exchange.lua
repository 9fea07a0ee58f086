--- One request and its response, on a connection of its own.
local Connection = require "moonwire.testing.connection"
local text = require "moonwire.testing.text"

---@class moonwire.testing.Exchange
---@field response moonwire.testing.Reader
---@field closed boolean
local Exchange = {}
Exchange.__index = Exchange

---@param server moonwire.testing.Server
---@param method string
---@param target string
---@param headers table|nil
---@param body string|nil
---@param on_closed? fun() the response is complete, or the server closed the connection before
---@return moonwire.testing.Exchange
function Exchange.start(server, method, target, headers, body, on_closed)
  local connection = server:_connect()
  connection:write(text.request(method, target, {}, headers, body))
  local self = setmetatable({
    response = Connection.reader(method),
    closed = false,
    _connection = connection,
    _on_closed = on_closed,
  }, Exchange)
  server:_add(self)
  return self
end

function Exchange:pump()
  if self.closed or self.paused then
    return false
  end
  local moved = self._connection:read()
  self.response:feed(self._connection)
  if self.response.complete or (not moved and self._connection:ended()) then
    self:close()
    if self._on_closed then
      self._on_closed()
    end
    return true
  end
  return moved
end

--- Ends the connection; a response that is not complete stays so.
function Exchange:close()
  self.closed = true
  self._connection:close()
end

Exchange.drop = Exchange.close

--- What is known of the answer, for an error message.
function Exchange:describe()
  if self.response.status then
    return ("%d, and the body is not complete"):format(self.response.status)
  elseif self.closed then
    return "the server closed the connection"
  end
  return "nothing yet; its handler waits (move the time on by server:advance, or allow it by 'within')"
end

return Exchange
