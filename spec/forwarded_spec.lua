-- What peers say about their clients: forwarded headers and PROXY headers, from trusted proxies and
-- from everyone else. Each input gets its answer, and a quiet client beside them is served.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { OPTIONS }
app:channel("room:{room}", { relay = { "typing" } })
app:get("/who", function(request)
  return { remote = request.remote, scheme = request.scheme, by_proxy = request.by_proxy }
end)
app:get("/stats", function() return app:stats().limits end)
return app
]]

local function start(options)
  return server.start((script:gsub("OPTIONS", (options:gsub("%%", "%%%%")))))
end

-- Sends bytes, ends our side if `ends`, and returns everything that is answered.
local function exchange(to, bytes, ends)
  local connection = assert(socket.connect(to.host, to.port))
  connection:settimeout(60)
  connection:send(bytes)
  if ends then
    connection:shutdown "send"
  end
  local text, _, rest = connection:receive "*a"
  connection:close()
  return text or rest or ""
end

local function request(fields)
  return "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" .. (fields or "") .. "\r\n"
end

-- In short: "127.0.0.1 http", "203.0.113.7 https by proxy", "400", or "closed".
local function describe_answer(text)
  local status = text:match "^HTTP/1.1 (%d+) "
  if status ~= "200" then
    return status or "closed"
  end
  local who = dkjson.decode(text:match "{.*}")
  return ("%s %s%s"):format(who.remote, who.scheme, who.by_proxy and " by proxy" or "")
end

local forwarded = {
  "X-Forwarded-For: 203.0.113.7",
  "X-Forwarded-For: 10.0.0.1",
  "X-Forwarded-For: 127.0.0.1, 10.0.0.1",
  "X-Forwarded-For: 203.0.113.7, 10.0.0.1, 10.0.0.2",
  "X-Forwarded-For: ::1",
  "X-Forwarded-For: [2001:db8::1]:443",
  "X-Forwarded-For: unknown",
  "X-Forwarded-For: unix",
  "X-Forwarded-For:",
  "X-Forwarded-For: " .. ("10.0.0.1, "):rep(500) .. "203.0.113.7",
  "X-Forwarded-For: " .. (","):rep(5000),
  'X-Forwarded-For: "',
  "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.8",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Proto: https, http",
  "X-Forwarded-Proto: javascript",
  "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https",
  "X-Forwarded-Host: evil.example",
  "X-Real-IP: 203.0.113.7",
  "Forwarded: for=203.0.113.7;proto=https",
  'Forwarded: for="[2001:db8::1]:443";proto=https',
  "Forwarded: for=unknown",
  "Forwarded: for=_hidden, for=203.0.113.7",
  "Forwarded: for=203.0.113.7;for=203.0.113.8",
  'Forwarded: for="203.0.113.7',
  'Forwarded: for="\\"203.0.113.7\\""',
  "Forwarded: " .. ("for=10.0.0.1,"):rep(500) .. "for=203.0.113.7",
  "Forwarded: " .. ('"'):rep(5000),
  "Forwarded: ;;;;=;=,,,=",
  "Forwarded: for=203.0.113.7;proto=https;host=evil.example;by=10.0.0.1",
  "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.8;proto=https",
}

local LINE = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local BINARY = SIGNATURE .. "\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\1\x12\x67\x01\xbb"

-- Malformed PROXY headers.
local malformed = {
  "PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
  "PROXY TCP4 203.0.113.300 10.0.0.1 4711 443\r\n",
  "PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n",
  "PROXY TCP4 203.0.113.7 10.0.0.1 4711 70000\r\n",
  "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n",
  "PROXY HTTP 203.0.113.7\r\n",
  "PROXY " .. ("x"):rep(200) .. "\r\n",
  "proxy tcp4 203.0.113.7 10.0.0.1 4711 443\r\n",
  SIGNATURE .. "\x11\x11\0\x0c",
  SIGNATURE .. "\x2f\x11\0\x0c",
  SIGNATURE .. "\x21\x99\0\x0c",
  SIGNATURE .. "\x21\x11\xff\xff",
  SIGNATURE .. "\x21\x11\0\x04abcd",
  SIGNATURE .. "\x21\x11\0\x0e" .. ("a"):rep(12) .. "\4\0",
  SIGNATURE .. "\x21\x11\0\x13" .. ("a"):rep(12) .. "\3\0\4abcd", -- a wrong checksum
  "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  ("\0"):rep(100),
}

