--- moonwire.publisher: publishes to a moonwire server from another program, over HTTP.
--
-- One file without dependencies of moonwire, for OpenResty (cosockets), LuaJIT, and Lua 5.1 to 5.4
-- (LuaSocket). It needs cjson or dkjson; OpenResty has cjson. Syntax and library are those of Lua 5.1.

---@class moonwire.PublisherOptions
---@field address string "unix:PATH", "http://HOST:PORT", or "HOST:PORT"
---@field key string the publish_key of the app
---@field path? string nil: "/publish"
---@field connect_timeout? number seconds; nil: 1
---@field timeout? number seconds for one attempt, without connecting; nil: 5
---@field deadline? number seconds for all attempts together; nil: 15
---@field retry_delay? number seconds before the first retry, doubled up to 1; nil: 0.05
---@field pool_size? integer idle connections that are kept; nil: 30
---@field idle_timeout? number seconds that an idle connection is kept, in OpenResty; nil: 30
---@field queue_size? integer messages that wait for a timer, in OpenResty; nil: 10000
---@field on_error? fun(item: moonwire.PublishItem, message: string, code: string) a queued message has failed; nil: it is logged

---@class moonwire.PublisherMessageOptions
---@field key? string for channels with slow = "latest"
---@field final? boolean ends the channel
---@field volatile? boolean no id, and not kept in the history
---@field idempotency_key? string 1 to 128 bytes; nil: one of its own

--- A message of a batch; or { channel, event, data }.
---@class moonwire.PublishItem : moonwire.PublisherMessageOptions
---@field channel string
---@field event? string nil: "message"
---@field data? any
---@field json? string in place of data: JSON

local ngx = rawget(_G, "ngx")
local in_nginx = ngx and ngx.socket and ngx.socket.tcp and true or false
local lower, concat, min = string.lower, table.concat, math.min

local BATCH_MAX = 1000 -- items that the server takes in one request
local BATCH_BYTES = 512 * 1024
local HEAD_MAX, BODY_MAX = 16 * 1024, 8 * 1024 * 1024
local DELAY_MAX = 1 -- seconds
local QUEUE_BYTES = 16 * 1024 * 1024

-- Where cosockets are allowed. Elsewhere, messages are queued for a timer.
local SOCKET_PHASES = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  preread = true,
  ssl_cert = true,
  ssl_session_fetch = true,
  ssl_client_hello = true,
}

-- ---- What the program around it has ------------------------------------------------------------

local function find_json()
  for _, name in ipairs { "cjson.safe", "dkjson" } do
    local ok, library = pcall(require, name)
    if ok then
      return library
    end
  end
  error("moonwire.publisher requires a JSON library: cjson or dkjson", 0)
end
local json = find_json()

local function find_socket()
  local ok, socket = pcall(require, "socket")
  if not ok then
    error("moonwire.publisher requires OpenResty or LuaSocket", 0)
  end
  return socket
end
local socket = not in_nginx and find_socket() or nil

local function now()
  if in_nginx then
    ngx.update_time()
    return ngx.now()
  end
  return socket.gettime()
end

local function sleep(seconds)
  if in_nginx then
    ngx.sleep(seconds)
  else
    socket.sleep(seconds)
  end
end

-- Keys are unique among processes: random bytes of each, and a count.
local key_prefix, key_pid, key_count

local function random_prefix()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(12)
  if file then
    file:close()
  end
  bytes = bytes or (tostring {} .. os.time() .. os.clock())
  return (
    bytes
      :gsub(".", function(char)
        return ("%02x"):format(char:byte())
      end)
      :sub(1, 80)
  )
end

local function next_key()
  local pid = in_nginx and ngx.worker.pid() or 0
  if pid ~= key_pid then -- this process was forked, and has the state of another
    key_prefix, key_pid, key_count = random_prefix(), pid, 0
  end
  key_count = key_count + 1
  return ("%s-%d"):format(key_prefix, key_count)
end

-- ---- Connections -------------------------------------------------------------------------------

