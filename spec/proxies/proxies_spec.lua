-- The configurations of docs/how-to/proxies.md, each in the program that it is for.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local proxy = require "spec.proxies.proxy"
local free_port = require("spec.support.ports").free
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

local script = [[
local app = require("moonwire").app { publish_key = "k", trusted_proxies = { "unix", "127.0.0.1" } }
app:channel("room:{room}", { history = { size = 50 } })
app:get("/hello", function(request) return request.headers.host end)
app:get("/who", function(request) return { remote = request.remote, scheme = request.scheme } end)
app:post("/size", function(request) return { size = #request.body } end)
return app
]]

-- How each is started, as the page says; nginx before a unix socket, the others before a port.
local listeners = {
  nginx = "--listen unix:{folder}/app.sock --unix-mode 0666",
  haproxy = "--listen 127.0.0.1:0",
  caddy = "--listen 127.0.0.1:0",
}

local function start_app(program, args)
  local app = server.start {
    script = script,
    args = args or listeners[program],
    setup = "umask 022;",
  }
  server.run("chmod 755 " .. app.folder)
  return app
end

local function publish(to, data)
  local body = dkjson.encode { channel = "room:1", event = "item", data = data }
  local headers = { Authorization = "Bearer k" }
  local response = http.request(to, "POST", "/publish", { body = body, headers = headers })
  assert.equal(200, response.status, response.body)
end

-- What a client with the address 127.0.0.2 gets, which says that it is another one.
local function ask_who(front)
  local connection = assert(socket.tcp())
  connection:settimeout(60)
  assert(connection:bind("127.0.0.2", 0))
  assert(connection:connect("127.0.0.1", front.port))
  local lines = {
    "GET /who HTTP/1.1",
    "Host: 127.0.0.1:" .. front.port,
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "Forwarded: for=203.0.113.7;proto=https",
    "Connection: close",
  }
  assert(connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n"))
  local text = assert(connection:receive "*a")
  connection:close()
  return dkjson.decode(text:match "{.*}"), text
end

for _, program in ipairs { "nginx", "haproxy", "caddy" } do
  describe("behind " .. program .. ", as the page says,", function()
    local app, front

    setup(function()
      app = start_app(program)
      front = proxy.start(program, app.listeners[1])
    end)

    teardown(function()
      front:stop()
      app:stop()
    end)

    it("routes are answered", function()
      local host = "127.0.0.1:" .. front.port
      local response = http.request(front, "GET", "/hello", { host = host })
      assert.equal(200, response.status)
      assert.equal(host, response.body)
      local body = ("x"):rep(1000000)
      response = http.request(front, "POST", "/size", { body = body, host = host })
      assert.equal('{"size":1000000}\n', response.body)
    end)

    it("the app sees the client, and not what it says it is", function()
      assert.same({ remote = "127.0.0.2", scheme = "http" }, (ask_who(front)))
    end)

    it("a page of the same origin is let in, and no other one", function()
      for origin, status in pairs { [front.address] = 200, ["http://127.0.0.1"] = 403 } do
        local response = http.request(front, "GET", "/poll?channel=room:1&wait=0", {
          host = "127.0.0.1:" .. front.port,
          headers = { Origin = origin },
        })
        assert.equal(status, response.status, origin)
      end
    end)

    it("WebSockets work", function()
      local client = native.open(front, { protocol = "moonwire.1" })
      assert.is_truthy(client:ask({ connect = setmetatable({}, { __jsontype = "object" }) }).ok)
      client:subscribe "room:1"
      publish(front, 1)
      assert.equal(1, client:next().data)
      assert.equal(1000, client:close())
    end)

    it("events arrive at once", function()
      local stream = sse.open(front, "/sse?channel=room:1")
      assert.equal(200, stream.status)
      stream:cursor()
      local fastest = math.huge
      -- The machine may be busy, and then some take long; but what a proxy holds back takes 40 ms or 200 ms each time.
      for i = 1, 200 do
        local began = socket.gettime()
        publish(front, i)
        assert.equal(tostring(i), stream:event().data)
        fastest = math.min(fastest, socket.gettime() - began)
        if i >= 10 and fastest < 0.03 then
          break
        end
      end
      assert.is_true(fastest < 0.03, ("%.0f ms"):format(fastest * 1000))
      stream:close()
    end)
  end)

  describe("when the server behind " .. program .. " restarts,", function()
    it("an EventSource waits for it", function()
      local app = start_app(program, (listeners[program]:gsub(":0$", ":" .. free_port())))
      local front = proxy.start(program, app.listeners[1])
      local folder = server.run "mktemp -d"
      local command = "node spec/proxies/event_source.mjs '%s/sse?channel=room:1' > %s/out 2>&1"
      local pipe = assert(io.popen(command:format(front.address, folder), "w"))

      local function out()
        local file = io.open(folder .. "/out")
        local text = file and file:read "a" or ""
        if file then
          file:close()
        end
        return text
      end

      local function await(pattern)
        local deadline = socket.gettime() + 60
        repeat
          if out():find(pattern) then
            return
          end
          assert(not out():find('"closed"', 1, true), "it has given up: " .. out())
          socket.sleep(0.02)
        until socket.gettime() > deadline
        error(("no %s in %s"):format(pattern, out()))
      end

      await '"open"'
      publish(front, 1)
      await '"data":1'

      -- the same address again, after it was away for longer than any proxy waits
      local listener = app.listeners[1]
      local args = listener.path and ("--listen unix:%s --unix-mode 0666"):format(listener.path)
        or "--listen 127.0.0.1:" .. listener.port
      app:finish()
      if listener.path then
        server.run(("mkdir -p %s; chmod 755 %s"):format(app.folder, app.folder))
      end
      local deadline = socket.gettime() + 30
      local response
      repeat
        response = http.request(front, "GET", "/sse?channel=room:1")
        socket.sleep(0.1)
      until response.body:find "^retry: %d+\n\n$" or socket.gettime() > deadline
      assert.matches("^retry: %d+\n\n$", response.body)
      assert.equal(200, response.status)
      assert.matches("^text/event%-stream", response.headers["content-type"])
      assert.equal("no-cache", response.headers["cache-control"])
      local other = http.request(front, "GET", "/hello")
      assert.is_true(other.status == 502 or other.status == 503, tostring(other.status))
      socket.sleep(4) -- so that the EventSource has asked meanwhile

      app = start_app(program, args)
      await '"moonwire:gap"'
      publish(front, 2)
      await '"data":2'
      pipe:close()
      front:stop()
      app:stop()
      server.run(
        ("rm -rf %s %s"):format(folder, listener.path and listener.path:match "^(.*)/" or "")
      )
    end)
  end)
end

describe("what the page says of mistakes:", function()
  -- The status of the same requests when a line of the block is missing or another.
  local function status_with(program, change, target, headers)
    local app = start_app(program)
    local languages = { nginx = "nginx", haproxy = "haproxy" }
    local front =
      proxy.start(program, app.listeners[1], change(proxy.read_block(languages[program])))
    local host = "127.0.0.1:" .. front.port
    for name, value in pairs(headers) do
      headers[name] = value:gsub("{origin}", front.address)
    end
    local connection = http.connect(front)
    assert(connection:send(http.format("GET", target, { headers = headers, host = host })))
    local status = connection:read_head().status
    connection:close()
    front:stop()
    app:stop()
    return status
  end

  local upgrade = {
    Upgrade = "websocket",
    Connection = "Upgrade",
    ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
  }

  local function same(block)
    return block
  end

  it("426 without Upgrade", function()
    assert.equal(101, status_with("nginx", same, "/ws", upgrade))
    assert.equal(
      426,
      status_with("nginx", function(block)
        return block:gsub("  proxy_set_header Upgrade [^\n]*\n", "")
      end, "/ws", upgrade)
    )
  end)

  it("403 with a Host without its port", function()
    local headers = { Origin = "{origin}" }
    assert.equal(
      403,
      status_with("nginx", function(block)
        return block:gsub("%$http_host", "$host")
      end, "/poll?channel=room:1&wait=0", headers)
    )
  end)

  it("502 with the default mode of the socket", function()
    if server.run "id -u" ~= "0" then
      pending "nginx runs as another user only if it is started by root"
      return
    end
    local app = start_app("nginx", "--listen unix:{folder}/app.sock")
    local front = proxy.start("nginx", app.listeners[1])
    assert.equal(502, http.get(front, "/hello").status)
    assert.matches("Permission denied", front:log())
    front:stop()
    app:stop()
  end)

  it("a 502 ends an EventSource permanently", function()
    local app = start_app "nginx"
    local block = proxy.read_block("nginx"):gsub("    error_page [^\n]*\n", "")
    local front = proxy.start("nginx", app.listeners[1], block)
    local folder = server.run "mktemp -d"
    local command = "node spec/proxies/event_source.mjs '%s/sse?channel=room:1' > %s/out 2>&1"
    local pipe = assert(io.popen(command:format(front.address, folder), "w"))
    local wait = "timeout 60 sh -c 'until grep -q %s %s/out; do sleep 0.05; done'"
    assert.is_true(os.execute(wait:format("open", folder)))
    app:finish()
    assert.is_true(os.execute(wait:format("closed", folder)))
    pipe:close()
    front:stop()
    server.run("rm -rf " .. folder)
  end)

  it("HAProxy without http-no-delay holds events back", function()
    local app = start_app "haproxy"
    local block = proxy.read_block("haproxy"):gsub("  option http%-no%-delay\n", "")
    local front = proxy.start("haproxy", app.listeners[1], block)
    local stream = sse.open(front, "/sse?channel=room:1")
    stream:cursor()
    local times = {}
    for i = 1, 5 do
      local began = socket.gettime()
      publish(app, i)
      stream:event()
      times[i] = socket.gettime() - began
    end
    table.sort(times)
    assert.is_true(times[3] > 0.15, ("%.0f ms"):format(times[3] * 1000))
    stream:close()
    front:stop()
    app:stop()
  end)
end)

describe("behind a proxy that sends a PROXY header,", function()
  local passes = [[
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s

frontend web
  bind :80
  default_backend moonwire

backend moonwire
  server app 127.0.0.1:8080 VERSION
]]

  local versions = {
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2 proxy-v2-options crc32c",
  }
  for _, version in ipairs(versions) do
    it("the app sees the client: " .. version, function()
      local app = server.start {
        script = script:gsub("publish_key", "proxy_protocol = true, publish_key"),
        args = "--listen 127.0.0.1:0",
      }
      local front = proxy.start("haproxy", app.listeners[1], (passes:gsub("VERSION", version)))
      local who, text = ask_who(front)
      assert.same({ remote = "127.0.0.2", scheme = "http" }, who, text)
      local client = native.open(front, { protocol = "moonwire.1" })
      assert.is_truthy(client:ask({ connect = setmetatable({}, { __jsontype = "object" }) }).ok)
      client:subscribe "room:1"
      assert.equal(1000, client:close())
      front:stop()
      app:stop()
    end)
  end
end)
