--- Reads the options `on` and `relay` of app:channel: what clients may send.
local options = require "moonwire.options"

local events = {}

local rule_spec = { keep = "boolean" }

-- Returns the names of a table in order, so that messages about it do not change from run to run.
local function sorted_names(call, option, given)
  local names = {}
  for name in pairs(given) do
    if type(name) == "string" then
      names[#names + 1] = name
    elseif math.type(name) ~= "integer" or name < 1 or name > #given then
      options.raise(("%s: option '%s' has a key %s"):format(call, option, tostring(name)))
    end
  end
  table.sort(names)
  return names
end

local function read_handlers(call, on, rules)
  if #on > 0 then
    options.raise(
      ("%s: option 'on' has no names: write on = { say = function … end }"):format(call)
    )
  end
  for _, name in ipairs(sorted_names(call, "on", on)) do
    if type(on[name]) ~= "function" then
      local text = "%s: option 'on.%s' must be a function, got %s"
      options.raise(text:format(call, name, type(on[name])))
    end
    rules[#rules + 1] = { event = name }
    rules[name] = "on"
  end
end

local function add_relay(call, name, keep, rules)
  if rules[name] then
    local where = rules[name] == "on" and "in both 'on' and 'relay'" or "in 'relay' twice"
    options.raise(("%s: event '%s' is %s"):format(call, name, where))
  end
  rules[#rules + 1] = { event = name, relay = true, keep = keep }
  rules[name] = "relay"
end

local function read_relays(call, relay, rules)
  for i, name in ipairs(relay) do
    if type(name) ~= "string" then
      local text = "%s: option 'relay[%d]' must be the name of an event, got %s"
      options.raise(text:format(call, i, type(name)))
    end
    add_relay(call, name, false, rules)
  end
  for _, name in ipairs(sorted_names(call, "relay", relay)) do
    if type(relay[name]) ~= "table" then
      local text = "%s: option 'relay.%s' must be a table, got %s"
      options.raise(text:format(call, name, type(relay[name])))
    end
    local rule = options.read(("%s, relay.%s"):format(call, name), relay[name], rule_spec)
    add_relay(call, name, rule.keep or false, rules)
  end
end

--- Returns the rules for core, in order. Core checks the names.
---@param call string for messages
---@param definition moonwire.ChannelOptions
---@return { event: string, relay: boolean?, keep: boolean? }[]
function events.read(call, definition)
  local rules = {}
  read_handlers(call, definition.on or {}, rules)
  read_relays(call, definition.relay or {}, rules)
  return table.move(rules, 1, #rules, 1, {})
end

--- "clients may send say, typing (relayed), update (relayed and kept)".
---@param rules { event: string, relay: boolean?, keep: boolean? }[]
---@return string
function events.describe(rules)
  local parts = {}
  for i, rule in ipairs(rules) do
    local kind = rule.keep and " (relayed and kept)" or rule.relay and " (relayed)" or ""
    parts[i] = rule.event .. kind
  end
  return "clients may send " .. table.concat(parts, ", ")
end

return events
