--- Identifies clients by a header of a trusted proxy, which has authenticated them already.
local options = require "moonwire.options"

---@class moonwire.TrustedHeader
---@field package _identify fun(request: moonwire.Request): table|false, string?, integer?
local TrustedHeader = { _is_auth = true }
TrustedHeader.__index = TrustedHeader
TrustedHeader.__name = "moonwire.trusted_header"

--- Returns what identifies clients by a header, for `auth` of an app or for app:authenticate. Its
--- value is the user's id. Requests that do not come from a trusted proxy are refused.
---@param name string "X-Remote-User"
---@return moonwire.TrustedHeader
return function(name)
  local call = "moonwire.trusted_header"
  options.argument(call, 1, name, "string")
  if not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    options.raise(("%s: %s cannot be the name of a header"):format(call, options.show(name)))
  end
  local key = name:lower()
  local function identify(request)
    local value = request.headers[key]
    if not request.by_proxy then
      return false, "the request does not come from a trusted proxy", 403
    elseif not value or value == "" then
      return false, ("the header %s is missing"):format(name), 401
    elseif value:find "," then
      -- A proxy that adds its value to one that the client has sent joins them by a comma.
      return false, ("the header %s has more than one value"):format(name), 400
    end
    return { id = value }
  end
  return setmetatable({ _identify = identify }, TrustedHeader)
end
