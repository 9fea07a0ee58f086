-- examples/openresty behind Debian's nginx: the login, each transport through one location, and what publishes where.

local dkjson = require "dkjson"
local example = require "spec.openresty.example"
local http = require "spec.support.http"
local native = require "spec.support.native"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

describe("examples/openresty", function()
  local site, front, cookie

  local function log_in(name, password)
    local body = ("name=%s&password=%s"):format(name, password)
    local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
    local response = http.request(front, "POST", "/login", { body = body, headers = headers })
    local token = (response.headers["set-cookie"] or ""):match "^(token=[^;]+)"
    return token, response
  end

  local function get(target, headers)
    headers = headers or { Cookie = cookie }
    return http.request(
      front,
      "GET",
      target,
      { headers = headers, host = "127.0.0.1:" .. front.port }
    )
  end

  local function post(target, body, headers)
    local given = {
      body = body or "",
      headers = headers or { Cookie = cookie },
      host = "127.0.0.1:" .. front.port,
    }
    return http.request(front, "POST", target, given)
  end

  local function open(target, headers)
    local stream = sse.open(front, target, { headers = headers or { Cookie = cookie } })
    assert.equal(200, stream.status, stream.response.head)
    return stream
  end

  -- The next event with that name.
  local function await(stream, event, test)
    while true do
      local block = assert(stream:event(), "the stream ended")
      if block.event == event then
        local data = dkjson.decode(block.data)
        if not test or test(data) then
          return data
        end
      end
    end
  end

  setup(function()
    site = example.start()
    front = site.nginx
    cookie = assert(log_in("ann", "moonlight"))
  end)

  teardown(function()
    local log = front:log()
    site:stop()
    assert.is_nil(log:match "%[error%][^\n]*lua[^\n]*")
  end)

  it("logs in by a page in Lua, which signs a token", function()
    assert.equal("/login", get("/", {}).headers.location:match "/login$")
    local token, response = log_in("ann", "wrong")
    assert.is_nil(token)
    assert.equal(401, response.status)
    assert.matches("do not match", response.body)
    token, response = log_in("bob", "sonata")
    assert.equal(303, response.status)
    assert.matches("; HttpOnly; SameSite=Lax$", response.headers["set-cookie"])
    assert.equal(200, get("/", { Cookie = token }).status)
    assert.equal(401, post("/token", "", {}).status)
    assert.equal(403, get("/token").status)
    assert.equal(
      403,
      post("/token", "", { Cookie = cookie, Origin = "http://evil.example" }).status
    )
    assert.matches("^eyJ", post("/token").body)
  end)

  it("refuses clients without a token, and headers that name a user", function()
    assert.equal(401, get("/rt/sse?channel=news", {}).status)
    assert.equal(401, get("/rt/sse?channel=news", { ["X-Remote-User"] = "ann" }).status)
    assert.equal(403, get("/rt/sse?channel=user:bob").status)
    assert.equal(401, get("/rt/sse?channel=news", { Cookie = cookie .. "x" }).status)
    -- only the private listener publishes
    local headers = { Authorization = "Bearer secret" }
    assert.equal(404, post("/rt/publish", '{"channel":"news"}', headers).status)
  end)

  it(
    "publishes in content_by_lua, and delivers over each transport through one location",
    function()
      local stream = open "/rt/sse?channel=news"
      local token = post("/token").body
      local client = native.open(front, { target = "/rt/ws", protocol = "moonwire.1" })
      assert.is_truthy(client:ask({ connect = { token = token } }).ok)
      client:subscribe "news"
      local since = dkjson.decode(get("/rt/poll?channel=news&wait=0").body).id
      local response = post("/news", "hello ä")
      assert.equal(200, response.status, response.body)
      local id = dkjson.decode(response.body).id
      local wanted = { from = "ann", text = "hello ä" }
      assert.same(
        wanted,
        await(stream, "item", function(data)
          return data.text == wanted.text
        end)
      )
      local message
      repeat
        message = client:next()
      until message.event == "item" and message.data.text == wanted.text
      assert.equal(id, message.id)
      local polled = dkjson.decode(get("/rt/poll?channel=news&wait=0&since=" .. since).body)
      assert.equal(id, polled.messages[1].id)
      stream:close()
      client:close()
    end
  )

  it("publishes in log_by_lua, and in a timer", function()
    local stream = open "/rt/sse?channel=requests&channel=clock"
    local path = "/login"
    get(path)
    local data = await(stream, "request", function(request)
      return request.path == path and request.method == "GET"
    end)
    assert.equal(200, data.status)
    assert.is_number(await(stream, "tick").time)
    stream:close()
  end)

  it("lets nginx say who the user is, by auth_request and a header", function()
    assert.equal(401, get("/members/sse?channel=news", {}).status)
    -- what the client says counts for nothing
    local headers = { Cookie = cookie, ["X-Remote-User"] = "bob" }
    assert.equal(403, get("/members/sse?channel=user:bob", headers).status)
    local stream = open("/members/sse?channel=user:ann", headers)
    local publish =
      "curl -sS --unix-socket %s/members_private.sock -H 'Authorization: Bearer secret' -d '%s' http://localhost/publish"
    server.run(
      publish:format(front.directory, '{"channel":"user:ann","event":"note","data":{"n":1}}')
    )
    assert.equal(1, await(stream, "note").n)
    stream:close()
    local client =
      native.open(front, { target = "/members/ws", protocol = "moonwire.1", cookie = cookie })
    assert.is_truthy(client:ask({ connect = setmetatable({}, { __jsontype = "object" }) }).ok)
    client:close()
  end)

  it("continues with the stream that a back end names by X-Accel-Redirect", function()
    assert.equal(401, get("/my/stream", {}).status)
    assert.equal(404, get("/internal/sse?channel=news").status)
    local stream = open "/my/stream"
    assert.matches("^text/event%-stream", stream.headers["content-type"])
    local publish =
      "curl -sS --unix-socket %s/private.sock -H 'Authorization: Bearer secret' -d '%s' http://localhost/publish"
    for n = 1, 3 do
      server.run(
        publish:format(
          front.directory,
          ('{"channel":"user:ann","event":"note","data":{"n":%d}}'):format(n)
        )
      )
      assert.equal(n, await(stream, "note").n)
    end
    stream:close()
    local client =
      native.open(front, { target = "/my/socket", protocol = "moonwire.1", cookie = cookie })
    assert.is_truthy(client:ask({ connect = setmetatable({}, { __jsontype = "object" }) }).ok)
    client:subscribe "user:ann"
    assert.equal(1000, client:close())
  end)
end)
