--- POST /send: how clients over event streams and polls say something.
local Exchange = require "moonwire.testing.exchange"
local json = require("moonwire.core").json
local text = require "moonwire.testing.text"

--- Sends a verb for a client that is connected. The answer is put into what is returned, by the
--- client's _answered.
---@param client moonwire.testing.Client
---@param options table of the connection
---@param verb table
---@param bytes string|nil of a binary message
return function(client, options, verb, bytes)
  local pending = { verb = verb }
  verb.ref, verb.base64 = 1, bytes and text.base64(bytes)
  local own = { ["content-type"] = "application/json", ["x-moonwire-client"] = client.id }
  local headers = text.headers(own, options.headers, options.token)
  local server, exchange = client._server, nil
  local target = text.target(server:_path "send", options.query)
  exchange = Exchange.start(server, "POST", target, headers, json.encode(verb), function()
    local object = json.decode(exchange.response.body)
    if type(object) ~= "table" then
      local status = exchange.response.status
      local reason = status and ("status %d"):format(status) or "the server closed the connection"
      object = { error = { code = "closed", reason = reason } }
    end
    client:_answered(pending, object)
  end)
  return pending
end
