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

-- Runs one of the functions as a task. Its end is counted by the signal.
local function run_one(group, i, fn)
  local ok, value = pcall(fn)
  if ok then
    group.values[i] = value
    group.done = group.done + 1
  elseif not group.problem then
    group.problem = { value }
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
    setmetatable({ done = 0, values = {}, tasks = {}, signal = core.signal(count) }, group_class)
  for i, fn in ipairs(fns) do
    local task, problem, code = core.child(group.signal, run_one, group, i, fn)
    if not task then
      return nil, problem, code
    end
    group.tasks[i] = task
  end
  local ok, why = group.signal:wait()
  if not ok then
    group.why = why
    return nil, why
  elseif group.problem then
    error(group.problem[1], 0)
  elseif group.done < count then
    options.raise "moonwire.all: a function was ended before it returned; the log has the reason"
  end
  return table.unpack(group.values, 1, count)
end

-- ---- Rendezvous -----------------------------------------------------------------------------------------------------------

-- Tasks that wait, by the id that they wait for.
local meetings = {}

-- Whatever ends the wait, the id is free again.
local meeting_class = {
  __close = function(self)
    if meetings[self.id] == self then
      meetings[self.id] = nil
    end
  end,
}

local function check_id(call, id)
  if type(id) ~= "string" and math.type(id) ~= "integer" then
    options.raise(("%s: the id must be a string or an integer, got %s"):format(call, type(id)))
  end
end

--- Waits for what another handler brings for the id. All handlers run on one thread, so it does not
--- matter which worker has which request.
---@param id string|integer
---@param seconds? number
---@return any ... or nil and "timeout" or "closed"
function waits.rendezvous(id, seconds)
  local call = "moonwire.rendezvous"
  check_id(call, id)
  if seconds ~= nil then
    options.argument(call, 2, seconds, "number")
  end
  if meetings[id] then
    options.raise(("%s: another task waits for %s"):format(call, options.show(id)))
  end
  local meeting <close> = setmetatable({ id = id, signal = core.signal() }, meeting_class)
  meetings[id] = meeting
  local ok, why = meeting.signal:wait(seconds)
  if not ok then
    return nil, why
  end
  return table.unpack(meeting.results, 1, meeting.results.n)
end

--- Ends the wait for the id. Returns whether a task has waited for it.
---@param id string|integer
---@return boolean
function waits.bring(id, ...)
  check_id("moonwire.rendezvous.bring", id)
  local meeting = meetings[id]
  if not meeting then
    return false
  end
  meetings[id] = nil
  meeting.results = table.pack(...)
  return meeting.signal:fire()
end

---@class moonwire.Rendezvous
---@overload fun(id: string|integer, seconds: number?): ...
---@field bring fun(id: string|integer, ...): boolean
waits.meeting_point = setmetatable({ bring = waits.bring }, {
  __call = function(_, ...)
    return waits.rendezvous(...)
  end,
})

return waits
