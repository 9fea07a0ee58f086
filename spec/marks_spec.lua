-- Channels that are no longer live: what is remembered of them, and that nothing else is.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"
local native = require "spec.support.native"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "key", limits = { channels = 3, marks = 8 } }
app:channel("inbox:{user}", { history = { size = 10 } })
app:channel("said:{room}", { history = { size = 10 }, relay = { say = { keep = true } } })
app:channel("cursor:{doc}", {})
app:channel("other:{doc}", {})
app:post("/publish/{channel}", function(request)
  local id, message, code = app:publish(request.params.channel, "item", 1)
  return { id = id, message = message, code = code }
end)
app:get("/stats", function() return app:stats() end)
app:get("/find/{channel}", function(request) return { found = app:find(request.params.channel) ~= nil } end)
return app
]]

describe("marks", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  after_each(function()
    app:stop()
  end)

  local function ask(method, target)
    local response = http.request(app, method, target, { body = method == "POST" and "" or nil })
    assert.equal(200, response.status, response.body)
    return dkjson.decode(response.body)
  end

  local function publish(channel)
    return ask("POST", "/publish/" .. channel:gsub(":", "%%3A"))
  end

  -- Whether a client that returns with this id is told of a gap: by an event stream, a WebSocket and a poll, which must agree.
  local function has_gap(channel, id)
    local stream =
      sse.open(app, "/sse?envelope=1&channel=" .. channel, { headers = { ["Last-Event-ID"] = id } })
    local opened = dkjson.decode(stream:event().data)
    stream:close()
    local client = native.open(app)
    local ok = client:subscribe(channel, id)
    client:close()
    local poll = http.request(app, "GET", ("/poll?wait=0&channel=%s&since=%s"):format(channel, id))
    local answer = dkjson.decode(poll.body)
    assert.equal(opened.data.recovered, ok.recovered)
    assert.equal(opened.data.recovered, answer.recovered)
    return not answer.recovered
  end

  it("tell what was missed on quiet channels from what was not", function()
    local before = publish("inbox:ann").id
    publish "cursor:a"
    publish "other:a"
    local id = publish("inbox:ann").id
    publish "other:b"
    assert.is_false(has_gap("inbox:new", id))
    assert.is_false(has_gap("inbox:ann", before))
    assert.is_false(has_gap("cursor:a", id))
    assert.is_true(has_gap("cursor:a", before))
    assert.is_true(has_gap("other:b", id))
    local stats = ask("GET", "/stats")
    assert.same({ 1, 3, 0 }, { stats.channels, stats.marks, stats.floor_gaps })
  end)

  it("are dropped by the kind that has the most", function()
    publish "other:a"
    local id = publish("inbox:ann").id
    for n = 1, 30 do
      publish("cursor:" .. n)
    end
    assert.is_false(has_gap("other:a", id))
    assert.is_false(has_gap("inbox:new", id))
    local stats = ask("GET", "/stats")
    assert.same({ 8, 0 }, { stats.marks, stats.floor_gaps })
    assert.is_true(has_gap("cursor:new", id)) -- which is not known to be one
    assert.equal(3, ask("GET", "/stats").floor_gaps)
  end)

  it("do without the channel itself", function()
    local client = native.open(app)
    client:subscribe "cursor:a"
    client:subscribe "inbox:ann"
    assert.is_true(ask("GET", "/find/cursor%3Aa").found)
    publish "cursor:a"
    assert.equal("item", client:next().event)
    client:ask { unsubscribe = "cursor:a" }
    client:ask { unsubscribe = "inbox:ann" }
    assert.is_false(ask("GET", "/find/cursor%3Aa").found)
    assert.equal(0, ask("GET", "/stats").channels)
    for n = 1, 50 do
      client:subscribe("cursor:" .. n)
      client:ask { unsubscribe = "cursor:" .. n }
    end
    client:close()
  end)

  it("are not all that is left of a message with an id", function()
    local client = native.open(app)
    for n = 1, 3 do
      client:subscribe("cursor:" .. n)
    end
    local refused = publish "inbox:ann"
    assert.is_nil(refused.id)
    assert.equal("unavailable", refused.code)
    assert.truthy(refused.message:find("limits.channels", 1, true))
    assert.is_string(publish("cursor:new").id) -- there is nothing to keep
    local response = http.request(app, "POST", "/publish", {
      headers = { Authorization = "Bearer key" },
      body = '{"channel":"inbox:ann"}',
    })
    assert.equal(503, response.status)
    assert.equal("unavailable", dkjson.decode(response.body).error.code)
    response = http.request(app, "POST", "/send", { body = '{"send":"said:a","event":"say"}' })
    assert.equal(503, response.status)
    assert.equal("unavailable", dkjson.decode(response.body).error.code)
    client:ask { unsubscribe = "cursor:1" }
    assert.is_string(publish("inbox:ann").id)
    client:close()
  end)
end)
