-- What specs of examples in memory put in place of what an example finds outside of it.

local moonwire = require "moonwire"

local stand_ins = {}

--- Sets variables of the environment, for os.getenv. Returns a function that undoes it.
function stand_ins.environment(variables)
  local getenv = os.getenv
  os.getenv = function(name) -- luacheck: ignore 122
    return variables[name] or getenv(name)
  end
  return function()
    os.getenv = getenv -- luacheck: ignore 122
  end
end

--- Makes the pools of moonwire.work call functions in this process instead of on a thread. Returns a function that undoes it.
function stand_ins.pool()
  local pool = moonwire.work.pool
  moonwire.work.pool = function()
    return {
      run = function(_, module, name, ...)
        return require(module)[name](...)
      end,
    }
  end
  return function()
    moonwire.work.pool = pool
  end
end

return stand_ins
