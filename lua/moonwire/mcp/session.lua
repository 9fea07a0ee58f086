--- Sessions of the revisions before 2026-07-28. A session id is sealed, and holds what the session
--- needs, so that it outlives the process. What a client has chosen since, such as its log level, is
--- in memory.
local crypto = require "moonwire.crypto"
local linked = require "moonwire.linked"
local json = require("moonwire.core").json

local sessions = {}

local PURPOSE = "moonwire.mcp.session"
local LIVE_MAX, ENDED_MAX = 10000, 10000
local ID_MAX, NAME_MAX, FLAGS_MAX = 2048, 100, 8

---@class moonwire.mcp.Session
---@field id string
---@field revision string
---@field capabilities table<string, table> of the client
---@field client { name: string, version: string }
---@field level string the least log level
---@field subscriptions table<string, true> by URI
---@field calls table<string|number, moonwire.mcp.Call> in progress
---@field questions table<string, fun(response: table)> that wait for their answers
---@field outlets table<string, moonwire.mcp.Outlet>
---@field get moonwire.mcp.Outlet|nil of its GET stream

---@class moonwire.mcp.Sessions
local Sessions = {}
Sessions.__index = Sessions

---@param keys string|string[]
---@param seconds integer for which an id is valid
function sessions.new(keys, seconds)
  return setmetatable({
    _keys = keys,
    _seconds = seconds,
    _live = {}, -- by id
    _order = {}, -- the live ones, the one that was used last at the end
    _count = 0,
    _ended = {}, -- hashes of ids
    _ended_order = {},
    _ended_next = 1,
  }, Sessions)
end

-- Of what the client declares, the names are enough; they become a part of the id.
local function read_capabilities(given)
  local result = {}
  for _, name in ipairs { "sampling", "elicitation", "roots" } do
    local value = type(given) == "table" and given[name]
    if type(value) == "table" then
      local flags, count = {}, 0
      for flag, is_on in pairs(value) do
        if type(flag) == "string" and #flag <= 30 and is_on and count < FLAGS_MAX then
          flags[flag], count = type(is_on) == "table" and {} or true, count + 1
        end
      end
      result[name] = flags
    end
  end
  return result
end

local function short(value)
  value = type(value) == "string" and value or ""
  return #value <= NAME_MAX and value or ""
end

-- What a client says of itself.
local function client_of(info)
  info = type(info) == "table" and info or {}
  return { name = short(info.name), version = short(info.version) }
end
sessions.client_of = client_of

-- The user whom app:before has found, as a text.
local function user_of(request)
  local user = request.user
  if type(user) == "table" then
    user = user.id ~= nil and user.id or user.sub
  end
  return user ~= nil and tostring(user) or nil
end
sessions.user_of = user_of

--- Begins a session.
---@param revision string
---@param params table of initialize
---@param request moonwire.Request
---@return moonwire.mcp.Session
function Sessions:begin(revision, params, request)
  local client = client_of(params.clientInfo)
  local content = {
    v = revision,
    c = read_capabilities(params.capabilities),
    n = client.name,
    w = client.version,
    u = user_of(request),
    t = os.time() + self._seconds,
  }
  local given = { purpose = PURPOSE, expires_in = self._seconds }
  local id = crypto.seal(self._keys, json.encode(content), given)
  return self:_add(id, content)
end

function Sessions:_add(id, content)
  local session = {
    id = id,
    revision = content.v,
    capabilities = content.c,
    client = { name = content.n, version = content.w },
    user = content.u,
    expires = content.t,
    level = "info",
    subscriptions = {},
    calls = {},
    call_count = 0,
    questions = {},
    question_count = 0,
    outlets = {},
  }
  self._live[id] = session
  linked.append(self._order, session)
  self._count = self._count + 1
  if self._count > LIVE_MAX then
    self:_forget_idle()
  end
  return session
end

function Sessions:_forget(session)
  self._live[session.id] = nil
  linked.remove(session)
  self._count = self._count - 1
end

-- Forgets what is in memory of the session that was used least recently, and has nothing open.
function Sessions:_forget_idle()
  for _ = 1, 100 do
    local session = linked.take(self._order)
    if not session then
      return
    elseif next(session.calls) == nil and next(session.outlets) == nil then
      self._live[session.id] = nil
      self._count = self._count - 1
      return
    end
    linked.append(self._order, session)
  end
end

--- Returns the session with that id, or nil if it is unknown, has ended, or is another user's.
---@param id string
---@param request moonwire.Request
---@return moonwire.mcp.Session|nil
function Sessions:find(id, request)
  local session = self._live[id]
  if not session then
    if #id > ID_MAX or self._ended[crypto.sha256(id)] then
      return nil
    end
    local text = crypto.open(self._keys, id, { purpose = PURPOSE })
    local content = text and json.decode(text)
    if type(content) ~= "table" then
      return nil
    end
    session = self:_add(id, content)
  else
    linked.remove(session)
    linked.append(self._order, session)
  end
  local is_valid = session.user == user_of(request) and os.time() < session.expires
  return is_valid and session or nil
end

--- Ends a session: its id is unknown from now on, until this process ends.
function Sessions:finish(session)
  self:_forget(session)
  local hash = crypto.sha256(session.id)
  local former = self._ended_order[self._ended_next]
  if former then
    self._ended[former] = nil
  end
  self._ended[hash], self._ended_order[self._ended_next] = true, hash
  self._ended_next = self._ended_next % ENDED_MAX + 1
end

--- Iterates over the live sessions.
function Sessions:each()
  return pairs(self._live)
end

return sessions
