-- A board of notes that a language model writes and reads through the Model Context Protocol, and
-- that a page shows live.
--
--     bin/moonwire examples/mcp/app.lua        then open http://127.0.0.1:8080/
--
-- Clients connect to http://127.0.0.1:8080/mcp. MCP_KEY (32 bytes or more) lets their sessions
-- outlive a restart.

local mcp = require "moonwire.mcp"
local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local NOTES_MAX, TEXT_MAX = 100, 500
local notes, order = {}, {} -- by id; the ids, oldest first
local last_id = 0

app:channel("board", { authorize = true, history = { size = NOTES_MAX, replay = NOTES_MAX } })

local server = mcp.server {
  name = "board",
  title = "A board of notes",
  instructions = "Notes are short. Look for a note before you add one that says the same.",
  key = os.getenv "MCP_KEY",
}

local function remove(id)
  notes[id] = nil
  for i, other in ipairs(order) do
    if other == id then
      table.remove(order, i)
    end
  end
  app:publish("board", "removed", { id = id })
  server:updated "board://notes"
end

local function object(properties, required)
  return { type = "object", properties = properties, required = moonwire.array(required or {}) }
end

server:tool("add_note", {
  description = "Adds a note to the board",
  input = object({
    text = { type = "string", description = "What the note says, at most 500 bytes" },
    color = { type = "string", enum = { "yellow", "green", "blue" } },
  }, { "text" }),
}, function(arguments, call)
  local text = arguments.text
  if #text == 0 or #text > TEXT_MAX then
    return false, ("a note has 1 to %d bytes, got %d"):format(TEXT_MAX, #text)
  elseif #order >= NOTES_MAX then
    remove(order[1])
  end
  last_id = last_id + 1
  local id = tostring(last_id)
  notes[id] = { id = id, text = text, color = arguments.color or "yellow", by = call.client.name }
  order[#order + 1] = id
  app:publish("board", "added", notes[id])
  server:updated "board://notes"
  return { id = id }
end)

server:tool("find_notes", {
  description = "Returns the notes that have a text, or all",
  input = object { text = { type = "string" } },
  annotations = { readOnlyHint = true },
}, function(arguments, call)
  local found, wanted = moonwire.array {}, (arguments.text or ""):lower()
  for i, id in ipairs(order) do
    if notes[id].text:lower():find(wanted, 1, true) then
      found[#found + 1] = notes[id]
    end
    call:progress(i, #order)
  end
  return { notes = found }
end)

server:tool("remove_note", {
  description = "Removes a note, if the user agrees",
  input = object({ id = { type = "string" } }, { "id" }),
  annotations = { destructiveHint = true },
}, function(arguments, call)
  local note = notes[arguments.id]
  if not note then
    return false, "there is no such note"
  end
  local answer, message = call:elicit("Remove the note: " .. note.text, object {})
  if not answer or answer.action ~= "accept" then
    return false, message or "the user does not want that"
  end
  remove(note.id)
  return "removed"
end)

server:resource("board://notes", { name = "Notes", mime_type = "text/plain" }, function()
  local lines = {}
  for i, id in ipairs(order) do
    lines[i] = ("%s. %s"):format(id, notes[id].text)
  end
  return table.concat(lines, "\n")
end)

server:prompt("summarize", { description = "Summarizes the board" }, function()
  return "Read the resource board://notes, and say in three sentences what is on the board."
end)

server:mount(app, path .. "mcp")
app:static(path .. "shared", "../shared")
app:static(path, "page")

return app
