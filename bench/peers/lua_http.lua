-- Fan-out with lua-http: WebSockets on /ws, published over the WebSocket /publish.

local server = require "http.server"
local websocket = require "http.websocket"

local subscribers = {}

local function publish(text)
  for socket in pairs(subscribers) do
    if not socket:send(text, "text") then
      subscribers[socket] = nil
    end
  end
end

local function serve(_, stream)
  local headers = assert(stream:get_headers())
  local socket = assert(websocket.new_from_stream(stream, headers))
  assert(socket:accept())
  if headers:get ":path" == "/publish" then
    local text = socket:receive()
    while text do
      publish(text)
      text = socket:receive()
    end
  else
    subscribers[socket] = true
    while socket:receive() do
    end
    subscribers[socket] = nil
  end
  socket:close()
end

local listener = assert(server.listen {
  host = "127.0.0.1",
  port = 0,
  max_concurrent = 30000,
  onstream = serve,
  onerror = function() end,
})
assert(listener:listen())
local _, host, port = listener:localname()
print(("listening on http://%s:%d"):format(host, port))
io.stdout:flush()
assert(listener:loop())
