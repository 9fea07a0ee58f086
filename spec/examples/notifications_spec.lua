-- examples/notifications, in memory. Its store runs in this process instead of on a thread.

local testing = require "moonwire.testing"
local stand_ins = require "spec.examples.stand_ins"

describe("examples/notifications under test", function()
  local server, restore

  before_each(function()
    package.loaded.notifications_store = nil
    restore = stand_ins.pool()
    server = testing.start "examples/notifications/app.lua"
  end)
  after_each(function()
    restore()
    testing.stop_all()
  end)

  local function log_in(user)
    return { inbox = server:request("POST", "/enter/" .. user).cookies.inbox }
  end

  local function open(cookies, user)
    return server:connect { channels = { "inbox:" .. user }, cookies = cookies }
  end

  local function notify(user, body, token)
    return server:request("POST", "/notify/" .. user, { body = body, token = token or "demo" })
  end

  it("counts what is unread, in all tabs", function()
    local ann = log_in "ann"
    local first, second = open(ann, "ann"), open(ann, "ann")
    for i = 1, 3 do
      assert.equal(200, notify("ann", { text = "order " .. i }).status)
      assert.equal(i, first:take("notification").data.unread)
    end
    second:take "notification"
    second:send("inbox:ann", "read", second:take("notification").data.id)
    assert.equal(1, first:take("read").data.unread)
    local inbox = server:request("GET", "/inbox", { cookies = ann }):json()
    assert.same({ 1, "Ann", "order 3", false, true }, {
      inbox.unread,
      inbox.user.name,
      inbox.items[1].text,
      inbox.items[1].read,
      inbox.items[2].read,
    })
  end)

  it("tells a page that was away", function()
    local page = open(log_in "ann", "ann")
    page:disconnect()
    notify("ann", { text = "while you were away" })
    page:return_with_last_id()
    assert.equal("while you were away", page:take("notification").data.text)
  end)

  it("shows nobody the inbox of another", function()
    local ann = log_in "ann"
    assert.is_nil((server:try_connect { channels = { "inbox:ben" }, cookies = ann }))
    assert.is_nil((server:try_connect { channels = { "inbox:ann" } }))
    assert.is_nil((server:try_connect { channels = { "inbox:ann" }, cookies = { inbox = "ann" } }))
    assert.same({ items = {} }, server:request("GET", "/inbox"):json())
    assert.equal("", log_in("nobody").inbox)
  end)

  it("keeps two hundred for each user", function()
    for i = 1, 210 do
      notify("ann", { text = "order " .. i })
    end
    notify("ben", { text = "hello" })
    assert.equal(200, server:request("GET", "/inbox", { cookies = log_in "ann" }):json().unread)
    assert.equal(1, server:request("GET", "/inbox", { cookies = log_in "ben" }):json().unread)
  end)

  for what, case in pairs {
    ["a wrong key"] = { "ann", { text = "hello" }, 401, "wrong" },
    ["an unknown user"] = { "eve", { text = "hello" }, 400 },
    ["no text"] = { "ann", {}, 400 },
    ["a text that is none"] = { "ann", { text = 7 }, 400 },
    ["a text that is too long"] = { "ann", { text = ("x"):rep(501) }, 400 },
    ["what is not JSON"] = { "ann", "[", 400 },
    ["a megabyte"] = { "ann", { text = ("x"):rep(1024 * 1024) }, 413 },
  } do
    it("refuses " .. what, function()
      assert.equal(case[3], notify(case[1], case[2], case[4]).status)
    end)
  end
end)
