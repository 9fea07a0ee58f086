-- The other code blocks of the documents: JavaScript, JSON, HTTP, systemd's; and that there is none that nobody runs.

local blocks = require "spec.docs.blocks"
local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"

-- What pages find: their channels, messages that keep coming, and a job that ends.
local script = [[
local app = require("moonwire").app {}
app:channel("room:{room}", {
  history = { size = 50, readable = true },
  presence = true,
  on = { say = function(_, channel, message)
    return { id = channel:publish("said", message.data) }
  end },
})
app:channel("price:{symbol}", { history = { size = 5 } })
app:channel("clock", { history = { size = 1 } })
app:channel("job:{id}", { history = { size = 5, replay = 5 } })
app:channel("answer:{id}", { history = { size = 5, replay = 5 } })
app:stream("POST", "/answers/{id}", function(_, stream)
  stream:send("token", "hello")
  stream:close()
end)
app:post("/session/token", function() return "token" end)
app:after(0, function()
  app:publish("job:7", "step", { step = 1, of = 2 })
  app:publish("job:7", "done", {}, { final = true })
end)
app:every(0.05, function()
  app:publish("room:1", "said", { text = "hello" })
  app:publish("price:BTC", "tick", { price = 1 })
  app:publish("clock", "tick", { time = 1 })
end)
return app
]]

-- Where the blocks of each language are run or compared.
local runners = {
  lua = "spec/docs/lua_blocks_spec.lua",
  sh = "spec/docs/sh_blocks_spec.lua",
  js = "spec/docs/other_blocks_spec.lua",
  json = "spec/docs/other_blocks_spec.lua",
  http = "spec/docs/other_blocks_spec.lua",
  ini = "spec/docs/other_blocks_spec.lua",
  html = "spec/browser/docs_spec.lua",
  nginx = "spec/proxies/proxies_spec.lua",
  haproxy = "spec/proxies/proxies_spec.lua",
  caddyfile = "spec/proxies/proxies_spec.lua",
  redis = "spec/docs/redis_blocks_spec.lua",
  c = "scripts/check-docs",
  ts = "scripts/client-reference",
  elixir = "nothing: it is code of Phoenix, for comparison",
  [""] = "nothing: it shows what is printed or sent",
}

local other_runners = {
  ["docs/how-to/openresty.md"] = { nginx = "spec/openresty/how_to_spec.lua" },
  ["docs/operations/cluster.md"] = { haproxy = "spec/proxies/cluster_spec.lua" },
}

describe("the documents", function()
  it("have no block that nobody runs", function()
    for _, page in ipairs(blocks.pages()) do
      for _, block in ipairs(blocks.of(page)) do
        local others = other_runners[block.page] or {}
        local runner = others[block.language] or runners[block.language]
        assert.is_string(runner, blocks.place(block) .. ": language " .. block.language)
        assert.is_truthy(block.language ~= "elixir" or block.not_run, blocks.place(block))
        local file = io.open(runner)
        assert.is_true(file ~= nil or runner:find "^nothing" ~= nil, runner)
        if file then
          file:close()
        end
      end
    end
  end)

  it("have JSON that is JSON", function()
    for _, block in ipairs(blocks.all "json") do
      local text = block.code:gsub("{…}", "{}"):gsub("%[…%]", "[]")
      local value, _, message = dkjson.decode(text)
      assert.is_not_nil(value, blocks.place(block) .. ": " .. tostring(message))
    end
  end)

  it("have heads of responses as they are", function()
    local app = server.start { script = script }
    for _, block in ipairs(blocks.all "http") do
      local connection = http.connect(app)
      assert(connection:send(http.format("GET", "/sse?channel=room:1")))
      local head = connection:read_head().head .. "\r\n"
      connection:close()
      for line in block.code:gmatch "[^\n]+" do
        assert.is_truthy(head:find(line .. "\r\n", 1, true), blocks.place(block) .. ": " .. line)
      end
    end
    app:stop()
  end)

  it("have code of other products that is JavaScript", function()
    local directory, count = server.run "mktemp -d", 0
    for _, block in ipairs(blocks.all "js") do
      if block.not_run and block.page:find "coming%-from" then
        blocks.write(directory .. "/block.mjs", block.code)
        local output = server.run(("node --check %s/block.mjs 2>&1; true"):format(directory))
        assert.equal("", output, blocks.place(block))
        count = count + 1
      end
    end
    server.run("rm -r " .. directory)
    assert.is_true(count >= 4)
  end)

  it("have a unit for systemd whose commands are right", function()
    for _, block in ipairs(blocks.all "ini") do
      local directory = server.run "mktemp -d"
      blocks.write(directory .. "/app.lua", script)
      local count = 0
      for key, command in block.code:gmatch "\n(Exec%w+)=([^\n]+)" do
        command =
          command:gsub("/usr/local/bin/moonwire", blocks.command()):gsub("/run/moonwire", directory)
        local line = [[
          exec 2> /dev/null; cd %s; %s > out 2>&1 & p=$!
          while kill -0 $p && ! grep -qx ready out; do sleep 0.05; done
          kill $p; wait $p; status=$?; cat out; echo "status $status"]]
        local output = server.run(line:format(directory, command))
        -- the service goes on until it is stopped, and then ends cleanly
        local wanted = key == "ExecStart" and "\nready\n.*status 0$" or "status 0$"
        assert.matches(wanted, output, blocks.place(block))
        count = count + 1
      end
      assert.equal(2, count)
      for line in block.code:gmatch "[^\n]+" do
        assert.is_truthy(line:find "^%[%w+%]$" or line:find "^%u%w+=%S", line)
      end
      server.run("rm -r " .. directory)
    end
  end)

  it("have JavaScript that runs", function()
    local app = server.start { script = script }
    local list = {}
    for _, block in ipairs(blocks.all "js") do
      if not block.not_run then
        list[#list + 1] = { place = blocks.place(block), code = block.code }
      end
    end
    local directory = server.run "mktemp -d"
    blocks.write(directory .. "/blocks.json", dkjson.encode(list))
    local command = "node spec/docs/run_js.mjs %s < %s/blocks.json 2>&1"
    local output = server.run(command:format(app.address, directory))
    server.run("rm -r " .. directory)
    assert.equal("[]", output)
    assert.is_true(#list > 10)
    app:stop()
  end)
end)
