-- examples/sensors, in memory.

local testing = require "moonwire.testing"
local stand_ins = require "spec.examples.stand_ins"

describe("examples/sensors under test", function()
  local server, restore

  before_each(function()
    restore = stand_ins.environment { SENSOR_KEY = "secret" }
    server = testing.start "examples/sensors/app.lua"
  end)
  after_each(function()
    restore()
    testing.stop_all()
  end)

  local function post(device, body, token)
    return server:request(
      "POST",
      "/readings/" .. device,
      { body = body, token = token or "secret" }
    )
  end

  for _, transport in ipairs { "sse", "websocket", "poll" } do
    it("shows a dashboard the readings so far, and each new one, over " .. transport, function()
      for i = 1, 130 do
        assert.equal(204, post("attic", { value = i, unit = "°C" }).status)
      end
      local page = server:connect { channels = { "device:attic" }, transport = transport }
      for i = 11, 130 do
        assert.equal(i, page:take("reading").data.value)
      end
      post("attic", { value = 20.5, unit = "°C" })
      local reading = page:take("reading").data
      assert.same({ 20.5, "°C" }, { reading.value, reading.unit })
      page:expect_nothing()
    end)
  end

  it("raises an alert when a device goes silent, and when it is back", function()
    local page = server:connect { channels = { "devices" }, transport = "sse" }
    page:take_all() -- of the pretend devices
    local function take(event)
      local message = page:take()
      assert.same({ event, "attic" }, { message.event, message.data.device })
    end
    post("attic", { value = 1 })
    take "added"
    for _ = 1, 3 do
      server:advance(8)
      post("attic", { value = 1 })
    end
    for _, message in ipairs(page:take_all()) do
      assert.not_equal("attic", message.data.device)
    end
    server:advance(1)
    page:expect_nothing()
    server:advance(9)
    take "silent"
    server:advance(9)
    post("attic", { value = 2 })
    take "back"
    assert.same(
      { value = 2, unit = "", age = 0 },
      server:request("GET", "/devices"):json().devices.attic
    )
  end)

  it("misses nothing while a dashboard is away", function()
    post("attic", { value = 0 })
    local page = server:connect { channels = { "device:attic" }, transport = "sse" }
    page:take "reading"
    page:disconnect()
    for i = 1, 50 do
      post("attic", { value = i })
    end
    page:return_with_last_id()
    for i = 1, 50 do
      assert.equal(i, page:take("reading").data.value)
    end
    page:expect_nothing()
  end)

  it("forgets a device after an hour, and has room for 50", function()
    local created = 0
    repeat
      created = created + 1
      local status = post("d" .. created, { value = 1 }).status
    until status ~= 204
    assert.equal(48, created) -- three are there already
    server:advance(3601)
    assert.equal(204, post("new", { value = 1 }).status)
    assert.is_nil(server:request("GET", "/devices"):json().devices.d1)
    assert.is_nil((server:try_connect { channels = { "device:d1" } }))
  end)

  it("refuses a wrong key, wrong names, and what is no reading", function()
    for _, token in ipairs { "", "Secret", "secret2", ("x"):rep(5000) } do
      assert.equal(401, post("attic", { value = 1 }, token).status)
    end
    for _, name in ipairs {
      "%20",
      "a%0Ab",
      "%3Cscript%3E",
      ("x"):rep(33),
      "%E2%80%AEx",
      "a.b",
      "a:b",
    } do
      assert.equal(400, post(name, { value = 1 }).status, name)
    end
    for _, body in ipairs {
      "",
      "[]",
      "{",
      "7",
      '{"value":"1"}',
      '{"value":null}',
      '{"value":1e400}',
      '{"value":1e10}',
      '{"value":1,"unit":7}',
      '{"value":1,"unit":"\\u0000"}',
      '{"value":1,"unit":"12345678901234567"}',
    } do
      assert.equal(400, post("attic", body).status, body)
    end
    assert.equal(413, post("attic", ("x"):rep(2000000)).status)
    assert.is_nil(server:request("GET", "/devices"):json().devices.attic)
  end)
end)
