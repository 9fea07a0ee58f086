-- Subscribers that do not read: each channel says what becomes of them, memory is bounded, and the others notice nothing.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local socket = require "socket"
local http = require "spec.support.http"
local reader = require "spec.support.reader"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { outbox = %d, message_size = 100000, progress_seconds = %d, replay_bytes = 100000000,
  heartbeat_seconds = 600, ping_seconds = 600 } } -- a slow machine may need long to publish, while some do not read
local slow = {}
local function on_slow(client, channel)
  local key = client.id .. " " .. channel.name
  slow[key] = (slow[key] or 0) + 1
end
local on_leave = function(client) app.log.info("%%s left", client.id) end
local on = {
  say = function(client, channel, message)
    client:send("heard", message.data)
    return message.data
  end,
}
local function define(pattern, given)
  given.on_slow, given.on_leave, given.on = on_slow, on_leave, on
  app:channel(pattern, given)
end
define("ring:{name}", { history = { size = 50 } })
define("long:{name}", { history = { size = 5000 } })
define("plain:{name}", {})
define("close:{name}", { history = { size = 5000 }, slow = "close" })
define("drop:{name}", { history = { size = 5000 }, slow = "drop" })
define("latest:{name}", { slow = "latest", limits = { outbox = 4000000 } })
define("narrow:{name}", { slow = "latest" })
define("aged:{name}", { limits = { outbox = 1000000000, age = 0.2 } })

local text = ("x"):rep(100000)
app:post("/publish/{kind}/{name}", function(request)
  local query = request.query
  local options = { volatile = query.volatile == "1", key = query.key }
  local size = tonumber(query.bytes or 50000)
  local name = request.params.kind .. ":" .. request.params.name
  return { id = app:publish(name, "item", { n = tonumber(query.n), text = text:sub(1, size) }, options) }
end)
app:post("/round/{round}", function(request)
  for symbol = 1, 1000 do
    app:publish("latest:all", "price", { symbol = symbol, round = tonumber(request.params.round), text = text:sub(1, 1500) },
      { key = tostring(symbol) })
  end
  return 204
end)
app:get("/stats", function() return app:stats() end)
app:get("/slow", function() return slow end)
app:get("/big", function() return text end)
return app
]]

-- What AddressSanitizer keeps of freed memory would look like ours.
local env = "ASAN_OPTIONS=quarantine_size_mb=1:" .. (os.getenv "ASAN_OPTIONS" or "")

local OUTBOX = 262144

-- MiB that a run may add: the ring, one outbox, what a good subscriber needs, and for each further
-- worker what the allocator and its sanitizer keep for a thread.
local WORKERS = math.tointeger(os.getenv "MOONWIRE_SPEC_WORKERS") or 1
local function assert_grown_by(app, before, most)
  local grown = app:rss() - before
  assert.is_true(grown < (most + 4 * (WORKERS - 1)) * 1024, ("%d KiB more"):format(grown))
end

local function start(outbox, progress_seconds)
  return server.start { script = script:format(outbox or OUTBOX, progress_seconds or 600), env = env }
end

-- Publishes to "ring:a" and so on, one request after the other on one connection.
local function publisher(app)
  local connection = http.connect(app)
  local self = {}
  function self.post(target)
    connection:send(http.format("POST", target, { body = "" }))
    local response = connection:read_response()
    assert.is_true(response.status < 300, response.body)
    return response.body
  end
  function self.publish(channel, n, options)
    return dkjson.decode(
      self.post(("/publish/%s?n=%d%s"):format(channel:gsub(":", "/"), n, options or ""))
    ).id
  end
  -- Items `from` to `to` of a channel; a good subscriber reads each of them before the next.
  function self.flood(channel, from, to, good, options)
    for n = from, to do
      self.publish(channel, n, options)
      if good then
        local push = good:next()
        assert.equal("item", push.event)
        assert.equal(n, push.data.n)
      end
    end
  end
  function self.close()
    connection:close()
  end
  return self
end

local function stats(app)
  return dkjson.decode(http.get(app, "/stats").body)
end

