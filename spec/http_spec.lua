-- HTTP/1.1 and HTTP/1.0 as clients expect them.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "secret", limits = { idle_seconds = 2 } }
app:channel("news", { history = { size = 10 } })
app:get("/hello", function() return "hello" end)
app:get("/slow", function() moonwire.sleep(0.05) return "slow" end)
app:get("/query", function(request)
  return { query = request.query, all = request.query_all, path = request.path, cookies = request.cookies, remote = request.remote }
end)
app:post("/echo", function(request) return request.body end)
app:put("/items/{id}", function(request) return 201, request.params end)
app:delete("/items/{id}", function() return 204 end)
return app
]]

describe("http", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  describe("connections", function()
    it("are kept", function()
      local client = http.connect(app)
      for i = 1, 100 do
        client:send(http.format("POST", "/echo", { body = "request " .. i }))
        local response = client:read_response()
        assert.equal(200, response.status)
        assert.equal("request " .. i, response.body)
        assert.is_not.equal("close", response.headers.connection)
      end
      client:close()
    end)

    it("are closed if the client asks for it", function()
      local client = http.connect(app)
      client:send(http.format("GET", "/hello", { headers = { Connection = "close" } }))
      local response = client:read_response()
      assert.equal("hello", response.body)
      assert.equal("close", response.headers.connection)
      assert.is_true(client:is_closed())
    end)

    it("are closed when they are idle for too long", function()
      local client = http.connect(app)
      client:send(http.format("GET", "/hello"))
      assert.equal(200, client:read_response().status)
      assert.is_true(client:is_closed())
    end)

    it("take pipelined requests and answer in order", function()
      local client = http.connect(app)
      local text = {}
      for i = 1, 50 do
        text[#text + 1] = i % 5 == 0 and http.format("GET", "/slow")
          or http.format("POST", "/echo", { body = tostring(i) })
      end
      client:send(table.concat(text))
      for i = 1, 50 do
        assert.equal(i % 5 == 0 and "slow" or tostring(i), client:read_response().body)
      end
      client:close()
    end)

    it("take a request split at every byte", function()
      local text = http.format("POST", "/echo", { body = "body" })
      local client = http.connect(app)
      for i = 1, #text - 1 do
        client:send(text:sub(1, i))
        client:send(text:sub(i + 1))
        assert.equal("body", client:read_response().body)
      end
      client:close()
    end)

    it("forgive empty lines before a request", function()
      local client = http.connect(app)
      client:send("\r\n" .. http.format("GET", "/hello"))
      assert.equal("hello", client:read_response().body)
      client:close()
    end)
  end)

  describe("bodies", function()
    it("come in chunks, with extensions and trailers", function()
      local client = http.connect(app)
      client:send "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      client:send "5\r\nhello\r\n7;name=value\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n"
      assert.equal("hello, world", client:read_response().body)
      client:close()
    end)

    it("may be binary and large", function()
      local bytes = {}
      for i = 0, 255 do
        bytes[#bytes + 1] = string.char(i)
      end
      local body = table.concat(bytes):rep(2000)
      local response = http.request(app, "POST", "/echo", { body = body })
      assert.is_true(response.body == body)
    end)

    it("wait for 100 Continue", function()
      local client = http.connect(app)
      client:send "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
      assert.equal(100, client:read_response().status)
      client:send "data"
      assert.equal("data", client:read_response().body)
      client:close()
    end)

    it("are refused without 100 Continue if they are too large", function()
      local client = http.connect(app)
      client:send "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
      local response = client:read_response()
      assert.equal(413, response.status)
      assert.equal("too_large", dkjson.decode(response.body).error.code)
      assert.is_true(client:is_closed())
    end)
  end)

  describe("HTTP/1.0", function()
    it("closes behind the answer", function()
      local client = http.connect(app)
      client:send "GET /hello HTTP/1.0\r\n\r\n"
      local response = client:read_response()
      assert.equal(200, response.status)
      assert.equal("hello", response.body)
      assert.is_nil(response.headers["transfer-encoding"])
      assert.is_true(client:is_closed())
    end)

    it("keeps the connection if the client asks for it", function()
      local client = http.connect(app)
      for _ = 1, 3 do
        client:send "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        local response = client:read_response()
        assert.equal("hello", response.body)
        assert.equal("keep-alive", response.headers.connection:lower())
      end
      client:close()
    end)
  end)

  describe("HEAD", function()
    it("is answered like GET, without the body", function()
      local client = http.connect(app)
      client:send(http.format("HEAD", "/hello") .. http.format("GET", "/hello"))
      local first = client:read_response "HEAD"
      assert.equal(200, first.status)
      assert.equal("5", first.headers["content-length"])
      assert.equal("hello", client:read_response().body)
      client:close()
    end)

    it("says what is not there", function()
      assert.equal(404, http.request(app, "HEAD", "/nothing").status)
    end)
  end)

  describe("refuses", function()
    local function assert_error(response, status, code)
      assert.equal(status, response.status)
      assert.equal("application/json", response.headers["content-type"])
      local value = dkjson.decode(response.body)
      assert.equal(code, value.error.code)
      assert.is_true(#value.error.reason > 0)
    end

    it("a path that is not there with 404", function()
      assert_error(http.get(app, "/nothing"), 404, "not_found")
    end)

    it("a method that a path does not have with 405 and Allow", function()
      local response = http.request(app, "DELETE", "/hello")
      assert.equal(405, response.status)
      assert_error(response, 405, "bad_request")
      assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
      assert.equal("POST, OPTIONS", http.get(app, "/echo").headers.allow)
      assert.equal(
        "GET, HEAD, OPTIONS",
        http.request(app, "POST", "/sse?channel=news", { body = "" }).headers.allow
      )
      assert.equal("POST, OPTIONS", http.get(app, "/publish").headers.allow)
    end)

    it("keeps the connection behind a refusal of a request without a body", function()
      local client = http.connect(app)
      client:send(
        http.format("GET", "/nothing")
          .. http.format("DELETE", "/hello")
          .. http.format("GET", "/hello")
      )
      assert.equal(404, client:read_response().status)
      assert.equal(405, client:read_response().status)
      assert.equal("hello", client:read_response().body)
      client:close()
    end)

    it("does not wait for a body that nobody wants", function()
      local client = http.connect(app)
      client:send "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
      local response = client:read_response()
      assert.equal(405, response.status)
      assert.equal("close", response.headers.connection)
      client:close()
    end)

    it("a publish without a length with 411", function()
      local client = http.connect(app)
      client:send "POST /publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n"
      assert_error(client:read_response(), 411, "bad_request")
      client:close()
    end)
  end)

  describe("requests", function()
    it("have their query form-decoded", function()
      local response = http.get(app, "/query?a=1&b=x+y%20z%2B&c=&d&a=2&%C3%A4=%E2%82%AC")
      local value = dkjson.decode(response.body)
      assert.same({ a = "2", b = "x y z+", c = "", d = "", ["ä"] = "€" }, value.query)
      assert.same({ "1", "2" }, value.all.a)
      assert.equal("/query", value.path)
    end)

    it("have cookies", function()
      local response = http.get(app, "/query", { Cookie = 'a=1; b="two"; c=x=y' })
      assert.same({ a = "1", b = "two", c = "x=y" }, dkjson.decode(response.body).cookies)
    end)

    it("know the address of the peer", function()
      assert.equal("127.0.0.1", dkjson.decode(http.get(app, "/query").body).remote)
    end)

    it("have the captures of their route, decoded", function()
      local response = http.request(app, "PUT", "/items/a%20b", { body = "" })
      assert.equal(201, response.status)
      assert.same({ id = "a b" }, dkjson.decode(response.body))
      assert.equal(204, http.request(app, "DELETE", "/items/1").status)
    end)

    it("may name the whole URL", function()
      assert.equal("hello", http.get(app, "http://localhost/hello").body)
    end)
  end)

  it("answers curl", function()
    local options = "-sS -w ' %{http_code} %{num_connects}'"
    local command = ("curl %s -d data %s/echo --next %s %s/hello"):format(
      options,
      app.address,
      options,
      app.address
    )
    assert.equal("data 200 1hello 200 0", server.run(command))
  end)

  it("tells its health", function()
    local response = http.get(app, "/health")
    assert.equal(200, response.status)
    assert.equal("application/json", response.headers["content-type"])
    assert.same({ status = "ok" }, dkjson.decode(response.body))
  end)

  it("has a date", function()
    assert.matches(
      "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$",
      http.get(app, "/hello").headers.date
    )
  end)
end)

describe("listeners", function()
  local body = '{"channel":"news","data":1}'
  local headers = { Authorization = "Bearer secret", ["Content-Type"] = "application/json" }

  it("may be unix sockets, with a mode", function()
    local app =
      server.start { script = script, args = "--listen unix:{folder}/socket --unix-mode 0600" }
    local to = app.listeners[1]
    assert.equal(app.folder .. "/socket", to.path)
    assert.equal("600", server.run("stat -c %a " .. to.path))
    assert.equal("hello", http.get(to, "/hello").body)
    assert.equal("unix", dkjson.decode(http.get(to, "/query").body).remote)
    app:stop()
    assert.equal("gone", server.run("test -e " .. to.path .. " || echo gone"))
  end)

  it("replace a stale socket, but not one that is in use", function()
    local first = server.start { script = script, args = "--listen unix:{folder}/socket" }
    local path = first.folder .. "/socket"
    local args = "--listen unix:" .. path
    assert.has_error(function()
      server.start { script = script, args = args }
    end)
    assert.equal("hello", http.get(first.listeners[1], "/hello").body)
    server.run("cp -r " .. first.folder .. " " .. first.folder .. ".kept")
    -- ended without a chance to remove its socket, and the folder stays because a hard link of the socket is elsewhere
    server.run(("ln %s %s.kept/stale"):format(path, first.folder))
    first:finish "KILL"
    local second =
      server.start { script = script, args = "--listen unix:" .. first.folder .. ".kept/stale" }
    assert.equal("hello", http.get(second.listeners[1], "/hello").body)
    second:stop()
    server.run("rm -rf " .. first.folder .. ".kept")
  end)

  it("may be several, IPv6 among them", function()
    local app = server.start {
      script = script,
      args = "--listen [::1]:0 --listen 127.0.0.1:0 --listen unix:{folder}/socket",
    }
    assert.equal(3, #app.listeners)
    assert.equal("::1", app.listeners[1].host)
    for _, listener in ipairs(app.listeners) do
      assert.equal("hello", http.get(listener, "/hello").body)
    end
    assert.equal("::1", dkjson.decode(http.get(app.listeners[1], "/query").body).remote)
    app:stop()
  end)

  it("may be private: then publishing is served only there", function()
    local app =
      server.start { script = script, args = "--listen 127.0.0.1:0 --private 127.0.0.1:0" }
    local public, private = table.unpack(app.listeners)
    local function publish(to)
      return http.request(to, "POST", "/publish", { body = body, headers = headers }).status
    end
    assert.equal(404, publish(public))
    assert.equal(200, publish(private))
    assert.equal(200, http.get(private, "/health").status)
    app:stop()
  end)

  it("serve publishing everywhere if none is private", function()
    local app = server.start(script)
    assert.equal(
      200,
      http.request(app, "POST", "/publish", { body = body, headers = headers }).status
    )
    app:stop()
  end)
end)
