-- The poll loop of docs/how-to/poll.md, as printed there, run by sh.

local socket = require "socket"
local http = require "spec.support.http"
local free_port = require("spec.support.ports").free
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("room:{room}", { history = { size = 50, replay = 10 } })
app:post("/say/{text}", function(request)
  return { id = app:publish("room:1", "said", request.params.text .. "\n\\ end", { final = request.query.final == "yes" }) }
end)
return app
]]

-- The fenced block of sh that has the text.
local function read_block(text)
  local file = assert(io.open "docs/how-to/poll.md")
  local page = file:read "a"
  file:close()
  for block in page:gmatch "\n```sh\n(.-\n)```\n" do
    if block:find(text, 1, true) then
      return block
    end
  end
  error("the page has no block with " .. text)
end

describe("the poll loop", function()
  local app, folder

  local function read(name)
    local file = io.open(folder .. "/" .. name)
    local text = file and file:read "a" or ""
    if file then
      file:close()
    end
    return text
  end

  -- Waits until what the loop printed has the pattern.
  local function await(name, pattern)
    local deadline = socket.gettime() + 30
    while not read(name):find(pattern) do
      assert(socket.gettime() < deadline, ("no %q in %s"):format(pattern, read(name)))
      socket.sleep(0.02)
    end
  end

  local function say(path)
    assert.equal(200, http.request(app, "POST", "/say/" .. path, { body = "" }).status)
  end

  local function said()
    local texts = {}
    for line in read("out"):gmatch "[^\n]+" do
      local word = line:match '"data":"(.-)\\n\\\\ end"' or line:match '"event":"(moonwire:end)"'
      texts[#texts + 1] = word or line
    end
    return texts
  end

  it("prints each message once, over a restart, and ends with the channel", function()
    local listen = "--listen 127.0.0.1:" .. free_port()
    app = server.start { script = script, args = listen }
    folder = server.run "mktemp -d"
    local file = assert(io.open(folder .. "/loop.sh", "w"))
    file:write((read_block("/poll?channel="):gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. app.port)))
    file:close()
    say "one"
    local command = "cd '%s'; { timeout 200 sh loop.sh; echo $? > code; } > out 2> err &"
    os.execute(command:format(folder))
    await("out", "one")
    say "two"
    say "three"
    await("out", "three")

    local began = socket.gettime()
    app:stop()
    await("err", "curl")
    app = server.start { script = script, args = listen }
    local away = socket.gettime() - began
    await("out", 'room:1"\n') -- the gap of the restart
    say "four"
    await("out", "four")
    say "five?final=yes"
    await("code", "\n")
    app:stop()
    assert.equal("0\n", read "code")
    assert.same({ "one", "two", "three", '"room:1"', "four", "five", "moonwire:end" }, said())
    -- it waits for a second between two attempts
    local _, refused = read("err"):gsub("curl", "")
    assert.is_true(refused <= away + 2, read "err")
    os.execute("rm -r '" .. folder .. "'")
  end)
end)
