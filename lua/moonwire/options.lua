--- Reads options tables. A key that is unknown or of the wrong type raises an error that says where the
--- table was given, which key it is, and which one was probably meant.
local options = {}

local own_folder = debug.getinfo(1, "S").source:match("^(.*[/\\])")

--- The place in the script that called into moonwire: the innermost function that is not ours.
---@return string where "app.lua:7", or "?" if there is none
---@return string|nil file the script's path, if it is a file
function options.caller()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return "?"
    end
    local is_own = own_folder and info.source:sub(1, #own_folder) == own_folder
    if info.what ~= "C" and not is_own then
      local file = info.source:match("^@(.*)$")
      return ("%s:%d"):format(file or info.short_src, info.currentline), file
    end
    level = level + 1
  end
end

--- Raises an error at a place in the script; by default, at the one that called into moonwire.
---@param message string
---@param where? string
function options.raise(message, where)
  error(("%s: %s"):format(where or options.caller(), message), 0)
end

--- Checks an argument's type.
---@param call string
---@param position integer
---@param value any
---@param expected string one of Lua's types
function options.argument(call, position, value, expected)
  if type(value) ~= expected then
    options.raise(
      ("%s: argument %d must be a %s, got %s"):format(call, position, expected, type(value))
    )
  end
end

-- How many letters must be changed, put in, left out or swapped with their neighbour to make one word of the other.
local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

--- The candidate that was probably meant, or nil if none is near.
---@param word string
---@param candidates string[]
---@return string|nil
function options.nearest(word, candidates)
  local best, best_distance
  if #word > 40 then
    return nil
  end
  table.sort(candidates)
  for _, candidate in ipairs(candidates) do
    local d = distance(word:lower(), candidate:lower())
    if d <= math.max(1, math.min(2, #candidate // 2)) and (not best or d < best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best
end

--- " (did you mean 'history'?)", or nothing.
---@param word string
---@param candidates string[]
---@param quote? string
---@return string
function options.hint(word, candidates, quote)
  local likely = options.nearest(word, candidates)
  return likely and (" (did you mean %s%s%s?)"):format(quote or "'", likely, quote or "'") or ""
end

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value <= 1e9
end

local function is_strings(value)
  if type(value) ~= "table" then
    return false
  end
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value or type(item) ~= "string" then
      return false
    end
  end
  return true
end

-- Types by name: what the message calls them, and what is one. Lua's own type names need no entry.
local types = {
  count = {
    "a non-negative integer",
    function(value)
      return math.type(value) == "integer" and value >= 0 and value <= 0xffffffff
    end,
  },
  amount = {
    "a positive integer",
    function(value)
      return math.type(value) == "integer" and value > 0
    end,
  },
  seconds = { "a non-negative number of seconds", is_seconds },
  duration = {
    "a positive number of seconds",
    function(value)
      return is_seconds(value) and value >= 0.001
    end,
  },
  text = {
    "a string that is not empty",
    function(value)
      return type(value) == "string" and value ~= ""
    end,
  },
  strings = { "a list of strings", is_strings },
  ["function or boolean"] = {
    "a function or a boolean",
    function(value)
      return type(value) == "function" or type(value) == "boolean"
    end,
  },
  addresses = {
    "an address or a list of addresses",
    function(value)
      return type(value) == "string" or is_strings(value)
    end,
  },
  mode = {
    "a string of octal digits like '0660'",
    function(value)
      return type(value) == "string" and value:find "^0?[0-7][0-7][0-7]$" ~= nil
    end,
  },
  ["path or false"] = {
    "a path that begins with '/', or false",
    function(value)
      return value == false or type(value) == "string" and value:sub(1, 1) == "/"
    end,
  },
}

local function keys_of(spec)
  local keys = {}
  for key in pairs(spec) do
    keys[#keys + 1] = key
  end
  return keys
end

local function got(value, expected)
  local wants_number = expected:find "number" or expected:find "integer"
  return wants_number and type(value) == "number" and tostring(value) or type(value)
end

local function read(call, given, spec, prefix, where)
  local result = {}
  for key, value in pairs(given) do
    local expected = spec[key]
    if type(key) ~= "string" then
      options.raise(
        ("%s: options are named, and %s is not a name"):format(call, tostring(key)),
        where
      )
    elseif expected == nil then
      local hint = options.hint(key, keys_of(spec))
      options.raise(("%s: unknown option '%s%s'%s"):format(call, prefix, key, hint), where)
    elseif type(expected) == "table" then
      if type(value) ~= "table" then
        options.raise(
          ("%s: option '%s%s' must be a table, got %s"):format(call, prefix, key, type(value)),
          where
        )
      end
      result[key] = read(call, value, expected, prefix .. key .. ".", where)
    else
      local checked = types[expected]
      local description = checked and checked[1] or "a " .. expected
      local fits = checked and checked[2](value) or not checked and type(value) == expected
      if not fits then
        local text = "%s: option '%s%s' must be %s, got %s"
        options.raise(text:format(call, prefix, key, description, got(value, description)), where)
      end
      result[key] = value
    end
  end
  return result
end

--- Checks a table against its specification and returns a copy.
---@param call string how the user wrote it, for messages: 'app:channel "room:{room}"'
---@param given table|nil
---@param spec table<string, string|table> a type by name, or the specification of a table within
---@param where? string by default the place in the script that called into moonwire
---@return table
function options.read(call, given, spec, where)
  if given == nil then
    return {}
  elseif type(given) ~= "table" then
    options.raise(("%s: options must be a table, got %s"):format(call, type(given)), where)
  end
  return read(call, given, spec, "", where)
end

return options
