-- A server with what the scenarios of the conformance suites ask for, in both revisions of the protocol.
local moonwire = require "moonwire"
local mcp = require "moonwire.mcp"

local app = moonwire.app {}
local server = mcp.server {
  name = "everything",
  title = "Everything",
  version = "1.2.3",
  instructions = "Call the tools whose names begin with test_.",
  key = os.getenv "MCP_KEY",
  cache_seconds = 60,
}

local PIXEL = "\137PNG\13\10\26\10\0\0\0\13IHDR\0\0\0\1\0\0\0\1\8\2\0\0\0\144wS\222\0\0\0\12IDATx\156c\248\207\192\0\0\3\1\1\0"
  .. "\201\254\146\239\0\0\0\0IEND\174B`\130"
local SOUND = "RIFF&\0\0\0WAVEfmt \16\0\0\0\1\0\1\0@\31\0\0\128>\0\0\2\0\16\0data\2\0\0\0\0\0"

local function text_field(name)
  return { type = "object", properties = { [name] = { type = "string" } }, required = { name } }
end

-- ---- Tools ----------------------------------------------------------------------------------------------------------------

server:tool("test_simple_text", { description = "Returns a text" }, function()
  return "This is a simple text response for testing."
end)

server:tool("test_image_content", { description = "Returns an image" }, function()
  return { mcp.image(PIXEL, "image/png") }
end)

server:tool("test_audio_content", { description = "Returns a sound" }, function()
  return { mcp.audio(SOUND, "audio/wav") }
end)

server:tool("test_embedded_resource", { description = "Returns a resource" }, function()
  return {
    mcp.embed("test://embedded-resource", "This is an embedded resource content.", "text/plain"),
  }
end)

