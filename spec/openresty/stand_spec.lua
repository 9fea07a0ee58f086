-- nginx reloaded, restarted, and stopped in the middle of streams; moonwire replaced behind it; and publishing from OpenResty
-- while it is.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local nginx = require "spec.openresty.nginx"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local unreliable = require "spec.openresty.unreliable"

-- POST /numbers answers when its body has arrived: after a SIGTERM, too.
local script = [[
local app = require("moonwire").app { publish_key = "k", trusted_proxies = { "unix" } }
app:channel("room:{room}", { history = { size = 400000, bytes = 80000000 } })
app:post("/numbers", function()
  local list, since, more = {}, "0", true
  local channel = app:find "room:1"
  while channel and more do
    local messages
    messages, more = channel:history { since = since, limit = 1000 }
    for _, message in ipairs(messages) do
      list[#list + 1], since = message.data, message.id
    end
  end
  return list
end)
return app
]]

local conf = [[
lua_package_path "{dir}/rock/?.lua;{dir}/?.lua;;";
upstream moonwire { server unix:{dir}/app.sock; keepalive 8; }
map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
server {
  listen 80;
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  location / {
    proxy_pass http://moonwire;
    error_page 502 504 = @down;
  }
  location /short/ {
    proxy_pass http://moonwire/;
    proxy_read_timeout 1s;
  }
  location @down {
    content_by_lua_block {
      if ngx.var.uri ~= "/sse" then return ngx.exit(502) end
      ngx.status = 200
      ngx.header["Content-Type"] = "text/event-stream"
      ngx.print "retry: 10\n\n"
    }
  }
  # The numbers after ?from, one after the other, until another life of the server has answered 200 of them.
  location = /flood {
    content_by_lua_block {
      local n, first, count = tonumber(ngx.var.arg_from), nil, 0
      local events = require("moonwire.publisher").new { address = "unix:{dir}/app.sock", key = "k" }
      while count < 200 do
        n = n + 1
        local id, message = events:publish("room:1", "n", n)
        if not id then return ngx.say(n, ": ", message) end
        local epoch = id:match "^[^-]+"
        first = first or epoch
        if epoch ~= first then count = count + 1 end
        if n % 5 == 0 then ngx.sleep(0.001) end
      end
      ngx.say(n)
    }
  }
  # spec/openresty/publish_plan.lua
  location = /plan {
    content_by_lua_block {
      local args, lines = ngx.req.get_uri_args(), {}
      require("publish_plan")(require "moonwire.publisher", args.address, args.plan, function(line) lines[#lines + 1] = line end)
      ngx.say(table.concat(lines, "\n"))
    }
  }
  # 900 messages, queued.
  location = /queue {
    content_by_lua_block { ngx.say "ok" }
    log_by_lua_block { for n = 1, 900 do require("phases").publish(n) end }
  }
  # Every phase that has no sockets.
  location = /phases {
    set_by_lua_block $published { return tostring(require("phases").publish "set") }
    header_filter_by_lua_block { require("phases").publish "header_filter" }
    body_filter_by_lua_block { if ngx.arg[2] then require("phases").publish "body_filter" end }
    log_by_lua_block { require("phases").publish "log" }
    rewrite_by_lua_block { require("phases").publish "rewrite" }
    access_by_lua_block { require("phases").publish "access" }
    content_by_lua_block { require("phases").publish "content"; ngx.say(ngx.var.published) }
  }
}
init_by_lua_block { require("phases").configure("unix:{dir}/app.sock") }
init_worker_by_lua_block { require("phases").publish "init_worker" }
]]

local phases = [[
local phases, events, failed = {}, nil, nil
function phases.configure(address)
  events = require("moonwire.publisher").new { address = address, key = "k" }
  failed = select(2, events:publish("room:2", "phase", "init"))
end
function phases.publish(name)
  local id, message = events:publish("room:2", "phase", name .. (name == "init_worker" and ": " .. failed or ""))
  if not id then ngx.log(ngx.ERR, name, ": ", message) end
  return id
end
return phases
]]

local function start_app(front)
  return server.start {
    script = script,
    args = ("--listen unix:%s/app.sock --unix-mode 0666"):format(front.directory),
    setup = "umask 022;",
  }
end

local function start(workers)
  local front = nginx.prepare(conf, {}, workers)
  local file = assert(io.open(front.directory .. "/phases.lua", "w"))
  file:write(phases)
  file:close()
  server.run(
    ("cp spec/openresty/publish_plan.lua %s; chmod -R a+rX %s"):format(
      front.directory,
      front.directory
    )
  )
  local app = start_app(front)
  return front:run(), app
end

local function publish(app, data)
  local body = dkjson.encode { channel = "room:1", event = "n", data = data }
  local response = http.request(
    app.listeners[1],
    "POST",
    "/publish",
    { body = body, headers = { Authorization = "Bearer k" } }
  )
  assert.equal(200, response.status, response.body)
end

-- Asks what the history has. The request has begun, and is answered when its body has arrived.
local function ask_numbers(app)
  local connection = http.connect(app.listeners[1])
  local request =
    http.format("POST", "/numbers", { body = "x", headers = { Expect = "100-continue" } })
  assert(connection:send(request:sub(1, -2)))
  assert.matches("^HTTP/1.1 100 ", connection:read_until "\r\n\r\n")
  return connection
end

local function read_numbers(connection)
  assert(connection:send "x")
  local response = connection:read_response()
  connection:close()
  return dkjson.decode(response.body)
end

-- A stream, a WebSocket, and a poll that waits, each through nginx.
local function open_all(front)
  local stream = sse.open(front, "/sse?channel=room:1")
  assert.equal(200, stream.status)
  local id = stream:cursor()
  local client = native.open(front, { protocol = "moonwire.1" })
  client:ask { connect = setmetatable({}, { __jsontype = "object" }) }
  client:subscribe "room:1"
  local poll = http.connect(front)
  assert(poll:send(http.format("GET", "/poll?channel=room:1&since=" .. id)))
  return stream, client, poll
end

describe("when nginx", function()
  local front, app

  before_each(function()
    front, app = start(1)
  end)

  after_each(function()
    front:stop()
    app:stop()
  end)

  it(
    "is reloaded, what is open goes on in the old worker, and new clients get the new one",
    function()
      local stream, client, poll = open_all(front)
      local old = front:workers()[1]
      front:reload()
      assert.not_equal(old, front:workers()[1])
      publish(app, 1)
      assert.equal("1", stream:event().data)
      assert.equal(1, client:next().data)
      local response = poll:read_response()
      assert.equal(1, dkjson.decode(response.body).messages[1].data)
      -- a connection that was kept is closed after its answer
      assert.is_true(poll:is_closed())
      local other = sse.open(front, "/sse?channel=room:1")
      other:cursor()
      publish(app, 2)
      assert.equal("2", other:event().data)
      assert.equal("2", stream:event().data)
      assert.equal(2, client:next().data)
      stream:close()
      other:close()
      assert.equal(1000, client:close())
      -- the old worker ends with its last connection
      local deadline = socket.gettime() + 30
      while not nginx.has_ended(old) and socket.gettime() < deadline do
        socket.sleep(0.01)
      end
      assert.is_true(nginx.has_ended(old))
    end
  )

  it("is restarted, clients resume, and miss nothing", function()
    local stream, client, poll = open_all(front)
    publish(app, 1)
    assert.equal("1", stream:event().data)
    assert.equal(1, client:next().data)
    local id = dkjson.decode(poll:read_response().body).id
    assert(poll:send(http.format("GET", "/poll?channel=room:1&since=" .. id)))
    front:finish "TERM"
    -- without a last chunk, a close frame, or an answer
    assert.is_false(pcall(stream.event, stream))
    assert.is_true(client.connection:is_closed())
    assert.is_true(poll:is_closed())
    assert.is_nil(socket.connect("127.0.0.1", front.port))
    publish(app, 2)
    front:run()
    local resumed =
      sse.open(front, "/sse?channel=room:1", { headers = { ["Last-Event-ID"] = stream.last_id } })
    assert.equal("2", resumed:event().data)
    local again = native.open(front, { protocol = "moonwire.1" })
    again:ask { connect = setmetatable({}, { __jsontype = "object" }) }
    again:subscribe("room:1", id)
    assert.equal(2, again:next().data)
    local polled = http.get(front, "/poll?channel=room:1&since=" .. id)
    assert.equal(2, dkjson.decode(polled.body).messages[1].data)
    resumed:close()
    again:close()
  end)

  it("is stopped by QUIT, it waits for the streams", function()
    local stream = open_all(front)
    front:signal "QUIT"
    local deadline = socket.gettime() + 30
    repeat
      local connection = socket.connect("127.0.0.1", front.port)
      if connection then
        connection:close()
        socket.sleep(0.01)
      end
    until not connection or socket.gettime() > deadline
    publish(app, 1)
    assert.equal("1", stream:event().data)
    stream:close()
    front:finish "TERM"
  end)

  it("waits less long than moonwire is silent, it ends each transport", function()
    local stream = sse.open(front, "/short/sse?channel=room:1")
    local id = stream:cursor()
    local client = native.open(front, { target = "/short/ws", protocol = "moonwire.1" })
    client:ask { connect = setmetatable({}, { __jsontype = "object" }) }
    local poll = http.connect(front)
    assert(poll:send(http.format("GET", "/short/poll?channel=room:1&wait=10&since=" .. id)))
    assert.is_false(pcall(stream.event, stream))
    assert.is_true(client.connection:is_closed())
    assert.equal(504, poll:read_response().status)
  end)
end)

describe("when moonwire is replaced behind nginx", function()
  it("at the same socket, nginx finds it without a reload", function()
    local front, app = start(1)
    local stream, client, poll = open_all(front)
    publish(app, 1)
    assert.equal("1", stream:event().data)
    assert.equal(1, client:next().data)
    local id = dkjson.decode(poll:read_response().body).id
    app:stop()
    assert.is_nil(stream:event())
    assert.equal(1012, select(2, client:next()))
    local down = http.get(front, "/sse?channel=room:1")
    assert.same({ 200, "retry: 10\n\n" }, { down.status, down.body })
    assert.equal(502, http.get(front, "/poll?channel=room:1").status)
    app = start_app(front)
    local resumed = sse.open(front, "/sse?channel=room:1", { headers = { ["Last-Event-ID"] = id } })
    assert.equal("moonwire:gap", resumed:event().event)
    publish(app, 2)
    assert.equal("2", resumed:event().data)
    resumed:close()
    -- killed: its socket stays, and is replaced
    app:finish "KILL"
    app = start_app(front)
    assert.equal(200, http.get(front, "/poll?channel=room:1&wait=0").status)
    front:stop()
    app:stop()
  end)

  it("while OpenResty publishes, nothing is lost, and nothing is published twice", function()
    local front, app = start(2)
    local floods = {}
    for i = 1, 4 do
      floods[i] = http.connect(front, 30)
      assert(floods[i]:send(http.format("GET", ("/flood?from=%d"):format(i * 1000000))))
    end
    local seen, total = {}, 0
    local function count(numbers)
      for _, n in ipairs(numbers) do
        assert.is_nil(seen[n], "published twice: " .. n)
        seen[n] = true
        total = total + 1
      end
      return #numbers
    end
    -- stopped in the middle; its history is read at the end of its life
    local watch = http.connect(app.listeners[1], 30)
    assert(watch:send(http.format("GET", "/sse?channel=room:1&since=0")))
    repeat
      watch:fill(watch:deadline())
    until #watch.buffer > 40000
    local last = ask_numbers(app)
    app:signal "TERM"
    repeat
      local ok, connection = pcall(http.connect, app.listeners[1])
      if ok then
        connection:close()
      end
    until not ok
    socket.sleep(0.1) -- for other workers to hear of it
    local before = count(read_numbers(last))
    watch:close()
    -- a second SIGTERM would end it immediately: this signal only waits
    assert.equal(0, (app:finish "0"))
    app = start_app(front)
    local expected = 0
    for i, flood in ipairs(floods) do
      local body = flood:read_response().body
      local last_number = tonumber(body)
      assert(last_number, body)
      expected = expected + last_number - i * 1000000
      flood:close()
    end
    local after = count(read_numbers(ask_numbers(app)))
    assert.equal(expected, total)
    assert.is_true(before > 100 and after >= 800, before .. " " .. after)
    front:stop()
    app:stop()
  end)
end)

describe("moonwire.publisher in nginx", function()
  local front, app

  setup(function()
    front, app = start(1)
  end)

  teardown(function()
    front:stop()
    app:stop()
  end)

  local function numbers(room_app)
    return read_numbers(ask_numbers(room_app))
  end

  it(
    "works in every phase of a request, and says that there are no timers in init_by_lua",
    function()
      local stream = sse.open(front, "/sse?channel=room:2&since=0")
      local from_init = dkjson.decode(stream:event().data)
      assert.equal(
        "init_worker: init_by_lua has no timers: publish in init_worker_by_lua",
        from_init
      )
      assert.equal("queued\n", http.get(front, "/phases").body)
      local seen = {}
      for _ = 1, 7 do
        seen[#seen + 1] = dkjson.decode(stream:event().data)
      end
      table.sort(seen)
      assert.same(
        { "access", "body_filter", "content", "header_filter", "log", "rewrite", "set" },
        seen
      )
      stream:close()
    end
  )

  it("publishes what is queued when nginx is reloaded", function()
    local stream = sse.open(front, "/sse?channel=room:2&since=0")
    assert.equal("ok\n", http.get(front, "/queue").body)
    front:reload()
    local seen, count = {}, 0
    while count < 900 do
      local n = tonumber((dkjson.decode(stream:event().data)))
      if n then
        assert.is_nil(seen[n])
        seen[n], count = true, count + 1
      end
    end
    stream:close()
  end)

  it("loses nothing and repeats nothing when answers are cut, late, or refusals", function()
    local list = { "pass", "close", "refuse", "refuse", "hang", "drip", "chunks", "old", 0, 0, 30 }
    local badly = unreliable.new(app.listeners[1], function(n)
      return list[n] or (n % 2 == 1 and (n - 1) * 3 or "pass")
    end)
    local asked = http.connect(front, 30)
    local target = "/plan?address=%s&plan=numbers,100,timeout=0.2"
    assert(asked:send(http.format("GET", target:format(badly.address))))
    local body
    badly:serve_until_done(function()
      if asked:fill(asked:deadline(0)) then
        body = asked:read_response().body
      end
      return body or ""
    end)
    assert.equal("done\n", body)
    local wanted = {}
    for i = 1, 100 do
      wanted[i] = i
    end
    assert.same(wanted, numbers(app))
  end)
end)
