--- Reads an event stream of another server (WHATWG HTML, 9.2.6).
local events = {}

local EVENT_MAX = 1024 * 1024

-- Returns a function that takes a chunk, and calls emit(event) for each event that it completes. A
-- line may end in CR LF, LF, or CR, and a chunk anywhere.
local function parser(emit)
  local rest, is_begun, ends_in_cr = "", false, false
  local data, name, id, size = {}, "", nil, 0

  local function dispatch()
    if #data > 0 then
      emit { event = name ~= "" and name or "message", data = table.concat(data, "\n"), id = id }
    end
    data, name, size = {}, "", 0
  end

  local function line_read(line)
    if line == "" then
      return dispatch()
    end
    local field, value = line:match "^([^:]*):? ?(.*)$"
    size = size + #line
    if field == "data" then
      data[#data + 1] = value
    elseif field == "event" then
      name = value
    elseif field == "id" and not value:find "\0" then
      id = value ~= "" and value or nil
    end
  end

  return function(chunk)
    if ends_in_cr and chunk:sub(1, 1) == "\n" then
      chunk = chunk:sub(2)
    end
    if chunk ~= "" then
      ends_in_cr = chunk:sub(-1) == "\r"
    end
    rest = rest .. chunk
    if not is_begun and #rest >= 3 then
      is_begun = true
      rest = rest:gsub("^\u{FEFF}", "")
    end
    local from = 1
    while true do
      local first, last = rest:find("\r?\n", from)
      local cr = rest:find("\r", from, true)
      if cr and (not first or cr < first) then
        first, last = cr, cr
      end
      if not first then
        break
      end
      line_read(rest:sub(from, first - 1))
      from = last + 1
    end
    rest = rest:sub(from)
    return #rest + size <= EVENT_MAX
  end
end

--- Returns an iterator over the events of an answer. Raises if it is cut.
function events.iterate(fetch, seconds, url)
  local queue, first, last = {}, 1, 0
  local take = parser(function(event)
    last = last + 1
    queue[last] = event
  end)
  local has_ended = false
  return function()
    while first > last and not has_ended do
      local chunk, message, code = fetch:read(seconds)
      if chunk and not take(chunk) then
        fetch:close()
        error(("%s: an event exceeds %d bytes"):format(url, EVENT_MAX), 0)
      elseif not chunk then
        has_ended = true
        fetch:close()
        if code and code ~= "closed" then
          error(("%s: the event stream was cut: %s"):format(url, message), 0)
        end
      end
    end
    local event = queue[first]
    queue[first], first = nil, first + 1
    return event
  end
end

events._parser = parser

return events
