-- Clients on four workers: what concerns one of them, or all, whatever worker each is on.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local reader = require "spec.support.reader"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"
local workers = require "spec.support.workers"

-- Each test proves that its clients are on different workers, so the number is theirs.
local WORKERS = 4

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { answer_seconds = 60 } }
app:authenticate(function(request)
  local user = request.query.user
  return user and { id = user } or true
end)
local handled = 0
app:channel("room:{room}", {
  authorize = true,
  history = { size = 100 },
  presence = { info = function(client) return client.user_id:upper() end, linger = 0, interval = 0 },
  relay = { "typing", note = { keep = true } },
  on = {
    say = function(client, channel, message)
      handled = handled + 1
      return { id = channel:publish("said", { from = client.user_id, text = message.data }), call = handled }
    end,
    quietly = function(client, channel, message)
      return { id = channel:publish("said", message.data, { except = client }) }
    end,
  },
})
local function each(user, act)
  local count = 0
  for client in app:clients { user_id = user } do
    act(client)
    count = count + 1
  end
  return { count = count }
end
app:get("/tell/{user}", function(request)
  return each(request.params.user, function(client) client:send("hint", "for " .. client.user_id) end)
end)
app:get("/kick/{user}/{room}", function(request)
  local channel = app:find("room:" .. request.params.room)
  return each(request.params.user, function(client) channel:kick(client, "off you go") end)
end)
app:get("/close/{user}", function(request)
  return { count = app:close_user(request.params.user, "closed") }
end)
app:get("/close/one/{user}", function(request)
  return each(request.params.user, function(client) client:close(4000, "one") end)
end)
app:get("/stats", function() return app:stats() end)
app:get("/present/{room}", function(request)
  local channel = app:find("room:" .. request.params.room)
  local members, count = {}, 0
  if channel then members, count = channel:presence() end
  return { members = members, count = count }
end)
return app
]]

local users = { "ann", "ben", "cleo", "dan" }

