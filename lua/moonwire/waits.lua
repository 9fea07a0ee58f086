--- What handlers wait for besides time: calls of other code, other functions, values of other tasks.
local core = require "moonwire.core"
local options = require "moonwire.options"

local waits = {}

--- Calls start(resume), and waits until something calls resume(...). Returns what resume got.
--- resume returns true if that call ended the wait.
---@param start fun(resume: fun(...): boolean)
---@param seconds? number
---@return any ... or nil and "timeout" or "closed"
function waits.await(start, seconds)
  options.argument("moonwire.await", 1, start, "function")
  if seconds ~= nil then
    options.argument("moonwire.await", 2, seconds, "number")
  end
  local signal, has_ended, results = core.signal(), false, nil
  local function resume(...)
    if has_ended then
      return false
    end
    has_ended, results = true, table.pack(...)
    return signal:fire()
  end
  start(resume)
  local ok, why = signal:wait(seconds)
  has_ended = true
  if not ok then
    return nil, why
  end
  return table.unpack(results, 1, results.n)
end

return waits
