-- Routes and raw streams as pages and tools meet them: methods, catch-alls, HEAD, OPTIONS, other origins, faults of handlers.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { origins = { "https://a.example", "https://*.b.example" } }
app:channel("news", {})
local function echo(request)
  return { method = request.method, path = request.path, params = request.params, body = request.body }
end
app:get("/files/{path...}", echo)
app:get("/files/{name}", function(request) return { one = request.params.name } end)
app:get("/files/deep/{rest...}", function(request) return { deep = request.params.rest } end)
app:patch("/files/{path...}", echo)
app:options("/asked/{path...}", function(request) return 200, "asked", { ["X-Asked"] = request.params.path } end)
app:put("/asked/{name}", echo)
app:get("/own", function() return 200, "own", { ["Access-Control-Allow-Origin"] = "https://c.example" } end)
app:get("/teapot", function() return 418, "teapot" end)
app:stream("/raw/{path...}", function(request, stream)
  stream:on_close(function() app.log("closed " .. request.method) end)
  stream:send("first", request.params.path, { id = 1 })
end)
app:stream("/id", function(request, stream)
  local ids = { tab = "a\tb", lf = "a\nb", nul = "a\0b", bel = "a\7", del = "a\127", esc = "\27[1m", utf8 = "\u{1F319}",
    latin = "\u{e9}", raw = "\xe9", front = " a", back = "a ", space = " ", huge = ("x"):rep(1025), boolean = true,
    fine = "a b:c", long = ("x"):rep(1024), empty = "", number = 42, max = math.maxinteger }
  local last = request.headers["last-event-id"]
  if last then return 200, last end
  local ok, message = pcall(stream.send, stream, "first", "x", { id = ids[request.query.id] })
  if not ok then return 400, message end
end)
app:stream("/late", function(request, stream)
  if request.query.close then stream:close() else stream:send("progress", 1) end
  moonwire.sleep(0.01)
  return 500, { error = "the job failed" }
end)
app:stream("/gone", function(request, stream)
  app.log("begun")
  moonwire.sleep(0.2)
  stream:send("first", 1)
  app.log("nobody is there")
  return 503
end)
return app
]]

