-- Requests to other servers: moonwire.http, against one that misbehaves.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 200, drain_seconds = 1, waiting = 20000 } }
local BASE, SECURE, FOLDER = os.getenv "BASE", os.getenv "SECURE", os.getenv "FOLDER"
local http = moonwire.http

local function plain(first, ...)
  if first == nil then return { message = (...), code = select(2, ...) } end
  return { status = first.status, headers = first.headers, body = #first.body < 100 and first.body or #first.body }
end
app:get("/get/{path}", function(request)
  local query = request.query
  return plain(http.get(BASE .. "/" .. request.params.path, {
    timeout = tonumber(query.timeout or 60),
    redirects = math.tointeger(query.redirects),
    size = math.tointeger(query.size),
  }))
end)
app:get("/secure", function(request)
  local query = request.query
  return plain(http.get(query.url or SECURE, { ca_file = query.ca and FOLDER .. "/cert.pem", verify = query.verify ~= "no" and nil }))
end)
app:get("/events/{path}", function(request)
  local events = {}
  local ok, problem = pcall(function()
    for event in http.events { url = BASE .. "/" .. request.params.path, timeout = tonumber(request.query.timeout or 60) } do events[#events + 1] = event end
  end)
  return { events = moonwire.array(events), problem = not ok and problem or nil }
end)
app:get("/closed", function()
  local read, _, _, events = http.events { url = BASE .. "/events-open", timeout = 60 }
  app:spawn(function() moonwire.sleep(0) events:close() end)
  return { ended = read() == nil }
end)
app:get("/stale", function()
  local sockets, asking = {}, {}
  for i = 1, 4 do
    sockets[i] = assert(require("socket").udp())
    assert(sockets[i]:setsockname("127.0.0.1", 0))
    asking[#asking + 1] = function() moonwire.wait(math.tointeger(sockets[i]:getfd()), "r", 60) end
    asking[#asking + 1] = function()
      moonwire.sleep(0.02)
      http.get(BASE .. "/hello", { timeout = 60 })
    end
  end
  asking[#asking + 1] = function()
    moonwire.sleep(0.01)
    for _, socket in ipairs(sockets) do socket:close() end -- libcurl gets their numbers
  end
  asking[#asking + 1] = function()
    moonwire.sleep(0.1)
    error(plain(http.get(BASE .. "/hello", { timeout = 30 })))
  end
  return select(2, pcall(moonwire.all, asking))
end)
app:get("/crowd", function()
  local ended, asking, code = 0, {}, nil
  for i = 1, 260 do
    asking[i] = function() http.get(BASE .. "/silent", { timeout = 60 }) ended = ended + 1 end
  end
  asking[261] = function()
    moonwire.sleep(0.1)
    code = select(3, http.get(BASE .. "/silent", { timeout = 0.2 }))
    error { ended = ended }
  end
  local _, problem = pcall(moonwire.all, asking)
  return { ended = problem.ended, code = code }
end)
local left
app:get("/leave", function()
  left = http.events { url = BASE .. "/events-open", timeout = 60 }
  return {}
end)
app:get("/left", function() return { ended = left() == nil } end)
app:get("/break", function()
  local count = 0
  for _ in http.events { url = BASE .. "/events" } do count = count + 1 break end
  return { count = count }
end)
app:get("/chunks", function()
  local len = 0
  local response, message, code = http.get(BASE .. "/endless", { stream = function(chunk)
    len = len + #chunk
    if len % 3 == 0 then moonwire.sleep(0) end
    return len < 20 * 1024 * 1024
  end })
  return { len = len, nothing = response == nil, code = code }
end)
app:post("/mirror", function(request)
  return { body = request.body, headers = request.headers, method = request.method }
end)
app:get("/bodies", function()
  local own = "http://" .. app:address() .. "/mirror"
  return {
    json = http.post(own, { json = { a = { 1, "\u{1F319}" } } }):json(),
    form = http.post(own, { form = { a = "1 & 2", ["ü"] = 3 } }):json(),
    text = http.post(own, { body = "a\0b", headers = { ["Content-Type"] = "text/plain", ["X-List"] = { "1", "2" }, ["X-Empty"] = "" } }):json(),
    none = http.post(own):json(),
    large = #http.post(own, { body = ("x"):rep(100000) }):json().body,
  }
end)
local faults = {
  no_url = function() return http.request {} end,
  scheme = function() return http.get "file:///etc/hosts" end,
  blank = function() return http.get "http://a b/" end,
  option = function() return http.get(BASE, { time_out = 1 }) end,
  name = function() return http.get(BASE, { headers = { ["a b"] = "1" } }) end,
  line = function() return http.get(BASE, { headers = { a = "1\r\nb: 2" } }) end,
  method = function() return http.request { url = BASE, method = "GET /x" } end,
  length = function() return http.post(BASE, { body = "abc", headers = { ["Content-Length"] = 1 } }) end,
  coding = function() return http.post(BASE, { body = "abc", headers = { ["transfer-encoding"] = "chunked" } }) end,
  zero = function() return http.get(BASE, { unix_socket = "/back\0" }) end,
  secret = function()
    for _ in http.events { url = BASE:gsub("//", "//me:password@") .. "/nowhere?key=secret" } do end
  end,
  two_bodies = function() return http.post(BASE, { body = "", json = {} }) end,
  unencodable = function() return http.post(BASE, { json = { print } }) end,
  form = function() return http.post(BASE, { form = { a = {} } }) end,
}
app:get("/fault/{name}", function(request)
  local ok, message = pcall(faults[request.params.name])
  return { ok = ok, message = message }
end)
app:get("/many", function()
  local ways, right, wrong, codes = { "late", "late", "drip", "late", "fail", "late", "late", "drip", "late", "hang" }, 0, 0, {}
  local left = 5000
  moonwire.await(function(resume)
    for n = 1, left do
      app:spawn(function()
        local way = ways[n % 10 + 1]
        if way == "hang" and n % 100 > 10 then way = "late" end
        local response, _, code = http.get(("http://back/work?n=%d&way=%s"):format(n, way),
          { unix_socket = FOLDER .. "/back", timeout = way == "hang" and 0.5 or 150 })
        if response and response.body == "answer " .. n then right = right + 1
        elseif response then wrong = wrong + 1
        else codes[way .. " " .. code] = (codes[way .. " " .. code] or 0) + 1 end
        left = left - 1
        if left == 0 then resume() end
      end)
    end
  end)
  return { right = right, wrong = wrong, codes = codes }
end)
app:get("/hang", function() return plain(http.get("http://back/work?n=1&way=hang", { unix_socket = FOLDER .. "/back" })) end)
return app
]]

-- The cases of WHATWG HTML, 9.2.6, and others: the stream, and its events.
local streams = {
  { "data: YHOO\ndata: +2\ndata: 10\n\n", { { "message", "YHOO\n+2\n10" } } },
  {
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    {
      { "message", "first event", "1" },
      { "message", "second event" },
      { "message", " third event" },
    },
  },
  { "data\n\ndata\ndata\n\ndata:", { { "message", "" }, { "message", "\n" } } },
  { "data:test\n\ndata: test\n\n", { { "message", "test" }, { "message", "test" } } },
  {
    "\u{FEFF}data: a\r\rdata: b\r\n\r\ndata: c\n\n",
    { { "message", "a" }, { "message", "b" }, { "message", "c" } },
  },
  {
    "event: add\r\ndata: 1\r\n\r\nevent: lost\n\ndata: 2\n\n",
    { { "add", "1" }, { "message", "2" } },
  },
  { "id: a\0b\ndata: 1\n\nid: 3\n\ndata: 2\n\n", { { "message", "1" }, { "message", "2", "3" } } },
  { "unknown: x\ndata: a: b\ndata : c\n\n", { { "message", "a: b" } } },
}

describe("the reader of event streams", function()
  local parser = require("moonwire.http_events")._parser

  local function read(...)
    local events = {}
    local take = parser(function(event)
      events[#events + 1] = { event.event, event.data, event.id }
    end)
    for _, chunk in ipairs { ... } do
      assert.is_true(take(chunk))
    end
    return events
  end

  it("reads a stream however it is cut", function()
    for _, case in ipairs(streams) do
      local text, expected = case[1], case[2]
      for at = 0, #text do
        assert.same(expected, read(text:sub(1, at), text:sub(at + 1)), text:sub(1, at))
      end
      local bytes = {}
      for i = 1, #text do
        bytes[i] = text:sub(i, i)
      end
      assert.same(expected, read(table.unpack(bytes)))
    end
  end)

  it("does not count comments, which keep a stream alive", function()
    local comments = {}
    for i = 1, 30 do
      comments[i] = (":" .. ("x"):rep(99) .. "\n"):rep(1000)
    end
    comments[31] = "data: 1\n\n"
    assert.same({ { "message", "1" } }, read(table.unpack(comments)))
  end)

  it("looks at each byte of a long line once", function()
    local take = parser(error)
    assert.is_true(take("data: " .. ("x"):rep(1000000)))
    for _ = 1, 40000 do -- each would take a millisecond
      assert.is_true(take "x")
    end
    assert.is_false(take(("x"):rep(10000)))
  end)
end)

describe("moonwire.http", function()
  local app, back, folder

  setup(function()
    folder = server.run "mktemp -d"
    local make_certificate = "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
      .. "-keyout key.pem -out cert.pem -days 2 -subj /CN=localhost "
      .. "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null"
    server.run(make_certificate:format(folder))
    back = assert(
      io.popen(
        ("exec node spec/support/rude_http.mjs %s/back %s/key.pem %s/cert.pem & echo $!; wait"):format(
          folder,
          folder,
          folder
        )
      )
    )
    local pid = back:read "n"
    back:read "l"
    local ports = dkjson.decode(back:read "l")
    back = { pipe = back, pid = pid }
    app = server.start {
      script = script,
      env = ("BASE=http://127.0.0.1:%d SECURE=https://127.0.0.1:%d FOLDER=%s"):format(
        ports.http,
        ports.https,
        folder
      ),
    }
  end)

  teardown(function()
    os.execute(("kill %d"):format(back.pid))
    back.pipe:close()
    app:stop()
  end)

  local function ask(target)
    local connection = http.connect(app, 200)
    connection:send(http.format("GET", target))
    local answer = connection:read_response()
    connection:close()
    assert.equal(200, answer.status, app:log())
    return dkjson.decode(answer.body)
  end

  it("sends JSON, forms, and text", function()
    local sent = ask "/bodies"
    assert.equal('{"a":[1,"\u{1F319}"]}', sent.json.body)
    assert.equal("application/json", sent.json.headers["content-type"])
    assert.equal("%C3%BC=3&a=1+%26+2", sent.form.body)
    assert.equal("application/x-www-form-urlencoded", sent.form.headers["content-type"])
    assert.equal("text/plain", sent.text.headers["content-type"])
    assert.equal("2", sent.text.headers["x-list"]) -- the last one
    assert.equal("", sent.text.headers["x-empty"])
    assert.equal("a\0b", sent.text.body)
    assert.equal("", sent.none.body)
    assert.is_nil(sent.none.headers["content-type"])
    assert.equal(100000, sent.large)
  end)

  -- What comes of each way to answer: the body, or the code.
  local answers = {
    hello = { body = "hello" },
    drip = { body = "hello" },
    early = { body = "hello" },
    once = { body = "hello" },
    silent = { code = "timeout", query = "?timeout=0.2" },
    ["half-head"] = { code = "unavailable" },
    cut = { code = "unavailable" },
    reset = { code = "unavailable" },
    empty = { code = "unavailable" },
    rubbish = { code = "unavailable" },
    negative = { code = "unavailable" },
    ["chunk-cut"] = { code = "unavailable" },
    ["bad-chunk"] = { code = "unavailable" },
    ["long-head"] = { code = "too_large" },
    ["endless-head"] = { code = "too_large" },
    endless = { code = "too_large" },
    bomb = { code = "too_large" },
    loop = { code = "redirects" },
    ["to-file"] = { code = "unavailable" },
    ["to-nowhere"] = { status = 302, body = "stay" },
    nowhere = { status = 404 },
  }
  for path, expected in pairs(answers) do
    it("reads an answer that is " .. path, function()
      local answer = ask("/get/" .. path .. (expected.query or ""))
      assert.equal(expected.code, answer.code, answer.message)
      assert.equal(expected.body or answer.body, answer.body)
      assert.equal(expected.status or (expected.body and 200), answer.status)
    end)
  end

  it("stops at an answer that contradicts itself", function()
    local answer = ask "/get/two-lengths"
    assert.is_true(answer.code == "unavailable" or answer.body == "hello")
  end)

  it("keeps to its limits", function()
    assert.equal("too_large", ask("/get/hello?size=4").code)
    assert.equal("hello", ask("/get/hello?size=5").body)
    assert.equal(302, ask("/get/once?redirects=0").status)
  end)

  it("joins header fields of one name", function()
    local headers = ask("/get/repeated").headers
    assert.equal("1, 2", headers["x-a"])
    assert.equal("", headers["x-empty"])
    assert.is_nil(ask("/get/early").headers["x-a"])
  end)

  it("verifies certificates, and speaks HTTP/2", function()
    assert.equal("tls", ask("/secure").code)
    assert.equal("HTTP/2.0", ask("/secure?ca=1").body)
    assert.equal("HTTP/2.0", ask("/secure?verify=no").body)
  end)

  it("hands over a body as it comes, at the pace of the function", function()
    local read = ask "/chunks"
    assert.is_true(read.len >= 20 * 1024 * 1024 and read.len < 21 * 1024 * 1024)
    assert.is_true(read.nothing)
    assert.equal("closed", read.code)
  end)

  it("reads an event stream", function()
    local read = ask "/events/events"
    assert.is_nil(read.problem)
    assert.same({
      { event = "tick", data = "one\ntwo", id = "7" },
      { event = "message", data = "", id = "7" },
      { event = "message", data = '{"n":3}', id = "7" },
    }, read.events)
    assert.equal(1, ask("/break").count)
  end)

  it("closes an event stream when the task that opened it ends", function()
    ask "/leave"
    assert.is_true(ask("/left").ended)
  end)

  it("ends an event stream that another task closes", function()
    assert.is_true(ask("/closed").ended)
  end)

  it("raises where an event stream is cut, too long, or none", function()
    local read = ask "/events/events-cut"
    assert.equal("one", read.events[1].data)
    assert.matches("was cut", read.problem)
    assert.matches("exceeds 1048576 bytes", ask("/events/endless-line").problem)
    assert.matches("answered with text/plain", ask("/events/hello").problem)
    assert.matches("answered 404", ask("/events/nowhere").problem)
    assert.matches("in time", ask("/events/silent?timeout=0.3").problem)
  end)

  local faults = {
    no_url = "option 'url' is missing",
    scheme = "must begin with http:// or https://",
    blank = "must not have white space",
    option = "unknown option 'time_out'",
    name = "not the name of a header field",
    line = "must not have line ends",
    method = "must have capital letters",
    length = "Content%-Length follows from the body",
    coding = "transfer%-encoding follows from the body",
    zero = "must not have zero bytes",
    secret = "http://127.0.0.1:%d+/nowhere: the server answered 404",
    two_bodies = "only one may be set",
    unencodable = "value%[1%]",
    form = "must hold strings and numbers",
  }
  for name, text in pairs(faults) do
    it("raises what is wrong with a request: " .. name, function()
      local answer = ask("/fault/" .. name)
      assert.is_false(answer.ok)
      assert.matches(text, answer.message)
    end)
  end

  it("lets 5,000 handlers wait for a back end that answers as it likes", function()
    local all = ask "/many"
    assert.equal(0, all.wrong)
    assert.same({ ["fail unavailable"] = 500, ["hang timeout"] = 50 }, all.codes)
    assert.equal(4450, all.right)
  end)

  it("goes on when a descriptor cannot be watched", function()
    assert.equal("hello", ask("/stale").body)
  end)

  it("counts the time for which a request waits for a free connection", function()
    assert.same({ ended = 0, code = "timeout" }, ask "/crowd")
    assert.equal("hello", ask("/get/hello").body)
  end)

  it("goes on when a client does not wait for the answer", function()
    for _ = 1, 20 do
      local request = http.connect(app)
      request:send(http.format("GET", "/hang"))
      request:close()
    end
    assert.equal("hello", ask("/get/hello").body)
  end)
end)

describe("a name server that does not answer", function()
  -- As a preloaded library: other programs of this machine must not notice.
  local resolver = [[
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <netdb.h>
    #include <string.h>
    #include <unistd.h>
    int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
      int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
      if (!name || strcmp(name, "silent.test") != 0) return next(name, service, hints, result);
      sleep(100);
      return EAI_AGAIN;
    }
  ]]
  local asker = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { drain_seconds = 0.1 } }
app:get("/ask", function()
  local _, _, code = moonwire.http.get("http://silent.test/", { timeout = 0.2 })
  return { code = code }
end)
app:get("/forever", function() moonwire.http.get "http://silent.test/" end)
app:run { listen = "127.0.0.1:0" }
]]

  it("holds up neither the others nor the end", function()
    local folder = server.run "mktemp -d"
    local source = assert(io.open(folder .. "/resolver.c", "w"))
    source:write(resolver)
    source:close()
    server.run(("cc -shared -fPIC -o %s/resolver.so %s/resolver.c -ldl"):format(folder, folder))
    local command = assert(io.open(folder .. "/lua", "w"))
    command:write(
      ('#!/bin/sh\nLD_PRELOAD="$LD_PRELOAD %s/resolver.so" exec lua5.4 "$@"\n'):format(folder)
    )
    command:close()
    server.run("chmod +x " .. folder .. "/lua")
    local app = server.start { script = asker, command = folder .. "/lua" }
    local started = os.time()
    local connection = http.connect(app)
    connection:send(http.format("GET", "/ask"))
    assert.equal("timeout", dkjson.decode(connection:read_response().body).code)
    connection:send(http.format("GET", "/forever"))
    app:stop()
    assert.is_true(os.time() - started < 60)
    connection:close()
  end)
end)
