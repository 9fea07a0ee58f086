--- Runs an app on the event loop of luv, the binding of libuv.
local Attachment = require "moonwire.attach.attachment"
local uv = require "luv"

--- Attaches an app that listens to luv's loop of this Lua state, which keeps running until the app
--- has stopped.
---@param app moonwire.App
---@return moonwire.Attachment
return function(app)
  return Attachment._new("moonwire.attach.luv", app, function(fd)
    local poll, timer, idle = uv.new_poll(fd), uv.new_timer(), uv.new_idle()

    local function step()
      if not app:step() then
        return
      end
      local seconds = app:timeout()
      timer:stop()
      idle:stop()
      if seconds == 0 then
        -- In the next iteration. The loop calls timers until none is due, so a timer that is due
        -- again when it has been called would keep all else from running.
        idle:start(step)
      elseif seconds then
        timer:start(math.ceil(seconds * 1000), 0, step)
      end
    end

    poll:start("r", step)
    idle:start(step) -- for what was done before
    return function()
      poll:close()
      timer:close()
      idle:close()
    end
  end)
end