server:tool(
  "test_multiple_content_types",
  { description = "Returns several kinds of content" },
  function()
    return {
      mcp.text "Multiple content types test:",
      mcp.image(PIXEL, "image/png"),
      mcp.embed("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    }
  end
)

server:tool("test_tool_with_logging", { description = "Logs while it runs" }, function(_, call)
  for _, text in ipairs {
    "Tool execution started",
    "Tool processing data",
    "Tool execution completed",
  } do
    call:log("info", text)
    moonwire.sleep(0.01)
  end
  return "Tool with logging executed successfully"
end)

server:tool("test_tool_with_progress", { description = "Reports progress" }, function(_, call)
  for _, progress in ipairs { 0, 50, 100 } do
    call:progress(progress, 100, ("Completed step %d of 100"):format(progress))
    moonwire.sleep(0.01)
  end
  return "done"
end)

server:tool("test_error_handling", { description = "Fails" }, function()
  error { message = "This tool intentionally returns an error for testing" }
end)

server:tool(
  "test_reconnection",
  { description = "Ends its stream before it answers" },
  function(_, call)
    call:progress(1)
    call:log("info", "the stream ends now")
    call:cut()
    moonwire.sleep(0.1)
    return "Reconnection test completed successfully."
  end
)

server:tool(
  "test_sampling",
  { description = "Asks the model", input = text_field "prompt" },
  function(arguments, call)
    local answer, message = call:sample(arguments.prompt)
    return answer and "LLM response: " .. tostring(answer.content.text)
      or error { message = message }
  end
)

server:tool(
  "test_elicitation",
  { description = "Asks the user", input = text_field "message" },
  function(arguments, call)
    local answer, message = call:elicit(arguments.message, text_field "response")
    if not answer then
      error { message = message }
    end
    local content = moonwire.json.encode(answer.content or {})
    return ("User response: action=%s, content=%s"):format(answer.action, content)
  end
)

local function elicit_form(properties)
  return function(_, call)
    local form = { type = "object", properties = properties, required = moonwire.array {} }
    local answer, message = call:elicit("Please fill in the form", form)
    if not answer then
      error { message = message }
    end
    local content = moonwire.json.encode(answer.content or {})
    return ("Elicitation completed: action=%s, content=%s"):format(answer.action, content)
  end
end

server:tool(
  "test_elicitation_sep1034_defaults",
  { description = "A form with defaults" },
  elicit_form {
    name = { type = "string", description = "User name", default = "John Doe" },
    age = { type = "integer", description = "User age", default = 30 },
    score = { type = "number", description = "User score", default = 95.5 },
    status = { type = "string", enum = { "active", "inactive", "pending" }, default = "active" },
    verified = { type = "boolean", description = "Verification status", default = true },
  }
)

local function titled(...)
  local list = {}
  for i, title in ipairs { ... } do
    list[i] = { const = "value" .. i, title = title }
  end
  return list
end

local choices = { "option1", "option2", "option3" }
server:tool(
  "test_elicitation_sep1330_enums",
  { description = "A form with choices" },
  elicit_form {
    untitledSingle = { type = "string", enum = choices },
    titledSingle = {
      type = "string",
      oneOf = titled("First Option", "Second Option", "Third Option"),
    },
    legacyEnum = {
      type = "string",
      enum = { "opt1", "opt2", "opt3" },
      enumNames = { "Option One", "Option Two", "Option Three" },
    },
    untitledMulti = {
      type = "array",
      minItems = 1,
      maxItems = 3,
      items = { type = "string", enum = choices },
    },
    titledMulti = {
      type = "array",
      minItems = 1,
      maxItems = 3,
      items = { anyOf = titled("First Choice", "Second Choice", "Third Choice") },
    },
  }
)

server:tool("json_schema_2020_12_tool", {
  description = "Its schema has keywords that are for the client",
  input = {
    ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
    type = "object",
    ["$defs"] = {
      address = {
        ["$anchor"] = "addressDef",
        type = "object",
        properties = { street = { type = "string" }, city = { type = "string" } },
      },
    },
    properties = {
      name = { type = "string" },
      address = { ["$ref"] = "#/$defs/address" },
      contactMethod = { type = "string", enum = { "phone", "email" } },
      phone = { type = "string" },
      email = { type = "string" },
    },
    allOf = { { anyOf = { { required = { "phone" } }, { required = { "email" } } } } },
    ["if"] = {
      properties = { contactMethod = { const = "phone" } },
      required = { "contactMethod" },
    },
    ["then"] = { required = { "phone" } },
    ["else"] = { required = { "email" } },
    additionalProperties = false,
  },
}, function(arguments)
  return arguments
end)

server:tool("test_header", {
  description = "Clients repeat some of its arguments in headers",
  input = {
    type = "object",
    properties = {
      region = { type = "string", ["x-mcp-header"] = "Region" },
      count = { type = "integer", ["x-mcp-header"] = "Count" },
      more = {
        type = "object",
        properties = { urgent = { type = "boolean", ["x-mcp-header"] = "Urgent" } },
      },
    },
  },
}, function(arguments)
  return arguments
end)

-- What spec/mcp_spec.lua asks for: calls that take long, and how they ended.
local counters = { started = 0, cancelled = 0, finished = 0 }

server:tool("wait", {
  description = "Waits",
  input = { type = "object", properties = { seconds = { type = "number" } } },
}, function(arguments, call)
  counters.started = counters.started + 1
  call:progress(0)
  local ok, why = moonwire.sleep(arguments.seconds or 600)
  local how = ok and "finished" or why == "closed" and "cancelled" or why
  counters[how] = (counters[how] or 0) + 1
  return how
end)

server:tool("counters", { description = "Counts how calls of wait ended" }, function()
  return counters
end)

server:tool("whoami", { description = "Who calls" }, function(_, call)
  return { revision = call.revision, client = call.client.name, capabilities = call.capabilities }
end)

server:tool("roots", { description = "Asks for the root directories" }, function(_, call)
  local roots, message = call:roots()
  return roots and { uri = roots[1].uri } or error { message = message }
end)

server:tool("bug", { description = "Has a bug" }, function()
  error "the value of the secret is 42"
end)

server:tool("not_json", { description = "Returns a function" }, function()
  return { print = print }
end)

-- ---- Tools of 2026-07-28 --------------------------------------------------------------------------------------------------

local function question(message, name, kind)
  return {
    method = "elicitation/create",
    params = {
      mode = "form",
      message = message,
      requestedSchema = {
        type = "object",
        properties = { [name] = { type = kind } },
        required = { name },
      },
    },
  }
end

local function sampling(text, most)
  local messages = { { role = "user", content = { type = "text", text = text } } }
  return { method = "sampling/createMessage", params = { messages = messages, maxTokens = most } }
end

local function asking(name, questions, finish)
  server:tool(name, { description = "Asks the client" }, function(_, call)
    return finish(call:ask(questions))
  end)
end

asking("test_input_required_result_elicitation", {
  user_name = question("What is your name?", "name", "string"),
}, function(answers)
  return "Hello, " .. tostring((answers.user_name.content or {}).name)
end)

asking("test_input_required_result_sampling", {
  capital_question = sampling("What is the capital of France?", 100),
}, function(answers)
  return answers.capital_question.content.text
end)

asking(
  "test_input_required_result_list_roots",
  { client_roots = { method = "roots/list" } },
  function(answers)
    return answers.client_roots.roots[1].uri
  end
)

asking(
  "test_input_required_result_request_state",
  { confirm = question("Please confirm", "ok", "boolean") },
  function()
    return "state-ok"
  end
)

asking(
  "test_input_required_result_tampered_state",
  { confirm = question("Please confirm", "ok", "boolean") },
  function()
    return "confirmed"
  end
)

asking("test_input_required_result_multiple_inputs", {
  user_name = question("What is your name?", "name", "string"),
  greeting = sampling("Generate a greeting", 50),
  client_roots = { method = "roots/list" },
}, function(answers)
  return ("%s, %s"):format(answers.greeting.content.text, answers.user_name.content.name)
end)

server:tool(
  "test_input_required_result_multi_round",
  { description = "Asks twice" },
  function(_, call)
    local first = call:ask { step1 = question("Step 1: What is your name?", "name", "string") }
    local second =
      call:ask { step2 = question("Step 2: What is your favorite color?", "color", "string") }
    return ("%s likes %s"):format(first.step1.content.name, second.step2.content.color)
  end
)

server:tool(
  "test_input_required_result_capabilities",
  { description = "Asks what the client can" },
  function(_, call)
    local questions = {}
    if call.capabilities.sampling then
      questions.capital = sampling("What is the capital of France?", 100)
    end
    if call.capabilities.elicitation then
      questions.user_name = question("What is your name?", "name", "string")
    end
    return moonwire.json.encode(call:ask(questions))
  end
)

server:tool("test_missing_capability", { description = "Needs sampling" }, function(_, call)
  return call:sample("Hello?").content.text
end)

server:tool(
  "test_streaming_elicitation",
  { description = "Asks after it has begun to answer" },
  function(_, call)
    call:progress(1)
    return call:elicit("Go on?", text_field "answer").action
  end
)

server:tool("test_logging_tool", { description = "Logs" }, function(_, call)
  call:log("info", "this is for clients that want it")
  return "logged"
end)

server:tool("test_trigger_tool_change", { description = "Changes the list of tools" }, function()
  server:tool("added_later", nil, function() end)
  server:remove("tool", "added_later")
  return "changed"
end)

server:tool(
  "test_trigger_prompt_change",
  { description = "Changes the list of prompts" },
  function()
    server:prompt("added_later", nil, function()
      return ""
    end)
    server:remove("prompt", "added_later")
    return "changed"
  end
)

-- ---- Resources and prompts ------------------------------------------------------------------------------------------------

server:resource("test://static-text", { name = "Static text", mime_type = "text/plain" }, function()
  return "This is the content of the static text resource."
end)

server:resource(
  "test://static-binary",
  { name = "Static image", mime_type = "image/png", binary = true },
  function()
    return PIXEL
  end
)

server:resource(
  "test://watched-resource",
  { name = "Watched", mime_type = "text/plain" },
  function()
    return "It changes."
  end
)

server:resource("test://template/{id}/data", {
  name = "Template",
  mime_type = "application/json",
  complete = {
    id = function(value)
      return { value .. "1", value .. "2" }
    end,
  },
}, function(captures)
  return { id = captures.id, templateTest = true, data = "Data for ID: " .. captures.id }
end)

server:resource("test://asking/{name}", { name = "Asking" }, function(captures, call)
  local answer = call:elicit("May the model read it?", text_field "why")
  return answer and answer.action == "accept" and captures.name .. ": " .. answer.content.why
end)

server:tool(
  "test_update_resource",
  { description = "Says that the watched resource has changed" },
  function()
    server:updated "test://watched-resource"
    return "updated"
  end
)

server:prompt("test_simple_prompt", { description = "A simple prompt" }, function()
  return "This is a simple prompt for testing."
end)

server:prompt("test_prompt_with_arguments", {
  description = "A prompt with arguments",
  arguments = {
    { name = "arg1", description = "First test argument", required = true },
    { name = "arg2", description = "Second test argument", required = true },
  },
  complete = {
    arg1 = function(value)
      local found = {}
      for _, word in ipairs { "paris", "park", "party" } do
        if word:sub(1, #value) == value then
          found[#found + 1] = word
        end
      end
      return found
    end,
  },
}, function(arguments)
  return ("Prompt with arguments: arg1='%s', arg2='%s'"):format(arguments.arg1, arguments.arg2)
end)

server:prompt("test_prompt_with_embedded_resource", {
  description = "A prompt with a resource",
  arguments = {
    { name = "resourceUri", description = "URI of the resource to embed", required = true },
  },
}, function(arguments)
  return {
    {
      role = "user",
      content = mcp.embed(
        arguments.resourceUri,
        "Embedded resource content for testing.",
        "text/plain"
      ),
    },
    { role = "user", content = mcp.text "Please process the embedded resource above." },
  }
end)

server:prompt("test_prompt_with_image", { description = "A prompt with an image" }, function()
  return {
    { role = "user", content = mcp.image(PIXEL, "image/png") },
    { role = "user", content = mcp.text "Please analyze the image above." },
  }
end)

server:prompt(
  "test_input_required_result_prompt",
  { description = "A prompt that asks the client" },
  function(_, call)
    local answers = call:ask {
      user_context = question("What context should the prompt use?", "context", "string"),
    }
    return "Use this context: " .. tostring(answers.user_context.content.context)
  end
)

server:mount(app)

return app
