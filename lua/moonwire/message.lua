--- A message from a client, as handlers see it, or one that is kept. Its data are decoded when they are asked for.
local json = require("moonwire.core").json

---@class moonwire.Message
---@field event string
---@field data any the decoded JSON; nil if the message is binary
---@field raw string|nil the JSON as it was sent; nil if the message is binary
---@field binary string|nil the bytes of a binary message
---@field id string|nil of a message that is kept; what a client has just sent has none, likewise all below
---@field from string|nil the user whose message was relayed
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
    -- Well-formed, but beyond what Lua can hold: a number, or a name twice.
    error({ code = "bad_request", message = message }, 0)
  end
  self.data = value
  return value
end

--- Makes a message of what core hands over.
---@param event string
---@param raw string|nil
---@param binary string|nil
---@param kept? table what is known of one that is kept
---@return moonwire.Message
return function(event, raw, binary, kept)
  local self = kept or {}
  self.event, self.raw, self.binary = event, raw == "" and "null" or raw, binary
  return setmetatable(self, Message)
end
