--- Text that the test clients write and show: targets, requests, and values in error messages.
local crypto = require "moonwire.crypto"
local json = require("moonwire.core").json

local text = {}

local SHOWN_MAX = 200 -- bytes of one value in an error message

local function escape(value)
  return (
    tostring(value):gsub("[^%w_.~-]", function(char)
      return ("%%%02X"):format(char:byte())
    end)
  )
end

--- A path with a query: path?name=value&…; a list of values repeats its name. Names are in order.
---@param path string
---@param query table<string, any>|nil
---@return string
function text.target(path, query)
  local names, parts = {}, {}
  for name in pairs(query or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = query[name]
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      parts[#parts + 1] = escape(name) .. "=" .. escape(item)
    end
  end
  if #parts == 0 then
    return path
  end
  return path .. (path:find("?", 1, true) and "&" or "?") .. table.concat(parts, "&")
end

--- The bytes of a form that a page posts (application/x-www-form-urlencoded). Names are in order.
---@param form table<string, any>
---@return string
function text.form(form)
  return text.target("", form):sub(2)
end

--- Adds the option `cookies` to the options' headers: those that a browser would send.
---@param given table the options of a request
---@return table given
function text.add_cookies(given)
  local names, pairs_of = {}, {}
  for name in pairs(given.cookies or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    pairs_of[i] = name .. "=" .. tostring(given.cookies[name])
  end
  if #names > 0 then
    local headers = text.headers({}, given.headers)
    local own = type(headers.cookie) == "table" and table.concat(headers.cookie, "; ")
      or headers.cookie
    headers.cookie = (own and own .. "; " or "") .. table.concat(pairs_of, "; ")
    given.headers = headers
  end
  return given
end

--- The headers of a request, by their names in lower case: the client's own, those that the test has
--- given, and the token as a Bearer token. Later ones replace earlier ones of the same name.
---@param own table<string, any>
---@param given table<string, any>|nil
---@param token string|nil
---@return table<string, any>
function text.headers(own, given, token)
  local headers = {}
  for _, list in ipairs { own, given or {} } do
    for name, value in pairs(list) do
      headers[name:lower()] = value
    end
  end
  headers.authorization = token and "Bearer " .. token or headers.authorization
  return headers
end

--- The bytes of a request. Headers of the caller replace those of the same name in `own`.
---@param method string
---@param target string
---@param own table<string, string|integer>
---@param given table<string, any>|nil a list of values is several headers
---@param body string|nil
---@return string
function text.request(method, target, own, given, body)
  local frame = { host = "localhost", ["content-length"] = body and #body or nil }
  local headers = text.headers(text.headers(frame, own), given)
  local lines = { ("%s %s HTTP/1.1"):format(method, target) }
  for name, value in pairs(headers) do
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = ("%s: %s"):format(name, item)
    end
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n") .. (body or "")
end

--- A value on one line of an error message.
---@param value any
---@return string
function text.show(value)
  local ok, shown = pcall(json.encode, value)
  if not ok then
    shown = tostring(value)
  end
  return #shown <= SHOWN_MAX and shown or shown:sub(1, SHOWN_MAX) .. "…"
end

--- A list of lines in an error message, at most ten of them.
---@param lines string[]
---@return string
function text.list(lines)
  local shown = {}
  for i = 1, math.min(#lines, 10) do
    shown[i] = ("\n  %d. %s"):format(i, lines[i])
  end
  if #lines > 10 then
    shown[11] = ("\n  … and %d more"):format(#lines - 10)
  end
  return table.concat(shown)
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

---@param bytes string
---@return string
function text.base64(bytes)
  return crypto._encode(bytes, "base64")
end

---@param encoded string
---@return string
function text.from_base64(encoded)
  local parts, word, bits = {}, 0, 0
  for char in encoded:gmatch "[%w+/]" do
    word, bits = (word << 6 | alphabet:find(char, 1, true) - 1) & 0xffffff, bits + 6
    if bits >= 8 then
      bits = bits - 8
      parts[#parts + 1] = string.char(word >> bits & 255)
    end
  end
  return table.concat(parts)
end

return text
