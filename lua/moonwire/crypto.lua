--- moonwire.crypto: what a login needs. The arithmetic is in C, on OpenSSL.
local core = require("moonwire.core").crypto
local options = require "moonwire.options"

---@class moonwire.crypto
local crypto = {}

local KEY_MIN, RANDOM_MAX = 32, 65536

-- ---- Encodings ------------------------------------------------------------------------------------------------------------

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

local function encode_base64(bytes, last_two, pads)
  local alphabet, parts = digits .. last_two, {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local word = a << 16 | (b or 0) << 8 | (c or 0)
    for i = 0, 3 do
      local index = (word >> (18 - 6 * i) & 63) + 1
      local is_padding = (i == 2 and not b) or (i == 3 and not c)
      parts[#parts + 1] = not is_padding and alphabet:sub(index, index) or pads and "=" or ""
    end
  end
  return table.concat(parts)
end

local encoders = {
  raw = function(bytes)
    return bytes
  end,
  hex = function(bytes)
    return (bytes:gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end))
  end,
  base64 = function(bytes)
    return encode_base64(bytes, "+/", true)
  end,
  base64url = function(bytes)
    return encode_base64(bytes, "-_", false)
  end,
}

local function encode(call, position, bytes, encoding)
  local encoder = encoders[encoding == nil and "raw" or encoding]
  if not encoder then
    local hint = type(encoding) == "string"
        and options.hint(encoding, { "raw", "hex", "base64", "base64url" }, '"')
      or ""
    local text = '%s: argument %d must be "hex", "base64", "base64url", or "raw", got %s%s'
    options.raise(text:format(call, position, options.show(encoding), hint))
  end
  return encoder(bytes)
end

-- ---- Random bytes and hashes ----------------------------------------------------------------------------------------------

---@alias moonwire.Encoding "raw"|"hex"|"base64"|"base64url"

--- Returns random bytes that cannot be guessed.
---@param count integer 1 to 65536
---@param encoding? moonwire.Encoding nil: "raw"
---@return string
function crypto.random(count, encoding)
  local call = "moonwire.crypto.random"
  if math.type(count) ~= "integer" or count < 1 or count > RANDOM_MAX then
    local text = "%s: argument 1 must be a number of bytes from 1 to %d, got %s"
    options.raise(text:format(call, RANDOM_MAX, options.show(count)))
  end
  return encode(call, 2, core.random(count), encoding)
end

--- Returns the SHA-256 hash of a text. Not for passwords: see password_hash.
---@param text string
---@param encoding? moonwire.Encoding nil: "raw", 32 bytes
---@return string
function crypto.sha256(text, encoding)
  options.argument("moonwire.crypto.sha256", 1, text, "string")
  return encode("moonwire.crypto.sha256", 2, core.sha256(text), encoding)
end

--- Returns the HMAC-SHA256 of a text. Compare it with `equal`.
---@param key string
---@param text string
---@param encoding? moonwire.Encoding nil: "raw", 32 bytes
---@return string
function crypto.hmac(key, text, encoding)
  options.argument("moonwire.crypto.hmac", 1, key, "string")
  options.argument("moonwire.crypto.hmac", 2, text, "string")
  return encode("moonwire.crypto.hmac", 3, core.hmac(key, text), encoding)
end

--- Compares two strings in a time that depends only on their lengths. nil, which a request may have
--- in place of a secret, equals nothing.
---@param a string|nil
---@param b string|nil
---@return boolean
function crypto.equal(a, b)
  for position, value in pairs { a, b } do
    options.argument("moonwire.crypto.equal", position, value, "string")
  end
  return a ~= nil and b ~= nil and core.equal(a, b)
end

-- ---- Passwords ------------------------------------------------------------------------------------------------------------

local hash_spec = { cost = "count" }

--- Hashes a password with scrypt. In a handler it waits, elsewhere it blocks.
---@param password string 1 to 1024 bytes
---@param given? { cost: integer? } 10 to 18; it needs 2^cost KiB of memory; nil: 15
---@return string|nil hash text for password_verify
---@return string|nil message
---@return string|nil code "unavailable" (too many are computed) or "closed"
function crypto.password_hash(password, given)
  local call = "moonwire.crypto.password_hash"
  options.argument(call, 1, password, "string")
  local cost = options.read(call, given, hash_spec).cost or 15
  if cost < 10 or cost > 18 then
    options.raise(("%s: option 'cost' must be from 10 to 18, got %d"):format(call, cost))
  elseif #password == 0 or #password > 1024 then
    local text = "%s: a password must have 1 to 1024 bytes, got %d; check its length first"
    options.raise(text:format(call, #password))
  end
  return core.password_hash(password, cost)
end

--- Returns whether the hash is that of the password. In a handler it waits, elsewhere it blocks.
---@param password string|nil nil, which a form may have in its place, is not the password
---@param hash string|nil nil: there is no such user; then the result is false, after as much time
---@return boolean|nil
---@return string|nil message
---@return string|nil code "unavailable" (too many are computed), "closed", or "invalid" (not a hash)
function crypto.password_verify(password, hash)
  for position, value in pairs { password, hash } do
    options.argument("moonwire.crypto.password_verify", position, value, "string")
  end
  return core.password_verify(password or "", hash)
end

-- ---- Sealed and signed text -----------------------------------------------------------------------------------------------

-- Returns the keys as a list. Of several, the first one seals, and each one opens: so keys can be
-- replaced.
local function read_keys(call, key, where)
  local keys = type(key) == "table" and key or { key }
  if #keys == 0 then
    options.raise(("%s: the key is missing, got %s"):format(call, options.show(key)), where)
  end
  for _, item in ipairs(keys) do
    if type(item) ~= "string" then
      options.raise(("%s: a key must be a string, got %s"):format(call, type(item)), where)
    elseif #item < KEY_MIN then
      local text = "%s: a key must have at least %d bytes, got %d; "
        .. "create one with: openssl rand -hex 32"
      options.raise(text:format(call, KEY_MIN, #item), where)
    end
  end
  return keys
end

local seal_spec = { purpose = "string", expires_in = "amount" }
local open_spec = { purpose = "string" }

local function make(call, fn, key, text, given)
  local keys = read_keys(call, key)
  options.argument(call, 2, text, "string")
  given = options.read(call, given, seal_spec)
  return fn(keys[1], text, given.purpose or "", given.expires_in)
end

local function read(call, fn, key, text, given)
  local keys = read_keys(call, key)
  if text ~= nil then
    options.argument(call, 2, text, "string")
  end
  local purpose = options.read(call, given, open_spec).purpose or ""
  local result, message, code = nil, "there is no text", "invalid"
  for _, item in ipairs(text and keys or {}) do
    result, message, code = fn(item, text, purpose)
    if result or code == "expired" then
      break
    end
  end
  return result, message, code
end

---@class moonwire.SealOptions
---@field purpose? string what it is for: opening requires the same
---@field expires_in? integer seconds

--- Encrypts a text (AES-256-GCM). The result has only characters for URLs and cookies.
---@param key string|string[] a secret of at least 32 bytes; of several, the first
---@param text string
---@param given? moonwire.SealOptions
---@return string
function crypto.seal(key, text, given)
  return make("moonwire.crypto.seal", core.seal, key, text, given)
end

--- Returns the text that was sealed.
---@param key string|string[] of several, each is tried
---@param sealed string|nil
---@param given? { purpose: string? }
---@return string|nil
---@return string|nil message
---@return string|nil code "invalid" or "expired"
function crypto.open(key, sealed, given)
  return read("moonwire.crypto.open", core.open, key, sealed, given)
end

--- Adds a signature (HMAC-SHA256) to a text. Anyone can read the result, and nobody can alter it.
---@param key string|string[]
---@param text string
---@param given? moonwire.SealOptions
---@return string
function crypto.sign(key, text, given)
  return make("moonwire.crypto.sign", core.sign, key, text, given)
end

--- Returns the text that was signed.
---@param key string|string[]
---@param signed string|nil
---@param given? { purpose: string? }
---@return string|nil
---@return string|nil message
---@return string|nil code "invalid" or "expired"
function crypto.verify(key, signed, given)
  return read("moonwire.crypto.verify", core.verify, key, signed, given)
end

--- Encodes bytes. For the test clients.
---@package
function crypto._encode(bytes, encoding)
  return encoders[encoding](bytes)
end

--- Checks a key, or a list of keys, and returns the list. For cookies.
---@package
function crypto._keys(call, key, where)
  return read_keys(call, key, where)
end

return crypto
