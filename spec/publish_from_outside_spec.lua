-- Programs that are not nodes publish with the script of the nodes, in a real Redis: what the script checks for them, and the
-- examples in Python and for redis-cli.

local http = require "spec.support.http"
local redis = require "spec.support.redis"
local scripts = require "spec.support.redis_scripts"
local server = require "spec.support.server"
local sse = require "spec.support.sse"

local key = scripts.key

local TICK = '1 - 4 0 0 0\ntick{"n":1}'

-- Publishes twice, the second time after a line on its input, and says when it waits for the nodes.
local PYTHON = [[
exec python3 -B -c '
import sys
sys.path.insert(0, "examples/cluster")
import publish
script = open("csrc/broker/scripts/publish.lua").read()
publisher = publish.Publisher("%s", script, patience=60)
print(publisher.publish("c", "tick", 1), flush=True)
sys.stdin.readline()
run, waits = publisher._run, []
def spy(*arguments):
    reply = run(*arguments)
    if reply[0] == b"FENCED" and not waits:
        waits.append(1)
        print("waits", flush=True)
    return reply
publisher._run = spy
print(publisher.publish("c", "tick", 2), flush=True)
' < %s/lines
]]

describe("a program that is not a node", function()
  local instance, client

  setup(function()
    instance = redis.start()
    client = instance:connect()
  end)

  teardown(function()
    client:close()
    instance:remove()
  end)

  before_each(scripts.new_prefix)

  local function started()
    local node = scripts.node(client, "a")
    assert.equal("OK", node:hello()[1])
    return node
  end

  local function outsider(more)
    local program = scripts.node(client, "", more)
    program.generation = ""
    return program
  end

  -- ---- The script -----------------------------------------------------------------------------------------------------------

  it("publishes in order with the nodes, and leaves no trace of its own", function()
    local node, program = started(), outsider()
    local listener = scripts.subscribe(instance, "m", "c")
    local positions =
      { node:order("c", "first"), program:order("c", TICK), program:order("c", TICK) }
    positions[4] = node:order("c", "last")
    local before = "~%d+"
    for _, position in ipairs(positions) do
      assert.matches("^epoch1 " .. position .. " " .. before .. "\n", listener:receive()[3])
      before = position
    end
    listener:close()
    local page = node:page("c", "+", positions[1], 10)
    assert.same({ positions[2], positions[1], TICK }, page[1])
    assert.equal(0, client:call("EXISTS", key("n", "")))
    assert.equal(1, client:call("ZCARD", key "nodes"))
  end)

  it("publishes once for an idempotency key", function()
    local node, program = started(), outsider()
    local first = program:order("c", TICK, { key = "k" })
    assert.equal(first, program:order("c", TICK, { key = "k" }))
    assert.equal(first, outsider():order("c", TICK, { key = "k" }))
    assert.equal(first, node:order("c", "again", { key = "k" }))
    assert.equal(1, client:call("XLEN", key("s", "c")))
  end)

  it("is refused before any node has run, and by another Redis than it expects", function()
    local program = outsider()
    assert.same({ "FENCED" }, program:publish("c", TICK))
    local node = started()
    assert.same({ "FENCED" }, program:publish("c", TICK, { run = "another" }))
    assert.equal(0, client:call("EXISTS", key("s", "c")))
    assert.equal("OK", program:publish("c", TICK)[1])
    assert.equal(1, #node:page("c", "+", 0, 10))
  end)

  it("ends a channel", function()
    local node, program = started(), outsider()
    local position = program:order("c", "1 f 4 0 0 0\ndone{}", { final = true })
    assert.equal(position, node:page("c", "+", 0, 10).ended)
    assert.equal("OK", program:publish("c", "1 bf 4 0 0 0\ndone\0", { final = true })[1])
    assert.equal("OK", program:publish("c", "1 b 4 0 0 0\nblob\0")[1])
  end)

  describe("is told, and nothing is done, if", function()
    local function refused(expected, record, more)
      started()
      local reply = outsider():publish("c", record, more)
      assert.matches(expected, reply.err, 1, true)
      for _, kind in ipairs { "s", "c", "i" } do
        assert.equal(0, client:call("EXISTS", key(kind, kind == "i" and "k" or "c")))
      end
    end

    for _, record in ipairs {
      "",
      '{"n":1}',
      "2 - 4 0 0 0\ntick1",
      "1 4 0 0 0\ntick1",
      "1  4 0 0 0\ntick1",
      "1 -f 4 0 0 0\ntick1",
      "1 fb 4 0 0 0\ntick1",
      "1 - 4 0 0\ntick1",
      "1 - -4 0 0 0\ntick1",
      "1 - 4 0 0 0 tick1",
    } do
      it(("the record is %q"):format(record), function()
        refused("the record does not begin with 1", record, { key = "k" })
      end)
    end

    it("the record is larger than a node reads", function()
      refused("more than 6291456 bytes", TICK .. (" "):rep(6 << 20))
    end)

    it("lengths are wrong", function()
      refused("shorter than its lengths", "1 - 5 0 0 0\ntick")
      refused("shorter than its lengths", "1 - 4 0 1 0\ntick")
      refused("has no event", "1 - 0 0 0 0\n1")
      refused("shorter than its lengths", "1 - 99999999999999999999999999 0 0 0\ntick1")
    end)

    it("it is final in one place only", function()
      refused("flag f", TICK, { final = true })
      refused("flag f", "1 f 4 0 0 0\ntick1")
    end)

    it("numbers are not numbers", function()
      refused("must be integers", TICK, { size = "many" })
      refused("must be integers", TICK, { size = -1 })
      refused("must be integers", TICK, { size = "1e3" })
      refused("must be integers", TICK, { ttl = "" })
      refused("must be integers", TICK, { ttl = "1.5" })
      refused("must be integers", TICK, { mark_ttl = "x" })
      refused("at least 90000", TICK, { mark_ttl = 3600 })
      refused("not below the ttl", TICK, { ttl = 90000001 })
    end)

    it("keys do not belong together", function()
      refused("not of one prefix and one channel", TICK, { pubsub = key("m", "d") })
      refused("not of one prefix and one channel", TICK, { pubsub = "c" })
      refused("not of one prefix and one channel", TICK, { mark = key("c", "d") })
    end)

    it("the idempotency key is a key of another type", function()
      started()
      client:call("HSET", key("i", "k"), "x", "y")
      local reply = outsider():publish("c", TICK, { key = "k" })
      assert.matches("WRONGTYPE", reply.err)
      assert.equal(0, client:call("EXISTS", key("s", "c")))
    end)
  end)

  it("replaces a stream of another type, and there is a gap", function()
    local node, program = started(), outsider()
    local first = program:order("c", TICK)
    client:call("SET", key("s", "c"), "garbage")
    local second = program:order("c", TICK)
    local page = node:page("c", "+", 0, 10)
    assert.same({ second, first }, { page[1][1], page.gone })
  end)

  -- ---- The examples ---------------------------------------------------------------------------------------------------------

  -- Runs an example, and returns what it printed and whether it succeeded. The examples use the default prefix.
  local function run(name, ...)
    local words = {
      "REDIS=" .. instance.path,
      server.quote("REDIS_CLI=redis-cli -s " .. instance.path),
      "examples/cluster/" .. name,
    }
    for _, word in ipairs { ... } do
      words[#words + 1] = server.quote(word)
    end
    local pipe = assert(io.popen("env " .. table.concat(words, " ") .. " 2>&1"))
    local output = pipe:read "a"
    return (output:gsub("\n$", "")), pipe:close() == true
  end

  for _, name in ipairs { "publish.py", "publish.sh" } do
    describe("examples/cluster/" .. name, function()
      local node

      before_each(function()
        client:call "FLUSHALL"
        scripts.new_prefix "{mw}:"
        node = started()
      end)

      it("publishes a message", function()
        local listener = scripts.subscribe(instance, "m", "price:BTC")
        local first = assert(run(name, "price:BTC", "tick", '{"n": 1}'):match "^%d+$")
        local second = assert(run(name, "price:BTC", "größe", '["ä\\n"]'):match "^%d+$")
        local text = name == "publish.py" and '["\\u00e4\\n"]' or '["ä\\n"]'
        assert.matches("^epoch1 " .. first .. " ~%d+\n1 %- 4 0 0 0\ntick", listener:receive()[3])
        assert.equal(
          ("epoch1 %s %s\n1 - 7 0 0 0\ngröße%s"):format(second, first, text),
          listener:receive()[3]
        )
        listener:close()
        local page = node:page("price:BTC", "+", 0, 10)
        assert.same({ first, '1 - 4 0 0 0\ntick{"n": 1}' }, { page[1][1], page[1][3] })
      end)

      it("publishes it once for a key", function()
        local first = assert(run(name, "c", "tick", "1", "order 7"):match "^%d+$")
        assert.equal(first, (run(name, "c", "tick", "1", "order 7")))
        assert.equal(1, client:call("XLEN", key("s", "c")))
      end)

      it("says what is wrong", function()
        local function fails(expected, ...)
          local output, ok = run(name, ...)
          assert.matches(expected, output)
          assert.is_false(ok)
        end
        fails("usage: ", "c", "tick")
        fails("the record has no event", "c", "", "1")
        client:call("SET", key("i", "hash"), "")
        client:call("DEL", key("i", "hash"))
        client:call("HSET", key("i", "hash"), "x", "y")
        fails("WRONGTYPE", "c", "tick", "1", "hash")
        assert.equal(0, client:call("EXISTS", key("s", "c")))
      end)
    end)
  end

  it("reaches the clients of a node, in order, and is resumed; what is invalid is a gap", function()
    client:call "FLUSHALL"
    scripts.new_prefix "{mw}:"
    local app = server.start {
      script = [[
        local app = require("moonwire").app {}
        app:channel("c", { history = { size = 100 } })
        app:post("/publish-it", function() return { id = assert(app:publish("c", "tick", 2)) } end)
        return app
      ]],
      args = "--listen 127.0.0.1:0 --broker unix:" .. instance.path,
    }
    local stream = sse.open(app, "/sse?channel=c", { timeout = 60 })
    local cursor = stream:cursor()
    local first = run("publish.py", "c", "tick", "1")
    assert.equal(200, http.request(app, "POST", "/publish-it").status)
    run("publish.sh", "c", "tick", "3")
    run("publish.sh", "c", "tick", "3", "key")
    run("publish.sh", "c", "tick", "again", "key")
    local events = {}
    for i = 1, 4 do
      events[i] = stream:event()
    end
    assert.same(
      { "1", "2", "3", "3" },
      { events[1].data, events[2].data, events[3].data, events[4].data }
    )
    assert.equal(first, events[1].id:match "%d+$")
    local resumed = sse.open(app, "/sse?channel=c&since=" .. cursor, { timeout = 60 })
    assert.equal("1", resumed:event().data)
    resumed:close()

    -- valid for the script, and not for a node
    run("publish.sh", "c", "tick", "{")
    run("publish.sh", "c", "moonwire:tick", "5")
    run("publish.sh", "c", "tick", "6")
    local seen = {}
    repeat
      local event = stream:event()
      seen[#seen + 1] = event.event .. " " .. event.data
    until event.data == "6"
    assert.same({ 'moonwire:gap {"channel":"c"}', "tick 6" }, { seen[1], seen[#seen] })
    assert.is_truthy(app:await_log "ignored a message from redis: the data is not valid JSON")
    stream:close()
    app:stop()
  end)

  it("in Python goes on after Redis has restarted", function()
    local other = redis.start "--appendonly yes --appendfsync always"
    local connection = other:connect()
    scripts.new_prefix "{mw}:"
    local node = scripts.node(connection, "a")
    node:hello()
    server.run("mkfifo " .. other.directory .. "/lines")
    local program = assert(io.popen(PYTHON:format(other.path, other.directory)))
    local lines = assert(io.open(other.directory .. "/lines", "w"))
    local first = program:read "l"

    connection:close()
    other:kill()
    lines:write "now\n"
    lines:flush()
    other:start()
    connection = other:connect()
    local before = node.run
    node.client, node.run = connection, redis.run_id(connection)
    assert.equal("waits", program:read "l") -- no node has accepted this Redis
    node:hello { known_run = before, known_epoch = "epoch1", seen = first, epoch = "epoch2" }
    local second = program:read "l"
    lines:close()
    program:close()
    local page = node:page("c", "+", 0, 10)
    assert.same({ first, second, 2 }, { page[1][1], page[2][1], #page })
    connection:close()
    other:remove()
  end)
end)
