--- What handlers of tools, resources, and prompts receive: who calls, and what they can send and ask
--- while they run.
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local jsonrpc = require "moonwire.jsonrpc"
local options = require "moonwire.options"
local sessions = require "moonwire.mcp.session"

local json = core.json

local STATE_PURPOSE, STATE_SECONDS = "moonwire.mcp.state", 3600
local QUESTIONS_MAX = 100 -- of one session
local MISSING_CAPABILITY = -32021

local levels = {
  debug = 1,
  info = 2,
  notice = 3,
  warning = 4,
  error = 5,
  critical = 6,
  alert = 7,
  emergency = 8,
}

-- The capability that a client needs for a question, and what is wrong with an answer.
local kinds = {
  ["elicitation/create"] = {
    capability = "elicitation",
    is_answer = function(answer)
      return type(answer.action) == "string"
    end,
  },
  ["sampling/createMessage"] = {
    capability = "sampling",
    is_answer = function(answer)
      return type(answer.role) == "string" and type(answer.content) == "table"
    end,
  },
  ["roots/list"] = {
    capability = "roots",
    is_answer = function(answer)
      return type(answer.roots) == "table"
    end,
  },
}

---@class moonwire.mcp.Call
---@field revision string "2025-11-25", "2026-07-28", …
---@field method string "tools/call", …
---@field id string|number
---@field arguments table
---@field request moonwire.Request
---@field user any what app:before has stored in request.user
---@field client { name: string?, version: string? } as the client states it
---@field capabilities table<string, table> of the client
---@field package _server moonwire.mcp.Server
---@field package _outlet moonwire.mcp.Outlet
---@field package _session moonwire.mcp.Session|nil
---@field package _meta table
local Call = { levels = levels }
Call.__index = Call

-- Raised to answer with questions (2026-07-28). jsonrpc does not know it.
local Required = {}

function Call._new(fields)
  fields._asked = 0
  fields.user = fields.request.user
  return setmetatable(fields, Call)
end

-- ---- What a handler sends -------------------------------------------------------------------------------------------------

--- Sends a notification on the stream of the request.
---@package
function Call:_notify(method, params)
  self._outlet:send(json.encode(jsonrpc.notification(method, params)))
end

--- Reports progress, if the client has asked for it.
---@param progress number it must increase with each call
---@param total? number
---@param message? string
---@return boolean was_sent
function Call:progress(progress, total, message)
  options.argument("call:progress", 1, progress, "number")
  local token = self._meta.progressToken
  if type(token) ~= "string" and type(token) ~= "number" then
    return false
  end
  self:_notify("notifications/progress", {
    progressToken = token,
    progress = progress,
    total = total,
    message = message,
  })
  return true
end

