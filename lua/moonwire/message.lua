--- A message from a client, or one from the history. Its data is decoded on first use.
local json = require("moonwire.core").json

---@class moonwire.Message
---@field event string
---@field data any the decoded JSON; nil if the message is binary
---@field raw string|nil the JSON as it was sent; nil if the message is binary
---@field binary string|nil the bytes of a binary message
---@field id string|nil only of a message from the history, like the fields below
---@field from string|nil the user whose event was relayed
---@field key string|nil
---@field age number|nil seconds since it was published
local Message = {}

function Message.__index(self, name)
  local raw = rawget(self, "raw")
  if name ~= "data" or not raw then
    return nil
  end
  local value, message = json.decode(raw)
  if message then
    -- Well-formed, but Lua cannot hold it: a number, or a name twice.
    error({ code = "bad_request", message = message }, 0)
  end
  self.data = value
  return value
end

--- Returns a message for the values that core passes.
---@param event string
---@param raw string|nil
---@param binary string|nil
---@param kept? table the fields of a message from the history
---@return moonwire.Message
return function(event, raw, binary, kept)
  local self = kept or {}
  self.event, self.raw, self.binary = event, raw == "" and "null" or raw, binary
  return setmetatable(self, Message)
end
