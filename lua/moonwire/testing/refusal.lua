--- Why the server did not accept something, as the four results of the functions that may fail:
--- nil, reason, code, status.
local json = require("moonwire.core").json

local refusal = {}

--- Of a response to a request: what its body says.
---@param response moonwire.testing.Reader
---@return nil
---@return string reason
---@return string code
---@return integer|nil status
function refusal.of(response)
  local object = json.decode(response.body)
  local fault = type(object) == "table" and object.error
  if type(fault) == "table" and type(fault.reason) == "string" then
    local channel = object.channel and ("%s: "):format(object.channel) or ""
    return nil, channel .. fault.reason, fault.code, response.status
  elseif response.status == 204 then
    return nil, "every channel has ended", "ended", 204
  elseif response.status == nil then
    return nil, "the server closed the connection", "closed", nil
  end
  return nil, ("status %d"):format(response.status), tostring(response.status), response.status
end

--- Of an answer to a verb: { code =, reason = }.
---@param fault table
---@return nil
---@return string reason
---@return string code
function refusal.of_answer(fault)
  return nil, fault.reason, fault.code
end

return refusal