describe("on four workers", function()
  local app, posts
  local rooms = 0

  setup(function()
    app = server.start { script = script, workers = WORKERS }
    posts = workers.connect(app, WORKERS)
  end)

  teardown(function()
    for _, post in ipairs(posts) do
      post.connection:close()
    end
    app:stop()
  end)

  local function fresh()
    rooms = rooms + 1
    return "room:" .. rooms
  end

  local function get(target, post)
    local response = (post or posts[1]):request("GET", target)
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  local function publish(post, body)
    post:start("POST", "/publish", {
      headers = { Authorization = "Bearer key" },
      body = dkjson.encode(body),
    })
  end

  local function published(post)
    local response = post:read()
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body).id
  end

  -- A WebSocket for each user, each on a worker of its own, subscribed to the room. What presence says first is left out.
  local function enter(room)
    return workers.open(app, WORKERS, function(i)
      local client = native.open(app, { target = "/ws?user=" .. users[i] })
      client.user = users[i]
      if room then
        client:subscribe(room)
      end
      return client
    end)
  end

  -- The next object that is not about presence.
  local function next_of(client)
    local object, code, reason
    repeat
      object, code, reason = client:next()
    until not object or object.event ~= "moonwire:presence"
    return object, code, reason
  end

  -- Until the server knows: a new connection goes to the worker that has the fewest.
  local function close(list)
    for _, one in ipairs(list) do
      one.connection:close()
    end
    local deadline = socket.gettime() + 30
    repeat
      local count = get("/stats").connections
      assert(socket.gettime() < deadline, "connections stay")
    until count == WORKERS
  end

  it("all see the same members come and go", function()
    local room = fresh()
    local clients = enter(room)
    local everybody = { ann = "ANN", ben = "BEN", cleo = "CLEO", dan = "DAN" }
    local present = get("/present/" .. room:match "%d+")
    assert.equal(4, present.count)
    for user, info in pairs(everybody) do
      assert.same({ info = info, connections = 1 }, present.members[user])
    end
    -- Each takes what it is told until it knows of the others that came after it.
    local function await_count(client, count)
      local told
      repeat
        told = client:next()
      until told.event == "moonwire:presence" and told.data.count == count
      return told.data
    end
    for i = 1, 3 do
      await_count(clients[i], 4)
    end
    clients[2]:cut()
    for _, i in ipairs { 1, 3, 4 } do
      local told = await_count(clients[i], 3)
      assert.same({ "ben" }, told.left)
    end
    close { clients[1], clients[3], clients[4] }
  end)

  it("what each relays, and what each keeps, reaches all others", function()
    local room = fresh()
    local clients = enter(room)
    for i, client in ipairs(clients) do
      client:write(
        { send = room, event = "typing", data = i },
        { send = room, event = "note", data = i }
      )
      local ids = {}
      for j, other in ipairs(clients) do
        if i ~= j then
          local typing, note = next_of(other), next_of(other)
          assert.same({ "typing", i, users[i] }, { typing.event, typing.data, typing.from })
          assert.same({ "note", i, users[i] }, { note.event, note.data, note.from })
          ids[note.id] = true
        end
      end
      assert.is_nil(next(ids, (next(ids)))) -- one id for all
    end
    close(clients)
  end)

  it("`except` excepts the client where it is", function()
    local room = fresh()
    local clients = enter(room)
    for i, client in ipairs(clients) do
      local answer, before = client:ask { send = room, event = "quietly", data = i }
      assert.is_string(answer.ok.id)
      for _, object in ipairs(before) do
        assert.equal("moonwire:presence", object.event)
      end
      for j, other in ipairs(clients) do
        if i ~= j then
          local said = next_of(other)
          assert.same({ "said", i, answer.ok.id }, { said.event, said.data, said.id })
        end
      end
    end
    close(clients)
  end)

  it("the script sends to each of them, kicks it, and closes it", function()
    local room = fresh()
    local clients = enter(room)
    for i, client in ipairs(clients) do
      assert.equal(1, get("/tell/" .. users[i], posts[i % WORKERS + 1]).count)
      local hint = next_of(client)
      assert.same({ "hint", "for " .. users[i] }, { hint.event, hint.data })
    end
    for i, client in ipairs(clients) do
      assert.equal(1, get(("/kick/%s/%s"):format(users[i], room:match "%d+")).count)
      local told = next_of(client)
      assert.equal("moonwire:unsubscribed", told.event)
      assert.equal("off you go", told.data.reason)
    end
    assert.equal(0, get("/present/" .. room:match "%d+").count)
    for i, client in ipairs(clients) do
      local is_one = i % 2 == 0
      assert.equal(1, get((is_one and "/close/one/" or "/close/") .. users[i]).count)
      local object, code = next_of(client)
      assert.is_nil(object)
      assert.equal(is_one and 4000 or 4403, code)
    end
    close(clients)
  end)

  it("closing a user closes all its connections", function()
    local clients = workers.open(app, WORKERS, function()
      local client = native.open(app, { target = "/ws?user=eve" })
      client:subscribe "room:eve"
      return client
    end)
    get "/close/eve"
    for _, client in ipairs(clients) do
      local object, code = next_of(client)
      assert.is_nil(object)
      assert.equal(4403, code)
    end
    close(clients)
  end)

  it("POST /send acts for a client of any worker, over a connection to any", function()
    local room = fresh()
    local streams = workers.open(app, WORKERS, function(i)
      local target = ("/sse?channel=%s&envelope=1&user=%s"):format(room, users[i])
      local stream = sse.open(app, target)
      stream.id = dkjson.decode(stream:event().data).data.client
      return stream
    end)
    local function read(stream)
      local push
      repeat
        push = dkjson.decode(stream:event().data)
      until push.event ~= "moonwire:presence"
      return push
    end
    for i, stream in ipairs(streams) do
      for j, post in ipairs(posts) do
        local function send(event)
          local response = post:request("POST", "/send?user=" .. users[i], {
            headers = { ["X-Moonwire-Client"] = stream.id },
            body = dkjson.encode { send = room, event = event, data = j, ref = j },
          })
          assert.equal(200, response.status, response.body)
          return dkjson.decode(response.body)
        end
        local answer = send "say"
        assert.equal(j, answer.ref)
        assert.is_true(send("typing").ok == true)
        for k, other in ipairs(streams) do
          local said = read(other)
          assert.same({ "said", answer.ok.id }, { said.event, said.id })
          assert.same({ from = users[i], text = j }, said.data)
          if k ~= i then
            assert.same({ "typing", j }, { read(other).event, j })
          end
        end
      end
    end
    -- Nobody acts for another user, whatever the worker.
    for _, post in ipairs(posts) do
      local response = post:request("POST", "/send?user=eve", {
        headers = { ["X-Moonwire-Client"] = streams[1].id },
        body = dkjson.encode { send = room, event = "say" },
      })
      assert.equal(403, response.status)
    end
    close(streams)
  end)

  it("a client polls over a connection to any worker, and stays the same", function()
    local room = fresh()
    local function poll(post, client, since)
      post:start(
        "GET",
        ("/poll?user=ann&channel=%s&client=%s&since=%s"):format(room, client, since)
      )
    end
    local function answer_of(post)
      local response = post:read()
      assert.equal(200, response.status, response.body)
      return dkjson.decode(response.body)
    end
    poll(posts[1], "", "0")
    local first = answer_of(posts[1])
    local client, since = first.client, first.id
    local n, seen = 0, {}
    for round = 1, 3 do
      for i, post in ipairs(posts) do
        poll(post, client, since)
        n = n + 1
        local other = posts[i % WORKERS + 1]
        if round == 2 then
          assert.equal(1, get("/tell/ann", other).count)
        else
          publish(other, { channel = room, event = "item", data = n })
          published(other)
        end
        local answer
        repeat
          answer = answer_of(post)
          since = answer.id
          assert.equal(client, answer.client)
          assert.same({}, answer.gaps)
          for _, message in ipairs(answer.messages) do
            if message.event ~= "moonwire:presence" then
              seen[#seen + 1] = message.event == "item" and message.data or message.event
            end
          end
          if #seen < n then
            poll(post, client, since)
          end
        until #seen >= n
      end
    end
    assert.same({ 1, 2, 3, 4, "hint", "hint", "hint", "hint", 9, 10, 11, 12 }, seen)
    assert.equal(1, get("/present/" .. room:match "%d+").count)
    get "/close/ann"
    poll(posts[2], client, since)
    assert.not_equal(client, answer_of(posts[2]).client)
  end)

  for _, kind in ipairs(reader.kinds) do
    it("the final message ends the channel on all, for " .. kind, function()
      local room = fresh()
      local readers = workers.open(app, WORKERS, function()
        return reader.open(kind, app, { room })
      end)
      publish(posts[2], { channel = room, event = "item", data = 1 })
      local first = published(posts[2])
      publish(posts[3], { channel = room, event = "item", data = 2, final = true })
      local last = published(posts[3])
      for _, one in ipairs(readers) do
        local list = {}
        repeat
          local push = assert(one:next())
          if push.event ~= "moonwire:presence" then
            list[#list + 1] = push
          end
        until push.event == "moonwire:end"
        assert.same({ first, last }, { list[1].id, list[2].id })
        assert.equal(3, #list)
      end
      close(readers)
      -- A client that returns to any worker receives the end there.
      for _, post in ipairs(posts) do
        local answer = get(("/poll?channel=%s&since=%s"):format(room, first), post)
        local seen = {}
        for i, message in ipairs(answer.messages) do
          seen[i] = message.id or message.event
        end
        assert.same({ last, "moonwire:end" }, seen)
        local again = ("/poll?channel=%s&since=%s"):format(room, answer.id)
        assert.equal(204, post:request("GET", again).status)
      end
    end)
  end

  it("an idempotency key counts on all: of publishes that meet, one is published", function()
    local room = fresh()
    local watcher = native.open(app)
    watcher:subscribe(room)
    for round = 1, 20 do
      local key = room .. "/" .. round
      for _, post in ipairs(posts) do
        publish(post, { channel = room, event = "item", data = round, idempotency_key = key })
      end
      local id = published(posts[1])
      for i = 2, WORKERS do
        assert.equal(id, published(posts[i]))
      end
      local push = next_of(watcher)
      assert.same({ id, round }, { push.id, push.data })
    end
    close { watcher }
  end)

  it("an idempotency key of a send counts on all: its handler runs once", function()
    local room = fresh()
    local body = dkjson.encode { send = room, event = "say", data = 1, idempotency_key = room }
    for _, post in ipairs(posts) do
      post:start("POST", "/send?user=ann", { body = body })
    end
    local answers = {}
    for i, post in ipairs(posts) do
      answers[i] = dkjson.decode(post:read().body)
    end
    local first = answers[1].ok
    assert.is_table(first, dkjson.encode(answers))
    assert.is_string(first.id)
    for i = 2, WORKERS do
      assert.same(first, answers[i].ok)
    end
    local clients = enter(room)
    assert.same(
      first,
      clients[1]:ask({ send = room, event = "say", data = 1, idempotency_key = room }).ok
    )
    close(clients)
  end)
end)

-- A handler that does not return until the spec lets it: it waits in a function of a C library, or it computes.
local blocking_script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { waiting = 5, answer_seconds = 60 } }
local folder = %q
local waits = {
  library = function() io.open(folder .. "/gate"):read "a" end,
  loop = function()
    local x = 0
    while not io.open(folder .. "/go") do
      for i = 1, 100000 do x = (x * 31 + i) %% 65537 end
    end
  end,
}
app:channel("room", { history = { size = 10000 }, relay = { note = { keep = true } } })
app:channel("script", { on = {
  wait = function(_, _, message)
    app.log.info "waiting"
    waits[message.data]()
    return app:publish("room", "waited", message.data)
  end,
} })
app:channel("asked", { authorize = function() return true end })
app:get("/route", function() return { ok = true } end)
return app
]]

