-- examples/cluster: Redis, three nodes, and HAProxy, and a page that misses nothing while nodes are killed.

local dkjson = require "dkjson"
local ports = require "spec.support.ports"
local server = require "spec.support.server"
local socket = require "socket"

describe("examples/cluster", function()
  local directory, address, pid, pipe

  local function read(name)
    local file = io.open(directory .. "/" .. name)
    local text = file and file:read "a" or ""
    if file then
      file:close()
    end
    return text
  end

  -- All nodes answer, through HAProxy.
  local function await_page(port)
    for _ = 1, 1500 do
      local connection = socket.connect("127.0.0.1", port)
      if connection then
        connection:close()
        return
      end
      socket.sleep(0.02)
    end
    error("HAProxy does not answer:\n" .. read "haproxy.log" .. read "node1.log")
  end

  setup(function()
    local port = ports.free()
    pipe = assert(io.popen(("exec 2>&1; echo $$; exec examples/cluster/start %d"):format(port)))
    pid = pipe:read "l"
    directory = pipe:read("l"):match "^directory (.*)$"
    address = pipe:read("l"):match "http://[%d.:]+"
    await_page(port)
  end)

  teardown(function()
    os.execute("kill " .. pid)
    pipe:close() -- waits for the end
    assert.is_nil(io.open(directory .. "/control"))
  end)

  it("loses nothing while the node that serves the page is killed", function()
    local seen =
      dkjson.decode(server.peer("browser/cluster.mjs", address, directory .. "/redis.sock"))
    assert.same({}, seen.complaints, read "node1.log" .. read "node2.log" .. read "node3.log")
    assert.same({ 0, 0, 0, 0 }, { seen.missed, seen.repeated, seen.gaps, seen.overflow })
    assert.is_true(seen.returns >= 2)
    assert.same({
      "before",
      seen.killed[1] .. " is gone",
      seen.killed[2] .. " is gone",
      "<img src=x onerror=stolen=1>",
      "[null]",
    }, seen.notes)
  end)
end)
