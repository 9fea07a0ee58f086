-- What RFC 9110, RFC 9112 and RFC 6265 say of requests that few clients send: answered as they say, and the connection kept.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { origins = { "https://a.example" } }
app:channel("news", { history = { size = 10 } })
app:get("/hello", function() return "hello" end)
app:get("/host", function(request) return tostring(request.headers.host) end)
app:get("/seen", function(request)
  return { cookies = request.cookies, cookie = request.headers.cookie, query = request.query, body = request.body }
end)
app:post("/echo", function(request) return request.body end)
return app
]]

describe("http to the letter", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  -- Sends the requests in one piece and then byte by byte, and returns what came both times, which is to be the same.
  local function ask(text, count)
    local all = {}
    for step = 1, 2 do
      local client, responses = http.connect(app), {}
      for part in text:gmatch(step == 1 and ".+" or ".") do
        if not client:send(part) then
          break
        end
      end
      for i = 1, count or 1 do
        responses[i] = client:read_response()
        responses[i].head, responses[i].headers.date = nil, nil
      end
      responses.closed = responses[#responses].headers.connection == "close"
      client:close()
      all[step] = responses
    end
    assert.same(all[1], all[2])
    return all[1]
  end

  local function answered(text, status, body)
    local response = ask(text)[1]
    assert.equal(status, response.status)
    if body then
      assert.equal(body, response.body)
    end
    return response
  end

  local function refused(text, reason)
    local response = answered(text, 400)
    assert.equal(reason, dkjson.decode(response.body).error.reason)
  end

  describe("an upgrade that is not taken", function()
    local offer =
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"

    it("costs no connection", function()
      local client = http.connect(app)
      for _ = 1, 20 do
        client:send("GET /hello HTTP/1.1\r\nHost: a\r\n" .. offer .. "\r\n")
        local response = client:read_response()
        assert.equal("hello", response.body)
        assert.equal("keep-alive", response.headers.connection)
        assert.is_nil(response.headers.upgrade)
      end
      client:close()
    end)

    it("leaves pipelined requests and bodies as they are", function()
      local responses = ask(
        "GET /hello HTTP/1.1\r\nHost: a\r\n"
          .. offer
          .. "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n"
          .. offer
          .. "\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
          .. "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
          .. offer
          .. "\r\n2\r\nab\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        4
      )
      assert.equal("hello", responses[1].body)
      assert.equal("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", responses[2].body)
      assert.equal("ab", responses[3].body)
      assert.equal("hello", responses[4].body)
      assert.is_true(responses.closed)
    end)

    it("of WebSocket ends the connection, since frames may follow", function()
      local client = http.connect(app)
      client:send "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00"
      assert.equal("hello", client:read_response().body)
      assert.equal("", client:read_rest())
    end)

    it("is what curl --http2 sends", function()
      local pipe = io.popen(
        ("curl -s --http2 -m 60 -w '%%{num_connects} ' %s/hello %s/hello"):format(
          app.address,
          app.address
        )
      )
      assert.equal("hello1 hello0 ", pipe:read "a")
      pipe:close()
    end)
  end)

  it("serves a higher minor version as HTTP/1.1", function()
    for minor = 2, 9 do
      local text = "GET /hello HTTP/1.%d\r\nHost: a\r\n\r\n"
      local responses = ask(text:format(minor) .. text:format(1), 2)
      assert.equal("1.1", responses[1].version)
      assert.equal("hello", responses[1].body .. "")
      assert.equal("hello", responses[2].body)
    end
    answered("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505)
    answered("GET /hello HTTP/1.2\r\n\r\n", 400)
  end)

  describe("an absolute target", function()
    it("wins over Host", function()
      answered("GET http://b.example:81/host HTTP/1.1\r\nHost: a\r\n\r\n", 200, "b.example:81")
      answered("GET HTTP://b/host?x=y HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", 200, "b")
      answered("GET http://b/host HTTP/1.0\r\n\r\n", 200, "nil")
      answered("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", 404)
      answered("GET http://b/host HTTP/1.1\r\n\r\n", 400)
    end)

    it("says which origin is the same", function()
      local text =
        "GET %s/poll?channel=news HTTP/1.1\r\nHost: %s\r\nOrigin: http://b\r\nConnection: close\r\n\r\n"
      answered(text:format("", "b"), 200)
      answered(text:format("", "a"), 403)
      answered(text:format("http://b", "a"), 200)
      answered(text:format("http://a", "b"), 403)
    end)
  end)

  it("refuses two fields of which there is one", function()
    local text = "GET /poll?channel=news HTTP/1.1\r\nHost: a\r\n%s: %s\r\nX: y\r\n%s: %s\r\n\r\n"
    refused(
      text:format("Origin", "http://a", "Origin", "http://evil"),
      "more than one Origin header"
    )
    refused(text:format("origin", "http://a", "ORIGIN", "http://a"), "more than one Origin header")
    refused(
      text:format("Content-Type", "text/plain", "Content-Type", "application/json"),
      "more than one Content-Type header"
    )
    refused(
      text:format("Authorization", "Bearer a", "authorization", "Bearer b"),
      "more than one Authorization header"
    )
    refused(text:format("Host", "a", "X-Y", ""), "more than one Host header")
  end)

  describe("cookies", function()
    local function seen(fields)
      local response = answered("GET /seen HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n", 200)
      return dkjson.decode(response.body)
    end

    it("of one name: the first counts", function()
      assert.same({ a = "1", b = "2" }, seen("Cookie: a=1; b=2; a=3\r\n").cookies)
      assert.same({ a = "" }, seen("Cookie: a=; a=3\r\n").cookies)
      assert.same({ a = "1", A = "2" }, seen("Cookie: a=1; A=2; a=3\r\n").cookies)
      assert.same({ a = "x" }, seen('Cookie: a="x"; a = y\r\n').cookies)
      assert.same({ a = "1" }, seen("Cookie: a; =b; a=1; a=2\r\n").cookies)
    end)

    it("in several fields are one list", function()
      local was = seen "Cookie: a=1\r\nX: y\r\ncookie: b=2; a=3\r\nCOOKIE: c=4\r\n"
      assert.same({ a = "1", b = "2", c = "4" }, was.cookies)
      assert.equal("a=1; b=2; a=3; c=4", was.cookie)
    end)
  end)

  describe("a raw byte beyond ASCII in the target", function()
    it("is refused with a word on what to do", function()
      for _, target in ipairs {
        "/seen?x=ä",
        "/ä",
        "/seen?ä",
        "/seen?x=\xff",
        "http://a/seen?x=é",
      } do
        refused(
          ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(target),
          "invalid byte in the request target; percent-encode bytes outside printable ASCII (a-umlaut is %C3%A4)"
        )
      end
    end)

    it("is read when it is encoded", function()
      local response = answered("GET /seen?x=%C3%A4 HTTP/1.1\r\nHost: a\r\n\r\n", 200)
      assert.equal("ä", dkjson.decode(response.body).query.x)
    end)
  end)

  describe("a request that has become a stream", function()
    local watched = [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      app:authenticate(function(request) return { id = #(request.cookies.a or "") } end)
      app:channel("room:{x}", { authorize = true, presence = true, on_join = function() return ("j"):rep(8000) end })
      app:stream("/raw", function() end)
      app:get("/rss", function()
        collectgarbage()
        for line in io.lines "/proc/self/status" do
          if line:match "^VmRSS" then return line:match "%d+" end
        end
      end)
      return app
    ]]

    it("takes no body with it", function()
      for _, target in ipairs { "/sse?channel=news", "/poll?channel=news", "/ws" } do
        local text = "GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        refused(text:format(target), "a GET of this path must not have a body")
      end
    end)

    it("is not shown again with a newer token, but for whom it was meant", function()
      local other = server.start [[
        local moonwire = require "moonwire"
        local app = moonwire.app { origins = { "https://a.example" } }
        local seen = {}
        app:authenticate(function(request)
          local names = {}
          for name in pairs(request.headers) do names[#names + 1] = name end
          table.sort(names)
          seen[#seen + 1] = {
            token = request.token, path = request.path, method = request.method, remote = request.remote, query = request.query_string,
            host = request.headers.host, origin = request.headers.origin, cookie = request.cookies.a, headers = table.concat(names, " "),
          }
          return { id = 1 }
        end)
        app:get("/seen", function() return seen end)
        return app
      ]]
      local headers = { cookie = "a=b", origin = "https://a.example" }
      local client =
        websocket.open(other, "/ws?x=y", { protocol = "moonwire.1", headers = headers })
      assert.truthy(client:ask({ connect = { token = "first" } }).ok)
      assert.truthy(client:ask({ token = "second" }).ok)
      assert.truthy(client:ask({ token = "third" }).ok)
      local asker = http.connect(other)
      asker:send(http.format("GET", "/seen"))
      local seen = dkjson.decode(asker:read_response().body)
      local host = ("%s:%d"):format(other.host, other.port)
      assert.equal("b", seen[1].cookie)
      assert.equal("x=y", seen[1].query)
      for i, token in ipairs { "first", "second", "third" } do
        assert.equal(token, seen[i].token)
        assert.equal(host, seen[i].host)
        assert.equal("https://a.example", seen[i].origin)
        assert.equal("127.0.0.1", seen[i].remote)
        assert.equal("GET /ws", seen[i].method .. " " .. seen[i].path)
      end
      for i = 2, 3 do
        assert.equal("host origin", seen[i].headers)
        assert.is_nil(seen[i].cookie)
        assert.equal("", seen[i].query)
      end
      client:close()
      asker:close()
      other:stop()
    end)

    -- Sanitizers keep what was freed.
    if not os.getenv "MOONWIRE_FLAVOUR" then
      it("holds nothing of it", function()
        local other = server.start(watched)
        local asker = http.connect(other)
        local function rss()
          asker:send(http.format("GET", "/rss"))
          return tonumber(asker:read_response().body)
        end
        for _, target in ipairs { "/sse?envelope=1&channel=room:1", "/raw" } do
          local grown = {}
          for round, cookie in ipairs { "", "", ("c"):rep(8000) } do
            local before, clients = rss(), {}
            for i = 1, 200 do
              clients[i] = http.connect(other)
              local text = "GET %s HTTP/1.1\r\nHost: a\r\nCookie: a=%s\r\n\r\n"
              clients[i]:send(text:format(target, cookie))
              assert.equal(200, clients[i]:read_head().status)
            end
            grown[round] = rss() - before
            for _, client in ipairs(clients) do
              client:close()
            end
          end
          -- 1.6 MB of cookies, 1.6 MB of what joining gave.
          assert.is_true(grown[3] < 1000, ("%s: %d KB"):format(target, grown[3]))
        end
        asker:close()
        other:stop()
      end)
    end
  end)
end)
