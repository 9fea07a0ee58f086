-- Answers of a language model, which survive their pages. An answer is a channel: its tokens are
-- messages, and the final one states how it ended. README.md has more.
local moonwire = require "moonwire"
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local BASE, KEY = os.getenv "OPENAI_BASE_URL", os.getenv "OPENAI_API_KEY"
local MODEL, TOKENS = os.getenv "OPENAI_MODEL" or "gpt-4o-mini", 4000

app:channel("asked:{by}", { history = { size = 50, replay = 50, ttl = 86400 }, authorize = true })
app:channel("answer:{id}", {
  history = { size = TOKENS + 2, replay = TOKENS + 2, ttl = 86400 },
  authorize = function(_, channel)
    return app:find(channel.name) ~= nil, "no such answer", "not_found"
  end,
})

-- Publishes the tokens as they arrive. Returns why the answer ended.
local function ask_model(channel, question)
  local count, reason = 0, nil
  local request = {
    url = (BASE or "http://" .. app:address() .. path .. "v1"):gsub("/*$", "/chat/completions", 1),
    headers = { Authorization = KEY and "Bearer " .. KEY },
    json = { model = MODEL, stream = true, messages = { { role = "user", content = question } } },
  }
  for event in moonwire.http.events(request) do
    if event.data == "[DONE]" or count == TOKENS then
      return count == TOKENS and "length" or reason or "stop"
    end
    local chunk = assert(moonwire.json.decode(event.data))
    local choice = assert(chunk.choices, event.data)[1] or { delta = {} }
    if type(choice.delta.content) == "string" and choice.delta.content ~= "" then
      count = count + 1
      assert(channel:publish("token", choice.delta.content))
    end
    reason = type(choice.finish_reason) == "string" and choice.finish_reason or reason
  end
  return reason or assert(not moonwire.sleep(0), "the answer was cut") -- sleep ends a cancelled task
end

-- If it fails or is cancelled, moonwire publishes the final message. A server that is not there is
-- asked again after `pause` seconds: it may restart.
local function answer(channel, question, pause)
  local ok, reason = pcall(ask_model, channel, question)
  if not ok and pause < 20 and reason:find "Could.*connect to server" and moonwire.sleep(pause) then
    return answer(channel, question, 2 * pause)
  elseif not ok then
    app.log.warning("%s: %s", channel.name, reason)
    return false, "the model has failed", "unavailable"
  end
  channel:publish("done", { reason = reason }, { final = true })
end

app:stream("POST", path .. "answers/{id}", function(request, stream)
  local id, question = request.params.id, request.body
  local name, owner = "answer:" .. id, request.query.owner or id
  local is_text = question:find "%S" and (utf8.len(question) or 9999) <= 4000
  if not is_text or #id + #owner > 128 or not (id .. ":" .. owner):find "^%w+:%w+$" then
    error { code = "bad_request", message = "id: letters and digits; question: 1-4000 characters" }
  end
  if not app:find(name) then -- otherwise, the client repeats its request
    assert(app:produce(name, function(channel)
      channel:publish("question", { text = question })
      app:publish("asked:" .. owner, "asked", { id = id, question = question })
      return answer(channel, question, 0.5)
    end))
  end
  stream:follow(name, { since = request.last_event_id, until_final = true })
  stream:close()
end, { origins = true })

app:post(path .. "answers/{id}/stop", function(request)
  local channel = app:find("answer:" .. request.params.id)
  return channel and channel:cancel "stopped" and 204 or 404
end, { origins = true })

if not BASE then
  assert(loadfile((debug.getinfo(1, "S").source:gsub("^@(.*)app", "%1fake"))))(app, path .. "v1/")
end
app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
