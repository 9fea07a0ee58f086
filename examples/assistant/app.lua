-- Answers of a language model, which survive their pages. An answer is a channel: its tokens are
-- messages, and the final one states how it ended. README.md has more.
local moonwire = require "moonwire"
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local BASE, KEY = os.getenv "OPENAI_BASE_URL", os.getenv "OPENAI_API_KEY"
local MODEL, TOKENS = os.getenv "OPENAI_MODEL" or "gpt-4o-mini", 4000
local SILENCE, DAY = 30, 86400 -- seconds
local running = {} -- by id: "asked", or "stopped"

app:channel("asked:{owner}", { history = { size = 50, replay = 50, ttl = DAY }, authorize = true })
app:channel("answer:{id}", {
  history = { size = TOKENS + 2, replay = TOKENS + 2, ttl = DAY },
  authorize = function(_, channel)
    return app:find(channel.name) ~= nil, "no such answer", "not_found"
  end,
})

-- Publishes the tokens as they arrive. Returns why the answer ended, or nil if it was cut.
local function ask_model(id, question)
  local count, reason = 0, nil
  local request = {
    url = (BASE or "http://" .. app:address() .. path .. "v1"):gsub("/*$", "/chat/completions", 1),
    headers = { Authorization = KEY and "Bearer " .. KEY },
    json = { model = MODEL, stream = true, messages = { { role = "user", content = question } } },
    timeout = SILENCE,
  }
  for event in moonwire.http.events(request) do
    if event.data == "[DONE]" or count == TOKENS or running[id] == "stopped" then
      return count == TOKENS and "length" or reason or "stop"
    end
    local chunk = assert(moonwire.json.decode(event.data))
    local choice = assert(chunk.choices, event.data)[1] or { delta = {} }
    if type(choice.delta.content) == "string" and choice.delta.content ~= "" then
      count = count + 1
      assert(app:publish("answer:" .. id, "token", choice.delta.content))
    end
    reason = type(choice.finish_reason) == "string" and choice.finish_reason or reason
  end
  return reason
end

local function answer(id, question, pause)
  local ok, reason = pcall(ask_model, id, question)
  if not ok and reason:find "Could.*connect to server" and pause < 20 and moonwire.sleep(pause) then
    return answer(id, question, 2 * pause) -- it may restart
  elseif not ok or not reason then
    app.log.warning("answer %s: %s", id, reason or "the answer was cut")
  end
  reason = running[id] == "stopped" and "stopped" or ok and reason or "failed"
  app:publish("answer:" .. id, "done", { reason = reason }, { final = true })
  running[id] = nil
end

app:post(path .. "answers/{id}", function(request)
  local id, owner = request.params.id, request.query.owner or request.params.id
  local question = (utf8.len(request.body) or 9999) <= 4000 and request.body:match "%S.*"
  if not question or not (id .. ":" .. owner):find "^%w+:%w+$" or #id + #owner > 128 then
    error { code = "bad_request", message = "a question is text of up to 4000 characters" }
  end
  if not app:find("answer:" .. id) then -- otherwise, the client repeats its request
    assert(app:publish("answer:" .. id, "question", { text = question }))
    assert(app:publish("asked:" .. owner, "asked", { id = id, question = question }))
    running[id] = app:spawn(answer, id, question, 0.5) and "asked"
  end
  return 202
end, { origins = true })

app:post(path .. "answers/{id}/stop", function(request)
  local id = request.params.id
  running[id] = running[id] and "stopped"
  return running[id] and 204 or 404
end, { origins = true })

if not BASE then
  local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
  assert(loadfile(here .. "fake.lua"))(app, path .. "v1/")
end
app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
