--- moonwire.token: JSON Web Tokens. In moonwire, this is moonwire.token_core, on the core.
--
-- Without the core, this file signs and verifies HS256 by itself, so that a login page in OpenResty
-- can share it. It runs in OpenResty, LuaJIT, and Lua 5.1 to 5.4. HMAC comes from OpenSSL: by the FFI
-- of LuaJIT, else by luaossl. Syntax and library are those of Lua 5.1.

if tonumber(_VERSION:match "%d+%.%d+") >= 5.4 and pcall(require, "moonwire.core") then
  return require "moonwire.token_core"
end

local byte, char, concat, floor = string.byte, string.char, table.concat, math.floor

local TOKEN_MAX = 8192 -- bytes
local KEY_MIN = 32
local KID_MAX = 256
local LEEWAY_MAX = 300 -- seconds
local SECONDS_MAX = 253402300799 -- the last second of the year 9999
local DEPTH_MAX = 100

-- ---- HMAC-SHA-256 ------------------------------------------------------------------------------

local function hmac_of_ffi()
  local ok, ffi = pcall(require, "ffi")
  if not ok then
    return nil
  end
  -- Names of our own, because another library may have declared the functions in another way.
  ffi.cdef [[
    const void *moonwire_EVP_sha256(void) __asm__("EVP_sha256");
    unsigned char *moonwire_HMAC(const void *evp_md, const void *key, int key_len, const char *d, size_t n,
                                 unsigned char *md, unsigned int *md_len) __asm__("HMAC");
  ]]
  local function has_hmac(library)
    return library.moonwire_HMAC ~= nil and library.moonwire_EVP_sha256 ~= nil
  end
  local candidates = { "crypto", "libcrypto.so.3", "libcrypto.so.1.1" }
  local crypto = ffi.C -- nginx has OpenSSL in its process
  local found = pcall(has_hmac, crypto)
  for i = 1, found and 0 or #candidates do
    local is_loaded, library = pcall(ffi.load, candidates[i])
    if is_loaded and pcall(has_hmac, library) then
      crypto, found = library, true
      break
    end
  end
  if not found then
    return nil
  end
  local out = ffi.new "unsigned char[32]"
  return function(key, text)
    local md = crypto.moonwire_EVP_sha256()
    if crypto.moonwire_HMAC(md, key, #key, text, #text, out, nil) == nil then
      error "OpenSSL cannot compute HMAC-SHA-256"
    end
    return ffi.string(out, 32)
  end
end

local function hmac_of_luaossl()
  local ok, hmac = pcall(require, "openssl.hmac")
  return ok and function(key, text)
    return hmac.new(key, "sha256"):final(text)
  end
end

local hmac = hmac_of_ffi() or hmac_of_luaossl()
if not hmac then
  error("moonwire.token requires moonwire's core, the FFI of LuaJIT with libcrypto, or luaossl", 0)
end

-- Takes the same time wherever they differ.
local function equal(a, b)
  if #a ~= #b then
    return false
  end
  local sum = 0
  for i = 1, #a do
    local difference = byte(a, i) - byte(b, i)
    sum = sum + difference * difference
  end
  return sum == 0
end

-- ---- Base64url (RFC 4648 section 5), without padding -------------------------------------------

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
local VALUES = {}
for i = 1, 64 do
  VALUES[byte(DIGITS, i)] = i - 1
end

local function base64url(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = byte(text, i, i + 2)
    local value = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 3, c and 0 or b and 1 or 2, -1 do
      local digit = floor(value / 64 ^ k) % 64 + 1
      out[#out + 1] = DIGITS:sub(digit, digit)
    end
  end
  return concat(out)
end

-- Returns nil if the text is not base64url, or has bits that belong to no byte.
local function from_base64url(text)
  local out, rest = {}, #text % 4
  if rest == 1 then
    return nil
  end
  for i = 1, #text, 4 do
    local value, count = 0, math.min(4, #text - i + 1)
    for k = 0, 3 do
      local digit = k >= count and 0 or VALUES[byte(text, i + k)]
      if not digit then
        return nil
      end
      value = value * 64 + digit
    end
    if value % 256 ^ (4 - count) ~= 0 then
      return nil
    end
    local bytes = char(floor(value / 65536), floor(value / 256) % 256, value % 256)
    out[#out + 1] = bytes:sub(1, count - 1)
  end
  return concat(out)
end

-- ---- JSON --------------------------------------------------------------------------------------

-- cjson is part of OpenResty. Its null is ngx.null there.
local function find_json()
  for _, name in ipairs { "cjson.safe", "dkjson" } do
    local ok, library = pcall(require, name)
    if ok then
      return library
    end
  end
end
local json = find_json()
local null = json and json.null or setmetatable({}, { __name = "null" })

-- Claims are read here, and not by a library: those accept a name twice, and more than JSON.
local ESCAPES =
  { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { ["true"] = true, ["false"] = false, null = null }

local function fail()
  error("not JSON", 0)
end

local function utf8_of(code)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xc0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xe0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  local high = 0x80 + floor(code / 4096) % 64
  return char(0xf0 + floor(code / 262144), high, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- The lowest and the highest second byte, and how many bytes follow the first.
local function utf8_rules(first)
  if first >= 0xc2 and first <= 0xdf then
    return 0x80, 0xbf, 1
  elseif first >= 0xe0 and first <= 0xef then
    return first == 0xe0 and 0xa0 or 0x80, first == 0xed and 0x9f or 0xbf, 2
  elseif first >= 0xf0 and first <= 0xf4 then
    return first == 0xf0 and 0x90 or 0x80, first == 0xf4 and 0x8f or 0xbf, 3
  end
  return fail()
end

-- The end of the character that begins there.
local function skip_character(text, at)
  local first = byte(text, at)
  if first < 0x80 then
    return first < 0x20 and fail() or at
  end
  local low, high, count = utf8_rules(first)
  for i = 1, count do
    local follows = byte(text, at + i) or 0
    if follows < low or follows > high then
      fail()
    end
    low, high = 0x80, 0xbf
  end
  return at + count
end

local function read_unicode(text, at)
  local code = tonumber(text:match("^u(%x%x%x%x)", at) or fail(), 16)
  if code < 0xd800 or code > 0xdfff then
    return code == 0 and fail() or utf8_of(code), at + 5
  end
  local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", at + 5) or fail(), 16)
  if code > 0xdbff then
    fail()
  end
  return utf8_of(0x10000 + (code - 0xd800) * 1024 + low - 0xdc00), at + 11
end

-- `at` is after the quote; returns the string, and the place after the second one.
local function read_string(text, at)
  local parts, from = {}, at
  while true do
    local code = byte(text, at) or fail()
    if code == 34 then
      parts[#parts + 1] = text:sub(from, at - 1)
      return concat(parts), at + 1
    elseif code == 92 then
      parts[#parts + 1] = text:sub(from, at - 1)
      local escape = text:sub(at + 1, at + 1)
      if escape == "u" then
        parts[#parts + 1], at = read_unicode(text, at + 1)
      else
        parts[#parts + 1], at = ESCAPES[escape] or fail(), at + 2
      end
      from = at
    else
      at = skip_character(text, at) + 1
    end
  end
end

local function read_number(text, at)
  local digits = text:match("^-?%d+", at) or fail()
  if digits:find "^-?0%d" then
    fail()
  end
  local stop = at + #digits
  local more = (text:match("^%.%d+", stop) or "")
  more = more .. (text:match("^[eE][+-]?%d+", stop + #more) or "")
  local count = #digits:gsub("^-", "")
  local is_large = count > 19 or count == 19 and digits:gsub("^-", "") > "9223372036854775807"
  local value = tonumber(digits .. more)
  if value == math.huge or value == -math.huge or (more == "" and is_large) then
    fail()
  end
  return value, stop + #more
end

local read_value

local function skip_space(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function read_members(text, at, depth)
  local object, seen = {}, {}
  at = skip_space(text, at)
  if text:sub(at, at) == "}" then
    return object, at + 1
  end
  while true do
    local name
    name, at = read_string(text, text:match('^"()', skip_space(text, at)) or fail())
    if seen[name] then
      fail()
    end
    seen[name] = true
    at = text:match("^:()", skip_space(text, at)) or fail()
    object[name], at = read_value(text, at, depth)
    at = skip_space(text, at)
    local mark = text:sub(at, at)
    at = at + 1
    if mark == "}" then
      return object, at
    elseif mark ~= "," then
      fail()
    end
  end
end

local list_meta = json and json.array_mt or { __jsontype = "array" }

local function read_items(text, at, depth)
  local list, count = setmetatable({}, list_meta), 0
  at = skip_space(text, at)
  if text:sub(at, at) == "]" then
    return list, at + 1
  end
  while true do
    count = count + 1
    list[count], at = read_value(text, at, depth)
    at = skip_space(text, at)
    local mark = text:sub(at, at)
    at = at + 1
    if mark == "]" then
      return list, at
    elseif mark ~= "," then
      fail()
    end
  end
end

function read_value(text, at, depth)
  if depth > DEPTH_MAX then
    fail()
  end
  at = skip_space(text, at)
  local first = text:sub(at, at)
  if first == "{" then
    return read_members(text, at + 1, depth + 1)
  elseif first == "[" then
    return read_items(text, at + 1, depth + 1)
  elseif first == '"' then
    return read_string(text, at + 1)
  elseif first:find "[%d-]" then
    return read_number(text, at)
  end
  local word = text:match("^%l+", at)
  if WORDS[word or ""] == nil then
    fail()
  end
  return WORDS[word], at + #word
end

local function read_whole(text)
  local value, at = read_value(text, 1, 0)
  return text:find("^[ \t\r\n]*$", at) and text:find "^[ \t\r\n]*{" and value or fail()
end

-- Returns the object that a text is, or nil.
local function read_object(text)
  local ok, value = pcall(read_whole, text)
  return ok and value or nil
end

-- ---- Options -----------------------------------------------------------------------------------

local VERIFIER_OPTIONS = {
  key = "string",
  algorithms = "table",
  issuer = "string",
  audience = "string",
  leeway = "number",
  require_exp = "boolean",
  cookie = "string",
}
local SIGNER_OPTIONS =
  { key = "string", algorithm = "string", kid = "string", expires_in = "number" }
local ONLY_CORE = { public_key = true, private_key = true, jwks_file = true }

local own_source = debug.getinfo(1, "S").source

-- Raises at the call into this file.
local function raise(text, ...)
  local level = 1
  repeat
    level = level + 1
    local info = debug.getinfo(level, "S")
  until not info or info.source ~= own_source
  error(text:format(...), level)
end

local function check_options(call, given, known)
  if type(given) ~= "table" then
    raise("%s: the options must be a table, got %s", call, type(given))
  end
  for name, value in pairs(given) do
    if ONLY_CORE[name] then
      raise("%s: option '%s' requires moonwire's core; without it, use 'key'", call, name)
    elseif not known[name] then
      raise("%s: unknown option '%s'", call, tostring(name))
    elseif type(value) ~= known[name] then
      raise("%s: option '%s' must be a %s, got %s", call, name, known[name], type(value))
    end
  end
  if not given.key then
    raise("%s: option 'key' is required", call)
  elseif #given.key < KEY_MIN then
    local text = "%s: key: the key is too short: HS256 requires at least 32 bytes, got %d"
    raise(text, call, #given.key)
  end
end

local function check_algorithm(call, name)
  if name ~= "HS256" then
    local text = "%s: algorithm %q requires moonwire's core; without it, only HS256 is supported"
    raise(text, call, tostring(name))
  end
end

local function check_rules(call, given)
  local leeway = given.leeway or 0
  if not (leeway >= 0 and leeway <= LEEWAY_MAX) then
    raise("%s: leeway: at most 300 seconds", call)
  elseif given.issuer == "" or given.audience == "" or given.cookie == "" then
    raise("%s: issuer, audience, and cookie must not be empty", call)
  end
  for _, name in ipairs(given.algorithms or {}) do
    check_algorithm(call, name)
  end
end

-- ---- Verifying (RFC 7515, RFC 7519) ------------------------------------------------------------

local PARTS = "malformed token: three parts in base64url, separated by dots, are required"
local HEADER = "malformed header of the token"
local MALFORMED = "malformed token: claims and signature must be base64url"
local TIMES = '"exp", "nbf", and "iat" of the token must be numbers of seconds since 1970'
local NO_KEY = 'no key is for the algorithm ("alg") and the key id ("kid") of the token'
local OTHER_AUDIENCE = 'the token is for another audience ("aud")'

local function is_string_or_nil(value)
  return value == nil or type(value) == "string"
end

local function check_header(text)
  local decoded = from_base64url(text)
  local header = decoded and read_object(decoded)
  if not header or type(header.alg) ~= "string" or not is_string_or_nil(header.typ) then
    return HEADER
  elseif header.crit ~= nil then
    return 'the token requires an extension ("crit") that is not supported'
  elseif not is_string_or_nil(header.kid) then
    return HEADER
  elseif header.kid and #header.kid > KID_MAX then
    return 'the "kid" of the token is too long'
  end
  return header.alg ~= "HS256" and NO_KEY or nil
end

local function check_names(claims, rules)
  local sub = claims.sub
  local is_sub = is_string_or_nil(sub) or type(sub) == "number" and sub % 1 == 0
  if not (is_string_or_nil(claims.iss) and is_string_or_nil(claims.jti) and is_sub) then
    return '"iss", "sub", and "jti" of the token must be strings'
  end
  local aud = claims.aud
  local is_list = type(aud) == "table" and getmetatable(aud) == list_meta
  local names = is_list and aud or { aud }
  local is_own = false
  for _, name in ipairs(names) do
    if type(name) ~= "string" then
      return '"aud" of the token must be a string or a list of strings'
    end
    is_own = is_own or name == rules.audience
  end
  if rules.issuer and claims.iss ~= rules.issuer then
    return 'the token is from another issuer ("iss")'
  elseif rules.audience and aud == nil then
    return 'the token is for no audience: "aud" is required'
  end
  -- A token for an audience is refused by everyone else, including one that has no name.
  return aud ~= nil and not is_own and OTHER_AUDIENCE or nil
end

local function is_time(value)
  return value == nil or type(value) == "number" and value >= 0 and value <= SECONDS_MAX
end

local function check_times(claims, rules, now)
  local exp, nbf = claims.exp, claims.nbf
  local now_ms, leeway_ms = floor(now * 1000), floor((rules.leeway or 0) * 1000)
  if not (is_time(exp) and is_time(nbf) and is_time(claims.iat)) then
    return TIMES
  elseif exp == nil and rules.require_exp ~= false then
    return 'the token never expires: "exp" is required'
  elseif exp and now_ms >= floor(exp * 1000) + leeway_ms then
    return "the token has expired", "token_expired"
  elseif nbf and floor(nbf * 1000) > now_ms + leeway_ms then
    return 'the token is not valid yet ("nbf")'
  end
end

-- Returns the claims, or nil, why not, and a code.
local function read(text, rules, now)
  local function refuse(why, code)
    return nil, why, code or "unauthorized"
  end
  if text == "" then
    return refuse "a token is required"
  elseif #text > TOKEN_MAX then
    return refuse "the token is larger than 8192 bytes"
  end
  local header, claims_text, signature = text:match "^([^.]+)%.([^.]+)%.([^.]*)$"
  if not header then
    return refuse(PARTS)
  end
  local fault = check_header(header)
  if fault and fault ~= NO_KEY then
    return refuse(fault)
  end
  local mac = from_base64url(signature)
  if not mac then
    return refuse(MALFORMED)
  elseif fault then
    return refuse(fault)
  elseif not equal(mac, hmac(rules.key, header .. "." .. claims_text)) then
    return refuse "the signature of the token is invalid"
  end
  local decoded = from_base64url(claims_text)
  if not decoded then
    return refuse(MALFORMED)
  end
  local claims = read_object(decoded)
  if not claims then
    return refuse "the claims of the token must be a JSON object, without a name twice"
  end
  fault = check_names(claims, rules)
  if fault then
    return refuse(fault)
  end
  local late, code = check_times(claims, rules, now)
  if late then
    return refuse(late, code)
  end
  return claims
end

-- ---- The module --------------------------------------------------------------------------------

local Verifier = {}
Verifier.__index = Verifier
Verifier.__name = "moonwire.Verifier"

local token = {}

-- Seconds since 1970. Tests replace it.
function token._now()
  return ngx and ngx.now() or os.time()
end

function Verifier:verify(text)
  if text ~= nil and type(text) ~= "string" then
    error("verifier:verify: argument 1 must be a string, got " .. type(text), 2)
  end
  return read(text or "", self._rules, token._now())
end

local function copy(from)
  local to = {}
  for name, value in pairs(from) do
    to[name] = value
  end
  return to
end

local function make(call, given)
  check_options(call, given, VERIFIER_OPTIONS)
  check_rules(call, given)
  return setmetatable({ _rules = copy(given) }, Verifier)
end

local function sign(call, claims, given)
  if type(claims) ~= "table" then
    raise("%s: argument 1 must be a table, got %s", call, type(claims))
  end
  check_options(call, given, SIGNER_OPTIONS)
  check_algorithm(call, given.algorithm or "HS256")
  if not json then
    raise("%s: a JSON library is required: cjson or dkjson", call)
  end
  local own = copy(claims)
  if given.expires_in and own.exp ~= nil then
    raise("%s: the claims have 'exp', and option 'expires_in' sets it", call)
  elseif given.expires_in then
    own.exp = floor(token._now() + given.expires_in)
  end
  local body, why = json.encode(own)
  if type(body) ~= "string" or not read_object(body) then
    raise("%s: the claims must be a JSON object, without a name twice: %s", call, tostring(why))
  end
  local header = '{"alg":"HS256","typ":"JWT"'
  if given.kid then
    header = header .. ',"kid":' .. json.encode(given.kid)
  end
  local text = base64url(header .. "}") .. "." .. base64url(body)
  text = text .. "." .. base64url(hmac(given.key, text))
  if #text > TOKEN_MAX then
    raise("%s: the token would be larger than 8192 bytes", call)
  end
  return text
end

function token.sign(claims, given)
  local text = sign("moonwire.token.sign", claims, given)
  return text
end

function token.verify(text, given)
  if type(text) ~= "string" then
    error("moonwire.token.verify: argument 1 must be a string, got " .. type(text), 2)
  end
  local verifier = make("moonwire.token.verify", given)
  return read(text, verifier._rules, token._now())
end

local function new_verifier(_, given)
  local verifier = make("moonwire.token", given)
  return verifier
end

return setmetatable(token, { __call = new_verifier })
