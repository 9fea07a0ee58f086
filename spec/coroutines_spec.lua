-- The coroutines that handlers run in: what ends one that does not end by itself, and what one leaves to the next.

local http = require "spec.support.http"
local server = require "spec.support.server"
local sse = require "spec.support.sse"
local websocket = require "spec.support.websocket"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { answer_seconds = 0.5 } }

-- Catches all errors, as the loops of workers do.
local function spin(tag)
  local guard <close> = setmetatable({}, { __close = function() app.log.info("closed %s", tag) end })
  app.log.info("begun %s", tag)
  while true do
    pcall(moonwire.sleep, 0.05)
  end
end

app:get("/health2", function() return "ok" end)
app:get("/spin", function(request) spin(request.query.tag) end)
app:stream("/ticks", function(_, stream)
  local guard <close> = setmetatable({}, { __close = function() app.log.info "closed ticks" end })
  while true do
    pcall(function() stream:send("tick", 1) moonwire.sleep(0.05) end)
  end
end)
app:channel("room:{name}", {
  on_join = function(_, channel) if channel.params.name == "join" then spin "join" end end,
  on = { spin = function() spin "event" end },
})
app:websocket("/raw", { on_message = function() spin "raw" end })
-- Two functions: of the errors of one handler the log writes one a second.
local function wait_with(fail)
  local guard <close> = setmetatable({}, { __close = fail })
  while true do pcall(moonwire.sleep, 0.05) end
end
app:get("/close/raise", function() wait_with(function() error "in the end" end) end)
app:get("/close/wait", function() wait_with(function() moonwire.sleep(1) end) end)
app:get("/last", function()
  local ok, why = moonwire.sleep(1e6)
  app.log.info("told %s %s", ok, why)
  return "too late"
end)
app:get("/gsub", function()
  -- Where a wait is impossible it raises, whether or not the handler was cancelled.
  local ok, why = pcall(string.gsub, "a", "a", function() moonwire.sleep(0) end)
  return { ok = ok, why = why }
end)
app:spawn(function() spin "task" end)
app:every(0.01, function() spin "timer" end)

-- Debug hooks.
local function count()
  local n = 0
  for i = 1, 3000 do n = n + 1 end
  return tostring(n)
end
app:get("/count", count)
app:get("/hook", function(request)
  debug.sethook(function() error "the hook" end, "", 100)
  if request.query.wait then moonwire.sleep(0.001) end
  if request.query.raise then error "raised" end
  if request.query.quiet then debug.sethook() return "quiet" end
  return "hooked"
end)
app:get("/hooked", function() return { hook = debug.gethook() ~= nil } end)
return app
]]

describe("a handler that was cancelled", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  local function assert_alive()
    assert.equal("ok", http.get(app, "/health2").body)
    assert.is_true(#app:log() < 20000, "the log grows")
  end

  it("is ended at its next wait, whatever it catches", function()
    local request = http.connect(app)
    request:send(http.format("GET", "/spin?tag=late"))
    assert.equal(503, request:read_response().status)
    assert.is_string(app:await_log "closed late")
    request:send(http.format("GET", "/spin?tag=left"))
    assert.is_string(app:await_log "begun left")
    request:close()
    assert.is_string(app:await_log "closed left")
    local stream = sse.open(app, "/ticks")
    stream:event()
    stream:close()
    assert.is_string(app:await_log "closed ticks")
    stream = http.connect(app)
    stream:send(http.format("GET", "/sse?channel=room:join"))
    assert.is_string(app:await_log "begun join")
    stream:close()
    assert.is_string(app:await_log "closed join")
    local client = websocket.open(app)
    client:subscribe "room:1"
    client:tell { send = "room:1", event = "spin" }
    assert.is_string(app:await_log "begun event")
    client:drop()
    assert.is_string(app:await_log "closed event")
    client = websocket.open(app, "/raw")
    client:tell "x"
    assert.is_string(app:await_log "begun raw")
    client:drop()
    assert.is_string(app:await_log "closed raw")
    assert_alive()
    app:stop()
  end)

  it("does not keep the server from stopping", function()
    assert.is_string(app:await_log "begun timer")
    local before = #app:log()
    local code, _, log = app:finish()
    assert.equal(0, code)
    assert.matches("closed task", log)
    assert.matches("closed timer", log)
    assert.is_true(#log - before < 2000)
  end)

  it(
    "does not hold the server up, or keep it from stopping, while it waits again and again",
    function()
      local busy = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      for _ = 1, 50 do
        app:spawn(function() while true do pcall(moonwire.sleep, 0) end end)
      end
      return app
    ]]
      for _ = 1, 10 do
        assert.equal(200, http.get(busy, "/health").status)
      end
      assert.equal(0, (busy:finish()))
      app:stop()
    end
  )

  it("may do what needs no wait", function()
    local request = http.connect(app)
    request:send(http.format("GET", "/last"))
    request:read_response()
    request:close()
    assert.is_string(app:await_log "told nil timeout")
    app:stop()
  end)

  it("logs what is raised while it is closed", function()
    http.get(app, "/close/raise")
    assert.is_string(app:await_log "handler of GET /close/raise.*app.lua:%d+: in the end")
    http.get(app, "/close/wait")
    assert.is_string(app:await_log "app.lua:%d+: cannot wait here")
    assert_alive()
    app:stop()
  end)

  it("still raises where no handler can wait", function()
    assert.matches("cannot wait here", http.get(app, "/gsub").body)
    app:stop()
  end)
end)

describe("a debug hook", function()
  it("belongs to the handler that set it", function()
    local app = server.start(script)
    local function assert_free()
      for _ = 1, 5 do
        assert.equal("3000", http.get(app, "/count").body)
        assert.equal('{"hook":false}\n', http.get(app, "/hooked").body)
      end
    end
    assert_free()
    for _, query in ipairs { "", "?wait=1", "?raise=1", "?wait=1&raise=1", "?quiet=1" } do
      http.get(app, "/hook" .. query)
      assert_free()
    end
    app:stop()
  end)
end)
