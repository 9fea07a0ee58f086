-- Reads what a device has posted: {"value":21.5,"unit":"°C"}. Raises what a route answers.

local function refuse(message)
  error { code = "bad_request", message = message }
end

return function(request)
  local name, data = request.params.device, request:json()
  if #name > 32 or not name:find "^[%w-]+$" then
    refuse "the name of a device has 1 to 32 letters, digits, and hyphens"
  elseif type(data) ~= "table" or type(data.value) ~= "number" or math.abs(data.value) > 1e9 then
    refuse 'the value must be a number, as in {"value":21.5,"unit":"°C"}'
  end
  local unit = data.unit or ""
  if type(unit) ~= "string" or #unit > 16 or unit:find "%c" then
    refuse "the unit must be a text of at most 16 bytes"
  end
  return name, data.value, unit
end
