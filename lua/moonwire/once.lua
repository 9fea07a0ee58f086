--- What app:once returns: a timer that runs on one server of a cluster. The servers share a lease. The
--- server that calls the function has it until the call ends. No server can take it again before the
--- next call is due.
local core = require "moonwire.core"
local options = require "moonwire.options"

-- In seconds. A call takes the lease for at least LEASE, and renews it every KEEP.
local LEASE, KEEP = 10, 3
-- The server that made the last call makes the next one, unless it is late by GRACE.
local GRACE = 2
-- The delay after the broker has not answered.
local RETRY = 1

---@class moonwire.Once: moonwire.Timer
local Once = {}
Once.__index = Once
Once.__name = "moonwire.timer"

---@param name string
---@param seconds number
---@param fn fun()
---@param where string where the script defines what it calls
---@param on_cancel fun()
---@return moonwire.Once
function Once._new(name, seconds, fn, where, on_cancel)
  return setmetatable({
    _name = name,
    _seconds = seconds,
    _fn = fn,
    _place = where,
    _on_cancel = on_cancel,
  }, Once)
end

--- Starts the timer. Called by the app.
function Once:_start(server)
  if self._cancelled then
    return
  end
  self._server = server
  if server:has_broker() then
    self:_schedule(0)
    return
  end
  self._handle = server:timer(self._seconds, self._seconds, function()
    return options.call(self._fn)
  end, self._place)
end

function Once:_schedule(delay)
  if not self._cancelled then
    self._handle = self._server:timer(delay, 0, function()
      return self:_try()
    end, self._place)
  end
end

-- A call, from the moment at which the lease was taken. Closing it makes the next one due.
local call_class = {}

-- The seconds until the next call: whole intervals after the beginning of this one.
local function remaining(call)
  local elapsed = math.max(call.once._server:time() - call.begun, 0)
  return call.once._seconds - elapsed % call.once._seconds
end

function call_class.__close(call)
  local once = call.once
  call.keeper:cancel()
  -- The app may have ended, and the call with it.
  pcall(function()
    local left = call.is_lost and once._seconds or remaining(call)
    once._server:end_lease(once._name, call.holder, left)
    once:_schedule(left)
  end)
end

-- Keeps the lease while the function runs.
local function keep(call)
  local once = call.once
  local due = call.begun + once._seconds - once._server:time()
  local held = once._server:keep_lease(once._name, call.holder, math.max(due, LEASE))
  if held == false and not call.is_lost then
    call.is_lost = true
    local text = "app:once %q: its lease was lost, so another server may call it, too"
    core.log_error("warning", once._place, ("%s: %s"):format(once._place, text:format(once._name)))
  end
end

local function begin_call(once, holder)
  local call = { once = once, holder = holder, begun = once._server:time() }
  call.keeper = once._server:timer(KEEP, KEEP, function()
    return keep(call)
  end, once._place)
  return setmetatable(call, call_class)
end

-- Another server has the lease, for so many seconds; or this one has, until its next call is due.
function Once:_wait(left)
  local is_own = self._was_last and left < 0.1
  self._was_last = is_own
  self:_schedule(
    math.min(left, self._seconds) + (is_own and 0 or math.min(self._seconds / 2, GRACE))
  )
end

function Once:_try()
  local server = self._server
  local holder = server:lease_holder()
  local held, left, code = server:take_lease(self._name, holder, math.max(self._seconds, LEASE))
  if held == false then
    return self:_wait(left)
  elseif not held then
    server:end_lease(self._name, holder, 0)
    if code ~= "closed" then
      self:_schedule(math.min(self._seconds, RETRY))
    end
    return
  elseif self._cancelled then
    server:end_lease(self._name, holder, 0)
    return
  end
  self._was_last = true
  local _ <close> = begin_call(self, holder)
  return options.call(self._fn)
end

--- Ends the timer on this server. A call that is running continues.
function Once:cancel()
  if self._cancelled then
    return
  end
  self._cancelled = true
  self._on_cancel()
  if self._handle then
    self._handle:cancel()
  end
end

return Once
