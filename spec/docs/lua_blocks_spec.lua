-- Every Lua block of the documents runs.

local blocks = require "spec.docs.blocks"
local server = require "spec.support.server"
local testing = require "moonwire.testing"

-- A block that stands alone, or with the named files of its page, in a directory of its own.
local function write_page(block)
  local directory = server.run "mktemp -d"
  for _, other in ipairs(blocks.of(block.page)) do
    if other.name then
      blocks.write(directory .. "/" .. other.name, other.text)
    end
  end
  server.run(("mkdir -p %s/page"):format(directory))
  local name = block.name or "block.lua"
  blocks.write(directory .. "/" .. name, block.code)
  return directory, name
end

-- Names for what a pattern captures: "room:{room}" is "room:1".
local function example_of(pattern)
  return (pattern:gsub("{[^}]*}", "1"))
end

-- Lets every handler that a stranger reaches run: joins all channels over all transports, sends all events, requests all
-- routes, opens all raw streams and WebSockets, and lets some time pass. What the app refuses is no error.
local function exercise(directory, name)
  local started = testing.start(directory .. "/" .. name)
  local paths = started.app._settings.paths or {}
  for _, definition in ipairs(started.app._channels) do
    local channel = example_of(definition.pattern)
    for transport, endpoint in pairs { websocket = "ws", sse = "sse", poll = "poll" } do
      local given = { transport = transport, channels = { channel } }
      local client = paths[endpoint] ~= false and started:try_connect(given)
      for _, event in ipairs(client and definition.events or {}) do
        client:try_send(channel, event.event, { text = "hello" }, { within = 5 })
      end
      if client then
        client:disconnect()
      end
    end
  end
  for _, route in ipairs(started.app._routes) do
    local path = example_of(route.pattern)
    if route.websocket then
      local socket = started:try_websocket(path, { within = 5 })
      if socket and not socket.closed then
        socket:send "hello"
      end
    elseif route.is_stream then
      local body = route.method ~= "GET" and '{"text":"hello"}' or nil
      started:try_stream(path, { method = route.method, body = body, within = 5 })
    else
      started:request(route.method, path, { body = '{"text":"hello"}', within = 40 })
    end
  end
  started:advance(70)
  started:stop()
end

local all = blocks.all "lua"

describe("a Lua block of the documents", function()
  local environment = blocks.lua_environment()

  after_each(function()
    pcall(testing.stop_all)
  end)

  it("uses no name that nobody has defined", function()
    local directory = server.run "mktemp -d"
    for i, block in ipairs(all) do
      if not block.not_run then
        local name = ("%s/%03d_%s_%d.lua"):format(
          directory,
          i,
          block.page:gsub("[/.]", "_"),
          block.line
        )
        blocks.write(name, block.code)
      end
    end
    local command =
      "cd %s && luacheck --no-color --no-config --codes --std lua54+busted --only 11 -q . 2>&1"
    local output = server.run(command:format(directory))
    server.run("rm -r " .. directory)
    assert.matches("Total: 0 warnings / 0 errors", output)
  end)

  for _, block in ipairs(all) do
    local place = blocks.place(block)
    if block.not_run then
      it(place .. " is Lua", function()
        assert(load(block.text, place) or load("return function() " .. block.text .. " end", place))
      end)
    elseif blocks.is_script(block) then
      it(place .. " is an app, whose handlers run", function()
        local directory, name = write_page(block)
        local command = "cd %s && %s check %s 2>&1; echo $?"
        local output = server.run(command:format(directory, blocks.command(), name))
        assert.matches("\n0$", output)
        exercise(directory, name)
        server.run("rm -r " .. directory)
      end)
    elseif not block.name then
      it(place .. " is a program", function()
        local directory, name = write_page(block)
        local command = "cd %s && %s timeout 60 lua5.4 %s 2>&1 < /dev/null; echo $?"
        local output = server.run(command:format(directory, environment, name))
        assert.matches("^0$", output:match "%d+$", output)
        server.run("rm -r " .. directory)
      end)
    end
  end
end)
