-- A program of plain Lua that ends in the way that its first argument names, with an app in a certain
-- state. The second argument is the number of workers. "list" prints the names. It tells nothing if
-- all is well; spec/life_spec.lua and scripts/soak run it.

local moonwire = require "moonwire"
local socket = require "socket"

local case, workers = arg[1], tonumber(arg[2])
local seen, exits = {}, {}

-- Counts what has happened. Ends the process there if the case says so.
local function reach(name)
  seen[name] = (seen[name] or 0) + 1
  if exits[name] then
    os.exit(0, true)
  end
end

-- ---- An app that has everything ---------------------------------------------------------------

local app = moonwire.app { limits = { drain_seconds = 0.05 }, publish_key = "secret" }

app:authenticate(function()
  reach "authenticate"
  return { id = "u" }
end)
app:on_connect(function()
  reach "connect"
end)
app:on_disconnect(function()
  reach "disconnect"
end)
app:channel("room", {
  history = { size = 10, replay = 5 },
  linger = 0,
  authorize = function()
    reach "authorize"
    return true
  end,
  presence = {
    info = function()
      reach "info"
      return { a = 1 }
    end,
  },
  on_open = function()
    reach "open"
    moonwire.sleep(0)
  end,
  on_join = function()
    reach "join"
    moonwire.sleep(0)
  end,
  on_leave = function()
    reach "leave"
  end,
  on_close = function()
    reach "close"
  end,
  on = {
    say = function(_, channel, message)
      reach "say"
      return { id = channel:publish("said", message.data) }
    end,
    hang = function()
      reach "hang"
      moonwire.sleep(1000)
      reach "woken"
    end,
  },
})
app:get("/route", function()
  reach "route"
  moonwire.sleep(0)
  reach "route_later"
  return "hello"
end)
app:get("/hang", function()
  local _ <close> = setmetatable({}, {
    __close = function()
      reach "guard"
    end,
  })
  reach "hanging"
  moonwire.sleep(1000)
  reach "route_woken"
  moonwire.sleep(1000)
end)
app:get("/inner", function()
  return coroutine.wrap(function()
    moonwire.sleep(0)
    reach "inner"
    return "hello"
  end)()
end)
app:get("/await", function()
  return moonwire.await(function(resume)
    seen.resume = resume
  end)
end)
app:get("/hash", function()
  return moonwire.crypto.password_hash "password"
end)
app:stream("/stream", function(_, stream)
  stream:on_close(function()
    reach "stream_close"
  end)
  stream:send("a", { "b" })
  moonwire.sleep(1000)
end)
app:websocket("/socket", {
  on_open = function()
    reach "socket_open"
  end,
  on_message = function(peer)
    reach "socket_message"
    peer:send "x"
  end,
  on_close = function()
    reach "socket_close"
  end,
})
app:after(1000, print)
app:every(0.001, function()
  reach "every"
  app:publish("room", "tick", { seen.every })
  if seen.every > 3 then
    moonwire.sleep(1000)
  end
end)
app:spawn(function()
  moonwire.sleep(0)
  reach "spawn"
  moonwire.sleep(1000)
  reach "spawn_woken"
end)

-- ---- Its clients, which are in this process ---------------------------------------------------

local connections = {}

