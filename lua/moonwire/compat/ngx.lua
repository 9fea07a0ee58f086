--- moonwire.compat.ngx: what drivers for OpenResty use of it, on moonwire.socket and moonwire.crypto.
--- Sets the globals `ngx` and `unpack`, and provides table.new, table.clear, bit, resty.sha256,
--- resty.random, and parts of resty.openssl, unless others are loaded already.
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local log = require "moonwire.log"
local socket = require "moonwire.socket"

local ngx = {}

-- ---- Sockets, with times in milliseconds ----------------------------------------------------------------------------------

local Cosocket = {}
Cosocket.__index = Cosocket

local function seconds(milliseconds)
  return milliseconds and milliseconds / 1000
end

-- 0 is the default, and so is what is not a number: lua-nginx-redis-connector gives a table.
local function timeout(milliseconds)
  milliseconds = tonumber(milliseconds)
  return milliseconds and milliseconds > 0 and milliseconds / 1000 or nil
end

function Cosocket:connect(host, port, given)
  if type(port) == "table" then
    port, given = nil, port
  end
  given = given or {}
  local pool = given.pool and tostring(given.pool)
  return self._socket:connect(host, port, { pool = pool, pool_size = given.pool_size })
end

function Cosocket:settimeout(milliseconds)
  return self._socket:settimeout(timeout(milliseconds))
end

function Cosocket:settimeouts(connect, send, read)
  return self._socket:settimeouts(timeout(connect), timeout(send), timeout(read))
end

function Cosocket:setkeepalive(milliseconds, size)
  return self._socket:setkeepalive(seconds(milliseconds), size)
end

function Cosocket:sslhandshake(session, name, verify)
  return self._socket:sslhandshake(type(session) ~= "table" and session or nil, name, verify)
end

for _, name in ipairs {
  "send",
  "receive",
  "receiveany",
  "receiveuntil",
  "getreusedtimes",
  "close",
  "setoption",
} do
  Cosocket[name] = function(self, ...)
    return self._socket[name](self._socket, ...)
  end
end

ngx.socket = {}

function ngx.socket.tcp()
  return setmetatable({ _socket = socket.tcp() }, Cosocket)
end

function ngx.socket.connect(...)
  local self = ngx.socket.tcp()
  local ok, message = self:connect(...)
  if not ok then
    return nil, message
  end
  return self
end

-- ---- Time, log, facts -----------------------------------------------------------------------------------------------------

ngx.null = core.json.null
ngx.now = core.now
ngx.sleep = core.sleep
function ngx.time()
  return math.floor(core.now())
end
function ngx.update_time() end
function ngx.get_phase()
  return "content"
end

ngx.config = { subsystem = "http", ngx_lua_version = 10025, debug = false }
ngx.ctx, ngx.var, ngx.OK, ngx.ERROR = {}, {}, 0, -1

local levels =
  { [0] = "error", "error", "error", "error", "error", "warning", "info", "info", "debug" }
for level, name in pairs {
  [0] = "STDERR",
  "EMERG",
  "ALERT",
  "CRIT",
  "ERR",
  "WARN",
  "NOTICE",
  "INFO",
  "DEBUG",
} do
  ngx[name] = level
end

