-- The configuration of HAProxy in docs/operations/cluster.md: a client that polls reaches the node that has it.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local proxy = require "spec.proxies.proxy"
local redis = require "spec.support.redis"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { broker = moonwire.redis { url = "unix:%s", publish_seconds = 60 } }
app:channel("room", { on = { say = function() return true end } })
return app
]]

describe("behind HAProxy with sticky sessions, a client", function()
  local instance, nodes, front

  setup(function()
    instance = redis.start()
    nodes = {}
    for i = 1, 2 do
      nodes[i] = server.start { script = script:format(instance.path) }
    end
    local block = proxy.read_block("haproxy", "docs/operations/cluster.md")
    -- 127.0.0.1:8080 is what proxy.start replaces by the address of a server.
    block = block:gsub("10%.0%.0%.11:8080", "127.0.0.1:8080")
    block = block:gsub("10%.0%.0%.12:8080", ("127.0.0.1:%d"):format(nodes[2].port))
    -- Without checks, which a busy machine may answer late: a node that has ended refuses connections.
    block = block:gsub(" check ", " ")
    front = proxy.start("haproxy", nodes[1], block)
  end)

  teardown(function()
    front:stop()
    for _, node in ipairs(nodes) do
      node:stop()
    end
    instance:remove()
  end)

  local function poll(client, cookie)
    local target = "/poll?channel=room&wait=0&client=" .. client
    local response = http.request(front, "GET", target, { headers = { Cookie = cookie } })
    assert.equal(200, response.status, response.body)
    local set = response.headers["set-cookie"]
    return dkjson.decode(response.body).client, set and set:match "^[^;]+"
  end

  it("stays on its node, and sends to it", function()
    local seen = {}
    for _ = 1, 2 do
      local client, cookie = poll ""
      seen[#seen + 1] = cookie
      for _ = 1, 3 do
        assert.same({ client }, { poll(client, cookie) })
        local response = http.request(front, "POST", "/send", {
          headers = { Cookie = cookie, ["X-Moonwire-Client"] = client },
          body = [[{"send":"room","event":"say"}]],
        })
        assert.equal(200, response.status, response.body)
      end
    end
    table.sort(seen)
    assert.same({ "MOONWIRE_NODE=1", "MOONWIRE_NODE=2" }, seen)
  end)

  it("continues on the other node if its own has ended", function()
    local client, cookie
    repeat
      client, cookie = poll ""
    until cookie == "MOONWIRE_NODE=2"
    table.remove(nodes):finish()
    local other, moved = poll(client, cookie)
    assert.not_equal(client, other)
    assert.equal("MOONWIRE_NODE=1", moved)
    assert.same({ other }, { poll(other, moved) })
  end)
end)
