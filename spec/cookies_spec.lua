-- Cookies: what an answer sets, what a request brings back, and what is refused in between.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local KEY, OTHER = ("k"):rep(32), ("o"):rep(32)

local function start(define)
  local app = moonwire.app {}
  define(app)
  return testing.start(app)
end

-- A server whose route sets the cookies that the function returns.
local function setting(fn)
  return start(function(app)
    app:get("/", function(request)
      return 204, nil, { cookies = fn(request) }
    end)
  end)
end

-- The Set-Cookie value of one cookie.
local function header_of(name, given)
  return setting(function()
    return { [name] = given }
  end):request("GET", "/").headers["set-cookie"]
end

describe("a cookie that an answer sets", function()
  after_each(testing.stop_all)

  for _, case in ipairs {
    { "a", "b", "a=b; Path=/; HttpOnly; SameSite=Lax" },
    { "a", "", "a=; Path=/; HttpOnly; SameSite=Lax" },
    { "a", false, "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" },
    { "a", { value = "b", max_age = 60 }, "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax" },
    { "a", { value = "b", path = "/x" }, "a=b; Path=/x; HttpOnly; SameSite=Lax" },
    {
      "a",
      { value = "b", domain = "a.example" },
      "a=b; Path=/; Domain=a.example; HttpOnly; SameSite=Lax",
    },
    { "a", { value = "b", http_only = false }, "a=b; Path=/; SameSite=Lax" },
    { "a", { value = "b", same_site = "Strict" }, "a=b; Path=/; HttpOnly; SameSite=Strict" },
    { "a", { value = "b", same_site = "None" }, "a=b; Path=/; Secure; HttpOnly; SameSite=None" },
    { "a", { value = "b", secure = true }, "a=b; Path=/; Secure; HttpOnly; SameSite=Lax" },
    { "__Host-a", "b", "__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax" },
    {
      "__Secure-a",
      { value = "b", path = "/x" },
      "__Secure-a=b; Path=/x; Secure; HttpOnly; SameSite=Lax",
    },
    {
      "a",
      { value = "!#$%&'()*+-./:<=>?@[]^_`{|}~" },
      "a=!#$%&'()*+-./:<=>?@[]^_`{|}~; Path=/; HttpOnly; SameSite=Lax",
    },
  } do
    local name, given, expected = table.unpack(case)
    it(expected, function()
      assert.equal(expected, header_of(name, given))
    end)
  end

  it("is one of several", function()
    local response = setting(function()
      return { b = "2", a = "1", c = false }
    end):request("GET", "/")
    assert.same({ a = "1", b = "2", c = "" }, response.cookies)
    assert.matches("^a=1; .*, b=2; .*, c=; ", response.headers["set-cookie"])
  end)

  it("has Secure by itself where the scheme is https", function()
    local server = setting(function(request)
      request.scheme = "https"
      return { a = "b" }
    end)
    assert.equal(
      "a=b; Path=/; Secure; HttpOnly; SameSite=Lax",
      server:request("GET", "/").headers["set-cookie"]
    )
  end)

  it("goes out with redirects and other statuses", function()
    local server = start(function(app)
      app:get("/", function()
        return moonwire.redirect("/there", { cookies = { a = "b" } })
      end)
    end)
    local response = server:request("GET", "/")
    assert.equal(303, response.status)
    assert.equal("/there", response.headers.location)
    assert.equal("b", response.cookies.a)
  end)
end)

-- ---- What is wrong --------------------------------------------------------------------------------------------------------

