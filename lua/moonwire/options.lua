--- Reads options tables. An unknown key, or a value of the wrong type, raises an error with the
--- place of the call, the key, and the key that was probably intended.
local core = require "moonwire.core"

local options = {}

local own_directory = debug.getinfo(1, "S").source:match("^(.*[/\\])")
core.own_directory(own_directory or "")

local function place(info, line)
  local file = info.source:match("^@(.*)$")
  local name = file or info.short_src
  return line > 0 and ("%s:%d"):format(name, line) or name, file
end

--- Returns where a function was defined ("app.lua:7"), and the path of the file. For a whole
--- script, it is the name of the script.
---@param fn function
---@return string
---@return string|nil
function options.definition(fn)
  local info = debug.getinfo(fn, "S")
  return place(info, info.what == "main" and 0 or info.linedefined)
end

local function pass(...)
  return ...
end

--- Calls a function of the script, and returns what it returns. A tail call into moonwire leaves no
--- trace of its line. options.caller finds the function here.
---@param fn function
function options.call(fn, ...)
  return pass(fn(...))
end

--- Returns the place in the script that called into moonwire: the innermost function that is not
--- moonwire's, or the definition of the function that made a tail call.
---@return string where "app.lua:7", or "?" if there is none
---@return string|nil file the script's path, if it is a file
function options.caller()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Slf")
    if not info then
      return "?"
    elseif info.func == options.call then
      local _, fn = debug.getlocal(level, 1)
      return options.definition(fn)
    end
    local is_own = own_directory and info.source:sub(1, #own_directory) == own_directory
    if info.what ~= "C" and not is_own then
      return place(info, info.currentline)
    end
    level = level + 1
  end
end

--- Raises an error at a place in the script, by default at the call into moonwire.
---@param message string
---@param where? string
function options.raise(message, where)
  error(("%s: %s"):format(where or options.caller(), message), 0)
end

--- Returns a value as messages show it: 'the string "1"', '-1', 'nil', 'table'.
---@param value any
---@return string
function options.show(value)
  if type(value) == "string" then
    return #value <= 40 and ("the string %q"):format(value) or "a string"
  end
  return type(value) == "number" and tostring(value) or type(value)
end

--- Makes each method raise if it is called with a dot, or on another value.
---@param class table the table of methods, which is also the metatable
---@param name string what scripts call an object: "app"
function options.guard(class, name)
  for method, fn in pairs(class) do
    if type(fn) == "function" and method:sub(1, 1) ~= "_" then
      class[method] = function(self, ...)
        if getmetatable(self) ~= class then
          local text = "%s.%s: call it with a colon, as %s:%s(…)"
          options.raise(text:format(name, method, name, method))
        end
        return fn(self, ...)
      end
    end
  end
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

--- Checks the type of an event; core checks its text.
---@param call string
---@param event any
function options.event(call, event)
  if event ~= nil and type(event) ~= "string" then
    options.raise(("%s: the event must be a string, got %s"):format(call, type(event)))
  end
end

--- Returns the id of a user, which is the first argument, as a string.
---@param call string
---@param value any
---@return string
function options.user_id(call, value)
  local id = core.user_id(value)
  if not id then
    local text = "%s: argument 1 must be the id of a user, got %s"
    options.raise(text:format(call, options.show(value)))
  end
  return id
end

--- Returns headers as a list of name, value, name, value, by name. core checks their text.
---@param call string
---@param headers table<string, string>|nil
---@return string[]
function options.fields(call, headers)
  local names, fields = {}, {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" then
      options.raise(("%s: headers: a name must be a string, got %s"):format(call, type(name)))
    elseif type(value) ~= "string" then
      local text = "%s: headers: the value of %q must be a string, got %s"
      options.raise(text:format(call, name, type(value)))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    fields[#fields + 1] = name
    fields[#fields + 1] = headers[name]
  end
  return fields
end

--- Checks the type of data that is sent as bytes.
---@param call string
---@param data any
---@param is_binary boolean|nil
function options.content(call, data, is_binary)
  if is_binary and type(data) ~= "string" then
    options.raise(("%s: binary data must be a string of bytes, got %s"):format(call, type(data)))
  end
end

-- Returns how many letters must be changed, inserted, removed, or swapped with a neighbor to turn
-- one word into the other.
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

--- Returns the candidate that was probably intended, or nil if none is similar.
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

-- Types by name: their description in messages, and a test. Lua's own type names do not need an
-- entry.
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
  rate = {
    "0 or a number from 0.001 to 1,000,000",
    function(value)
      return type(value) == "number" and (value == 0 or value >= 0.001 and value <= 1e6)
    end,
  },
  text = {
    "a non-empty string",
    function(value)
      return type(value) == "string" and value ~= ""
    end,
  },
  strings = { "a list of strings", is_strings },
  any = {
    "any value",
    function()
      return true
    end,
  },
  authorize = {
    'a function, a boolean, or "token"',
    function(value)
      return type(value) == "function" or type(value) == "boolean" or value == "token"
    end,
  },
  auth = {
    "what moonwire.token or moonwire.trusted_header returns",
    function(value)
      local class = getmetatable(value)
      return type(value) == "table" and type(class) == "table" and class._is_auth == true
    end,
  },
  broker = {
    "what moonwire.redis returns",
    function(value)
      local class = getmetatable(value)
      return type(value) == "table" and type(class) == "table" and class._is_broker == true
    end,
  },
  ["boolean or table"] = {
    "a boolean or a table",
    function(value)
      return type(value) == "boolean" or type(value) == "table"
    end,
  },
  ["function or true"] = {
    "a function or true",
    function(value)
      return type(value) == "function" or value == true
    end,
  },
  presence = {
    "a boolean, a function, or a table",
    function(value)
      local kind = type(value)
      return kind == "boolean" or kind == "function" or kind == "table"
    end,
  },
  client = { "a client", core.is_client },
  ["string or number"] = {
    "a string or a number",
    function(value)
      return type(value) == "string" or type(value) == "number"
    end,
  },
  ["string or table"] = {
    "a string or a table",
    function(value)
      return type(value) == "string" or type(value) == "table"
    end,
  },
  cache = {
    'a non-negative number of seconds, or "immutable"',
    function(value)
      return value == "immutable" or math.type(value) == "integer" and is_seconds(value)
    end,
  },
  addresses = {
    "an address or a list of addresses",
    function(value)
      return type(value) == "string" or is_strings(value)
    end,
  },
  body = {
    "a string or a table",
    function(value)
      return type(value) == "string" or type(value) == "table"
    end,
  },
  mode = {
    "a string of octal digits like '0660'",
    function(value)
      return type(value) == "string" and value:find "^0?[0-7][0-7][0-7]$" ~= nil
    end,
  },
  workers = {
    "a number from 1 to 64, or 'auto'",
    function(value)
      return value == "auto" or math.type(value) == "integer" and value >= 1 and value <= 64
    end,
  },
  ["path or false"] = {
    "a path that begins with '/', or false",
    function(value)
      return value == false or type(value) == "string" and value:sub(1, 1) == "/"
    end,
  },
}

local Words = {}

--- A type for options.read: one of these words.
---@param words string[]
---@return table
function options.one_of(words)
  return setmetatable(words, Words)
end

local Elsewhere, Former = {}, {}

--- A type for options.read: an option that a reader may expect here, and where it belongs.
---@param belongs string "an option of publishing"
---@return table
function options.elsewhere(belongs)
  return setmetatable({ place = belongs }, Elsewhere)
end

--- A type for options.read: a former name of an option, which is refused, and its name now.
---@param name string "message_size"
---@return table
function options.former(name)
  return setmetatable({ name = name }, Former)
end

-- Returns what is wrong with a value that must be one of the words, or nil.
local function word_fault(value, words)
  local quoted = {}
  for i, word in ipairs(words) do
    if value == word then
      return nil
    end
    quoted[i] = ("%q"):format(word)
  end
  local hint = type(value) == "string" and options.hint(value, { table.unpack(words) }, '"') or ""
  local text = "must be %s or %s, got %s%s"
  local last = table.remove(quoted)
  return text:format(table.concat(quoted, ", "), last, options.show(value), hint)
end

local function keys_of(spec)
  local keys = {}
  for key, expected in pairs(spec) do
    local kind = getmetatable(expected)
    if kind ~= Elsewhere and kind ~= Former then
      keys[#keys + 1] = key
    end
  end
  return keys
end

-- A value of the right type, or a text in place of a number, is shown itself: its type would not
-- tell what is wrong with it.
local function got(value, expected)
  local wants_number = expected:find "number" or expected:find "integer"
  local wants_text = expected:find "string" or expected:find "path"
  local is_text = type(value) == "string"
  local is_shown = wants_number and (is_text or type(value) == "number") or wants_text and is_text
  return is_shown and options.show(value) or type(value)
end

local function read(call, given, spec, prefix, where)
  local result = {}
  for key, value in pairs(given) do
    local expected = spec[key]
    if type(key) ~= "string" then
      options.raise(
        ("%s: an option must have a name, got the key %s"):format(call, tostring(key)),
        where
      )
    elseif expected == nil then
      local hint = options.hint(key, keys_of(spec))
      options.raise(("%s: unknown option '%s%s'%s"):format(call, prefix, key, hint), where)
    elseif getmetatable(expected) == Elsewhere then
      local text = "%s: unknown option '%s%s' (it is %s)"
      options.raise(text:format(call, prefix, key, expected.place), where)
    elseif getmetatable(expected) == Former then
      local text = "%s: unknown option '%s%s' (did you mean '%s'?)"
      options.raise(text:format(call, prefix, key, expected.name), where)
    elseif getmetatable(expected) == Words then
      local fault = word_fault(value, expected)
      if fault then
        options.raise(("%s: option '%s%s' %s"):format(call, prefix, key, fault), where)
      end
      result[key] = value
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
---@param spec table<string, string|table> a type by name, options.one_of, or the specification of a table within
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

local deflate_spec = {
  min = "count",
  server_context_takeover = "boolean",
  client_context_takeover = "boolean",
}

--- Returns the option `deflate` (true, false, or a table) in the form that core takes.
---@param call string
---@param given boolean|table|nil
---@param where? string
---@return table|nil
function options.deflate(call, given, where)
  if given == nil or given == true then
    return nil
  elseif given == false then
    return { off = true }
  end
  local read_options = options.read(call .. ", deflate", given, deflate_spec, where)
  read_options.min = read_options.min and math.max(read_options.min, 1)
  return read_options
end

return options
