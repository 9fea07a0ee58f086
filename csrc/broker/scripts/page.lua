-- Reads what is kept of channels, and publishes it to the node that asked, one page a channel. So it
-- arrives in order with the messages.
--
-- KEYS  h, then for each channel its stream and its mark
-- ARGV  run, pub/sub channel of the node, mark ttl in s, bytes of a page at most, then for each
--       channel: number of the request, "+" (messages after a position, oldest first) or "-" (the
--       newest messages up to a position, or of all), that position or 0, messages at most
-- A page is "page <number> <epoch> <position> <last> <gone> <ended> <more>\n", then for each message
-- "<position> <before> <length>\n<record>", in the order in which they were read. `position` is that
-- of the newest message of all channels, `last` that of the newest message of this one.
-- Returns OK and whether the node is subscribed (1 or 0); FENCED: another Redis than expected.
local h = redis.pcall("HMGET", KEYS[1], "run", "epoch", "position")
if h[1] ~= ARGV[1] or (tonumber(string.match(h[3] or "", "^%d+$")) or 2 ^ 54) > 2 ^ 53 then
  return { "FENCED" }
end
local time = redis.call("TIME")
local now = math.max(time[1] * 1000 + math.floor(time[2] / 1000), math.floor(h[3] / 2048))
local floor = string.format("%.0f", math.max((now - (ARGV[3] - 3600) * 1000) * 2048, 0))
local bytes_max = tonumber(ARGV[4])

-- Returns true for a position that this Redis can have given out.
local function is_position(text, highest)
  return string.match(text, "^%d+$") and #text <= 16 and tonumber(text) <= tonumber(highest)
end

local function position_of(entry)
  return entry and string.match(entry[1], "^%d+")
end

-- A key of another type, which another program has written, is an empty stream.
local function entries_of(...)
  local entries = redis.pcall(...)
  return entries.err and {} or entries
end

local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then
      return entry[2][i + 1]
    end
  end
  return ""
end

-- The positions up to which messages are nowhere, and of the newest one.
local function bounds(stream, mark)
  local oldest = entries_of("XRANGE", stream, "-", "+", "COUNT", 1)[1]
  local newest = position_of(entries_of("XREVRANGE", stream, "+", "-", "COUNT", 1)[1])
  local last = mark[1]
  if newest and tonumber(newest) > tonumber(h[3]) then
    return h[3], h[3], false -- added by another program
  end
  if oldest and (not last or tonumber(newest) >= tonumber(last)) then
    local before = string.match(field(oldest, "b"), "^~?(%d+)$") or newest
    return is_position(before, position_of(oldest)) and before or newest, newest, true
  end
  return last or floor, last or "0", false
end

local function read(stream, direction, since, count)
  local entries
  if direction == "+" then
    entries = entries_of("XRANGE", stream, "(" .. since, "+", "COUNT", count)
  else
    entries = entries_of("XREVRANGE", stream, since == "0" and "+" or since, "-", "COUNT", count)
  end
  local parts, bytes, more = {}, 0, #entries == tonumber(count) and "1" or "0"
  for i, entry in ipairs(entries) do
    local record, before = field(entry, "m"), field(entry, "b")
    if #record > 6291456 then -- BROKER_RECORD_BYTES_MAX: written by another program
      record = "" -- invalid: the channel has a gap here
    end
    bytes = bytes + #record
    if i > 1 and bytes > bytes_max then
      more = "1"
      break
    end
    local position = position_of(entry)
    -- others may have added something
    if entry[1] == position .. "-0" and is_position(string.gsub(before, "^~", ""), position) then
      parts[#parts + 1] = position .. " " .. before .. " " .. #record .. "\n" .. record
    end
  end
  return table.concat(parts), more
end

local receivers = 1
for i = 2, #KEYS, 2 do
  local at = 5 + (i - 2) * 2
  local mark = redis.pcall("HMGET", KEYS[i + 1], "last", "ended")
  if mark.err or mark[1] and not is_position(mark[1], h[3]) then
    mark = { h[3], false } -- written by another program: everything is gone
  end
  local ended = mark[2] and is_position(mark[2], h[3]) and mark[2] or "0"
  local gone, last, is_kept = bounds(KEYS[i], mark)
  local messages, more = "", "0"
  if is_kept and tonumber(ARGV[at + 3]) > 0 then
    messages, more = read(KEYS[i], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  end
  local head = table.concat({ "page", ARGV[at], h[2], h[3], last, gone, ended, more }, " ")
  receivers = math.min(receivers, redis.call("PUBLISH", ARGV[2], head .. "\n" .. messages))
end
return { "OK", receivers }