describe("a cookie is refused, and the client told nothing of it, with", function()
  after_each(testing.stop_all)

  for _, case in ipairs {
    { "", "b", "the name must consist of letters" },
    { "a b", "b", "the name must consist of letters" },
    { "a=b", "b", "the name must consist of letters" },
    { "a;b", "b", "the name must consist of letters" },
    { "a\r\nX", "b", "the name must consist of letters" },
    { "\u{e4}", "b", "the name must consist of letters" },
    { 1, "b", "cookie number: the name must" },
    { "a", true, "must be a string, a table, or false, got boolean" },
    { "a", 7, "must be a string, a table, or false, got 7" },
    { "a", {}, "the value is missing; to delete a cookie, use false" },
    { "a", { value = 7 }, "option 'value' must be a string" },
    { "a", "b;c", "characters that a cookie cannot have" },
    { "a", "b, c", "characters that a cookie cannot have" },
    { "a", 'b"c', "characters that a cookie cannot have" },
    { "a", "b\\c", "characters that a cookie cannot have" },
    { "a", "b\r\nSet-Cookie: c=d", "characters that a cookie cannot have" },
    { "a", "b\0", "characters that a cookie cannot have" },
    { "a", "\u{e4}", "characters that a cookie cannot have" },
    { "a", { value = "b", path = "x" }, "option 'path' must begin with '/'" },
    { "a", { value = "b", path = "/; Domain=evil.example" }, "option 'path' must begin with '/'" },
    { "a", { value = "b", path = "/\r\n" }, "option 'path' must begin with '/'" },
    { "a", { value = "b", domain = "a.example; Path=/" }, "option 'domain' must be the name" },
    { "a", { value = "b", domain = "" }, "option 'domain' must be the name" },
    { "a", { value = "b", max_age = -1 }, "max_age" },
    { "a", { value = "b", max_age = 1.5 }, "max_age" },
    { "a", { value = "b", maxage = 1 }, "did you mean 'max_age'" },
    { "a", { value = "b", http_only = 1 }, "http_only" },
    { "a", { value = "b", same_site = "lax" }, "same_site" },
    { "a", { value = "b", same_site = "None", secure = false }, "require secure = true" },
    { "__Host-a", { value = "b", secure = false }, "require secure = true" },
    { "__Host-a", { value = "b", path = "/x" }, "__Host%- requires path" },
    { "__HOST-a", { value = "b", domain = "a.example" }, "__Host%- requires path" },
    { "__Secure-a", { value = "b", secure = false }, "require secure = true" },
    { "a", { value = "b", signed = "short" }, "at least 32 bytes, got 5" },
    { "a", { value = "b", sealed = {} }, "the key is missing" },
    { "a", { value = "b", sealed = 7 }, "sealed" },
    { "a", { value = "b", signed = KEY, sealed = KEY }, "exclude each other" },
    {
      "a",
      ("x"):rep(4096),
      "name and value have 4097 bytes; browsers ignore cookies of more than 4096",
    },
    { "a", { value = ("x"):rep(3050), sealed = KEY }, "browsers ignore cookies" },
  } do
    local name, given, expected = table.unpack(case)
    it(("%q: %s"):format(name, expected), function()
      local server = setting(function()
        return { [name] = given }
      end)
      local response
      local text = server:expect_error("cookie", function()
        response = server:request("GET", "/")
      end)
      assert.equal(500, response.status)
      assert.is_nil(response.headers["set-cookie"])
      assert.is_nil(response.body:find("cookie", 1, true))
      assert.matches(expected, text)
      assert.matches("cookies_spec.lua:%d+", text)
    end)
  end

  it("a value in place of the table", function()
    local server = setting(function()
      return "a=b"
    end)
    local text = server:expect_error("cookies", function()
      assert.equal(500, server:request("GET", "/").status)
    end)
    assert.matches("returned cookies as a string; they must be a table", text)
  end)
end)

-- ---- What comes back ------------------------------------------------------------------------------------------------------

-- A server that sets a cookie at /set, and shows at / what it reads.
local function reading(how, key, given)
  return start(function(app)
    app:get("/set", function(request)
      local cookie = { value = request.query.value or "user 7; admin=no", [how] = key }
      for name, value in pairs(given or {}) do
        cookie[name] = value
      end
      return 204, nil, { cookies = { session = cookie } }
    end)
    app:get("/", function(request)
      local value, message, code = request:cookie("session", { [how] = key })
      return { value = value or false, message = message, code = code }
    end)
    app:get("/other", function(request)
      return { value = request:cookie("other", { [how] = key }) or false }
    end)
    app:get("/renewed", function(request)
      return { value = request:cookie("session", { [how] = { OTHER, key } }) or false }
    end)
  end)
end

