--- What fills a channel: a task that goes on without the request that has started it. A channel has at
--- most one.
local core = require "moonwire.core"
local options = require "moonwire.options"

-- How often the listeners of a channel are counted, in seconds.
local TICK_MAX = 1

local Producer = {}
Producer.__index = Producer

-- Tells the listeners that nothing more comes, unless the producer has published a final message
-- itself, or the server has stopped.
local function publish_end(self, event, data)
  local server = self.app._server
  if self.has_final or not server then
    return
  end
  local ok, id, problem, code =
    pcall(server.publish, server, self.name, event, data, nil, nil, nil, nil, true)
  if not ok or (not id and code ~= "closed") then
    local text = "the final message of a producer was not published: "
      .. tostring(ok and problem or id)
    core.log_error("warning", self.where, text)
  end
end

local function failure(code, message)
  return { code = code or "internal", message = message or "internal error" }
end

-- The codes and messages of error { code =, message = } and of `false, message, code` are for
-- clients; every other failure is only logged.
local function raised(problem)
  if type(problem) == "table" and (problem.code or problem.message) then
    return failure(tostring(problem.code or "failed"), tostring(problem.message or problem.code))
  end
  return failure()
end

local function settle(self, value, message, code)
  self.has_returned = true
  if value == false then
    self.outcome = failure(tostring(code or "failed"), tostring(message or "failed"))
  elseif value == nil and message ~= nil then
    self.outcome = failure()
    return value, message -- for the log
  end
end

-- Called whatever ends the task.
function Producer:__close(problem)
  local app = self.app
  if app._producers[self.name] == self then
    app._producers[self.name] = nil
  end
  if self.timer then
    self.timer:cancel()
  end
  if self.is_cancelled then
    publish_end(self, "cancelled", { reason = self.reason })
  elseif problem ~= nil then
    publish_end(self, "failed", raised(problem))
  elseif self.outcome or not self.has_returned then
    publish_end(self, "failed", self.outcome or failure())
  end
end

local function run(handler, producer)
  local self <close> = producer
  return settle(self, options.call(handler, self.channel))
end

-- Cancels the task when nobody has listened for idle_seconds.
local function watch(self, idle_seconds)
  local tick, idle = math.min(TICK_MAX, idle_seconds / 4), 0
  self.timer = self.app:every(math.max(tick, 0.001), function()
    local count = self.app._server and self.app._server:count(self.name) or 0
    idle = count > 0 and 0 or idle + tick
    if idle >= idle_seconds then
      local text = ("cancelled the producer of %q: no subscribers (idle_seconds=%g)"):format(
        self.name,
        idle_seconds
      )
      core.log("info", text)
      self:cancel "no subscribers"
    end
  end)
end

---@param reason string|nil
function Producer:cancel(reason)
  if not self.is_cancelled then
    self.is_cancelled, self.reason = true, reason
    self.task:cancel "closed"
  end
end

--- Starts a producer of a channel.
---@return true|nil
---@return string|nil message
---@return string|nil code
return function(app, channel, handler, idle_seconds)
  local name = channel.name
  if app._producers[name] then
    return nil, ("channel %q has a producer already"):format(name), "conflict"
  end
  local self =
    setmetatable({ app = app, channel = channel, name = name, where = options.caller() }, Producer)
  local task, problem, code = core.child(run, handler, self)
  if not task then
    return nil, problem, code
  end
  self.task = task
  app._producers[name] = self
  if idle_seconds then
    watch(self, idle_seconds)
  end
  return true
end
