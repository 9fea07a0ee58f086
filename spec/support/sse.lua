-- An event stream client after WHATWG HTML section 9.2, for one stream at a time.

local http = require "spec.support.http"

local sse = {}
local stream = {}
stream.__index = stream

-- Opens a stream and reads the head of the answer. `options`: method, body, headers, version, timeout,
-- receive_buffer.
function sse.open(to, target, options)
  options = options or {}
  local headers = { Accept = "text/event-stream" }
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  local connection = http.connect(to, options.timeout, options.receive_buffer)
  assert(connection:send(http.format(options.method or "GET", target, {
    headers = headers,
    body = options.body,
    version = options.version,
    host = options.host,
  })))
  local self =
    setmetatable({ connection = connection, text = "", searched = 0, last_id = "" }, stream)
  self.response = connection:read_head()
  self.status = self.response.status
  self.headers = self.response.headers
  return self
end

-- More of the body; nil at its end.
local function read_more(self)
  if self.headers["transfer-encoding"] == "chunked" then
    return self.connection:read_chunk()
  end
  local connection = self.connection
  if connection.buffer == "" then
    local ok, fault = connection:fill(connection:deadline())
    if not ok then
      assert(fault == "closed", "time-out while waiting for an event")
      return nil
    end
  end
  local text = connection.buffer
  connection.buffer = ""
  return text
end

local function read_field(block, line)
  if line:sub(1, 1) == ":" then
    block.comment = line:sub(2):gsub("^ ", "")
    return
  end
  local colon = line:find(":", 1, true) or #line + 1
  local name = line:sub(1, colon - 1)
  local value = line:sub(line:sub(colon + 1, colon + 1) == " " and colon + 2 or colon + 1)
  if name == "data" then
    block.data = block.data and block.data .. "\n" .. value or value
  else
    block[name] = value
  end
end

-- Where the first block ends, and how many bytes separate it from the next one; or nil if it is not whole.
local function find_end(self)
  local text = self.text
  if text:sub(1, 1) == ":" then
    local at = text:find("\n", 2, true)
    return at and at - 1, 1
  end
  -- What has been searched before holds no end, except that its last byte may be the first of two.
  local at = text:find("\n\n", math.max(self.searched, 1), true)
  if at then
    return at - 1, 2
  end
  self.searched = #text
  if self.ended and text:find "^retry: %d+\n$" then
    return #text - 1, 1
  end
end

-- The next block as a table with the fields that it has (retry, id, event, data, comment), or nil at the end of the stream. A
-- comment between blocks is one line, and so is a retry before the end: each counts as a block. The server writes LF only:
-- another line end is part of a line here, and so would be noticed.
function stream:next()
  while true do
    local last, skip = find_end(self)
    if last then
      local block = { text = self.text:sub(1, last) }
      self.text = self.text:sub(last + skip + 1)
      self.searched = 0
      local from = 1
      repeat
        local to = block.text:find("\n", from, true) or last + 1
        read_field(block, block.text:sub(from, to - 1))
        from = to + 1
      until from > last + 1
      if block.id then
        self.last_id = block.id
      end
      return block
    end
    local more = not self.ended and read_more(self)
    if more then
      self.text = self.text .. more
    elseif self.ended or self.text == "" then
      assert(self.text == "", "the stream ended inside a block")
      return nil
    else
      self.ended = true
    end
  end
end

-- The next block that has data.
function stream:event()
  if self.passed and #self.passed > 0 then
    return table.remove(self.passed, 1)
  end
  while true do
    local block = self:next()
    if not block or block.data then
      return block
    end
  end
end

-- The data of the next `count` events.
function stream:data(count)
  local list = {}
  for i = 1, count do
    list[i] = assert(self:event(), "the stream ended").data
  end
  return list
end

-- Reads blocks until one has an id: the cursor. Events in front of it (gaps) are left for stream:event.
function stream:cursor()
  self.passed = self.passed or {}
  while self.last_id == "" do
    local block = assert(self:next(), "the stream ended")
    if block.data then
      table.insert(self.passed, block)
    end
  end
  return self.last_id
end

function stream:close()
  self.connection:close()
end

return sse
