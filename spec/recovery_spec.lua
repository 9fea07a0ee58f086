-- Nothing is lost silently: whoever returns gets what was missed, or is told that it is gone.

local dkjson = require "dkjson"
local socket = require "socket"
local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("price:{symbol}", { history = { size = 20000, replay = 20000 } })
app:channel("kept:{name}", { history = { size = 5 } })
app:channel("brief:{name}", { history = { size = 100, ttl = 0.2 } })
app:channel("plain:{name}", {})

local last, running = {}, true
local names = { "price:a", "price:b", "price:c" }
app:every(0.004, function()
  for _ = 1, running and math.random(0, 6) or 0 do
    local name = names[math.random(3)]
    last[name] = (last[name] or 0) + 1
    app:publish(name, "tick", { channel = name, n = last[name], text = ("x"):rep(math.random(0, 60)) })
  end
end)
app:post("/stop", function() running = false return last end)

app:post("/publish/{channel}", function(request)
  local ids = {}
  for n = 1, tonumber(request.query.count) do
    ids[n] = app:publish(request.params.channel, "item", { n = n })
  end
  return moonwire.json.encode(moonwire.array(ids))
end)
app:get("/exists/{channel}", function(request) return tostring(app:find(request.params.channel) ~= nil) end)
return app
]]

