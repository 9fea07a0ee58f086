-- Redis starts with the configuration that docs/operations/cluster.md prints, and its user may do all that a node does.

local blocks = require "spec.docs.blocks"
local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"

local APP = [[
local moonwire = require "moonwire"
local app = moonwire.app {
  broker = moonwire.redis { url = "unix:%s", username = "moonwire", password = "change-me" },
}
app:channel("news", { history = { size = 10, ttl = 60 }, presence = true })
app:once("sweep", 1, function() end)
app:post("/publish-it", function()
  assert(app:send_user("nobody", "note", 1))
  return { id = assert(app:publish("news", "item", 1)) }
end)
return app
]]

describe("the configuration of Redis", function()
  it("serves a node, whose user is not refused anything", function()
    local found = blocks.all "redis"
    assert.equal(1, #found)
    local directory = server.run "mktemp -d"
    blocks.write(directory .. "/redis.conf", found[1].code)
    local instance = redis.start("", directory .. "/redis.conf")
    local app = server.start(APP:format(instance.path))
    local stream = require("spec.support.sse").open(app, "/sse?channel=news", { timeout = 60 })
    assert.equal(200, stream.status)
    local answer = http.request(app, "POST", "/publish-it")
    assert.equal(200, answer.status, answer.body .. app:log())
    local client = instance:connect()
    assert.same({}, client:call("ACL", "LOG"))
    assert.equal("noeviction", client:call("CONFIG", "GET", "maxmemory-policy")[2])
    client:close()
    stream.connection:close()
    app:stop()
    instance:remove()
    server.run("rm -rf " .. directory)
  end)
end)
