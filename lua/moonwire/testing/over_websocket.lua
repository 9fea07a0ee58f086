--- A client of the native protocol over a WebSocket, with the subprotocol moonwire.1.
local Frames = require "moonwire.testing.frames"
local json = require("moonwire.core").json
local refusal = require "moonwire.testing.refusal"
local text = require "moonwire.testing.text"

local OverWebsocket = {}
OverWebsocket.__index = OverWebsocket

---@param client moonwire.testing.Client
function OverWebsocket.new(client)
  return setmetatable({ _client = client, _pending = {}, _last_ref = 0 }, OverWebsocket)
end

local function read_object(payload, is_binary)
  local head, bytes = payload, nil
  if is_binary then
    head, bytes = payload:match "^([^\n]*)\n(.*)$"
  end
  local object = assert(json.decode(head))
  object.binary = bytes
  return object
end

local function on_object(self, object)
  local pending = object.ref ~= nil and self._pending[object.ref]
  if pending then
    self._pending[object.ref] = nil
    self._client:_answered(pending, object)
  elseif object.ping then
    self._frames:send '{"ping":true}'
  elseif object.event then
    self._client:_receive(object)
  end
end

--- Sends a verb. The answer is put into what is returned, by the client's _answered.
---@param verb table
---@param bytes string|nil of a binary message
function OverWebsocket:ask(verb, bytes)
  self._last_ref = self._last_ref + 1
  verb.ref = self._last_ref
  local pending = { verb = verb }
  self._pending[verb.ref] = pending
  local head = json.encode(verb)
  self._frames:send(bytes and head .. "\n" .. bytes or head, bytes ~= nil)
  return pending
end

local function connect(self, options, within)
  local pending = self:ask { connect = { token = options.token } }
  self._client._server:_await(within, function()
    return pending.answer or self._frames.state == "closed"
  end)
  if not pending.answer then
    return nil, "no answer to connect", "closed"
  elseif pending.answer.error then
    return refusal.of_answer(pending.answer.error)
  end
  self._client.id = pending.answer.ok.client
  return true
end

--- Connects and subscribes. Returns true, or nil and why not.
---@param wanted { name: string, since: string|nil }[]
function OverWebsocket:open(wanted, options)
  local client = self._client
  local server, within = client._server, options.within
  local target = text.target(server:_path "ws", options.query)
  self._frames = Frames.open(
    server:_connect(),
    target,
    options.headers,
    { "moonwire.1" },
    function(payload, is_binary)
      on_object(self, read_object(payload, is_binary))
    end
  )
  server:_add(self)
  server:_await(within, function()
    return self._frames.state ~= "opening"
  end)
  if self._frames.response.status ~= 101 then
    return refusal.of(self._frames.response)
  end
  local ok, reason, code = connect(self, options, within)
  if not ok then
    return nil, reason, code
  end
  for _, channel in ipairs(wanted) do
    ok, reason, code = client:_ask({ subscribe = channel.name, since = channel.since }, within)
    if not ok then
      self:drop()
      return nil, ("%s: %s"):format(channel.name, reason), code
    end
    if ok.recovered ~= nil then
      client.recovered = client.recovered ~= false and ok.recovered
    end
  end
  return true
end

function OverWebsocket:pump()
  local frames = self._frames
  frames.paused = self._client.paused
  local moved = frames:pump()
  if frames.state == "closed" then
    self.closed = true
    self._client:_closed(self, frames.close_code, frames.close_reason)
  end
  return moved
end

function OverWebsocket:close(code, reason)
  self._frames:close(code, reason)
end

function OverWebsocket:drop()
  self._frames:drop()
end

--- The cursor with which a client returns to a channel.
function OverWebsocket.since(_, channel)
  return channel.last_id
end

return OverWebsocket