local function connect(text)
  local host, port = app:address():match "^(.*):(%d+)$"
  local connection = assert(socket.connect(host, tonumber(port)))
  connection:settimeout(0)
  connection:send(text)
  connections[#connections + 1] = connection
  return connection
end

local function get(target, more)
  return connect(("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, more or ""))
end

local function open_websocket(target, ...)
  local connection = get(
    target,
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      .. "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://a\r\n"
  )
  for _, text in ipairs { ... } do
    connection:send(string.char(0x81, 0x80 | #text) .. "\0\0\0\0" .. text)
  end
end

local function bring_crowd()
  local subscribe = '{"subscribe":"room","ref":1}'
  local hang = '{"send":"room","event":"hang","ref":2}'
  open_websocket("/ws", subscribe, '{"send":"room","event":"say","data":1,"ref":2}')
  open_websocket("/ws", subscribe, hang, hang)
  open_websocket("/socket", "hello")
  for target in
    ("/sse?channel=room /poll?channel=room /route /inner /await /hang /stream"):gmatch "%S+"
  do
    get(target)
  end
  connect "GET /sse?channel=room HT"
  connect "POST /publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\nContent-Length: 100000\r\n\r\n["
  connect(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(50))
end

local descriptor = {
  getfd = function()
    return app:fd()
  end,
}

local function step_until(condition)
  local deadline = socket.gettime() + 30
  while not condition() do
    assert(socket.gettime() < deadline, "time-out")
    socket.select({ descriptor }, nil, math.min(app:timeout() or 0.05, 0.05))
    if not app:step() then
      return
    end
  end
end

local function never()
  return false
end

local function listen()
  assert(app:listen("127.0.0.1:0", { workers = workers }))
end

-- A crowd, of which each has come as far as it comes.
local function fill()
  listen()
  bring_crowd()
  step_until(function()
    return seen.say
      and seen.hang
      and seen.hanging
      and seen.spawn
      and seen.inner
      and seen.resume
      and seen.socket_message
      and seen.every > 3
  end)
end

local function finalizer(fn)
  return setmetatable({}, { __gc = fn })
end

local function call_everything()
  pcall(app.publish, app, "room", "x", { "y" })
  pcall(moonwire.json.encode, { 1 })
  pcall(app.spawn, app, print)
  pcall(app.after, app, 0, print)
  pcall(app.step, app)
  pcall(app.stop, app)
  pcall(app.step, app)
end

-- ---- The cases --------------------------------------------------------------------------------

local cases = {}

function cases.unstarted() end
function cases.unstarted_collected()
  app = nil
  collectgarbage()
  collectgarbage()
end
function cases.listening()
  listen()
end
function cases.listening_collected()
  listen()
  app = nil
  collectgarbage()
  collectgarbage()
end
function cases.stepped()
  listen()
  app:step()
end
function cases.refused()
  assert(not app:listen "203.0.113.1:1")
  assert(not app:listen "unix:/nonexistent/socket")
end
function cases.refused_stepped()
  cases.refused()
  app:step()
end
function cases.wrong()
  app:channel "{a}:b"
  app:channel "a:{b}"
  assert(not pcall(app.listen, app, "127.0.0.1:0"))
  assert(not pcall(app.listen, app, "127.0.0.1:0"))
end
function cases.unread()
  listen()
  bring_crowd()
end
cases.full = fill
function cases.full_collected()
  fill()
  app = nil
  collectgarbage()
  collectgarbage()
end
function cases.full_gone()
  fill()
  for _, connection in ipairs(connections) do
    connection:close()
  end
end
function cases.stopping()
  fill()
  app:stop()
end
function cases.stopping_stepped()
  fill()
  app:stop()
  app:step()
end
function cases.stopped()
  fill()
  app:stop()
  step_until(never)
  app:stop()
  assert(not app:step())
  assert(not pcall(app.fd, app))
  assert(not seen.resume())
end
function cases.two()
  fill()
  local other = moonwire.app {}
  assert(other:listen("127.0.0.1:0", { workers = workers }))
  other:step()
  app:stop()
  step_until(never)
  other:step()
end
function cases.two_exit()
  local other = moonwire.app {}
  other:after(0, function()
    os.exit(0, true)
  end)
  assert(other:listen("127.0.0.1:0", { workers = workers }))
  fill()
  while other:step() do
  end
end
function cases.run_exit()
  app:after(0.01, function()
    os.exit(0, true)
  end)
  app:run { listen = "127.0.0.1:0", workers = workers }
end
-- Without closing the state, while threads work.
function cases.exit_now()
  fill()
  get "/hash"
  get "/hash"
  app:step()
  os.exit(0)
end
function cases.exit_hashing()
  fill()
  get "/hash"
  get "/hash"
  for _ = 1, 20 do
    app:step()
  end
end
function cases.exit_closing()
  fill()
  os.exit(0, true)
end
function cases.exit_in_coroutine()
  fill()
  coroutine.wrap(os.exit)(0, true)
end
function cases.stepped_in_coroutine()
  fill()
  coroutine.wrap(function()
    app:step()
    app:after(0, function()
      os.exit(0, true)
    end)
    while app:step() do
    end
  end)()
end
-- Finalizers run in the opposite order of their objects.
function cases.finalizer()
  finalizer(call_everything)
  fill()
end
function cases.late_finalizer()
  fill()
  finalizer(call_everything)
end

local function attach_luv()
  listen()
  require "moonwire.attach.luv"(app)
  bring_crowd()
  return require "luv"
end
function cases.luv()
  local uv = attach_luv()
  uv.new_timer():start(100, 0, function()
    os.exit(0, true)
  end)
  uv.run()
end
function cases.luv_handler()
  exits.hang = true
  attach_luv().run()
end
function cases.luv_left()
  local uv = attach_luv()
  uv.new_timer():start(100, 0, function()
    uv.stop()
  end)
  uv.run()
end

local function attach_cqueues()
  local queue = require("cqueues").new()
  listen()
  require "moonwire.attach.cqueues"(app, queue)
  bring_crowd()
  return queue
end
function cases.cqueues()
  local queue = attach_cqueues()
  queue:wrap(function()
    require("cqueues").sleep(0.1)
    os.exit(0, true)
  end)
  queue:loop()
end
function cases.cqueues_handler()
  exits.hang = true
  attach_cqueues():loop()
end
function cases.cqueues_left()
  attach_cqueues():loop(0.1)
end
function cases.cqueues_closed()
  local queue = attach_cqueues()
  queue:loop(0.1)
  queue:close()
  app:stop()
  step_until(never)
end
function cases.cqueues_collected()
  attach_cqueues():loop(0.1)
  collectgarbage()
  collectgarbage()
  app:stop()
  step_until(never)
end

-- os.exit in each kind of handler: while the app runs, and while it stops
local kinds = {
  running = "authenticate connect authorize info open join say hang route route_later inner hanging "
    .. "socket_open socket_message every spawn",
  stopping = "woken guard route_woken spawn_woken stream_close socket_close leave close disconnect",
}

if case == "list" then
  local names = {}
  for name in pairs(cases) do
    names[#names + 1] = name
  end
  for kind, list in pairs(kinds) do
    for name in list:gmatch "%S+" do
      names[#names + 1] = kind .. ":" .. name
    end
  end
  table.sort(names)
  print(table.concat(names, "\n"))
elseif cases[case] then
  cases[case]()
else
  local kind, name = case:match "^(%l+):(.*)$"
  exits[name] = true
  fill()
  if kind == "stopping" then
    app:stop()
    step_until(never)
  end
  error(name .. " was not reached")
end
