-- Every sh block of the documents runs: its commands one after the other, those that do not end in the background.

local blocks = require "spec.docs.blocks"
local free_port = require("spec.support.ports").free
local server = require "spec.support.server"

-- For pages without a script: what their commands ask for.
local general = [[
local app = require("moonwire").app { publish_key = os.getenv "PUBLISH_KEY" }
app:channel("room:{room}", {
  history = { size = 50 },
  on = { say = function(_, channel, message) return { id = channel:publish("said", message.data) } end },
})
app:channel("price:{symbol}", { history = { size = 50 } })
app:channel("news", { history = { size = 50 } })
app:channel("clock", { history = { size = 50 } })
app:get("/stats", function() return app:stats() end)
app:every(0.1, function() app:publish("price:BTC", "tick", { price = 1 }) end)
return app
]]

-- The script that commands are for: the last one before them on the page, else its first one; of a step of the tutorial
-- without a script, that of the step before.
local function script_of(block)
  local found
  if block.any_app then
    return general
  end
  for _, other in ipairs(blocks.of(block.page)) do
    if blocks.is_script(other) and (other.line < block.line or not found) then
      found = other
    end
  end
  local step = tonumber(block.page:match "tutorial/(%d)%-")
  if not found and step then
    local page = server.run(("ls docs/tutorial/%d-*.md"):format(step - 1))
    return script_of { page = page, line = math.huge }
  end
  return found and found.code or general
end

local environment = "PUBLISH_KEY=secret STATS_KEY=secret KEY=secret"

-- Commands that start a server; what they need is checked by starting it.
local function starts_server(command)
  return command:find "moonwire [%w_]+%.lua" ~= nil
end

-- Lines that belong together: loops, and lines that a backslash continues.
local function commands_of(text)
  if text:find "\n%s*do%s*\n" or text:find "; do\n" then
    return { text }
  end
  local list = {}
  for command in text:gsub("\\\n%s*", ""):gmatch "[^\n]+" do
    list[#list + 1] = command
  end
  return list
end

-- A directory with what commands name: the command, app.lua and hello.lua.
local function prepare(block)
  local directory = server.run "mktemp -d"
  for _, name in ipairs { "app.lua", "hello.lua" } do
    blocks.write(directory .. "/" .. name, script_of(block))
  end
  for _, other in ipairs(blocks.of(block.page)) do
    if other.name then
      blocks.write(directory .. "/" .. other.name, other.code)
    end
  end
  server.run(("mkdir -p %s/bin %s/page"):format(directory, directory))
  local wrapper = ('#!/bin/sh\nexec %s "$@"\n'):format(blocks.command())
  blocks.write(directory .. "/bin/moonwire", wrapper)
  local lua = ('#!/bin/sh\nexport %s\nexec lua5.4 %s "$@"\n'):format(
    blocks.lua_environment(),
    server.run "command -v busted"
  )
  blocks.write(directory .. "/bin/busted", lua)
  server.run("chmod +x " .. directory .. "/bin/*")
  return directory
end

-- The same commands at addresses that are free.
local function relocate(text, directory, ports)
  text = text:gsub("(127%.0%.0%.1:)(%d+)", function(host, port)
    ports[port] = ports[port] or free_port()
    return host .. ports[port]
  end)
  text = text:gsub("0%.0%.0%.0:8080", "127.0.0.1:" .. ports["8080"])
  text = text:gsub("chat%.example%.org", "127.0.0.1:" .. ports["8080"])
  return (text:gsub("/run/moonwire", directory))
end

-- Runs a command; returns its status and what it printed.
local function run(command, directory)
  blocks.write(directory .. "/command.sh", command .. "\n")
  local line =
    'cd %s && PATH=%s/bin:$PATH %s timeout 60 sh command.sh 2>&1 < /dev/null; echo "status $?"'
  local output = server.run(line:format(directory, directory, environment))
  local text, status = output:match "^(.-)\n?status (%d+)$"
  return tonumber(status), text
end

-- An event stream or a loop, which would go on.
local function is_endless(command)
  return command:find "curl [^\n]*%-%a*N" or command:find "while "
end

-- Runs it until something of the server has come; a loop, which has nothing to print, for two seconds. Returns what it printed.
local function run_endless(command, directory)
  blocks.write(directory .. "/command.sh", command .. "\n")
  local line = [[
    exec 2> /dev/null; cd %s; PATH=%s/bin:$PATH %s timeout %d sh command.sh > command.out 2>&1 < /dev/null & p=$!
    while kill -0 $p 2> /dev/null && ! grep -q -E '^(:|retry|id|event|data)|[{]|moonwire:' command.out; do sleep 0.02; done
    sleep 0.1; kill $p; wait $p; cat command.out]]
  return server.run(
    line:format(directory, directory, environment, command:find "while :" and 2 or 60)
  )
end

local function start(command, directory, ports)
  command = command:gsub("%s*#.*", "")
  if not command:find("--listen", 1, true) then
    command = ("%s --listen 127.0.0.1:%s"):format(command, ports["8080"])
  end
  blocks.write(directory .. "/server.sh", "exec env " .. command .. "\n")
  local line = "cd %s && PATH=%s/bin:$PATH %s sh server.sh > server.out 2>&1 & echo $!"
  local pid = server.run(line:format(directory, directory, environment))
  local wait =
    "cd %s; for i in $(seq 3000); do grep -qx ready server.out && exit 0; sleep 0.02; done; cat server.out"
  local output = server.run(wait:format(directory))
  return pid, output
end

local function stop(pid)
  server.run(("kill %s 2>/dev/null; sleep 0.1; kill -KILL %s 2>/dev/null"):format(pid, pid))
end

describe("a sh block of the documents", function()
  for _, block in ipairs(blocks.all "sh") do
    local place = blocks.place(block)
    it(place .. (block.not_run and " is sh" or " runs"), function()
      local directory = prepare(block)
      blocks.write(directory .. "/block.sh", block.text)
      assert.equal("", server.run(("sh -n %s/block.sh 2>&1"):format(directory)))
      if block.not_run then
        server.run("rm -r " .. directory)
        return
      end
      local ports = { ["8080"] = free_port() }
      local commands = commands_of(relocate(block.code, directory, ports))
      local pid
      if not starts_server(commands[1]) then
        local listen = "moonwire app.lua --listen 127.0.0.1:%s --listen unix:%s/app.sock"
        pid = start(listen:format(ports["8080"], directory), directory, ports)
      end
      for _, command in ipairs(commands) do
        if starts_server(command) and not command:find "moonwire check" then
          if pid then
            stop(pid)
          end
          local output
          pid, output = start(command, directory, ports)
          assert.equal("", output, command)
        else
          local output
          if is_endless(command) then
            output = run_endless(command, directory)
          else
            local status
            status, output = run(command, directory)
            -- 28: curl's --max-time
            assert.is_true(status == 0 or status == 28, command .. "\n" .. output)
          end
          local expects_refusal = command:find '"nothing"' or command:find "OPTIONS"
          assert.is_true(
            expects_refusal ~= nil or not output:find '"error"',
            command .. "\n" .. output
          )
        end
      end
      stop(pid)
      server.run("rm -r " .. directory)
    end)
  end
end)
