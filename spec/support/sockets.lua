-- For the specs of moonwire.socket: a server whose route runs the Lua that it is sent, and peers for it.

local http = require "spec.support.http"
local server = require "spec.support.server"

local sockets = { guards = {} }

local SCRIPT = [[
local moonwire = require "moonwire"
local socket = require "moonwire.socket"
local app = moonwire.app {}
shared = {}
app:post("/run", function(request)
  local env = setmetatable({ moonwire = moonwire, socket = socket, app = app, request = request }, { __index = _G })
  local results = table.pack(assert(load(request.body, "=run", "t", env))())
  for i = 1, results.n do
    if results[i] == nil then
      results[i] = moonwire.null
    end
  end
  results.n = nil
  return { results = moonwire.array(results) }
end)
return app
]]

--- Starts the server. `before` is Lua for the top of its script.
function sockets.start(before, more)
  local what = { script = (before or "") .. SCRIPT }
  for key, value in pairs(more or {}) do
    what[key] = value
  end
  return server.start(what)
end

--- Runs Lua in a handler, and returns its results; nil is moonwire.null. Raises if it failed.
function sockets.run(app, code, ...)
  local connection = http.connect(app, 30)
  code = code:format(...)
  local text =
    "POST /run HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
  assert(connection:send(text:format(#code, code)))
  local response = assert(connection:read_response "POST")
  connection:close()
  if response.status ~= 200 then
    error(("status %d\n%s"):format(response.status, app:log()), 2)
  end
  local json = require("moonwire").json
  local results = json.decode(response.body).results
  return table.unpack(results)
end

--- Starts a program, and returns the lines that it prints until "ready" as { [name] = value }, and a function that ends it.
function sockets.peer(command)
  local pipe = assert(io.popen("exec 2>/dev/null; echo pid $$; exec " .. command))
  local found = {}
  for line in pipe:lines() do
    local name, value = line:match "^(%S+) (%S+)$"
    if line == "ready" then
      break
    elseif name then
      found[name] = tonumber(value) or value
    end
  end
  return found,
    function()
      os.execute(("kill -KILL %d 2>/dev/null"):format(found.pid))
      pipe:close()
    end
end

--- Starts a program that says nothing, and returns a function that ends it and waits for that.
function sockets.program(command)
  return sockets.peer("sh -c " .. server.quote("echo ready; exec " .. command))
end

--- Returns a new directory.
function sockets.directory()
  local pipe = io.popen "mktemp -d"
  local path = pipe:read "l"
  pipe:close()
  return path
end

return sockets
