-- examples/assistant over real sockets: many answers at the same time, and a server of a model that fails.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

-- The app with numbers that suit a test; /stats has what it holds.
local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:get("/stats", function() return app:stats() end)
local events = moonwire.http.events
moonwire.http.events = function(options)
  options.timeout = 5
  return events(options)
end
return assert(loadfile "examples/assistant/app.lua")(app, "/")
]]

-- The fake, which counts how often it is asked.
local fake = [[
local app = require("moonwire").app {}
local asked = 0
app:before("/v1", function() asked = asked + 1 end)
app:get("/asked", function() return { asked = asked } end)
return assert(loadfile "examples/assistant/fake.lua")(app)
]]

local function decoded(app, target)
  return dkjson.decode(http.get(app, target).body)
end

-- Asks, and reads the answer of the POST as far as the caller wants.
local function open(app, id, question, headers)
  local target = ("/answers/%s?owner=me"):format(id)
  local options = { method = "POST", body = question, headers = headers, timeout = 30 }
  return sse.open(app, target, options)
end

-- Asks, and leaves. Returns the status.
local function ask(app, id, question, headers)
  local stream = open(app, id, question, headers)
  stream:close()
  return stream.status
end

-- All events of a stream, as "name data", to its end.
local function read_all(stream)
  local events = {}
  for event in stream.event, stream do
    events[#events + 1] = event.event .. " " .. event.data
  end
  stream:close()
  return events
end

local function read(app, id)
  return read_all(sse.open(app, "/sse?channel=answer:" .. id, { timeout = 30 }))
end

local function await(condition)
  local deadline = socket.gettime() + 30
  while not condition() do
    assert(socket.gettime() < deadline, "the condition has not come true within 30 seconds")
    socket.sleep(0.02)
  end
end

describe("examples/assistant with its fake", function()
  it("asks once for each of 200 answers, which all pages read completely", function()
    local upstream = server.start { script = fake }
    local env = ("OPENAI_BASE_URL=%s/v1"):format(upstream.address)
    local app = server.start { script = script, env = env }
    local output = server.peer("support/answers_crowd.mjs", app.address, 200, 10)
    local seen = dkjson.decode(output)
    assert.same({}, seen.wrong)
    assert.equal(200, seen.complete)
    assert.is_true(seen.reloads > 20 and seen.cuts > 20)
    assert.same({ asked = 200 }, decoded(upstream, "/asked"))
    assert.equal(0, decoded(app, "/stats").gaps)
    app:stop()
    upstream:stop()
  end)
end)

describe("examples/assistant with a server of a model that fails", function()
  local app, upstream

  setup(function()
    local pipe = assert(io.popen "exec node spec/support/completions.mjs & echo $!; wait")
    upstream = { pipe = pipe, pid = pipe:read "n" }
    pipe:read "l"
    upstream.address = pipe:read "l"
    upstream.host, upstream.port = upstream.address:match "^http://(.*):(%d+)$"
    local env = ("OPENAI_BASE_URL=%s/v1/ OPENAI_API_KEY=secret-key"):format(upstream.address)
    app = server.start { script = script, env = env }
  end)

  teardown(function()
    os.execute(("kill %d"):format(upstream.pid))
    upstream.pipe:close()
    app:stop()
  end)

  local function asked(question)
    return decoded(upstream, "/asked").counts[question]
  end

  local FAILED = 'failed {"code":"unavailable","message":"the model has failed"}'
  local ways = {
    ["complete 3"] = 'done {"reason":"stop"}',
    ["usage 3"] = 'done {"reason":"stop"}',
    ["filter 3"] = 'done {"reason":"content_filter"}',
    ["bare 3"] = 'done {"reason":"stop"}',
    ["undone 3"] = 'done {"reason":"stop"}',
    ["strange 3"] = 'done {"reason":"stop"}',
    ["early 3"] = FAILED,
    ["cut 3"] = FAILED,
    ["half 3"] = FAILED,
    ["hang 3"] = FAILED,
    ["error 3"] = FAILED,
    ["text 3"] = FAILED,
    ["number 3"] = FAILED,
    ["list 3"] = FAILED,
    ["null 3"] = FAILED,
    ["choices 3"] = FAILED,
    ["delta 3"] = 'done {"reason":"stop"}',
    ["bytes 3"] = FAILED,
    ["surrogate 3"] = FAILED,
    ["large 3"] = FAILED,
    ["500"] = FAILED,
    ["429"] = FAILED,
    ["401"] = FAILED,
    ["page"] = FAILED,
    ["reset"] = FAILED,
    ["silent"] = FAILED,
  }

  local function id_of(question)
    return "way" .. question:gsub("%W", "")
  end

  -- All at the same time: some of them take SILENCE.
  setup(function()
    for question in pairs(ways) do
      assert.equal(200, ask(app, id_of(question), question))
    end
  end)

  for question, last in pairs(ways) do
    it(("tells the page how an answer ends: %s"):format(question), function()
      local id = id_of(question)
      local events = read(app, id)
      local expected = { ('question {"text":"%s"}'):format(question) }
      for i = 1, tonumber(question:match " (%d+)$" or 0) do
        expected[#expected + 1] = ('token " %d"'):format(i)
      end
      expected[#expected + 1] = last
      expected[#expected + 1] = ('moonwire:end {"channel":"answer:%s"}'):format(id)
      assert.same(expected, events)
      -- as a page that did not see the answer
      expected[#expected] = nil
      assert.same(expected, read_all(open(app, id, question)))
      -- libcurl repeats a request, up to five times, if the connection was used before, and ends without an answer
      assert.is_true(asked(question) <= (question == "reset" and 6 or 1), asked(question))
    end)
  end

  it("ends an answer by the stop button, and the request to the model", function()
    local stream = open(app, "stop", "complete 100000")
    repeat
      local event = stream:event()
    until event.event == "token"
    assert.equal(204, http.request(app, "POST", "/answers/stop/stop", { body = "" }).status)
    local last, event
    repeat
      last, event = event, stream:event()
    until not event
    assert.same({ "cancelled", '{"reason":"stopped"}' }, { last.event, last.data })
    stream:close()
    local events = read(app, "stop")
    assert.equal('cancelled {"reason":"stopped"}', events[#events - 1])
    assert.equal(404, http.request(app, "POST", "/answers/stop/stop", { body = "" }).status)
    assert.equal(404, http.request(app, "POST", "/answers/nothing/stop", { body = "" }).status)
    await(function()
      return decoded(upstream, "/asked").open == 0
    end)
  end)

  it("continues the answer of a POST after the last event", function()
    local stream = open(app, "resume", "complete 20")
    local events, last = {}, nil
    for i = 1, 5 do
      local event = stream:event()
      events[i], last = event.event .. " " .. event.data, event.id
    end
    stream:close()
    for _, event in
      ipairs(read_all(open(app, "resume", "complete 20", { ["Last-Event-ID"] = last })))
    do
      events[#events + 1] = event
    end
    assert.equal(22, #events)
    for i = 1, 20 do
      assert.equal(('token " %d"'):format(i), events[i + 1])
    end
    assert.equal('done {"reason":"stop"}', events[22])
    assert.equal(1, asked "complete 20")
  end)

  it("leaves no request and no task", function()
    await(function()
      return decoded(upstream, "/asked").open == 0 and decoded(app, "/stats").handlers.waiting == 0
    end)
    assert.is_nil(app:log():find("secret-key", 1, true))
  end)

  it("answers again after the model's server has restarted", function()
    local port = upstream.port
    os.execute(("kill %d"):format(upstream.pid))
    upstream.pipe:close()
    assert.equal(200, ask(app, "down", "complete 2"))
    local pipe =
      assert(io.popen(("exec node spec/support/completions.mjs %d & echo $!; wait"):format(port)))
    upstream.pipe, upstream.pid = pipe, pipe:read "n"
    pipe:read "l"
    pipe:read "l"
    local events = read(app, "down")
    assert.same(
      { 'token " 1"', 'token " 2"', 'done {"reason":"stop"}' },
      { table.unpack(events, 2, 4) }
    )
  end)

  for name, case in pairs {
    ["an empty question"] = { "bad1?owner=me", "" },
    ["white space"] = { "bad2?owner=me", " \n" },
    ["a long question"] = { "bad3?owner=me", ("x"):rep(4001) },
    ["a question that is not UTF-8"] = { "bad4?owner=me", "\255" },
    ["an owner with a colon"] = { "bad5?owner=a:b", "hello" },
    ["an empty owner"] = { "bad6?owner=", "hello" },
    ["an id with a colon"] = { "a:b?owner=me", "hello" },
    ["a long id"] = { ("x"):rep(200) .. "?owner=me", "hello" },
  } do
    it("refuses " .. name, function()
      assert.equal(
        400,
        http.request(app, "POST", "/answers/" .. case[1], { body = case[2] }).status
      )
    end)
  end

  it("refuses pages of other origins, and has no answers that were not asked", function()
    assert.equal(403, ask(app, "own", "complete 1", { Origin = "http://evil.example" }))
    assert.equal(404, http.get(app, "/sse?channel=answer:own").status)
  end)
end)
