-- The blocks of docs/how-to/openresty.md: the two programs, and the main part of nginx.conf.

local blocks = require "spec.docs.blocks"
local dkjson = require "dkjson"
local http = require "spec.support.http"
local native = require "spec.support.native"
local nginx = require "spec.openresty.nginx"
local server = require "spec.support.server"
local socket = require "socket"
local sse = require "spec.support.sse"

local PAGE = "docs/how-to/openresty.md"

describe("docs/how-to/openresty.md", function()
  local front, app, cookie

  setup(function()
    local by_language, files = {}, {}
    for _, block in ipairs(blocks.of(PAGE)) do
      by_language[block.language] = by_language[block.language] or {}
      table.insert(by_language[block.language], block)
      files[block.name or ""] = block.text
    end
    assert.equal(2, #by_language.nginx)
    front = nginx.prepare(by_language.nginx[1].text, {
      { "/usr/local/share/lua/5.1", "{dir}/rock" },
      { "/etc/nginx/moonwire/lua", "{dir}" },
      { "/run/moonwire", "{dir}" },
    })
    front:set_main(
      by_language.nginx[2].text:gsub("worker_shutdown_timeout 5m", "worker_shutdown_timeout 300ms")
    )
    local dir = front.directory
    blocks.write(dir .. "/site.lua", (files["site.lua"]:gsub("/run/moonwire", dir)))
    server.run(("chmod 644 %s/site.lua"):format(dir))
    local script
    for _, block in ipairs(by_language.lua) do
      script = blocks.is_script(block) and block.text or script
    end
    app = server.start {
      script = script,
      args = ("--listen unix:%s/app.sock --private unix:%s/private.sock --unix-mode 0666"):format(
        dir,
        dir
      ),
      setup = "umask 022;",
    }
    front:run()
    cookie = http.get(front, "/login").headers["set-cookie"]:match "^[^;]+"
  end)

  teardown(function()
    front:stop()
    app:stop()
  end)

  it("has programs that fit together", function()
    assert.equal(401, http.get(front, "/rt/sse?channel=news").status)
    local stream = sse.open(front, "/rt/sse?channel=news", { headers = { Cookie = cookie } })
    assert.equal(200, stream.status)
    stream:cursor()
    local client =
      native.open(front, { target = "/rt/ws", protocol = "moonwire.1", cookie = cookie })
    assert.is_truthy(client:ask({ connect = setmetatable({}, { __jsontype = "object" }) }).ok)
    client:subscribe "news"
    local id = http.get(front, "/news").body:match "^%S+"
    local event = stream:event()
    assert.same({ "item", id }, { event.event, event.id })
    assert.equal(id, client:next().id)
    event = stream:event()
    assert.equal("request", event.event)
    assert.same({ path = "/news", status = 200 }, (dkjson.decode(event.data)))
    stream:close()
    client:cut()
  end)

  it("has a time after which old workers end, and their clients resume", function()
    local stream = sse.open(front, "/rt/sse?channel=news", { headers = { Cookie = cookie } })
    local id = stream:cursor()
    local client =
      native.open(front, { target = "/rt/ws", protocol = "moonwire.1", cookie = cookie })
    client:ask { connect = setmetatable({}, { __jsontype = "object" }) }
    front:reload()
    assert.is_false(pcall(stream.event, stream))
    assert.is_true(client.connection:is_closed())
    http.get(front, "/news")
    local again = sse.open(
      front,
      "/rt/sse?channel=news",
      { headers = { Cookie = cookie, ["Last-Event-ID"] = id } }
    )
    assert.equal("item", again:event().event)
    again:close()
  end)

  it("says what nginx answers while moonwire is down", function()
    local dir = front.directory
    local down
    server.run(("mv %s/app.sock %s/away.sock"):format(dir, dir))
    local deadline = socket.gettime() + 30
    repeat -- idle connections are used first
      down = http.get(front, "/rt/sse?channel=news")
    until down.status == 200 or socket.gettime() > deadline
    assert.equal(200, down.status)
    assert.matches("^retry: %d%d%d%d\n\n$", down.body)
    assert.equal(502, http.get(front, "/rt/poll?channel=news").status)
    server.run(("mv %s/away.sock %s/app.sock"):format(dir, dir))
  end)
end)