for _, how in ipairs { "signed", "sealed" } do
  describe("a cookie that is " .. how, function()
    after_each(testing.stop_all)

    local function read(server, value, path)
      return server:request("GET", path or "/", { cookies = { session = value } }):json()
    end

    it("comes back", function()
      local server = reading(how, KEY)
      for _, value in ipairs { "x", "", "user 7; admin=no", "\u{1F319}", "a\r\nb" } do
        local set = server:request("GET", "/set", { query = { value = value } })
        assert.equal(value, read(server, set.cookies.session).value)
      end
      local set = server:request("GET", "/set")
      assert.matches(
        "^session=[%w_.-]+; Path=/; HttpOnly; SameSite=Lax$",
        set.headers["set-cookie"]
      )
      assert.equal(how == "signed", set.cookies.session:find("dXNlciA3", 1, true) == 1)
    end)

    it("is refused if a byte is altered, missing, or added", function()
      local server = reading(how, KEY)
      local value = server:request("GET", "/set").cookies.session
      for i = 1, #value do
        local altered = (value:sub(i, i) == "A" and "B" or "A")
        for _, wrong in ipairs {
          value:sub(1, i - 1) .. altered .. value:sub(i + 1),
          value:sub(1, i - 1),
          value:sub(1, i) .. "A" .. value:sub(i + 1),
          value:sub(i + 1),
        } do
          assert.same({
            value = false,
            code = "invalid",
            message = "not made with this key for this purpose, or altered",
          }, read(server, wrong))
        end
      end
      for _, wrong in ipairs {
        "",
        ".",
        "..",
        "=",
        "%00",
        "null",
        "{}",
        ("A"):rep(4000),
        value .. value,
      } do
        assert.equal("invalid", read(server, wrong).code)
      end
    end)

    it("is of no use under another name, with another key, or in the other form", function()
      local server = reading(how, KEY)
      local value = server:request("GET", "/set").cookies.session
      assert.is_false(server:request("GET", "/other", { cookies = { other = value } }):json().value)
      assert.equal("user 7; admin=no", read(server, value, "/renewed").value)
      assert.equal("invalid", read(reading(how, OTHER), value).code)
      assert.equal(
        "invalid",
        read(reading(how == "signed" and "sealed" or "signed", KEY), value).code
      )
    end)

    it("expires with max_age", function()
      local server = reading(how, KEY, { max_age = 60 })
      local value = server:request("GET", "/set").cookies.session
      server:advance(58)
      assert.equal("user 7; admin=no", read(server, value).value)
      server:advance(3)
      assert.same({ value = false, code = "expired", message = "expired" }, read(server, value))
    end)

    it("is found among others of its name", function()
      local server = reading(how, KEY)
      local value = server:request("GET", "/set").cookies.session
      local function with(header)
        return server:request("GET", "/", { headers = { cookie = header } }):json()
      end
      assert.equal("user 7; admin=no", with("session=forged; session=" .. value).value)
      assert.equal("user 7; admin=no", with(("session=%s; session=forged"):format(value)).value)
      assert.equal("invalid", with("session=forged; Session=" .. value).code)
      assert.equal("missing", with("xsession=" .. value).code)
      assert.equal("missing", server:request("GET", "/"):json().code)
    end)
  end)
end

describe("request:cookie", function()
  after_each(testing.stop_all)

  it("reads a plain cookie", function()
    local server = start(function(app)
      app:get("/", function(request)
        local value, _, code = request:cookie "a"
        return { value or code }
      end)
    end)
    assert.same({ "b" }, server:request("GET", "/", { cookies = { a = "b", c = "d" } }):json())
    assert.same({ "missing" }, server:request("GET", "/", { cookies = { b = "a" } }):json())
  end)

  for _, case in ipairs {
    { {}, "argument 1 must be a string, got nil" },
    { { 7 }, "argument 1 must be a string, got number" },
    { { "a", "b" }, "options must be a table, got string" },
    { { "a", { sign = KEY } }, "did you mean 'signed'" },
    { { "a", { signed = 7 } }, "must be a string or a table, got number" },
    { { "a", { signed = "short" } }, "request:cookie: a key must have at least 32 bytes, got 5" },
    { { "a", { signed = KEY, sealed = KEY } }, "exclude each other" },
  } do
    it("raises: " .. case[2], function()
      local server = start(function(app)
        app:get("/", function(request)
          return select(2, pcall(request.cookie, request, table.unpack(case[1])))
        end)
      end)
      local body = server:request("GET", "/", { cookies = { a = "b" } }).body
      assert.matches("^spec/cookies_spec.lua:%d+: request:cookie: ", body)
      assert.matches(case[2], body)
    end)
  end
end)
