--- app.log: writes lines to the server's log. Takes a format and its values, as string.format does,
--- or one value. It never raises: a line that cannot be formatted has the values and the problem.
local core = require "moonwire.core"

---@class moonwire.Log
---@operator call: fun(format: any, ...: any)
---@field debug fun(format: any, ...: any)
---@field info fun(format: any, ...: any)
---@field warn fun(format: any, ...: any)
---@field warning fun(format: any, ...: any)
---@field error fun(format: any, ...: any)
local log = {}

-- Also for a value whose __tostring raises, or does not return a string.
local function to_text(value)
  local ok, text = pcall(tostring, value)
  return ok and text or ("a %s whose __tostring fails"):format(type(value))
end

-- app.log:info(…) hands over the log, and app:log(…) the app: as if it were called with a dot.
local function skip_self(first, ...)
  local meta = type(first) == "table" and getmetatable(first)
  if rawequal(first, log) or type(meta) == "table" and rawget(meta, "__name") == "moonwire.app" then
    return ...
  end
  return first, ...
end

-- "format value value (not formatted: why)"
local function join(why, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = to_text((select(i, ...)))
  end
  why = to_text(why)
  why = why:match "^bad argument #%d+ to '[^']*' %((.*)%)$" or why
  return ("%s (not formatted: %s)"):format(table.concat(parts, " "), why)
end

local function write(level, ...)
  local format = ...
  if select("#", ...) <= 1 then
    core.log(level, to_text(format))
    return
  end
  local ok, text = pcall(string.format, ...)
  core.log(level, ok and text or join(text, ...))
end

local function writer(level)
  return function(...)
    pcall(write, level, skip_self(...)) -- can fail only if out of memory
  end
end

log.debug = writer "debug"
log.info = writer "info"
log.warn = writer "warning"
log.warning = writer "warning"
log.error = writer "error"

return setmetatable(log, {
  __call = function(_, ...)
    log.info(...)
  end,
})
