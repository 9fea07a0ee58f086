-- One node of a cluster. examples/cluster/start starts three of them, with Redis and HAProxy:
--
--     examples/cluster/start        then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

local NODE = os.getenv "NODE" or "1"
local CONTROL = os.getenv "CONTROL" -- a pipe on which examples/cluster/start takes commands

local app = moonwire.app { trusted_proxies = { "unix" } }

app:on_connect(function(client)
  client:send("node", { node = NODE })
end)

-- What every node publishes twice a second, numbered, so that a page notices a missing one.
app:channel("cluster:ticks", { history = { size = 2000, ttl = 600, replay = 0 } })

-- What visitors write, on any node, or other programs (publish.py, publish.sh).
app:channel("cluster:notes", {
  history = { size = 100, replay = 20 },
  on = {
    note = function(_, channel, message)
      local text = type(message.data) == "table" and message.data.text
      if type(text) ~= "string" or #text == 0 or #text > 200 then
        return false, "a note has 1 to 200 bytes of text"
      end
      return channel:publish("note", { text = text, node = NODE })
    end,
  },
  limits = { rate = 5, burst = 10, message_size = 1024 },
})

-- A tick that was perhaps not published ends the run: the next one begins at 1.
local run, count = nil, 0
app:every(0.5, function()
  run, count = run or moonwire.crypto.random(8, "hex"), count + 1
  if not app:publish("cluster:ticks", "tick", { node = NODE, run = run, n = count }) then
    run, count = nil, 0
  end
end)

app:post("/nodes/{node}/{verb}", function(request)
  local node, verb = request.params.node, request.params.verb
  if not CONTROL or not node:match "^[123]$" or not (verb == "kill" or verb == "start") then
    error {
      code = "not_found",
      message = "unknown node or verb: nodes are 1 to 3, verbs are kill and start",
    }
  end
  local pipe = assert(io.open(CONTROL, "a"))
  pipe:write(verb, " ", node, "\n")
  pipe:close()
  return {}
end)

app:static("/shared", "../shared")
app:static("/", "page", { headers = { ["Content-Security-Policy"] = "frame-ancestors 'none'" } })
return app