-- Waits until the server has counted something so often. Who reads before may take what should have been too much.
local function await_count(app, name, count)
  local deadline = socket.gettime() + 60
  while stats(app)[name] < count do
    assert(socket.gettime() < deadline, ("%s is not %d"):format(name, count))
    socket.sleep(0.02)
  end
end

-- The numbers of pushes in words: "1-50 gap 251-300".
local function summary(list)
  local words, first, last = {}, nil, nil
  local function finish()
    if first then
      words[#words + 1] = first == last and tostring(first) or ("%d-%d"):format(first, last)
    end
    first = nil
  end
  for _, push in ipairs(list) do
    local n = push.event == "item" and math.tointeger(push.data.n)
    if not n or not first or n ~= last + 1 then
      finish()
      first = n or nil
    end
    last = n
    if not n then
      words[#words + 1] = push.event:gsub("moonwire:", "")
    end
  end
  finish()
  return table.concat(words, " ")
end

local function is_item(n)
  return function(push)
    return push.event == "item" and push.data.n == n
  end
end

-- What the kernel holds for a connection if nobody reads is, with this buffer, what it lets the server send: at most 4 MiB.
local SMALL = { receive_buffer = 65536 }
-- 10 MB: more than that. 20 MB where memory is measured: more by far than what it may grow by.
local COUNT, MANY = 200, 400

for _, kind in ipairs(reader.kinds) do
  describe("of " .. kind, function()
    local app, good, slow, out

    local function begin(channel, outbox)
      app = start(outbox)
      good, slow = reader.open(kind, app, { channel }), reader.open(kind, app, { channel }, SMALL)
      out = publisher(app)
    end

    after_each(function()
      for _, each in ipairs { good, slow } do
        each:cut()
      end
      out.close()
      app:stop()
    end)

    local function assert_told(channel, count)
      local told = dkjson.decode(http.get(app, "/slow").body)
      local total = 0
      for key, times in pairs(told) do
        assert.equal(channel, key:match " (.*)$")
        if slow.id then
          assert.equal(slow.id, key:match "^%S+")
        end
        total = total + times
      end
      assert.equal(count, total)
    end

    it("catchup tells a gap behind what the ring no longer holds, and goes on", function()
      begin "ring:a"
      out.flood("ring:a", 1, 20, good)
      local before = app:rss()
      out.flood("ring:a", 21, MANY, good)
      assert_grown_by(app, before, 12)
      assert.is_true(stats(app).history_bytes < 50 * 3 * 51000)
      await_count(app, "slow", 1)
      local list = slow:read_until(is_item(MANY))
      assert.matches(("^1%%-%%d+ gap %d%%-%d$"):format(MANY - 49, MANY), summary(list))
      out.flood("ring:a", MANY + 1, MANY + 20, good)
      assert.equal(
        ("%d-%d"):format(MANY + 1, MANY + 20),
        summary(slow:read_until(is_item(MANY + 20)))
      )
      assert_told("ring:a", 1)
      local now = stats(app)
      assert.same(
        { 1, 0, 0, 0, 1 },
        { now.slow, now.slow_closed, now.slow_dropped, now.slow_replaced, now.gaps }
      )
    end)

    it("catchup has no gap and no hole if the history reaches", function()
      begin "long:a"
      out.flood("long:a", 1, COUNT, good)
      await_count(app, "slow", 1)
      assert.equal("1-" .. COUNT, summary(slow:read_until(is_item(COUNT))))
      -- a second time, and while it reads there is more
      out.flood("long:a", COUNT + 1, 2 * COUNT, good)
      await_count(app, "slow", 2)
      local more = slow:read_until(is_item(COUNT + 100))
      out.flood("long:a", 2 * COUNT + 1, 2 * COUNT + 50, good)
      for _, push in ipairs(slow:read_until(is_item(2 * COUNT + 50))) do
        more[#more + 1] = push
      end
      assert.equal(("%d-%d"):format(COUNT + 1, 2 * COUNT + 50), summary(more))
      assert_told("long:a", 2)
      assert.equal(0, stats(app).gaps)
    end)

    it("catchup lets go of what is volatile, and of nothing else", function()
      begin "long:a"
      out.flood("long:a", 1, COUNT, good)
      await_count(app, "slow", 1)
      out.flood("long:a", COUNT + 1, COUNT + 10, good, "&volatile=1")
      out.flood("long:a", COUNT + 11, COUNT + 20, good)
      assert.equal(
        ("1-%d %d-%d"):format(COUNT, COUNT + 11, COUNT + 20),
        summary(slow:read_until(is_item(COUNT + 20)))
      )
      assert.equal(10, stats(app).slow_dropped)
    end)

    for _, channel in ipairs { "close:a", "plain:a" } do
      it("close is the end, said as its transport says it, on " .. channel, function()
        local count = channel == "plain:a" and MANY or COUNT
        begin(channel)
        out.flood(channel, 1, 20, good)
        local before = app:rss()
        out.flood(channel, 21, count, good)
        if channel == "plain:a" then
          assert_grown_by(app, before, 12)
        end
        await_count(app, "slow_closed", 1)
        local list, code = slow:read_until(function()
          return false
        end)
        assert.equal("1-" .. #list, summary(list))
        assert.is_true(#list < count)
        if kind == "a WebSocket" then
          assert.equal(1013, code)
        end
        assert_told(channel, 1)
        assert.equal(1, stats(app).slow_closed)
        -- who returns has lost nothing, or is told
        slow:cut()
        slow = reader.open(kind, app, { channel }, { since = list[#list].id })
        out.flood(channel, count + 1, count + 1, good)
        local rest = summary(slow:read_until(is_item(count + 1)))
        if channel == "close:a" then
          assert.equal(("%d-%d"):format(#list + 1, count + 1), rest)
        elseif kind == "a WebSocket" then
          assert.is_false(slow.recovered)
          assert.equal(tostring(count + 1), rest)
        else
          assert.equal("gap " .. count + 1, rest)
        end
      end)
    end

    it("drop tells a gap in place of what it let go", function()
      begin "drop:a"
      out.flood("drop:a", 1, COUNT, good)
      await_count(app, "slow", 1)
      local list = slow:read_until(function(push)
        return push.event == "moonwire:gap"
      end)
      local last = #list - 1
      assert.equal(("1-%d gap"):format(last), summary(list))
      assert.is_true(last < COUNT)
      assert.same({ channel = "drop:a" }, list[#list].data)
      out.flood("drop:a", COUNT + 1, COUNT + 20, good)
      assert.equal(
        ("%d-%d"):format(COUNT + 1, COUNT + 20),
        summary(slow:read_until(is_item(COUNT + 20)))
      )
      assert_told("drop:a", 1)
      local now = stats(app)
      assert.same(
        { 1, 0, COUNT - last, 1 },
        { now.slow, now.slow_closed, now.slow_dropped, now.gaps }
      )
      -- behind the gap it stands where it is: a return does not bring back what was let go
      slow:cut()
      slow = reader.open(kind, app, { "drop:a" }, { since = out.publish("drop:a", COUNT + 21) })
      out.publish("drop:a", COUNT + 22)
      assert.equal(tostring(COUNT + 22), summary(slow:read_until(is_item(COUNT + 22))))
    end)

    it("latest ends with the newest of each of 1,000 keys", function()
      begin "latest:all"
      local rounds = 10 -- 15 MB
      for round = 1, rounds do
        out.post("/round/" .. round)
        for _ = 1, 1000 do
          good:next()
        end
      end
      await_count(app, "slow", 1)
      local state, count, seen = {}, 0, 0
      while seen < 1000 do
        local push = slow:next()
        assert.equal("price", push.event)
        local symbol, round = push.data.symbol, push.data.round
        assert.is_true(round > (state[symbol] or 0), "it goes back")
        state[symbol] = round
        count = count + 1
        seen = seen + (round == rounds and 1 or 0)
      end
      for symbol = 1, 1000 do
        assert.equal(rounds, state[symbol])
      end
      assert.is_true(count < rounds * 1000)
      assert_told("latest:all", 1)
      local now = stats(app)
      assert.equal(rounds * 1000 - count, now.slow_replaced)
      assert.same({ 1, 0, 0, 0 }, { now.slow, now.slow_closed, now.slow_dropped, now.gaps })
    end)

    it("latest closes if the newest of all keys are over the limit", function()
      begin "narrow:a"
      for n = 1, COUNT do
        out.publish("narrow:a", n, "&key=" .. n)
        good:next()
      end
      await_count(app, "slow_closed", 1)
      local _, code = slow:read_until(function()
        return false
      end)
      assert.equal(kind == "a WebSocket" and 1013 or nil, code)
      assert.equal(1, stats(app).slow_closed)
    end)

    it("what waits for too long makes slow as well", function()
      begin "aged:a"
      out.flood("aged:a", 1, COUNT, good)
      socket.sleep(0.3)
      out.flood("aged:a", COUNT + 1, COUNT + 1, good)
      await_count(app, "slow_closed", 1)
      local list, code = slow:read_until(function()
        return false
      end)
      assert.equal("1-" .. #list, summary(list))
      assert.is_true(#list < COUNT)
      assert.equal(kind == "a WebSocket" and 1013 or nil, code)
      assert.equal(1, stats(app).slow_closed)
    end)

    it("channels of one connection are each treated by their own choice", function()
      app, out = start(), nil
      out = publisher(app)
      good = reader.open(kind, app, { "long:a", "drop:b" })
      slow = reader.open(kind, app, { "long:a", "drop:b" }, SMALL)
      for n = 1, COUNT do
        out.publish(n % 2 == 0 and "long:a" or "drop:b", n)
        assert.equal(n, good:next().data.n)
      end
      await_count(app, "slow", 1)
      local list = slow:read_until(is_item(COUNT))
      local next_even, gaps, last_id, odd = 2, 0, "", 0
      for _, push in ipairs(list) do
        if push.event == "moonwire:gap" then
          assert.same({ channel = "drop:b" }, push.data)
          gaps = gaps + 1
        else
          assert.is_true(push.id > last_id, "ids must grow")
          last_id = push.id
          if push.data.n % 2 == 0 then
            assert.equal(next_even, push.data.n)
            next_even = next_even + 2
          else
            assert.equal(0, gaps, "nothing of the channel was left")
            odd = odd + 1
          end
        end
      end
      assert.equal(1, gaps)
      assert.is_true(odd > 0 and odd < COUNT / 2)
    end)

    it("one channel that closes, closes for all", function()
      app = start()
      out = publisher(app)
      good = reader.open(kind, app, { "long:a", "close:b" })
      slow = reader.open(kind, app, { "long:a", "close:b" }, SMALL)
      out.flood("long:a", 1, COUNT, good)
      await_count(app, "slow_closed", 1)
      local list, code = slow:read_until(function()
        return false
      end)
      assert.equal("1-" .. #list, summary(list))
      assert.equal(kind == "a WebSocket" and 1013 or nil, code)
    end)
  end)
end

describe("acknowledgements and what is sent to one client", function()
  it("are kept while it does not read, each in its order", function()
    local app = start()
    local out = publisher(app)
    local slow = reader.open("a WebSocket", app, { "ring:a" }, SMALL)
    for n = 1, 200 do
      out.publish("ring:a", n)
      slow.client:write { send = "ring:a", event = "say", data = n, ref = n }
    end
    out.flood("ring:a", 201, MANY)
    local list = slow:read_until(is_item(MANY))
    local heard, answered, items = 0, 0, {}
    for _, push in ipairs(list) do
      if push.event == "heard" then
        assert.equal(heard + 1, push.data)
        assert.equal(answered, heard, "the push comes before the acknowledgement")
        heard = heard + 1
      elseif push.ref then
        assert.equal(answered + 1, push.ref)
        assert.equal(push.ref, push.ok)
        answered = answered + 1
      else
        items[#items + 1] = push
      end
    end
    assert.same({ 200, 200 }, { heard, answered })
    assert.matches(("^1%%-%%d+ gap %d%%-%d$"):format(MANY - 49, MANY), summary(items))
    slow:cut()
    out.close()
    app:stop()
  end)

  it("have a limit of their own, and then it is closed", function()
    local app = start()
    local out = publisher(app)
    local slow = reader.open("a WebSocket", app, { "ring:a" }, SMALL)
    out.flood("ring:a", 1, COUNT)
    local data = ("x"):rep(20000)
    for ref = 1, 40 do
      slow.client:write { send = "ring:a", event = "say", data = data, ref = ref }
    end
    await_count(app, "slow_closed", 1)
    local _, code = slow:read_until(function()
      return false
    end)
    assert.equal(1013, code)
    assert.equal(1, stats(app).slow_closed)
    slow:cut()
    out.close()
    app:stop()
  end)
end)

describe("a subscriber that never reads", function()
  local function open(app, options)
    return reader.open("an event stream of envelopes", app, { "plain:flood" }, options)
  end

  it("is let go when it takes nothing for too long, whatever its outbox still holds", function()
    local app = start(1073741824, 1)
    local out, good, slow = publisher(app), open(app), open(app, SMALL)
    out.flood("plain:flood", 1, COUNT, good)
    assert.is_string(app:await_log(slow.id .. " left"), "it is still there")
    out.flood("plain:flood", COUNT + 1, COUNT + 10, good)
    for _, each in ipairs { slow, good } do
      each:cut()
    end
    out.close()
    app:stop()
  end)

  it("costs no more than its outbox, however many there are", function()
    local app = start()
    local out, good = publisher(app), open(app)
    local slow = {}
    for i = 1, 10 do
      slow[i] = open(app, SMALL)
    end
    out.flood("plain:flood", 1, 20, good)
    local before = app:rss()
    out.flood("plain:flood", 21, MANY, good)
    -- ten outboxes, and what a good subscriber needs; not ten times what was published
    assert_grown_by(app, before, 12)
    for i = 1, 10 do
      assert.is_string(app:await_log(slow[i].id .. " left"), "it is still there")
      slow[i].connection:read_rest() -- raises if the connection stays open
      slow[i]:cut()
    end
    good:cut()
    out.close()
    app:stop()
  end)

  it("does not hold up the end of the server", function()
    local app = start(1073741824, 60)
    local out, slow = publisher(app), open(app, SMALL)
    out.flood("plain:flood", 1, COUNT)
    out.close()
    app:stop()
    slow:cut()
  end)

  it("does not hold it up while it is behind, either", function()
    local app = start()
    local out, slow = publisher(app), reader.open("a WebSocket", app, { "long:a" }, SMALL)
    out.flood("long:a", 1, COUNT)
    out.close()
    app:stop()
    slow:cut()
  end)
end)

describe("a client that sends requests and does not read the answers", function()
  local app, client, before

  before_each(function()
    app = start()
    client = http.connect(app)
    http.get(app, "/big")
    before = app:rss()
  end)

  after_each(function()
    client:close()
    app:stop()
  end)

  local function assert_bounded()
    for _ = 1, 20 do
      assert.equal(100000, #http.get(app, "/big").body)
    end
    assert_grown_by(app, before, 12)
  end

  it("gets them all when it reads, if they are slow to come by", function()
    client:send(http.format("GET", "/big"):rep(1000)) -- 100 MB of answers
    assert_bounded()
    for _ = 1, 1000 do
      assert.equal(100000, #client:read_response().body)
    end
  end)

  it("is not read from any more, if they come at once", function()
    client.timeout = 2
    local _, fault = client:send(http.format("GET", "/nothing"):rep(1000000)) -- 200 MB of answers
    assert.equal("timeout", fault)
    assert_bounded()
  end)
end)

describe("who returns to more than an outbox holds", function()
  it("is fed it as it reads", function()
    local app = start()
    local out = publisher(app)
    out.flood("long:a", 1, MANY)
    local before = app:rss()
    local slow = {}
    for i = 1, 5 do
      slow[i] = sse.open(app, "/sse?channel=long:a&since=0")
    end
    out.publish("long:a", MANY + 1)
    assert_grown_by(app, before, 8)
    for _, stream in ipairs(slow) do
      for n = 1, MANY + 1 do
        assert.equal(n, dkjson.decode(stream:event().data).n)
      end
      stream:close()
    end
    assert.same({ 0, 0 }, { stats(app).slow, stats(app).gaps })
    out.close()
    app:stop()
  end)
end)
