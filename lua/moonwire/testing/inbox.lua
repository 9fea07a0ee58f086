--- What a test client has received and the test did not take yet, and the assertions about it.
local options = require "moonwire.options"
local text = require "moonwire.testing.text"

-- Mixed into the classes of clients. A class has `name`, `_server`, `_inbox` and
-- `_describe(message)`.
local Inbox = {}

--- Raises an assertion error at the line of the test.
---@param who string
---@param message string a format, and its values
function Inbox.fail(who, message, ...)
  options.raise(("%s: %s"):format(who, message:format(...)))
end

local function describe_end(self)
  if not self.closed then
    return self.paused and "; the client does not read, see start_reading" or ""
  elseif self.close_code then
    local reason = self.close_reason ~= "" and (" (%s)"):format(self.close_reason) or ""
    return ("; the connection was closed with %d%s"):format(self.close_code, reason)
  end
  return "; the connection has ended"
end

local function describe_all(self, messages)
  local lines = {}
  for i, message in ipairs(messages) do
    lines[i] = self._describe(message)
  end
  return text.list(lines)
end

local function matches(message, event, channel)
  return (not event or message.event == event) and (not channel or message.channel == channel)
end

local function wanted_words(event, channel)
  local what = event and ("the event %q"):format(event) or "a message"
  return channel and ("%s on %s"):format(what, channel) or what
end

--- Takes the first message that was received, or the first one with that event and channel. Others
--- stay.
---@param event string|nil
---@param channel string|nil
function Inbox:take(event, channel)
  self._server:_settle()
  for i, message in ipairs(self._inbox) do
    if matches(message, event, channel) then
      return table.remove(self._inbox, i)
    end
  end
  local what = wanted_words(event, channel)
  if #self._inbox == 0 then
    Inbox.fail(self.name, "expected %s, and nothing came%s", what, describe_end(self))
  end
  local came = describe_all(self, self._inbox)
  Inbox.fail(self.name, "expected %s%s, and this came:%s", what, describe_end(self), came)
end

--- Takes everything that was received, in order.
function Inbox:take_all()
  self._server:_settle()
  local list = self._inbox
  self._inbox = {}
  return list
end

--- Raises if something was received that was not taken, or something with that event and channel.
---@param event string|nil
---@param channel string|nil
function Inbox:expect_nothing(event, channel)
  self._server:_settle()
  local found = {}
  for _, message in ipairs(self._inbox) do
    if matches(message, event, channel) then
      found[#found + 1] = message
    end
  end
  if #found > 0 then
    local what = event and "no " .. wanted_words(event, channel):gsub("^the ", "") or "nothing"
    Inbox.fail(self.name, "expected %s, and this came:%s", what, describe_all(self, found))
  end
end

--- Raises unless the connection has ended; of a WebSocket, with that close code.
---@param code integer|nil
---@return string|nil reason of a WebSocket's close frame
function Inbox:expect_closed(code)
  self._server:_settle()
  if not self.closed then
    local with = code and (" with %d"):format(code) or ""
    Inbox.fail(self.name, "expected to be closed%s, and the connection is open", with)
  elseif code and self.close_code ~= code then
    local what = self.close_code
        and ("%d%s"):format(
          self.close_code,
          self.close_reason ~= "" and (" (%s)"):format(self.close_reason) or ""
        )
      or "no code"
    Inbox.fail(self.name, "expected to be closed with %d, and it was closed with %s", code, what)
  end
  return self.close_reason
end

--- Reads no more, as a client on a bad network: what the server sends fills the connection (64
--- KiB), and then waits at the server. It does not answer pings either.
function Inbox:stop_reading()
  self.paused = true
end

--- Reads on.
function Inbox:start_reading()
  self.paused = false
  self._server:_settle()
end

--- Copies the assertions into a class.
---@param class table
function Inbox.mix(class)
  for _, name in ipairs {
    "take",
    "take_all",
    "expect_nothing",
    "expect_closed",
    "stop_reading",
    "start_reading",
  } do
    class[name] = Inbox[name]
  end
end

return Inbox
