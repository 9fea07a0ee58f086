-- What moonwire.mcp keeps for clients is bounded.

local outlets = require "moonwire.mcp.outlet"
local sessions = require "moonwire.mcp.session"

local KEY = ("k"):rep(32)

-- A stream that takes `most` events, and then no more.
local function new_stream(most)
  local stream = { sent = {} }
  function stream:on_close(fn)
    self.closed_by_client = fn
  end
  function stream:send(_, text, options)
    if #self.sent >= (most or math.huge) then
      return nil, "the queue is full", "unavailable"
    end
    self.sent[#self.sent + 1] = { text = text, id = options.id }
    return true
  end
  function stream:close()
    self.closed = true
  end
  return stream
end

local function texts_of(stream)
  local list = {}
  for i, event in ipairs(stream.sent) do
    list[i] = event.text
  end
  return list
end

describe("an outlet of MCP", function()
  local set, session

  before_each(function()
    set, session = outlets.new(300), { outlets = {} }
  end)

  it("keeps the last 256 messages for a resumption", function()
    local outlet = set:add(session, "g")
    for i = 1, 1000 do
      outlet:send(tostring(i))
    end
    local stream = new_stream()
    outlet:attach(stream)
    assert.equal(257, #stream.sent)
    assert.same(
      { "", "745", "1000" },
      { stream.sent[1].text, stream.sent[2].text, stream.sent[257].text }
    )
    assert.equal(outlet.name .. ".1000", stream.sent[257].id)
  end)

  it("keeps 1 MiB, and always the last message", function()
    local outlet, stream = set:add(session, "p"), new_stream()
    for _ = 1, 5 do
      outlet:send(("x"):rep(400 * 1024))
    end
    outlet:attach(stream)
    assert.equal(3, #stream.sent)
    outlet:send(("y"):rep(3 * 1024 * 1024))
    outlet:attach(new_stream())
    local again = new_stream()
    outlet:attach(again, 0)
    assert.same({ "", ("y"):rep(3 * 1024 * 1024) }, texts_of(again))
  end)

  it("keeps 64 MiB for all, and drops those that are done first", function()
    local half = ("x"):rep(512 * 1024)
    local list = {}
    for i = 1, 126 do
      list[i] = set:add(session, "p")
      list[i]:send(half)
      if i <= 100 then
        list[i]:finish()
      end
    end
    assert.equal(list[1], set:find(list[1].name, session))
    for _ = 1, 10 do
      set:add(session, "p"):send(half)
    end
    assert.is_nil(set:find(list[1].name, session))
    assert.equal(list[101], set:find(list[101].name, session))
  end)

  it("is counted, and refused beyond 10,000", function()
    for i = 1, 10000 do
      local outlet = assert(set:add(session, "p"))
      if i == 1 then
        outlet:finish()
      end
    end
    assert(set:add(session, "p")) -- the one that is done makes room
    assert.is_nil(set:add(session, "p"))
  end)

  it("is dropped after its time without a stream", function()
    local get, post, open = set:add(session, "g"), set:add(session, "p"), set:add(session, "g")
    open:attach(new_stream())
    post:finish()
    set:sweep()
    assert.equal(get, set:find(get.name, session))
    set:sweep(0)
    for _, outlet in ipairs { get, post } do
      assert.is_nil(set:find(outlet.name, session))
    end
    assert.equal(open, set:find(open.name, session))
    assert.is_nil(set:find(open.name, { outlets = {} })) -- another session's
  end)

  it("lets a stream go that takes no more, and gives the rest to the next one", function()
    local outlet, slow, next_one = set:add(session, "p"), new_stream(3), new_stream()
    outlet:attach(slow)
    for i = 1, 5 do
      outlet:send(tostring(i))
    end
    assert.is_true(slow.closed)
    assert.same({ "", "1", "2" }, texts_of(slow))
    outlet:finish()
    local n = tonumber(slow.sent[3].id:match "%d+$")
    outlet:attach(next_one, n)
    assert.same({ "", "3", "4", "5" }, texts_of(next_one))
    assert.is_true(next_one.closed)
  end)

  it("that cannot be resumed is told that its stream takes no more", function()
    local outlet, stream, told = outlets.plain(), new_stream(1), 0
    outlet.on_detached = function()
      told = told + 1
    end
    outlet:attach(stream)
    outlet:send "a"
    assert.equal(0, told)
    outlet:send "b"
    stream.closed_by_client()
    assert.same({ 1, true, nil }, { told, stream.closed, outlet.stream })
  end)

  it("that cannot be resumed keeps nothing that was sent", function()
    local outlet, stream = outlets.plain(), new_stream()
    outlet:send "early"
    outlet:attach(stream)
    outlet:send "late"
    assert.same({ "early", "late" }, texts_of(stream))
    assert.is_nil(stream.sent[1].id)
    assert.is_nil(next(outlet._texts))
    assert.is_false(outlet:cut())
  end)
end)

describe("sessions of MCP", function()
  local request = { headers = {} }

  it("are found again by another process with the same key, and not with another one", function()
    local one =
      sessions.new(KEY, 60):begin("2025-11-25", { capabilities = { roots = {} } }, request)
    local found = sessions.new({ ("n"):rep(32), KEY }, 60):find(one.id, request)
    assert.same({ "2025-11-25", { roots = {} } }, { found.revision, found.capabilities })
    assert.is_nil(sessions.new(("o"):rep(32), 60):find(one.id, request))
  end)

  it("hold of what a client declares only what is short", function()
    local all = sessions.new(KEY, 60)
    local flags = {}
    for i = 1, 100 do
      flags["flag" .. i] = true
    end
    flags[("x"):rep(100)] = true
    local one = all:begin("2025-11-25", {
      capabilities = {
        sampling = flags,
        elicitation = { form = { deep = {} } },
        roots = 1,
        other = {},
      },
      clientInfo = { name = ("n"):rep(1000), version = 5 },
    }, request)
    local count = 0
    for flag in pairs(one.capabilities.sampling) do
      assert.is_true(#flag <= 30)
      count = count + 1
    end
    assert.equal(8, count)
    assert.same({ form = {} }, one.capabilities.elicitation)
    assert.is_nil(one.capabilities.roots)
    assert.is_true(#one.id < 1000)
    assert.same({ name = "", version = "" }, one.client)
  end)

  it(
    "are 10,000 in memory; the one that was idle for longest is forgotten, and still valid",
    function()
      local all = sessions.new(KEY, 60)
      local first = all:begin("2025-11-25", {}, request)
      local busy = all:begin("2025-11-25", {}, request)
      first.level, busy.level, busy.calls[1] = "error", "error", {}
      for _ = 1, 10000 do
        all:begin("2025-11-25", {}, request)
      end
      assert.equal("error", all:find(busy.id, request).level)
      assert.equal("info", all:find(first.id, request).level)
      local count = 0
      for _ in all:each() do
        count = count + 1
      end
      assert.equal(10000, count)
    end
  )

  it("stay ended, the last 10,000 of them", function()
    local all = sessions.new(KEY, 60)
    local first = all:begin("2025-11-25", {}, request)
    all:finish(first)
    assert.is_nil(all:find(first.id, request))
    for _ = 1, 10000 do
      all:finish(all:begin("2025-11-25", {}, request))
    end
    assert.is_table(all:find(first.id, request))
  end)
end)
