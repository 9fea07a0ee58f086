--- Reads the rates of a channel: options `limits.rate`, `limits.events`, and `limits.total_rate`.
local options = require "moonwire.options"

local rates = {}

local rate_spec = { rate = "rate", burst = "amount" }

-- Checks that a burst has its rate.
local function check_burst(call, limits, rate, burst, where)
  if limits[burst] and (limits[rate] or 0) == 0 then
    local text = "%s: option '%s%s' needs '%s%s' above 0"
    options.raise(text:format(call, where, burst, where, rate))
  end
end

--- Checks the rates of the app.
---@param call string
---@param limits table|nil
function rates.check(call, limits)
  -- The rate has a default, so that a burst alone is allowed.
  if limits and limits.rate == 0 then
    check_burst(call, limits, "rate", "burst", "limits.")
  end
  if limits and limits.verb_rate == 0 then
    check_burst(call, limits, "verb_rate", "verb_burst", "limits.")
  end
  if limits and limits.address_handshakes == 0 then
    check_burst(call, limits, "address_handshakes", "address_handshakes_burst", "limits.")
  end
end

--- Checks the rate of a raw WebSocket endpoint.
---@param call string
---@param limits table|nil
function rates.websocket(call, limits)
  if limits then
    check_burst(call, limits, "rate", "burst", "limits.")
  end
end

--- Checks the rates of a channel, and adds those of its events to their rules (events.read).
---@param call string
---@param limits table|nil
---@param rules { event: string, rate: number?, burst: integer? }[]
function rates.read(call, limits, rules)
  if not limits then
    return
  end
  check_burst(call, limits, "rate", "burst", "limits.")
  check_burst(call, limits, "total_rate", "total_burst", "limits.")
  local by_event = {}
  for _, rule in ipairs(rules) do
    by_event[rule.event] = rule
  end
  for name, given in pairs(limits.events or {}) do
    local where = ("limits.events.%s"):format(tostring(name))
    local rule = by_event[name]
    if not rule then
      local names = {}
      for known in pairs(by_event) do
        names[#names + 1] = known
      end
      local hint = type(name) == "string" and options.hint(name, names) or ""
      local text = "%s: option '%s': clients may not send this event%s"
      options.raise(text:format(call, where, hint))
    end
    local rate = options.read(("%s, %s"):format(call, where), given, rate_spec)
    if not rate.rate or rate.rate == 0 then
      options.raise(("%s: option '%s' needs 'rate' above 0"):format(call, where))
    end
    rule.rate, rule.burst = rate.rate, rate.burst
  end
end

return rates
