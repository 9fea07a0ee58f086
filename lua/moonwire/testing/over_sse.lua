--- A client over an event stream with envelopes, which sends by POST /send.
local Connection = require "moonwire.testing.connection"
local Events = require "moonwire.testing.events"
local json = require("moonwire.core").json
local post = require "moonwire.testing.send"
local refusal = require "moonwire.testing.refusal"
local text = require "moonwire.testing.text"

local OverSse = {}
OverSse.__index = OverSse

---@param client moonwire.testing.Client
function OverSse.new(client)
  return setmetatable({ _client = client }, OverSse)
end

local function on_event(self, event)
  local client = self._client
  local push = assert(json.decode(event.data))
  client.last_id = event.id or client.last_id
  if push.event ~= "moonwire:open" then
    client:_receive(push)
    return
  end
  self._is_open = true
  client.id, client.recovered = push.data.client, push.data.recovered
  for name, joined in pairs(push.data.channels) do
    joined.id = push.data.id
    client:_joined(name, joined)
  end
end

local function query_of(options, wanted)
  local query = { channel = {}, envelope = 1, token = options.token }
  for name, value in pairs(options.query or {}) do
    query[name] = value
  end
  for i, channel in ipairs(wanted) do
    query.channel[i], query.since = channel.name, channel.since or query.since
  end
  return query
end

function OverSse:open(wanted, options)
  local client = self._client
  local server = client._server
  local headers = text.headers({ accept = "text/event-stream" }, options.headers)
  -- As an EventSource that reconnects by itself.
  if options.returns and client.last_id then
    headers["last-event-id"] = client.last_id
  end
  self._options, self._connection = options, server:_connect()
  self._response, self._events = Connection.reader "GET", Events.new(client.last_id)
  local target = text.target(server:_path "sse", query_of(options, wanted))
  self._connection:write(text.request("GET", target, headers))
  server:_add(self)
  server:_await(options.within, function()
    return self._is_open or self.closed
  end)
  if self._is_open then
    return true
  elseif self._response.status == 200 and self.closed then
    return nil, "a temporary refusal: the stream ended immediately", "unavailable", 200
  end
  return refusal.of(self._response)
end

function OverSse:pump()
  if self.closed or self._client.paused then
    return false
  end
  local events, moved, ended = self._events:pull(self._connection, self._response)
  for _, event in ipairs(events) do
    on_event(self, event)
  end
  if ended then
    self:drop()
    self._client:_closed(self)
    return true
  end
  return moved
end

function OverSse:ask(verb, bytes)
  return post(self._client, self._options, verb, bytes)
end

function OverSse:drop()
  self.closed = true
  self._connection:close()
end

OverSse.close = OverSse.drop

--- The cursor is the stream's, and goes by Last-Event-ID.
function OverSse.since()
  return nil
end

return OverSse