-- Each has a socket, a buffer of what was received, and a time until which it may wait.
local Connection = {}
Connection.__index = Connection

local function connect_in_nginx(self, address)
  local cosocket = ngx.socket.tcp()
  local ms = self.connect_timeout * 1000
  cosocket:settimeouts(ms, self.timeout * 1000, self.timeout * 1000)
  local options = { pool_size = self.pool_size, pool = self.pool }
  local ok, why
  if address.path then
    ok, why = cosocket:connect("unix:" .. address.path, options)
  else
    ok, why = cosocket:connect(address.host, address.port, options)
  end
  if not ok then
    return nil, why
  end
  return cosocket, (cosocket:getreusedtimes() or 0) > 0
end

-- An idle connection of the pool that has nothing to say: otherwise, the server has closed it.
local function take_idle(self)
  while #self.idle > 0 do
    local idle = table.remove(self.idle)
    idle:settimeout(0, "t")
    local _, why = idle:receive(1)
    if why == "timeout" then
      return idle
    end
    idle:close()
  end
end

local function connect_elsewhere(self, address)
  local idle = take_idle(self)
  if idle then
    return idle, true
  end
  local created, why
  if address.path then
    created, why = require "socket.unix"()
  else
    created, why = socket.tcp()
  end
  if not created then
    return nil, why
  end
  created:settimeout(self.connect_timeout, "t")
  local ok
  if address.path then
    ok, why = created:connect(address.path)
  else
    ok, why = created:connect(address.host, address.port)
  end
  if not ok then
    created:close()
    return nil, why
  end
  if address.port then
    created:setoption("tcp-nodelay", true)
  end
  return created, false
end

-- Returns a connection, of the pool if there is one; or nil and why not.
local function connect(self)
  local open = in_nginx and connect_in_nginx or connect_elsewhere
  local opened, is_reused = open(self, self.address)
  if not opened then
    return nil, ("cannot connect to %s: %s"):format(self.name, tostring(is_reused))
  end
  local ends = now() + self.timeout
  local connection = { socket = opened, buffer = "", ends = ends, is_reused = is_reused }
  return setmetatable(connection, Connection)
end

-- Returns the seconds that are left, at least 1 ms; nil: none.
function Connection:left()
  local left = self.ends - now()
  return left > 0 and math.max(left, 0.001) or nil
end

function Connection:send(text)
  if in_nginx then
    return self.socket:send(text)
  end
  self.socket:settimeout(self:left() or 0.001, "t")
  return self.socket:send(text)
end

-- Waits for more bytes; nil and why not.
function Connection:fill()
  local left = self:left()
  if not left then
    return nil, "timeout"
  end
  local data, why, partial
  if in_nginx then
    self.socket:settimeout(left * 1000)
    data, why = self.socket:receiveany(65536)
  else
    self.socket:settimeout(left, "t")
    data, why = self.socket:receive(1)
    if data then
      self.socket:settimeout(0, "t")
      local more
      more, why, partial = self.socket:receive(65536)
      data = data .. (more or partial or "")
    end
  end
  if not data or data == "" then
    return nil, why or "closed"
  end
  self.has_answered = true
  self.buffer = self.buffer .. data
  return true
end

function Connection:read_line()
  while true do
    local line, rest = self.buffer:match "^([^\n]*)\n()"
    if line then
      self.buffer = self.buffer:sub(rest)
      return (line:gsub("\r$", ""))
    elseif #self.buffer > HEAD_MAX then
      return nil, "malformed"
    end
    local ok, why = self:fill()
    if not ok then
      return nil, why
    end
  end
end

function Connection:read_bytes(count)
  while #self.buffer < count do
    local ok, why = self:fill()
    if not ok then
      return nil, why
    end
  end
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

function Connection:read_rest()
  while true do
    local ok, why = self:fill()
    if not ok then
      return why == "closed" and self.buffer or nil, why
    elseif #self.buffer > BODY_MAX then
      return nil, "malformed"
    end
  end