describe("while a handler does not return,", function()
  local folder, app

  before_each(function()
    folder = server.run "mktemp -d"
    server.run("mkfifo " .. folder .. "/gate")
    app = server.start { script = blocking_script:format(folder), workers = WORKERS }
  end)

  after_each(function()
    assert(io.open(folder .. "/gate", "r+")):close() -- a handler that still waits
    assert(io.open(folder .. "/go", "w")):close()
    app:stop()
    server.run("rm -rf " .. folder)
  end)

  local releases = {
    library = function()
      assert(io.open(folder .. "/gate", "w")):close()
    end,
    loop = function()
      assert(io.open(folder .. "/go", "w")):close()
    end,
  }

  -- Publishes `count` messages over each of the connections in turn, half of them one by one; the ids in order.
  local function publish(posts, count, ids)
    local headers = { Authorization = "Bearer key" }
    local function post(i, body)
      local response = posts[i]:request("POST", "/publish", { headers = headers, body = body })
      assert.equal(200, response.status, response.body)
      return dkjson.decode(response.body)
    end
    for i = 1, #posts do
      local array = {}
      for n = 1, count do
        if n % 2 == 1 then
          local body = dkjson.encode { channel = "room", event = "item", data = n }
          ids[#ids + 1] = assert(post(i, body).id)
        else
          for k = 1, 10 do
            array[k] = { channel = "room", event = "item", data = k }
          end
          for _, answer in ipairs(post(i, dkjson.encode(array))) do
            ids[#ids + 1] = assert(answer.id, dkjson.encode(answer))
          end
        end
      end
    end
  end

  for _, how in ipairs { "library", "loop" } do
    it("in a " .. how .. ", workers publish, relay, replay, and answer", function()
      local posts = workers.connect(app, WORKERS)
      local clients = workers.open(app, WORKERS, function()
        local client = native.open(app, { timeout = 30 })
        client:subscribe "script"
        client:subscribe "room"
        client.seen, client.own = {}, {}
        return client
      end)
      clients[1]:write { send = "script", event = "wait", data = how, ref = "waits" }
      assert.is_string(app:await_log "waiting")
      -- More wait for it than limits.waiting allows: the others are refused, and publishes are not.
      local crowd = {}
      for i = 1, 10 do
        crowd[i] = native.open(app, { timeout = 30 })
        crowd[i]:write { subscribe = "asked", ref = 1 }
      end
      local ids = {}
      publish(posts, 40, ids)
      for i, post in ipairs(posts) do
        assert.equal(200, post:request("GET", "/health").status)
        local client = clients[i % (WORKERS - 1) + 2] -- one that does not wait
        local noted, before = client:ask { send = "room", event = "note", data = i }
        table.move(before, 1, #before, #client.seen + 1, client.seen)
        ids[#ids + 1] = assert(noted.ok.id)
        -- It does not receive its own. Its acknowledgement may come before what other workers have published earlier.
        client.own[#client.own + 1] = { id = noted.ok.id }
        -- Its worker may not have taken the note yet.
        local answer
        repeat
          answer = dkjson.decode(post:request("GET", "/poll?channel=room&since=0").body)
        until #answer.messages == #ids
        local newcomer = reader.open("an event stream", app, { "room" }, { since = ids[#ids - 1] })
        assert.equal(ids[#ids], newcomer:next().id)
        newcomer:cut()
      end
      -- Each has received everything, in one order.
      publish(posts, 2, ids)
      for _, client in ipairs(clients) do
        local seen = client.seen
        while #seen == 0 or seen[#seen].id ~= ids[#ids] do
          seen[#seen + 1] = client:next()
        end
        for i = 2, #seen do
          assert.is_true(seen[i - 1].id < seen[i].id)
        end
        table.move(client.own, 1, #client.own, #seen + 1, seen)
        table.sort(seen, function(a, b)
          return a.id < b.id
        end)
        for i, id in ipairs(ids) do
          assert.equal(id, seen[i].id)
        end
      end
      releases[how]()
      local answer, waited
      repeat
        local object = clients[1]:next()
        waited = object.event == "waited" and object or waited
        answer = object.ref == "waits" and object
      until answer
      assert.equal(waited.id, answer.ok) -- and before the acknowledgement
      local codes = { ok = 0, unavailable = 0 }
      for _, client in ipairs(crowd) do
        local object = client:next()
        local code = object.ok and "ok" or object.error.code
        codes[code] = (codes[code] or 0) + 1
        client:cut()
      end
      assert.same({ ok = 4, unavailable = 6 }, codes)
      for _, one in ipairs(posts) do
        assert.equal(200, one:request("GET", "/route").status)
        one.connection:close()
      end
      for _, client in ipairs(clients) do
        client:cut()
      end
    end)
  end
end)

local busy_script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { drain_seconds = 40, outbox = 100000, history = 1000000 } }
local joined, opened = 0, 0
app:channel("room", {
  history = { size = 200, ttl = 1 },
  presence = { linger = 0, interval = 0.01 },
  relay = { note = { keep = true } },
  on_open = function() opened = opened + 1 end,
  on_join = function() joined = joined + 1 end,
  on_leave = function() moonwire.sleep(0.001) joined = joined - 1 end,
  on_close = function() opened = opened - 1 app.log.info("closed with %d joined, %d opened", joined, opened) end,
})
app:every(0.002, function()
  for n = 1, 5 do app:publish("room", "item", n) end
end)
return app
]]

it("four workers stop while they are busy, within drain_seconds", function()
  for _, signal in ipairs { "TERM", "INT" } do
    local app = server.start { script = busy_script, workers = WORKERS }
    local peer = assert(io.popen(("node spec/support/busy.mjs %s key 8 2>&1"):format(app.address)))
    assert.equal("busy", peer:read "l")
    local code, _, log = app:finish(signal)
    local text = peer:read "a"
    assert.is_true(peer:close(), text)
    assert.equal(0, code, log) -- 3: objects were left alive
    assert.matches("closed with 0 joined, 0 opened", log)
    assert.not_matches("drain_seconds", log)
    local ends = dkjson.decode(text)
    for _, name in ipairs { "streams", "sockets", "polls", "stalled", "publishers" } do
      assert.equal(8, ends[name], name)
    end
    assert.is_true(ends.published > 0)
  end
end)

local limited_script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { connections = 12, user_connections = 3, rate = 0.001, burst = 5 } }
app:authenticate(function(request)
  local user = request.query.user
  return user and { id = user } or true
end)
app:channel("room", { authorize = true, presence = true, limits = { members = 3 }, relay = { "note" } })
return app
]]

describe("over four workers,", function()
  local app, opened

  before_each(function()
    app = server.start { script = limited_script, workers = WORKERS }
    opened = {}
  end)

  after_each(function()
    for _, client in ipairs(opened) do
      client:cut()
    end
    app:stop()
  end)

  -- A WebSocket on each worker, of the user that `name(i)` returns.
  local function open(name)
    return workers.open(app, WORKERS, function(i)
      opened[i] = native.open(app, { target = "/ws?user=" .. name(i), protocol = "moonwire.1" })
      return opened[i]
    end)
  end

  local function codes(clients, object)
    local count = {}
    for _, client in ipairs(clients) do
      local answer = client:ask(object)
      local code = answer.ok and "ok" or answer.error.code
      count[code] = (count[code] or 0) + 1
    end
    return count
  end

  local empty = setmetatable({}, { __jsontype = "object" })

  it("limits.connections counts all", function()
    local kept, refused = {}, 0
    for _ = 1, 20 do
      local connection = http.connect(app)
      connection:send(http.format("GET", "/health"))
      if pcall(connection.read_head, connection) then
        kept[#kept + 1] = connection
      else
        refused = refused + 1
      end
    end
    assert.same({ 12, 8 }, { #kept, refused })
    for _, connection in ipairs(kept) do
      connection:close()
    end
  end)

  it("limits.user_connections counts those of a user", function()
    local clients = open(function()
      return "ann"
    end)
    assert.same({ ok = 3, rate_limited = 1 }, codes(clients, { connect = empty }))
  end)

  it("members are counted", function()
    local clients = open(function(i)
      return users[i]
    end)
    assert.same({ ok = 4 }, codes(clients, { connect = empty }))
    assert.same({ ok = 3, refused = 1 }, codes(clients, { subscribe = "room" }))
  end)

  it("a user has one rate", function()
    local clients = open(function(i)
      return i <= 3 and "ann" or "ben"
    end)
    assert.same({ ok = 4 }, codes(clients, { connect = empty }))
    assert.same({ ok = 4 }, codes(clients, { subscribe = "room" }))
    clients[4] = nil
    local count = { ok = 0, rate_limited = 0 }
    for _ = 1, 4 do
      for code, times in pairs(codes(clients, { send = "room", event = "note" })) do
        count[code] = count[code] + times
      end
    end
    assert.same({ ok = 5, rate_limited = 7 }, count)
  end)
end)

local history_script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { history = 20000 } }
app:channel("c:{n}", { history = { size = 5, ttl = 1 } })
app:get("/stats", function() return app:stats() end)
return app
]]

-- scripts/soak alternate has a million messages.
it("a client that moves with each poll or connection receives what one that stays does", function()
  local app = server.start { script = history_script, workers = WORKERS }
  local messages = os.getenv "MOONWIRE_FLAVOUR" and 6000 or 20000 -- with sanitizers, everything takes longer
  local output = server.peer("support/alternate.mjs", app.address, "key", messages, 20, 1)
  local result = dkjson.decode(output)
  for kind, counts in pairs(result.kinds) do
    assert.is_true(counts.messages > 0, kind)
    local moves = kind:find "alternates" and 2 or 0
    assert.is_true(counts.moves >= moves, kind)
  end
  -- The histories are so short that clients miss messages.
  assert.is_true(result.kinds["a poll that alternates"].gaps > 0)
  local stats = dkjson.decode(http.get(app, "/stats").body)
  assert.equal(0, stats.floor_gaps)
  assert.is_true(stats.evicted > 0)
  app:stop()
end)
