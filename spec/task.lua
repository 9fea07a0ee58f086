-- Runs functions as tasks, with a clock that moves by itself. For specs that load the module into busted: unlike those with
-- spec/support/, these run in a busted with sanitizers.

local assert = require "luassert"
local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local task = {}

-- Runs fn as a task, moves the clock, and returns what it returned.
function task.run(fn, seconds)
  local app = moonwire.app {}
  local results
  app:spawn(function()
    results = table.pack(fn(app))
  end)
  local server = testing.start(app)
  server:advance(seconds or 1)
  assert(results, "the task has not ended")
  server:stop()
  return table.unpack(results, 1, results.n)
end

-- The function must raise an error that matches the pattern.
function task.raises(pattern, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

-- A value whose end is noted in the list.
function task.closing(list, name)
  return setmetatable({}, {
    __close = function()
      list[#list + 1] = name
    end,
  })
end

return task
