-- What an app does to a user on all servers of a cluster: two processes with one real Redis.

local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local APP = [[
local moonwire = require "moonwire"
local app = moonwire.app { broker = moonwire.redis "unix:%s" }
app:authenticate(function(request)
  return { id = request.query.name or "nobody" }
end)
app:channel("news", { authorize = true })
app:post("/close/{user}", function(request)
  return { closed = app:close_user(request.params.user, "closed") }
end)
return app
]]

-- Reads the stream to its end.
local function await_end(stream)
  while stream:event() do
  end
  stream:close()
end

local function open(node, user)
  local stream = sse.open(node, "/sse?channel=news&name=" .. user, { timeout = 60 })
  assert.equal(200, stream.status)
  stream:cursor()
  return stream
end

describe("users of a cluster", function()
  local instance, nodes

  setup(function()
    instance = redis.start()
    local app = APP:format(instance.path)
    nodes = { server.start(app), server.start(app) }
  end)

  teardown(function()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  it("are closed on all servers", function()
    local streams = { open(nodes[1], "ann"), open(nodes[2], "ann"), open(nodes[2], "ann") }
    local other = open(nodes[2], "bea")
    local answer = http.request(nodes[1], "POST", "/close/ann", { body = "" })
    assert.matches('"closed":1', answer.body) -- on its own server
    for _, stream in ipairs(streams) do
      await_end(stream)
    end
    -- and nobody else
    answer = http.request(nodes[2], "POST", "/close/bea", { body = "" })
    assert.matches('"closed":1', answer.body)
    await_end(other)
  end)

  it("are closed whatever other programs have written in between", function()
    local client = instance:connect()
    local stream = open(nodes[2], "ann")
    client:call("PUBLISH", "{mw}:x", "garbage")
    client:call("XADD", "{mw}:x", "9000000000000000-0", "x", "y")
    client:call("PUBLISH", "{mw}:x", "garbage")
    http.request(nodes[1], "POST", "/close/ann", { body = "" })
    await_end(stream)
    for _, garbage in ipairs { "", "close_user 9 9\nann", "close_user 3 500\nann", "later" } do
      local position = client:call("HGET", "{mw}:h", "control")
      client:call(
        "XADD",
        "{mw}:x",
        ("%d-0"):format(position + 1),
        "b",
        position,
        "o",
        "other",
        "m",
        garbage
      )
      client:call("HSET", "{mw}:h", "position", position + 1, "control", position + 1)
      client:call("PUBLISH", "{mw}:x", "")
    end
    client:close()
    stream = open(nodes[2], "ann")
    http.request(nodes[1], "POST", "/close/ann", { body = "" })
    await_end(stream)
  end)
end)
