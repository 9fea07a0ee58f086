-- examples/feed, in memory. Its store runs in this process instead of on a thread.

local testing = require "moonwire.testing"
local stand_ins = require "spec.examples.stand_ins"

describe("examples/feed under test", function()
  local server, restore

  before_each(function()
    package.loaded.feed_store = nil
    restore = stand_ins.pool()
    server = testing.start "examples/feed/app.lua"
  end)
  after_each(function()
    restore()
    testing.stop_all()
  end)

  local function connect(transport)
    return server:connect { transport = transport, channels = { "feed" } }
  end

  local function post(client, text)
    return client:send("feed", "post", { author = "Ann", text = text })
  end

  it("shows entries to all, and older ones by page", function()
    local ann, ben = connect "websocket", connect "sse"
    for i = 1, 45 do
      local id = post(ann, "entry " .. i).id
      local entry = ben:take("entry").data
      assert.same({ id, "Ann", "entry " .. i }, { entry.id, entry.author, entry.text })
      server:advance(2)
    end
    local seen, before = {}, nil
    for page = 1, 3 do
      local answer = server:request("GET", "/entries", { query = { before = before } }):json()
      assert.equal(page < 3, answer.more)
      for _, entry in ipairs(answer.entries) do
        seen[#seen + 1] = entry.text
        before = tostring(entry.id)
      end
    end
    assert.same({ 45, "entry 45", "entry 1" }, { #seen, seen[1], seen[45] })
    assert.same({ entries = {}, more = false }, server:request("GET", "/entries?before=1"):json())
  end)

  it("bounds how often a client posts", function()
    local eve = connect "websocket"
    for _ = 1, 5 do
      post(eve, "buy this")
    end
    assert.equal(
      "rate_limited",
      select(3, eve:try_send("feed", "post", { author = "Eve", text = "buy this" }))
    )
    server:advance(2)
    post(eve, "buy this")
  end)

  it("stores what people write as it is", function()
    local eve = connect "websocket"
    local text = "'); DROP TABLE entries; -- \u{202e}<script>alert(1)</script>"
    eve:send("feed", "post", { author = "<b>Eve'", text = text })
    local entry = server:request("GET", "/entries"):json().entries[1]
    assert.same({ "<b>Eve'", text }, { entry.author, entry.text })
  end)

  for what, data in pairs {
    ["no table"] = "hello",
    ["no text"] = { author = "Ann" },
    ["no author"] = { text = "hello" },
    ["a text of spaces"] = { author = "Ann", text = "  \n" },
    ["a text that is too long"] = { author = "Ann", text = ("x"):rep(501) },
    ["an author that is too long"] = { author = ("x"):rep(41), text = "hello" },
    ["control characters"] = { author = "Ann", text = "\27[2J" },
    ["an author that is no text"] = { author = { 1 }, text = "hello" },
  } do
    it("refuses " .. what, function()
      assert.equal("bad_entry", select(3, connect("websocket"):try_send("feed", "post", data)))
    end)
  end

  it("refuses a megabyte, and what is not an id", function()
    local data = { author = ("x"):rep(1024 * 1024), text = "hello" }
    assert.is_nil((connect("websocket"):try_send("feed", "post", data)))
    for _, before in ipairs { "x", "1e400", "0.5", "1;DROP TABLE entries" } do
      assert.equal(400, server:request("GET", "/entries", { query = { before = before } }).status)
    end
  end)
end)
