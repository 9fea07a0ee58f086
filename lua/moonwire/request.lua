--- An HTTP request. Fields that take work are read on first use.
local cookies = require "moonwire.cookies"
local crypto = require "moonwire.crypto"
local core = require "moonwire.core"
local options = require "moonwire.options"

---@class moonwire.Request
---@field method string
---@field path string percent-decoded
---@field query table<string, string> form-decoded; the last value of each name
---@field query_all table<string, string[]>
---@field headers table<string, string> names in lower case; the last value of each name; Cookie fields are joined
---@field cookies table<string, string> the first value of each name
---@field params table<string, string> the captures of the route
---@field body string
---@field remote string the client's address, "unix" on a unix socket
---@field scheme string "http" or "https", by which the client has connected, as far as a trusted proxy says it
---@field by_proxy boolean the request comes from a trusted proxy
---@field token string|nil the token in "connect", else in the header Authorization: Bearer, else in the query
---@field query_string string as sent
---@field last_event_id string|nil of the last event that a reconnecting EventSource received
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

local methods = {}
local cookie_spec = { signed = "string or table", sealed = "string or table" }

--- Returns the value of a cookie; of a signed or sealed one only if it was made with the key and has
--- not expired.
---@param name string
---@param given? { signed: string|string[]?, sealed: string|string[]? }
---@return string|nil
---@return string|nil message
---@return string|nil code "missing", "invalid", or "expired"
function methods:cookie(name, given)
  local call = "request:cookie"
  options.argument(call, 1, name, "string")
  given = options.read(call, given, cookie_spec)
  if given.signed and given.sealed then
    options.raise(call .. ": options 'signed' and 'sealed' exclude each other")
  elseif given.signed or given.sealed then
    local open = given.signed and crypto.verify or crypto.open
    crypto._keys(call, given.signed or given.sealed)
    return cookies.open(self.headers.cookie, name, open, given.signed or given.sealed)
  end
  local value = self.cookies[name]
  if value == nil then
    return nil, "there is no such cookie", "missing"
  end
  return value
end

---@class moonwire.File
---@field filename string as the page states it: not a safe path
---@field type string|nil as the page states it
---@field content string

--- Returns the fields and the files of a form that a page has posted, by name, and the list of all.
--- If a name occurs more than once, the last one counts.
---@return table<string, string>|nil fields
---@return table<string, moonwire.File>|string files; or what is wrong with the body
---@return { name: string, value: string, filename: string?, type: string? }[]|nil list
function methods:form()
  local list, message = core.form(self.headers["content-type"] or "", self.body)
  if not list then
    return nil, message
  end
  local fields, files = {}, {}
  for _, field in ipairs(list) do
    if not field.filename then
      fields[field.name] = field.value
    elseif field.filename ~= "" or field.value ~= "" then -- otherwise, no file was chosen
      files[field.name] = { filename = field.filename, type = field.type, content = field.value }
    end
  end
  return fields, files, list
end

--- Returns the decoded body, or nil and what is wrong with it.
---@return any
---@return string|nil message
function methods:json()
  return core.json.decode(self.body)
end

function Request.__index(self, name)
  if name == "query" or name == "query_all" then
    self.query, self.query_all = read_query(self.query_string)
    return rawget(self, name)
  elseif name == "cookies" then
    self.cookies = cookies.read(self.headers.cookie)
    return self.cookies
  elseif name == "last_event_id" then
    local id = self.headers["last-event-id"] or self.query.lastEventId
    return id ~= "" and id or nil
  end
  return methods[name]
end

--- Returns a request for the table that core passes.
---@param raw table
---@return moonwire.Request
return function(raw)
  return setmetatable(raw, Request)
end