end

function Connection:close()
  self.socket:close()
end

-- Puts it into the pool.
function Connection:keep(self_of_pool)
  if in_nginx then
    self.socket:setkeepalive(self_of_pool.idle_timeout * 1000, self_of_pool.pool_size)
  elseif #self_of_pool.idle < self_of_pool.pool_size then
    table.insert(self_of_pool.idle, self.socket)
  else
    self.socket:close()
  end
end

-- ---- HTTP/1.1 ----------------------------------------------------------------------------------

local function read_chunks(connection)
  local parts, total = {}, 0
  while true do
    local line, why = connection:read_line()
    local size = line and tonumber(line:match "^%x+" or "", 16)
    if not size then
      return nil, why or "malformed"
    end
    total = total + size
    if total > BODY_MAX then
      return nil, "malformed"
    elseif size == 0 then
      repeat -- trailers
        line, why = connection:read_line()
      until not line or line == ""
      return line and concat(parts), why
    end
    local chunk
    chunk, why = connection:read_bytes(size + 2)
    if not chunk then
      return nil, why
    end
    parts[#parts + 1] = chunk:sub(1, size)
  end
end

local function read_head(connection)
  local line, why = connection:read_line()
  local version, status = (line or ""):match "^HTTP/1%.(%d) (%d%d%d)"
  if not version then
    return nil, why or "malformed"
  end
  local head, size = { status = tonumber(status), version = version }, 0
  repeat
    line, why = connection:read_line()
    size = size + #(line or "")
    if not line or size > HEAD_MAX then
      return nil, why or "malformed"
    end
    local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
    if name then
      head[lower(name)] = value
    end
  until line == ""
  return head
end

local function read_body(connection, head)
  if head["transfer-encoding"] and lower(head["transfer-encoding"]) == "chunked" then
    return read_chunks(connection)
  end
  local length = head["content-length"]
  if not length then
    head.connection = "close"
    return connection:read_rest()
  end
  length = tonumber(length:match "^%d+$" or "")
  if not length or length > BODY_MAX then
    return nil, "malformed"
  end
  return connection:read_bytes(length)
end

-- Returns the head, with the body; or nil and why not.
local function read_response(connection)
  local head, why
  repeat
    head, why = read_head(connection)
  until not head or head.status >= 200
  if not head then
    return nil, why
  end
  head.body, why = read_body(connection, head)
  return head.body and head, why
end

-- One attempt. Returns the response; or nil, why not, a code, and whether a connection that had
-- been idle was closed, which says nothing about the server.
local function attempt(self, body, content_type, ends)
  local connection, why = connect(self)
  if not connection then
    return nil, why, "unavailable"
  end
  connection.ends = min(connection.ends, ends)
  local sent
  sent, why = connection:send(concat {
    self.head,
    content_type,
    "\r\nContent-Length: ",
    ("%d"):format(#body),
    "\r\n\r\n",
    body,
  })
  local response, fault
  -- A server may refuse a request before it has read all of it.
  if sent or why ~= "timeout" then
    response, fault = read_response(connection)
    why = response and why or fault
  end
  if response then
    local is_kept = sent
      and response.version == "1"
      and lower(response.connection or "") ~= "close"
      and connection.buffer == ""
    if is_kept then
      connection:keep(self)
    else
      connection:close()
    end
    return response
  end
  connection:close()
  if why == "malformed" then
    return nil, ("%s does not answer in HTTP/1.1"):format(self.name), "bad_response"
  elseif why == "timeout" then
    return nil, ("%s did not answer in time"):format(self.name), "timeout"
  end
  local was_idle = connection.is_reused and not connection.has_answered
  local text = "%s closed the connection before the answer was complete: %s"
  return nil, text:format(self.name, tostring(why)), "unavailable", was_idle
end

local RETRIED_STATUS = { [429] = true, [502] = true, [503] = true, [504] = true }

local function decode(text)
  local ok, value = pcall(json.decode, text)
  return ok and type(value) == "table" and value or nil
end

local function error_of(response)
  local answer = decode(response.body)
  local fault = answer and type(answer.error) == "table" and answer.error or {}
  local reason = type(fault.reason) == "string" and fault.reason or "no reason was given"
  local code = type(fault.code) == "string" and fault.code
  code = code or (RETRIED_STATUS[response.status] and "unavailable" or "bad_response")
  return ("%s (status %d)"):format(reason, response.status), code
end

-- Sends a request until it is answered, or the time is over. Each message in it has a key, so the
-- server publishes it once, however often it is sent. Returns what was answered, decoded; or nil,
-- why not, and a code.
local function request(self, body, content_type, ends)
  local delay = self.retry_delay
  local earlier_why, earlier_code
  while true do
    local response, why, code, was_idle = attempt(self, body, content_type, ends)
    local pause = delay * (0.5 + math.random() / 2)
    if response and response.status == 200 then
      local answer = decode(response.body)
      if answer then
        return answer
      end
      return nil, ("the answer of %s is not JSON"):format(self.name), "bad_response"
    elseif response then
      why, code = error_of(response)
      if not RETRIED_STATUS[response.status] then
        return nil, why, code
      end
      pause = math.max(pause, tonumber(response["retry-after"]) or 0)
    elseif code == "bad_response" then
      return nil, why, code
    end
    if was_idle then
      pause = 0
    else
      delay = min(delay * 2, DELAY_MAX)
    end
    if now() + pause >= ends then
      -- The last attempt had less time than it may take, so an earlier one says more.
      if code == "timeout" and earlier_why then
        return nil, earlier_why, earlier_code
      end
      return nil, why, code
    elseif pause > 0 then
      sleep(pause)
    end
    earlier_why, earlier_code = why, code
  end
end

-- ---- Messages ----------------------------------------------------------------------------------

local FLAGS = { "final", "volatile" }

-- Returns the JSON of an item, with a key; or nil, why not, and a code.
local function encode_item(item)
  local channel = item.channel or item[1]
  local event = item.event or item[2] or "message"
  if type(channel) ~= "string" then
    return nil, "the channel must be a string, got " .. type(channel), "bad_request"
  elseif type(event) ~= "string" then
    return nil, "the event must be a string, got " .. type(event), "bad_request"
  end
  local data = item.json
  if data == nil then
    local value = item.data
    if value == nil then
      value = item[3]
    end
    local ok, text, why = pcall(json.encode, value)
    if not ok or type(text) ~= "string" then
      local reason = tostring(ok and why or text)
      return nil, ("the data cannot be encoded in JSON: %s"):format(reason), "bad_request"
    end
    data = text
  elseif type(data) ~= "string" then
    return nil, "the JSON must be a string, got " .. type(data), "bad_request"
  end
  -- In JSON, these stand only between tokens. A batch has one message on each line.
  local parts = {
    '{"channel":',
    json.encode(channel),
    ',"event":',
    json.encode(event),
    ',"data":',
    (data:gsub("[\r\n]+", " ")),
    ',"idempotency_key":',
    json.encode(item.idempotency_key or next_key()),
  }
  if item.key ~= nil then
    parts[#parts + 1] = ',"key":' .. json.encode(item.key)
  end
  for _, flag in ipairs(FLAGS) do
    if item[flag] then
      parts[#parts + 1] = (',"%s":true'):format(flag)
    end
  end
  parts[#parts + 1] = "}"
  return concat(parts)
end

-- { id = … }, or { error = { code, reason } }
local function fault_of(reason, code)
  return { error = { code = code, reason = reason } }
end

-- Takes lines from a list, as many as one request may have. Returns their places and the next one.
local function take_lines(lines, places, from)
  local part, bytes = {}, 0
  local at = from
  while at <= #places and #part < BATCH_MAX do
    local size = #lines[places[at]] + 1
    if #part > 0 and bytes + size > BATCH_BYTES then
      break
    end
    part[#part + 1] = places[at]
    bytes = bytes + size
    at = at + 1
  end
  return part, at
end

-- Publishes the lines at some places, and writes the results there. Returns the places that the
-- server could not take now, and why.
local function send_part(self, lines, part, results, ends)
  local texts = {}
  for i, place in ipairs(part) do
    texts[i] = lines[place]
  end
  local answer, why, code = request(self, concat(texts, "\n") .. "\n", "application/x-ndjson", ends)
  local again = {}
  for i, place in ipairs(part) do
    local result = answer and answer[i]
    if not answer then
      result = fault_of(why, code)
    elseif type(result) ~= "table" then
      result = fault_of("the answer has no result for the message", "bad_response")
    elseif type(result.error) == "table" and result.error.code == "unavailable" then
      again[#again + 1] = place
    end
    results[place] = result
  end
  return again, not answer and why or nil, code
end

local function send_lines(self, lines, places, results, ends)
  local delay, why, code = self.retry_delay, nil, nil
  while #places > 0 do
    local again, from = {}, 1
    while from <= #places do
      local part, more
      part, from = take_lines(lines, places, from)
      more, why, code = send_part(self, lines, part, results, ends)
      for _, place in ipairs(more) do
        again[#again + 1] = place
      end
    end
    places = again
    if #places > 0 then
      local pause = delay * (0.5 + math.random() / 2)
      if now() + pause >= ends then
        break
      end
      sleep(pause)
      delay = min(delay * 2, DELAY_MAX)
    end
  end
  return why, code
end

-- Publishes lines: by their places, of which some may have results already. Returns the results,
-- the number of errors, and, if nothing was published because of a request, why and a code.
local function publish_lines(self, lines, places, results, count)
  local why, code = send_lines(self, lines, places, results, now() + self.deadline)
  local errors = 0
  for i = 1, count do
    errors = errors + (results[i].error and 1 or 0)
  end
  return results, errors, errors == count and why or nil, code
end

local function publish_items(self, items)
  local lines, places, results = {}, {}, {}
  for i, item in ipairs(items) do
    local line, why, code = encode_item(item)
    if line then
      lines[i] = line
      places[#places + 1] = i
    else
      results[i] = fault_of(why, code)
    end
  end
  return publish_lines(self, lines, places, results, #items)
end

-- ---- Where cosockets are disabled --------------------------------------------------------------

local function report(self, item, fault)
  if self.on_error then
    local ok, why = pcall(self.on_error, item, fault.reason, fault.code)
    if not ok then
      ngx.log(ngx.ERR, "moonwire.publisher: on_error: ", why)
    end
  elseif self.logged_at ~= ngx.time() then -- at most once a second
    self.logged_at = ngx.time()
    local channel = tostring(item.channel or item[1])
    local text = "moonwire.publisher: a queued message for %s was not published: %s"
    ngx.log(ngx.ERR, text:format(channel, tostring(fault.reason)))
  end
end

local function drain_once(self)
  local queue, lines, places = self.queue, {}, {}
  self.queue, self.queue_bytes = {}, 0
  for i, entry in ipairs(queue) do
    lines[i], places[i] = entry.line, i
  end
  local ok, results = pcall(publish_lines, self, lines, places, {}, #queue)
  for i, entry in ipairs(queue) do
    local fault = not ok and { reason = results, code = "internal" } or results[i].error
    if fault then
      report(self, entry.item, fault)
    end
  end
end

-- Publishes what is queued, a batch at a time. More is queued while it waits.
local function drain(_, self)
  if self.draining == "running" then
    return
  end
  self.draining = "running"
  while #self.queue > 0 do
    drain_once(self)
  end
  self.draining = nil
end

-- Starts the timer that drains the queue. Returns true; or nil, why not, and a code.
local function start_draining(self)
  -- nginx drops a timer if too many are running (lua_max_running_timers). Then another is needed.
  local is_due = self.draining == "due" and ngx.now() - self.due_since < 1
  if is_due or self.draining == "running" then
    return true
  end
  if ngx.get_phase() == "init" then
    return nil, "init_by_lua has no timers: publish in init_worker_by_lua", "unavailable"
  end
  local called, ok, why = pcall(ngx.timer.at, 0, drain, self)
  if not called or not ok then
    local text = "cannot publish in this phase (%s): %s"
    return nil, text:format(ngx.get_phase(), tostring(called and why or ok)), "unavailable"
  end
  self.draining, self.due_since = "due", ngx.now()
  return true
end

-- Data is encoded immediately: the caller may change it before the timer runs.
local function enqueue(self, items)
  local entries, bytes = {}, 0
  for i, item in ipairs(items) do
    local line, why, code = encode_item(item)
    if not line then
      return nil, why, code
    end
    entries[i] = { line = line, item = item }
    bytes = bytes + #line
  end
  if #self.queue + #items > self.queue_size or self.queue_bytes + bytes > QUEUE_BYTES then
    local text = "the queue is full: option 'queue_size' (%d messages), or 16 MiB"
    return nil, text:format(self.queue_size), "unavailable"
  end
  local ok, why, code = start_draining(self)
  if not ok then
    return nil, why, code
  end
  for _, entry in ipairs(entries) do
    table.insert(self.queue, entry)
  end
  self.queue_bytes = self.queue_bytes + bytes
  return "queued"
end

local function must_queue()
  return in_nginx and not SOCKET_PHASES[ngx.get_phase()]
end

-- ---- The module --------------------------------------------------------------------------------

---@class moonwire.Publisher
local Publisher = {}
Publisher.__index = Publisher
Publisher.__name = "moonwire.Publisher"

local function publish_one(self, item)
  if must_queue() then
    return enqueue(self, { item })
  end
  local line, why, code = encode_item(item)
  if not line then
    return nil, why, code
  end
  local answer
  answer, why, code = request(self, line, "application/json", now() + self.deadline)
  if not answer then
    return nil, why, code
  end
  return type(answer.id) == "string" and answer.id or true
end

local function item_of(call, channel, event, given)
  if type(channel) ~= "string" then
    error(("%s: the channel must be a string, got %s"):format(call, type(channel)), 3)
  elseif event ~= nil and type(event) ~= "string" then
    error(("%s: the event must be a string, got %s"):format(call, type(event)), 3)
  elseif given ~= nil and type(given) ~= "table" then
    error(("%s: the options must be a table, got %s"):format(call, type(given)), 3)
  end
  local item = { channel = channel, event = event }
  for name, value in pairs(given or {}) do
    if name ~= "key" and name ~= "final" and name ~= "volatile" and name ~= "idempotency_key" then
      error(("%s: unknown option '%s'"):format(call, tostring(name)), 3)
    end
    item[name] = value
  end
  return item
end

--- Publishes a message, and waits for the answer.
---@param channel string
---@param event string|nil nil: "message"
---@param data any what JSON can hold; nil: null
---@param given? moonwire.PublisherMessageOptions
---@return string|true|nil id true: volatile; "queued": where OpenResty allows no sockets, a timer publishes it
---@return string|nil message
---@return string|nil code
function Publisher:publish(channel, event, data, given)
  local item = item_of("publisher:publish", channel, event, given)
  item.data = data
  return publish_one(self, item)
end

--- Publishes data that is JSON already. It must be valid: it becomes a part of the request.
---@param channel string
---@param event string|nil nil: "message"
---@param text string JSON
---@param given? moonwire.PublisherMessageOptions
---@return string|true|nil id
---@return string|nil message
---@return string|nil code
function Publisher:publish_raw(channel, event, text, given)
  local item = item_of("publisher:publish_raw", channel, event, given)
  if type(text) ~= "string" then
    error("publisher:publish_raw: the JSON must be a string, got " .. type(text), 2)
  end
  item.json = text
  return publish_one(self, item)
end

--- Publishes several messages in as few requests as possible. They are delivered together.
---@param items (moonwire.PublishItem|table)[]
---@return ({ id: string? }|{ error: { code: string, reason: string } })[]|"queued"|nil results in the order of the items
---@return integer|string|nil errors how many have an error; or a message
---@return string|nil code
function Publisher:batch(items)
  if type(items) ~= "table" then
    error("publisher:batch: the items must be a table, got " .. type(items), 2)
  end
  for i = 1, #items do
    if type(items[i]) ~= "table" then
      error(("publisher:batch: item %d must be a table, got %s"):format(i, type(items[i])), 2)
    end
  end
  if #items == 0 then
    return {}, 0
  elseif must_queue() then
    return enqueue(self, items)
  end
  local results, errors, why, code = publish_items(self, items)
  if why then
    return nil, why, code
  end
  return results, errors
end

--- Closes the idle connections. In OpenResty, they belong to the worker, and close by themselves.
function Publisher:close()
  while #self.idle > 0 do
    table.remove(self.idle):close()
  end
end

local TYPES = {
  address = "string",
  key = "string",
  path = "string",
  connect_timeout = "number",
  timeout = "number",
  deadline = "number",
  retry_delay = "number",
  pool_size = "number",
  idle_timeout = "number",
  queue_size = "number",
  on_error = "function",
}

local function check(given)
  if type(given) ~= "table" then
    error("moonwire.publisher.new: the options must be a table, got " .. type(given), 3)
  end
  for name, value in pairs(given) do
    local call = "moonwire.publisher.new"
    if not TYPES[name] then
      error(("%s: unknown option '%s'"):format(call, tostring(name)), 3)
    elseif type(value) ~= TYPES[name] then
      local text = "%s: option '%s' must be a %s, got %s"
      error(text:format(call, name, TYPES[name], type(value)), 3)
    elseif type(value) == "number" and not (value > 0 and value < 1e9) then
      error(("%s: option '%s' must be greater than 0"):format(call, name), 3)
    elseif type(value) == "string" and value:find "[%c ]" then
      error(("%s: option '%s' must not have spaces or control characters"):format(call, name), 3)
    end
  end
  if not given.address or not given.key or given.key == "" then
    error("moonwire.publisher.new: the options 'address' and 'key' are required", 3)
  end
end

local function read_address(text)
  local path = text:match "^unix:(/.+)$"
  if path then
    return { path = path }, "localhost"
  end
  local name = text:gsub("^http://", ""):gsub("/$", "")
  local host, port = name:match "^%[?([^%]/]-)%]?:(%d+)$"
  if not host or host == "" then
    local wanted = '"unix:/PATH", "http://HOST:PORT", or "HOST:PORT"'
    error(("moonwire.publisher.new: option 'address' must be %s, got %q"):format(wanted, text), 3)
  end
  return { host = host, port = tonumber(port) }, name
end

---@class moonwire.publisher
local publisher = {}

--- Creates a publisher. It connects when it is used. In OpenResty, create one for each worker, in a
--- module.
---@param given moonwire.PublisherOptions
---@return moonwire.Publisher
function publisher.new(given)
  check(given)
  local address, host = read_address(given.address)
  local self = {
    address = address,
    name = given.address,
    pool = "moonwire:" .. given.address,
    connect_timeout = given.connect_timeout or 1,
    timeout = given.timeout or 5,
    deadline = given.deadline or 15,
    retry_delay = given.retry_delay or 0.05,
    pool_size = given.pool_size or 30,
    idle_timeout = given.idle_timeout or 30,
    queue_size = given.queue_size or 10000,
    on_error = given.on_error,
    idle = {},
    queue = {},
    queue_bytes = 0,
    draining = nil, -- "due", "running"
    due_since = 0,
  }
  self.head = concat {
    "POST ",
    given.path or "/publish",
    " HTTP/1.1\r\nHost: ",
    host,
    "\r\nAuthorization: Bearer ",
    given.key,
    "\r\nContent-Type: ",
  }
  return setmetatable(self, Publisher)
end

return publisher
