-- app:before, app:not_found, moonwire.redirect, and the options of app:static.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function start(define)
  local app = moonwire.app {}
  define(app)
  return testing.start(app)
end

-- The message with which fn fails.
local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

describe("app:before", function()
  after_each(testing.stop_all)

  it("runs for routes, streams, and WebSockets below its path, in order", function()
    local server = start(function(app)
      app:before(function(request)
        request.seen = "all"
      end)
      app:before("/admin/", function(request)
        request.seen = request.seen .. ",admin"
        if not request.cookies.session then
          return moonwire.redirect "/login"
        end
      end)
      app:before("/admin/secret", function(request)
        request.seen = request.seen .. ",secret"
        return 403, "not even you"
      end)
      local function seen(request)
        return request.seen
      end
      for _, path in ipairs {
        "/",
        "/login",
        "/admin",
        "/admin/users",
        "/administrator",
        "/admin/secret/x",
      } do
        app:get(path, seen)
      end
      app:stream("/admin/events", function(request, stream)
        stream:send("seen", request.seen)
        stream:close()
      end)
      app:websocket("/admin/socket", {
        on_open = function(socket, request)
          socket:send(request.seen)
        end,
      })
      app:websocket("/admin/mute", {})
    end)
    local session = { cookies = { session = "1" } }
    assert.equal("all", server:request("GET", "/").body)
    assert.equal("all", server:request("GET", "/administrator").body)
    for _, path in ipairs { "/admin", "/admin/users", "/admin/events", "/%61dmin/users" } do
      local response = server:request("GET", path)
      assert.equal(303, response.status, path)
      assert.equal("/login", response.headers.location)
    end
    assert.equal("all,admin", server:request("GET", "/admin", session).body)
    assert.equal("all,admin", server:request("GET", "/admin/users", session).body)
    assert.equal("all,admin", server:stream("/admin/events", session):take("seen").data)
    assert.equal("all,admin", (server:websocket("/admin/socket", session):take()))
    for _, path in ipairs { "/admin/socket", "/admin/mute" } do
      assert.equal(303, select(4, server:try_websocket(path)))
    end
    assert.equal("not even you", server:request("GET", "/admin/secret/x", session).body)
  end)

  it("may wait, refuse, and set cookies", function()
    local server = start(function(app)
      app:before(function(request)
        moonwire.sleep(1)
        if request.path == "/refused" then
          error { code = "rate_limited", message = "slowly" }
        elseif request.path == "/set" then
          return "set", { cookies = { a = "b" } }
        end
      end)
      for _, path in ipairs { "/", "/refused", "/set" } do
        app:get(path, function()
          return "route"
        end)
      end
    end)
    assert.equal("route", server:request("GET", "/", { within = 2 }).body)
    assert.equal(429, server:request("GET", "/refused", { within = 2 }).status)
    local response = server:request("GET", "/set", { within = 2 })
    assert.equal("set", response.body)
    assert.equal("b", response.cookies.a)
  end)

  it("is logged where it fails, and the route is not called", function()
    local called = false
    local server = start(function(app)
      app:before("/false", function()
        return false
      end)
      app:before("/nil", function()
        return nil, "the database is down"
      end)
      app:before("/raises", function()
        error "oops"
      end)
      for _, path in ipairs { "/false", "/nil", "/raises" } do
        app:get(path, function()
          called = true
        end)
      end
    end)
    for path, expected in pairs {
      ["/false"] = "returned false; to refuse in a route, use error",
      ["/nil"] = "failed: the database is down",
      ["/raises"] = "oops",
    } do
      local text = server:expect_error(expected, function()
        assert.equal(500, server:request("GET", path).status)
      end)
      assert.matches("before_spec.lua:%d+", text)
    end
    assert.is_false(called)
  end)

  for _, case in ipairs {
    { {}, "argument 1 must be a string, got nil" },
    { { "/x" }, "argument 2 must be a function, got nil" },
    { { 7, print }, "argument 1 must be a string, got number" },
    { { "admin", print }, "a path must begin with '/'" },
    { { "", print }, "a path must begin with '/'" },
    { { "/users/{id}", print }, "the path must be literal" },
    { { "/a*", print }, "the path must be literal" },
  } do
    it("raises: " .. case[2], function()
      local app = moonwire.app {}
      local message = failure(app.before, app, table.unpack(case[1], 1, 2))
      assert.matches("^spec/before_spec.lua:%d+: app:before", message)
      assert.matches(case[2], message)
    end)
  end

  it("does not let files look guarded", function()
    for _, path in ipairs { "/admin", "/admin/", "/admin/files" } do
      local message = failure(start, function(app)
        app:before("/admin", function() end)
        app:static(path, "browser")
      end)
      assert.matches(
        'app:static "' .. path .. '": app:before "/admin" %(.*%d+%) does not guard files',
        message
      )
    end
    start(function(app)
      app:before("/admin", function() end)
      app:before(function() end)
      app:static("/", "browser")
      app:static("/administrator", "browser")
    end)
  end)
end)

