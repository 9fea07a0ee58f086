-- Tokens by lua/moonwire/token.lua alone, under any interpreter from Lua 5.1 on:
--
--   INTERPRETER support/portable_tokens.lua DIRECTORY
--
-- DIRECTORY has moonwire/token.lua and rows.lua. Prints what is wrong, one a line, and then the number of rows.

local directory = arg[1]
package.path = directory .. "/?.lua;" .. package.path
local token = require "moonwire.token"
local rows = dofile(directory .. "/rows.lua")

local real_now = token._now
local function at_1000()
  return 1000
end

local verifier = token { key = rows.key }

local function expect(text, fault)
  local claims, why, code = verifier:verify(text)
  if why ~= fault or (claims == nil) ~= (fault ~= nil) or (fault and not code) then
    print(("%q: expected %s, got %s"):format(text, tostring(fault), tostring(why)))
  end
end

token._now = at_1000
for _, row in ipairs(rows) do
  expect(row[1], row[2])
end

-- Every change of a valid token.
local valid = token.sign({ exp = 2000, sub = "ann" }, { key = rows.key })
expect(valid, nil)
for i = 1, #valid do
  local other = valid:sub(i, i) == "A" and "B" or "A"
  for _, text in ipairs {
    valid:sub(1, i - 1) .. other .. valid:sub(i + 1),
    valid:sub(1, i - 1),
    valid:sub(1, i - 1) .. valid:sub(i + 1),
  } do
    if verifier:verify(text) then
      print(("%q is accepted"):format(text))
    end
  end
end

-- Rules for claims: by options.
local function with(given, claims)
  given.key = rows.key
  local _, why = token.verify(token.sign(claims, { key = rows.key }), given)
  return why or "valid"
end
local function same(got, wanted)
  if got ~= wanted then
    print(("expected %s, got %s"):format(wanted, got))
  end
end
same(with({ leeway = 10 }, { exp = 991 }), "valid")
same(with({ leeway = 10 }, { exp = 990 }), "the token has expired")
same(with({ leeway = 10 }, { exp = 2000, nbf = 1010 }), "valid")
same(with({ leeway = 10 }, { exp = 2000, nbf = 1011 }), 'the token is not valid yet ("nbf")')
same(with({}, { exp = 1000.5 }), "valid")
same(with({ require_exp = false }, { sub = "x" }), "valid")
same(with({ require_exp = false }, { exp = 1000 }), "the token has expired")
same(with({ issuer = "a" }, { exp = 2000, iss = "a" }), "valid")
same(with({ issuer = "a" }, { exp = 2000, iss = "A" }), 'the token is from another issuer ("iss")')
same(with({ issuer = "a" }, { exp = 2000 }), 'the token is from another issuer ("iss")')
same(with({ audience = "x" }, { exp = 2000, aud = { "y", "x" } }), "valid")
local other = 'the token is for another audience ("aud")'
same(with({ audience = "x" }, { exp = 2000, aud = "xy" }), other)
same(with({}, { exp = 2000, aud = "x" }), other)
same(with({ audience = "x" }, { exp = 2000 }), 'the token is for no audience: "aud" is required')

-- A token that the core has signed, and the other way round.
token._now = real_now
local claims = assert(verifier:verify(rows.of_core))
same(claims.sub .. claims.channels[2], '\195\164nn\n"b')
same(claims.exp > os.time() + 50 and "later" or "now", "later")
local given = { key = rows.key, expires_in = 60, kid = 'k"1' }
print("token " .. token.sign({ sub = "\195\164nn\n", channels = { "a", '"b' } }, given))

-- Misuse says where.
local function raises(text, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok or not message:find(text, 1, true) then
    print(("expected %q, got %s"):format(text, tostring(message)))
  end
end
raises(
  "key: the key is too short: HS256 requires at least 32 bytes, got 6",
  token,
  { key = "secret" }
)
raises("option 'key' is required", token, {})
raises("option 'public_key' requires moonwire's core", token, { key = rows.key, public_key = "" })
raises("unknown option 'kye'", token, { kye = 1 })
raises('algorithm "RS256" requires', token.sign, {}, { key = rows.key, algorithm = "RS256" })
raises("the claims have 'exp'", token.sign, { exp = 1 }, { key = rows.key, expires_in = 1 })
raises("portable_tokens.lua:", function()
  local text = token.sign("x", { key = rows.key })
  return text
end)
print("rows " .. #rows)
