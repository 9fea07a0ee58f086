-- The last message of a channel: who listens is told of the end behind it, and who returns to it does not do so for ever.

local dkjson = require "dkjson"
local socket = require "socket"
local server = require "spec.support.server"
local http = require "spec.support.http"
local native = require "spec.support.native"
local reader = require "spec.support.reader"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "k", limits = { outbox = 262144, message_size = 100000, replay_bytes = 100000000 } }
local function on_leave(client, channel) app.log.info("left %s, now %d", channel.name, channel:count()) end
local on = { say = function() return true end }
app:channel("job:{name}", { history = { size = 1000 }, on_leave = on_leave, on = on })
app:channel("plain:{name}", {})
app:channel("brief:{name}", { history = { size = 10, ttl = 0.1 } })
app:post("/publish/{channel}", function(request)
  local query = request.query
  local text = query.bytes and ("x"):rep(tonumber(query.bytes))
  return { id = app:publish(request.params.channel, "item", { n = tonumber(query.n), text = text }, { final = query.final == "1" }) }
end)
app:post("/misuse", function()
  local ok, message = pcall(app.publish, app, "job:x", "item", 1, { final = true, volatile = true })
  return { ok = ok, message = message }
end)
app:get("/page", function() return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" } end)
app:get("/favicon.ico", function() return 204 end)
return app
]]

local app
local names = 0

local function fresh(kind)
  names = names + 1
  return (kind or "job") .. ":" .. names
end

local function publish(channel, n, options)
  local target = ("/publish/%s?n=%d%s"):format(channel:gsub(":", "%%3A"), n, options or "")
  local response = http.request(app, "POST", target, { body = "" })
  assert.equal(200, response.status, response.body)
  return dkjson.decode(response.body).id
end

local function finish(channel, n)
  return publish(channel, n, "&final=1")
end

-- A push in words: "3", "moonwire:end".
local function word(push)
  return push.event == "item" and ("%d"):format(push.data.n) or push.event
end

local function words(list)
  local result = {}
  for i, push in ipairs(list) do
    result[i] = word(push)
  end
  return table.concat(result, " ")
end

-- All that comes to an event stream until it ends, in words.
local function to_the_end(subscriber)
  return words((subscriber:read_until(function()
    return false
  end)))
end

local function status(target, id)
  local connection = http.connect(app)
  connection:send(
    http.format(
      "GET",
      target,
      { headers = { Accept = "text/event-stream", ["Last-Event-ID"] = id } }
    )
  )
  local head = connection:read_head()
  connection:close()
  return head.status
end

setup(function()
  app = server.start(script)
end)

teardown(function()
  app:stop()
end)

