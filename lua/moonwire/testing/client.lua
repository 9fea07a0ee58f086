--- A client of the server under test: it subscribes, sends, receives, and reconnects.
local Inbox = require "moonwire.testing.inbox"
local options = require "moonwire.options"
local text = require "moonwire.testing.text"

local transports = {
  websocket = require "moonwire.testing.over_websocket",
  sse = require "moonwire.testing.over_sse",
  poll = require "moonwire.testing.over_poll",
}

local connect_spec = {
  transport = options.one_of { "websocket", "sse", "poll" },
  channels = "strings",
  token = "string",
  last_id = "string",
  headers = "table",
  cookies = "table",
  query = "table",
  within = "seconds",
  name = "text",
}

local return_spec = { token = "string", within = "seconds" }
local ask_spec = { within = "seconds" }
local subscribe_spec = { since = "string", within = "seconds" }
local send_spec = { binary = "boolean", idempotency_key = "text", within = "seconds" }
local history_spec = { since = "string", before = "string", limit = "amount", within = "seconds" }

local Client = {}
Client.__index = Client
Client.__name = "moonwire.testing.Client"
Inbox.mix(Client)

-- ---- What transports report -----------------------------------------------------------------------------------------------

local function set_members(channel, presence)
  channel.count = presence.count
  channel.more = presence.more
  channel.members = {}
  for id, member in pairs(presence.members or {}) do
    channel.members[id] = member.info
  end
end

--- The client is in a channel: what the acknowledgement, moonwire:open or the answer to a poll says
--- of it.
function Client:_joined(name, joined)
  local channel = { data = joined.data, recovered = joined.recovered, last_id = joined.id }
  if joined.presence then
    set_members(channel, joined.presence)
  end
  self.channels[name] = channel
  self.last_id = self.last_id or joined.id
end

function Client:_left(name)
  self.channels[name] = nil
  if self._wire.left then
    self._wire:left(name)
  end
end

function Client:_answered(pending, answer)
  pending.answer = answer
  local verb = pending.verb
  if answer.ok and verb.subscribe then
    self:_joined(verb.subscribe, answer.ok)
    if answer.ok.recovered == false then
      self:_receive { event = "moonwire:gap", data = { channel = verb.subscribe } }
    end
  elseif answer.ok and verb.unsubscribe then
    self:_left(verb.unsubscribe)
  end
end

local on_own = {
  ["moonwire:unsubscribed"] = function(self, push)
    self:_left(push.data.channel)
  end,
  -- An event stream stays in a channel that has ended.
  ["moonwire:end"] = function(self, push)
    if self.transport ~= "sse" then
      self:_left(push.data.channel)
    end
  end,
  ["moonwire:presence"] = function(self, push)
    local channel = self.channels[push.channel]
    if not channel then
      return
    elseif push.data.members or push.data.more or not push.data.left then
      set_members(channel, push.data)
      return
    end
    channel.count, channel.members = push.data.count, channel.members or {}
    for _, id in ipairs(push.data.left) do
      channel.members[id] = nil
    end
    for id, info in pairs(push.data.joined) do
      channel.members[id] = info
    end
  end,
}

--- A message or an event of the server's own.
function Client:_receive(push)
  if push.event == "moonwire:ping" then
    return
  end
  local channel = push.channel
    or (on_own[push.event] or push.event == "moonwire:gap") and push.data.channel
  local bytes = push.binary or (push.base64 and text.from_base64(push.base64))
  if push.id then
    self.last_id = push.id
    if self.channels[channel] then
      self.channels[channel].last_id = push.id
    end
  end
  if on_own[push.event] then
    on_own[push.event](self, push)
  end
  table.insert(self._inbox, {
    channel = channel,
    event = push.event,
    id = push.id,
    data = push.data,
    from = push.from,
    binary = bytes,
  })
end

function Client:_closed(wire, code, reason)
  if wire == self._wire then
    self.closed, self.close_code, self.close_reason = true, code, reason
  end
end

