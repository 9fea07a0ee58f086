-- examples/login, in memory: logging in and out, the bound on guesses, and sessions that end.

local testing = require "moonwire.testing"

local ANN = { name = "ann", password = "moonlight sonata" }

describe("examples/login under test", function()
  local server

  before_each(function()
    server = testing.start "examples/login/app.lua"
  end)
  after_each(testing.stop_all)

  local function enter(form, headers)
    return server:request("POST", "/enter", {
      form = form,
      cookies = { enter = "1" },
      headers = headers or { origin = "http://localhost" },
    })
  end

  local function log_in(form, agent)
    local response = enter(form or ANN, { origin = "http://localhost", ["user-agent"] = agent })
    assert.equal(303, response.status)
    assert.equal("/account", response.headers.location)
    return { session = response.cookies.session }
  end

  local function post(path, cookies)
    return server:request(
      "POST",
      path,
      { cookies = cookies, headers = { origin = "http://localhost" } }
    )
  end

  local function sessions_of(stream)
    local seen
    for _, event in ipairs(stream:take_all()) do
      seen = event.event == "sessions" and require("dkjson").decode(event.data) or event.event
    end
    return seen
  end

  it("leads to the form, which is a strict page", function()
    for _, path in ipairs { "/account", "/account/nothing" } do
      local response = server:request("GET", path)
      assert.is_true(response.status == 303 or response.status == 404)
    end
    assert.equal("/account", server:request("GET", "/").headers.location)
    assert.equal("/enter", server:request("GET", "/account").headers.location)
    local response = server:request("GET", "/enter")
    assert.equal(200, response.status)
    assert.matches("default%-src 'none'", response.headers["content-security-policy"])
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("enter=1; Path=/enter; HttpOnly; SameSite=Strict", response.headers["set-cookie"])
    assert.equal(200, server:request("GET", "/assets/login.css").status)
    assert.equal(404, server:request("GET", "/users").status)
    assert.equal(404, server:request("GET", "/assets/../users").status)
  end)

  it("logs in and out", function()
    local cookies = log_in()
    assert.equal(43, #cookies.session)
    local page = server:request("GET", "/account", { cookies = cookies })
    assert.equal(200, page.status)
    assert.matches("Hello, Ann Arbor", page.body)
    local response = post("/account/leave", cookies)
    assert.equal("/enter", response.headers.location)
    assert.equal("", response.cookies.session)
    assert.equal(303, server:request("GET", "/account", { cookies = cookies }).status)
    assert.equal(401, select(4, server:try_stream("/account/events", { cookies = cookies })))
  end)

  it("has a new id for each login, and none that can be guessed", function()
    local seen = {}
    for _ = 1, 2 do
      local id = log_in().session
      assert.is_nil(seen[id])
      seen[id] = true
    end
    for _, wrong in ipairs { "", "1", ("A"):rep(43), ("A"):rep(5000), "../users", "%00" } do
      assert.equal(303, server:request("GET", "/account", { cookies = { session = wrong } }).status)
    end
    -- an id that somebody else has chosen is not taken over
    local response = server:request("POST", "/enter", {
      form = ANN,
      cookies = { enter = "1", session = "fixed" },
      headers = { origin = "http://localhost" },
    })
    assert.not_equal("fixed", response.cookies.session)
  end)

  for _, case in ipairs {
    { { name = "ann", password = "moonlight" }, 401, "do not match" },
    { { name = "ann", password = "" }, 401, "do not match" },
    { { name = "Ann", password = "moonlight sonata" }, 401, "do not match" },
    { { name = "nobody", password = "moonlight sonata" }, 401, "do not match" },
    { { name = "", password = "" }, 401, "do not match" },
    { { name = "ann", password = ("x"):rep(100000) }, 401, "do not match" },
    { { name = "__index", password = "x" }, 401, "do not match" },
    {
      { name = "<script>alert(1)</script>", password = "x" },
      401,
      "&lt;script&gt;alert%(1%)&lt;/script&gt;",
    },
    { { name = '"><img src=x>', password = "x" }, 401, "&quot;&gt;&lt;img src=x&gt;" },
    { { name = "ann" }, 400, "enter a name and a password" },
    { { password = "x" }, 400, "enter a name and a password" },
    { { name = ("n"):rep(101), password = "x" }, 400, "enter a name and a password" },
    { { name = "\xff", password = "x" }, 400, "enter a name and a password" },
  } do
    it(("refuses %q: %d"):format((case[1].name or "no name"):sub(1, 30), case[2]), function()
      local response = enter(case[1])
      assert.equal(case[2], response.status)
      assert.matches(case[3], response.body)
      assert.is_nil(response.cookies.session)
    end)
  end

  it("refuses forms of other sites", function()
    for _, case in ipairs {
      { cookies = {}, headers = { origin = "https://evil.example" } }, -- SameSite=Strict: without the cookie
      { cookies = { enter = "1" }, headers = { origin = "https://evil.example" } },
      { cookies = { enter = "1" }, headers = { origin = "http://localhost:8081" } },
      { cookies = { enter = "1" }, headers = { ["sec-fetch-site"] = "same-site" } },
    } do
      case.form = ANN
      local response = server:request("POST", "/enter", case)
      assert.is_true(response.status == 400 or response.status == 403)
      assert.is_nil(response.cookies.session)
    end
    local cookies = log_in()
    for _, path in ipairs { "/account/leave", "/account/leave-others" } do
      local given =
        { cookies = cookies, headers = { origin = "https://evil.example" }, form = { a = 1 } }
      assert.equal(403, server:request("POST", path, given).status)
    end
    assert.equal(200, server:request("GET", "/account", { cookies = cookies }).status)
  end)

  it("bounds the guesses", function()
    local statuses = {}
    for i = 1, 12 do
      statuses[i] = enter({ name = "ann", password = "guess " .. i }).status
    end
    assert.same({ 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429 }, statuses)
    assert.equal(429, enter(ANN).status) -- the right one, too: it must not be told apart
    server:advance(280)
    assert.equal(429, enter(ANN).status)
    server:advance(30)
    assert.equal(303, enter(ANN).status)
  end)

  it("shows the sessions live, and ends the others", function()
    local first, second = log_in(ANN, "Firefox"), log_in(ANN, "Chromium\u{e9}")
    local other = log_in { name = "ben", password = "clair de lune" }
    local stream = server:stream("/account/events", { cookies = first })
    local seen = sessions_of(stream)
    assert.equal(2, #seen)
    assert.same({ "Firefox", true }, { seen[1].browser, seen[1].current })
    assert.same({ "Chromium??", false }, { seen[2].browser, seen[2].current })
    local late = server:stream("/account/events", { cookies = second })
    assert.is_true(sessions_of(late)[2].current)
    assert.equal(303, post("/account/leave-others", first).status)
    assert.equal(1, #sessions_of(stream))
    assert.equal("ended", sessions_of(late))
    late:expect_closed()
    assert.equal(303, server:request("GET", "/account", { cookies = second }).status)
    assert.equal(200, server:request("GET", "/account", { cookies = other }).status)
  end)

  it("ends sessions after two hours, and the oldest of six", function()
    local cookies = log_in()
    local stream = server:stream("/account/events", { cookies = cookies })
    sessions_of(stream)
    for _ = 1, 4 do
      cookies = log_in()
    end
    assert.equal(5, #sessions_of(stream))
    log_in()
    assert.equal("ended", sessions_of(stream))
    server:advance(2 * 3600 - 20)
    assert.equal(200, server:request("GET", "/account", { cookies = cookies }).status)
    server:advance(30)
    assert.equal(303, server:request("GET", "/account", { cookies = cookies }).status)
  end)

  it("bounds the streams of a session", function()
    local cookies = log_in()
    for _ = 1, 10 do
      server:stream("/account/events", { cookies = cookies })
    end
    assert.is_nil((server:try_stream("/account/events", { cookies = cookies })))
  end)

  it("holds under the demo, too", function()
    testing.stop_all()
    server = testing.start "examples/demo.lua"
    assert.equal("/login/account", server:request("GET", "/login/").headers.location)
    assert.equal("/login/enter", server:request("GET", "/login/account").headers.location)
    assert.matches('href="/login/"', server:request("GET", "/").body)
  end)
end)
