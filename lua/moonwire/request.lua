--- An HTTP request. Fields that take work are read on first use.
local json = require("moonwire.core").json

---@class moonwire.Request
---@field method string
---@field path string percent-decoded
---@field query table<string, string> form-decoded; the last value of each name
---@field query_all table<string, string[]>
---@field headers table<string, string> names in lower case; the last value of each name; Cookie fields are joined
---@field cookies table<string, string> the first value of each name
---@field params table<string, string> the captures of the route
---@field body string
---@field remote string the peer's address, "unix" on a unix socket
---@field token string|nil the token in "connect", else in the header Authorization: Bearer, else in the query
---@field query_string string as sent
local Request = {}

local function decode(text)
  text = text:gsub("+", " ")
  return (
    text:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  )
end

local function read_query(query)
  local last, all = {}, {}
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = decode(name), decode(value)
    last[name] = value
    all[name] = all[name] or {}
    table.insert(all[name], value)
  end
  return last, all
end

-- Takes linear time. A pattern such as "^%s*(.-)%s*$" tries every way to divide a run of spaces.
local function trim(text)
  return text:find "%S" and text:match "^%s*(.*%S)" or ""
end

local function read_cookies(header)
  local cookies = {}
  for pair in (header or ""):gmatch "[^;]+" do
    local name, value = pair:match "^([^=]*)=(.*)$"
    name = name and trim(name)
    -- Browsers send the cookie of the longest path first (RFC 6265 section 5.4).
    if name and name ~= "" and cookies[name] == nil then
      value = trim(value)
      cookies[name] = value:match '^"(.*)"$' or value
    end
  end
  return cookies
end

local methods = {}

--- Returns the decoded body, or nil and what is wrong with it.
---@return any
---@return string|nil message
function methods:json()
  return json.decode(self.body)
end

function Request.__index(self, name)
  if name == "query" or name == "query_all" then
    self.query, self.query_all = read_query(self.query_string)
    return rawget(self, name)
  elseif name == "cookies" then
    self.cookies = read_cookies(self.headers.cookie)
    return self.cookies
  end
  return methods[name]
end

--- Returns a request for the table that core passes.
---@param raw table
---@return moonwire.Request
return function(raw)
  return setmetatable(raw, Request)
end
