-- client:subscribe: a subscription that the app makes is one in every respect.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
local log = moonwire.array {}
local function note(...) log[#log + 1] = string.format(...) end
app:get("/log", function() local taken = log log = moonwire.array {} return taken end)
app:authenticate(function(request) return { id = request.query.user or "ann" } end)
app:on_connect(function(client)
  if client.user_id == "early" then assert(client:subscribe "table:early") end
end)
app:channel("lobby", {
  authorize = true,
  on = {
    take = function(client, _, message)
      local ok = client:subscribe(message.data)
      app:publish(message.data, "after") -- it is subscribed from here on
      return ok
    end,
    leave = function(client, _, message) return (client:unsubscribe(message.data, "go", "gone")) end,
  },
})
app:channel("table:{name}", {
  authorize = false, -- no client comes by itself
  presence = function(client) return { name = client.user_id } end,
  on_open = function(channel)
    note("open %s", channel.name)
    if channel.params.name == "closed" then return false, "closed today", "closed" end
    return { players = 0 }
  end,
  on_join = function(client, channel)
    note("join %s %s", channel.name, client.user_id)
    if channel.params.name == "full" then return false, "no chair", "full" end
    if channel.params.name == "broken" then error "broken" end
    channel.state.players = channel.state.players + 1
  end,
  on_leave = function(client, channel)
    note("leave %s %s", channel.name, client.user_id)
    channel.state.players = channel.state.players - 1
  end,
  on_close = function(channel) note("close %s %d", channel.name, channel.state.players) end,
  on = { players = function(_, channel) return channel.state.players end },
})
return app
]]

describe("a client that the app subscribes", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function log()
    return dkjson.decode(http.get(app, "/log").body)
  end

  local function await(lines)
    local seen, deadline = {}, os.time() + 30
    repeat
      for _, line in ipairs(log()) do
        seen[#seen + 1] = line
      end
    until #seen >= #lines or os.time() > deadline
    assert.same(lines, seen)
  end

  local function in_lobby(user)
    local client = websocket.open(app, "/ws?user=" .. (user or "ann"))
    client:subscribe "lobby"
    return client
  end

  -- What comes until the next answer, without presence.
  local function take(client, name)
    local answer, pushes = client:ask { send = "lobby", event = "take", data = name }
    assert.is_true(answer.ok)
    return pushes
  end

  it("opens the channel, joins it, leaves it, and closes it", function()
    local client = in_lobby()
    local pushes = take(client, "table:1")
    assert.equal("after", pushes[#pushes].event)
    await { "open table:1", "join table:1 ann" }
    assert.equal(1, client:ask({ send = "table:1", event = "players" }).ok)
    local second = in_lobby "bob"
    take(second, "table:1")
    await { "join table:1 bob" }
    assert.equal(2, second:ask({ send = "table:1", event = "players" }).ok)
    local members = second:ask({ presence = "table:1" }).ok.members
    assert.same({ name = "ann" }, members.ann.info)
    client:close()
    await { "leave table:1 ann" }
    assert.is_true(second:ask({ send = "lobby", event = "leave", data = "table:1" }).ok)
    await { "leave table:1 bob", "close table:1 0" }
    second:close()
  end)

  it("is told when a hook refuses, and is not subscribed", function()
    local client = in_lobby()
    for name, fault in pairs {
      closed = { code = "closed", reason = "closed today" },
      full = { code = "full", reason = "no chair" },
      broken = { code = "internal", reason = "internal error" },
    } do
      client:tell { send = "lobby", event = "take", data = "table:" .. name }
      local message
      repeat
        message = assert(client:next())
      until message.event == "moonwire:unsubscribed"
      local channel = "table:" .. name
      assert.same({ channel = channel, code = fault.code, reason = fault.reason }, message.data)
      assert.equal("not_subscribed", client:ask({ send = channel, event = "players" }).error.code)
    end
    client:close()
    log()
  end)

  it("may be subscribed before it is connected, over each transport", function()
    local client = websocket.open(app, "/ws?user=early")
    await { "open table:early", "join table:early early" }
    local stream = sse.open(app, "/sse?channel=lobby&user=early")
    await { "join table:early early" }
    stream:close()
    await { "leave table:early early" }
    client:close()
    await { "leave table:early early", "close table:early 0" }
  end)
end)
