--- The methods of the protocol: function(server, params, call) returns the result.
local core = require "moonwire.core"
local Call = require "moonwire.mcp.call"
local jsonrpc = require "moonwire.jsonrpc"
local options = require "moonwire.options"
local schema = require "moonwire.mcp.schema"

local json = core.json
local codes = jsonrpc.codes
local VALUES_MAX = 100 -- of a completion
local SUBSCRIPTIONS_MAX, SUBSCRIBED_BYTES = 1000, 64 * 1024 -- of a session

local methods, modern, legacy = {}, {}, {}

local function refuse(text, ...)
  error({ code = codes.invalid_params, message = text:format(...) }, 0)
end

local function show(value)
  return type(value) == "string" and jsonrpc._quote(value) or type(value)
end

-- Runs the handler of a resource, a prompt, or a completion. A failure is logged with its place.
local function run(call, owner, handler, ...)
  call._handler = handler
  local results = table.pack(xpcall(options.call, jsonrpc._with_trace, handler, ...))
  local ok, value, why = table.unpack(results, 1, results.n)
  if not ok and Call._is_protocol(value) then
    error(value, 0)
  elseif not ok and type(value) == "table" and value.message ~= nil then
    error({ code = codes.internal_error, message = tostring(value.message) }, 0)
  elseif not ok or value == nil and why ~= nil then
    jsonrpc._log_fault(handler, owner.name, ok and "failed: " .. tostring(why) or value)
    error({ code = codes.internal_error, message = "internal error" }, 0)
  elseif value == false and why ~= nil then
    error({ code = codes.internal_error, message = tostring(why) }, 0)
  end
  return value
end

-- ---- Lists ----------------------------------------------------------------------------------------------------------------

