-- Subscribers that do not read: closed at the limit, memory bounded, the others notice nothing.

local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { outbox = %s, size = 100000, progress_seconds = %s } }
app:channel("flood", {
  on_leave = function(client) app.log.info("%%s left", client.id) end,
  on_join = function(client) return client.id end,
})
app:get("/big", function() return ("x"):rep(100000) end)
app:post("/publish", function(request)
  app:publish("flood", "item", { n = tonumber(request.query.n), text = ("x"):rep(50000) })
  return 204
end)
return app
]]

-- What AddressSanitizer keeps of freed memory would look like ours.
local env = "ASAN_OPTIONS=quarantine_size_mb=1:" .. (os.getenv "ASAN_OPTIONS" or "")

local function start(outbox, progress_seconds)
  return server.start { script = script:format(outbox, progress_seconds), env = env }
end

describe("a subscriber that never reads", function()
  local function open(app)
    local stream = sse.open(app, "/sse?channel=flood&envelope=1")
    local id = stream:event().data:match '"flood":{"data":"([^"]+)"'
    return stream, assert(id)
  end

  -- Publishes messages of 50 KB one after the other; the good subscriber reads each before the next.
  local function flood(app, good, from, to)
    local publisher = http.connect(app)
    for n = from, to do
      publisher:send(http.format("POST", "/publish?n=" .. n, { body = "" }))
      assert.equal(204, publisher:read_response().status)
      if good then
        local event
        repeat
          event = good:event().data
        until event:find '"item"'
        assert.equal(n, tonumber(event:match '"n":(%d+)'))
      end
    end
    publisher:close()
  end

  it("is closed at the limit of its outbox", function()
    local app = start(262144, 60)
    local good = open(app)
    local slow, id = {}, {}
    for i = 1, 10 do
      slow[i], id[i] = open(app)
      slow[i].connection.socket:setoption("recv-buffer-size", 4096)
    end
    flood(app, good, 1, 20)
    local before = app:rss()
    flood(app, good, 21, 600) -- 30 MB, more than the kernel holds for one connection
    for i = 1, 10 do
      assert.is_string(app:await_log(id[i] .. " left"), "it is still there")
    end
    -- ten outboxes, and what a good subscriber needs; not ten times what was published
    assert.is_true(app:rss() - before < 12 * 1024, ("%d KiB more"):format(app:rss() - before))
    for i = 1, 10 do
      slow[i].connection:read_rest() -- raises if the connection stays open
      slow[i]:close()
    end
    good:close()
    app:stop()
  end)

  it("is closed when it takes nothing for too long, whatever its outbox still holds", function()
    local app = start(1073741824, 1)
    local good = open(app)
    local slow, id = open(app)
    slow.connection.socket:setoption("recv-buffer-size", 4096)
    flood(app, good, 1, 300)
    assert.is_string(app:await_log(id .. " left", 10), "it is still there")
    flood(app, good, 301, 310)
    slow:close()
    good:close()
    app:stop()
  end)

  it("does not hold up the end of the server", function()
    local app = start(1073741824, 60)
    local slow = open(app)
    slow.connection.socket:setoption("recv-buffer-size", 4096)
    flood(app, nil, 1, 300)
    app:stop()
    slow:close()
  end)
end)

describe("a client that sends requests and does not read the answers", function()
  local app, client, before

  before_each(function()
    app = start(262144, 60)
    client = http.connect(app, 2)
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
    assert.is_true(app:rss() - before < 12 * 1024, ("%d KiB more"):format(app:rss() - before))
  end

  it("gets them all when it reads, if they are slow to come by", function()
    client:send(http.format("GET", "/big"):rep(1000)) -- 100 MB of answers
    assert_bounded()
    for _ = 1, 1000 do
      assert.equal(100000, #client:read_response().body)
    end
  end)

  it("is not read from any more, if they come at once", function()
    local _, fault = client:send(http.format("GET", "/nothing"):rep(1000000)) -- 200 MB of answers
    assert.equal("timeout", fault)
    assert_bounded()
  end)
end)
