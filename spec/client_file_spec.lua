-- GET /moonwire.js: the browser client, which is part of the library.

local http = require "spec.support.http"
local server = require "spec.support.server"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function start(settings)
  return server.start(([[
    local app = require("moonwire").app { %s }
    app:channel("open:{name}", { authorize = true })
    app:channel("closed:{name}", { authorize = function() return false, "no" end })
    app:channel("odd:{name}", { on_join = function() return false, "not now", "odd" end })
    return app
  ]]):format(settings or ""))
end

describe("the file of the browser client", function()
  it("is a module, or a classic script, with an entity tag", function()
    local app = start()
    local module = http.get(app, "/moonwire.js")
    assert.equal(200, module.status)
    assert.equal("text/javascript; charset=utf-8", module.headers["content-type"])
    assert.equal("nosniff", module.headers["x-content-type-options"])
    assert.equal("*", module.headers["access-control-allow-origin"])
    assert.equal(read "client/moonwire.js", module.body)
    local classic = http.get(app, "/moonwire.js?classic")
    assert.equal(read "client/moonwire.classic.js", classic.body)
    assert.not_equal(module.headers.etag, classic.headers.etag)

    local again = http.get(app, "/moonwire.js", { ["If-None-Match"] = module.headers.etag })
    assert.same({ 304, "", module.headers.etag }, { again.status, again.body, again.headers.etag })
    again = http.get(app, "/moonwire.js", { ["If-None-Match"] = classic.headers.etag })
    assert.equal(200, again.status)
    local head = http.request(app, "HEAD", "/moonwire.js")
    assert.same({ 200, tostring(#module.body) }, { head.status, head.headers["content-length"] })
    assert.equal(405, http.request(app, "POST", "/moonwire.js", { body = "" }).status)
    app:stop()
  end)

  it("can be moved, and turned off", function()
    local app = start 'paths = { client = "/lib/client.js" }'
    assert.equal(404, http.get(app, "/moonwire.js").status)
    assert.equal(200, http.get(app, "/lib/client.js").status)
    app:stop()
    app = start "paths = { client = false }"
    assert.equal(404, http.get(app, "/moonwire.js").status)
    app:stop()
  end)

  it("stands where no route can stand", function()
    local ok, message = pcall(
      server.start,
      [[
      local app = require("moonwire").app {}
      app:get("/moonwire.js", function() return "mine" end)
      return app
    ]]
    )
    assert.is_false(ok)
    assert.matches("move it with moonwire.app { paths = { client = … } }", message, 1, true)
  end)
end)

-- What the client needs to know when one of its channels is refused.
describe("the refusal of one of several channels", function()
  it("says which it is", function()
    local app = start()
    local function refusal(target)
      local response = http.get(app, target)
      return { response.status, (response.body:gsub("\n$", "")) }
    end
    for _, path in ipairs { "/sse?", "/poll?wait=0&", "/poll?wait=0&client=&" } do
      local open = path .. "channel=open:a&"
      assert.same(
        { 403, '{"channel":"closed:b","error":{"code":"forbidden","reason":"no"}}' },
        refusal(open .. "channel=closed:b&channel=closed:c")
      )
      assert.same({
        404,
        '{"channel":"nowhere","error":{"code":"not_found","reason":"no channel pattern matches this name"}}',
      }, refusal(open .. "channel=nowhere"))
      assert.same({
        400,
        '{"channel":"a\\n","error":{"code":"bad_request","reason":"the channel name has a control character"}}',
      }, refusal(open .. "channel=a%0A"))
      assert.same({
        400,
        '{"channel":"","error":{"code":"bad_request","reason":"the channel name is empty"}}',
      }, refusal(open .. "channel="))
      -- what is no text cannot be repeated
      assert.matches('^{"error":', refusal(open .. "channel=%FF")[2])
      if not path:find "wait=0&$" or path:find "client" then
        assert.matches(
          '^{"channel":"odd:b","error":{"code":"odd"',
          refusal(open .. "channel=odd:b")[2]
        )
      end
    end
    app:stop()
  end)
end)
