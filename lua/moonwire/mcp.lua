--- moonwire.mcp: servers of the Model Context Protocol (https://modelcontextprotocol.io), which offer
--- tools, resources, and prompts to language models, over Streamable HTTP.
local crypto = require "moonwire.crypto"
local json = require("moonwire.core").json
local options = require "moonwire.options"
local outlets = require "moonwire.mcp.outlet"
local sessions = require "moonwire.mcp.session"
local transport = require "moonwire.mcp.transport"

---@class moonwire.mcp
---@field versions string[] the revisions of the protocol that a server supports, the newest first
local mcp = { versions = transport.versions }

---@class moonwire.mcp.Server
---@field package _tools table by name, and in order; so are the resources, templates, and prompts
---@field package _keys string[]
local Server = {}
Server.__index = Server

local SESSION_SECONDS, RESUME_SECONDS, QUESTION_SECONDS = 24 * 3600, 300, 600
local PAGE = 100
local SWEEP_SECONDS = 30
local LOOPBACK = { "localhost", "127.0.0.1", "[::1]" }

-- ---- Definitions ----------------------------------------------------------------------------------------------------------

local server_spec = {
  name = "text",
  title = "string",
  version = "string",
  instructions = "string",
  key = "string or table",
  hosts = "strings",
  origins = "strings",
  session_seconds = "amount",
  resume_seconds = "seconds",
  question_seconds = "duration",
  cache_seconds = "seconds",
  page = "amount",
}

---@class moonwire.mcp.ServerOptions
---@field name string
---@field title? string
---@field version? string nil: "1.0.0"
---@field instructions? string for the language model
---@field key? string|string[] seals sessions; nil: a random one, which ends with the process
---@field hosts? string[] what the header Host may be, besides localhost; "*": anything
---@field origins? string[] other origins whose pages may connect
---@field session_seconds? integer how long a session is valid; nil: a day
---@field resume_seconds? number how long an answer is kept for a client that reconnects; nil: 300
---@field question_seconds? number how long call:ask waits in a session; nil: 600
---@field cache_seconds? number how long clients may cache lists and resources (2026-07-28); nil: 0
---@field page? integer items of one page of a list; nil: 100

--- Defines a server.
---@param given moonwire.mcp.ServerOptions
---@return moonwire.mcp.Server
function mcp.server(given)
  local call = "mcp.server"
  options.argument(call, 1, given, "table")
  given = options.read(call, given, server_spec)
  if not given.name then
    options.raise "mcp.server: option 'name' is required"
  end
  local keys = crypto._keys(call, given.key or crypto.random(32))
  local hosts = table.move(LOOPBACK, 1, #LOOPBACK, 1, {})
  for _, host in ipairs(given.hosts or {}) do
    hosts[#hosts + 1] = host:lower()
  end
  local self = setmetatable({
    _info = { name = given.name, title = given.title, version = given.version or "1.0.0" },
    _instructions = given.instructions,
    _versions = transport.versions,
    _is_legacy = transport.is_legacy,
    _keys = keys,
    _hosts = hosts,
    _origins = given.origins or {},
    _question_seconds = given.question_seconds or QUESTION_SECONDS,
    _cache_seconds = given.cache_seconds or 0,
    _page = given.page or PAGE,
    _tools = {},
    _resources = {},
    _templates = {},
    _prompts = {},
    _has = {}, -- capabilities
    _listeners = {}, -- of subscriptions/listen
    _call_count = 0, -- requests in progress
  }, Server)
  self._sessions = sessions.new(keys, given.session_seconds or SESSION_SECONDS)
  self._outlets = outlets.new(given.resume_seconds or RESUME_SECONDS)
  return self
end

-- Adds an item to a list, or replaces the one with that key.
local function put(list, key, item)
  if list[key] then
    for i, other in ipairs(list) do
      if other == list[key] then
        list[i] = item
      end
    end
  else
    list[#list + 1] = item
  end
  list[key] = item
end

local function take(list, key)
  for i, item in ipairs(list) do
    if item == list[key] then
      table.remove(list, i)
      list[key] = nil
      return true
    end
  end
  return false
end

local function announce(self, kind)
  transport.announce(self, ("notifications/%s/list_changed"):format(kind), kind .. "ListChanged")
end

local function check_definition(call, name, handler)
  options.argument(call, 1, name, "string")
  options.argument(call, 3, handler, "function")
  if name == "" then
    options.raise(("%s: argument 1 must not be empty"):format(call))
  end
end

local tool_spec = {
  title = "string",
  description = "string",
  input = "table",
  output = "table",
  annotations = "table",
}

---@class moonwire.mcp.ToolOptions
---@field title? string
---@field description? string for the language model
---@field input? table JSON Schema of the arguments, an object; nil: no arguments
---@field output? table JSON Schema of structured results
---@field annotations? table hints such as { readOnlyHint = true }

--- Defines a tool, also while the app runs. Clients are told that the list has changed.
---@param name string
---@param given moonwire.mcp.ToolOptions|nil
---@param handler fun(arguments: table, call: moonwire.mcp.Call): any, string?
---@return moonwire.mcp.Server
function Server:tool(name, given, handler)
  check_definition("server:tool", name, handler)
  local tool = options.read(("server:tool %q"):format(name), given, tool_spec)
  tool.name, tool.handler = name, handler
  tool.input = tool.input or { type = "object", properties = {} }
  if tool.input.type ~= "object" then
    local text = "server:tool %q: option 'input' must be a schema with type = \"object\""
    options.raise(text:format(name))
  end
  put(self._tools, name, tool)
  self._has.tools = true
  announce(self, "tools")
  return self
end

local resource_spec = {
  name = "text",
  title = "string",
  description = "string",
  mime_type = "string",
  binary = "boolean",
  annotations = "table",
  complete = "table",
}

-- Returns the pattern of a URI with captures, and their names; nil if it has none.
local function read_template(uri)
  if not uri:find("{", 1, true) then
    return nil
  end
  local names = {}
  local pattern = uri:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("{([%w_]+)}", function(name)
    names[#names + 1] = name
    return "([^/]+)"
  end)
  if pattern:find "[{}]" then
    options.raise(("server:resource %q: a capture must be {name}"):format(uri))
  end
  return "^" .. pattern .. "$", names
end

---@class moonwire.mcp.ResourceOptions
---@field name? string nil: the URI
---@field title? string
---@field description? string
---@field mime_type? string
---@field binary? boolean the handler returns bytes
---@field annotations? table
---@field complete? table<string, fun(value: string, arguments: table, call: moonwire.mcp.Call): string[]> by capture

--- Defines a resource, or with captures such as "file:///{name}" a template.
---@param uri string
---@param given moonwire.mcp.ResourceOptions|nil
---@param handler fun(captures: table<string, string>, call: moonwire.mcp.Call, uri: string): any, string?
---@return moonwire.mcp.Server
function Server:resource(uri, given, handler)
  check_definition("server:resource", uri, handler)
  local resource = options.read(("server:resource %q"):format(uri), given, resource_spec)
  resource.uri, resource.handler, resource.name = uri, handler, resource.name or uri
  resource.pattern, resource.names = read_template(uri)
  put(resource.pattern and self._templates or self._resources, uri, resource)
  self._has.resources = true
  self._has.completions = self._has.completions or resource.complete ~= nil or nil
  announce(self, "resources")
  return self
end

local prompt_spec = {
  title = "string",
  description = "string",
  arguments = "table",
  complete = "table",
}

---@class moonwire.mcp.PromptOptions
---@field title? string
---@field description? string
---@field arguments? { name: string, description: string?, required: boolean? }[]
---@field complete? table<string, fun(value: string, arguments: table, call: moonwire.mcp.Call): string[]> by argument

--- Defines a prompt.
---@param name string
---@param given moonwire.mcp.PromptOptions|nil
---@param handler fun(arguments: table<string, string>, call: moonwire.mcp.Call): any, string?
---@return moonwire.mcp.Server
function Server:prompt(name, given, handler)
  check_definition("server:prompt", name, handler)
  local prompt = options.read(("server:prompt %q"):format(name), given, prompt_spec)
  prompt.name, prompt.handler = name, handler
  prompt.arguments = prompt.arguments or {}
  put(self._prompts, name, prompt)
  self._has.prompts = true
  self._has.completions = self._has.completions or prompt.complete ~= nil or nil
  announce(self, "prompts")
  return self
end

--- Removes a tool, a resource, or a prompt.
---@param kind "tool"|"resource"|"prompt"
---@param name string or the URI
---@return boolean was_there
function Server:remove(kind, name)
  options.argument("server:remove", 2, name, "string")
  local lists = {
    tool = { self._tools },
    resource = { self._resources, self._templates },
    prompt = { self._prompts },
  }
  if not lists[kind] then
    local text = 'server:remove: argument 1 must be "tool", "resource", or "prompt", got %s'
    options.raise(text:format(options.show(kind)))
  end
  for _, list in ipairs(lists[kind]) do
    if take(list, name) then
      announce(self, kind .. "s")
      return true
    end
  end
  return false
end

--- Tells the clients that have subscribed to a resource that it has changed.
---@param uri string
function Server:updated(uri)
  options.argument("server:updated", 1, uri, "string")
  transport.announce(self, "notifications/resources/updated", "resourceSubscriptions", uri)
end

--- Serves it at a path of an app.
---@param app moonwire.App
---@param path? string nil: "/mcp"
---@return moonwire.mcp.Server
function Server:mount(app, path)
  options.argument("server:mount", 1, app, "table")
  path = path == nil and "/mcp" or path
  options.argument("server:mount", 2, path, "string")
  app:stream("POST", path, function(request, stream)
    return transport.post(self, request, stream)
  end)
  app:stream(path, function(request, stream)
    return transport.get(self, request, stream)
  end)
  app:delete(path, function(request)
    return transport.delete(self, request)
  end)
  app:every(SWEEP_SECONDS, function()
    self._outlets:sweep()
  end)
  return self
end

-- ---- Content --------------------------------------------------------------------------------------------------------------

local function media(kind)
  return function(bytes, mime_type)
    options.argument("mcp." .. kind, 1, bytes, "string")
    options.argument("mcp." .. kind, 2, mime_type, "string")
    return { type = kind, data = crypto._encode(bytes, "base64"), mimeType = mime_type }
  end
end

--- Makes an item of text for a list of content.
---@param text string
---@return table
function mcp.text(text)
  options.argument("mcp.text", 1, text, "string")
  return { type = "text", text = text }
end

---@type fun(bytes: string, mime_type: string): table
mcp.image = media "image"

---@type fun(bytes: string, mime_type: string): table
mcp.audio = media "audio"

--- Makes an item that holds a resource.
---@param uri string
---@param text string
---@param mime_type? string
---@return table
function mcp.embed(uri, text, mime_type)
  options.argument("mcp.embed", 1, uri, "string")
  options.argument("mcp.embed", 2, text, "string")
  return { type = "resource", resource = { uri = uri, text = text, mimeType = mime_type } }
end

mcp.null, mcp.array = json.null, json.array

options.guard(Server, "server")

return mcp
