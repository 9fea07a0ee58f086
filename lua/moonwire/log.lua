--- app.log: lines in the server's log. Called with a format and its values, as string.format takes them, or with one value.
local core = require "moonwire.core"
local options = require "moonwire.options"

---@class moonwire.Log
---@operator call: fun(format: any, ...: any)
---@field debug fun(format: any, ...: any)
---@field info fun(format: any, ...: any)
---@field warn fun(format: any, ...: any)
---@field warning fun(format: any, ...: any)
---@field error fun(format: any, ...: any)
local log = {}

-- app:log(…) hands over the app, and app.log:info(…) the log.
local function check_dot(call, first)
  local meta = type(first) == "table" and getmetatable(first)
  if rawequal(first, log) or meta and meta.__name == "moonwire.app" then
    options.raise(("%s: call it with a dot, as %s(…)"):format(call, call))
  end
end

local function write(call, level, format, ...)
  check_dot(call, format)
  local text
  if select("#", ...) > 0 then
    local ok, result = pcall(string.format, format, ...)
    if not ok then
      options.raise(("%s: %s"):format(call, (result:gsub(" to '[%w.]*format'", ""))))
    end
    text = result
  else
    text = tostring(format)
  end
  core.log(level, text)
end

local function writer(name, level)
  local call = "app.log." .. name
  return function(...)
    write(call, level, ...)
  end
end

log.debug = writer("debug", "debug")
log.info = writer("info", "info")
log.warn = writer("warn", "warning")
log.warning = writer("warning", "warning")
log.error = writer("error", "error")

return setmetatable(log, {
  __call = function(_, ...)
    write("app.log", "info", ...)
  end,
})
