-- Members of channels over several processes with one real Redis.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local socket = require "socket"
local sockets = require "spec.support.sockets"
local sse = require "spec.support.sse"

local APP = [[
local moonwire = require "moonwire"
local expiry = os.getenv "EXPIRY"
local app = moonwire.app {
  broker = moonwire.redis { url = "unix:%s", publish_seconds = 60, expiry_seconds = tonumber(expiry) },
  -- A crowd comes from one address.
  limits = { address_handshakes = 0, answer_seconds = 60 },
}
app:authenticate(function(request)
  return { id = request.query.user }
end)
local function list(pattern, presence, limits)
  app:channel(pattern, { authorize = true, presence = presence, limits = limits, history = { size = 10 } })
end
local function info(client)
  return { name = client.user_id }
end
list("room:{room}", { info = info, linger = 0, interval = 0.05 })
list("lot:{room}", { info = info, linger = 60, interval = 0.5 })
list("small:{room}", { info = info, linger = 0, interval = 0 }, { members = 2 })
list("hall:{room}", { mode = "counts", linger = 0, interval = 0 })
app:get("/members/{channel}", function(request)
  local members, count, code = app:find(request.params.channel):presence()
  return { members = members, count = count, code = code, counted = app:find(request.params.channel):count() }
end)
return app
]]

-- ---- A client that keeps the list of members ---------------------------------------------------

local Watch = {}
Watch.__index = Watch