describe("recovery", function()
  local app
  local names = 0

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function publish(channel, count)
    local response = http.request(
      app,
      "POST",
      ("/publish/%s?count=%d"):format(channel:gsub(":", "%%3A"), count),
      { body = "" }
    )
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  local has_several_workers = os.getenv "MOONWIRE_SPEC_WORKERS" ~= nil

  -- A name that no other test uses.
  local function fresh(kind)
    names = names + 1
    return kind .. ":" .. names
  end

  -- What a returning client is told: "gap" and the items, in order, up to what is published once it is there; or, with `last`,
  -- once it has received that item, because what is published takes the place of the oldest.
  local function resume(channel, id, last)
    local stream =
      sse.open(app, "/sse?channel=" .. channel, { headers = { ["Last-Event-ID"] = id } })
    assert.equal(200, stream.status)
    local cursor = stream:cursor()
    local marker = not last and publish(channel, 1)[1]
    local told = {}
    while true do
      if last and told[#told] == last then
        marker, last = publish(channel, 1)[1], nil
      end
      local event = assert(stream:event())
      if event.id == marker then
        stream:close()
        return table.concat(told, " "), cursor
      elseif event.event == "moonwire:gap" then
        assert.same({ channel = channel }, dkjson.decode(event.data))
        -- The id says that it was told. One of several workers may find out only when it has received what was published
        -- by another: that gap has no id.
        if event.id or not has_several_workers then
          assert.equal(cursor, event.id)
        end
        told[#told + 1] = "gap"
      else
        told[#told + 1] = tostring(math.tointeger(dkjson.decode(event.data).n))
      end
    end
  end

  it("survives a thousand cuts at random places, over three channels", function()
    local output = server.peer(
      "support/recover.mjs",
      app.address,
      "/sse?channel=price:a&channel=price:b&channel=price:c",
      1000,
      "/stop"
    )
    local result = dkjson.decode(output)
    assert.is_true(result.events > 1000)
    assert.is_true(result.bytesCut > 0)
    for _, name in ipairs { "price:a", "price:b", "price:c" } do
      assert.is_true(result.last[name] > 0)
    end
  end)

  it("survives cuts of npm's EventSource", function()
    local npm = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      app:channel("items", { history = { size = 10000, replay = 10000 } })
      local n = 0
      app:every(0.01, function() n = n + 1 app:publish("items", "item", { n = n }) end)
      return app
    ]]
    local result = dkjson.decode(
      server.peer("support/npm_eventsource.mjs", npm.address, "/sse?channel=items", 200)
    )
    assert.equal(200, result.last)
    assert.is_true(result.connections >= 3)
    npm:stop()
  end)

  it("covers a stream that was cut before its first event", function()
    local name = fresh "kept"
    local stream = sse.open(app, "/sse?channel=" .. name)
    local cursor = stream:cursor()
    stream:close()
    publish(name, 3)
    assert.equal("1 2 3", (resume(name, cursor)))
  end)

  it("covers one that was cut while it was being replayed to", function()
    local name = fresh "kept"
    local ids = publish(name, 5)
    local stream = sse.open(app, "/sse?channel=" .. name .. "&since=0")
    stream:data(2)
    stream:close()
    assert.equal("3 4 5", (resume(name, ids[2])))
  end)

  it("gives back a cursor behind which nothing is lost", function()
    local name = fresh "kept"
    local ids = publish(name, 4)
    local told, cursor = resume(name, ids[1])
    assert.equal("2 3 4", told)
    assert.equal(ids[1], cursor)
  end)

  describe("tells a gap, and then what is left, for", function()
    local function assert_gap(id)
      local name = fresh "kept"
      publish(name, 3)
      assert.equal("gap 1 2 3", (resume(name, id)))
    end

    it("an id of another epoch", function()
      assert_gap "zzzzzzzz-0000000000000001"
    end)

    it("an id of another epoch on a channel that has never been", function()
      assert.equal("gap", (resume(fresh "kept", "zzzzzzzz-0000000000000001")))
    end)

    it("an id that has been evicted", function()
      local name = fresh "kept"
      local ids = publish(name, 10)
      assert.equal("gap 6 7 8 9 10", (resume(name, ids[4], "10")))
    end)

    it("an id that this server has not given out yet", function()
      local id = publish(fresh "kept", 1)[1]
      assert_gap(id:match "^(.-)%-" .. "-9999999999999999")
    end)

    for _, garbage in ipairs {
      "garbage",
      "-",
      "1",
      "zzzzzzzz-",
      "zzzzzzzz-1",
      "-0000000000000001",
      "zzzzzzzz-000000000000000x",
      "zzzzzzzz--000000000000001",
      "zzzzzzzz-00000000000000010000000000000000",
      "%s%n%00",
      "ÄÖÜ-€",
      ("x"):rep(4000),
    } do
      it("garbage: " .. garbage:sub(1, 40), function()
        assert_gap(garbage)
      end)
    end

    it("garbage in the query", function()
      local name = fresh "kept"
      publish(name, 2)
      local stream = sse.open(app, "/sse?channel=" .. name .. "&since=%00%FFgarbage")
      assert.equal("moonwire:gap", stream:event().event)
      assert.same({ '{"n":1}', '{"n":2}' }, stream:data(2))
      stream:close()
    end)

    it("a channel that was swept", function()
      local name = fresh "brief"
      local ids = publish(name, 3)
      local deadline = socket.gettime() + 30
      while http.get(app, "/exists/" .. name).body == "true" do
        assert(socket.gettime() < deadline, "it is never swept")
        socket.sleep(0.05)
      end
      assert.equal("gap", (resume(name, ids[1])))
    end)

    it("a channel without history on which something passed", function()
      local name = fresh "plain"
      local ids = publish(name, 2)
      assert.equal("gap", (resume(name, ids[1])))
    end)
  end)

  it("is complete on a channel without history on which nothing passed", function()
    local name = fresh "plain"
    local ids = publish(name, 2)
    assert.equal("", (resume(name, ids[2])))
  end)

  it("tells the gap of one channel, and recovers the others", function()
    local whole, holed = fresh "kept", fresh "kept"
    local id = publish(whole, 1)[1]
    publish(holed, 7)
    publish(whole, 2)
    local stream = sse.open(
      app,
      ("/sse?channel=%s&channel=%s"):format(whole, holed),
      { headers = { ["Last-Event-ID"] = id } }
    )
    local marker = publish(whole, 1)[1]
    local told = {}
    local previous = id
    for event in stream.event, stream do
      if event.event == "moonwire:gap" then
        told[#told + 1] = "gap " .. dkjson.decode(event.data).channel
      else
        assert.is_true(event.id > previous, "ids must grow")
        previous = event.id
        if event.id == marker then
          break
        end
        told[#told + 1] = tostring(math.tointeger(dkjson.decode(event.data).n))
      end
    end
    assert.equal("gap " .. holed .. " 3 4 5 6 7 1 2", table.concat(told, " "))
    stream:close()
  end)
end)
