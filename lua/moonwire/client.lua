--- The methods of a client. Its fields are in core.
local answer = require "moonwire.answer"
local core = require "moonwire.core"
local options = require "moonwire.options"
local specs = require "moonwire.specs"

---@type moonwire.Client
local Client = core.client_methods

-- Raises for a call without a colon, or on another value.
local function check_self(call, client)
  if not core.is_client(client) then
    options.raise(("%s: call it with a colon on a client, got %s"):format(call, type(client)))
  end
end

-- Returns what core returned. Misuse raises.
local function outcome(call, ok, message, code)
  if code == "misuse" then
    options.raise(("%s: %s"):format(call, message))
  end
  return ok, message, code
end

function Client:send(event, data, given)
  check_self("client:send", self)
  options.event("client:send", event)
  given = options.read("client:send", given, specs.send)
  options.content("client:send", data, given.binary)
  return outcome("client:send", core.send(self, given.channel, event, data, given.binary))
end

function Client:close(code, reason)
  check_self("client:close", self)
  code, reason = code or 1000, reason or ""
  if math.type(code) ~= "integer" or code < 0 or code > 65535 then
    options.raise(("client:close: invalid close code %s"):format(tostring(code)))
  end
  local fault = answer.reason_fault(reason, 123)
  if fault then
    options.raise("client:close: " .. fault)
  end
  return outcome("client:close", core.close(self, code, reason))
end

function Client:subscribe(name)
  check_self("client:subscribe", self)
  options.argument("client:subscribe", 1, name, "string")
  return outcome("client:subscribe", core.subscribe(self, name))
end

-- Raises if clients cannot receive them.
function Client._check_refusal(call, code, reason)
  local fault = answer.code_fault(code) or answer.reason_fault(reason, 123)
  if fault then
    options.raise(("%s: %s"):format(call, fault))
  end
end

-- Ends a subscription, for client:unsubscribe and channel:kick.
function Client._unsubscribe(call, client, name, reason, code)
  reason = reason or ""
  Client._check_refusal(call, code, reason)
  return outcome(call, core.unsubscribe(client, name, code, reason))
end

function Client:unsubscribe(name, reason, code)
  check_self("client:unsubscribe", self)
  options.argument("client:unsubscribe", 1, name, "string")
  return Client._unsubscribe("client:unsubscribe", self, name, reason, code or "unsubscribed")
end

return Client
