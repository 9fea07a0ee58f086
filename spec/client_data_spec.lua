-- client.data: what is stored when, and what happens to values that cannot be stored.

local server = require "spec.support.server"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 0.5 } }
local on = {}
function on.set(client, _, message) client.data = message.data return true end
function on.read(client) return client.data or moonwire.null end
local function spoil(client, value)
  client.data.v = 99
  client.data.bad = value
end
function on.slip(client) spoil(client, print) return "slipped" end
function on.cycle(client) spoil(client, client.data) return "slipped" end
function on.bytes(client) spoil(client, "\255") return "slipped" end
function on.nan(client) spoil(client, 0 / 0) return "slipped" end
function on.refuse(client) spoil(client, print) return false, "no", "no" end
function on.raise(client) spoil(client, print) error "raised" end
function on.raise_refusal(client) spoil(client, print) error { code = "no", message = "no" } end
function on.assign(client)
  client.data = { v = 99, bad = print }
end
function on.caught(client)
  local ok, why = pcall(function() client.data = { v = 99, bad = print } end)
  return { ok = ok, why = why, v = client.data.v }
end
function on.count(client) client.data.v = client.data.v + 1 error { code = "no", message = "no" } end
function on.ended(client) -- cancelled, and waits again
  client.data.v = 99
  while true do moonwire.sleep(0.3) end
end
app:channel("room:{name}", {
  on = on,
  on_leave = function(client) app.log.info("left with %d", client.data.v) end,
})
return app
]]

describe("client.data", function()
  local app, client

  local function send(event, data)
    return client:ask { send = "room:1", event = event, data = data }
  end

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  before_each(function()
    client = websocket.open(app)
    client:subscribe "room:1"
    assert.is_true(send("set", { v = 1 }).ok)
  end)

  after_each(function()
    client:close()
  end)

  local internal = { code = "internal", reason = "internal error" }

  it("keeps its last value when one that cannot be stored is put in", function()
    local faults = {
      slip = "JSON cannot hold a function",
      cycle = "the table contains itself",
      bytes = "a string that is not valid UTF%-8",
      nan = "JSON cannot hold NaN or infinity",
    }
    for event, fault in pairs(faults) do
      assert.same(internal, send(event).error)
      assert.same({ v = 1 }, send("read").ok)
      assert.is_string(
        app:await_log(
          "on%."
            .. event
            .. ' of "room:1" %([^()]*app%.lua:%d+%): client%.data%.bad: '
            .. fault
            .. "; client%.data is unchanged"
        )
      )
    end
    assert.is_true(send("set", { v = 2 }).ok)
    assert.same({ v = 2 }, send("read").ok)
  end)

  it("likewise when the handler refuses, raises, or catches", function()
    assert.same(internal, send("refuse").error)
    assert.same({ v = 1 }, send("read").ok)
    assert.same(internal, send("raise").error)
    assert.same({ v = 1 }, send("read").ok)
    assert.is_string(app:await_log "on%.raise of .*client%.data%.bad: JSON cannot hold a function")
    assert.equal("no", send("raise_refusal").error.code)
    assert.same({ v = 1 }, send("read").ok)
    assert.is_string(
      app:await_log "on%.raise_refusal of .*client%.data%.bad: JSON cannot hold a function"
    )
    local caught = send("caught").ok
    assert.is_false(caught.ok)
    assert.matches("client%.data%.bad: JSON cannot hold a function", caught.why)
    assert.equal(1, caught.v)
  end)

  it("names the app's line where it is set", function()
    assert.same(internal, send("assign").error)
    local _, line = script:match("^(.-)client%.data = { v = 99, bad = print }"):gsub("\n", "")
    local place = ("app%%.lua:%d: client%%.data%%.bad: JSON cannot hold a function"):format(
      line + 1
    )
    assert.is_string(app:await_log('on%.assign of "room:1": [^ ]*' .. place))
    assert.same({ v = 1 }, send("read").ok)
  end)

  it("keeps good changes of a handler that refuses by an error", function()
    assert.equal("no", send("count").error.code)
    assert.same({ v = 2 }, send("read").ok)
  end)

  it("forgets the changes of a handler that is ended", function()
    assert.same(internal, send("ended").error)
    assert.same({ v = 1 }, send("read").ok)
  end)
end)
