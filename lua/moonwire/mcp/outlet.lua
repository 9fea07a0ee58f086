--- Where messages for a client go: the stream of one POST or GET. The outlet of a session keeps its
--- messages, so that a client whose stream was cut can resume it.
local crypto = require "moonwire.crypto"

local outlets = {}

local KEPT_EVENTS, KEPT_BYTES = 256, 1024 * 1024 -- of one outlet
local COUNT_MAX, TOTAL_BYTES = 10000, 64 * 1024 * 1024 -- of all outlets of a server that can be resumed
local RETRY_SECONDS = 1

---@class moonwire.mcp.Outlet
---@field name string|nil of an outlet that can be resumed: the ids of its events begin with it
---@field stream moonwire.Stream|nil
---@field is_done boolean
local Outlet = {}
Outlet.__index = Outlet

--- Returns an outlet whose stream cannot be resumed. Messages wait for the stream.
function outlets.plain()
  return setmetatable({ _first = 1, _last = 0, _bytes = 0, _texts = {} }, Outlet)
end

---@class moonwire.mcp.Outlets
local Outlets = {}
Outlets.__index = Outlets

--- Returns the outlets of a server that can be resumed.
---@param seconds number for which an outlet without a stream is kept
function outlets.new(seconds)
  return setmetatable({ _by_name = {}, _count = 0, _bytes = 0, _seconds = seconds }, Outlets)
end

--- Adds an outlet of a session. `kind` begins its name: "g" for a GET, "p" for a POST.
---@param session table
---@param kind "g"|"p"
---@param tail? string the end of its name
---@return moonwire.mcp.Outlet|nil nil: there are too many
function Outlets:add(session, kind, tail)
  if self._count >= COUNT_MAX then
    self:sweep(0)
    if self._count >= COUNT_MAX then
      return nil
    end
  end
  local outlet = outlets.plain()
  outlet.name = kind .. crypto.random(9, "base64url") .. (tail or "")
  outlet.session, outlet._set, outlet._since = session, self, os.time()
  self._by_name[outlet.name] = outlet
  self._count = self._count + 1
  session.outlets[outlet.name] = outlet
  return outlet
end

--- Returns the outlet of that session, or nil.
function Outlets:find(name, session)
  local outlet = self._by_name[name]
  return outlet and outlet.session == session and outlet or nil
end

function Outlets:drop(outlet)
  if self._by_name[outlet.name] == outlet then
    self._by_name[outlet.name] = nil
    self._count, self._bytes = self._count - 1, self._bytes - outlet._bytes
    outlet._set = nil
    outlet.session.outlets[outlet.name] = nil
  end
  if outlet.stream then
    outlet.stream:close()
  end
end

--- Drops the outlets that nobody has resumed in time.
---@param seconds? number nil: the option
function Outlets:sweep(seconds)
  local before = os.time() - (seconds or self._seconds)
  for _, outlet in pairs(self._by_name) do
    local is_idle = not outlet.stream and (outlet.is_done or outlet.name:sub(1, 1) == "g")
    if is_idle and outlet._since <= before then
      self:drop(outlet)
    end
  end
end

function Outlet:_count_bytes(bytes)
  self._bytes = self._bytes + bytes
  if self._set then
    self._set._bytes = self._set._bytes + bytes
  end
end

function Outlet:_forget_first()
  self:_count_bytes(-#self._texts[self._first])
  self._texts[self._first] = nil
  self._first = self._first + 1
end

-- Forgets the oldest messages over the limits, but not the last one.
function Outlet:_forget_old()
  local set = self._set
  if set and set._bytes > TOTAL_BYTES then
    set:sweep(0)
  end
  while
    self._first < self._last
    and (
      self._last - self._first >= KEPT_EVENTS
      or self._bytes > KEPT_BYTES
      or set and set._bytes > TOTAL_BYTES
    )
  do
    self:_forget_first()
  end
end

-- Writes one message to the stream. What a stream does not take is resumed, or lost with it.
function Outlet:_write(n)
  local id = self.name and ("%s.%d"):format(self.name, n) or nil
  if not self.stream:send(nil, self._texts[n], { id = id }) then
    local stream = self.stream
    self:_detach(stream)
    stream:close()
  end
end

--- Sends a message, or keeps it for the stream.
---@param text string JSON
function Outlet:send(text)
  if self.is_done then
    return
  end
  self._last = self._last + 1
  self._texts[self._last] = text
  self:_count_bytes(#text)
  if self.stream then
    self:_write(self._last)
    self._written = self._last
  end
  if self.name or not self.stream then
    self:_forget_old()
  else
    self:_forget_first()
  end
  if self.on_message then
    self.on_message()
  end
end

--- Whether it needs a stream.
---@return boolean
function Outlet:needs_stream()
  return self._last > 0 or self._is_cut == true
end

--- Connects a stream, and sends the messages after the n-th. Another stream of the outlet is closed.
---@param stream moonwire.Stream
---@param after? integer nil: what no stream has got
function Outlet:attach(stream, after)
  local former = self.stream
  self.stream = stream
  if former then
    former:close()
  end
  stream:on_close(function()
    self:_detach(stream)
  end)
  after = math.min(after or self._written or 0, self._last)
  if self.name then
    -- an event with an id, before any other: without one, a client cannot resume
    local id = ("%s.%d"):format(self.name, after)
    stream:send(nil, "", { id = id, retry = RETRY_SECONDS })
  end
  for n = math.max(after + 1, self._first), self._last do
    if self.stream == stream then
      self:_write(n)
      self._written = n
    end
  end
  while not self.name and self._first <= self._last do
    self:_forget_first()
  end
  if self.stream ~= stream then
    return
  elseif self.is_done then
    stream:close()
  elseif self._is_cut then
    self:cut()
  end
end

function Outlet:_detach(stream)
  if self.stream == stream then
    self.stream, self._since = nil, os.time()
    if self.on_detached then
      self.on_detached()
    end
  end
end

--- Ends it after what was sent.
function Outlet:finish()
  self.is_done, self._since = true, os.time()
  if self.stream then
    self.stream:close()
  end
end

--- Closes the stream, also one that has not begun yet. Its client comes back with the id of the last
--- event.
---@return boolean false: the outlet cannot be resumed
function Outlet:cut()
  if not self.name or self.is_done then
    return false
  end
  local stream = self.stream
  self._is_cut, self.stream = not stream, nil
  if stream then
    self._since = os.time()
    stream:close()
  elseif self.on_message then
    self.on_message()
  end
  return true
end

return outlets