describe("a peer that is not a trusted proxy", function()
  local app, quiet, inputs

  setup(function()
    app = start 'trusted_proxies = { "10.0.0.0/8", "unix" }, proxy_protocol = true'
    quiet = native.open(app)
    quiet:subscribe "room:1"
    inputs = 0
  end)

  teardown(function()
    assert.is_true(inputs >= 90)
    quiet:close()
    app:stop()
  end)

  local function check(bytes, expected, ends)
    inputs = inputs + 1
    assert.equal(expected, describe_answer(exchange(app, bytes, ends)), (("%q"):format(bytes)))
    assert.is_true(quiet:ask({ ping = true }).ok)
  end

  it("cannot say who it is by headers", function()
    for _, fields in ipairs(forwarded) do
      check(request(fields .. "\r\n"), "127.0.0.1 http")
    end
  end)

  it("cannot send a PROXY header", function()
    check(LINE .. request(), "400")
    check(BINARY .. request(), "400")
    for _, header in ipairs(malformed) do
      -- Each is answered as the request that it is.
      local expected = header:find "^GET" and "127.0.0.1 http"
        or header:find "xxx" and "505"
        or "400"
      -- A client that ends its side while a handler is asked has disconnected.
      check(header .. "\r\n\r\n", expected, not header:find "^GET")
    end
    for len = 1, #LINE do
      check(LINE:sub(1, len), len < #LINE and "closed" or "400", true)
    end
  end)
end)

describe("a trusted proxy", function()
  local app, quiet

  setup(function()
    app = start 'trusted_proxies = { "127.0.0.1", "10.0.0.0/8" }'
    quiet = native.open(app)
    quiet:subscribe "room:1"
  end)

  teardown(function()
    quiet:close()
    app:stop()
  end)

  it("says who its client is", function()
    local cases = {
      { "", "127.0.0.1 http by proxy" },
      { "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https", "203.0.113.7 https by proxy" },
      { "X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.0.0.1", "203.0.113.7 http by proxy" },
      { "X-Forwarded-For: nonsense, 10.0.0.1", "10.0.0.1 http by proxy" },
      { "X-Forwarded-For: nonsense", "127.0.0.1 http by proxy" },
      { 'Forwarded: for="[2001:db8::1]:443";proto=https', "2001:db8::1 https by proxy" },
      { 'Forwarded: for=", for=203.0.113.7', "203.0.113.7 http by proxy" },
      { "Forwarded: for=unknown", "127.0.0.1 http by proxy" },
    }
    for _, case in ipairs(cases) do
      local text = exchange(app, request(case[1] ~= "" and case[1] .. "\r\n" or ""))
      assert.equal(case[2], describe_answer(text), case[1])
    end
    -- Any of them is answered, whatever it says.
    for _, fields in ipairs(forwarded) do
      assert.truthy(describe_answer(exchange(app, request(fields .. "\r\n"))):find "by proxy")
      assert.is_true(quiet:ask({ ping = true }).ok)
    end
  end)

  it("keeps its connection for requests of several clients", function()
    local connection = http.connect(app)
    for i = 1, 5 do
      local headers = {
        ["X-Forwarded-For"] = "203.0.113." .. i,
        ["X-Forwarded-Proto"] = i % 2 == 0 and "https" or nil,
      }
      connection:send(http.format("GET", "/who", { headers = headers }))
      local who = dkjson.decode(connection:read_response("GET").body)
      assert.same(
        { remote = "203.0.113." .. i, scheme = i % 2 == 0 and "https" or "http", by_proxy = true },
        who
      )
    end
    connection:send(http.format("GET", "/who", {}))
    assert.equal("127.0.0.1", dkjson.decode(connection:read_response("GET").body).remote)
    connection:close()
  end)

  it("states the scheme of the same origin", function()
    local function status(proto, origin)
      local headers = { Origin = origin, ["X-Forwarded-Proto"] = proto }
      return http.request(
        app,
        "GET",
        "/poll?channel=room:1&wait=0",
        { host = "a.example", headers = headers }
      ).status
    end
    assert.equal(200, status("https", "https://a.example"))
    assert.equal(403, status("https", "http://a.example"))
    assert.equal(403, status("http", "https://a.example"))
    assert.equal(200, status("http", "http://a.example"))
    -- Without the header, the scheme is unknown.
    assert.equal(200, status(nil, "https://a.example"))
  end)
end)

describe("a trusted proxy that must send a PROXY header", function()
  local app, quiet, inputs

  setup(function()
    app =
      start 'trusted_proxies = { "127.0.0.1" }, proxy_protocol = true, limits = { head_seconds = 2 }'
    inputs = 0
  end)

  teardown(function()
    app:stop()
  end)

  -- It has sent its header, too.
  local function open_quiet()
    local connection = http.connect(app)
    connection:send(LINE .. http.format("GET", "/who", {}))
    assert.equal("203.0.113.7", dkjson.decode(connection:read_response("GET").body).remote)
    return connection
  end

  local function check(bytes, expected, ends)
    inputs = inputs + 1
    local answer = describe_answer(exchange(app, bytes, ends))
    assert.truthy(answer:find("^" .. expected .. "$"), ("%q: %s"):format(bytes, answer))
    quiet:send(http.format("GET", "/who", {}))
    assert.equal("203.0.113.7", dkjson.decode(quiet:read_response("GET").body).remote)
  end

  it("is closed without a valid one", function()
    quiet = open_quiet()
    for _, header in ipairs(malformed) do
      check(header .. request(), "closed")
    end
    for _, header in ipairs { LINE, BINARY } do
      for len = 0, #header - 1 do
        check(header:sub(1, len), "closed", true) -- cut
      end
      for len = 1, #header - 1 do
        -- With a part missing. A binary header takes it from the request, whose rest is malformed.
        local takes = header == BINARY and len >= 16
        check(header:sub(1, len) .. request(), takes and "[45]0[015]" or "closed", true)
      end
    end
    assert.is_true(inputs >= 140)
    assert.truthy(app:await_log "closed a connection of a trusted proxy: .+ %(proxy=127.0.0.1%)")
    quiet:close()
  end)

  it("is served with one, in any parts", function()
    for _, header in ipairs { LINE, BINARY } do
      assert.equal("203.0.113.7 http", describe_answer(exchange(app, header .. request())))
      local connection = assert(socket.connect(app.host, app.port))
      connection:setoption("tcp-nodelay", true)
      local bytes = header .. request "X-Forwarded-For: 1.1.1.1\r\n"
      for i = 1, #bytes do
        connection:send(bytes:sub(i, i))
      end
      assert.equal("203.0.113.7 http", describe_answer((connection:receive "*a")))
      connection:close()
    end
    assert.equal(
      "127.0.0.1 http by proxy",
      describe_answer(exchange(app, "PROXY UNKNOWN\r\n" .. request()))
    )
  end)

  it("is closed if the rest of it does not come", function()
    assert.equal("closed", describe_answer(exchange(app, LINE:sub(1, 20))))
  end)
end)

describe("options of proxies", function()
  it("are checked", function()
    local moonwire = require "moonwire"
    local cases = {
      {
        { trusted_proxies = { "10.0.0.1/8" } },
        'trusted_proxies: "10.0.0.1/8": the address has bits after the prefix',
      },
      {
        { trusted_proxies = { "proxy.example" } },
        'trusted_proxies: "proxy.example": not an address or a network',
      },
      { { trusted_proxies = "unix" }, "option 'trusted_proxies' must be a list of strings" },
      { { proxy_protocol = true }, "option 'proxy_protocol' needs 'trusted_proxies'" },
      { { proxy_headers = "x-forward" }, '(did you mean "x-forwarded"?)' },
      {
        { auth = moonwire.trusted_header "X-User" },
        "moonwire.trusted_header needs 'trusted_proxies'",
      },
    }
    for _, case in ipairs(cases) do
      local ok, text = pcall(function()
        local app = moonwire.app(case[1])
        app:channel("news", { authorize = true })
        app:listen "127.0.0.1:0"
      end)
      assert.is_false(ok)
      assert.truthy(tostring(text):find(case[2], 1, true), text)
    end
  end)
end)

describe("moonwire.trusted_header", function()
  local users = [[
  local moonwire = require "moonwire"
  local app = moonwire.app { trusted_proxies = { "TRUSTED" }, auth = moonwire.trusted_header "X-User" }
  app:channel("me", { authorize = true, on = { who = function(client) return client.user_id end } })
  return app
  ]]

  local function send(app, fields)
    local body = '{"send":"me","event":"who"}'
    local text = ("POST /send HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"):format(
      fields,
      #body,
      body
    )
    local answer = exchange(app, text)
    return answer:match "^HTTP/1.1 (%d+)",
      answer:match '"ok":"(.-)"' or answer:match '"reason":"(.-)"'
  end

  it("identifies users", function()
    local app = server.start((users:gsub("TRUSTED", "127.0.0.1")))
    assert.same({ "200", "ann" }, { send(app, "X-User: ann\r\n") })
    assert.same({ "401", "the header X-User is missing" }, { send(app, "") })
    assert.same({ "401", "the header X-User is missing" }, { send(app, "X-User:\r\n") })
    assert.same(
      { "400", "the header X-User has more than one value" },
      { send(app, "X-User: bob, ann\r\n") }
    )
    -- The proxy's own header is the last one.
    assert.same({ "200", "ann" }, { send(app, "X-User: bob\r\nX-User: ann\r\n") })
    app:stop()
  end)

  it("refuses everyone who is not a trusted proxy", function()
    local app = server.start((users:gsub("TRUSTED", "10.0.0.0/8")))
    assert.same(
      { "403", "the request does not come from a trusted proxy" },
      { send(app, "X-User: ann\r\n") }
    )
    app:stop()
  end)
end)