describe("the options of a route", function()
  for _, case in ipairs {
    { { cross_site = "yes" }, "option 'cross_site' must be a boolean, got string" },
    { { crosssite = true }, "unknown option 'crosssite' %(did you mean 'cross_site'%?%)" },
    { true, "options must be a table, got boolean" },
  } do
    it("raise: " .. case[2], function()
      for _, method in ipairs { "get", "post", "put", "patch", "delete", "options", "stream" } do
        local app = moonwire.app {}
        local message = failure(app[method], app, "/x", print, case[1])
        assert.matches("^spec/before_spec.lua:%d+: app:" .. method .. ' "/x": ', message)
        assert.matches(case[2], message)
      end
    end)
  end
end)

describe("app:not_found", function()
  after_each(testing.stop_all)

  local function server_with(fn, define)
    return start(function(app)
      app:not_found(fn)
      app:get("/there/{id}", function()
        return "there"
      end)
      if define then
        define(app)
      end
    end)
  end

  it("answers what nothing else does", function()
    local server = server_with(function(request)
      return "no " .. request.path .. " for " .. request.method
    end, function(app)
      app:static("/files", "browser")
    end)
    for _, path in ipairs {
      "/",
      "/nothing",
      "/there",
      "/there/1/2",
      "/files/none",
      "/files/.hidden",
      "/files/",
      "/filesx",
    } do
      local response = server:request("GET", path)
      assert.equal(404, response.status)
      assert.equal(("no %s for GET"):format(path), response.body)
      assert.equal(404, server:request("HEAD", path).status)
    end
    assert.equal("no /a b for POST", server:request("POST", "/a%20b", { body = "x" }).body)
    assert.equal("no /x for DELETE", server:request("DELETE", "/x").body)
    -- what is answered otherwise
    assert.equal("there", server:request("GET", "/there/1").body)
    assert.equal(405, server:request("POST", "/there/1").status)
    assert.equal(405, server:request("POST", "/files/x").status)
    assert.equal(200, server:request("GET", "/files/cuts.mjs").status)
    assert.equal(400, server:request("GET", "/%zz").status)
    assert.equal(404, server:request("GET", "/sse", { query = { channel = "none" } }).status)
    assert.matches(
      "no channel pattern",
      server:request("GET", "/sse", { query = { channel = "none" } }).body
    )
  end)

  it("returns what a route returns, with 404 by default", function()
    for _, case in ipairs {
      { {}, 404, "" },
      { { "text" }, 404, "text" },
      { { { error = "none" } }, 404, '{"error":"none"}\n' },
      { { 410 }, 410, "" },
      { { 200, "an app" }, 200, "an app" },
      { { moonwire.redirect "/" }, 303, "" },
    } do
      local server = server_with(function()
        return table.unpack(case[1], 1, 3)
      end)
      local response = server:request("GET", "/nothing")
      assert.equal(case[2], response.status)
      assert.equal(case[3], response.body)
    end
  end)

  it("may fail", function()
    local server = server_with(function()
      error "oops"
    end)
    server:expect_error("oops", function()
      assert.equal(500, server:request("GET", "/nothing").status)
    end)
  end)

  it("is one", function()
    local app = moonwire.app {}
    app:not_found(function() end)
    assert.matches("already has such a handler", failure(app.not_found, app, print))
    assert.matches("argument 1 must be a function, got string", failure(app.not_found, app, "x"))
  end)
end)

describe("moonwire.redirect", function()
  it("leads to a path", function()
    for _, location in ipairs { "/", "/a?b=c#d", "?page=2", "#top", "a/b", "../up", "/a:b", "/a//b" } do
      local status, body, headers = moonwire.redirect(location)
      assert.equal(303, status)
      assert.is_nil(body)
      assert.equal(location, headers.Location)
    end
    assert.equal(308, (moonwire.redirect("/", { status = 308 })))
    local _, _, headers = moonwire.redirect("https://a.example/", { external = true })
    assert.equal("https://a.example/", headers.Location)
  end)

  for _, case in ipairs {
    { {}, "argument 1 must be a string, got nil" },
    { { "" }, "must not be empty" },
    { { "//evil.example" }, "leads to another site; allow it by the option external" },
    { { "/\\evil.example" }, "leads to another site" },
    { { "\\\\evil.example" }, "leads to another site" },
    { { "\\/evil.example" }, "leads to another site" },
    { { "https://evil.example" }, "leads to another site" },
    { { "HTTPS:evil.example" }, "leads to another site" },
    { { "javascript:alert(1)" }, "leads to another site" },
    { { "/\t/evil.example" }, "white space" },
    { { "/\n/evil.example" }, "white space" },
    { { "/a\r\nSet-Cookie: a=b" }, "white space" },
    { { " //evil.example" }, "white space" },
    { { "/a\0" }, "white space" },
    { { "/", { status = 200 } }, "must be 301, 302, 303, 307, or 308" },
    { { "/", { permanent = true } }, "permanent" },
    { { "/", 301 }, "options must be a table" },
  } do
    it(("raises for %q: %s"):format(tostring(case[1][1]), case[2]), function()
      local message = failure(moonwire.redirect, table.unpack(case[1], 1, 2))
      assert.matches("^spec/before_spec.lua:%d+: moonwire.redirect: ", message)
      assert.matches(case[2], message)
    end)
  end
end)

