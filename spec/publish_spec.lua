-- POST /publish, the door for back ends.

local dkjson = require "dkjson"
local server = require "spec.support.server"
local http = require "spec.support.http"
local sse = require "spec.support.sse"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { publish_key = "a secret key", limits = { message_size = 1000, body = 10000 } }
app:channel("news", { history = { size = 2000 } })
app:channel("room:{room}", { history = { size = 10 } })
return app
]]

describe("publish", function()
  local app

  setup(function()
    app = server.start(script)
  end)

  teardown(function()
    app:stop()
  end)

  local function post(body, headers)
    return http.request(
      app,
      "POST",
      "/publish",
      { body = body, headers = headers or { Authorization = "Bearer a secret key" } }
    )
  end

  local function listen(channel)
    local stream = sse.open(app, "/sse?channel=" .. channel)
    stream:cursor()
    return stream
  end

  it("answers the id of the message", function()
    local stream = listen "news"
    local response = post '{"channel":"news","event":"item","data":{"title":"it works"}}'
    assert.equal(200, response.status)
    assert.equal("application/json", response.headers["content-type"])
    local event = stream:event()
    assert.same({ id = event.id }, dkjson.decode(response.body))
    assert.equal("item", event.event)
    assert.equal('{"title":"it works"}', event.data)
    stream:close()
  end)

  it("needs no event and no data", function()
    local stream = listen "news"
    post '{"channel":"news"}'
    local event = stream:event()
    assert.is_nil(event.event)
    assert.equal("null", event.data)
    stream:close()
  end)

  it("passes data on as it is", function()
    local stream = listen "news"
    local values = {
      "0",
      "-1.50e+10",
      "12345678901234567890123",
      '""',
      '"\\u00e4\\ud83d\\ude00 \\/ ä😀"',
      "[]",
      "{}",
      '{"a":{"b":[1,2,{"c":null}]},"a":true}',
      "false",
    }
    for _, value in ipairs(values) do
      assert.equal(200, post('{"channel":"news","data":' .. value .. "}").status, value)
    end
    assert.same(values, stream:data(#values))
    stream:close()
  end)

  it("takes JSON over several lines", function()
    local stream = listen "news"
    post '{\n  "channel": "news",\r\n  "data": {\n    "a": 1,\r\n    "b": [\r1]\n  }\n}\n'
    assert.same({ a = 1, b = { 1 } }, dkjson.decode(stream:event().data))
    stream:close()
  end)

  it("knows names in any spelling of JSON", function()
    local stream = listen "room:%C3%A4%20b"
    assert.equal(200, post('{"ch\\u0061nnel":"room:\\u00e4 b","event":"\\u0078"}').status)
    assert.equal("x", stream:event().event)
    stream:close()
  end)

  it("gives volatile messages no id", function()
    local stream = listen "news"
    local response = post '{"channel":"news","event":"typing","volatile":true,"data":1}'
    assert.equal(200, response.status)
    assert.same({}, dkjson.decode(response.body))
    local event = stream:event()
    assert.equal("typing", event.event)
    assert.is_nil(event.id)
    stream:close()
  end)

  it("keeps the order of pipelined requests", function()
    local stream = listen "news"
    local client = http.connect(app)
    local text = {}
    for i = 1, 1000 do
      local body = ('{"channel":"news","data":%d}'):format(i)
      text[i] = http.format(
        "POST",
        "/publish",
        { body = body, headers = { Authorization = "Bearer a secret key" } }
      )
    end
    client:send(table.concat(text))
    local previous = ""
    for i = 1, 1000 do
      local id = dkjson.decode(client:read_response().body).id
      local event = stream:event()
      assert.equal(tostring(i), event.data)
      assert.equal(id, event.id)
      assert.is_true(id > previous)
      previous = id
    end
    client:close()
    stream:close()
  end)

  it("is there for curl", function()
    local command =
      [[curl -sS -w ' %%{http_code}' -H 'Authorization: Bearer a secret key' -d '{"channel":"news","data":1}' %s/publish]]
    assert.matches('^{"id":"[0-9a-z]+%-%d+"}%s* 200$', server.run(command:format(app.address)))
  end)

  describe("refuses", function()
    local function assert_error(response, status, code, word)
      assert.equal(status, response.status, response.body)
      local fault = dkjson.decode(response.body).error
      assert.equal(code, fault.code)
      if word then
        assert.matches(word, fault.reason, 1, true)
      end
    end

    local good = '{"channel":"news"}'

    it("who has no key, or the wrong one", function()
      assert_error(post(good, {}), 401, "unauthorized")
      for _, value in ipairs {
        "Bearer",
        "Bearer ",
        "Bearer a secret ke",
        "Bearer a secret keyy",
        "Bearer A secret key",
        "Basic a secret key",
        "a secret key",
      } do
        assert_error(post(good, { Authorization = value }), 401, "unauthorized")
      end
      assert.equal(200, post(good, { Authorization = "bearer a secret key" }).status)
    end)

    it("what is no JSON", function()
      for _, body in ipairs {
        "",
        "{",
        "channel=news",
        '{"channel":"news"',
        '{"channel":"news",}',
        "{'channel':'news'}",
        '{"channel":"news"} x',
        '{"channel":"news","data":01}',
        '{"channel":"news","data":NaN}',
        '{"channel":"news","data":"\1"}',
        '{"channel":"news","data":"\xff"}',
        '{"channel":"news","data":"\\ud800"}',
        '{"channel":"news","data":' .. ("["):rep(300) .. ("]"):rep(300) .. "}",
      } do
        assert_error(post(body), 400, "bad_request")
      end
    end)

    it("what is JSON, but no publish, and names the member", function()
      for body, word in pairs {
        ['"news"'] = "",
        ["{}"] = "channel",
        ['{"channel":1}'] = "channel",
        ['{"channel":""}'] = "channel",
        ['{"channel":"a\\u0000b"}'] = "channel",
        ['{"channel":"' .. ("x"):rep(256) .. '"}'] = "channel",
        ['{"channel":"news","event":1}'] = "event",
        ['{"channel":"news","event":"two words"}'] = "event",
        ['{"channel":"news","event":"a\\nid: 1"}'] = "event",
        ['{"channel":"news","event":"' .. ("x"):rep(65) .. '"}'] = "event",
        ['{"channel":"news","event":"open"}'] = "event",
        ['{"channel":"news","event":"error"}'] = "event",
        ['{"channel":"news","event":"moonwire:gap"}'] = "event",
        ['{"channel":"news","volatile":1}'] = "volatile",
      } do
        assert_error(post(body), 400, "bad_request", word)
      end
    end)

    it("what has a member that there is not, and names the likely one", function()
      local cases = {
        ['{"channel":"news","evnt":"x"}'] = 'unknown member "evnt" (did you mean "event"?)',
        ['{"chanel":"news"}'] = 'unknown member "chanel" (did you mean "channel"?)',
        ['{"channel":"news","Data":1}'] = 'unknown member "Data" (did you mean "data"?)',
        ['{"channel":"news","id":"7"}'] = 'unknown member "id"',
      }
      for body, reason in pairs(cases) do
        local fault = dkjson.decode(post(body).body).error
        assert.same({ code = "bad_request", reason = reason }, fault)
      end
      for _, body in ipairs {
        '[{"channel":"news"},{"channel":"news","evnt":"x"},{"channel":"news"}]',
        '{"channel":"news"}\n{"channel":"news","evnt":"x"}\n{"channel":"news"}\n',
      } do
        local response = post(body)
        assert.equal(200, response.status)
        local results = dkjson.decode(response.body)
        assert.is_string(results[1].id)
        assert.equal('unknown member "evnt" (did you mean "event"?)', results[2].error.reason)
        assert.equal("bad_request", results[2].error.code)
        assert.is_string(results[3].id)
      end
    end)

    it("a channel that no pattern matches", function()
      assert_error(post '{"channel":"nothing"}', 404, "not_found")
      assert_error(post '{"channel":"room:a:b"}', 404, "not_found")
    end)

    it("data over the limit", function()
      assert_error(post('{"channel":"news","data":"' .. ("x"):rep(999) .. '"}'), 413, "too_large")
      assert.equal(200, post('{"channel":"news","data":"' .. ("x"):rep(998) .. '"}').status)
      assert_error(post('{"channel":"news","data":"' .. ("x"):rep(20000) .. '"}'), 413, "too_large")
    end)
  end)

  it("is not there without a key", function()
    local open = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app {}
      app:channel("news", {})
      return app
    ]]
    assert.equal(
      404,
      http.request(open, "POST", "/publish", { body = '{"channel":"news"}' }).status
    )
    open:stop()
  end)

  it("may be elsewhere, as may the others", function()
    local moved = server.start [[
      local moonwire = require "moonwire"
      local app = moonwire.app { publish_key = "k", paths = { sse = "/rt/events", publish = "/rt/publish", health = false } }
      app:channel("news", {})
      return app
    ]]
    local stream = sse.open(moved, "/rt/events?channel=news")
    stream:cursor()
    local headers = { Authorization = "Bearer k" }
    assert.equal(
      200,
      http.request(
        moved,
        "POST",
        "/rt/publish",
        { body = '{"channel":"news","data":1}', headers = headers }
      ).status
    )
    assert.equal("1", stream:event().data)
    stream:close()
    assert.equal(
      404,
      http.request(moved, "POST", "/publish", { body = "{}", headers = headers }).status
    )
    assert.equal(404, http.get(moved, "/sse?channel=news").status)
    assert.equal(404, http.get(moved, "/health").status)
    moved:stop()
  end)
end)
