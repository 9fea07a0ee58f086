--- What the modules of moonwire.attach share.
local App = require "moonwire.app"
local options = require "moonwire.options"

---@class moonwire.Attachment
---@field _app moonwire.App
local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "moonwire.attachment"

--- Attaches an app to an event loop.
---@param call string for errors
---@param app moonwire.App
---@param attach fun(fd: integer): fun() has the loop step the app, and returns a function that undoes that
---@return moonwire.Attachment
function Attachment._new(call, app, attach)
  if getmetatable(app) ~= App then
    options.raise(("%s: argument 1 must be an app, got %s"):format(call, options.show(app)))
  end
  app:_attach(call, attach)
  return setmetatable({ _app = app }, Attachment)
end

--- The event loop no longer steps the app. Has no effect after the app has stopped.
function Attachment:detach()
  self._app:_detach()
end

return Attachment
