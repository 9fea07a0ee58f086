--- What core calls: one function for each kind of request, which runs the script's handler and returns
--- how to answer (answer.lua).
local answer = require "moonwire.answer"
local core = require "moonwire.core"
local new_request = require "moonwire.request"

-- What a hook returned: `nil, message` is a fault, `false, reason, code` a refusal, all else consent with a value.
local function judge(what, value, reason, code)
  if value == nil and reason ~= nil then
    answer.fault(what, reason)
  elseif value == false then
    return answer.refuse(what, reason, code or "refused")
  end
  return "accept", value
end

-- What authorize returned: nothing allows but a value.
local function judge_access(allowed, reason, code)
  if not allowed and not (allowed == nil and reason ~= nil) then
    return answer.refuse("authorize", reason, code or "forbidden")
  end
  return (judge("authorize", allowed, reason, code))
end

-- What authenticate returned: a table is the user, true is anonymous.
local function judge_user(user, reason, status)
  if user == nil and reason ~= nil then
    answer.fault("authenticate", reason)
  elseif not user then
    return answer.refuse("authenticate", reason, nil, status or 401)
  elseif user ~= true and type(user) ~= "table" then
    error(
      ("authenticate returned a %s; it must return a table, true or false"):format(type(user)),
      0
    )
  end
  return "accept", user ~= true and user or nil
end

-- Stores what the handler changed inside client.data, and passes its results on.
local function keep(client, ...)
  core.keep(client)
  return ...
end

local function respond_or_stream(...)
  for i = 1, select("#", ...) do
    if select(i, ...) ~= nil then
      return answer.respond(...)
    end
  end
  return "stream"
end

--- The table of functions for core.server.
---@param app moonwire.App
---@return table<string, function>
return function(app)
  local handlers = { refusal = answer.raised }

  function handlers.authenticate(request)
    return judge_user(app._authenticate(new_request(request)))
  end

  function handlers.authorize(kind, name, client)
    local authorize = app._by_number[kind].authorize
    if authorize == false then
      return answer.refuse("authorize", nil, "forbidden")
    end
    return judge_access(keep(client, authorize(client, app:_channel(name))))
  end

  function handlers.open(kind, name)
    local on_open = app._by_number[kind].on_open
    local channel = app:_channel(name)
    if on_open then
      local way, state, code, reason = judge("on_open", on_open(channel))
      if way ~= "accept" then
        return way, state, code, reason
      elseif state ~= nil then
        channel.state = state
      end
    end
    app._open[name] = channel
    return "accept"
  end

  function handlers.join(kind, name, client)
    local on_join = app._by_number[kind].on_join
    return judge("on_join", keep(client, on_join(client, app:_channel(name))))
  end

  function handlers.leave(kind, name, client)
    keep(client, app._by_number[kind].on_leave(client, app:_channel(name)))
    return "accept"
  end

  function handlers.close(kind, name)
    local on_close = app._by_number[kind].on_close
    local channel = app:_channel(name)
    app._open[name], app._seen[name] = nil, nil
    if on_close then
      on_close(channel)
    end
    return "accept"
  end

  function handlers.http(number, request)
    return answer.respond(app._by_number[number].handler(new_request(request)))
  end

  function handlers.stream(number, request, stream)
    return respond_or_stream(app._by_number[number].handler(new_request(request), stream))
  end

  return handlers
end
