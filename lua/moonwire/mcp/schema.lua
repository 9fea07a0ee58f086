--- Checks arguments against the part of JSON Schema that almost every tool uses: type, enum,
--- properties, required, additionalProperties = false, items. Other keywords are for the client.
local json = require("moonwire.core").json

local array_class = getmetatable(json.array {})
local DEPTH_MAX = 32

local schema = {}

local function is_list(value)
  return type(value) == "table" and (getmetatable(value) == array_class or value[1] ~= nil)
end

local tests = {
  object = function(value)
    return type(value) == "table" and not is_list(value)
  end,
  array = function(value)
    return is_list(value) or type(value) == "table" and next(value) == nil
  end,
  string = function(value)
    return type(value) == "string"
  end,
  number = function(value)
    return type(value) == "number"
  end,
  integer = function(value)
    return type(value) == "number" and math.tointeger(value) ~= nil
  end,
  boolean = function(value)
    return type(value) == "boolean"
  end,
  null = function(value)
    return value == json.null
  end,
}

local function has_type(value, wanted)
  if type(wanted) ~= "table" then
    return not tests[wanted] or tests[wanted](value)
  end
  for _, one in ipairs(wanted) do
    if has_type(value, one) then
      return true
    end
  end
  return false
end

local function is_one_of(value, words)
  for _, word in ipairs(words) do
    if word == value then
      return true
    end
  end
  return false
end

local function check_object(value, given, path, depth)
  for _, name in ipairs(type(given.required) == "table" and given.required or {}) do
    if value[name] == nil then
      return ("%s.%s is required"):format(path, name)
    end
  end
  local properties = type(given.properties) == "table" and given.properties or {}
  for name, item in pairs(value) do
    local property = properties[name]
    local fault
    if type(property) == "table" then
      fault = schema.check(item, property, ("%s.%s"):format(path, name), depth + 1)
    elseif given.additionalProperties == false then
      fault = ("%s.%s is not allowed"):format(path, name)
    end
    if fault then
      return fault
    end
  end
end

--- Returns what is wrong with a value, with its path, or nil.
---@param value any
---@param given table the schema
---@param path string such as "arguments"
---@param depth? integer
---@return string|nil
function schema.check(value, given, path, depth)
  depth = depth or 0
  if depth > DEPTH_MAX then
    return nil
  elseif given.type ~= nil and not has_type(value, given.type) then
    local wanted = type(given.type) == "table" and table.concat(given.type, " or ") or given.type
    return ("%s must be of type %s"):format(path, wanted)
  elseif type(given.enum) == "table" and not is_one_of(value, given.enum) then
    return ("%s must be one of the values of its enum"):format(path)
  elseif tests.object(value) then
    return check_object(value, given, path, depth)
  elseif is_list(value) and type(given.items) == "table" then
    for i, item in ipairs(value) do
      local fault = schema.check(item, given.items, ("%s[%d]"):format(path, i - 1), depth + 1)
      if fault then
        return fault
      end
    end
  end
end

--- Calls fn(path, name) for each property with x-mcp-header: the path is the list of its names.
---@param given table the schema
---@param fn fun(path: string[], name: string)
---@param path? string[]
function schema.each_header(given, fn, path)
  path = path or {}
  if #path > DEPTH_MAX or type(given.properties) ~= "table" then
    return
  end
  for name, property in pairs(given.properties) do
    if type(property) == "table" then
      local below = table.move(path, 1, #path, 1, {})
      below[#below + 1] = name
      if type(property["x-mcp-header"]) == "string" then
        fn(below, property["x-mcp-header"])
      end
      schema.each_header(property, fn, below)
    end
  end
end

return schema
