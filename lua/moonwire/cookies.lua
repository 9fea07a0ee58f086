--- Cookies of requests and answers (RFC 6265).
local crypto = require "moonwire.crypto"
local options = require "moonwire.options"

local cookies = {}

-- The most that browsers store of a name and its value; they ignore longer ones without a word.
local PAIR_MAX = 4096

local cookie_spec = {
  value = "string",
  path = "string",
  domain = "string",
  max_age = "count",
  secure = "boolean",
  http_only = "boolean",
  same_site = options.one_of { "Strict", "Lax", "None" },
  signed = "string or table",
  sealed = "string or table",
}

-- ---- Of requests ----------------------------------------------------------------------------------------------------------

-- Takes linear time. A pattern such as "^%s*(.-)%s*$" tries every way to divide a run of spaces.
local function trim(text)
  return text:find "%S" and text:match "^%s*(.*%S)" or ""
end

-- Iterates over the names and values of a Cookie header.
local function pairs_of(header)
  local next_pair = (header or ""):gmatch "[^;]+"
  return function()
    for pair in next_pair do
      local name, value = pair:match "^([^=]*)=(.*)$"
      name = name and trim(name)
      if name and name ~= "" then
        value = trim(value)
        return name, value:match '^"(.*)"$' or value
      end
    end
  end
end

--- Returns the first value of each name. Browsers send the cookie of the longest path first (RFC 6265
--- section 5.4).
---@param header string|nil
---@return table<string, string>
function cookies.read(header)
  local values = {}
  for name, value in pairs_of(header) do
    if values[name] == nil then
      values[name] = value
    end
  end
  return values
end

-- What the signature or the encryption is bound to: the value of one cookie is of no use in another.
local function purpose_of(name)
  return { purpose = "cookie " .. name }
end

--- Returns the value of a signed or sealed cookie. Of several with the name, one may have been set
--- by another subdomain, so each is tried.
---@param header string|nil
---@param name string
---@param open fun(key: any, text: string, given: table): string|nil, string|nil, string|nil
---@param key string|string[]
---@return string|nil
---@return string|nil message
---@return string|nil code
function cookies.open(header, name, open, key)
  local message, code = "there is no such cookie", "missing"
  for each, value in pairs_of(header) do
    if each == name then
      local text, its_message, its_code = open(key, value, purpose_of(name))
      if text then
        return text
      end
      message, code = its_message, its_code
    end
  end
  return nil, message, code
end

-- ---- Of answers -----------------------------------------------------------------------------------------------------------

local function value_of(name, given, fail, call, where)
  local how = given.signed and "sign" or given.sealed and "seal"
  local value = given.value
  if value == nil then
    fail "the value is missing; to delete a cookie, use false in place of the table"
  elseif given.signed and given.sealed then
    fail "options 'signed' and 'sealed' exclude each other; what is sealed cannot be altered either"
  elseif how then
    crypto._keys(call, given.signed or given.sealed, where)
    local sealing = purpose_of(name)
    sealing.expires_in = given.max_age and given.max_age > 0 and given.max_age or nil
    return crypto[how](given.signed or given.sealed, value, sealing)
  elseif value:find "[^!#-+--:<-[%]^-~]" then
    fail "the value has characters that a cookie cannot have; encode it, or use 'signed' or 'sealed'"
  end
  return value
end

local function check_name(name, fail)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    fail "the name must consist of letters, digits, and !#$%&'*+-.^_`|~"
  end
end

-- Attributes must not begin others.
local function check_attributes(name, given, fail)
  local is_host = name:sub(1, 7):lower() == "__host-"
  local is_secure = is_host or name:sub(1, 9):lower() == "__secure-" or given.same_site == "None"
  if not given.path:find "^/[^;%c]*$" then
    fail "option 'path' must begin with '/', and not have ';'"
  elseif given.domain and not given.domain:find "^[%w.-]+$" then
    fail "option 'domain' must be the name of a domain"
  elseif is_host and (given.path ~= "/" or given.domain) then
    fail 'a name that begins with __Host- requires path = "/" and no domain'
  elseif is_secure and given.secure == false then
    fail "SameSite=None, and names that begin with __Host- or __Secure-, require secure = true"
  end
  return is_secure
end

--- Returns a Set-Cookie value. Raises if something is wrong.
---@param name string
---@param given string|table|false false deletes it
---@param request moonwire.Request
---@param where string where the handler is defined, for messages
---@return string
function cookies.write(name, given, request, where)
  local call = ("cookie %s"):format(type(name) == "string" and ("%q"):format(name) or type(name))
  local function fail(text)
    options.raise(("%s: %s"):format(call, text), where)
  end
  check_name(name, fail)
  if given == false then
    given = { value = "", max_age = 0 }
  elseif type(given) == "string" then
    given = { value = given }
  elseif type(given) ~= "table" then
    fail(("must be a string, a table, or false, got %s"):format(options.show(given)))
  end
  given = options.read(call, given, cookie_spec, where)
  given.path = given.path or "/"
  local value = value_of(name, given, fail, call, where)
  local is_secure = check_attributes(name, given, fail)
  if given.secure == nil then
    given.secure = is_secure or request.scheme == "https"
  end
  if #name + #value > PAIR_MAX then
    local text = "name and value have %d bytes; browsers ignore cookies of more than %d"
    fail(text:format(#name + #value, PAIR_MAX))
  end
  return table.concat {
    name,
    "=",
    value,
    "; Path=",
    given.path,
    given.domain and "; Domain=" .. given.domain or "",
    given.max_age and ("; Max-Age=%d"):format(given.max_age) or "",
    given.secure and "; Secure" or "",
    given.http_only ~= false and "; HttpOnly" or "",
    "; SameSite=",
    given.same_site or "Lax",
  }
end

return cookies