function Client._describe(message)
  local where = message.channel and (" on %s"):format(message.channel) or ""
  local what = message.binary and ("%d bytes"):format(#message.binary) or text.show(message.data)
  return ("%s%s: %s"):format(message.event, where, what)
end

-- ---- Connecting -----------------------------------------------------------------------------------------------------------

local function open(self, wanted, given)
  self.closed, self.close_code, self.close_reason = false, nil, nil
  self.channels, self.recovered = {}, nil
  self._wire = transports[self.transport].new(self)
  local ok, reason, code, status = self._wire:open(wanted, given)
  if not ok then
    self._wire:drop()
    self.closed = true
    self._server:_settle()
    return nil, reason, code, status
  end
  return self
end

--- Connects. Returns the client, or nil, a reason, a code and an HTTP status.
---@param server moonwire.testing.Server
---@param call string
---@param given table|nil
function Client._connect(server, call, given)
  given = text.add_cookies(options.read(call, given, connect_spec))
  local transport = given.transport or "websocket"
  local wanted = {}
  for i, name in ipairs(given.channels or {}) do
    wanted[i] = { name = name, since = given.last_id }
  end
  if #wanted == 0 and transport ~= "websocket" then
    options.raise(("%s: option 'channels' is required for %q"):format(call, transport))
  end
  local self = setmetatable({
    name = given.name or server:_next_name "client",
    transport = transport,
    channels = {},
    _server = server,
    _inbox = {},
    _options = given,
  }, Client)
  return open(self, wanted, given)
end

--- Ends the connection without a close frame, as when a network fails. A polling client stops
--- polling.
function Client:disconnect()
  self._wire:drop()
  self.closed = true
  self._server:_settle()
end

--- Closes the connection as a page does that is closed: a WebSocket by a close frame.
---@param code? integer 1000 by default
---@param reason? string
function Client:close(code, reason)
  self._wire:close(code, reason)
  self._server:_settle()
  self.closed = true
end

-- Connects again, and subscribes to the same channels after what it has received.
local function return_with_last_id(self, call, given)
  given = options.read(call, given, return_spec)
  local again = { returns = true }
  for name, value in pairs(self._options) do
    again[name] = value
  end
  again.token, again.within = given.token or again.token, given.within or again.within
  local wanted = {}
  for name, channel in pairs(self.channels) do
    wanted[#wanted + 1] = { name = name, since = self._wire:since(channel) }
  end
  table.sort(wanted, function(a, b)
    return a.name < b.name
  end)
  if not self.closed then
    self:disconnect()
  end
  self._options = again
  return open(self, wanted, again)
end

-- ---- Verbs ----------------------------------------------------------------------------------------------------------------

--- Asks and waits. Returns the result, or nil, a reason and a code.
function Client:_ask(verb, within, bytes)
  local pending = self:_start(verb, bytes)
  self._server:_await(within, function()
    return pending.answer or self.closed
  end)
  return self:_result(pending)
end

function Client:_start(verb, bytes)
  if self.closed then
    Inbox.fail(self.name, "the connection is closed; nothing can be sent")
  end
  return self._wire:ask(verb, bytes)
end

function Client:_result(pending)
  local answer = pending.answer
  if answer and answer.error then
    return nil, answer.error.reason, answer.error.code
  elseif answer then
    return answer.ok
  elseif self.closed then
    local code = self.close_code and (" with %d (%s)"):format(self.close_code, self.close_reason)
    return nil, "the connection was closed" .. (code or ""), "closed"
  end
  local text_of = "expected an answer to %s, and none came: its handler waits"
    .. " (move the time on by server:advance, or allow it by the option 'within')"
  Inbox.fail(self.name, text_of, text.show(pending.verb))
end

local function send_verb(channel, event, data, given)
  local verb = { send = channel, event = event, idempotency_key = given.idempotency_key }
  if given.binary then
    options.content("client:send", data, true)
    return verb, data
  end
  verb.data = data
  return verb
end

-- Each returns its result; or nil, a reason, and a code.
local verbs = {}

function verbs.subscribe(self, call, channel, given)
  options.argument(call, 1, channel, "string")
  given = options.read(call, given, subscribe_spec)
  return self:_ask({ subscribe = channel, since = given.since }, given.within)
end

function verbs.unsubscribe(self, call, channel, given)
  options.argument(call, 1, channel, "string")
  given = options.read(call, given, ask_spec)
  return self:_ask({ unsubscribe = channel }, given.within)
end

function verbs.send(self, call, channel, event, data, given)
  options.argument(call, 1, channel, "string")
  given = options.read(call, given, send_spec)
  local verb, bytes = send_verb(channel, event, data, given)
  return self:_ask(verb, given.within, bytes)
end

function verbs.history(self, call, channel, given)
  options.argument(call, 1, channel, "string")
  given = options.read(call, given, history_spec)
  local verb =
    { history = channel, since = given.since, before = given.before, limit = given.limit }
  local page, reason, code = self:_ask(verb, given.within)
  if not page then
    return nil, reason, code
  end
  return page.messages, page.more
end

function verbs.renew(self, call, token, given)
  options.argument(call, 1, token, "string")
  given = options.read(call, given, ask_spec)
  return self:_ask({ token = token }, given.within)
end

verbs.return_with_last_id = return_with_last_id

local what_of = {
  subscribe = "subscribing to %s",
  unsubscribe = "unsubscribing from %s",
  send = "sending to %s",
  history = "reading the history of %s",
  renew = "renewing the token",
  return_with_last_id = "returning",
}

for name, verb in pairs(verbs) do
  local function expect(self, first, result, ...)
    if result == nil then
      local reason, code = ...
      local what = what_of[name]:format(type(first) == "string" and first or "")
      Inbox.fail(
        self.name,
        "expected %s to be accepted, and it was refused: %s (%s)",
        what,
        reason,
        code
      )
    end
    return result, ...
  end
  Client[name] = function(self, ...)
    return expect(self, (...), verb(self, "client:" .. name, ...))
  end
  Client["try_" .. name] = function(self, ...)
    return verb(self, "client:try_" .. name, ...)
  end
end

--- Sends, and does not wait for the answer, which the result's functions give: send and try_send in
--- two steps.
---@return moonwire.testing.Pending
function Client:start_send(channel, event, data, given)
  options.argument("client:start_send", 1, channel, "string")
  given = options.read("client:start_send", given, send_spec)
  local pending = self:_start(send_verb(channel, event, data, given))
  self._server:_settle()
  return {
    done = function()
      self._server:_settle()
      return pending.answer ~= nil
    end,
    result = function()
      self._server:_settle()
      return self:_result(pending)
    end,
  }
end

--- Who is in a channel with presence, as the client knows it: { [user id] = info }, and their
--- number. Of a channel that only counts the table is empty.
---@param channel string
---@return table<string, any> members
---@return integer count
function Client:members(channel)
  options.argument("client:members", 1, channel, "string")
  self._server:_settle()
  local known = self.channels[channel]
  if not known or not known.count then
    Inbox.fail(
      self.name,
      "expected to know the members of %s, and it has no presence there",
      channel
    )
  end
  local after
  while known.more do
    local page = self:_ask { presence = channel, after = after }
    for id, member in pairs(page.members) do
      known.members[id] = member.info
    end
    known.count, known.more, after = page.count, page.more, page.after
  end
  return known.members, known.count
end

options.guard(Client, "client")

return Client
