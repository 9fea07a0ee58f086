-- Who is in a channel: what its users are told of each other, and what the script sees.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "key",
  -- A crowd comes from one address.
  limits = { PINGS address_handshakes = 0 },
}
local calls = 0
app:authenticate(function(request)
  local user = request.query.user
  return user and { id = tonumber(user) or user, name = user } or true
end)

local function about(client, channel)
  calls = calls + 1
  if client.user_id == "raises" then error("a secret of the presence function") end
  if client.user_id == "refused" then return false, "not you", "unwelcome" end
  if client.user_id == "large" then return ("x"):rep(70000) end
  if client.user_id == "null" then return nil end
  moonwire.sleep(0.001)
  return { name = client.user and client.user.name, room = channel.params.room }
end

local function list(pattern, presence, limits)
  app:channel(pattern, { authorize = true, presence = presence, limits = limits, on = {
    who = function(_, channel)
      local members, count = channel:presence()
      return { members = members, count = count }
    end,
    some = function(_, channel, message)
      local members, count, after = channel:presence(message.data)
      return { members = members, count = count, after = after }
    end,
  } })
end
list("room:{room}", about)
list("plain:{room}", true)
list("wide:{room}", { info = function() return ("w"):rep(20000) end, linger = 0, interval = 0 })
list("quick:{room}", { info = about, linger = 0, interval = 0 })
list("page:{room}", { linger = 60, interval = 0 })
list("brief:{room}", { linger = 1, interval = 0 })
list("count:{room}", { mode = "counts", linger = 0, interval = 0 })
list("small:{room}", { linger = 0, interval = 0 }, { members = 2 })
list("busy:{room}", { info = function(client) return { name = client.user_id } end, linger = 0.03, interval = 0.05 })
list("crowd:{room}", { info = function() return 1 end, linger = 1, interval = 2 })
app:channel("none:{room}", { authorize = true })

app:get("/bring/{user}/{room}", function(request)
  for client in app:clients { user_id = request.params.user } do
    client:subscribe("quick:" .. request.params.room)
  end
  return {}
end)
app:get("/calls", function() return { calls = calls } end)
app:get("/members", function()
  local channel = app:find "busy:1" or app:find "crowd:1"
  if not channel then return { members = {}, count = 0 } end
  local members, count = channel:presence()
  return { members = members, count = count }
end)
-- How often a finalizer runs while members are read, and while as much is allocated otherwise.
app:get("/finalizers", function()
  local ran, metatable = 0, {}
  metatable.__gc = function()
    ran = ran + 1
    setmetatable({}, metatable)
  end
  local channel = app:find "plain:1"
  setmetatable({}, metatable)
  collectgarbage("incremental", 1, 1000, 10)
  collectgarbage "collect"
  local first = ran
  local _, count = channel:presence()
  local second = ran
  for i = 1, 1000 do local _ = { i } end
  local third = ran
  metatable.__gc = nil
  collectgarbage("incremental", 200, 100, 13)
  return { count = count, reading = second - first, others = third - second }
end)
app:get("/forge", function()
  return { ok = pcall(app.publish, app, "room:1", "moonwire:presence", {}) }
end)
return app
]]

-- Where a crowd vanishes, pings find out. Elsewhere nobody is asked: a client that a spec does not read answers none.
local pinging = script:gsub("PINGS", "ping_seconds = 3, pong_seconds = 12,")
script = script:gsub("PINGS", "")

local function get(app, path)
  return dkjson.decode(http.get(app, path).body)
end

local function enter(app, user, channel)
  local client = native.open(app, { target = user and "/ws?user=" .. user or "/ws" })
  return client, client:subscribe(channel).presence
end

-- The next announcement.
local function change(client)
  local push = client:next()
  assert.equal("moonwire:presence", push.event)
  assert.is_nil(push.id)
  return push.data
end

