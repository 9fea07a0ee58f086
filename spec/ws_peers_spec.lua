-- Independent WebSocket clients: each does the same (spec/support/peers/scenario.mjs) and is told the same.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { deflate = DEFLATE }
app:channel("room:{room}", {
  relay = { "typing" },
  on_join = function()
    return { welcome = true }
  end,
  on = {
    say = function(_, channel, message)
      return { id = channel:publish("said", message.data) }
    end,
  },
})
return app
]]

local node = "node --no-warnings "
-- Node.js has a WebSocket of its own from 20.10 on; Debian 12's is older.
local node_has_websocket = os.execute(node .. "--experimental-websocket -e 0 2>/dev/null")
local peers = {
  { "npm's ws", node .. "spec/support/peers/ws.mjs" },
  { "Node's WebSocket", node .. "--experimental-websocket spec/support/peers/standard.mjs" },
  { "lua-http", "lua5.1 spec/support/peers/lua_http.lua" },
  { "Python's websockets", "/usr/bin/python3 spec/support/peers/python_websockets.py" },
  { "Chromium", node .. "spec/support/peers/chromium.mjs" },
}

local function ws(options)
  return ("env WS_OPTIONS='{\"perMessageDeflate\":%s}' %sspec/support/peers/ws.mjs"):format(
    options,
    node
  )
end

-- Each compresses by its own mind, or not at all.
local compressing_peers = {
  { "npm's ws, plain", ws "false" },
  { "npm's ws", ws '{"threshold":0}' },
  {
    "npm's ws, small windows",
    ws '{"threshold":0,"serverMaxWindowBits":9,"clientMaxWindowBits":9}',
  },
  { "npm's ws, no server's takeover", ws '{"threshold":0,"serverNoContextTakeover":true}' },
  peers[4],
  peers[5],
}

local function visit(app, command, protocol)
  local url = app.address:gsub("^http", "ws") .. "/ws"
  local log = os.tmpname()
  local output = server.run(("timeout 200 %s %s %s 2>%s"):format(command, url, protocol or "", log))
  local file = assert(io.open(log))
  local complaints = file:read "a"
  file:close()
  os.remove(log)
  return dkjson.decode(output) or error("the peer failed: " .. complaints .. output)
end

local function describe_peers(name, deflate, its_peers, protocols)
  describe(name, function()
    local app

    setup(function()
      app = server.start((script:gsub("DEFLATE", deflate)))
    end)

    teardown(function()
      app:stop()
    end)

    for _, peer in ipairs(its_peers) do
      for _, protocol in ipairs(protocols) do
        local test = peer[1] == "Node's WebSocket" and not node_has_websocket and pending or it
        test(
          ("%s %s"):format(peer[1], protocol and "with " .. protocol or "without subprotocol"),
          function()
            local seen = visit(app, peer[2], protocol)
            assert.same({ 1000, 1000 }, seen.closed)
            local a, b = seen.said[1], seen.said[2]
            if protocol then
              local ids = {}
              for i, told in ipairs(seen.said) do
                local connected = table.remove(told, 1)
                assert.equal(0, connected.ref)
                assert.equal(25, connected.ok.ping)
                ids[i] = connected.ok.client
              end
              assert.matches("^%w+$", ids[1])
              assert.not_equal(ids[1], ids[2])
            end
            local cursor, from = a[1].ok.id, a[3].from
            local first, second = b[2].id, b[8].id
            assert.is_true(cursor < first and first < second)
            local push = {
              channel = "room:peers",
              event = "said",
              id = first,
              data = { text = "grüß dich ✓ 🌙" },
            }
            assert.same({
              { ref = 1, ok = { id = cursor, data = { welcome = true } } },
              push,
              { channel = "room:peers", event = "typing", from = from, data = { true } },
              { channel = "room:peers", event = "typing", from = from, bytes = "000aff" },
              { ref = 2, ok = true },
            }, a)
            assert.same({
              { ref = 1, ok = { id = cursor, data = { welcome = true } } },
              push,
              { ref = "say", ok = { id = first } },
              { ref = 3, ok = true },
              { ref = 4, ok = true },
              { ref = 5, error = { code = "unknown_event", reason = b[6].error.reason } },
              { ref = 6, ok = true },
              { channel = "room:peers", event = "said", id = second, data = "the same" },
              { ref = 7, ok = { id = second } },
            }, b)
          end
        )
      end
    end
  end)
end

describe_peers("a WebSocket of", "true", peers, { false, "moonwire.1" })
describe_peers(
  "a WebSocket that compresses everything, of",
  "{ min = 1 }",
  compressing_peers,
  { false }
)
describe_peers(
  "a WebSocket that takes contexts over, of",
  "{ min = 1, server_context_takeover = true, client_context_takeover = true }",
  compressing_peers,
  { false }
)
