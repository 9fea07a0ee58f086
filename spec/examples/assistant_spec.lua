-- examples/assistant, in memory. The model is a function.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"
local stand_ins = require "spec.examples.stand_ins"

-- What the model sends, one every 0.02 seconds: tokens, or a table that is sent as it is. A last item `false` ends the stream
-- without [DONE], and an error is raised.
local model

local function events_of(items)
  local i = 0
  return function()
    i = i + 1
    local item = items[i]
    if not moonwire.sleep(0.02) or item == false or i > #items + 1 then
      return nil
    elseif type(item) == "function" then
      return item()
    elseif i > #items then
      return { data = "[DONE]" }
    end
    local chunk = type(item) == "table" and item or { choices = { { delta = { content = item } } } }
    return { data = moonwire.json.encode(chunk) }
  end
end

describe("examples/assistant under test", function()
  local server, asked
  local events, restore = moonwire.http.events, nil

  setup(function()
    restore = stand_ins.environment {
      OPENAI_BASE_URL = "http://model.example/v1",
      OPENAI_API_KEY = "key",
    }
    moonwire.http.events = function(options)
      asked[#asked + 1] = options
      return events_of(model(options.json.messages[1].content))
    end
  end)
  teardown(function()
    restore()
    moonwire.http.events = events
  end)
  before_each(function()
    asked = {}
    model = function()
      return { "Hel", "lo", "!" }
    end
    server = testing.start "examples/assistant/app.lua"
  end)
  after_each(testing.stop_all)

  -- Asks, as a page that leaves when the stream has begun.
  local function ask(id, question)
    local path = ("/answers/%s?owner=me"):format(id)
    server:start_request("POST", path, { body = question })
  end

  for _, transport in ipairs { "websocket", "sse", "poll" } do
    it("sends tokens as they come, and all of them to a late page, over " .. transport, function()
      ask("1", "Hi?")
      local page = server:connect { transport = transport, channels = { "answer:1", "asked:me" } }
      assert.same({ text = "Hi?" }, page:take("question").data)
      assert.same({ id = "1", question = "Hi?" }, page:take("asked").data)
      for _, token in ipairs { "Hel", "lo", "!" } do
        page:expect_nothing()
        server:advance(0.02)
        assert.equal(token, page:take("token").data)
      end
      server:advance(0.02)
      assert.same({ reason = "stop" }, page:take("done").data)
      page:take "moonwire:end"
      local late = server:connect { transport = transport, channels = { "answer:1" } }
      local text = {}
      for i, message in ipairs(late:take_all()) do
        text[i] = message.event == "token" and message.data or message.event
      end
      assert.same({ "question", "Hel", "lo", "!", "done", "moonwire:end" }, text)
      assert.equal(1, #asked)
      assert.equal("http://model.example/v1/chat/completions", asked[1].url)
      assert.equal("Bearer key", asked[1].headers.Authorization)
    end)
  end

  it("continues for a page that was away", function()
    model = function()
      local tokens = {}
      for i = 1, 100 do
        tokens[i] = i .. " "
      end
      return tokens
    end
    ask("1", "count")
    local page = server:connect { channels = { "answer:1" } }
    page:take "question"
    server:advance(0.5)
    page:disconnect()
    server:advance(0.5)
    page:return_with_last_id()
    server:advance(5)
    local count = 0
    for _, message in ipairs(page:take_all()) do
      if message.event == "token" then
        count = count + 1
        assert.equal(count .. " ", message.data)
      end
    end
    assert.equal(100, count)
    assert.equal(1, #asked)
  end)

  it("asks once, however often a page repeats its request", function()
    for _ = 1, 3 do
      ask("1", "Hi?")
      server:advance(0.05)
    end
    server:advance(1)
    ask("1", "Hi?")
    server:advance(1)
    assert.equal(1, #asked)
    local page = server:connect { channels = { "asked:me" } }
    assert.equal(1, #page:take_all())
  end)

  it("ends with the stop button, in all pages", function()
    model = function()
      local tokens = {}
      for i = 1, 1000 do
        tokens[i] = "x"
      end
      return tokens
    end
    ask("1", "endless")
    local page = server:connect { channels = { "answer:1" } }
    server:advance(0.5)
    assert.equal(204, server:request("POST", "/answers/1/stop").status)
    server:advance(0.1)
    assert.same({ reason = "stopped" }, page:take("cancelled").data)
    page:take "moonwire:end"
    assert.equal(404, server:request("POST", "/answers/1/stop").status)
    page:take_all()
    server:advance(60)
    page:expect_nothing()
  end)

  local FAILED = { code = "unavailable", message = "the model has failed" }

  for name, case in pairs {
    ["early"] = { { "a", false }, "failed", FAILED },
    ["with an error"] = {
      {
        "a",
        function()
          error "broken"
        end,
      },
      "failed",
      FAILED,
    },
    ["with something else"] = { { "a", { error = { message = "overloaded" } } }, "failed", FAILED },
    ["at its limit"] = {
      { "a", { choices = { { delta = {}, finish_reason = "length" } } } },
      "done",
      { reason = "length" },
    },
  } do
    it("says that an answer ended " .. name, function()
      model = function()
        return case[1]
      end
      ask("1", "Hi?")
      local page = server:connect { channels = { "answer:1" } }
      server:advance(1)
      assert.equal("a", page:take("token").data)
      assert.same(case[3], page:take(case[2]).data)
      page:take "moonwire:end"
    end)
  end

  it("waits for a model that restarts, but asks only once if it can be reached", function()
    local tries = 0
    model = function()
      tries = tries + 1
      if tries < 4 then
        error "http://model.example/v1: Failed to connect to model.example: Couldn't connect to server"
      end
      return { "Hi" }
    end
    ask("1", "Hi?")
    local page = server:connect { channels = { "answer:1" } }
    server:advance(60)
    assert.equal("Hi", page:take("token").data)
    assert.equal(4, tries)
  end)

  -- Starts the app with another number in its script.
  local function start_with(number, other)
    testing.stop_all()
    local file = assert(io.open "examples/assistant/app.lua")
    local text, count = file:read("a"):gsub(number, other)
    file:close()
    assert.is_true(count > 0)
    server = testing.start(assert(load(text, "@examples/assistant/app.lua"))())
  end

  it("ends an answer that has no end", function()
    start_with("4000,?\n", "100\n")
    local tokens = {}
    for i = 1, 200 do
      tokens[i] = "x"
    end
    model = function()
      return tokens
    end
    ask("1", "endless")
    server:advance(10)
    local page = server:connect { channels = { "answer:1" } }
    local list = page:take_all()
    assert.equal(100 + 3, #list)
    assert.same({ reason = "length" }, list[102].data)
  end)

  it("keeps nothing when the answers have expired", function()
    start_with("86400", "60")
    for i = 1, 200 do
      ask(tostring(i), "Hi?")
    end
    server:advance(1)
    local stats = server.app:stats()
    assert.equal(201, stats.channels)
    assert.equal(0, stats.handlers.waiting)
    server:advance(120)
    stats = server.app:stats()
    assert.same({ 0, 0 }, { stats.channels, stats.history_bytes })
    assert.equal(200, #asked)
    local _, reason, code = server:try_connect { channels = { "answer:1" } }
    assert.matches("no such answer", reason)
    assert.equal("not_found", code)
  end)

  it("is part of the demo", function()
    testing.stop_all()
    server = testing.start "examples/demo.lua"
    assert.matches("<!doctype html>", server:request("GET", "/assistant/").body)
    assert.matches('href="/assistant/"', server:request("GET", "/").body)
    server:start_request("POST", "/assistant/answers/1", { body = "Hi?" })
    local page = server:connect { channels = { "answer:1" } }
    server:advance(1)
    assert.equal("Hel", page:take("token").data)
  end)
end)
