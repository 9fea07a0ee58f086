-- A client that follows one channel through whatever happens, and what it has seen; for specs that are not asynchronous.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local socket = require "socket"
local sse = require "spec.support.sse"

local witness = {}

local PATIENCE_S = 60
local KEY = { Authorization = "Bearer a secret key" }

--- The key with which the app must let witnesses publish.
witness.KEY = "a secret key"

local Witness = {}
Witness.__index = Witness

local function still_waits(begin, what)
  assert(socket.gettime() - begin < PATIENCE_S, what)
  socket.sleep(0.02)
end

-- Opens its stream, after what it has seen.
local function open(self)
  local begin = socket.gettime()
  while true do
    local since = self.since and "&since=" .. self.since or ""
    local good, stream =
      pcall(sse.open, self.node, "/sse?channel=" .. self.channel .. since, { timeout = PATIENCE_S })
    if good and stream.status == 200 then
      self.stream = stream
      return
    elseif good then
      stream:close()
    end
    still_waits(begin, "its stream is refused")
  end
end

--- Returns a client of the node. `since` is an id; without one, it begins now.
function witness.new(node, channel, since)
  local self =
    setmetatable({ node = node, channel = channel, since = since, log = {}, gaps = 0 }, Witness)
  open(self)
  self.since = since or self.stream:cursor()
  return self
end

-- Returns the next event, of this stream or of a later one.
local function next_event(self)
  while true do
    local good, event = pcall(self.stream.event, self.stream)
    if good and event then
      return event
    end
    assert(good or not tostring(event):find "time%-out", event)
    self.stream:close()
    open(self)
  end
end

--- The client has that message.
function Witness:has(number)
  self.last, self.highest = number, number
end

--- Reads until the message with that number has come. Raises if a number comes twice, or late, or if one of `published`, a set
--- of numbers, is missing without a gap. After a gap, what is kept may come again: of another epoch, all of it does.
function Witness:await(number, published)
  while not self.last or self.last < number do
    local event = next_event(self)
    if event.event == "moonwire:gap" then
      self.has_gap, self.may_return = true, true
      self.gaps = self.gaps + 1
    else
      local came = math.tointeger(tonumber(event.data))
      local is_next = self.may_return or not self.last or came > self.last
      assert(came and is_next, "late, or twice: " .. event.data)
      for missing = (self.last or came) + 1, came - 1 do
        assert(self.has_gap or not (published or {})[missing], "silently missing: " .. missing)
      end
      -- what comes again ends no gap
      self.has_gap, self.may_return = self.has_gap and came <= self.highest, false
      self.last, self.highest = came, math.max(came, self.highest or came)
      self.since = event.id
    end
  end
end

function Witness:close()
  self.stream:close()
end

--- Publishes data once. Returns the status, and the id.
function witness.try_publish(node, channel, data)
  local response = http.request(node, "POST", "/publish", {
    headers = KEY,
    body = dkjson.encode { channel = channel, data = data },
  })
  return response.status,
    response.status == 200 and dkjson.decode(response.body).id or response.body
end

-- The numbers that were published to a channel, by all nodes in turn.
local Numbers = {}
Numbers.__index = Numbers

--- Returns a publisher of increasing numbers. `ids` has those that were acknowledged, with their ids.
function witness.numbers(channel)
  return setmetatable({ channel = channel, last = 0, ids = {} }, Numbers)
end

--- Publishes the next number, or, if that is refused, one after it. Returns the number that was acknowledged.
function Numbers:publish(node)
  local begin = socket.gettime()
  while true do
    self.last = self.last + 1
    local status, id = witness.try_publish(node, self.channel, self.last)
    if status == 200 then
      self.ids[self.last] = id
      return self.last
    end
    assert(status == 503, status)
    still_waits(begin, "publishes are refused: " .. id)
  end
end

return witness