function Watch:take(data)
  self.events[#self.events + 1] = data
  if data.members then
    self.members = {}
    for id, member in pairs(data.members) do
      self.members[id] = member.info
    end
  end
  for _, id in ipairs(data.left or {}) do
    assert(self.members[id], id .. " has left, and was not a member")
    self.members[id] = nil
  end
  for id, about in pairs(data.joined or {}) do
    assert(not self.members[id], id .. " has joined, and was a member")
    self.members[id] = about
  end
  self.count = data.count
end

-- Opens a socket of the user that subscribes to the channel.
local function open(node, user, channel)
  local self = setmetatable({ events = {}, channel = channel }, Watch)
  self.client = native.open(node, { target = "/ws?user=" .. user, timeout = 60 })
  self:take(self.client:subscribe(channel).presence)
  return self
end

function Watch:names()
  local names = {}
  for id in pairs(self.members or {}) do
    names[#names + 1] = id
  end
  table.sort(names)
  return table.concat(names, " ")
end

-- Reads until `is_done` is true.
function Watch:await(is_done)
  local deadline = socket.gettime() + 120
  while not is_done(self) do
    assert(socket.gettime() < deadline, "still " .. self:names())
    local object, code = self.client:next()
    assert(object, "closed with " .. tostring(code))
    if object.event == "moonwire:presence" then
      self:take(object.data)
    end
  end
end

function Watch:await_names(names)
  self:await(function()
    return self:names() == names
  end)
  assert.equal(select(2, names:gsub("%S+", "")), self.count)
end

function Watch:await_count(count)
  self:await(function()
    return self.count == count
  end)
end

function Watch:close()
  self.client:close()
end

-- Returns how many changes name the user.
function Watch:changes(user)
  local joined, left = 0, 0
  for _, data in ipairs(self.events) do
    joined = joined + (data.joined and data.joined[user] and 1 or 0)
    for _, id in ipairs(data.left or {}) do
      left = left + (id == user and 1 or 0)
    end
  end
  return joined, left
end

local function members(node, channel)
  local answer = http.request(node, "GET", "/members/" .. channel, {})
  assert.equal(200, answer.status)
  return dkjson.decode(answer.body)
end

describe("members of a cluster", function()
  local instance, nodes

  local function start(expiry)
    return server.start {
      script = APP:format(instance.path),
      env = expiry and "EXPIRY=" .. expiry or nil,
    }
  end

  setup(function()
    instance = redis.start "--appendonly yes --appendfsync always"
    nodes = { start(), start(), start() }
  end)

  teardown(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  it("are users: one on three nodes joins once and leaves once", function()
    local watch = open(nodes[1], "watch", "room:1")
    local sockets_of_ann = {}
    for i, node in ipairs(nodes) do
      sockets_of_ann[i] = open(node, "ann", "room:1")
      sockets_of_ann[i]:await_names "ann watch"
      assert.same({ name = "ann" }, sockets_of_ann[i].members.ann)
    end
    watch:await_names "ann watch"
    sockets_of_ann[1]:close()
    sockets_of_ann[2]:close()
    local marks = { open(nodes[1], "mark1", "room:1"), open(nodes[2], "mark2", "room:1") }
    watch:await_names "ann mark1 mark2 watch"
    sockets_of_ann[3]:close()
    watch:await_names "mark1 mark2 watch"
    assert.same({ 1, 1 }, { watch:changes "ann" })
    for _, mark in ipairs(marks) do
      mark:await_names "mark1 mark2 watch"
      mark:close()
    end
    watch:close()
  end)

  it("are known to the app of a node without subscribers", function()
    local watches = { open(nodes[1], "ann", "room:2"), open(nodes[2], "bea", "room:2") }
    local seen = members(nodes[3], "room:2")
    assert.equal(2, seen.count)
    assert.equal(2, seen.counted)
    assert.same({ info = { name = "ann" }, connections = 1 }, seen.members.ann)
    assert.same({ info = { name = "bea" }, connections = 1 }, seen.members.bea)
    for _, watch in ipairs(watches) do
      watch:close()
    end
  end)

  it("are counted together", function()
    local watch = open(nodes[1], "watch", "hall:1")
    local others = {
      open(nodes[2], "ann", "hall:1"),
      open(nodes[3], "ann", "hall:1"),
      open(nodes[3], "bea", "hall:1"),
    }
    watch:await_count(3)
    others[1]:close()
    others[3]:close()
    watch:await_count(2)
    assert.equal(2, members(nodes[2], "hall:1").counted)
    local listed = members(nodes[2], "hall:1").members
    assert.equal(1, listed.ann.connections)
    assert.equal(1, listed.watch.connections)
    assert.is_nil(listed.bea)
    others[2]:close()
    watch:await_count(1)
    watch:close()
  end)

  it("are limited together", function()
    local ann, bea = open(nodes[1], "ann", "small:1"), open(nodes[2], "bea", "small:1")
    local cid = native.open(nodes[3], { target = "/ws?user=cid", timeout = 60 })
    local answer = cid:ask { subscribe = "small:1" }
    assert.equal("refused", answer.error.code)
    local again = open(nodes[3], "bea", "small:1") -- who is a member already
    ann:close()
    bea:await_names "bea"
    assert.is_truthy(cid:ask({ subscribe = "small:1" }).ok)
    bea:await_names "bea cid"
    cid:close()
    bea:close()
    again:await_names "bea"
    again:close()
  end)

  it("are in the snapshot of a client that resumes on another node", function()
    local stream = sse.open(nodes[1], "/sse?channel=room:3&user=ann", { timeout = 60 })
    local id = stream:cursor()
    local watch = open(nodes[2], "watch", "room:3")
    stream:close()
    watch:await_names "watch"
    stream = sse.open(nodes[3], "/sse?channel=room:3&user=ann", {
      timeout = 60,
      headers = { ["Last-Event-ID"] = id },
    })
    local here = setmetatable({ events = {} }, Watch)
    repeat
      local event = stream:event()
      if event.event == "moonwire:presence" then
        here:take(dkjson.decode(event.data))
      end
    until here.members and here:names() == "ann watch"
    watch:await_names "ann watch"
    stream:close()
    watch:await_names "watch"
    watch:close()
  end)

  it("are the same for all after many of them came and went", function()
    local seed = os.time()
    math.randomseed(seed)
    local watches, clients, text = {}, {}, "seed " .. seed
    for i, node in ipairs(nodes) do
      watches[i] = open(node, "watch" .. i, "room:4")
    end
    for _ = 1, 120 do
      local at = math.random(#clients + 1)
      if clients[at] and math.random() < 0.6 then
        table.remove(clients, at).client:cut()
      else
        local user = "u" .. math.random(12)
        local client =
          native.open(nodes[math.random(3)], { target = "/ws?user=" .. user, timeout = 60 })
        client:write { subscribe = "room:4", ref = 1 }
        clients[#clients + 1] = { client = client, user = user }
      end
    end
    local present = { watch1 = true, watch2 = true, watch3 = true }
    for _, client in ipairs(clients) do
      present[client.user] = true
    end
    local names = {}
    for name in pairs(present) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, watch in ipairs(watches) do
      watch:await_names(table.concat(names, " "))
      assert.equal(#names, members(nodes[1], "room:4").count, text)
    end
    for _, client in ipairs(clients) do
      client.client:cut()
    end
    for _, watch in ipairs(watches) do
      watch:await_names "watch1 watch2 watch3"
    end
    for _, watch in ipairs(watches) do
      watch:close()
    end
  end)

  it("leave in one announcement when their node is killed", function()
    local mortal = start(2)
    local watches = { open(nodes[1], "watch", "room:5"), open(nodes[2], "watch", "room:6") }
    local lost = {}
    for i = 1, 3 do
      lost[i] = open(mortal, "u" .. i, "room:5")
      lost[i + 3] = open(mortal, "u" .. i, "room:6")
    end
    for _, watch in ipairs(watches) do
      watch:await_names "u1 u2 u3 watch"
      watch.events = {}
    end
    mortal:signal "KILL"
    for _, watch in ipairs(watches) do
      watch:await_names "watch"
      assert.equal(1, #watch.events)
      watch:close()
    end
    mortal:finish "KILL"
    for _, client in ipairs(lost) do
      client.client:cut()
    end
  end)

  it("come back with a node that was stopped", function()
    local mortal = start(2)
    local watches = { open(nodes[1], "watch1", "lot:1"), open(nodes[2], "watch2", "lot:1") }
    local _, stop =
      sockets.peer(("node spec/support/cluster/members.mjs %s lot:1 u 1000"):format(mortal.address))
    for _, watch in ipairs(watches) do
      watch:await_count(1002)
    end
    mortal:signal "STOP"
    for _, watch in ipairs(watches) do
      watch:await_names "watch1 watch2"
    end
    socket.sleep(2) -- once more the time after which it counts as dead
    mortal:signal "CONT"
    for _, watch in ipairs(watches) do
      watch:await_count(1002)
    end
    for _, node in ipairs { nodes[1], nodes[3], mortal } do
      local seen = members(node, "lot:1")
      assert.equal(1002, seen.count)
      assert.same({ name = "u1000" }, seen.members.u1000.info)
    end
    -- Nobody is counted twice: when the node ends, all of them are gone.
    stop()
    mortal:finish()
    for _, watch in ipairs(watches) do
      watch:await_names "watch1 watch2"
      watch:close()
    end
  end)

  it("are not what other programs have written", function()
    local watch = open(nodes[1], "watch", "room:8")
    local client = instance:connect()
    for _, garbage in ipairs { "", " x", " 1 2 3 4\n", " e 1 0 1\n+ 9 9\nx" } do
      client:call("PUBLISH", "{mw}:m:room:8", "presence" .. garbage)
    end
    client:call("HSET", "{mw}:pu:room:8", "\xff", "1", "", "1", "bad", "x")
    client:call("HSET", "{mw}:pi:room:8", "bad", "{", "watch", '{ "name" :\n"watch" }')
    local other = open(nodes[2], "ann", "room:8")
    assert.equal("ann watch", other:names())
    assert.same({ name = "watch" }, other.members.watch)
    assert.is_truthy(nodes[2]:await_log "ignored a member from redis")
    other:close()
    -- of another type: removed by the next change
    for _, key in ipairs { "pu", "pi", "pv" } do
      client:call("DEL", "{mw}:" .. key .. ":room:8")
      client:call("SADD", "{mw}:" .. key .. ":room:8", "garbage")
    end
    other = open(nodes[3], "bea", "room:8")
    other:await(function()
      return other.members.bea
    end)
    watch:await(function()
      return watch.members.bea
    end)
    other:close()
    watch:await(function()
      return not watch.members.bea
    end)
    watch:close()
    client:close()
  end)

  it("are read again when another program has replaced the number of an announcement", function()
    local watch = open(nodes[1], "watch", "room:9")
    local client = instance:connect()
    for _, number in ipairs { "9007199254740990", "1", "9007199254740992" } do
      client:call("SET", "{mw}:pv:room:9", number)
      for i = 1, 3 do
        local other = open(nodes[2], "ann" .. i, "room:9")
        watch:await_names("ann" .. i .. " watch")
        other:close()
        watch:await_names "watch"
      end
    end
    client:close()
    watch:close()
  end)

  it("stand still without Redis, and then only what has changed is announced", function()
    local watch = open(nodes[1], "watch", "room:7")
    local clients = { open(nodes[2], "ann", "room:7"), open(nodes[3], "bea", "room:7") }
    watch:await_names "ann bea watch"
    instance:kill()
    clients[2]:close()
    local late = native.open(nodes[3], { target = "/ws?user=cid", timeout = 60 })
    late:write { subscribe = "room:7", ref = 1 }
    watch.events = {}
    instance:start()
    watch:await_names "ann cid watch"
    assert.same({ 0, 0 }, { watch:changes "ann" })
    assert.same({ 0, 0 }, { watch:changes "watch" })
    assert.same({ 0, 1 }, { watch:changes "bea" })
    late:close()
    clients[1]:close()
    watch:await_names "watch"
    watch:close()
  end)
end)
