--- The channel object.
local Client = require "moonwire.client"
local core = require "moonwire.core"
local new_message = require "moonwire.message"
local options = require "moonwire.options"

---@class moonwire.Channel
---@field name string
---@field params table<string, string> the captures of the pattern
---@field state any what on_open returned; the script may change it
---@field private _app moonwire.App
local Channel = {}
Channel.__index = Channel
Channel.__name = "moonwire.channel"

local history_spec = { since = "text", before = "text", limit = "amount" }
local presence_spec = { after = "text", limit = "amount" }

function Channel:__tostring()
  return ("channel %q"):format(self.name)
end

---@param app moonwire.App
---@param name string
---@param params table<string, string>
---@return moonwire.Channel
function Channel._new(app, name, params)
  return setmetatable({ name = name, params = params, _app = app }, Channel)
end

--- Publishes to the subscribers. See app:publish.
---@param event string|nil
---@param data any
---@param given? moonwire.PublishOptions
---@return string|true|nil id
---@return string|nil message
---@return string|nil code
function Channel:publish(event, data, given)
  return self._app:_publish("channel:publish", self.name, event, data, given)
end

--- Raises if the code cannot wait for a broker.
local function checked(call, first, message, code, ...)
  if first == nil and code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return first, message, code, ...
end

--- Returns the number of subscriptions; with a broker, in a channel with presence, the number of members
--- on all servers.
---@return integer|nil
---@return string|nil message
---@return string|nil code "unavailable", "closed", or "timeout": only with a broker, for which it waits
function Channel:count()
  return checked("channel:count", self._app:_running("channel:count"):count_all(self.name))
end

--- Returns the kept messages between two ids, oldest first, at most `limit` of them (100). With
--- `since`, these are the oldest of the range, else the newest.
---@param given? { since: string?, before: string?, limit: integer? }
---@return moonwire.Message[]|nil
---@return boolean|string more whether the range has others; or a message
---@return string|nil code "unavailable", "closed", or "timeout": only with a broker, for which it waits
function Channel:history(given)
  local server = self._app:_running "channel:history"
  given = options.read("channel:history", given, history_spec)
  local list, more, code = server:history(self.name, given.since, given.before, given.limit)
  if code == "misuse" then
    options.raise(("channel:history: %s"):format(more))
  end
  for i, kept in ipairs(list or {}) do
    list[i] = new_message(kept.event, kept.raw, kept.binary, kept)
  end
  return list, more, code
end

--- Returns the members by user id, and their number. Empty if the channel has no presence. With
--- `limit`, it is a page of members, in the order of their ids, which begins after the user
--- `after`.
---@param given? { after: string?, limit: integer? }
---@return table<string, { info: any, connections: integer }>|nil
---@return integer|string count or a message
---@return string|nil after the `after` of the next page; nil: this is the last page. Or a code, only with
--- a broker, for which it may wait: "unavailable", "closed", or "timeout"
function Channel:presence(given)
  local server = self._app:_running "channel:presence"
  if given == nil then
    return checked("channel:presence", server:presence(self.name))
  end
  given = options.read("channel:presence", given, presence_spec)
  return checked("channel:presence", server:presence(self.name, given.after, given.limit))
end

--- Ends the subscription of a client, or those of all clients of a user, on all servers. Each client
--- receives moonwire:unsubscribed. It does not wait for a broker.
---@param who moonwire.Client|string|integer the client, or the id of the user
---@param reason? string for the clients
---@param code? string nil: "kicked"
---@return true|nil
---@return string|nil message
---@return string|nil code "closed": the client has disconnected, or the server stops; or "unavailable"
function Channel:kick(who, reason, code)
  local call = "channel:kick"
  code, reason = code or "kicked", reason or ""
  if core.is_client(who) then
    return Client._unsubscribe(call, who, self.name, reason, code)
  end
  local server = self._app:_running(call)
  local wanted = core.user_id(who)
  if not wanted then
    local text = "%s: argument 1 must be a client or the id of a user, got %s"
    options.raise(text:format(call, options.show(who)))
  end
  Client._check_refusal(call, code, reason)
  local ok, message, fault = server:kick_user(wanted, self.name, code, reason)
  if fault == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return ok, message, fault
end

--- Runs fn(channel) as a task that fills the channel, with or without listeners. See app:produce.
---@param fn fun(channel: moonwire.Channel): any, string?, string?
---@param given? moonwire.ProduceOptions
---@return true|nil
---@return string|nil message
---@return string|nil code "conflict": the channel has a producer; or "unavailable"
function Channel:produce(fn, given)
  return self._app:_produce("channel:produce", 1, self.name, fn, given)
end

--- Cancels the producer of the channel. Returns whether it has one.
---@param reason? string for the listeners
---@return boolean
function Channel:cancel(reason)
  local producer = self._app._producers[self.name]
  if reason ~= nil then
    options.argument("channel:cancel", 1, reason, "string")
  end
  if producer then
    producer:cancel(reason)
  end
  return producer ~= nil
end

options.guard(Channel, "channel")

return Channel
