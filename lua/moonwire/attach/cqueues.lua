--- Runs an app on an event loop of cqueues.
local Attachment = require "moonwire.attach.attachment"
local cqueues = require "cqueues"
local options = require "moonwire.options"

--- Attaches an app that listens to a queue, which keeps running until the app has stopped.
---@param app moonwire.App
---@param queue table of cqueues.new
---@return moonwire.Attachment
return function(app, queue)
  local call = "moonwire.attach.cqueues"
  if cqueues.type(queue) ~= "controller" then
    local message = "%s: argument 2 must be a queue of cqueues.new, got %s"
    options.raise(message:format(call, options.show(queue)))
  end
  return Attachment._new(call, app, function(fd)
    local attached = true
    local ready = { pollfd = fd, events = "r" }
    queue:wrap(function()
      repeat
        local alive = attached and app:step()
        if alive and attached then
          ready.timeout = app:timeout()
          cqueues.poll(ready)
        end
      until not alive
    end)
    return function()
      attached = false
      -- Wakes the coroutine. The queue must forget the descriptor while it is open, unless it is
      -- closed itself.
      pcall(queue.cancel, queue, fd)
    end
  end)
end
