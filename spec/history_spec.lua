-- What channels keep: its bounds, and how the app, its clients, newcomers and those who return get at it.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"
local native = require "spec.support.native"
local reader = require "spec.support.reader"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "k", limits = {%s} }
app:channel("kept:{name}", { history = { size = 200, readable = true }, relay = { note = { keep = true } } })
app:channel("closed:{name}", { history = { size = 200 } })
app:channel("last:{name}", { history = { size = 1 } })
app:channel("some:{name}", { history = { size = 200, replay = 3 } })
app:channel("weighed:{name}", { history = { size = 10000, bytes = 100000 } })
app:channel("brief:{name}", { history = { size = 100, ttl = 0.3 } })
app:channel("plain:{name}", {})

app:post("/publish/{channel}", function(request)
  local query, ids = request.query, {}
  local text = query.bytes and ("x"):rep(tonumber(query.bytes))
  for n = tonumber(query.from), tonumber(query.to) do
    ids[#ids + 1] = app:publish(request.params.channel, "item", { n = n, text = text }, { key = query.key, volatile = query.volatile == "1" })
  end
  return { ids = moonwire.array(ids) }
end)
app:post("/binary/{channel}", function(request)
  return { id = app:publish(request.params.channel, "bytes", "\0\255", { binary = true }) }
end)
app:post("/history/{channel}", function(request)
  local channel = app:find(request.params.channel)
  if not channel then
    return 404
  end
  local ok, list, more = pcall(channel.history, channel, request.body ~= "" and request:json() or nil)
  if not ok then
    return { raised = list }
  end
  local messages = moonwire.array {}
  for i, message in ipairs(list) do
    messages[i] = { id = message.id, event = message.event, data = message.data, raw = message.raw, key = message.key,
      from = message.from, age = message.age, bytes = message.binary and #message.binary }
  end
  return { messages = messages, more = more }
end)
app:get("/stats", function() return app:stats() end)
return app
]]

local function start(limits)
  return server.start(script:format(limits or ""))
end

local function post(app, target, body)
  local response = http.request(app, "POST", (target:gsub(":", "%%3A")), { body = body or "" })
  assert.equal(200, response.status, response.body)
  return dkjson.decode(response.body)
end

local function publish(app, channel, from, to, options)
  return post(app, ("/publish/%s?from=%d&to=%d%s"):format(channel, from, to, options or "")).ids
end

local function numbers(messages)
  local list = {}
  for i, message in ipairs(messages) do
    list[i] = math.tointeger(message.data.n)
  end
  return list
end

-- "3 4 5 more" for what the app reads of a channel.
local function kept(app, channel, query)
  local result = post(app, "/history/" .. channel, query and dkjson.encode(query))
  assert.is_nil(result.raised, result.raised)
  return table.concat(numbers(result.messages), " ") .. (result.more and " more" or "")
end

