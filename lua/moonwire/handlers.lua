--- What core calls: one function for each kind of request, which runs the script's handler and
--- returns how to answer (answer.lua).
local answer = require "moonwire.answer"
local core = require "moonwire.core"
local new_message = require "moonwire.message"
local new_request = require "moonwire.request"
local options = require "moonwire.options"
local Stream = require "moonwire.stream"

-- The result of a hook: `nil, message` is a fault, `false, reason, code` a refusal, and anything
-- else accepts with a value.
local function check(handler, value, reason, code)
  if value == nil and reason ~= nil then
    answer.fault(handler, reason)
  elseif value == false then
    return answer.refuse(handler, reason, code or "refused")
  end
  return "accept", value
end

-- The result of the handler of an event. The value is the acknowledgement.
local function check_message(handler, value, reason, code)
  if value == false then
    return answer.refuse(handler, reason, code or "refused", nil, 400)
  end
  return check(handler, value, reason)
end

-- The result of on_connect: nothing accepts.
local function check_connect(handler, allowed, reason, status)
  if allowed == false then
    return answer.refuse(handler, reason, nil, status or 403)
  end
  return (check(handler, allowed, reason))
end

-- The result of authorize: only a true value accepts.
local function check_access(handler, allowed, reason, code)
  if not allowed and not (allowed == nil and reason ~= nil) then
    return answer.refuse(handler, reason, code or "forbidden")
  end
  return (check(handler, allowed, reason, code))
end

-- The result of authenticate: a table is the user, true is anonymous.
local function check_user(handler, user, reason, status)
  if user == nil and reason ~= nil then
    answer.fault(handler, reason)
  elseif not user then
    return answer.refuse(handler, reason, nil, status or 401)
  elseif user ~= true and type(user) ~= "table" then
    answer.misused(handler, "a %s; it must return a table, true, or false", type(user))
  end
  return "accept", user ~= true and user or nil
end

-- The result of a hook for something that has already happened. It cannot refuse. A failure is
-- logged.
local function settle(handler, value, reason)
  if value == nil and reason ~= nil then
    answer.fault(handler, reason)
  elseif value == false and reason ~= nil then
    answer.misused(handler, "false (%s), but this handler cannot refuse", tostring(reason))
  end
  return "accept"
end

-- Stores what the handler changed inside client.data, and passes its results on.
local function keep(handler, client, ...)
  local ok, message = core.keep(client)
  if not ok then
    answer.unkept(handler, message)
  end
  return ...
end

-- Returns the answer of a handler of app:before, if it returned one.
local function answer_if_any(handler, request, ...)
  for i = 1, select("#", ...) do
    if select(i, ...) ~= nil then
      return answer.respond(handler, request, ...)
    end
  end
end

-- Runs the handlers of app:before for the path. Returns the answer of the first one that has one, or
-- nothing.
local function run_before(app, request)
  for _, before in ipairs(app._before) do
    local path = request.path
    local is_below = path == before.path or path:sub(1, #before.path + 1) == before.path .. "/"
    if is_below then
      local handler = before.handler
      local way, status, body, content_type, fields =
        answer_if_any(handler, request, options.call(handler, request))
      if way then
        return way, status, body, content_type, fields
      end
    end
  end
end

local function respond_or_stream(handler, request, stream, ...)
  Stream._of(stream, nil)
  for i = 1, select("#", ...) do
    if select(i, ...) ~= nil then
      if stream._begun then
        answer.misused(handler, "an answer after the stream had started; use stream:close()")
      end
      return answer.respond(handler, request, ...)
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
    local authenticate = app._authenticate
    return check_user(authenticate, options.call(authenticate, new_request(request)))
  end

  function handlers.authorize(kind, name, client)
    local authorize = app._by_number[kind].authorize
    if authorize == false then
      return "refuse", 403, "forbidden", "forbidden"
    end
    local channel = app:_channel(name)
    return check_access(
      authorize,
      keep(authorize, client, options.call(authorize, client, channel))
    )
  end

  function handlers.open(kind, name)
    local on_open = app._by_number[kind].on_open
    local channel = app:_channel(name)
    if on_open then
      local way, state, code, reason = check(on_open, options.call(on_open, channel))
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
    return check(on_join, keep(on_join, client, options.call(on_join, client, app:_channel(name))))
  end

  function handlers.presence(kind, name, client)
    local info = app._by_number[kind].presence.info
    return check(info, keep(info, client, options.call(info, client, app:_channel(name))))
  end

  function handlers.leave(kind, name, client)
    local on_leave = app._by_number[kind].on_leave
    return settle(
      on_leave,
      keep(on_leave, client, options.call(on_leave, client, app:_channel(name)))
    )
  end

  function handlers.close(kind, name)
    local on_close = app._by_number[kind].on_close
    local channel = app:_channel(name)
    app._open[name], app._seen[name] = nil, nil
    return on_close and settle(on_close, options.call(on_close, channel)) or "accept"
  end

  function handlers.slow(kind, name, client)
    local on_slow = app._by_number[kind].on_slow
    return settle(on_slow, keep(on_slow, client, options.call(on_slow, client, app:_channel(name))))
  end

  function handlers.message(kind, name, client, event, raw, binary)
    local handler = app._by_number[kind].on[event]
    local message = new_message(event, raw, binary)
    local channel = app:_channel(name)
    return check_message(
      handler,
      keep(handler, client, options.call(handler, client, channel, message))
    )
  end

  function handlers.connect(client)
    local on_connect = app._on_connect
    return check_connect(on_connect, keep(on_connect, client, options.call(on_connect, client)))
  end

  function handlers.disconnect(client, reason)
    return settle(app._on_disconnect, options.call(app._on_disconnect, client, reason))
  end

  function handlers.http(number, raw)
    local definition, request = app._by_number[number], new_request(raw)
    local way, status, body, content_type, fields = run_before(app, request)
    if way then
      return way, status, body, content_type, fields
    end
    local handler = definition.handler
    local respond = definition.is_not_found and answer.not_found or answer.respond
    return respond(handler, request, options.call(handler, request))
  end

  function handlers.stream(number, raw, stream)
    local handler, request = app._by_number[number].handler, new_request(raw)
    local way, status, body, content_type, fields = run_before(app, request)
    if way then
      return way, status, body, content_type, fields
    end
    Stream._of(stream, request)
    return respond_or_stream(handler, request, stream, options.call(handler, request, stream))
  end

  -- Told before the upgrade: on_open may still refuse.
  function handlers.websocket(number, raw, socket)
    local on_open, request = app._by_number[number].on_open, new_request(raw)
    local way, status, code, reason, fields = run_before(app, request)
    if way then
      return way, status, code, reason, fields
    elseif not on_open then
      return "stream"
    end
    way, status, code, reason = check_connect(on_open, options.call(on_open, socket, request))
    if way ~= "accept" then
      return way, status, code, reason
    end
    return "stream"
  end

  function handlers.socket_message(number, socket, message, is_binary)
    local on_message = app._by_number[number].on_message
    if not on_message then
      return "accept"
    end
    local way, status, code, reason =
      check(on_message, options.call(on_message, socket, message, is_binary))
    if way ~= "accept" then
      return way, status, code, reason
    end
    return "accept"
  end

  function handlers.socket_close(number, socket, code, reason)
    local on_close = app._by_number[number].on_close
    return on_close and settle(on_close, options.call(on_close, socket, code, reason)) or "accept"
  end

  return handlers
end
