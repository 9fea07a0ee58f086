--- Reads an event stream as the WHATWG HTML standard says (9.2.6).

---@class moonwire.testing.Events
---@field last_id string the id with which a client returns
---@field retry number|nil seconds
local Events = {}
Events.__index = Events

---@param last_id string|nil
---@return moonwire.testing.Events
function Events.new(last_id)
  return setmetatable({ last_id = last_id or "", _text = "", _id = last_id or "" }, Events)
end

local fields = {}

function fields.event(self, value)
  self._event = value
end

function fields.data(self, value)
  self._data = self._data and self._data .. "\n" .. value or value
end

function fields.id(self, value)
  if not value:find("\0", 1, true) then
    self._id = value
  end
end

function fields.retry(self, value)
  if value:find "^%d+$" then
    self.retry = tonumber(value) / 1000
  end
end

-- The end of a block: an event, if it has data.
local function dispatch(self, list)
  self.last_id = self._id
  if self._data then
    local event = self._event ~= "" and self._event or "message"
    list[#list + 1] = { event = event, data = self._data, id = self._id ~= "" and self._id or nil }
  end
  self._event, self._data = nil, nil
end

local function read_line(self, line, list)
  if line == "" then
    dispatch(self, list)
  elseif line:sub(1, 1) ~= ":" then
    local name, value = line:match "^([^:]*):? ?(.*)$"
    if fields[name] then
      fields[name](self, value)
    end
  end
end

--- Returns the events that are complete with these bytes: { event =, data =, id = } each.
---@param bytes string
---@return { event: string, data: string, id: string|nil }[]
function Events:feed(bytes)
  local list, at = {}, 1
  local text = self._text .. bytes
  while true do
    local line, ends, next_at = text:match("^([^\r\n]*)(\r?\n?)()", at)
    -- A CR at the end may be the first half of a CRLF.
    if ends == "" or (ends == "\r" and next_at > #text) then
      break
    end
    read_line(self, line, list)
    at = next_at
  end
  self._text = text:sub(at)
  return list
end

--- Reads what has come on a connection, and returns the events of its response; none unless that has
--- the type of an event stream.
---@param connection moonwire.testing.Connection
---@param response moonwire.testing.Reader
---@return { event: string, data: string, id: string|nil }[]
---@return boolean moved whether anything has come
---@return boolean ended nothing more will come
function Events:pull(connection, response)
  local moved = connection:read()
  response:feed(connection)
  local is_stream = (response.headers["content-type"] or ""):find "^text/event%-stream"
  local list = is_stream and self:feed(response:take_body()) or {}
  return list, moved, response.complete or (not moved and connection:ended())
end

return Events