local function range(from, to)
  local list = {}
  for n = from, to do
    list[#list + 1] = n
  end
  return table.concat(list, " ")
end

describe("channel:history", function()
  local app
  local names = 0

  setup(function()
    app = start()
  end)

  teardown(function()
    app:stop()
  end)

  local function fresh(kind)
    names = names + 1
    return kind .. ":" .. names
  end

  it("gives the newest hundred, and says that there are more", function()
    local name = fresh "kept"
    publish(app, name, 1, 100)
    assert.equal(range(1, 100), kept(app, name))
    publish(app, name, 101, 150)
    assert.equal(range(51, 150) .. " more", kept(app, name))
    publish(app, name, 151, 250)
    assert.equal(range(51, 250), kept(app, name, { limit = 1000 }))
  end)

  it("gives what lies between two ids", function()
    local name = fresh "kept"
    local ids = publish(app, name, 1, 10)
    assert.equal("9 10 more", kept(app, name, { limit = 2 }))
    assert.equal("4 5 6 7 8 9 10", kept(app, name, { since = ids[3] }))
    assert.equal("4 5 more", kept(app, name, { since = ids[3], limit = 2 }))
    assert.equal("1 2 3 4", kept(app, name, { before = ids[5] }))
    assert.equal("3 4 more", kept(app, name, { before = ids[5], limit = 2 }))
    assert.equal("3 4", kept(app, name, { since = ids[2], before = ids[5] }))
    assert.equal("3 more", kept(app, name, { since = ids[2], before = ids[5], limit = 1 }))
    assert.equal("", kept(app, name, { since = ids[5], before = ids[6] }))
    assert.equal("", kept(app, name, { since = ids[6], before = ids[3] }))
    assert.equal("", kept(app, name, { since = ids[10] }))
    assert.equal("", kept(app, name, { before = ids[1] }))
    assert.equal("1 2 more", kept(app, name, { since = "0", limit = 2 }))
  end)

  it("takes an id of another epoch for older than everything", function()
    local name = fresh "kept"
    publish(app, name, 1, 3)
    assert.equal("1 2 more", kept(app, name, { since = "zzzzzzzz-0000000000000002", limit = 2 }))
    assert.equal("", kept(app, name, { before = "zzzzzzzz-0000000000000002" }))
  end)

  it("gives each message with all that is known of it", function()
    local name = fresh "kept"
    local client = native.open(app)
    client:subscribe(name)
    local id = publish(app, name, 1, 1, "&key=k1")[1]
    publish(app, name, 2, 2, "&volatile=1")
    local note = client:ask({ send = name, event = "note", data = { "x" } }).ok.id
    local bytes = post(app, "/binary/" .. name).id
    local list = post(app, "/history/" .. name).messages
    for _, message in ipairs(list) do
      assert.is_true(message.age >= 0 and message.age < 60)
      message.age = nil
    end
    assert.is_string(list[2].from)
    list[2].from = nil
    assert.same({
      { id = id, event = "item", data = { n = 1 }, raw = '{"n":1}', key = "k1" },
      { id = note, event = "note", data = { "x" }, raw = '["x"]' },
      { id = bytes, event = "bytes", bytes = 2 },
    }, list)
    client:cut()
  end)

  it("is empty on a channel without history", function()
    local client = native.open(app)
    local name = fresh "plain"
    client:subscribe(name)
    publish(app, name, 1, 3)
    assert.equal("", kept(app, name))
    client:close()
  end)

  it("raises for a bad id and an unknown option", function()
    local name = fresh "kept"
    publish(app, name, 1, 1)
    local cases = {
      { { since = "rubbish" }, 'channel:history: since is not a message id: "rubbish"' },
      { { before = "x" }, 'channel:history: before is not a message id: "x"' },
      { { limit = 0 }, "channel:history: option 'limit' must be a positive integer, got 0" },
      { { last = 1 }, "channel:history: unknown option 'last'" },
    }
    for _, case in ipairs(cases) do
      local raised = post(app, "/history/" .. name, dkjson.encode(case[1])).raised
      assert.matches(case[2], raised, 1, true)
      assert.matches("app%.lua:%d+: ", raised)
    end
  end)

  it("lets go of what is too old", function()
    local name = fresh "brief"
    publish(app, name, 1, 3)
    assert.equal("1 2 3", kept(app, name))
    local deadline = os.time() + 30
    repeat
      local response =
        http.request(app, "POST", "/history/" .. name:gsub(":", "%%3A"), { body = "" })
      local messages = response.status == 200 and dkjson.decode(response.body).messages or {}
      assert.is_true(os.time() < deadline)
    until #messages == 0
  end)
end)

describe("the verb history", function()
  local app, client, ids

  setup(function()
    app = start "outbox = 100000"
    ids = publish(app, "kept:a", 1, 20)
  end)

  teardown(function()
    app:stop()
  end)

  before_each(function()
    client = native.open(app)
  end)

  after_each(function()
    client:close()
  end)

  local function ask(query)
    query.history = "kept:a"
    local answer = client:ask(query)
    assert.is_table(answer.ok, dkjson.encode(answer))
    for _, message in ipairs(answer.ok.messages) do
      assert.equal("kept:a", message.channel)
      assert.equal("item", message.event)
      assert.equal(ids[message.data.n], message.id)
    end
    assert.is_boolean(answer.ok.more)
    return table.concat(numbers(answer.ok.messages), " ") .. (answer.ok.more and " more" or "")
  end

  it("gives pushes, and says whether there are more", function()
    client:subscribe "kept:a"
    assert.equal(range(1, 20), ask {})
    assert.equal("18 19 20 more", ask { limit = 3 })
    assert.equal("15 16 17 more", ask { limit = 3, before = ids[18] })
    assert.equal("4 5 6 more", ask { limit = 3, since = ids[3] })
    assert.equal("19 20", ask { since = ids[18] })
    assert.equal("5", ask { since = ids[4], before = ids[6] })
    assert.equal("1 2 more", ask { since = "0", limit = 2 })
    assert.equal("", ask { before = "zzzzzzzz-0000000000000002" })
  end)

  it("is for those who have subscribed, where the app allows it", function()
    local function code(channel)
      return client:ask({ history = channel }).error.code
    end
    assert.equal("not_subscribed", code "kept:a")
    client:subscribe "closed:a"
    assert.equal("refused", code "closed:a")
    assert.equal("refused", code "closed:b")
    assert.equal("not_found", code "nothing")
  end)

  it("carries bytes as base64", function()
    post(app, "/binary/kept:b")
    client:subscribe "kept:b"
    local message = client:ask({ history = "kept:b" }).ok.messages[1]
    assert.equal("AP8=", message.base64)
    assert.is_nil(message.data)
  end)

  it("answers no more than a part of what may wait for a client", function()
    publish(app, "kept:c", 1, 100, "&bytes=5000") -- 500 KB
    client:subscribe "kept:c"
    local answer = client:ask({ history = "kept:c", limit = 100 }).ok
    assert.is_true(answer.more)
    assert.equal(100, answer.messages[#answer.messages].data.n)
    -- page by page, it is all there
    local count, pages, before = 0, 0, nil
    repeat
      local page = client:ask({ history = "kept:c", limit = 100, before = before }).ok
      for i = #page.messages, 1, -1 do
        assert.equal(100 - count, page.messages[i].data.n)
        count = count + 1
      end
      pages = pages + 1
      before = page.messages[1].id
    until not page.more
    assert.equal(100, count)
    assert.is_true(pages >= 10)
  end)

  it("is answered to POST /send as well", function()
    local stream = reader.open("an event stream of envelopes", app, { "kept:a" })
    local response = http.request(app, "POST", "/send", {
      headers = { ["X-Moonwire-Client"] = stream.id },
      body = dkjson.encode { history = "kept:a", limit = 2, ref = 1 },
    })
    assert.equal(200, response.status, response.body)
    assert.same({ 19, 20 }, numbers(dkjson.decode(response.body).ok.messages))
    stream:cut()
  end)
end)

for _, kind in ipairs(reader.kinds) do
  describe("to " .. kind, function()
    local app

    setup(function()
      app = start()
    end)

    teardown(function()
      app:stop()
    end)

    -- Subscribes, and returns what came up to a message that is published as soon as all that is
    -- expected has come: in a history of one message, it replaces what was there.
    local function told(channel, expected, since)
      local subscriber = reader.open(kind, app, { channel }, { since = since })
      local words = {}
      local function read(is_last)
        local list = subscriber:read_until(is_last)
        for _, push in ipairs(list) do
          words[#words + 1] = push.event == "item" and math.tointeger(push.data.n) or push.event
        end
      end
      local _, count = expected:gsub("%S+", "")
      if count > 0 then
        read(function()
          count = count - 1
          return count == 0
        end)
      end
      local marker = publish(app, channel, 999, 999)[1]
      read(function(push)
        return push.id == marker
      end)
      words[#words] = nil
      subscriber:cut()
      return table.concat(words, " "), subscriber.recovered
    end

    local gap = kind == "a WebSocket" and "" or "moonwire:gap "

    it("as a newcomer goes what the channel says", function()
      for channel, expected in pairs { ["kept:a"] = "", ["some:a"] = "3 4 5", ["last:a"] = "5" } do
        publish(app, channel, 1, 5)
        assert.equal(expected, (told(channel, expected)))
      end
    end)

    it(
      "goes the last value of a channel of one, and a gap in front of it if there were others",
      function()
        local id = publish(app, "last:b", 1, 1)[1]
        publish(app, "last:b", 2, 2)
        assert.equal("2", (told("last:b", "2", id)))
        id = publish(app, "last:c", 1, 1)[1]
        publish(app, "last:c", 2, 3)
        local words, recovered = told("last:c", gap .. "3", id)
        assert.equal(gap .. "3", words)
        assert.is_true(recovered == nil or recovered == false)
      end
    )

    it("goes what is kept within the bytes of the history, and a gap for the rest", function()
      local ids = publish(app, "weighed:a", 1, 300, "&bytes=1000")
      local list = post(app, "/history/weighed:a", '{"limit":1000}').messages
      -- a message weighs its encoded forms and its bookkeeping as well
      assert.is_true(#list >= 15 and #list <= 100, #list .. " are kept")
      assert.equal(300, list[#list].data.n)
      assert.equal(gap .. range(301 - #list, 300), (told("weighed:a", "", ids[1])))
      -- one that is over it alone is not kept, nor is what is older
      local id = publish(app, "weighed:b", 1, 3)[3]
      publish(app, "weighed:b", 4, 4, "&bytes=60000")
      publish(app, "weighed:b", 5, 5)
      assert.matches("5$", (told("weighed:b", "", id)))
    end)

    it(
      "goes the newest that limits.replay and limits.replay_bytes let through, behind a gap",
      function()
        local strict = start "replay = 10"
        local plain = app
        app = strict
        local ids = publish(app, "kept:a", 1, 50)
        local words, recovered = told("kept:a", "", ids[20])
        assert.equal(gap .. range(41, 50), words)
        assert.is_true(recovered == nil or recovered == false)
        ids[51] = publish(app, "kept:a", 51, 51)[1]
        assert.matches("^44 45 46 47 48 49 50 999 51$", (told("kept:a", "", ids[43])))
        strict:stop()
        app = start "replay_bytes = 30000"
        ids = publish(app, "kept:b", 1, 50, "&bytes=2000")
        words = told("kept:b", "", ids[1])
        assert.matches("50$", words)
        assert.equal(gap, words:match "^moonwire:gap " or "")
        local _, count = words:gsub("%d+", "")
        assert.is_true(count >= 3 and count <= 15, count .. " came")
        -- who asks for all that is kept is not told of a gap
        assert.matches("^%d", (told("kept:b", "", "0")))
        app:stop()
        app = plain
      end
    )
  end)
end

describe("limits.history", function()
  it("lets the oldest messages of all channels go, counts them and says so", function()
    local app = start "history = 220000"
    local first = publish(app, "kept:a", 1, 50, "&bytes=1000")
    publish(app, "kept:b", 1, 50, "&bytes=1000")
    publish(app, "kept:c", 1, 100, "&bytes=1000")
    local function count(channel)
      return select(2, kept(app, channel, { limit = 1000 }):gsub("%d+", ""))
    end
    local left = count "kept:a"
    assert.is_true(left > 0 and left < 50)
    assert.same({ 50, 100 }, { count "kept:b", count "kept:c" })
    local stats = dkjson.decode(http.get(app, "/stats").body)
    assert.is_true(stats.history_bytes <= 220000 and stats.history_bytes > 200000)
    assert.equal(50 - left, stats.evicted)
    assert.is_string(
      app:await_log "evicted the oldest messages of all histories: limits.history reached"
    )
    local stream = sse.open(app, "/sse?channel=kept:a&since=" .. first[1])
    assert.equal("moonwire:gap", stream:event().event)
    stream:close()
    -- what is let go is let go for good: nothing is left when all channels are replaced
    publish(app, "kept:d", 1, 200, "&bytes=2000")
    assert.is_true(dkjson.decode(http.get(app, "/stats").body).history_bytes <= 220000)
    app:stop()
  end)
end)

describe("POST /publish", function()
  it("takes a key", function()
    local app = start()
    local response = http.request(app, "POST", "/publish", {
      headers = { Authorization = "Bearer k" },
      body = '{"channel":"kept:a","event":"x","data":1,"key":"BTC"}',
    })
    assert.equal(200, response.status)
    assert.equal("BTC", post(app, "/history/kept:a").messages[1].key)
    app:stop()
  end)
end)