describe("presence", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  after_each(function()
    app:stop() -- raises if one object is left alive
  end)

  it("is named at the start", function()
    local lines = table.concat(app.startup, "\n")
    assert.is_truthy(
      lines:find("\nchannel plain:{room}: [^\n]*, presence, clients may send [a-z, ]*who[a-z, ]*\n")
    )
    assert.is_truthy(lines:find("\nchannel count:{room}: [^\n]*, presence in counts, "))
    assert.is_nil(lines:match "\nchannel none:{room}: [^\n]*presence")
  end)

  it("is told on joining, and then as it changes", function()
    local ann, first = enter(app, "ann", "quick:1")
    assert.same({
      count = 1,
      members = { ann = { info = { name = "ann", room = "1" }, connections = 1 } },
    }, first)
    local bob, second = enter(app, "7", "quick:1")
    assert.equal(2, second.count)
    assert.same({ info = { name = "7", room = "1" }, connections = 1 }, second.members["7"])
    assert.same(
      { joined = { ["7"] = { name = "7", room = "1" } }, left = {}, count = 2 },
      change(ann)
    )
    assert.same({
      count = 2,
      members = {
        ann = { info = { name = "ann", room = "1" }, connections = 1 },
        ["7"] = { info = { name = "7", room = "1" }, connections = 1 },
      },
    }, ann:ask({ send = "quick:1", event = "who" }).ok)
    second.more = false
    assert.same(second, ann:ask({ presence = "quick:1" }).ok)
    assert.same({ calls = 2 }, get(app, "/calls"))
    bob:close()
    assert.same({ joined = {}, left = { "7" }, count = 1 }, change(ann))
    ann:close()
  end)

  it("counts a user once, however many tabs there are", function()
    local ann = enter(app, "ann", "quick:1")
    local bob = enter(app, "bob", "quick:1")
    change(ann)
    local tab, snapshot = enter(app, "bob", "quick:1")
    assert.equal(2, snapshot.count)
    assert.equal(2, snapshot.members.bob.connections)
    tab:close()
    assert.is_true(ann:is_silent(0.2))
    bob:close()
    assert.same({ "bob" }, change(ann).left)
    ann:close()
  end)

  it("does not tell of a page that is loaded anew", function()
    local ann = enter(app, "ann", "page:1")
    local bob = enter(app, "bob", "page:1")
    change(ann)
    for _ = 1, 3 do
      bob:close()
      local snapshot
      bob, snapshot = enter(app, "bob", "page:1")
      assert.equal(2, snapshot.count)
    end
    assert.is_true(ann:is_silent(0.2))
    bob:close()
    ann:close()
    ann, bob = enter(app, "ann", "brief:1"), enter(app, "bob", "brief:1")
    change(ann)
    local begun = socket.gettime()
    bob:close()
    assert.same({ "bob" }, change(ann).left)
    assert.is_true(socket.gettime() - begun >= 0.9)
    ann:close()
  end)

  it("gathers what happens within the interval", function()
    local ann = enter(app, "ann", "room:1")
    local others = {}
    for i = 1, 20 do
      others[i] = enter(app, "u" .. i, "room:1")
    end
    local names = {}
    while not names.u20 do
      for name in pairs(change(ann).joined) do
        assert.is_nil(names[name])
        names[name] = true
      end
    end
    assert.is_true(ann:is_silent(0.1))
    for _, other in ipairs(others) do
      other:close()
    end
    ann:close()
  end)

  it("tells numbers alone where that is asked for", function()
    local ann, first = enter(app, "ann", "count:1")
    assert.same({ count = 1 }, first)
    local bob = enter(app, "bob", "count:1")
    assert.same({ count = 2 }, change(ann))
    local tab = enter(app, "bob", "count:1")
    tab:close()
    bob:close()
    assert.same({ count = 1 }, change(ann))
    assert.same({ count = 1 }, ann:ask({ presence = "count:1" }).ok)
    -- The script sees them all the same.
    local who = ann:ask({ send = "count:1", event = "who" }).ok
    assert.same({ count = 1, members = { ann = { connections = 1 } } }, who)
    ann:close()
  end)

  it("knows the anonymous by their connections", function()
    local one = enter(app, nil, "quick:1")
    local two, snapshot = enter(app, nil, "quick:1")
    assert.equal(2, snapshot.count)
    local joined = change(one).joined
    local id, info = next(joined)
    assert.equal(12, #id)
    assert.same({ room = "1" }, info)
    -- It is no client's id: nobody can act as that client by it.
    for name in pairs(snapshot.members) do
      local answer = http.request(app, "POST", "/send", {
        headers = { ["X-Moonwire-Client"] = name, ["Content-Type"] = "application/json" },
        body = '{"unsubscribe":"quick:1","ref":1}',
      })
      assert.equal(404, answer.status)
    end
    two:close()
    assert.same({ id }, change(one).left)
    one:close()
  end)

  it("runs no finalizer while the script is told who is there", function()
    local clients = {}
    for i = 1, 60 do
      clients[i] = enter(app, "u" .. i, "plain:1")
    end
    local runs = get(app, "/finalizers")
    assert.equal(60, runs.count)
    assert.is_true(runs.others > 0)
    assert.equal(0, runs.reading)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("refuses who is refused by the presence function, and who finds the channel full", function()
    local ann = enter(app, "ann", "quick:1")
    local function answer(user, channel)
      local client = native.open(app, { target = "/ws?user=" .. user })
      local error = client:ask({ subscribe = channel }).error
      client:close()
      return error
    end
    assert.same({ code = "internal", reason = "internal error" }, answer("raises", "quick:1"))
    assert.same({ code = "internal", reason = "internal error" }, answer("large", "quick:1"))
    assert.same({ code = "unwelcome", reason = "not you" }, answer("refused", "quick:1"))
    assert.is_truthy(app:await_log 'presence of "quick:1": .*a secret of the presence function')
    assert.is_true(ann:is_silent(0.1))
    local nobody, snapshot = enter(app, "null", "quick:1")
    assert.equal(2, snapshot.count)
    assert.is_nil(snapshot.members.null.info)
    nobody:close()
    local one, two = enter(app, "one", "small:1"), enter(app, "two", "small:1")
    assert.same({ code = "refused", reason = "the channel is full" }, answer("three", "small:1"))
    assert.equal(2, select(2, enter(app, "one", "small:1")).count)
    two:close()
    assert.same({ "two" }, (change(one).left[1] and { "two" }) or change(one).left)
    for _, client in ipairs { ann, one } do
      client:close()
    end
  end)

  it("counts whom the script subscribes, who is told by a push", function()
    local ann = enter(app, "ann", "quick:1")
    local bob = enter(app, "bob", "none:1")
    -- A channel without hooks needs no identity: asked for one, the client has it.
    bob:subscribe "quick:other"
    get(app, "/bring/bob/1")
    assert.same({ bob = { name = "bob", room = "1" } }, change(ann).joined)
    local snapshot = change(bob)
    assert.equal(1, snapshot.count)
    assert.is_table(snapshot.members.ann)
    assert.same({ bob = { name = "bob", room = "1" } }, change(bob).joined)
    bob:ask { unsubscribe = "quick:1" }
    assert.same({ "bob" }, change(ann).left)
    get(app, "/bring/bob/1")
    change(ann)
    bob:close()
    assert.same({ "bob" }, change(ann).left)
    ann:close()
  end)

  it("can be asked for by who only receives", function()
    local stream = http.connect(app)
    stream:send(http.format("GET", "/sse?channel=quick:1&envelope=1&user=ann"))
    local head = stream:read_head()
    assert.equal(200, head.status)
    local id = stream.buffer:match '"client":"([^"]+)"'
    while not id do
      assert(stream:fill(socket.gettime() + 30))
      id = stream.buffer:match '"client":"([^"]+)"'
    end
    local answer = http.request(app, "POST", "/send?user=ann", {
      headers = { ["X-Moonwire-Client"] = id, ["Content-Type"] = "application/json" },
      body = '{"presence":"quick:1","ref":1}',
    })
    assert.equal(200, answer.status)
    assert.equal(1, dkjson.decode(answer.body).ok.count)
    stream:close()
  end)

  -- 30 members of 20 KB each are over half of the outbox, of 1 MiB.
  it("is read in pages where there are too many to be told at once", function()
    local clients = {}
    for i = 1, 30 do
      clients[i] = native.open(app, { target = ("/ws?user=u%02d"):format(i) })
      clients[i]:ask { subscribe = "wide:1" }
    end
    local eve = native.open(app, { target = "/ws?user=eve" })
    assert.same({ count = 31, more = true }, eve:ask({ subscribe = "wide:1" }).ok.presence)
    local seen, pages, after = {}, 0, nil
    repeat
      local page = eve:ask({ presence = "wide:1", after = after }).ok
      assert.equal(31, page.count)
      for id, member in pairs(page.members) do
        assert.is_nil(seen[id])
        seen[id] = true
        assert.equal(20000, #member.info)
      end
      pages, after = pages + 1, page.after
      assert.equal(after ~= nil, page.more)
    until not after
    local count = 0
    for _ in pairs(seen) do
      count = count + 1
    end
    assert.equal(31, count)
    assert.equal(3, pages)
    local stream = http.connect(app)
    stream:send(http.format("GET", "/sse?channel=wide:1&envelope=1&user=tom"))
    assert.equal(200, stream:read_head().status)
    while not stream.buffer:find("\n\n", 20, true) do
      assert(stream:fill(socket.gettime() + 30))
    end
    assert.truthy(stream.buffer:find('"presence":{"count":32,"more":true}', 1, true), stream.buffer)
    stream:close()
    eve:close()
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("is read in pages by the script", function()
    local clients = {}
    for i = 1, 5 do
      clients[i] = enter(app, "p" .. i, "plain:pages")
    end
    local function some(given)
      return clients[1]:ask({ send = "plain:pages", event = "some", data = given }).ok
    end
    local first = some { limit = 2 }
    assert.same(
      { "p1", "p2", 5, "p2" },
      { next(first.members) and "p1", first.members.p2 and "p2", first.count, first.after }
    )
    local rest = some { limit = 3, after = first.after }
    assert.is_nil(rest.after)
    assert.is_nil(rest.members.p2)
    assert.equal(1, rest.members.p5.connections)
    assert.equal(
      "internal",
      clients[1]:ask({ send = "plain:pages", event = "some", data = { limit = "2" } }).error.code
    )
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("is refused where there is none, and to who has not subscribed", function()
    local ann = enter(app, "ann", "none:1")
    assert.equal("refused", ann:ask({ presence = "none:1" }).error.code)
    assert.equal("not_subscribed", ann:ask({ presence = "room:1" }).error.code)
    assert.equal("not_found", ann:ask({ presence = "nowhere" }).error.code)
    assert.is_nil(ann:subscribe("plain:1").members)
    assert.same({ ok = false }, get(app, "/forge"))
    ann:close()
  end)

  it("is the same for everyone, whenever they came and went", function()
    local output = server.peer("support/presence.mjs", app.address, "busy:1", 40, 4000)
    local counts = dkjson.decode(output)
    assert.is_true(counts.snapshots >= 1500)
    assert.is_true(counts.joins > 2000)
    assert.is_true(counts.leaves > 2000)
  end)
end)

-- Follows the announcements until `count` are there; returns by user how often it joined or left, and how many announcements
-- it took. Nobody does the opposite meanwhile.
local function follow(watcher, field, count)
  local names, events = {}, 0
  local opposite = field == "left" and "joined" or "left"
  while true do
    local data = change(watcher)
    events = events + 1
    assert.is_nil(next(data[opposite]), opposite)
    for name, value in pairs(data[field]) do
      name = field == "left" and value or name
      names[name] = (names[name] or 0) + 1
    end
    if data.count == count then
      return names, events
    end
  end
end

-- Each is sent all who are there: more of them on a slow machine would answer their pings too late.
local USERS = os.getenv "SOAK" and 5000 or 2000

local function expect_all(names)
  for i = 0, USERS - 1 do
    assert.equal(1, names["u" .. i], "u" .. i)
  end
end

-- Starts the crowd, which ends with the variable.
local function gather(address, prefix)
  local command =
    "exec 2>&1; ulimit -n $(ulimit -Hn); %s node spec/support/crowd.mjs %s crowd:1 %d & echo $!; wait"
  local pipe = assert(io.popen(command:format(prefix, address, USERS)))
  local pid = pipe:read "n"
  pipe:read "l"
  return setmetatable({ pipe = pipe, pid = pid }, {
    __close = function()
      os.execute(("kill -KILL %d 2>/dev/null"):format(pid))
      pipe:close()
    end,
  })
end

-- A network of its own, whose link can be taken down: then nobody hears of the end of anything. Nil where that is not allowed.
local function make_network()
  -- Another one may run at the same time.
  local number = math.random(0, 16383)
  local name = ("mw%04x"):format(number)
  local base = ("198.18.%d."):format(number >> 6)
  local first = (number & 63) * 4
  local address, other = base .. first + 1, base .. first + 2
  local steps = {
    "ip netns add " .. name,
    ("ip link add %sa type veth peer name %sb"):format(name, name),
    ("ip link set %sb netns %s"):format(name, name),
    ("ip addr add %s/30 dev %sa"):format(address, name),
    ("ip link set %sa up"):format(name),
    ("ip -n %s addr add %s/30 dev %sb"):format(name, other, name),
    ("ip -n %s link set %sb up"):format(name, name),
  }
  local network = { name = name, prefix = "ip netns exec " .. name, address = address }
  function network.cut()
    assert(os.execute(("ip link set %sa down"):format(name)))
  end
  function network.remove()
    os.execute(("ip link del %sa 2>/dev/null; ip netns del %s 2>/dev/null"):format(name, name))
  end
  for _, step in ipairs(steps) do
    if not os.execute(step .. " 2>/dev/null") then
      network.remove()
      return nil
    end
  end
  return network
end

describe("a crowd that vanishes", function()
  local function vanish(app, address, prefix, cut)
    local watcher = native.open(app, { target = "/ws?user=watcher", timeout = 90 })
    watcher:subscribe "crowd:1"
    local crowd <close> = gather(address, prefix)
    local begun = socket.gettime()
    local joined, join_events = follow(watcher, "joined", USERS + 1)
    expect_all(joined)
    -- one every two seconds
    assert.is_true(join_events <= (socket.gettime() - begun) / 2 + 2)
    assert.equal("ready", crowd.pipe:read "l")
    cut(crowd.pid)
    begun = socket.gettime()
    local left, leave_events = follow(watcher, "left", 1)
    expect_all(left)
    assert.is_true(leave_events <= (socket.gettime() - begun) / 2 + 2, leave_events)
    assert.equal(1, get(app, "/members").count)
    watcher:close()
    app:stop() -- raises if one object is left alive
  end

  it("leaves when its pings are not answered: a process that is stopped", function()
    local app = server.start(pinging)
    vanish(app, app.address, "", function(pid)
      os.execute("kill -STOP " .. pid)
    end)
  end)

  it("leaves when its pings are not answered: a link that is down", function()
    local network = make_network()
    if not network then
      pending "this machine allows no network of its own"
      return
    end
    local finally = setmetatable({}, { __close = network.remove })
    local guard <close> = finally
    local app = server.start {
      script = pinging,
      args = ("--listen 127.0.0.1:0 --listen %s:0"):format(network.address),
    }
    local address = ("http://%s:%d"):format(network.address, app.listeners[2].port)
    vanish(app, address, network.prefix, network.cut)
    assert.is_not_nil(guard)
  end)
end)
