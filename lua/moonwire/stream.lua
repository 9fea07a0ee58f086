--- The methods of a raw stream that need more than core: how it starts, and what it follows. The
--- others are in core.
local answer = require "moonwire.answer"
local core = require "moonwire.core"
local options = require "moonwire.options"

---@type moonwire.Stream
local Stream = core.stream_methods

-- The request of each stream whose handler runs: the cookies of its head depend on it. A stream may
-- last for days, and must not hold it.
local requests = setmetatable({}, { __mode = "k" })

-- Called before the handler of the stream, and after it, with nil.
---@param stream moonwire.Stream
---@param request moonwire.Request|nil
function Stream._of(stream, request)
  requests[stream] = request
end

-- Raises for a call without a colon, or on another value.
local function check_self(call, stream)
  if not core.is_stream(stream) then
    options.raise(("%s: call it with a colon on a stream, got %s"):format(call, type(stream)))
  end
end

-- Returns what core returned. Misuse raises.
local function outcome(call, ok, message, code)
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return ok, message, code
end

function Stream:start(status, headers)
  local call = "stream:start"
  check_self(call, self)
  if type(status) == "table" and headers == nil then
    status, headers = nil, status
  end
  status = status == nil and 200 or status
  if math.type(status) ~= "integer" then
    options.raise(("%s: the status must be an integer, got %s"):format(call, options.show(status)))
  elseif headers ~= nil then
    options.argument(call, 2, headers, "table")
  end
  -- after the handler, it has started or ended
  local fields = requests[self] and answer.stream_fields(call, requests[self], headers) or {}
  return outcome(call, core.stream_start(self, status, fields))
end

local follow_spec = { since = "string", until_final = "boolean" }

function Stream:follow(channel, given)
  local call = "stream:follow"
  check_self(call, self)
  local name = type(channel) == "table" and channel.name or channel
  options.argument(call, 1, name, "string")
  given = options.read(call, given, follow_spec)
  return outcome(call, core.stream_follow(self, name, given.since, given.until_final))
end

return Stream
