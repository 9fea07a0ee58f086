--- A client of an event stream that the app serves by app:stream, or of any other.
local Connection = require "moonwire.testing.connection"
local Events = require "moonwire.testing.events"
local Inbox = require "moonwire.testing.inbox"
local options = require "moonwire.options"
local refusal = require "moonwire.testing.refusal"
local text = require "moonwire.testing.text"

local spec = {
  method = "string",
  body = "string",
  headers = "table",
  cookies = "table",
  query = "table",
  token = "string",
  last_id = "string",
  within = "seconds",
  name = "text",
}

local Stream = {}
Stream.__index = Stream
Stream.__name = "moonwire.testing.Stream"
Inbox.mix(Stream)

local function open(self)
  local given, server = self._given, self._server
  local headers = text.headers({ accept = "text/event-stream" }, given.headers, given.token)
  headers["last-event-id"] = self.last_id ~= "" and self.last_id or nil
  self.closed = false
  self._connection, self._response = server:_connect(), Connection.reader(given.method or "GET")
  self._events = Events.new(self.last_id)
  local target = text.target(self._path, given.query)
  self._connection:write(text.request(given.method or "GET", target, headers, nil, given.body))
  server:_add(self)
  server:_await(given.within, function()
    return self._response.status or self.closed
  end)
  local type_of = self._response.headers["content-type"] or ""
  self.status, self.headers = self._response.status, self._response.headers
  if type_of:find "^text/event%-stream" then
    return self
  end
  self:drop()
  if self.status ~= 200 then
    return refusal.of(self._response)
  end
  return nil, "no event stream: Content-Type " .. type_of, "closed", 200
end

---@param server moonwire.testing.Server
---@param call string
---@param path string
---@param given table|nil
function Stream._open(server, call, path, given)
  options.argument(call, 1, path, "string")
  given = text.add_cookies(options.read(call, given, spec))
  return open(setmetatable({
    name = given.name or server:_next_name "stream",
    last_id = given.last_id or "",
    _server = server,
    _path = path,
    _given = given,
    _inbox = {},
  }, Stream))
end

function Stream:pump()
  if self.closed or self.paused then
    return false
  end
  local events, moved, ended = self._events:pull(self._connection, self._response)
  table.move(events, 1, #events, #self._inbox + 1, self._inbox)
  self.last_id, self.retry = self._events.last_id, self._events.retry
  if ended then
    self:drop()
    return true
  end
  return moved
end

--- Ends the connection immediately, for a server that stops.
function Stream:drop()
  self.closed = true
  self._connection:close()
end

function Stream._describe(event)
  return ("%s: %s"):format(event.event, text.show(event.data))
end

--- Ends the connection.
function Stream:disconnect()
  self:drop()
  self._server:_settle()
end

--- Connects again, as an EventSource does by itself, with the id of the last event in
--- Last-Event-ID.
function Stream:return_with_last_id()
  if not self.closed then
    self:disconnect()
  end
  local result, reason, code = open(self)
  if not result then
    Inbox.fail(
      self.name,
      "expected returning to be accepted, and it was refused: %s (%s)",
      reason,
      code
    )
  end
  return self
end

options.guard(Stream, "stream")

return Stream