-- Returns one page of a list. A cursor is the number of the first item of its page.
local function list(field, items, describe)
  return function(server, params)
    local first = 1
    if params.cursor ~= nil and params.cursor ~= json.null then
      first = type(params.cursor) == "string" and math.tointeger(tonumber(params.cursor)) or nil
      if not first or first < 1 or first > #server[items] + 1 then
        refuse("invalid cursor: %s", show(params.cursor))
      end
    end
    local last = math.min(#server[items], first + server._page - 1)
    local page = json.array {}
    for i = first, last do
      page[#page + 1] = describe(server[items][i])
    end
    return { [field] = page, nextCursor = last < #server[items] and tostring(last + 1) or nil }
  end
end

local function describe_tool(tool)
  return {
    name = tool.name,
    title = tool.title,
    description = tool.description,
    inputSchema = tool.input,
    outputSchema = tool.output,
    annotations = tool.annotations,
  }
end

local function describe_resource(resource)
  return {
    uri = not resource.pattern and resource.uri or nil,
    uriTemplate = resource.pattern and resource.uri or nil,
    name = resource.name,
    title = resource.title,
    description = resource.description,
    mimeType = resource.mime_type,
    annotations = resource.annotations,
  }
end

local function describe_prompt(prompt)
  return {
    name = prompt.name,
    title = prompt.title,
    description = prompt.description,
    arguments = json.array(prompt.arguments),
  }
end

methods["tools/list"] = list("tools", "_tools", describe_tool)
methods["resources/list"] = list("resources", "_resources", describe_resource)
methods["resources/templates/list"] = list("resourceTemplates", "_templates", describe_resource)
methods["prompts/list"] = list("prompts", "_prompts", describe_prompt)

-- ---- Tools ----------------------------------------------------------------------------------------------------------------

local function text_result(text, is_error)
  return { content = { { type = "text", text = text } }, isError = is_error or nil }
end

local function is_content(value)
  return type(value[1]) == "table" and type(value[1].type) == "string"
end

-- Turns what a tool returned into its result.
local function tool_result(value)
  if type(value) == "table" and value.content ~= nil then
    return value
  elseif type(value) == "table" and is_content(value) then
    return { content = value }
  elseif
    type(value) == "table"
    and value.type ~= nil
    and (value.text or value.data or value.resource)
  then
    return { content = { value } }
  elseif type(value) == "table" then
    local result = text_result(json.encode(value))
    result.structuredContent = value
    return result
  end
  return text_result(value == nil and "" or tostring(value))
end

local function run_tool(tool, call)
  call._handler = tool.handler
  local results =
    table.pack(xpcall(options.call, jsonrpc._with_trace, tool.handler, call.arguments, call))
  local ok, value, why = table.unpack(results, 1, results.n)
  if not ok and Call._is_protocol(value) then
    error(value, 0)
  elseif not ok and type(value) == "table" and value.message ~= nil then
    return text_result(tostring(value.message), true)
  elseif not ok or value == nil and why ~= nil then
    jsonrpc._log_fault(tool.handler, tool.name, ok and "failed: " .. tostring(why) or value)
    return text_result("internal error", true)
  elseif value == false and why ~= nil then
    return text_result(tostring(why), true)
  end
  local is_json, result = pcall(tool_result, value)
  if not is_json then
    jsonrpc._log_fault(
      tool.handler,
      tool.name,
      "returned a value that JSON cannot hold: " .. result
    )
    return text_result("internal error", true)
  end
  return result
end

methods["tools/call"] = function(server, params, call)
  local tool = type(params.name) == "string" and server._tools[params.name]
  if not tool then
    refuse("unknown tool: %s", show(params.name))
  end
  local fault = schema.check(call.arguments, tool.input, "arguments")
  if fault then
    return text_result("invalid arguments: " .. fault, true)
  end
  return run_tool(tool, call)
end

-- ---- Resources ------------------------------------------------------------------------------------------------------------

local function decode(text)
  return (
    text:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  )
end

-- Returns the captures of a template by name, or nil if a value is not UTF-8, which no result can hold.
local function captures_of(template, values)
  local captures = {}
  for i, name in ipairs(template.names) do
    captures[name] = decode(values[i])
    if not utf8.len(captures[name]) then
      return nil
    end
  end
  return captures
end

-- Returns the resource with that URI, and the captures of its template.
local function find_resource(server, uri)
  local resource = server._resources[uri]
  if resource then
    return resource, {}
  end
  for _, template in ipairs(server._templates) do
    local values = table.pack(uri:match(template.pattern))
    local captures = values[1] and captures_of(template, values)
    if captures then
      return template, captures
    end
  end
end

local function resource_result(resource, uri, value)
  if type(value) == "table" and value.contents ~= nil then
    return value
  end
  local content = { uri = uri, mimeType = resource.mime_type }
  if type(value) == "table" then
    content.text, content.mimeType = json.encode(value), content.mimeType or "application/json"
  elseif resource.binary then
    content.blob = require("moonwire.crypto")._encode(tostring(value), "base64")
  else
    content.text = tostring(value)
  end
  return { contents = { content } }
end

methods["resources/read"] = function(server, params, call)
  local uri = type(params.uri) == "string" and params.uri or ""
  local resource, captures = find_resource(server, uri)
  local value
  if resource then
    call.arguments = captures
    value = run(call, resource, resource.handler, captures, call, uri)
  end
  if not value then
    local code = call._session and -32002 or codes.invalid_params
    error({ code = code, message = "resource not found", data = { uri = uri } }, 0)
  end
  return resource_result(resource, uri, value)
end

local function each_subscription(server, params, call)
  if type(params.uri) ~= "string" or not find_resource(server, params.uri) then
    error({ code = -32002, message = "resource not found", data = { uri = params.uri } }, 0)
  end
  return call._session.subscriptions
end

legacy["resources/subscribe"] = function(server, params, call)
  local subscriptions, count, bytes = each_subscription(server, params, call), 0, #params.uri
  for uri in pairs(subscriptions) do
    count, bytes = count + 1, bytes + #uri
  end
  if subscriptions[params.uri] then
    return {}
  elseif count >= SUBSCRIPTIONS_MAX or bytes > SUBSCRIBED_BYTES then
    local text =
      "a session can subscribe to at most %d resources, with URIs of at most %d bytes in all"
    refuse(text, SUBSCRIPTIONS_MAX, SUBSCRIBED_BYTES)
  end
  subscriptions[params.uri] = true
  return {}
end

legacy["resources/unsubscribe"] = function(server, params, call)
  each_subscription(server, params, call)[params.uri] = nil
  return {}
end

-- ---- Prompts, completion, logging -----------------------------------------------------------------------------------------

local function prompt_result(prompt, value)
  if type(value) ~= "table" then
    value =
      { messages = { { role = "user", content = { type = "text", text = tostring(value) } } } }
  elseif value.messages == nil then
    value = { messages = json.array(value) }
  end
  value.description = value.description or prompt.description
  return value
end

methods["prompts/get"] = function(server, params, call)
  local prompt = type(params.name) == "string" and server._prompts[params.name]
  if not prompt then
    refuse("unknown prompt: %s", show(params.name))
  end
  for _, argument in ipairs(prompt.arguments) do
    local value = call.arguments[argument.name]
    if value == nil and argument.required then
      refuse("the argument %q is required", argument.name)
    elseif value ~= nil and type(value) ~= "string" then
      refuse("the argument %q must be a string", argument.name)
    end
  end
  return prompt_result(prompt, run(call, prompt, prompt.handler, call.arguments, call))
end

methods["completion/complete"] = function(server, params, call)
  local reference = type(params.ref) == "table" and params.ref or {}
  local argument = type(params.argument) == "table" and params.argument or {}
  local owner
  if reference.type == "ref/prompt" and type(reference.name) == "string" then
    owner = server._prompts[reference.name]
  elseif reference.type == "ref/resource" and type(reference.uri) == "string" then
    owner = server._templates[reference.uri] or server._resources[reference.uri]
  end
  if not owner then
    refuse "the ref must name a prompt or a resource template"
  elseif type(argument.name) ~= "string" or type(argument.value) ~= "string" then
    refuse "the argument must have a name and a value"
  end
  local complete = owner.complete and owner.complete[argument.name]
  local context = type(params.context) == "table" and params.context.arguments or {}
  local found = complete and run(call, owner, complete, argument.value, context, call) or {}
  local values = json.array {}
  for i = 1, math.min(#found, VALUES_MAX) do
    values[i] = tostring(found[i])
  end
  local completion = { values = values, total = #found, hasMore = #found > VALUES_MAX }
  return { completion = completion }
end

legacy["logging/setLevel"] = function(_, params, call)
  if not Call.levels[params.level] then
    refuse("unknown level: %s", show(params.level))
  end
  call._session.level = params.level
  return {}
end

legacy.ping = function()
  return {}
end

-- ---- What a server is -----------------------------------------------------------------------------------------------------

function methods.capabilities(server)
  local result = { logging = {} }
  if server._has.tools then
    result.tools = { listChanged = true }
  end
  if server._has.resources then
    result.resources = { listChanged = true, subscribe = true }
  end
  if server._has.prompts then
    result.prompts = { listChanged = true }
  end
  if server._has.completions then
    result.completions = {}
  end
  return result
end

modern["server/discover"] = function(server)
  return {
    supportedVersions = server._versions,
    capabilities = methods.capabilities(server),
    instructions = server._instructions,
  }
end

-- The capability that each method needs.
local needs = {
  ["tools/list"] = "tools",
  ["tools/call"] = "tools",
  ["resources/list"] = "resources",
  ["resources/templates/list"] = "resources",
  ["resources/read"] = "resources",
  ["resources/subscribe"] = "resources",
  ["resources/unsubscribe"] = "resources",
  ["prompts/list"] = "prompts",
  ["prompts/get"] = "prompts",
  ["completion/complete"] = "completions",
}

--- Returns the function of a method, or nil if the server has none of that name.
---@param server moonwire.mcp.Server
---@param name string
---@param is_modern boolean
function methods.find(server, name, is_modern)
  if name == "capabilities" or name == "find" or needs[name] and not server._has[needs[name]] then
    return nil
  end
  return methods[name] or (is_modern and modern or legacy)[name]
end

return methods
