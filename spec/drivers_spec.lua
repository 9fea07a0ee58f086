-- Drivers for Redis and memcached, from Debian's packages and unchanged, against the real servers: what was written for OpenResty
-- on moonwire.compat.ngx, and redis-lua on moonwire.compat.socket.

local http = require "spec.support.http"
local server = require "spec.support.server"
local sockets = require "spec.support.sockets"

local null = require("moonwire").null

local BEFORE = [[
-- the packages are for older releases of Lua
package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.3/?.lua"
local moonwire = require "moonwire"
require "moonwire.compat.ngx"
require "moonwire.compat.socket"
REDIS, MEMCACHED = "%s/redis.sock", "%s/memcached.sock"
function redis(options)
  local client = require("nginx.redis"):new()
  client:set_timeout(60000)
  assert(client:connect("unix:" .. REDIS, options))
  return client
end
function redis_lua()
  return require("redis").connect("unix://" .. REDIS)
end
]]

-- Waits until a unix socket accepts connections.
local function await(path)
  for _ = 1, 6000 do
    local connection = require "socket.unix"()
    if connection:connect(path) then
      connection:close()
      return
    end
    connection:close()
    require("socket").sleep(0.01)
  end
  error(path .. " does not accept connections")
end

describe("a driver", function()
  local app, directory, stop_redis, stop_memcached

  local function start_redis()
    local command =
      "redis-server --port 0 --unixsocket %s/redis.sock --save '' --appendonly no --dir %s >&2"
    local _, stop = sockets.program(command:format(directory, directory))
    await(directory .. "/redis.sock")
    return stop
  end

  setup(function()
    directory = sockets.directory()
    stop_redis = start_redis()
    local _, stop =
      sockets.program(("memcached -u root -s %s/memcached.sock >&2"):format(directory))
    stop_memcached = stop
    await(directory .. "/memcached.sock")
    app = sockets.start(BEFORE:format(directory, directory))
  end)

  teardown(function()
    if app then
      app:stop()
    end
    stop_redis()
    stop_memcached()
    server.run("rm -rf " .. directory)
  end)

  local function run(...)
    return sockets.run(app, ...)
  end

  it("for OpenResty: lua-nginx-redis", function()
    local set, got, missing, all, piped, script, failed = run [[
      local client = redis()
      local set = client:set("a", "one\r\ntwo")
      local got, missing = client:get "a", client:get "missing"
      client:hmset("h", "x", "1", "y", "2")
      local all = client:hgetall "h"
      client:init_pipeline()
      client:incr "n"
      client:incr "n"
      client:get "n"
      local piped = client:commit_pipeline()
      local script = client:eval("return { KEYS[1], ARGV[1], 7 }", 1, "key", "value")
      local failed = select(2, client:incr "a")
      assert(client:set_keepalive(10000, 10))
      return set, got, missing == ngx.null, all, piped, script, failed
    ]]
    assert.same({ "OK", "one\r\ntwo", true }, { set, got, missing })
    assert.same({ "x", "1", "y", "2" }, all)
    assert.same({ 1, 2, "2" }, piped)
    assert.same({ "key", "value", 7 }, script)
    assert.matches("not an integer", failed)
  end)

  it(
    "for OpenResty: lua-nginx-redis takes connections out of the pool, which is bounded",
    function()
      local reused, most = run [[
      local options, done, reused, all = { pool = "bounded", pool_size = 3 }, 0, 0, {}
      for round = 1, 2 do
        for i = 1, 10 do
          app:spawn(function()
            local client = redis(options)
            assert(client:set("k" .. i, i) == "OK" and client:get("k" .. i) == tostring(i))
            reused = reused + client:get_reused_times()
            moonwire.sleep(0.05)
            assert(client:set_keepalive(10000, 3))
            done = done + 1
          end)
        end
        repeat moonwire.sleep(0.01) until done == 10 * round
      end
      local client = redis { pool = "watch" }
      local count = 0
      repeat
        count = select(2, client:client "LIST":gsub("cmd=get", ""))
      until count <= 3 or not moonwire.sleep(0.01)
      return reused, count
    ]]
      assert.equal(3, reused)
      assert.is_true(most <= 3)
    end
  )

  it("for OpenResty: lua-nginx-redis-connector", function()
    local value, reused = run [[
      local connector = require("nginx.redis.connector").new { path = "unix://" .. REDIS, connect_timeout = 1000, db = 3 }
      local client = assert(connector:connect { path = "unix:" .. REDIS, db = 3 })
      assert(client:set("where", "db 3"))
      assert(client:set_keepalive(10000, 10))
      client = assert(connector:connect { path = "unix:" .. REDIS, db = 3 })
      return client:get "where", client:get_reused_times()
    ]]
    assert.equal("db 3", value)
    assert.is_true(reused >= 1)
  end)

  it("for OpenResty: lua-nginx-memcached", function()
    local set, value, flags, many, count, gone = run [[
      local client = assert(require("nginx.memcached"):new())
      client:set_timeout(60000)
      assert(client:connect("unix:" .. MEMCACHED))
      local set = client:set("a key", ("v"):rep(100000), 0, 7)
      local value, flags = client:get "a key"
      client:set("x", "1")
      client:set("y", "2")
      local many = client:get { "x", "y" }
      local count = client:incr("x", 41)
      client:delete "y"
      local gone = client:get "y"
      assert(client:set_keepalive(10000, 10))
      return set, #value, flags, many, count, gone
    ]]
    assert.same({ 1, 100000, "7" }, { set, value, flags })
    assert.equal("1", many.x[1])
    assert.equal("2", many.y[1])
    assert.same({ "42", null }, { count, gone })
  end)

  it("for LuaSocket: redis-lua, with its transactions and subscriptions", function()
    local pong, replies, value, heard = run [[
      local client = redis_lua()
      local pong = client:ping()
      client:set("t", 1)
      local replies = client:transaction(function(t)
        t:incr "t"
        t:get "t"
      end)
      local heard = {}
      app:spawn(function()
        moonwire.sleep(0.05)
        local other = redis()
        repeat until other:publish("news", "hello") > 0 or not moonwire.sleep(0.01)
      end)
      local listener = redis_lua()
      for message, abort in listener:pubsub { subscribe = { "news" } } do
        heard[#heard + 1] = message.payload
        if message.kind == "message" then abort() end
      end
      return pong, replies, client:get "t", heard
    ]]
    assert.is_true(pong)
    assert.same({ 2, "2" }, replies)
    assert.equal("2", value)
    assert.equal("hello", heard[#heard])
  end)

  it(
    "leaves a transaction of a client that disconnects undone, and its connection unused",
    function()
      run "redis():set('balance', 100)"
      local client = http.connect(app)
      client:send(http.format("POST", "/run", {
        body = [[
        local client = redis { pool = "transactions" }
        client:multi()
        client:set("balance", 0)
        shared.waits = true
        local ok = moonwire.sleep(60)
        if ok then client:exec() end
        client:set_keepalive()
      ]],
      }))
      run "repeat until shared.waits or not moonwire.sleep(0.01)"
      client:close()
      local balance, reused = run [[
      local watch, open = redis { pool = "watch" }
      repeat
        open = watch:client "LIST":find("cmd=set", 1, true) or watch:client "LIST":find("multi=1", 1, true)
      until not open or not moonwire.sleep(0.02)
      local client = redis { pool = "transactions" }
      return client:get "balance", client:get_reused_times()
    ]]
      assert.same({ "100", 0 }, { balance, reused })
    end
  )

  it("counts visits as docs/how-to/database.md does", function()
    local blocks = require "spec.docs.blocks"
    local example
    for _, block in ipairs(blocks.of "docs/how-to/database.md") do
      example = example or block.text:find "nginx.redis" and block.text
    end
    local visits =
      server.start { script = example, env = ("REDIS=unix:%s/redis.sock"):format(directory) }
    local bodies = {}
    for i = 1, 2 do
      bodies[i] = http.request(visits, "POST", "/visits/home").body:gsub("\n", "")
    end
    visits:stop()
    assert.same({ '{"visits":1}', '{"visits":2}' }, bodies)
  end)

  it("connects again after the server was restarted", function()
    run "local c = redis { pool = 'again' }; c:set('x', 1); assert(c:set_keepalive())"
    stop_redis()
    local refused =
      run "local c = require('nginx.redis'):new(); return (select(2, c:connect('unix:' .. REDIS)))"
    stop_redis = start_redis()
    local value, reused =
      run "local c = redis { pool = 'again' }; c:set('x', 2); return c:get 'x', c:get_reused_times()"
    assert.equal("connection refused", refused)
    assert.same({ "2", 0 }, { value, reused })
  end)
end)

describe("moonwire.compat", function()
  it("has 32-bit operations, base64, and hashes", function()
    local ngx = require "moonwire.compat.ngx"
    local bit = require "bit"
    assert.equal(-1, bit.bnot(0))
    assert.equal(-2147483648, bit.lshift(1, 31))
    assert.equal(0x7fffffff, bit.rshift(-1, 1))
    assert.equal(-1, bit.arshift(-1, 5))
    assert.equal(6, bit.bxor(bit.band(7, 3), bit.bor(1, 4)))
    assert.equal(0x78563412, bit.bswap(0x12345678))
    assert.equal(0x23456781, bit.rol(0x12345678, 4))
    assert.equal("ffffffff", bit.tohex(-1))
    assert.equal("0F", bit.tohex(15, -2))
    for _, text in ipairs { "", "a", "ab", "abc", "abcd", ("\0\255"):rep(50) } do
      assert.equal(text, ngx.decode_base64(ngx.encode_base64(text)))
    end
    assert.is_nil(ngx.decode_base64 "a*bc")
    assert.equal("900150983cd24fb0d6963f7d28e17f72", ngx.md5 "abc")
    assert.equal("a%20b%2Fc", ngx.escape_uri "a b/c")
    assert.equal("a b/c", ngx.unescape_uri "a+b%2fc")
    assert.equal([['it\'s']], ngx.quote_sql_str "it's")
    assert.matches("ngx.re.match needs PCRE", (select(
      2,
      pcall(function()
        ngx.re.match("a", "b")
      end)
    )))
    local sha = require("resty.sha256"):new()
    sha:update "a"
    sha:update "bc"
    assert.equal(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      require("resty.string").to_hex(sha:final())
    )
  end)

  -- pgmoon's login (RFC 7677 section 3), with the modules that it requires
  it("computes a login by SCRAM", function()
    local ngx = require "moonwire.compat.ngx"
    local preload = package.preload
    local key = assert(preload["resty.openssl.kdf"]().derive {
      type = preload["resty.openssl.kdf"]().PBKDF2,
      md = "sha256",
      salt = ngx.decode_base64 "W22ZaJ0SNY7soEsUEjb6gQ==",
      pbkdf2_iter = 4096,
      pass = "pencil",
      outlen = 32,
    })
    local function hmac(secret, text)
      local mac = assert(preload["resty.openssl.hmac"]().new(secret, "sha256"))
      mac:update(text)
      return mac:final()
    end
    local client_key = hmac(key, "Client Key")
    local digest = assert(preload["resty.openssl.digest"]().new "sha256")
    digest:update(client_key)
    local signature = hmac(
      digest:final(),
      "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        .. "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    local proof = {}
    for i = 1, 32 do
      proof[i] = string.char(client_key:byte(i) ~ signature:byte(i))
    end
    assert.equal(
      "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      ngx.encode_base64(table.concat(proof))
    )
    assert.equal(18, #preload["resty.random"]().bytes(18))
    assert.is_nil((preload["resty.openssl.kdf"]().derive { type = "PBKDF2", md = "md5" }))
    assert.has_error(function()
      preload["resty.openssl.kdf"]().derive {
        type = "PBKDF2",
        md = "sha256",
        salt = "s",
        pbkdf2_iter = 1000000,
        pass = "p",
        outlen = 32,
      }
    end)
  end)

  it("refuses socket.select with a sentence", function()
    local luasocket = package.loaded.socket
    local url = package.loaded["socket.url"]
    local unix = package.loaded["socket.unix"]
    local compat = require "moonwire.compat.socket"
    package.loaded.socket, package.loaded["socket.url"], package.loaded["socket.unix"] =
      luasocket, url, unix
    local ok, message = pcall(compat.select, {}, {}, 1)
    assert.is_false(ok)
    assert.matches("a task waits for one socket at a time", message)
  end)
end)
