-- What no client should send: the right status, that connection closed, nobody else disturbed.

local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  limits = { head = 8192, target = 2048, fields = 50, body = 10000, head_seconds = 3, body_seconds = 3 },
}
app:channel("news", {})
app:get("/hello", function() return "hello" end)
app:post("/echo", function(request) return request.body end)
app:post("/news", function(request) app:publish("news", "item", tonumber(request.body)) return 204 end)
return app
]]

local head = "GET /hello HTTP/1.1\r\nHost: localhost\r\n"
local post = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"

-- name, what is sent, the status
local cases = {
  { "a method that is no token", "G@T /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
  { "a method that nobody knows", "BREW /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 501 },
  { "a lower-case method", "get /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", { 400, 501 } },
  { "no method at all", " /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
  { "CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 501 },
  { "the version HTTP/0.9", "GET /hello HTTP/0.9\r\nHost: localhost\r\n\r\n", 505 },
  { "the version HTTP/2.0", "GET /hello HTTP/2.0\r\nHost: localhost\r\n\r\n", 505 },
  { "HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { 400, 501, 505 } },
  { "a request of HTTP/0.9", "GET /hello\r\n\r\n", 505 },
  { "a version that is none", "GET /hello HTTQ/1.1\r\nHost: localhost\r\n\r\n", 400 },
  {
    "the start of a TLS handshake",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" .. ("x"):rep(100),
    400,
  },
  { "no Host", "GET /hello HTTP/1.1\r\n\r\n", 400 },
  { "two Hosts", head .. "Host: other\r\n\r\n", 400 },
  { "a space before the colon", head .. "X-Field : 1\r\n\r\n", 400 },
  { "a field without a colon", head .. "X-Field\r\n\r\n", 400 },
  { "a field without a name", head .. ": 1\r\n\r\n", 400 },
  { "a folded field", head .. "X-Field: 1\r\n 2\r\n\r\n", 400 },
  { "a NUL in a field", head .. "X-Field: a\0b\r\n\r\n", 400 },
  { "a bare CR in a field", head .. "X-Field: a\rb\r\n\r\n", 400 },
  { "a NUL in the target", "GET /hel\0lo HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
  {
    "Content-Length and Transfer-Encoding",
    post .. "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  },
  {
    "Transfer-Encoding and Content-Length",
    post .. "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    400,
  },
  { "two Content-Lengths", post .. "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 },
  { "a negative Content-Length", post .. "Content-Length: -1\r\n\r\n", 400 },
  { "a Content-Length with a sign", post .. "Content-Length: +3\r\n\r\nabc", 400 },
  {
    "a Content-Length that overflows",
    post .. "Content-Length: 18446744073709551617\r\n\r\na",
    { 400, 413 },
  },
  { "a Content-Length over the limit", post .. "Content-Length: 10001\r\n\r\n", 413 },
  {
    "a transfer coding that is not known",
    post .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    { 400, 501 },
  },
  {
    "chunked on HTTP/1.0",
    "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  },
  { "a chunk size that is none", post .. "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n", 400 },
  {
    "a chunk longer than its size",
    post .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    400,
  },
  {
    "chunks over the limit",
    post .. "Transfer-Encoding: chunked\r\n\r\n" .. ("3e8\r\n" .. ("x"):rep(1000) .. "\r\n"):rep(
      11
    ),
    413,
  },
  {
    "a target over the limit",
    "GET /" .. ("x"):rep(3000) .. " HTTP/1.1\r\nHost: localhost\r\n\r\n",
    414,
  },
  { "too many fields", head .. ("X: 1\r\n"):rep(60) .. "\r\n", 431 },
  { "one field over the limit", head .. "X-Field: " .. ("x"):rep(9000) .. "\r\n\r\n", 431 },
  {
    "a megabyte of fields",
    head .. ("X-Field: " .. ("x"):rep(1000) .. "\r\n"):rep(1024) .. "\r\n",
    431,
  },
  {
    "an expectation that is not known",
    post .. "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n",
    417,
  },
  { "a malformed escape in the path", "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
  { "an escaped NUL in the path", "GET /hello%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
  { "a path that is not UTF-8", "GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
}

-- These may keep the connection: the request itself was read to its end.
local may_stay = {
  ["a malformed escape in the path"] = true,
  ["an escaped NUL in the path"] = true,
  ["a path that is not UTF-8"] = true,
}

describe("malformed HTTP", function()
  local app, bystander, kept, items

  setup(function()
    app = server.start(script)
    bystander = sse.open(app, "/sse?channel=news")
    bystander:cursor()
    kept = http.connect(app)
    items = 0
  end)

  teardown(function()
    bystander:close()
    kept:close()
    app:stop()
  end)

  -- The others: a stream still gets what is published, by a connection that is kept all the time.
  after_each(function()
    items = items + 1
    assert(kept:send(http.format("POST", "/news", { body = tostring(items) })))
    assert.equal(204, kept:read_response().status)
    assert.equal(tostring(items), bystander:event().data)
  end)

  local function read_refusal(client, status, name)
    local response = client:read_response()
    local expected = type(status) == "table" and status or { status }
    local found = false
    for _, one in ipairs(expected) do
      found = found or one == response.status
    end
    assert.is_true(
      found,
      ("status %d, expected %s"):format(response.status, table.concat(expected, " or "))
    )
    if not may_stay[name] then
      assert.equal("close", response.headers.connection)
      assert.equal("", client:read_rest())
    end
    assert.matches('^{"error":{"code":"[a-z_]+","reason":"[^"]+"}}%s*$', response.body)
    client:close()
  end

  for _, case in ipairs(cases) do
    local name, text, status = table.unpack(case)
    it(name, function()
      local client = http.connect(app)
      client:send(text)
      read_refusal(client, status, name)
    end)
  end

  it("is found byte by byte as well", function()
    for _, case in ipairs(cases) do
      local name, text, status = table.unpack(case)
      if #text < 200 then
        local client = http.connect(app)
        for i = 1, #text do
          if not client:send(text:sub(i, i)) then
            break -- refused already
          end
        end
        read_refusal(client, status, name)
      end
    end
  end)

  it("behind a good request, which is still answered", function()
    local client = http.connect(app)
    client:send(head .. "\r\n" .. "G@T /\r\n\r\n")
    assert.equal("hello", client:read_response().body)
    read_refusal(client, 400)
  end)

  it("a body that never ends", function()
    local client = http.connect(app)
    client:send(post .. "Transfer-Encoding: chunked\r\n\r\n")
    local chunk = "400\r\n" .. ("x"):rep(1024) .. "\r\n"
    local count = 0
    repeat
      count = count + 1
    until not client:send(chunk) or client.buffer ~= "" or not client:is_silent(0) or count > 100000
    assert.is_true(count < 100000)
    read_refusal(client, 413)
  end)

  it("a body that does not come", function()
    local client = http.connect(app)
    client:send(post .. "Content-Length: 10\r\n\r\nabc")
    read_refusal(client, 408)
  end)

  it("a head that takes too long, one byte at a time", function()
    local client = http.connect(app)
    local text = head .. "X-Field: " .. ("x"):rep(1000)
    local sent = 0
    while client:is_silent(0.05) do
      sent = sent + 1
      assert(sent < 200, "it goes on for ever")
      client:send(text:sub(sent, sent))
    end
    assert.is_true(sent > 10)
    read_refusal(client, 408)
  end)

  it("a request in single bytes, when it comes in time", function()
    local client = http.connect(app)
    local text = post .. "Content-Length: 3\r\n\r\nabc"
    for i = 1, #text do
      client:send(text:sub(i, i))
    end
    assert.equal("abc", client:read_response().body)
    client:close()
  end)

  it("a client that hangs up in the middle of a request", function()
    for i = 1, #post, 7 do
      local client = http.connect(app)
      client:send(post:sub(1, i))
      client:close()
    end
  end)
end)
