--- A client that polls, and sends by POST /send. As long as it is connected one of its polls waits
--- at the server.
local Exchange = require "moonwire.testing.exchange"
local json = require("moonwire.core").json
local options_of = require "moonwire.options"
local post = require "moonwire.testing.send"
local refusal = require "moonwire.testing.refusal"
local text = require "moonwire.testing.text"

-- Polls that may be answered one after the other while time stands still.
local POLLS_MAX = 1000

local OverPoll = {}
OverPoll.__index = OverPoll

---@param client moonwire.testing.Client
function OverPoll.new(client)
  return setmetatable({ _client = client, _named = {}, _polls = 0 }, OverPoll)
end

local function read_answer(self, answer)
  local client = self._client
  client.id, client.last_id = answer.client or client.id, answer.id
  for name, joined in pairs(answer.channels or {}) do
    joined.id = answer.id
    client:_joined(name, joined)
  end
  for _, channel in ipairs(answer.gaps or {}) do
    client:_receive { event = "moonwire:gap", data = { channel = channel } }
  end
  for _, push in ipairs(answer.messages or {}) do
    client:_receive(push)
  end
end

local function on_answer(self)
  local response = self._exchange.response
  self._exchange = nil
  if response.status == 200 then
    local answer = assert(json.decode(response.body))
    if not self._is_open then
      self._client.recovered = answer.recovered
    end
    self._is_open = true
    read_answer(self, answer)
  elseif self._is_open and (response.status == 429 or response.status == 503) then
    self._not_before = self._client._server:time() + tonumber(response.headers["retry-after"] or 1)
  else
    self._refused = response
    self:drop()
    self._client:_closed(self)
  end
end

local function poll(self)
  local client, options = self._client, self._options
  local query = { client = client.id or "", since = client.last_id, channel = {} }
  for name, value in pairs(options.query or {}) do
    query[name] = value
  end
  for name in pairs(self._named) do
    table.insert(query.channel, name)
  end
  self._polls = self._polls + 1
  local server = client._server
  self._exchange = Exchange.start(
    server,
    "GET",
    text.target(server:_path "poll", query),
    text.headers({}, options.headers, options.token),
    nil,
    function()
      on_answer(self)
    end
  )
end

function OverPoll:open(wanted, options)
  local client = self._client
  local server = client._server
  self._options = options
  for _, channel in ipairs(wanted) do
    self._named[channel.name] = true
    client.last_id = channel.since or client.last_id
  end
  poll(self)
  server:_add(self)
  server:_await(options.within, function()
    return self._is_open or self._refused
  end)
  if self._is_open then
    return true
  elseif self._refused then
    return refusal.of(self._refused)
  end
  return nil, "no answer: " .. self._exchange:describe(), "timeout"
end

local function begin_next(self)
  local server = self._client._server
  local now = server:time()
  if self._not_before and now < self._not_before then
    return false
  elseif now ~= self._now then
    self._now, self._polls = now, 0
  elseif self._polls > POLLS_MAX then
    options_of.raise(
      ("%s: %d polls in a row were answered immediately"):format(self._client.name, POLLS_MAX)
    )
  end
  poll(self)
  return true
end

function OverPoll:pump()
  if self._exchange then
    self._exchange.paused = self._client.paused
    return false -- the exchange is pumped by the server
  elseif self._client._server.stopping and not self.closed then
    self:drop()
    self._client:_closed(self)
  end
  if self.closed or self._client.paused then
    return false
  end
  return begin_next(self)
end

function OverPoll:ask(verb, bytes)
  return post(self._client, self._options, verb, bytes)
end

--- The client is in the channel no more: its polls do not name it.
function OverPoll:left(name)
  self._named[name] = nil
end

function OverPoll:drop()
  self.closed = true
  if self._exchange then
    self._exchange:close()
  end
end

OverPoll.close = OverPoll.drop

--- The cursor is that of the last answer.
function OverPoll:since()
  return self._client.last_id
end

return OverPoll