function ngx.log(level, ...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    parts[i] = tostring(parts[i])
  end
  log[levels[level] or "error"]("%s", table.concat(parts, "", 1, parts.n))
end

-- ---- Encodings and hashes -------------------------------------------------------------------------------------------------

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

function ngx.md5(text)
  return hex(core.crypto.md5(text))
end
ngx.md5_bin = core.crypto.md5
ngx.sha1_bin = core.crypto.sha1
function ngx.hmac_sha256(key, text)
  return crypto.hmac(key, text)
end

function ngx.encode_base64(text, no_padding)
  local encoded = crypto._encode(tostring(text), "base64")
  return no_padding and encoded:gsub("=+$", "") or encoded
end

local values = {}
for i, byte in ipairs {
  ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(1, -1),
} do
  values[byte] = i - 1
end

function ngx.decode_base64(text)
  local digits, parts = text:gsub("=+$", ""), {}
  if #digits % 4 == 1 or digits:find "[^%w+/]" then
    return nil
  end
  for at = 1, #digits, 4 do
    local a, b, c, d = digits:byte(at, at + 3)
    local word = values[a] << 18
      | values[b] << 12
      | (c and values[c] or 0) << 6
      | (d and values[d] or 0)
    parts[#parts + 1] = (">I3"):pack(word):sub(1, d and 3 or c and 2 or 1)
  end
  return table.concat(parts)
end

function ngx.escape_uri(text)
  return (
    tostring(text):gsub("[^%w%-._~]", function(char)
      return ("%%%02X"):format(char:byte())
    end)
  )
end

function ngx.unescape_uri(text)
  return (
    text:gsub("+", " "):gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  )
end

local quoted = {
  ["\0"] = "\\0",
  ["\b"] = "\\b",
  ["\n"] = "\\n",
  ["\r"] = "\\r",
  ["\t"] = "\\t",
  ["\26"] = "\\Z",
  ["\\"] = "\\\\",
  ["'"] = "\\'",
  ['"'] = '\\"',
}

--- Quotes a value for MySQL. PostgreSQL has other rules.
function ngx.quote_sql_str(text)
  return "'" .. text:gsub("[\0\b\n\r\t\26\\'\"]", quoted) .. "'"
end

ngx.re = setmetatable({}, {
  __index = function(_, name)
    return function()
      local text = "ngx.re.%s needs PCRE, which moonwire does not have; use patterns of Lua"
      error(text:format(name), 2)
    end
  end,
})

-- ---- Modules --------------------------------------------------------------------------------------------------------------

local modules = {}

modules["table.new"] = function()
  return function()
    return {}
  end
end

modules["table.clear"] = function()
  return function(items)
    for key in pairs(items) do
      items[key] = nil
    end
  end
end

-- An object that collects text, and computes from all of it.
local function collector(compute)
  local Collector = {}
  Collector.__index = Collector
  function Collector:update(text)
    self[#self + 1] = text
    return true
  end
  function Collector:final(text)
    self[#self + 1] = text
    return compute(table.concat(self), self.key)
  end
  function Collector:reset()
    for i = #self, 1, -1 do
      self[i] = nil
    end
    return true
  end
  return Collector
end

local digests = { sha256 = core.crypto.sha256, sha1 = core.crypto.sha1, md5 = core.crypto.md5 }

local function resty_digest(name)
  return function()
    local Collector = collector(digests[name])
    return {
      new = function()
        return setmetatable({}, Collector)
      end,
    }
  end
end
modules["resty.sha256"] = resty_digest "sha256"
modules["resty.sha1"] = resty_digest "sha1"
modules["resty.md5"] = resty_digest "md5"

modules["resty.openssl.digest"] = function()
  return {
    new = function(name)
      local digest = digests[(name or "sha1"):lower()]
      if not digest then
        return nil, "moonwire.compat.ngx has no digest " .. tostring(name)
      end
      return setmetatable({}, collector(digest))
    end,
  }
end

modules["resty.openssl.hmac"] = function()
  local Collector = collector(function(text, key)
    return crypto.hmac(key, text)
  end)
  return {
    new = function(key, name)
      if (name or "sha1"):lower() ~= "sha256" then
        return nil, "moonwire.compat.ngx has no HMAC with " .. tostring(name)
      end
      return setmetatable({ key = key }, Collector)
    end,
  }
end

modules["resty.openssl.kdf"] = function()
  return {
    PBKDF2 = "PBKDF2",
    derive = function(given)
      if given.type ~= "PBKDF2" or given.md ~= "sha256" or given.outlen ~= 32 then
        return nil, "moonwire.compat.ngx has only PBKDF2 with SHA-256 and 32 bytes"
      end
      return core.crypto.pbkdf2(given.pass, given.salt, given.pbkdf2_iter)
    end,
  }
end

-- pgmoon binds its login to the certificate of the peer. Its hash is known already, by the text of
-- the certificate.
local hashes = setmetatable({}, { __mode = "v" })
local names = { [32] = "sha256", [48] = "sha384", [64] = "sha512" }

modules["resty.openssl.ssl"] = function()
  local Certificate = {}
  Certificate.__index = Certificate
  function Certificate:to_PEM()
    return self.text
  end
  function Certificate:get_signature_name()
    return names[#self.hash]
  end
  return {
    from_socket = function(cosocket)
      return {
        get_peer_certificate = function()
          local hash, bytes = cosocket._socket:_binding()
          if not hash then
            return nil, "the connection is not encrypted"
          end
          local lines = crypto._encode(bytes, "base64"):gsub(("."):rep(64), "%0\n"):gsub("\n$", "")
          local text = ("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"):format(
            lines
          )
          local certificate = setmetatable({ text = text, hash = hash }, Certificate)
          hashes[text] = certificate
          return certificate
        end,
      }
    end,
  }
end

modules["resty.openssl.x509"] = function()
  return {
    new = function(text)
      local known = hashes[text]
      if not known then
        return nil, "moonwire.compat.ngx has only the certificates of its peers"
      end
      return {
        digest = function()
          return known.hash
        end,
      }
    end,
  }
end

modules["resty.random"] = function()
  return { bytes = core.crypto.random }
end
modules["resty.openssl.rand"] = modules["resty.random"]

modules["resty.string"] = function()
  return { to_hex = hex }
end

-- 32-bit signed integers, as LuaJIT has.
modules.bit = function()
  local bit = {}
  local function word(value)
    return (math.tointeger(value) or math.floor(value + 0.5)) & 0xffffffff
  end
  local function signed(value)
    value = value & 0xffffffff
    return value >= 0x80000000 and value - 0x100000000 or value
  end
  local function fold(combine)
    return function(first, ...)
      local result = word(first)
      for i = 1, select("#", ...) do
        result = combine(result, word((select(i, ...))))
      end
      return signed(result)
    end
  end
  local function shift(combine)
    return function(value, count)
      return signed(combine(word(value), word(count) & 31))
    end
  end
  function bit.tobit(value)
    return signed(word(value))
  end
  function bit.bnot(value)
    return signed(~word(value))
  end
  bit.band = fold(function(a, b)
    return a & b
  end)
  bit.bor = fold(function(a, b)
    return a | b
  end)
  bit.bxor = fold(function(a, b)
    return a ~ b
  end)
  bit.lshift = shift(function(a, count)
    return a << count
  end)
  bit.rshift = shift(function(a, count)
    return a >> count
  end)
  bit.arshift = shift(function(a, count)
    return signed(a) // (1 << count)
  end)
  bit.rol = shift(function(a, count)
    return a << count | a >> (32 - count)
  end)
  bit.ror = shift(function(a, count)
    return a >> count | a << (32 - count)
  end)
  function bit.bswap(value)
    return signed((string.unpack("<I4", (">I4"):pack(word(value)))))
  end
  function bit.tohex(value, count)
    count = count or 8
    local text = ("%08x"):format(word(value)):sub(-math.min(math.abs(count), 8))
    return count < 0 and text:upper() or text
  end
  return bit
end

for name, load in pairs(modules) do
  package.preload[name] = package.preload[name] or load
end
rawset(_G, "ngx", rawget(_G, "ngx") or ngx)
rawset(_G, "unpack", rawget(_G, "unpack") or table.unpack)

return ngx
