--- app.log: lines in the server's log. Called with a format and its values, as string.format takes them, or with one value.
local core = require "moonwire.core"

---@class moonwire.Log
---@operator call: fun(format: any, ...: any)
---@field debug fun(format: any, ...: any)
---@field info fun(format: any, ...: any)
---@field warn fun(format: any, ...: any)
---@field error fun(format: any, ...: any)
local log = {}

local function writer(level)
  return function(format, ...)
    local text = select("#", ...) > 0 and string.format(format, ...) or tostring(format)
    core.log(level, text)
  end
end

log.debug = writer "debug"
log.info = writer "info"
log.warn = writer "warning"
log.error = writer "error"

return setmetatable(log, {
  __call = function(_, ...)
    log.info(...)
  end,
})