for i = 1, 2 do
  local kind = reader.kinds[i]
  local tail = i == 2 and "&envelope=1" or ""

  describe("on " .. kind, function()
    it("comes first, then moonwire:end, then the end of the stream", function()
      local name = fresh()
      local subscriber = reader.open(kind, app, { name })
      publish(name, 1)
      local id = finish(name, 2)
      local list = subscriber:read_until(function()
        return false
      end)
      assert.equal("1 2 moonwire:end", words(list))
      assert.equal(id, list[2].id)
      assert.equal(i == 1 and id or nil, list[3].id) -- with envelopes it is only of the block
      assert.same({ channel = name }, list[3].data)
      assert.is_string(app:await_log("left " .. name .. ", now 0"))
      subscriber:cut()
    end)

    it("is answered by 204 when it was seen", function()
      local name = fresh()
      publish(name, 1)
      local id = finish(name, 2)
      assert.equal(204, status("/sse?channel=" .. name .. tail, id))
      assert.equal(204, status("/sse?channel=" .. name .. "&since=" .. id .. tail))
      -- also on a channel that keeps nothing
      name = fresh "plain"
      local subscriber = reader.open(kind, app, { name })
      id = finish(name, 1)
      assert.equal("1 moonwire:end", to_the_end(subscriber))
      assert.equal(204, status("/sse?channel=" .. name .. tail, id))
      subscriber:cut()
    end)

    it("ends the stream of who returns without having seen it, and of newcomers", function()
      local name = fresh()
      local id = publish(name, 1)
      publish(name, 2)
      finish(name, 3)
      local subscriber = reader.open(kind, app, { name }, { since = id })
      assert.equal("2 3 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
      subscriber = reader.open(kind, app, { name }, { since = "0" })
      assert.equal("1 2 3 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
      -- the cursor of a newcomer is behind the end, so that it does not return twice
      subscriber = reader.open(kind, app, { name })
      assert.equal("moonwire:end", to_the_end(subscriber))
      assert.equal(204, status("/sse?channel=" .. name .. tail, subscriber.cursor))
      subscriber:cut()
    end)

    it("does not hide a gap", function()
      local name = fresh()
      publish(name, 1)
      finish(name, 2)
      local subscriber = reader.open(kind, app, { name }, { since = "zzzzzzzz-0000000000000001" })
      assert.equal("moonwire:gap 1 2 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
    end)

    it("lets nobody return for ever who finds only a gap", function()
      for _, kind_of_channel in ipairs { "plain", "brief" } do
        local name = fresh(kind_of_channel)
        local id = publish(name, 1)
        finish(name, 2)
        if kind_of_channel == "brief" then
          socket.sleep(0.2)
        end
        local subscriber = reader.open(kind, app, { name }, { since = id })
        assert.equal("moonwire:gap moonwire:end", to_the_end(subscriber))
        assert.equal(204, status("/sse?channel=" .. name .. tail, subscriber.stream.last_id))
        subscriber:cut()
      end
    end)

    it("leaves the other channels of a stream", function()
      local one, other = fresh(), fresh()
      local subscriber = reader.open(kind, app, { one, other })
      finish(one, 1)
      -- What is published in the same turn comes before the end.
      local ended = subscriber:read_until(function(push)
        return push.event == "moonwire:end"
      end)
      assert.equal("1 moonwire:end", words(ended))
      publish(other, 2)
      local list = subscriber:read_until(function(push)
        return word(push) == "2"
      end)
      assert.equal("2", words(list))
      local last = finish(other, 3)
      assert.equal("3 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
      local both = ("/sse?channel=%s&channel=%s%s"):format(one, other, tail)
      assert.equal(204, status(both, last))
      assert.equal(200, status(both, list[#list].id))
    end)

    it("is followed by a beginning if something more is published", function()
      local name = fresh()
      local id = finish(name, 1)
      assert.equal(204, status("/sse?channel=" .. name .. tail, id))
      publish(name, 2)
      local subscriber = reader.open(kind, app, { name }, { since = id })
      publish(name, 3)
      assert.equal(
        "2 3",
        words(subscriber:read_until(function(push)
          return word(push) == "3"
        end))
      )
      finish(name, 4)
      assert.equal("4 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
    end)

    it("is followed by a restart on a stream of several channels", function()
      local one, other = fresh(), fresh()
      local subscriber = reader.open(kind, app, { one, other })
      publish(one, 1)
      finish(one, 2)
      publish(one, 3)
      publish(one, 4)
      local id = publish(other, 5)
      local list = subscriber:read_until(function(push)
        return word(push) == "5"
      end)
      assert.equal("1 2 moonwire:end 3 4 5", words(list))
      assert.equal(id, list[#list].id)
      subscriber:cut()
      publish(one, 6)
      subscriber = reader.open(kind, app, { one, other }, { since = id })
      finish(one, 7)
      assert.equal(
        "6 7 moonwire:end",
        words(subscriber:read_until(function(push)
          return word(push) == "moonwire:end"
        end))
      )
      finish(other, 8)
      assert.equal("8 moonwire:end", to_the_end(subscriber))
      subscriber:cut()
    end)

    it("comes in one turn with what is published behind it", function()
      local name = fresh()
      local subscriber = reader.open(kind, app, { name })
      local item = '{"channel":"%s","event":"item","data":{"n":%d}%s}'
      local body = ("[%s,%s]"):format(
        item:format(name, 1, ',"final":true'),
        item:format(name, 2, "")
      )
      local response = http.request(
        app,
        "POST",
        "/publish",
        { headers = { Authorization = "Bearer k" }, body = body }
      )
      assert.equal(200, response.status, response.body)
      -- it has begun anew before it was told of the end: nothing is missing
      publish(name, 3)
      assert.equal(
        "1 2 3",
        words(subscriber:read_until(function(push)
          return word(push) == "3"
        end))
      )
      subscriber:cut()
    end)
  end)
end

describe("on a WebSocket", function()
  local client

  before_each(function()
    client = native.open(app)
  end)

  after_each(function()
    client:close()
  end)

  it("comes first, then moonwire:end; the channel is left and the connection stays", function()
    local name, other = fresh(), fresh()
    client:subscribe(name)
    client:subscribe(other)
    publish(name, 1)
    local id = finish(name, 2)
    local list = client:take(3)
    assert.equal("1 2 moonwire:end", words(list))
    assert.same({ channel = name }, list[3].data)
    assert.equal("not_subscribed", client:ask({ send = name, event = "say", data = 1 }).error.code)
    assert.is_true(client:ask({ send = other, event = "say", data = 1 }).ok)
    assert.is_true(client:ask({ unsubscribe = name }).ok)
    -- who returns is told once more
    local ok = client:subscribe(name, id)
    assert.same({ id, true }, { ok.id, ok.recovered })
    assert.equal("moonwire:end", word(client:next()))
    client:subscribe(name, "0")
    assert.equal("1 2 moonwire:end", words(client:take(3)))
    assert.equal("not_subscribed", client:ask({ send = name, event = "say" }).error.code)
  end)

  it("is followed by a beginning if something more is published", function()
    local name = fresh()
    client:subscribe(name)
    local id = finish(name, 1)
    assert.equal("1 moonwire:end", words(client:take(2)))
    publish(name, 2)
    assert.is_true(client:subscribe(name, id).recovered)
    publish(name, 3)
    assert.equal("2 3", words(client:take(2)))
    assert.is_true(client:ask({ send = name, event = "say" }).ok)
  end)
end)

for _, kind in ipairs(reader.kinds) do
  it("comes to who is behind after all that is in front of it, on " .. kind, function()
    local name = fresh()
    local subscriber = reader.open(kind, app, { name })
    for n = 1, 400 do
      publish(name, n, "&bytes=50000")
    end
    finish(name, 401)
    for n = 1, 401 do
      assert.equal(n, subscriber:next().data.n)
    end
    assert.equal("moonwire:end", subscriber:next().event)
    if not subscriber.client then
      assert.is_nil(subscriber:next())
    end
    subscriber:cut()
  end)
end

it("is not volatile", function()
  local response = http.request(app, "POST", "/misuse", { body = "" })
  local result = dkjson.decode(response.body)
  assert.is_false(result.ok)
  assert.matches("app%.lua:%d+: app:publish: a final message cannot be volatile", result.message)
  response = http.request(app, "POST", "/publish", {
    headers = { Authorization = "Bearer k" },
    body = '{"channel":"job:x","final":true,"volatile":true}',
  })
  assert.equal(400, response.status)
end)

it("is the end for npm's EventSource", function()
  local name = fresh()
  local seen = dkjson.decode(
    server.peer(
      "support/final_eventsource.mjs",
      app.address,
      "/sse?channel=" .. name,
      "/publish/" .. name
    )
  )
  -- the stream that ended, and the return that was answered by 204
  assert.same({ events = { 1, 2 }, ends = 1, connections = 2, closed = true }, seen)
end)
