-- Standard error as it may be: a pipe that nobody reads, closed, full. And what a client can do to the log.
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local script = [[
local app = require("moonwire").app {}
app:channel("room:{x}", { on = {
  say = function(_, _, message) return message.data.text.value end,
  tell = function(_, _, message) error("bad value " .. message.data) end,
} })
app:get("/lines", function(request)
  for i = 1, tonumber(request.query.n) do app.log.info("line %d %s", i, ("."):rep(100)) end
  return 200, "ok"
end)
app:get("/line", function(request) app.log.warning("%s", request.query.text) return 200, "ok" end)
return app
]]

local function quick_get(app, target)
  local begin = socket.gettime()
  local response = http.get(app, target)
  assert.equal(200, response.status)
  assert.is_true(socket.gettime() - begin < 4)
end

local function finish_quickly(app)
  local begin = socket.gettime()
  local code = app:finish()
  assert.equal(0, code)
  assert.is_true(socket.gettime() - begin < 8)
end

describe("standard error", function()
  it("that is a pipe which nobody reads holds up nothing", function()
    local app = server.start { script = script, stderr = "pipe" }
    for _ = 1, 3 do
      quick_get(app, "/lines?n=3000")
    end
    quick_get(app, "/health")
    finish_quickly(app)
  end)

  it("that is read late gets what was buffered, and how much was dropped", function()
    local app = server.start { script = script, stderr = "pipe" }
    quick_get(app, "/lines?n=5000")
    local text = server.run("timeout 9 sed '/were dropped/q' " .. app.folder .. "/pipe")
    local lines, last = 0, 0
    for number in text:gmatch "info line (%d+) %.+\n" do
      assert.is_true(tonumber(number) > last)
      lines, last = lines + 1, tonumber(number)
    end
    local dropped = 0
    for count in text:gmatch "%((%d+) lines of the log were dropped" do
      dropped = dropped + tonumber(count)
    end
    assert.is_true(dropped > 0)
    assert.equal(5000, lines + dropped)
    quick_get(app, "/line?text=afterwards")
    local line = server.run("timeout 9 sed '/afterwards/q' " .. app.folder .. "/pipe")
    assert.is_truthy(line:find("warning afterwards", 1, true))
    finish_quickly(app)
  end)

  it("that is a full pipe leaves its flags alone", function()
    local app = server.start { script = script, stderr = "pipe" }
    quick_get(app, "/lines?n=3000")
    local info = server.run("cat /proc/" .. app.pid .. "/fdinfo/2")
    local flags = tonumber(info:match "flags:%s*(%d+)", 8)
    assert.equal(0, flags & 2048) -- O_NONBLOCK
    finish_quickly(app)
  end)

  it("that is closed is no number for a connection", function()
    local app = server.start { script = script, stderr = "closed" }
    local client = http.connect(app)
    quick_get(app, "/line?text=secret")
    assert.is_true(client:is_silent(0.2))
    client:close()
    finish_quickly(app)
  end)

  it("that is a full disk holds up nothing", function()
    local app = server.start { script = script, stderr = "full" }
    quick_get(app, "/lines?n=5000")
    quick_get(app, "/health")
    finish_quickly(app)
  end)

  it("gets everything before the end, in order", function()
    local app = server.start { script = script }
    quick_get(app, "/lines?n=1000")
    local code, _, log = app:finish()
    assert.equal(0, code)
    local last = 0
    for number in log:gmatch "info line (%d+) %.+\n" do
      assert.equal(last + 1, tonumber(number))
      last = last + 1
    end
    assert.equal(1000, last)
  end)

  it("gets what os.exit would cut off", function()
    local app = server.start {
      script = [[
local app = require("moonwire").app {}
app:get("/exit", function() for i = 1, 500 do app.log.info("line %d", i) end os.exit(7) end)
return app]],
    }
    http.connect(app):send(http.format("GET", "/exit"))
    local code, _, log = app:finish "CONT"
    assert.equal(7, code)
    assert.is_truthy(log:find "line 500\n")
  end)
end)
