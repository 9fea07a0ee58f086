--- Reads the option `presence` of app:channel.
local options = require "moonwire.options"

local presence = {}

local spec = {
  info = "function or true",
  mode = options.one_of { "full", "counts" },
  linger = "seconds",
  interval = "seconds",
}

--- Returns the option in the form that core takes, or nil without presence.
---@param call string for messages
---@param definition moonwire.ChannelOptions
---@return { info: function|nil, mode: "full"|"counts", linger: number, interval: number }|nil
function presence.read(call, definition)
  local given = definition.presence
  if definition.limits and definition.limits.members and not given then
    options.raise(("%s: option 'limits.members' needs 'presence'"):format(call))
  elseif not given then
    return nil
  end
  local info = given
  if type(given) == "table" then
    given = options.read(("%s, presence"):format(call), given, spec)
    info = given.info
  else
    given = {}
  end
  return {
    info = type(info) == "function" and info or nil,
    mode = given.mode or "full",
    linger = given.linger or 5,
    interval = given.interval or 1,
  }
end

return presence
