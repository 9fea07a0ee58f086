-- A server before a real one that answers as a list says. For clients that ask one request at a time.

local http = require "spec.support.http"
local socket = require "socket"

local unreliable = {}

local function read_request(connection)
  local head = connection:read_until "\r\n\r\n"
  local length = tonumber(head:match "[Cc]ontent%-[Ll]ength: (%d+)")
  return head .. "\r\n\r\n" .. connection:read_bytes(length)
end

-- The real answer, as it was sent.
local function forward(upstream, request)
  assert(upstream:send(request))
  local head = upstream:read_until "\r\n\r\n" .. "\r\n\r\n"
  return head .. upstream:read_bytes(tonumber(head:match "[Cc]ontent%-[Ll]ength: (%d+)"))
end

local refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nRetry-After: 0\r\n\r\n{}"

-- What it does with a request. Each returns true if the connection lasts.
local answers = {}

function answers.pass(connection, request, upstream)
  connection:send(forward(upstream, request))
  return true
end

-- The whole answer, then the end, although the client may keep the connection.
function answers.close(connection, request, upstream)
  connection:send(forward(upstream, request))
end

function answers.refuse(connection)
  connection:send(refusal)
  return true
end

-- Never, until the client has given up.
function answers.hang(connection, request, upstream)
  forward(upstream, request)
  connection:fill(connection:deadline(5))
end

function answers.drip(connection, request, upstream)
  for byte in forward(upstream, request):gmatch "." do
    connection:send(byte)
    socket.sleep(0.0002)
  end
  return true
end

function answers.chunks(connection, request, upstream)
  local body = forward(upstream, request):match "\r\n\r\n(.*)$"
  connection:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
  for part in body:gmatch "..?.?" do
    connection:send(("%x;x=y\r\n%s\r\n"):format(#part, part))
  end
  connection:send "0\r\nX: y\r\n\r\n"
  return true
end

function answers.old(connection, request, upstream)
  local body = forward(upstream, request):match "\r\n\r\n(.*)$"
  connection:send("HTTP/1.0 200 OK\r\n\r\n" .. body)
end

function answers.rubbish(connection)
  connection:send "220 smtp.example ESMTP\r\n\r\n"
end

-- The first bytes of the answer.
local function cut(connection, request, upstream, count)
  local answer = forward(upstream, request)
  connection:send(answer:sub(1, count))
  return false, #answer
end

-- A client may keep a connection when it has finished.
local function await_request(connection, is_done)
  while connection.buffer == "" do
    local ok, why = connection:fill(connection:deadline(0.02))
    if not ok and (why == "closed" or is_done()) then
      return false
    end
  end
  return true
end

local function serve(self, connection, is_done)
  repeat
    if not await_request(connection, is_done) then
      break
    end
    local request = read_request(connection)
    self.count = self.count + 1
    local answer = self.list(self.count)
    local lasts, length
    if type(answer) == "number" then
      lasts, length = cut(connection, request, self.upstream, answer)
      self.answer_length = length
    else
      lasts = answers[answer](connection, request, self.upstream)
    end
  until not lasts
  connection:close()
end

-- `list(n)` says how the nth request is answered: by a name, or by so many bytes of the real answer.
function unreliable.new(upstream, list)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  return setmetatable({
    listener = listener,
    address = "127.0.0.1:" .. port,
    upstream = http.connect(upstream),
    list = list,
    count = 0,
  }, { __index = unreliable })
end

-- Serves one connection after the other until the client's output is complete; returns it.
function unreliable:serve_until_done(output)
  local function is_done()
    local text = output()
    return text:find "done\n$" or text:find "traceback"
  end
  self.listener:settimeout(0.02)
  local deadline = socket.gettime() + 60
  repeat
    local accepted = self.listener:accept()
    if accepted then
      accepted:settimeout(0)
      accepted:setoption("tcp-nodelay", true)
      local connection = { socket = accepted, buffer = "", timeout = 30 }
      serve(self, setmetatable(connection, getmetatable(self.upstream)), is_done)
    end
    if is_done() then
      self.listener:close()
      self.upstream:close()
      return output()
    end
  until socket.gettime() > deadline
  error("the client does not end; so far: " .. output())
end

return unreliable