describe("app:static", function()
  local directory

  setup(function()
    directory = io.popen("mktemp -d"):read "l"
    for name, text in pairs { ["index.html"] = "index", ["app.js"] = "js", ["404.html"] = "none" } do
      local file = assert(io.open(directory .. "/" .. name, "w"))
      file:write(text)
      file:close()
    end
    assert(os.execute(("mkdir %s/sub"):format(directory)))
  end)

  teardown(function()
    os.execute("rm -rf " .. directory)
  end)

  after_each(testing.stop_all)

  local function serving(given)
    return start(function(app)
      app:static("/", directory, given)
    end)
  end

  it("sends the fallback for paths without a dot", function()
    local server = serving { fallback = "index.html" }
    for _, path in ipairs { "/", "/users/7", "/users/", "/a%20b", "/sub/x", "/sub/" } do
      local response = server:request("GET", path)
      assert.equal(200, response.status, path)
      assert.equal("index", response.body)
      assert.equal("text/html; charset=utf-8", response.headers["content-type"])
      assert.equal("no-cache", response.headers["cache-control"])
    end
    for _, path in ipairs { "/none.js", "/users/7.json", "/.hidden", "/.hidden/x", "//x" } do
      assert.equal(404, server:request("GET", path).status, path)
    end
    assert.equal(308, server:request("GET", "/sub").status)
    assert.equal("js", server:request("GET", "/app.js").body)
    local tag = server:request("GET", "/x").headers.etag
    assert.equal(304, server:request("GET", "/x", { headers = { ["if-none-match"] = tag } }).status)
  end)

  it("lets browsers keep files other than pages", function()
    for _, case in ipairs {
      { {}, "no-cache" },
      { { cache = 0 }, "no-cache" },
      { { cache = 3600 }, "max-age=3600" },
      { { cache = "immutable" }, "max-age=31536000, immutable" },
    } do
      local server = serving(case[1])
      assert.equal(case[2], server:request("GET", "/app.js").headers["cache-control"])
      assert.equal("no-cache", server:request("GET", "/").headers["cache-control"])
      assert.equal("no-cache", server:request("GET", "/404.html").headers["cache-control"])
    end
  end)

  for _, case in ipairs {
    { { fallback = "none.html" }, "the fallback is not a file of the directory" },
    { { fallback = "sub" }, "the fallback is not a file" },
    { { fallback = "/etc/passwd" }, "must be the path of a file in the directory" },
    { { fallback = "../index.html" }, "must be the path of a file in the directory" },
    { { fallback = "sub/../../x" }, "must be the path of a file in the directory" },
    { { fallback = "" }, "fallback" },
    { { fallback = true }, "fallback" },
    { { cache = -1 }, "cache" },
    { { cache = 1.5 }, "cache" },
    { { cache = "1h" }, 'must be a non%-negative number of seconds, or "immutable"' },
    { { index = "x" }, "index" },
    { { headers = "X: y" }, "option 'headers' must be a table, got" },
    { { headers = { "X" } }, "headers: a name must be a string, got number" },
    { { headers = { ["X-A"] = 1 } }, 'headers: the value of "X%-A" must be a string, got number' },
    { { headers = { ["X A"] = "1" } }, '"X A": the name of a header must be' },
    {
      { headers = { ["X-A"] = "a\nb" } },
      '"X%-A": the value of this header must not have control',
    },
    { { headers = { ["X-A"] = "1", ["x-a"] = "2" } }, '"x%-a": this header is there twice' },
    { { headers = { etag = '"1"' } }, '"etag": this header is set by the server itself' },
    { { headers = { ["X-A"] = ("x"):rep(9000) } }, '"X%-A": the headers exceed 8 KiB' },
  } do
    it("raises: " .. case[2], function()
      assert.matches(case[2], failure(serving, case[1]))
    end)
  end
end)
