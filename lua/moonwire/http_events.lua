--- Reads an event stream of another server (WHATWG HTML, 9.2.6).
local events = {}

local EVENT_MAX = 1024 * 1024

-- Returns a function that takes a chunk, and calls emit(event) for each event that it completes. A
-- line may end in CR LF, LF, or CR, and a chunk anywhere. Each byte is looked at once, however small
-- the chunks are.
local function parser(emit)
  local pieces, pending = {}, 0 -- of a line whose end has not come
  local is_begun, ends_in_cr = false, false
  local data, name, id, size = {}, "", nil, 0

  local function dispatch()
    if #data > 0 then
      emit { event = name ~= "" and name or "message", data = table.concat(data, "\n"), id = id }
    end
    data, name, size = {}, "", 0
  end

  local function line_read(line)
    if not is_begun then
      is_begun = true
      line = line:gsub("^\u{FEFF}", "")
    end
    if line == "" then
      return dispatch()
    end
    local field, value = line:match "^([^:]*):? ?(.*)$"
    if field == "data" then
      size = size + #line
      data[#data + 1] = value
    elseif field == "event" then
      name = value
    elseif field == "id" and not value:find "\0" then
      id = value ~= "" and value or nil
    end
  end

  return function(chunk)
    local from = ends_in_cr and chunk:byte() == 10 and 2 or 1
    ends_in_cr = ends_in_cr and chunk == ""
    while from <= #chunk do
      local at = chunk:find("[\r\n]", from)
      pieces[#pieces + 1] = chunk:sub(from, at and at - 1)
      if not at then
        pending = pending + #pieces[#pieces]
        break
      end
      local line = table.concat(pieces)
      pieces, pending = {}, 0
      line_read(line)
      from = at + 1
      if chunk:byte(at) == 13 then
        ends_in_cr = from > #chunk
        from = chunk:byte(from) == 10 and from + 1 or from
      end
    end
    return pending + size <= EVENT_MAX
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
