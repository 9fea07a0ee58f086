-- In which order a client's input is handled, and what it is told.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { client_channels = 1000 } }
local log = moonwire.array {}
local function note(...)
  log[#log + 1] = string.format(...)
  app:publish("log", "line", log[#log])
end

app:channel("log", { history = { size = 1000 } })
app:channel("quick:{n}", {})
app:get("/count/{name}", function(request)
  return { count = app:find(request.params.name) and app:find(request.params.name):count() or 0 }
end)

app:channel("room:{room}", {
  relay = { "typing" },
  on_join = function(client, channel)
    moonwire.sleep(0.01)
    if channel.params.room == "kicks" then
      channel:kick(client, "not you", "unwelcome")
    end
    return channel.params.room
  end,
  on_leave = function(client, channel)
    note("left %s", channel.name)
  end,
  on = {
    say = function(client, channel, message)
      local data = message.data
      if data.log then
        note("begin %s", data.text)
      end
      local ok, why = moonwire.sleep(data.wait or 0)
      if data.log then
        note("end %s %s", data.text, ok and "ok" or why)
        if not ok then return end
      end
      return channel:publish("said", data.text)
    end,
    both = function(client, channel)
      channel:publish("said", 1)
      client:send("whispered", 2)
      app:publish("room:other", "said", 3)
      moonwire.sleep(0.005)
      client:send("whispered", 4, { channel = "room:other" })
      channel:publish("said", 5)
      return 6
    end,
    hundred = function()
      local ids = moonwire.array {}
      for n = 1, 100 do
        ids[n] = app:publish("quick:" .. n, "item", n)
      end
      return ids
    end,
    flood = function(_, channel)
      repeat
        channel:publish("item", 1)
      until not moonwire.sleep(0.001)
    end,
    kick = function(client, channel, message)
      for other in app:clients() do
        if other ~= client then
          channel:kick(other, message.data)
        end
      end
    end,
  },
})

local function hook(name)
  return function(a, b)
    local channel = b or a
    channel:publish("hook", name, { volatile = true })
    note("%s %s", name, channel.name)
  end
end
app:channel("hooks:{n}", {
  history = { size = 10 },
  on_open = hook "open",
  on_join = hook "join",
  on_leave = hook "leave",
  on_close = hook "close",
})
return app
]]

describe("the native protocol", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function enter(...)
    local client = native.open(app)
    for _, channel in ipairs { ... } do
      client:subscribe(channel)
    end
    return client
  end

  -- Waits for a line of the app's own log, and returns all lines before it.
  local function await(wanted)
    local client = native.open(app)
    client:subscribe("log", "0")
    local lines = {}
    repeat
      local push = client:next()
      lines[#lines + 1] = push.data
    until push.data == wanted
    client:cut()
    return lines
  end

  -- What was told, as short texts.
  local function brief(objects)
    local texts = {}
    for i, object in ipairs(objects) do
      local what = object.ref and "ref " .. object.ref or object.event
      local value = object.data
      if object.ref then
        value = object.ok or object.error.code
      end
      texts[i] = what .. " " .. (type(value) == "table" and dkjson.encode(value) or tostring(value))
    end
    return texts
  end

  it("handles what comes in one write in its order, though handlers wait", function()
    local watcher = enter "room:pipe"
    local client = native.open(app)
    client:write(
      { subscribe = "room:pipe", ref = 1 },
      { send = "room:pipe", event = "say", data = { text = "a", wait = 0.03 }, ref = 2 },
      { send = "room:pipe", event = "typing", data = "b", ref = 3 },
      { send = "room:pipe", event = "say", data = { text = "c", wait = 0.01 }, ref = 4 },
      { subscribe = "room:pipe", ref = 5 },
      { send = "room:pipe", event = "typing", data = "d" },
      { unsubscribe = "room:pipe", ref = 6 },
      { send = "room:pipe", event = "typing", data = "e", ref = 7 },
      { unsubscribe = "room:pipe", ref = 8 },
      { ping = true, ref = 9 }
    )
    local told = client:take(11)
    local a, c = told[2].id, told[5].id
    assert.is_truthy(told[1].ok.id)
    told[1].ok = "joined"
    assert.same({
      "ref 1 joined",
      "said a",
      "ref 2 " .. a,
      "ref 3 true",
      "said c",
      "ref 4 " .. c,
      "ref 5 already_subscribed",
      "ref 6 true",
      "ref 7 not_subscribed",
      "ref 8 true",
      "ref 9 true",
    }, brief(told))
    assert.same({ "said a", "typing b", "said c", "typing d" }, brief(watcher:take(4)))
    assert.is_true(watcher:is_silent(0.05))
    client:close()
    watcher:close()
  end)

  it("keeps the order of a hundred messages whose handlers wait for different times", function()
    local client = enter "room:hundred"
    local objects = {}
    for n = 1, 100 do
      local data = { text = n, wait = (n * 7 % 5) / 1000 }
      objects[n] = n % 3 == 0 and { send = "room:hundred", event = "typing", data = n, ref = n }
        or { send = "room:hundred", event = "say", data = data, ref = n }
    end
    client:write(table.unpack(objects))
    for n = 1, 100 do
      if n % 3 ~= 0 then
        assert.equal(n, client:next().data)
      end
      assert.equal(n, client:next().ref)
    end
    client:close()
  end)

  it("cancels what waits when the client leaves in the middle", function()
    local watcher = enter "room:leaving"
    local client = enter "room:leaving"
    client:write(
      { send = "room:leaving", event = "say", data = { text = "first", wait = 60, log = true } },
      { send = "room:leaving", event = "say", data = { text = "second", log = true } },
      { send = "room:leaving", event = "typing", data = true },
      { subscribe = "room:never" }
    )
    await "begin first"
    client:cut()
    await "end first closed"
    local lines = await "left room:leaving"
    assert.is_nil(table.concat(lines, "\n"):find("second", 1, true))
    assert.is_true(watcher:is_silent(0.05))
    watcher:close()
  end)

  it("lets nothing of a channel follow the ok of its unsubscribe", function()
    local speaker = enter "room:flood"
    local client = native.open(app)
    speaker:write { send = "room:flood", event = "flood" }
    for round = 1, 60 do
      client:write { subscribe = "room:flood", ref = "in" }
      assert.equal("in", client:next().ref, "behind an unsubscribe came a push")
      if round % 2 == 0 then
        assert.equal("item", client:next().event)
      end
      client:write({ unsubscribe = "room:flood", ref = "out" }, { ping = true, ref = "end" })
      local came
      repeat
        came = client:next()
      until not came.event
      assert.equal("out", came.ref)
      assert.equal("end", client:next().ref)
    end
    speaker:cut()
    client:close()
  end)

  it("kicks one that is about to subscribe, behind its acknowledgement", function()
    local client = native.open(app)
    client:write({ subscribe = "room:kicks", ref = 1 }, { ping = true, ref = 2 })
    local told = client:take(3)
    assert.equal("room:kicks", "room:" .. told[1].ok.data)
    table.sort(told, function(a, b)
      return (a.ref or 1.5) < (b.ref or 1.5)
    end)
    assert.same({
      event = "moonwire:unsubscribed",
      data = { channel = "room:kicks", code = "unwelcome", reason = "not you" },
    }, told[2])
    assert.equal("not_subscribed", client:ask({ send = "room:kicks", event = "typing" }).error.code)
    await "left room:kicks"
    client:close()
  end)

  it("kicks while others subscribe, and each hears the truth", function()
    local host = enter "room:door"
    local guests, expected = {}, {}
    for i = 1, 30 do
      guests[i] = native.open(app)
      guests[i]:write { subscribe = "room:door", ref = "in" }
      if i % 5 == 0 then
        host:write { send = "room:door", event = "kick", data = "out" }
      end
    end
    host:ask { ping = true }
    -- Whoever was told last that it is in, is in; whoever was told last that it is out, is out.
    for i, guest in ipairs(guests) do
      local answer, before = guest:ask { send = "room:door", event = "typing", data = i }
      local is_in = false
      for _, came in ipairs(before) do
        if came.ref == "in" then
          assert.is_truthy(came.ok)
          is_in = true
        elseif came.event == "moonwire:unsubscribed" then
          assert.is_true(is_in, "taken out before it was in")
          is_in = false
        end
      end
      assert.equal(is_in, answer.ok == true)
      expected[#expected + 1] = is_in and i or nil
    end
    local count = dkjson.decode(http.get(app, "/count/room:door").body).count
    assert.equal(1 + #expected, count)
    for _, guest in ipairs(guests) do
      guest:cut()
    end
    host:cut()
  end)

  it("publishes from hooks", function()
    local first = enter "hooks:1"
    local second = native.open(app)
    second:subscribe "hooks:1"
    assert.same({ "hook join" }, brief(first:take(1)))
    second:ask { unsubscribe = "hooks:1" }
    assert.same({ "hook leave" }, brief(first:take(1)))
    assert.is_true(first:is_silent(0.02)) -- what its own joining caused was before it was in
    first:close()
    second:close()
    local lines, seen = await "close hooks:1", {}
    for _, line in ipairs(lines) do
      if line:find "hooks:1" then
        seen[#seen + 1] = line
      end
    end
    assert.same({
      "open hooks:1",
      "join hooks:1",
      "join hooks:1",
      "leave hooks:1",
      "leave hooks:1",
      "close hooks:1",
    }, seen)
  end)

  it(
    "tells pushes and private words before the acknowledgement, in the order of the handler",
    function()
      local client = enter("room:private", "room:other")
      local watcher = enter("room:private", "room:other")
      local answer, before = client:ask { send = "room:private", event = "both" }
      assert.equal(6, answer.ok)
      assert.same({
        { channel = "room:private", event = "said", id = before[1].id, data = 1 },
        { event = "whispered", data = 2 },
        { channel = "room:other", event = "said", id = before[3].id, data = 3 },
        { channel = "room:other", event = "whispered", data = 4 },
        { channel = "room:private", event = "said", id = before[5].id, data = 5 },
      }, before)
      assert.is_true(before[1].id < before[3].id and before[3].id < before[5].id)
      assert.same({ "said 1", "said 3", "said 5" }, brief(watcher:take(3)))
      client:close()
      watcher:close()
    end
  )

  it("publishes to a hundred channels from one handler", function()
    local client = enter "room:speaker"
    for n = 1, 100 do
      client:subscribe("quick:" .. n)
    end
    local answer, before = client:ask { send = "room:speaker", event = "hundred" }
    assert.equal(100, #before)
    for n, push in ipairs(before) do
      assert.same({ channel = "quick:" .. n, event = "item", id = answer.ok[n], data = n }, push)
    end
    client:close()
  end)

  it("subscribes one client to a thousand channels, and not to one more", function()
    local client, speaker = native.open(app), enter "room:speaker"
    local objects = {}
    for n = 1, 1000 do
      objects[n] = { subscribe = "quick:" .. n, ref = n }
    end
    client:write(table.unpack(objects))
    for n = 1, 1000 do
      local came = client:next()
      assert.equal(n, came.ref)
      assert.is_truthy(came.ok)
    end
    assert.equal("refused", client:ask({ subscribe = "quick:1001" }).error.code)
    assert.equal(100, #speaker:ask({ send = "room:speaker", event = "hundred" }).ok)
    for n, push in ipairs(client:take(100)) do
      assert.equal("quick:" .. n, push.channel)
    end
    for n = 1, 1000 do
      objects[n] = { unsubscribe = "quick:" .. n, ref = n }
    end
    client:write(table.unpack(objects))
    for n = 1, 1000 do
      assert.same({ ref = n, ok = true }, client:next())
    end
    client:subscribe "quick:1001"
    client:close()
    speaker:close()
  end)

  it("takes names up to their limits", function()
    local client = native.open(app)
    local longest = "quick:" .. ("n"):rep(249)
    local widest = "quick:" .. ("ü"):rep(124) .. "n"
    assert.equal(255, #longest)
    assert.equal(255, #widest)
    for _, name in ipairs { longest, widest, "quick:\u{10ffff}", 'quick:"\\' } do
      assert.is_truthy(client:subscribe(name).id)
      assert.equal("already_subscribed", client:ask({ subscribe = name }).error.code)
      assert.is_true(client:ask({ unsubscribe = name }).ok)
    end
    for _, name in ipairs { longest .. "n", "", "quick:\1", "quick:\127", "quick:\u{80}" } do
      assert.equal("bad_request", client:ask({ subscribe = name }).error.code)
    end
    for _, name in ipairs { "quick:", "quick", "quick:a:b", "quick:a/b" } do
      assert.equal("not_found", client:ask({ subscribe = name }).error.code)
    end

    client:subscribe "room:names"
    local function send(event)
      return client:ask({ send = "room:names", event = event }).error.code
    end
    assert.equal("unknown_event", send(("e"):rep(64)))
    assert.equal("unknown_event", send "Az09_.:-")
    for _, event in ipairs { ("e"):rep(65), "", "a b", "ü", "open", "error", "moonwire:gap" } do
      assert.equal("bad_request", send(event))
    end

    local refs = { math.maxinteger, math.mininteger, ("r"):rep(64), ("ü"):rep(32), "" }
    for _, ref in ipairs(refs) do
      client:write { ping = true, ref = ref }
      assert.same({ ref = ref, ok = true }, client:next())
    end
    for _, ref in ipairs { '"' .. ("r"):rep(65) .. '"', "9223372036854775808", "1.5", "null", "[]" } do
      client:write('{"ping":true,"ref":' .. ref .. "}")
      local came = client:next()
      assert.is_nil(came.ref)
      assert.equal("bad_request", came.error.code)
    end
    client:close()
  end)
end)
