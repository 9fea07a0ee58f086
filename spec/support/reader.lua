-- Subscribers by event stream, by envelopes and by WebSocket that look the same to a spec.

local cjson = require "cjson" -- they read megabytes
local native = require "spec.support.native"
local sse = require "spec.support.sse"

local reader = { kinds = { "an event stream", "an event stream of envelopes", "a WebSocket" } }
local methods = {}
local meta = { __index = methods }

local object = setmetatable({}, { __jsontype = "object" })

local decode = cjson.decode

local open_by = {}

local function open_stream(app, channels, options, tail)
  local parts = {}
  for i, channel in ipairs(channels) do
    parts[i] = "channel=" .. channel
  end
  if options.since then
    parts[#parts + 1] = "since=" .. options.since
  end
  local target = "/sse?" .. table.concat(parts, "&") .. tail
  local stream =
    sse.open(app, target, { timeout = options.timeout, receive_buffer = options.receive_buffer })
  assert(stream.status == 200, stream.response.head)
  return stream
end

open_by["an event stream"] = function(app, channels, options)
  local stream = open_stream(app, channels, options, "")
  local cursor = stream:cursor()
  return { connection = stream.connection, cursor = cursor, stream = stream }
end

open_by["an event stream of envelopes"] = function(app, channels, options)
  local stream = open_stream(app, channels, options, "&envelope=1")
  local open = decode(stream:event().data)
  assert(open.event == "moonwire:open")
  return {
    connection = stream.connection,
    cursor = open.data.id,
    recovered = open.data.recovered,
    id = open.data.client,
    stream = stream,
    is_envelope = true,
  }
end

open_by["a WebSocket"] = function(app, channels, options)
  local client = native.open(app, {
    timeout = options.timeout,
    receive_buffer = options.receive_buffer,
    protocol = "moonwire.1",
    decode = decode,
  })
  local connected = client:ask({ connect = object }).ok
  local self =
    { connection = client.connection, client = client, id = connected.client, passed = {} }
  for _, channel in ipairs(channels) do
    local answer, before = client:ask { subscribe = channel, since = options.since }
    assert(answer.ok, cjson.encode(answer))
    self.cursor, self.recovered = answer.ok.id, answer.ok.recovered
    table.move(before, 1, #before, #self.passed + 1, self.passed)
  end
  return self
end

-- Subscribes to channels. `options`: since (an id), timeout, receive_buffer (bytes). The reader has: cursor, recovered, id (the
-- client's; not of a plain event stream), connection.
function reader.open(kind, app, channels, options)
  return setmetatable(open_by[kind](app, channels, options or {}), meta)
end

-- The next push: channel (not on a plain event stream), event, id, data. Nil at the end of the stream, and the code of a
-- WebSocket's close.
function methods:next()
  if self.passed and #self.passed > 0 then
    return table.remove(self.passed, 1)
  elseif self.client then
    local push, code
    repeat
      push, code = self.client:next()
    until not push or not push.ping
    return push, code
  end
  local block = self.stream:event()
  if not block then
    return nil
  elseif self.is_envelope then
    return decode(block.data)
  end
  return { event = block.event or "message", id = block.id, data = decode(block.data) }
end

-- What comes up to the message that `is_last` says is the last one; or up to the end, and then the code as well.
function methods:read_until(is_last)
  local list = {}
  while true do
    local push, code = self:next()
    list[#list + 1] = push
    if not push or is_last(push) then
      return list, code
    end
  end
end

-- The connection just ends.
function methods:cut()
  self.connection:close()
end

return reader
