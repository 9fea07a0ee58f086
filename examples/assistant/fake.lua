-- A fake of a language model, which speaks the stream of chat completions. The app serves it if no
-- real one is set. It also runs alone:
--
--     bin/moonwire examples/assistant/fake.lua --listen 127.0.0.1:8081
--     curl -N http://127.0.0.1:8081/v1/chat/completions \
--       -d '{"model":"fake","stream":true,"messages":[{"role":"user","content":"Count to 5"}]}'

local moonwire = require "moonwire"

local app, path = ...
app, path = app or moonwire.app {}, path or "/v1/"

local PAUSE = 0.02 -- seconds: 50 tokens a second
local TOKENS = 2000 -- the longest answer

local ANSWER = [[
You asked: “%s”

I am a fake. A real model would answer in small pieces, too. While I do, try to break this answer:

• Reload the page. The answer continues.
• Open it in other tabs. Each one has all of it.
• Disconnect the network. No token is missing or repeated afterward.
• Press Stop. The answer ends in all tabs.

I can also count: ask me to “count to 500”.]]

-- The pieces of an answer: words with the spaces before them.
local function tokens_of(question)
  local tokens, last = {}, math.tointeger(question:match "[Cc]ount to (%d+)")
  for i = 1, math.min(last or 0, TOKENS) do
    tokens[i] = i == 1 and "1" or " " .. i
  end
  if not last then
    for token in ANSWER:gsub("%%s", (question:gsub("%%", "%%%%"))):gmatch "%s*%S+" do
      tokens[#tokens + 1] = #tokens < TOKENS and token or nil
    end
  end
  return tokens
end

-- The question is the content of the last message.
local function read_question(request)
  local asked = request:json()
  local messages = type(asked) == "table" and asked.messages
  local last = type(messages) == "table" and messages[#messages]
  local question = type(last) == "table" and last.content
  return type(question) == "string" and asked.stream == true and question or nil
end

app:stream("POST", path .. "chat/completions", function(request, stream)
  local question = read_question(request)
  if not question then
    local message =
      "the fake needs messages, the last one with a text as its content, and stream: true"
    return 400, { error = { message = message, type = "invalid_request_error" } }
  end
  local id, created = "chatcmpl-" .. moonwire.crypto.random(12, "hex"), os.time()
  local function send(delta, reason)
    return stream:send(nil, {
      id = id,
      object = "chat.completion.chunk",
      created = created,
      model = "fake",
      choices = { { index = 0, delta = delta, finish_reason = reason or moonwire.null } },
    })
  end
  send { role = "assistant", content = "" }
  for _, token in ipairs(tokens_of(question)) do
    if not moonwire.sleep(PAUSE) or not send { content = token } then
      return -- the client has disconnected
    end
  end
  send({}, "stop")
  stream:send(nil, "[DONE]")
  stream:close()
end)

return app
