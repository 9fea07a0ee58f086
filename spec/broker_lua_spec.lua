-- Two servers with one Redis, as their scripts see them.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  publish_key = "secret",
  broker = moonwire.redis { url = "unix:]] .. "%s" .. [[", publish_seconds = 60 },
}
app:channel("room:{room}", {
  history = { size = 100, readable = true },
  relay = { "typing", moved = { keep = true } },
  on = {
    say = function(_, channel, message)
      return channel:publish("said", message.data)
    end,
  },
})
app:stream("/follow/{channel}", function(request, stream)
  stream:follow(request.params.channel)
end)
app:websocket("/raw", {
  on_open = function(socket, request)
    socket:send(moonwire.json.encode { subscribed = socket:subscribe(request.query.channel) })
  end,
})
app:post("/run", function(request)
  local fn = assert(load("local app, moonwire, request = ... " .. request.body))
  local results, named = table.pack(fn(app, moonwire, request)), {}
  for i = 1, results.n do named["r" .. i] = results[i] end
  return { n = results.n, named = named }
end)
return app
]]

describe("two servers with one Redis", function()
  local database, nodes

  setup(function()
    database = redis.start "--appendonly yes"
    nodes = {}
    for i = 1, 2 do
      nodes[i] = server.start(script:format(database.path))
    end
    for _, node in ipairs(nodes) do
      repeat
        local response = http.get(node, "/ready")
      until response.status == 200
    end
  end)

  teardown(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    database:remove()
  end)

  -- Runs code in a handler of a node, and returns what it returns.
  local function run(node, code, query)
    local response = http.request(node, "POST", "/run" .. (query or ""), { body = code })
    assert.equal(200, response.status, response.body)
    local answer, results = dkjson.decode(response.body), {}
    for i = 1, answer.n do
      results[i] = answer.named["r" .. i]
    end
    return table.unpack(results, 1, answer.n)
  end

  it("have one order, and ids that resume on either", function()
    local stream = sse.open(nodes[1], "/sse?channel=room:1")
    stream:cursor()
    local id = run(nodes[2], 'return app:publish("room:1", "a", 1)')
    local event = stream:event()
    assert.same({ id, "a", "1" }, { event.id, event.event, event.data })
    stream:close()
    local second = run(nodes[1], 'return app:publish("room:1", "a", 2)')
    assert.is_true(second > id)
    stream = sse.open(nodes[2], "/sse?channel=room:1&since=" .. id)
    event = stream:event()
    assert.same({ second, "2" }, { event.id, event.data })
    stream:close()
  end)

  it("publish many at once, and without waiting", function()
    local stream = sse.open(nodes[1], "/sse?channel=room:many")
    stream:cursor()
    local results, errors = run(
      nodes[2],
      [[
      local items = {}
      for i = 1, 100 do items[i] = { "room:many", "a", i } end
      return app:publish_all(items)
    ]]
    )
    assert.equal(0, errors)
    assert.equal(100, #results)
    for i = 1, 100 do
      local event = stream:event()
      assert.same({ results[i].id, tostring(i) }, { event.id, event.data })
    end
    assert.is_true(run(nodes[2], 'return app:publish("room:many", "a", "x", { wait = false })'))
    assert.equal('"x"', stream:event().data)
    assert.is_true(run(nodes[2], 'return app:publish("room:many", "a", "v", { volatile = true })'))
    local event = stream:event()
    assert.same({ '"v"' }, { event.data, event.id })
    stream:close()
  end)

  it("read each other's history", function()
    local ids = run(
      nodes[1],
      [[
      local ids = {}
      for i = 1, 5 do ids[i] = app:publish("room:kept", "a", i) end
      return ids
    ]]
    )
    local code = [[
      local channel = app:find "room:kept"
      local list, more, code = channel:history { since = request.query.since, limit = 3 }
      local ids = {}
      for i, message in ipairs(list) do ids[i] = message.id end
      return ids, more, code
    ]]
    local got, more, why = run(nodes[2], code)
    assert.same({ { ids[3], ids[4], ids[5] }, true }, { got, more, why })
    assert.same({ ids[2], ids[3], ids[4] }, (run(nodes[2], code, "?since=" .. ids[1])))
  end)

  it("serve every kind of subscriber", function()
    local streams = {
      sse.open(nodes[1], "/follow/room:all"),
      sse.open(nodes[1], "/sse?channel=room:all"),
    }
    streams[2]:cursor()
    local raw = websocket.open(nodes[1], "/raw?channel=room:all")
    assert.same({ subscribed = true }, raw:next())
    local client = websocket.open(nodes[1])
    client:subscribe "room:all"
    local id = run(nodes[2], 'return app:publish("room:all", "a", 1)')
    for _, stream in ipairs(streams) do
      local event = stream:event()
      assert.same({ id, "1" }, { event.id, event.data })
    end
    local expected = { channel = "room:all", event = "a", id = id, data = 1 }
    assert.same(expected, raw:next())
    assert.same(expected, client:next())
    raw:close()
    client:close()
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)
end)
