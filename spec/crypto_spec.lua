-- moonwire.crypto: results by published vectors, arguments of the wrong type, waiting, and what comes back altered.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local crypto = moonwire.crypto
local KEY, OTHER = ("k"):rep(32), ("o"):rep(32)
local CHEAP = { cost = 10 }

-- The message with which fn fails.
local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

local function start(define)
  local app = moonwire.app {}
  define(app)
  return testing.start(app)
end

describe("random, sha256, hmac", function()
  it("encode their results", function()
    assert.equal(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      crypto.sha256("abc", "hex")
    )
    assert.equal("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", crypto.sha256("abc", "base64"))
    assert.equal("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", crypto.sha256("abc", "base64url"))
    assert.equal(32, #crypto.sha256 "abc")
    assert.equal(crypto.sha256 "abc", crypto.sha256("abc", "raw"))
    -- RFC 4231 section 4.3
    assert.equal(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      crypto.hmac("Jefe", "what do ya want for nothing?", "hex")
    )
    for count = 1, 40 do
      assert.equal(count, #crypto.random(count))
      assert.equal(2 * count, #crypto.random(count, "hex"))
      assert.matches("^[%w_-]+$", crypto.random(count, "base64url"))
    end
    assert.not_equal(crypto.random(16), crypto.random(16))
    assert.equal(65536, #crypto.random(65536))
  end)

  it("compare", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "ab"))
    assert.is_false(crypto.equal(nil, "a"))
    assert.is_false(crypto.equal("a", nil))
    assert.is_false(crypto.equal(nil, nil))
  end)
end)

-- ---- Arguments ------------------------------------------------------------------------------------------------------------

-- Each function with arguments that it refuses, and what it says.
local refused = {
  { "random", {}, "a number of bytes from 1 to 65536, got nil" },
  { "random", { 0 }, "got 0" },
  { "random", { -1 }, "got %-1" },
  { "random", { 65537 }, "got 65537" },
  { "random", { 1.5 }, "got 1.5" },
  { "random", { "16" }, 'got the string "16"' },
  { "random", { 8, "hexx" }, 'got the string "hexx" %(did you mean "hex"%?%)' },
  { "random", { 8, 16 }, "argument 2 must be .*got 16" },
  { "sha256", {}, "argument 1 must be a string, got nil" },
  { "sha256", { 1 }, "argument 1 must be a string, got number" },
  { "sha256", { "x", "utf8" }, "argument 2" },
  { "hmac", { "k" }, "argument 2 must be a string, got nil" },
  { "hmac", { nil, "x" }, "argument 1 must be a string, got nil" },
  { "hmac", { {}, "x" }, "argument 1 must be a string, got table" },
  { "equal", { 1, "1" }, "argument 1 must be a string, got number" },
  { "equal", { "1", true }, "argument 2 must be a string, got boolean" },
  { "password_hash", {}, "argument 1 must be a string, got nil" },
  { "password_hash", { "" }, "1 to 1024 bytes, got 0" },
  { "password_hash", { ("x"):rep(1025) }, "got 1025" },
  { "password_hash", { "x", { cost = 9 } }, "option 'cost' must be from 10 to 18, got 9" },
  { "password_hash", { "x", { cost = 19 } }, "got 19" },
  { "password_hash", { "x", { costs = 12 } }, "costs" },
  { "password_hash", { "x", 12 }, "options must be a table, got number" },
  { "password_verify", { 7, "x" }, "argument 1 must be a string, got number" },
  { "password_verify", { "x", {} }, "argument 2 must be a string, got table" },
  { "seal", {}, "the key is missing, got nil" },
  { "seal", { {}, "x" }, "the key is missing, got table" },
  { "seal", { "short", "x" }, "at least 32 bytes, got 5; create one with: openssl rand" },
  { "seal", { { KEY, "short" }, "x" }, "at least 32 bytes, got 5" },
  { "seal", { { KEY, 7 }, "x" }, "a key must be a string, got number" },
  { "seal", { 7, "x" }, "a key must be a string, got number" },
  { "seal", { KEY }, "argument 2 must be a string, got nil" },
  { "seal", { KEY, {} }, "argument 2 must be a string, got table" },
  { "seal", { KEY, "x", { expires_in = 0 } }, "expires_in" },
  { "seal", { KEY, "x", { expires_in = "60" } }, "expires_in" },
  { "seal", { KEY, "x", { purpos = "a" } }, "did you mean 'purpose'" },
  { "seal", { KEY, "x", { purpose = 7 } }, "purpose" },
  { "sign", { "short", "x" }, "at least 32 bytes" },
  { "sign", { KEY, nil }, "argument 2 must be a string, got nil" },
  { "open", { "short", "x" }, "at least 32 bytes" },
  { "open", { KEY, 7 }, "argument 2 must be a string, got number" },
  { "open", { KEY, "x", { expires_in = 1 } }, "expires_in" },
  { "verify", { nil, "x" }, "the key is missing" },
  { "verify", { KEY, {} }, "argument 2 must be a string, got table" },
}

describe("arguments", function()
  for _, case in ipairs(refused) do
    local name, arguments, expected = table.unpack(case)
    it(("%s: %s"):format(name, expected), function()
      local message = failure(crypto[name], table.unpack(arguments, 1, 4))
      assert.matches("^spec/crypto_spec.lua:%d+: moonwire.crypto." .. name, message)
      assert.matches(expected, message)
    end)
  end
end)

-- ---- Sealed and signed text -----------------------------------------------------------------------------------------------

describe("sealed and signed text", function()
  local ways = { { "seal", "open" }, { "sign", "verify" } }
  after_each(testing.stop_all)

  it("comes back", function()
    for _, way in ipairs(ways) do
      local make, read = crypto[way[1]], crypto[way[2]]
      for _, text in ipairs { "", "x", "a\0b", ("long"):rep(10000), "\u{1F319}" } do
        local made = make(KEY, text, { purpose = "test" })
        assert.matches("^[%w_.-]*$", made)
        assert.equal(text, read(KEY, made, { purpose = "test" }))
      end
    end
  end)

  it("needs the key and the purpose, of which keys may be several", function()
    for _, way in ipairs(ways) do
      local make, read = crypto[way[1]], crypto[way[2]]
      local made = make({ KEY, OTHER }, "x", { purpose = "a" })
      for _, wrong in ipairs { { OTHER, "a" }, { KEY, "b" }, { KEY, nil }, { { OTHER }, "a" } } do
        local text, message, code = read(wrong[1], made, { purpose = wrong[2] })
        assert.is_nil(text)
        assert.equal("not made with this key for this purpose, or altered", message)
        assert.equal("invalid", code)
      end
      assert.equal("x", read({ OTHER, KEY }, made, { purpose = "a" }))
    end
  end)

  it("is refused if a byte is altered or missing", function()
    for _, way in ipairs(ways) do
      local make, read = crypto[way[1]], crypto[way[2]]
      local made = make(KEY, "text")
      for i = 1, #made do
        local altered = made:sub(1, i - 1)
          .. (made:sub(i, i) == "A" and "B" or "A")
          .. made:sub(i + 1)
        assert.equal("invalid", select(3, read(KEY, altered)))
        assert.equal("invalid", select(3, read(KEY, made:sub(1, i - 1))))
      end
    end
    assert.equal("invalid", select(3, crypto.open(KEY, nil)))
    assert.equal("invalid", select(3, crypto.verify(KEY, nil)))
  end)

  it("expires on the clock of the server", function()
    local made = {}
    local server = start(function(app)
      app:get("/make", function()
        made.seal = crypto.seal(KEY, "x", { expires_in = 60 })
        made.sign = crypto.sign(KEY, "x", { expires_in = 60 })
      end)
      app:get("/read", function()
        local _, message, code = crypto.open(KEY, made.seal)
        return {
          message or "fine",
          code or "fine",
          select(3, crypto.verify(KEY, made.sign)) or "fine",
        }
      end)
    end)
    server:request("GET", "/make")
    assert.same({ "fine", "fine", "fine" }, server:request("GET", "/read"):json())
    server:advance(58)
    assert.same({ "fine", "fine", "fine" }, server:request("GET", "/read"):json())
    server:advance(3)
    assert.same({ "expired", "expired", "expired" }, server:request("GET", "/read"):json())
  end)
end)

-- ---- Passwords ------------------------------------------------------------------------------------------------------------

describe("passwords", function()
  after_each(testing.stop_all)

  it("are hashed outside of handlers, too", function()
    local hash = crypto.password_hash("secret", CHEAP)
    assert.matches("^%$scrypt%$ln=10,r=8,p=3%$[%w+/]+%$[%w+/]+$", hash)
    assert.is_true(crypto.password_verify("secret", hash))
    assert.is_false(crypto.password_verify("Secret", hash))
    assert.is_false(crypto.password_verify(nil, hash))
    assert.is_false(crypto.password_verify("", hash))
    assert.is_false(crypto.password_verify(("x"):rep(2000), hash))
    assert.is_false(crypto.password_verify("secret", nil))
    for _, wrong in ipairs { "", "secret", "$scrypt$", hash:sub(1, -2), hash .. "!" } do
      local result, message, code = crypto.password_verify("secret", wrong)
      assert.is_nil(result)
      assert.equal("not a hash of password_hash", message)
      assert.equal("invalid", code)
    end
  end)

  it("wait in a handler, while others run", function()
    local order = {}
    local server = start(function(app)
      app:get("/hash", function()
        local hash = crypto.password_hash("secret", CHEAP)
        order[#order + 1] = "hashed"
        return { crypto.password_verify("secret", hash), crypto.password_verify("x", hash) }
      end)
      app:get("/quick", function()
        order[#order + 1] = "quick"
      end)
    end)
    local pending = server:start_request("GET", "/hash")
    server:request("GET", "/quick")
    assert.same({ true, false }, pending.result():json())
    assert.is_true(#order == 2)
  end)

  it("are refused if too many wait", function()
    local results, count = { fine = 0, unavailable = 0 }, 110
    local server = start(function(app)
      for _ = 1, count do
        app:spawn(function()
          local hash, message, code = crypto.password_hash("secret", CHEAP)
          results[hash and "fine" or code] = results[hash and "fine" or code] + 1
          assert(hash or message == "too many passwords are being checked; retry")
        end)
      end
    end)
    server:advance(0)
    assert.equal(count, results.fine + results.unavailable)
    assert.is_true(results.fine >= 102)
  end)

  it("do not hold back the end of the server", function()
    local results = {}
    local app = moonwire.app {}
    app:spawn(function()
      for _ = 1, 20 do
        app:spawn(function()
          local hash, message, code = crypto.password_hash("secret", CHEAP)
          results[#results + 1] = hash and "hashed" or message .. " " .. code
        end)
      end
      app:after(0, function()
        app:stop()
      end)
    end)
    local server = testing.start(app)
    server:stop()
    for _, result in ipairs(results) do
      assert.is_true(result:find "^%$" or result == "hashed" or result == "closed closed")
    end
  end)

  it("wait inside a coroutine of the script", function()
    local server = start(function(app)
      app:get("/", function()
        return coroutine.wrap(function()
          return (crypto.password_hash("secret", CHEAP))
        end)()
      end)
    end)
    assert.matches("^%$", server:request("GET", "/").body)
  end)
end)
