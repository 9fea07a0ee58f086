--- Queues between tasks: what is pushed first is popped first, and who waits first is served first.
local core = require "moonwire.core"
local linked = require "moonwire.linked"
local options = require "moonwire.options"

local SIZE_MAX = 1000000
local SECONDS_MAX = 1e9

---@class moonwire.Queue
local Queue = {}
Queue.__index = Queue
Queue.__name = "moonwire.queue"

-- A task that waits. Whatever ends its wait, it leaves the list.
local waiter_class = { __close = linked.remove }

---@param size integer
---@return moonwire.Queue
function Queue._new(size)
  options.argument("moonwire.queue", 1, size, "number")
  if math.type(size) ~= "integer" or size < 1 or size > SIZE_MAX then
    options.raise(("moonwire.queue: the size must be an integer from 1 to %d"):format(SIZE_MAX))
  end
  local queue = { _size = size, _first = 1, _count = 0, _items = {}, _pushers = {}, _poppers = {} }
  return setmetatable(queue, Queue)
end

local function check_seconds(call, position, seconds)
  if seconds == nil then
    return
  end
  options.argument(call, position, seconds, "number")
  if not (seconds >= 0 and seconds <= SECONDS_MAX) then
    options.raise(("%s: the time must be 0 to 1e9 seconds, got %s"):format(call, seconds))
  end
end

local function append(self, value)
  self._items[self._first + self._count] = value
  self._count = self._count + 1
end

local function take(self)
  local value = self._items[self._first]
  self._items[self._first] = nil
  self._first, self._count = self._first + 1, self._count - 1
  return value
end

-- Waits in a list until the waiter is served. Returns it, or nil and why it was not.
local function wait_in(list, waiter, seconds)
  local guard <close> = setmetatable(waiter, waiter_class)
  guard.signal = core.signal()
  linked.append(list, guard)
  local ok, why = guard.signal:wait(seconds)
  if not ok then
    return nil, why
  elseif guard.is_refused then
    return nil, "closed"
  end
  return guard
end

--- Appends a value. Waits while the queue is full.
---@param value any not nil
---@param seconds? number the maximum time to wait
---@return true|nil
---@return string|nil why "timeout" or "closed"
function Queue:push(value, seconds)
  check_seconds("queue:push", 2, seconds)
  if value == nil then
    options.raise "queue:push: the value must not be nil"
  elseif self._closed then
    return nil, "closed"
  end
  local popper = linked.take(self._poppers)
  if popper then
    popper.value = value
    popper.signal:fire()
  elseif self._count < self._size then
    append(self, value)
  elseif seconds == 0 then
    return nil, "timeout"
  else
    local served, why = wait_in(self._pushers, { value = value }, seconds)
    if not served then
      return nil, why
    end
  end
  return true
end

--- Removes the oldest value and returns it. Waits while the queue is empty.
---@param seconds? number the maximum time to wait
---@return any value nil: see why
---@return string|nil why "timeout" or "closed"
function Queue:pop(seconds)
  check_seconds("queue:pop", 1, seconds)
  if self._count > 0 then
    local value = take(self)
    local pusher = linked.take(self._pushers)
    if pusher then
      append(self, pusher.value)
      pusher.signal:fire()
    end
    return value
  elseif self._closed then
    return nil, "closed"
  elseif seconds == 0 then
    return nil, "timeout"
  end
  local served, why = wait_in(self._poppers, {}, seconds)
  if not served then
    return nil, why
  end
  return served.value
end

--- Ends the queue. What is in it can still be popped.
function Queue:close()
  self._closed = true
  for _, list in ipairs { self._pushers, self._poppers } do
    for waiter in linked.take, list do
      waiter.is_refused = true
      waiter.signal:fire()
    end
  end
end

--- Returns the number of values in the queue.
---@return integer
function Queue:count()
  return self._count
end

options.guard(Queue, "queue")

return Queue
