--- moonwire.token where the core is: JSON Web Tokens. The work is done in C, on OpenSSL.
local core = require("moonwire.core").token
local json = require("moonwire.core").json
local options = require "moonwire.options"

---@class moonwire.TokenOptions
---@field key? string a secret of at least 32 bytes, for HS256, HS384 (48), and HS512 (64)
---@field public_key? string in PEM: RSA, P-256, or Ed25519
---@field jwks_file? string the path of a JWK set, which is read again when it changes
---@field algorithms? string[] HS256, HS384, HS512, RS256, PS256, ES256, EdDSA; nil: the usual one of the key
---@field issuer? string the value that "iss" must have
---@field audience? string a value that "aud" must have; nil: tokens with "aud" are refused
---@field leeway? number seconds by which the clocks may differ, at most 300; nil: 0
---@field require_exp? boolean false accepts tokens that never expire; nil: true
---@field cookie? string the name of a cookie that may carry the token

---@class moonwire.SignOptions
---@field key? string a secret
---@field private_key? string in PEM, without a password
---@field algorithm? string nil: the usual one of the key
---@field kid? string the id of the key
---@field expires_in? number seconds; sets the claim "exp"

local verifier_spec = {
  key = "text",
  public_key = "text",
  jwks_file = "text",
  algorithms = "strings",
  issuer = "text",
  audience = "text",
  leeway = "seconds",
  require_exp = "boolean",
  cookie = "text",
}

local signer_spec = {
  key = "text",
  private_key = "text",
  algorithm = "text",
  kid = "text",
  expires_in = "duration",
}

--- What moonwire.token { … } returns: a verifier, for `auth` of an app.
---@class moonwire.Verifier
local Verifier = {}
Verifier.__index = Verifier
Verifier.__name = "moonwire.Verifier"
Verifier._is_auth = true

-- Decoding claims can fail only if they are nested too deeply.
local function read(verifier, text)
  local claims, message, code = core.verify(verifier, text, core.now())
  if not claims then
    return nil, message, code
  end
  local decoded, why = json.decode(claims)
  if type(decoded) ~= "table" then
    return nil, ("the claims cannot be read: %s"):format(why), "unauthorized"
  end
  return decoded
end

local function make(call, given)
  given = options.read(call, given, verifier_spec)
  given.exp_optional = given.require_exp == false
  local verifier, message = core.new(given)
  if not verifier then
    options.raise(("%s: %s"):format(call, message))
  end
  return verifier, given
end

--- Verifies a token, in a route for example.
---@param text string|nil nil, as a request without a token has, is refused
---@return table|nil claims
---@return string|nil message
---@return string|nil code "unauthorized" or "token_expired"
function Verifier:verify(text)
  if text ~= nil then
    options.argument("verifier:verify", 1, text, "string")
  end
  return read(self._core, text or "")
end

options.guard(Verifier, "verifier")

---@class moonwire.token
local token = {}

local function sign(call, claims, given, now_s)
  options.argument(call, 1, claims, "table")
  given = options.read(call, given, signer_spec)
  local copy = {}
  for name, value in pairs(claims) do
    copy[name] = value
  end
  if given.expires_in and copy.exp then
    options.raise(("%s: the claims have 'exp', and option 'expires_in' sets it"):format(call))
  elseif given.expires_in then
    copy.exp = math.floor(now_s + given.expires_in)
  end
  local text, message = core.sign(given, json.encode(copy))
  if not text then
    options.raise(("%s: %s"):format(call, message))
  end
  return text
end

--- Signs claims, and returns the token.
---@param claims table
---@param given moonwire.SignOptions
---@return string
function token.sign(claims, given)
  return sign("moonwire.token.sign", claims, given, core.now() // 1000)
end

--- Verifies a token once. For many, make a verifier: moonwire.token { … }.
---@param text string
---@param given moonwire.TokenOptions
---@return table|nil claims
---@return string|nil message
---@return string|nil code "unauthorized" or "token_expired"
function token.verify(text, given)
  options.argument("moonwire.token.verify", 1, text, "string")
  return read((make("moonwire.token.verify", given)), text)
end

-- For tests: signs with the secret of a verifier, at a time in seconds, and with a lifetime of an
-- hour.
function token._sign_for(call, verifier, claims, given, now_s)
  given = options.read(call, given, signer_spec)
  if not given.private_key and not given.key then
    given.key = verifier._key
    given.algorithm = given.algorithm or verifier._algorithm
  end
  if not given.private_key and not given.key then
    options.raise(
      ("%s: option 'private_key' is required: the app has only public keys"):format(call)
    )
  end
  if not given.expires_in and claims.exp == nil then
    given.expires_in = 3600
  end
  return sign(call, claims, given, now_s)
end

local function new_verifier(_, given)
  local verifier, read_options = make("moonwire.token", given)
  local algorithms = read_options.algorithms
  return setmetatable({
    _core = verifier,
    _key = read_options.key,
    _algorithm = algorithms and algorithms[1],
  }, Verifier)
end

return setmetatable(token, { __call = new_verifier })
