-- examples/assistant for longer: three times 200 answers at once, of 500 tokens at 50 a second, to pages that are reloaded and
-- disconnected. Each page must see every token once and in order, the model is asked once for each answer, and when the answers
-- have expired, the memory is what it was after the first round.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local ROUNDS, ANSWERS, TOKENS = 3, 200, 500

-- Answers are kept for 240 seconds.
local script = [[
local app = require("moonwire").app {}
app:get("/stats", function() collectgarbage() return app:stats() end)
local file = assert(io.open "examples/assistant/app.lua")
local text = file:read("a"):gsub("86400", "240")
file:close()
return assert(load(text, "@examples/assistant/app.lua"))(app, "/")
]]

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

local function await_expiry(app)
  local deadline = socket.gettime() + 600
  repeat
    socket.sleep(1)
    assert(socket.gettime() < deadline, "the answers do not expire")
  until decoded(app, "/stats").channels == 0
end

describe("600 answers", function()
  it("reach all pages, and leave the memory as it was", function()
    local upstream = server.start { script = fake }
    local env = ("OPENAI_BASE_URL=%s/v1"):format(upstream.address)
    local app = server.start { script = script, env = env }
    local first
    for round = 1, ROUNDS do
      local peer = "support/answers_crowd.mjs"
      local seen = dkjson.decode(server.peer(peer, app.address, ANSWERS, TOKENS, 600))
      assert.same({}, seen.wrong)
      assert.equal(ANSWERS, seen.complete)
      assert.same({ asked = round * ANSWERS }, decoded(upstream, "/asked"))
      await_expiry(app)
      assert.equal(0, decoded(app, "/stats").gaps)
      assert.equal(0, decoded(app, "/stats").history_bytes)
      local kib = app:rss()
      first = first or kib
      print(("round %d: %d reloads, %d cuts, %d KiB"):format(round, seen.reloads, seen.cuts, kib))
      assert.is_true(kib < first * 1.2 + 4096)
    end
    app:stop()
    upstream:stop()
  end)
end)
