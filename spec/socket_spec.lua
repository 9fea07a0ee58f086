-- moonwire.socket: TCP and unix sockets, against a peer that does what a line tells it (spec/support/socket_peer.mjs).

local http = require "spec.support.http"
local server = require "spec.support.server"
local sockets = require "spec.support.sockets"

local moonwire = require "moonwire"
local null = moonwire.null

describe("moonwire.socket", function()
  local app, peer, stop_peer, directory

  setup(function()
    directory = sockets.directory()
    peer, stop_peer = sockets.peer("node spec/support/socket_peer.mjs " .. directory)
    app = sockets.start(([[
function connect(options)
  local connection = require("moonwire.socket").tcp()
  connection:settimeout(60)
  assert(connection:connect("127.0.0.1", %d, options))
  return connection
end
]]):format(peer.tcp))
  end)

  teardown(function()
    app:stop()
    stop_peer()
    server.run("rm -rf " .. directory)
  end)

  local function run(...)
    return sockets.run(app, ...)
  end

  it("sends and receives lines, bytes, and the rest", function()
    local sent, line, three, rest, message, partial = run [[
      local connection = connect()
      local sent = connection:send { "end one\\r\\ntwo", { "three", 4 }, "\n" }
      local line, three = connection:receive(), connection:receive(3)
      local rest = connection:receive "*a"
      return sent, line, three, rest, select(2, connection:receive()), select(3, connection:receive())
    ]]
    assert.same(
      { 21, "one", "two", "three4", "closed", "" },
      { sent, line, three, rest, message, partial }
    )
  end)

  it("connects to a unix socket, and by name", function()
    local text, other = run(
      [[
      local connection = assert(socket.connect("unix:%s/peer.sock"))
      connection:send "say hello\\n\n"
      local named = assert(socket.connect("localhost", %d))
      named:send "say world\\n\n"
      return connection:receive(), named:receive()
    ]],
      directory,
      peer.tcp
    )
    assert.same({ "hello", "world" }, { text, other })
  end)

  it("receives what is split at each byte", function()
    local line, count, before, any, after = run [[
      local connection = connect()
      connection:send "split a line\\r\\n12345before--|--x--end--|--after\\n\n"
      local line, count = connection:receive "*l", connection:receive(5)
      local before = connection:receiveuntil "--|--"()
      local any = connection:receiveany(1)
      local inclusive = connection:receiveuntil("--|--", { inclusive = true })()
      return line, count, before, any .. inclusive, connection:receive()
    ]]
    assert.same(
      { "a line", "12345", "before", "x--end--|--", "after" },
      { line, count, before, any, after }
    )
  end)

  it("receives up to a delimiter in parts", function()
    local parts, rest = run [[
      local connection = connect()
      connection:send "split abcdefgh--i--|--rest\\n\n"
      local read, parts = connection:receiveuntil "--|--", {}
      repeat
        local part, message = read(4)
        assert(not message, message)
        parts[#parts + 1] = part
      until not part
      return parts, connection:receive()
    ]]
    assert.equal("abcdefgh--i", table.concat(parts))
    assert.is_true(#parts >= 3)
    assert.equal("rest", rest)
  end)

  it("keeps the connection after a time-out, and returns what came", function()
    local first, text, message, partial, next_text = run [[
      local connection = connect()
      connection:send "say part\n"
      local first = connection:receive(1) -- then all four have come
      connection:settimeout(0.1)
      local text, message, partial = connection:receive()
      connection:settimeout(60)
      connection:send "say ial\\n\n"
      return first, text, message, partial, connection:receive()
    ]]
    assert.same({ "p", null, "timeout", "art" }, { first, text, message, partial })
    assert.equal("ial", next_text)
  end)

  it("receives more than is kept, and sends more than the system takes", function()
    local received, heard = run [[
      local connection = connect()
      connection:send "flood 3000000\n"
      local received = #connection:receive(3000000)
      local before = connection:send "count\n" and tonumber(connection:receive():match "%%d+$")
      assert(connection:send(("y"):rep(3000000)))
      connection:send "\ncount\n"
      return received, tonumber(connection:receive():match "%%d+$") - before
    ]]
    assert.equal(3000000, received)
    assert.equal(3000007, heard)
  end)

  it("names what is wrong", function()
    local refused, missing, unknown, long, closed = run [[
      local listener = connect()
      local function problem(...) return select(2, socket.connect(...)) end
      return problem("127.0.0.1", 1), problem "unix:/nonexistent", problem("does-not-exist.invalid", 80),
        problem("unix:" .. ("x"):rep(200)), select(2, socket.tcp():send "x")
    ]]
    assert.equal("connection refused", refused)
    assert.equal("no such file or directory", missing)
    assert.matches("^cannot find the host: ", unknown)
    assert.equal("file name too long", long)
    assert.equal("closed", closed)
    for call, expected in pairs {
      ["socket.tcp():connect(1, 2)"] = "tcp:connect: argument 1 must be a string, got number",
      ["socket.tcp():connect('a')"] = "tcp:connect: argument 2 must be a port from 1 to 65535",
      ["socket.tcp():connect('a', 1, { pol = 1 })"] = "did you mean 'pool'?",
      ["socket.tcp():settimeout(-1)"] = "seconds from 0 to 1e9, got -1",
      ["connect():receive '*x'"] = 'must be "*l", "*a", or a number of bytes',
      ["connect():receiveuntil ''"] = "the delimiter must not be empty",
      ["connect():receiveany(0)"] = "a number of bytes from 1",
      ["connect():send { {}, true }"] = "strings, numbers, and tables of them, got boolean",
      ["connect().send('x')"] = "call it with a colon, as tcp:send",
    } do
      local ok, message = run("return pcall(function() return %s end)", call)
      assert.is_false(ok, call)
      assert.truthy(message:find(expected, 1, true), message)
    end
  end)

  it("ends in order, half-closed, and by a reset", function()
    local text, message, sent, reset = run [[
      local connection = connect()
      connection:send "end bye\n"
      local text = connection:receive(3)
      local message = select(2, connection:receive())
      local sent = connection:send "still"
      local other = connect()
      other:send "reset\n"
      return text, message, sent, select(2, other:receive())
    ]]
    assert.same({ "bye", "closed", 5, "connection reset by peer" }, { text, message, sent, reset })
  end)

  it("keeps connections in the pool", function()
    local ok, reused, again, other, closed = run [[
      local options = { pool = "a" }
      local connection = connect(options)
      connection:send "say x\\n\n"
      connection:receive()
      local ok = connection:setkeepalive()
      local closed = select(2, connection:send "x")
      local second = connect(options)
      local third = connect(options)
      return ok, second:getreusedtimes(), second:send "say y\\n\n" and second:receive(), third:getreusedtimes(), closed
    ]]
    assert.same({ true, 1, "y", 0, "closed" }, { ok, reused, again, other, closed })
  end)

  it("keeps out of the pool what is unread, owed, unasked, or ended", function()
    local unread, owed, timeout, unasked, ended = run [[
      local options = { pool = "b" }
      local function with(line, receive)
        local connection = connect(options)
        connection:send(line .. "\n")
        if receive then connection:receive(receive) end
        return connection
      end
      local unread = select(2, with("say xy", 1):setkeepalive())
      local owed = select(2, with("mute"):setkeepalive())
      local late = with "mute"
      late:settimeout(0.01)
      late:receive()
      local timeout = select(2, late:setkeepalive())
      assert(with("later zzz", "*l"):setkeepalive())
      local watch = connect()
      local function ask(line)
        watch:send(line .. "\n")
        return watch:receive()
      end
      local before = tonumber(ask "count":match "^%%d+")
      ask "now"
      repeat until tonumber(ask "count":match "^%%d+") < before or not moonwire.sleep(0.02)
      local unasked = connect(options):getreusedtimes()
      local ended = select(2, with("end x", "*a"):setkeepalive())
      return unread, owed, timeout, unasked, ended
    ]]
    assert.same(
      { "unread data in buffer", "an answer is owed", "an answer is owed", 0, "closed" },
      { unread, owed, timeout, unasked, ended }
    )
  end)

  it("bounds a pool, and the time in it", function()
    local reused, expired = run [[
      local options, all = { pool = "c", pool_size = 2 }, {}
      for i = 1, 4 do
        all[i] = connect(options)
        all[i]:send "say x\\n\n"
        all[i]:receive()
      end
      for i = 1, 4 do assert(all[i]:setkeepalive(10)) end
      local reused = {}
      for i = 1, 4 do
        all[i] = connect(options)
        reused[i] = all[i]:getreusedtimes()
      end
      assert(all[1]:setkeepalive(0.01))
      moonwire.sleep(0.2)
      return reused, connect(options):getreusedtimes()
    ]]
    assert.same({ 1, 1, 0, 0 }, reused)
    assert.equal(0, expired)
  end)

  it("belongs to its task, and is closed when that ends", function()
    local message, after, open = run [[
      local connection = connect()
      shared.connection = connection
      local message
      app:spawn(function()
        message = select(2, pcall(connection.send, connection, "x"))
        shared.other = connect()
      end)
      repeat moonwire.sleep(0.01) until shared.other
      local watch, open = connect()
      repeat
        watch:send "count\n"
        open = watch:receive():match "^%%d+"
      until open == "2" or not moonwire.sleep(0.02)
      return message, select(2, shared.other:send "x"), open
    ]]
    assert.matches("the socket belongs to another task", message)
    assert.equal("closed", after)
    assert.equal("2", open)
    assert.equal("closed", (run "return select(2, shared.connection:send 'x')"))
    assert.matches(
      "cannot wait outside of a task",
      (select(2, pcall(require("moonwire.socket").connect, "127.0.0.1", peer.tcp)))
    )
  end)

  it("is closed when its handler raises, or its client leaves", function()
    pcall(run, "connect() error 'no'")
    local client = http.connect(app)
    client:send(http.format("POST", "/run", {
      body = "shared.left = nil; local c = connect(); c:send 'mute\\n'; shared.waits = true; "
        .. "shared.left = select(2, c:receive())",
    }))
    run "repeat until shared.waits or not moonwire.sleep(0.01)"
    client:close()
    local open, left = run [[
      local watch, open = connect()
      repeat
        watch:send "count\n"
        open = watch:receive():match "^%%d+"
      until open == "1" or not moonwire.sleep(0.02)
      return open, shared.left
    ]]
    assert.equal("1", open)
    assert.equal("closed", left)
  end)

  it("waits in coroutines of the script", function()
    local text = run [[
      local read = coroutine.wrap(function()
        local connection = connect()
        connection:send "split a\\nb\\n\n"
        coroutine.yield(connection:receive())
        coroutine.yield(connection:receive())
      end)
      return read() .. read()
    ]]
    assert.equal("ab", text)
  end)

  it("serves many handlers at once", function()
    local count = run [[
      local done, failed = 0, {}
      for i = 1, 300 do
        app:spawn(function()
          local connection = connect { pool = "many", pool_size = 50 }
          connection:send(("split %%d\\n\n"):format(i))
          local text, message = connection:receive()
          if text ~= tostring(i) then failed[#failed + 1] = tostring(text or message) end
          connection:setkeepalive()
          done = done + 1
        end)
      end
      repeat moonwire.sleep(0.01) until done == 300
      return #failed == 0 and done or failed
    ]]
    assert.equal(300, count)
  end)
end)