describe("routes", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function ask(method, target, headers, body)
    local client = http.connect(app)
    client:send(http.format(method, target, { headers = headers, body = body }))
    local response = method == "HEAD" and client:read_head() or client:read_response()
    client:close()
    return response
  end

  local function wait_for_log(text)
    assert.is_string(app:await_log((text:gsub("%p", "%%%0"))))
  end

  it("match the rest of a path", function()
    local function params(target)
      return dkjson.decode(ask("GET", target).body)
    end
    assert.equal("a/b/c.txt", params("/files/a/b/c.txt").params.path)
    assert.equal("a/", params("/files/a/").params.path)
    assert.equal("", params("/files/").params.path)
    assert.equal("ä/b c", params("/files/%C3%A4/b%20c").params.path)
    assert.equal("x", params("/files/x").one)
    assert.equal("", params("/files/deep/").deep)
    assert.equal("a/b", params("/files/deep/a/b").deep)
    assert.equal(404, ask("GET", "/files").status)
    assert.equal(404, ask("GET", "/filesx/a").status)
    assert.equal("a//b", params("/files/a//b").params.path)
  end)

  it("have PATCH and OPTIONS", function()
    local response = ask("PATCH", "/files/x", nil, "body")
    local seen = dkjson.decode(response.body)
    assert.same(
      { method = "PATCH", path = "/files/x", params = { path = "x" }, body = "body" },
      seen
    )
    response = ask("OPTIONS", "/asked/a/b")
    assert.equal("asked", response.body)
    assert.equal("a/b", response.headers["x-asked"])
    assert.equal("GET, HEAD, PATCH, OPTIONS", ask("OPTIONS", "/files/x").headers.allow)
    assert.equal("PUT, OPTIONS", ask("GET", "/asked/x").headers.allow)
    assert.equal(404, ask("GET", "/asked/x/y").status)
  end)

  it("and the server as a whole say what they can do", function()
    local client = http.connect(app)
    client:send "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET /teapot HTTP/1.1\r\nHost: a\r\n\r\n"
    local response = client:read_response()
    assert.equal(204, response.status)
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", response.headers.allow)
    assert.equal(418, client:read_response().status)
    client:close()
  end)

  it("answer HEAD as curl asks it", function()
    for _, target in ipairs {
      "/files/x",
      "/teapot",
      "/raw/x",
      "/sse?channel=news",
      "/poll?channel=news",
      "/ws",
      "/none",
    } do
      local pipe = io.popen(
        ("curl -s -m 60 -I '%s%s' -o /dev/null -w '%%{http_code} %%{size_download} %%{exitcode}'"):format(
          app.address,
          target
        )
      )
      local head = pipe:read "a"
      pipe:close()
      assert.matches("^%d%d%d 0 0$", head)
      local connection = http.connect(app)
      connection:send(http.format("GET", target))
      assert.equal(connection:read_head().status, tonumber(head:sub(1, 3)))
      connection:close()
    end
    wait_for_log "closed HEAD"
  end)

  describe("of pages of other origins", function()
    local listed, other = { Origin = "https://x.b.example" }, { Origin = "https://c.example" }

    it("can be read by those that are listed", function()
      local response = ask("GET", "/files/x", listed)
      assert.equal("https://x.b.example", response.headers["access-control-allow-origin"])
      assert.equal("true", response.headers["access-control-allow-credentials"])
      assert.equal(
        "https://x.b.example",
        ask("GET", "/teapot", listed).headers["access-control-allow-origin"]
      )
      assert.equal(
        "https://x.b.example",
        ask("DELETE", "/teapot", listed).headers["access-control-allow-origin"]
      )
      local stream = sse.open(app, "/raw/x", { headers = listed })
      assert.equal("https://x.b.example", stream.headers["access-control-allow-origin"])
      stream:close()
    end)

    it("are still answered for all others", function()
      local response = ask("GET", "/files/x", other)
      assert.equal(200, response.status)
      assert.is_nil(response.headers["access-control-allow-origin"])
      assert.equal(204, ask("OPTIONS", "/files/x", other).status)
    end)

    it("are decided by a handler that says so", function()
      local response = ask("GET", "/own", listed)
      assert.equal("https://c.example", response.headers["access-control-allow-origin"])
      assert.is_nil(response.headers["access-control-allow-credentials"])
      assert.equal("asked", ask("OPTIONS", "/asked/x", listed).body)
    end)

    it("have preflights", function()
      local headers = {
        Origin = "https://a.example",
        ["Access-Control-Request-Method"] = "PATCH",
        ["Access-Control-Request-Headers"] = "x-token, content-type",
      }
      local response = ask("OPTIONS", "/files/a/b", headers)
      assert.equal(204, response.status)
      assert.equal("GET, HEAD, PATCH, OPTIONS", response.headers["access-control-allow-methods"])
      assert.equal("x-token, content-type", response.headers["access-control-allow-headers"])
      headers.Origin = "https://c.example"
      response = ask("OPTIONS", "/files/a/b", headers)
      assert.equal(204, response.status)
      assert.is_nil(response.headers["access-control-allow-methods"])
      assert.is_nil(response.headers["access-control-allow-origin"])
    end)
  end)

  describe("that are streams", function()
    it("refuse ids with which no client can return", function()
      for _, name in ipairs {
        "tab",
        "lf",
        "nul",
        "bel",
        "del",
        "esc",
        "utf8",
        "latin",
        "raw",
        "front",
        "back",
        "space",
        "huge",
      } do
        local response = ask("GET", "/id?id=" .. name)
        assert.equal(400, response.status, name)
        assert.matches(
          "option 'id' .*; it must be 1 to 1024 printable ASCII characters, so that a client can send it as Last%-Event%-ID",
          response.body
        )
      end
      assert.matches("must be a string or an integer", ask("GET", "/id?id=boolean").body)
    end)

    it("take those that come back as they are", function()
      for _, name in ipairs { "fine", "long", "number", "max" } do
        local stream = sse.open(app, "/id?id=" .. name)
        local event = stream:event()
        stream:close()
        assert.equal(event.id, ask("GET", "/id", { ["Last-Event-ID"] = event.id }).body)
      end
      local stream = sse.open(app, "/id?id=empty")
      assert.equal("x", stream:event().data)
      stream:close()
    end)

    it("log an answer that comes after the first event, and end", function()
      local stream = sse.open(app, "/late")
      assert.equal("1", stream:event().data)
      assert.is_nil(stream:event())
      stream:close()
      local path = app.folder .. "/app.lua:"
      wait_for_log "stream handler of GET /late ("
      local line = app:log():match "[^\n]*GET /late[^\n]*"
      assert.truthy(line:find(path, 1, true), line)
      assert.matches("returned an answer after the stream had started", line)
      local client = http.connect(app)
      client:send(http.format("GET", "/late?close=1"))
      assert.equal(200, client:read_head().status)
      assert.matches("0\r\n\r\n$", client:read_rest())
    end)

    it("do not blame a handler whose client has gone", function()
      local client = http.connect(app)
      client:send(http.format("GET", "/gone"))
      wait_for_log "begun"
      client:close()
      wait_for_log "nobody is there"
      assert.is_nil(app:log():find("GET /gone", 1, true))
    end)
  end)

  it("say where a catch-all cannot be", function()
    local cases = {
      { [[app:get("/{a...}/b", print)]], "must be the last segment" },
      { [[app:channel("room:{a...}")]], "only a route can end in a catch-all" },
      { [[app:get("/a/{b...}", print) app:stream("/a/{c...}", print)]], "already defined at" },
      { [[app:get("/a/{b...}", print) app:get("/{a}/b", print)]], "can match the same name" },
      { [[app:get("/a/*", print)]], "{name...} at the end the rest of the path" },
      { [[app:patch("a", print)]], 'must begin with "/"' },
      { [[app:options("/x")]], "argument 2 must be a function" },
    }
    for _, case in ipairs(cases) do
      local ok, message =
        pcall(server.start, "local app = require('moonwire').app {}\n" .. case[1] .. "\nreturn app")
      assert.is_false(ok, case[1])
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find("app.lua:2", 1, true), message)
    end
  end)
end)
