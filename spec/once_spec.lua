-- app:once without a broker, and what it refuses.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local function failure(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return message
end

describe("app:once", function()
  it("is app:every without a broker", function()
    local app, count = moonwire.app {}, 0
    local timer = app:once("sweep", 10, function()
      count = count + 1
      moonwire.sleep(15)
    end)
    local server = testing.start(app)
    server:advance(9)
    assert.equal(0, count)
    server:advance(1)
    assert.equal(1, count)
    server:advance(10) -- the earlier call has not returned
    assert.equal(1, count)
    server:advance(10)
    assert.equal(2, count)
    timer:cancel()
    timer:cancel()
    server:advance(100)
    assert.equal(2, count)
    -- its name may be used again, while the app runs
    app:once("sweep", 1, function()
      count = count + 1
    end)
    server:advance(1)
    assert.equal(3, count)
  end)

  it("begins immediately with a broker, and continues after errors", function()
    local app, count = moonwire.app { broker = moonwire.redis "redis://localhost" }, 0
    app:once("sweep", 10, function()
      count = count + 1
      moonwire.sleep(count == 2 and 25 or 4)
      error("call " .. count)
    end)
    local server = testing.start(app)
    server:advance(0)
    assert.equal(1, count)
    server:expect_error("call 1", function()
      server:advance(9.5)
    end)
    assert.equal(1, count)
    server:advance(1)
    assert.equal(2, count)
    server:expect_error("call 2", function()
      server:advance(29) -- whole intervals after the beginning of the call
    end)
    assert.equal(2, count)
    server:advance(1)
    assert.equal(3, count)
    server:expect_error("call 3", function()
      server:advance(5)
    end)
    server:stop()
  end)

  it("raises for what is wrong", function()
    local app = moonwire.app {}
    local function nothing() end
    assert.matches("a name must be 1 to 255 bytes", failure(app.once, app, "", 1, nothing))
    assert.matches("a name must be", failure(app.once, app, ("x"):rep(256), 1, nothing))
    assert.matches("a name must be", failure(app.once, app, "a\n", 1, nothing))
    assert.matches("a name must be", failure(app.once, app, "\255", 1, nothing))
    assert.matches("argument 1 must be a string", failure(app.once, app, 7, 1, nothing))
    local message = failure(app.once, app, "sweep", 0.05, nothing)
    assert.matches('app:once "sweep": argument 2 must be a number of seconds', message)
    assert.matches("argument 2 must be", failure(app.once, app, "sweep", 0 / 0, nothing))
    assert.matches("argument 2 must be", failure(app.once, app, "sweep", "1", nothing))
    assert.matches("argument 3 must be a function", failure(app.once, app, "sweep", 1))
    app:once("sweep", 1, nothing)
    assert.matches("already used at .*once_spec", failure(app.once, app, "sweep", 1, nothing))
    local server = testing.start(app)
    server:stop()
    assert.matches("the app has stopped", failure(app.once, app, "other", 1, nothing))
  end)
end)
