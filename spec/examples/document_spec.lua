-- examples/document, in memory. The peer of this spec, document_text.mjs, edits at random with the page's own code.

local dkjson = require "dkjson"
local peers = require "spec.support.server"
local testing = require "moonwire.testing"

local CHANNEL = "document:notes"

describe("examples/document under test", function()
  local server

  before_each(function()
    server = testing.start "examples/document/app.lua"
  end)
  after_each(testing.stop_all)

  local function open(name, transport)
    return server:connect { channels = { CHANNEL }, name = name, transport = transport }
  end

  local function insert(author, number, text, path, index)
    local last = number + utf8.len(text) - 1
    return {
      spans = { [author] = { number - 1, last } },
      inserts = { { author, number, path or author .. ".0", index or number - 1, text } },
      deletes = {},
    }
  end

  local function whole()
    return server:request("GET", "/text/notes"):json()
  end

  for _, transport in ipairs { "websocket", "sse", "poll" } do
    it("passes edits on to all others, over " .. transport, function()
      local ann, ben = open("Ann", transport), open("Ben", transport)
      local edit = insert("a", 1, "hello")
      assert.same({ version = 1 }, ann:send(CHANNEL, "edit", edit))
      assert.same({ version = 1, edit = edit }, ben:take("edit").data)
      ann:expect_nothing "edit"
      assert.same({ version = 1 }, ann:send(CHANNEL, "edit", edit)) -- twice is once
      ben:expect_nothing "edit"
      ben:send(CHANNEL, "edit", { spans = {}, inserts = {}, deletes = { { "a", 2, 3 } } })
      assert.equal(2, ann:take("edit").data.version)
      assert.same({ { "a", 1, "a.0", 0, "h" }, { "a", 5, "a.0", 4, "o" } }, whole().edit.inserts)
      assert.same({ a = { 0, 5 } }, whole().edit.spans)
      ben:send(CHANNEL, "cursor", { "a.0", 4 })
      local cursor = ann:take "cursor"
      assert.same({ "a.0", 4 }, cursor.data)
    end)
  end

  it("keeps nothing of what was deleted", function()
    local ann = open "Ann"
    for i = 0, 50 do
      ann:send(CHANNEL, "edit", insert("a", i * 100 + 1, ("x"):rep(100)))
      ann:send(
        CHANNEL,
        "edit",
        { spans = {}, inserts = {}, deletes = { { "a", i * 100 + 1, 100 } } }
      )
      server:advance(1)
    end
    assert.same({}, whole().edit.inserts)
    assert.is_true(#server:request("GET", "/text/notes").body < 100)
    -- and does not revive it, when it arrives once more
    ann:send(CHANNEL, "edit", insert("a", 1, ("x"):rep(100)))
    assert.same({}, whole().edit.inserts)
  end)

  it("learns a whole document from a copy, as after a restart", function()
    local ann = open "Ann"
    ann:send(CHANNEL, "edit", {
      spans = { a = { 0, 9 }, b = { 0, 3 } },
      inserts = { { "a", 4, "a.0", 3, "text" }, { "b", 2, "a.0:4>b.0", 0, "é" } },
      deletes = {},
    })
    assert.same({ a = { 0, 9 }, b = { 0, 3 } }, whole().edit.spans)
    assert.equal(2, #whole().edit.inserts)
    local code = select(3, ann:try_send(CHANNEL, "edit", insert("a", 11, "x")))
    assert.equal("behind", code)
    ann:send(CHANNEL, "edit", insert("a", 10, "x"))
  end)

  it("bounds the text, its authors, and the documents", function()
    local ann = open "Ann"
    local function try(edit)
      server:advance(1)
      return select(3, ann:try_send(CHANNEL, "edit", edit))
    end
    for i = 0, 4 do
      assert.is_nil(try(insert("a", i * 2000 + 1, ("x"):rep(2000))))
    end
    assert.equal("full", try(insert("a", 10001, "x")))
    assert.is_nil(try { spans = {}, inserts = {}, deletes = { { "a", 1, 10000 } } })
    for i = 1, 600 do -- an author of whom nothing is left is forgotten
      assert.is_nil(try { spans = { ["w" .. i] = { 0, 1 } }, inserts = {}, deletes = {} })
    end
    local count = 0
    for _ in pairs(whole().edit.spans) do
      count = count + 1
    end
    assert.equal(500, count)
    for i = 2, 50 do
      ann:subscribe("document:d" .. i)
    end
    assert.equal("unavailable", select(3, ann:try_subscribe "document:d51"))
  end)

  it("forgets a document that nobody reads for an hour", function()
    local ann = open "Ann"
    ann:send(CHANNEL, "edit", insert("a", 1, "hello"))
    ann:disconnect()
    server:advance(3000)
    assert.equal(1, whole().version)
    server:advance(1000)
    assert.equal(0, whole().version)
  end)

  it("refuses what is not an edit, and changes nothing", function()
    local eve = open "Eve"
    local function list(item)
      return { spans = { a = { 0, 5 } }, inserts = { item }, deletes = {} }
    end
    local bad = {
      "x",
      7,
      {},
      { spans = {} },
      { spans = {}, inserts = {} },
      { spans = 1, inserts = {}, deletes = {} },
      { spans = { a = { 0, 0 } }, inserts = {}, deletes = {} },
      { spans = { a = { 0, 1e9 } }, inserts = {}, deletes = {} },
      { spans = { a = { 0, 30000 } }, inserts = {}, deletes = {} },
      { spans = { a = { -1, 3 } }, inserts = {}, deletes = {} },
      { spans = { a = { 0.5, 3 } }, inserts = {}, deletes = {} },
      { spans = { ["<b>"] = { 0, 3 } }, inserts = {}, deletes = {} },
      { spans = { [("a"):rep(17)] = { 0, 3 } }, inserts = {}, deletes = {} },
      { spans = {}, inserts = {}, deletes = { { "a", 1, 30000 } } },
      { spans = {}, inserts = {}, deletes = { { "a", 1 } } },
      list "x",
      list {},
      list { "a", 1, "a.0", 0 },
      list { "b", 1, "a.0", 0, "x" },
      list { "a", 6, "a.0", 0, "x" },
      list { "a", 5, "a.0", 0, "xy" },
      list { "a", 1, "", 0, "x" },
      list { "a", 1, "a.0>", 0, "x" },
      list { "a", 1, "a.0:x>b.0", 0, "x" },
      list { "a", 1, "<b>.0", 0, "x" },
      list { "a", 1, ("a.0:1>"):rep(300) .. "a.0", 0, "x" },
      list { "a", 1, "a.0", "0", "x" },
      list { "a", 1, "a.0", 0.5, "x" },
      list { "a", 1, "a.0", 0, 7 },
      list { "a", 1, "a.0", 0, "\0" },
      list { "a", 1, "a.0", 0, "\27[2J" },
      list { "a", 1, "a.0", 0, "\u{202E}x" },
      list { "a", 1, "a.0", 0, "x\u{2066}" },
    }
    for i, edit in ipairs(bad) do
      assert.equal("bad_edit", select(3, eve:try_send(CHANNEL, "edit", edit)), "edit " .. i)
      server:advance(1)
    end
    assert.equal("too_large", select(3, eve:try_send(CHANNEL, "edit", ("x"):rep(100000))))
    assert.equal(0, whole().version)
    for _, name in ipairs { "a b", "<script>", ("x"):rep(25), "ä", "" } do
      assert.is_nil((eve:try_subscribe("document:" .. name)), name)
    end
  end)
end)

describe("copies of a text", function()
  local function converge(...)
    local seen = dkjson.decode(peers.peer("examples/document_text.mjs", ...))
    assert.same({ texts = 1, isWhole = true }, { texts = seen.texts, isWhole = seen.isWhole })
    assert.equal(seen.wanted, seen.length)
  end

  it("converge, in whatever order edits reach them", function()
    converge(os.getenv "SEED" or 1)
  end)

  it("converge over a server, though they are disconnected", function()
    local app = peers.start { path = "examples/document/app.lua" }
    converge(os.getenv "SEED" or 1, app.address)
    app:stop()
  end)
end)