--- Sends a line of the log to the client, if it wants that level.
---@param level "debug"|"info"|"notice"|"warning"|"error"|"critical"|"alert"|"emergency"
---@param data any
---@param logger? string
---@return boolean was_sent
function Call:log(level, data, logger)
  if not levels[level] then
    local names = {}
    for name in pairs(levels) do
      names[#names + 1] = name
    end
    local hint = type(level) == "string" and options.hint(level, names, '"') or ""
    local text = "call:log: argument 1 must be a level such as %q, got %s%s"
    options.raise(text:format("info", options.show(level), hint))
  end
  local least = self._session and self._session.level
    or self._meta["io.modelcontextprotocol/logLevel"]
  if not levels[least] or levels[level] < levels[least] then
    return false
  end
  self:_notify("notifications/message", { level = level, data = data, logger = logger })
  return true
end

--- Ends the stream, although the answer is not ready. The client reconnects for it. For a handler
--- that takes long, with clients or proxies that hold few connections.
---@return boolean was_open false: the request has no stream that can be resumed
function Call:cut()
  return self._outlet:cut()
end

-- ---- Questions to the client ----------------------------------------------------------------------------------------------

local function check_questions(self, questions)
  options.argument("call:ask", 1, questions, "table")
  for key, question in pairs(questions) do
    local kind = type(question) == "table" and kinds[question.method]
    if type(key) ~= "string" or not kind then
      local text = "call:ask: the question %s must have the method elicitation/create, "
        .. "sampling/createMessage, or roots/list"
      options.raise(text:format(options.show(key)))
    elseif not self.capabilities[kind.capability] then
      local message = ("the client does not support %q"):format(kind.capability)
      if self._session then
        error({ message = message }, 0)
      end
      local data = { requiredCapabilities = { [kind.capability] = {} } }
      error({ code = MISSING_CAPABILITY, message = message, data = data }, 0)
    end
  end
end

-- A question is a request of the server's own, on the stream of this one.
local function ask_in_session(self, questions)
  local waiting, answers, left = self._session.questions, {}, 0
  local signal, ids = core.signal(), {}
  local _ <close> = setmetatable({}, {
    __close = function()
      for id in pairs(ids) do
        waiting[id] = nil
        self._session.question_count = self._session.question_count - 1
      end
    end,
  })
  for key, question in pairs(questions) do
    if self._session.question_count >= QUESTIONS_MAX then
      return nil, "too many questions wait for their answers", "unavailable"
    end
    local id = crypto.random(9, "base64url")
    ids[id], left = true, left + 1
    self._session.question_count = self._session.question_count + 1
    waiting[id] = function(response)
      if not answers[key] then
        answers[key], left = response, left - 1
      end
      if left == 0 then
        signal:fire()
      end
    end
    self._outlet:send(json.encode(jsonrpc.request(id, question.method, question.params or {})))
  end
  if left > 0 then
    local ok, why = signal:wait(self._server._question_seconds)
    if not ok then
      return nil, why == "timeout" and "the client has not answered in time" or why, why
    end
  end
  local results = {}
  for key, response in pairs(answers) do
    local kind, result = kinds[questions[key].method], response.result
    if response.error then
      return nil, tostring(response.error.message), response.error.code
    elseif type(result) ~= "table" or not kind.is_answer(result) then
      return nil, "the client's answer is malformed", jsonrpc.codes.invalid_params
    end
    results[key] = result
  end
  return results
end

-- What a retry must have in common with the request to which it belongs.
local function target_of(self)
  local params = self._params
  local subject = { self.method, params.name or params.uri or "", params.arguments or {} }
  return crypto.sha256(json.encode(subject), "base64url")
end

-- Reads the answers of earlier rounds, and those of this one.
---@package
function Call:_read_answers()
  local params = self._params
  self._answers = {}
  if params.requestState ~= nil then
    local state = type(params.requestState) == "string" and params.requestState or ""
    local text = crypto.open(self._server._keys, state, { purpose = STATE_PURPOSE })
    local content = text and json.decode(text)
    local is_own = type(content) == "table"
      and content.t == target_of(self)
      and content.u == sessions.user_of(self.request)
    if not is_own then
      local message = "the requestState is invalid, has expired, or belongs to another request"
      error({ code = jsonrpc.codes.invalid_params, message = message }, 0)
    end
    self._answers = content.a
  end
  if type(params.inputResponses) == "table" then
    self._given = params.inputResponses
  elseif params.inputResponses ~= nil then
    local message = "inputResponses must be an object"
    error({ code = jsonrpc.codes.invalid_params, message = message }, 0)
  end
end

-- The client answers in a new request, for which the handler runs again.
local function ask_in_result(self, questions)
  if not self._can_ask then
    options.raise(("call:ask: %s cannot ask the client"):format(self.method))
  end
  local answers, missing = {}, {}
  for key, question in pairs(questions) do
    local answer = self._answers[key]
    if answer == nil then
      answer = self._given and self._given[key]
      if type(answer) ~= "table" or not kinds[question.method].is_answer(answer) then
        answer, missing[key] = nil, question
      end
      self._answers[key] = answer
    end
    answers[key] = answer
  end
  if next(missing) == nil then
    return answers
  end
  for key, question in pairs(missing) do
    missing[key] = { method = question.method, params = question.params or {} }
  end
  local content = { a = self._answers, t = target_of(self), u = sessions.user_of(self.request) }
  local given = { purpose = STATE_PURPOSE, expires_in = STATE_SECONDS }
  local state = crypto.seal(self._server._keys, json.encode(content), given)
  local result = { resultType = "input_required", inputRequests = missing, requestState = state }
  error(setmetatable({ result = result }, Required), 0)
end

--- Asks the client several things at once, and waits for the answers.
---@param questions table<string, { method: string, params: table? }> by a key of the handler's own
---@return table<string, table>|nil answers by key
---@return string|nil message
---@return any code
function Call:ask(questions)
  check_questions(self, questions)
  if self._session then
    return ask_in_session(self, questions)
  end
  return ask_in_result(self, questions)
end

-- A handler asks in the same order each time that it runs.
local function ask_one(self, key, method, params)
  self._asked = self._asked + 1
  key = key or tostring(self._asked)
  local answers, message, code = self:ask { [key] = { method = method, params = params } }
  if not answers then
    return nil, message, code
  end
  return answers[key]
end

--- Asks the user to fill in a form.
---@param message string
---@param schema table of the form: an object with properties
---@param key? string of the question; nil: its number
---@return { action: "accept"|"decline"|"cancel", content: table? }|nil
---@return string|nil message
---@return any code
function Call:elicit(message, schema, key)
  options.argument("call:elicit", 1, message, "string")
  options.argument("call:elicit", 2, schema, "table")
  local params = { message = message, requestedSchema = schema }
  if not self._session or self.revision >= "2025-11-25" then
    params.mode = "form"
  end
  return ask_one(self, key, "elicitation/create", params)
end

--- Asks the client's language model.
---@param params string|table a question, or the parameters of sampling/createMessage
---@param key? string
---@return { role: string, content: table, model: string? }|nil
---@return string|nil message
---@return any code
function Call:sample(params, key)
  if type(params) == "string" then
    params = {
      messages = { { role = "user", content = { type = "text", text = params } } },
      maxTokens = 1000,
    }
  end
  options.argument("call:sample", 1, params, "table")
  return ask_one(self, key, "sampling/createMessage", params)
end

--- Asks for the client's root directories.
---@param key? string
---@return { uri: string, name: string? }[]|nil
---@return string|nil message
---@return any code
function Call:roots(key)
  local answer, message, code = ask_one(self, key, "roots/list")
  if not answer then
    return nil, message, code
  end
  return type(answer.roots) == "table" and answer.roots or {}
end

-- ---- Running --------------------------------------------------------------------------------------------------------------

--- Runs a method, and returns the response.
---@package
function Call:_run(handler, message)
  local function run()
    if not self._session then
      self:_read_answers()
    end
    return handler(self._server, message.params or {}, self)
  end
  local results = table.pack(xpcall(run, jsonrpc._with_trace))
  if not results[1] and getmetatable(results[2]) == Required then
    return jsonrpc.result(message.id, results[2].result)
  end
  return jsonrpc._settle(handler, message, table.unpack(results, 1, results.n))
end

--- Ends the call: its handler's wait returns nil, "closed", and it is not answered.
---@package
function Call:_cancel()
  self._is_cancelled = true
  self._task:cancel "closed"
end

--- Whether what a handler raised is for the protocol, not for the tool's own answer.
---@package
function Call._is_protocol(raised)
  return getmetatable(raised) == Required
    or type(raised) == "table" and math.type(raised.code) == "integer"
end

options.guard(Call, "call")

return Call
