--- What handlers wait for besides time: calls of other code, other functions, values of other tasks.
local core = require "moonwire.core"
local options = require "moonwire.options"

local waits = {}

--- Calls start(resume), and waits until something calls resume(...). Returns what resume got.
--- resume returns true if that call ended the wait.
---@param start fun(resume: fun(...): boolean)
---@param seconds? number
---@return any ... or nil and "timeout" or "closed"
function waits.await(start, seconds)
  options.argument("moonwire.await", 1, start, "function")
  if seconds ~= nil then
    options.argument("moonwire.await", 2, seconds, "number")
  end
  local signal, has_ended, results = core.signal(), false, nil
  local function resume(...)
    if has_ended then
      return false
    end
    has_ended, results = true, table.pack(...)
    return signal:fire()
  end
  start(resume)
  local ok, why = signal:wait(seconds)
  has_ended = true
  if not ok then
    return nil, why
  end
  return table.unpack(results, 1, results.n)
end

local ALL_MAX = 1000

-- Runs one of the functions as a task. Whatever ends it, it is counted.
local function run_one(group, i, fn)
  local _ <close> = setmetatable({}, {
    __close = function()
      group.left = group.left - 1
      if group.left == 0 then
        group.signal:fire()
      end
    end,
  })
  local ok, value = pcall(fn)
  if ok then
    group.values[i] = value
  elseif not group.has_failed then
    group.has_failed, group.problem = true, value
    group:close()
  end
end

local group_class = {}
group_class.__index = group_class

-- Cancels those that have not ended.
function group_class:close()
  for _, task in ipairs(self.tasks) do
    task:cancel(self.why or "closed")
  end
end
group_class.__close = group_class.close

--- Runs functions at the same time, each as a task, and waits for all of them. If one raises an
--- error, the others are cancelled, and the error is raised again once they have ended.
---@param fns (fun(): any)[]
---@return any ... the first result of each; or nil and why
function waits.all(fns)
  options.argument("moonwire.all", 1, fns, "table")
  local count = #fns
  if count > ALL_MAX then
    options.raise(("moonwire.all: at most %d functions, got %d"):format(ALL_MAX, count))
  end
  for i, fn in ipairs(fns) do
    if type(fn) ~= "function" then
      options.raise(("moonwire.all: item %d must be a function, got %s"):format(i, type(fn)))
    end
  end
  if count == 0 then
    return
  end
  local group <close> =
    setmetatable({ left = count, values = {}, tasks = {}, signal = core.signal() }, group_class)
  for i, fn in ipairs(fns) do
    local task, problem, code = core.child(run_one, group, i, fn)
    if not task then
      return nil, problem, code
    end
    group.tasks[i] = task
  end
  local ok, why = group.signal:wait()
  if not ok then
    group.why = why
    return nil, why
  elseif group.has_failed then
    error(group.problem, 0)
  end
  return table.unpack(group.values, 1, count)
end

return waits
