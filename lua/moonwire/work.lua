--- moonwire.work: calls functions that block, or compute for long, on threads with Lua states of
--- their own.
local core = require "moonwire.core"
local options = require "moonwire.options"

---@class moonwire.work.Pool
---@field name string
local Pool = {}
Pool.__index = Pool
Pool.__name = "moonwire.work.pool"

local pools = {}

local THREADS_MAX, THREADS, QUEUE, SECONDS = 64, 4, 1000, 30

-- A function leaves its upvalues behind when it goes to another Lua state. Only _ENV can be replaced.
local function check_upvalues(call, fn)
  for i = 1, math.huge do
    local name = debug.getupvalue(fn, i)
    if not name then
      return i - 1
    elseif name ~= "_ENV" then
      local text = "%s: the function uses the local variable '%s' of its script, which another "
        .. "thread cannot; pass it as an argument, or put the function into a module"
      options.raise(text:format(call, name))
    end
  end
end

local function run_function(pool, call, fn, ...)
  check_upvalues(call, fn)
  local info = debug.getinfo(fn, "S")
  if info.what == "C" then
    options.raise(("%s: a C function cannot go to another thread; name its module"):format(call))
  end
  local name = ("%s:%d"):format(info.short_src, info.linedefined)
  return pool._core:run(name, true, string.dump(fn), info.source, ...)
end

local function run(pool, call, target, ...)
  if type(target) == "function" then
    return run_function(pool, call, target, ...)
  end
  local name = ...
  if type(target) ~= "string" then
    local text = "%s: argument 1 must be the name of a module, or a function, got %s"
    options.raise(text:format(call, options.show(target)))
  end
  options.argument(call, 2, name, "string")
  return pool._core:run(("%s.%s"):format(target, name), false, target, ...)
end

--- Calls a function on a thread, and waits for its results. What it raises is raised.
---@param target string|function a module's name, or a function without upvalues
---@param ... any with a module's name: the function's name first; then the arguments, plain data
---@return any ... the results; or nil, message, and "timeout", "unavailable", or "closed"
function Pool:run(target, ...)
  return run(self, "pool:run", target, ...)
end

local pool_spec = { name = "string", threads = "count", queue = "count", timeout = "duration" }

local function define(call, given)
  given = options.read(call, given, pool_spec)
  local name, threads = given.name, given.threads or THREADS
  if not name or name == "" or #name > 64 then
    options.raise(("%s: option 'name' must have 1 to 64 bytes"):format(call))
  elseif pools[name] then
    options.raise(("%s: there is a pool '%s' already"):format(call, name))
  elseif threads < 1 or threads > THREADS_MAX then
    local text = "%s: option 'threads' must be from 1 to %d, got %d"
    options.raise(text:format(call, THREADS_MAX, threads))
  end
  local pool = setmetatable({ name = name }, Pool)
  pool._core = core.pool(name, threads, given.queue or QUEUE, given.timeout or SECONDS)
  pools[name] = pool
  return pool
end

---@class moonwire.work
local work = {}

---@class moonwire.work.Options
---@field name string unique; for the log
---@field threads? integer 1 to 64; nil: 4
---@field queue? integer calls that may wait for a thread; nil: 1000
---@field timeout? number seconds for waiting and running; then the thread is replaced; nil: 30

--- Defines a pool of threads, which start when they are needed.
---@param given moonwire.work.Options
---@return moonwire.work.Pool
function work.pool(given)
  return define("moonwire.work.pool", given)
end

--- Does what Pool:run does, in a pool of 4 threads that all such calls share.
---@param target string|function
---@param ... any
---@return any ...
function work.run(target, ...)
  pools.default = pools.default or define("moonwire.work.run", { name = "default" })
  return run(pools.default, "moonwire.work.run", target, ...)
end

return work
