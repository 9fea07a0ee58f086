--- What app:every and app:after return. Before the app starts, it has no handle in core.

---@class moonwire.Timer
local Timer = {}
Timer.__index = Timer
Timer.__name = "moonwire.timer"

---@param delay number seconds
---@param again number seconds; 0: once
---@param fn fun()
---@param where string where the script defines what it calls
---@return moonwire.Timer
function Timer._new(delay, again, fn, where)
  return setmetatable({ _delay = delay, _repeat = again, _fn = fn, _place = where }, Timer)
end

--- Starts the timer. Called by the app.
function Timer:_start(server)
  if self._cancelled then
    return
  end
  self._handle = server:timer(self._delay, self._repeat, self._fn, self._place)
end

--- Ends the timer. A call that is running continues.
function Timer:cancel()
  self._cancelled = true
  if self._handle then
    self._handle:cancel()
  end
end

return Timer
