-- examples/mcp, in memory.

local json = require("moonwire").json
local testing = require "moonwire.testing"

describe("examples/mcp under test", function()
  local server, session

  local function post(method, params, id, result)
    local body =
      { jsonrpc = "2.0", id = id or 1, method = method, params = params, result = result }
    local headers = {
      ["Content-Type"] = "application/json",
      Accept = "application/json",
      Host = "localhost",
      ["Mcp-Session-Id"] = session,
    }
    return server:request("POST", "/mcp", { headers = headers, body = body, within = 5 })
  end

  local function call(name, arguments)
    local result = post("tools/call", { name = name, arguments = arguments }):json().result
    return result.structuredContent or result.content[1].text, result.isError
  end

  before_each(function()
    server = testing.start "examples/mcp/app.lua"
    session = nil
    local params = { protocolVersion = "2025-11-25", clientInfo = { name = "Ann's model" } }
    session = post("initialize", params).headers["mcp-session-id"]
  end)
  after_each(testing.stop_all)

  it("shows a note to the page when a model adds it", function()
    local page = server:connect { channels = { "board" } }
    local note = call("add_note", { text = "Water the plants", color = "green" })
    assert.same({ id = "1" }, note)
    local wanted = { id = "1", text = "Water the plants", color = "green", by = "Ann's model" }
    assert.same(wanted, page:take("added").data)
    call("add_note", { text = "Buy milk" })
    local later = server:connect { channels = { "board" } }
    assert.equal("1", later:take("added").data.id)
    assert.equal("2", later:take("added").data.id)
    assert.same({ notes = { wanted } }, call("find_notes", { text = "PLANTS" }))
    local contents = post("resources/read", { uri = "board://notes" }):json().result.contents
    assert.equal("1. Water the plants\n2. Buy milk", contents[1].text)
    assert.matches("board://notes", json.encode(post("prompts/get", { name = "summarize" }):json()))
  end)

  it("tells the model what is wrong with a note", function()
    for _, case in ipairs {
      { {}, "arguments.text is required" },
      { { text = "" }, "a note has 1 to 500 bytes, got 0" },
      { { text = "x", color = "pink" }, "arguments.color must be one of the values of its enum" },
    } do
      local text, is_error = call("add_note", case[1])
      assert.is_true(is_error)
      assert.truthy(text:find(case[2], 1, true), text)
    end
    assert.equal("there is no such note", (call("remove_note", { id = "7" })))
    call("add_note", { text = "one" })
    -- this client cannot ask its user
    assert.matches("does not support", (call("remove_note", { id = "1" })))
  end)

  it("removes a note if the user agrees", function()
    local capabilities = { elicitation = { form = {} } }
    session =
      post("initialize", { protocolVersion = "2025-11-25", capabilities = capabilities }).headers["mcp-session-id"]
    local page = server:connect { channels = { "board" } }
    for _, action in ipairs { "decline", "accept" } do
      local id = call("add_note", { text = "one" }).id
      local params = { name = "remove_note", arguments = { id = id } }
      local stream = server:stream("/mcp", {
        method = "POST",
        headers = {
          ["Content-Type"] = "application/json",
          Accept = "application/json, text/event-stream",
          Host = "localhost",
          ["Mcp-Session-Id"] = session,
        },
        body = json.encode { jsonrpc = "2.0", id = 7, method = "tools/call", params = params },
        within = 5,
      })
      assert.equal("", stream:take("message").data) -- only an id, to come back with
      local question = json.decode(stream:take("message").data)
      assert.equal("elicitation/create", question.method)
      assert.equal("Remove the note: one", question.params.message)
      post(nil, nil, question.id, { action = action, content = {} })
      local result = json.decode(stream:take("message").data).result
      assert.equal(action == "decline" or nil, result.isError)
      stream:expect_closed()
      if action == "accept" then
        assert.equal(id, page:take("removed").data.id)
      end
    end
  end)

  it("drops the oldest note from a full board", function()
    for i = 1, 101 do
      call("add_note", { text = "note " .. i })
    end
    local found = call("find_notes").notes
    assert.same({ 100, "2" }, { #found, found[1].id })
  end)
end)
