-- The browser client against the server: in Chromium, in Node, and in Deno.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  return pipe:close(), output
end

local platforms = { "node", "chromium" }
local pipes

-- They mostly wait, so both run at the same time, from when the first result is asked for.
local function begin()
  pipes = {}
  for _, platform in ipairs(platforms) do
    pipes[platform] = assert(io.popen("node spec/client/run.mjs " .. platform .. " 2>&1"))
  end
end

for _, platform in ipairs(platforms) do
  describe("the browser client in " .. platform, function()
    local results

    local function result(name)
      if not results then
        if not pipes then
          begin()
        end
        local output = pipes[platform]:read "a"
        local ok = pipes[platform]:close()
        results = ok and dkjson.decode(output:match "[^\n]*\n?$") or { [name] = output }
      end
      return results[name]
    end

    for name in server.run("node spec/client/run.mjs --names " .. platform):gmatch "%S+" do
      it("stands: " .. name:gsub("_", " "), function()
        assert.equal("ok", result(name))
      end)
    end

    it("leaves no promise that nobody looks after", function()
      assert.is_nil(result "rejection")
    end)
  end)
end

describe("the browser client", function()
  it("sends again as another client, if the server has forgotten the one of its stream", function()
    local script = [[
      local app = require("moonwire").app {}
      app:channel("room:{room}", { on = { say = function(_, _, message) return message.data end } })
      return app
    ]]
    local first, second = server.start(script), server.start(script)
    local output = server.peer("support/forgotten_client.mjs", first.address, second.address)
    local expected = { "hello", "not_found", "again" }
    assert.same({ sse = expected, poll = expected }, dkjson.decode(output))
    first:stop()
    second:stop()
  end)

  it("has declarations that TypeScript takes", function()
    local ok, output = run "node_modules/.bin/deno check spec/client/types.ts"
    assert(ok, output)
  end)

  it("is what its source makes", function()
    local ok, output = run "node scripts/build-client --check"
    assert(ok, output)
  end)

  it("is smaller than 6 KiB, and evaluates no text", function()
    for _, file in ipairs { "client/moonwire.js", "client/moonwire.classic.js" } do
      assert.is_true(tonumber(server.run("gzip -9c " .. file .. " | wc -c")) < 6144, file)
      local text = assert(io.open(file)):read "a"
      assert.is_nil(text:find "eval%(")
      assert.is_nil(text:find "new Function")
    end
  end)

  it("is packed for npm, and works from there", function()
    local ok, output = run [[
      set -e
      folder=$(mktemp -d)
      trap 'rm -rf "$folder"' EXIT
      archive=$(cd client && npm pack --silent --pack-destination "$folder")
      mkdir -p "$folder/node_modules/moonwire"
      tar -xzf "$folder/$archive" -C "$folder/node_modules/moonwire" --strip-components 1
      ls "$folder/node_modules/moonwire"
      cd "$folder"
      echo 'import * as moonwire from "moonwire"; console.log(Object.keys(moonwire).join());' > module.mjs
      node module.mjs
      echo 'require("vm").runInThisContext(require("fs").readFileSync("node_modules/moonwire/moonwire.classic.js", "utf8"))
        console.log("classic " + Object.keys(moonwire).join())' > classic.cjs
      node classic.cjs
    ]]
    assert(ok, output)
    local expected =
      "moonwire.classic.js\nmoonwire.d.ts\nmoonwire.js\npackage.json\nMoonwireError,connect\nclassic connect,MoonwireError\n"
    assert.equal(expected, output)
  end)

  it("has the version of the server", function()
    local package = dkjson.decode(assert(io.open "client/package.json"):read "a")
    local header = assert(io.open "csrc/include/moonwire.h"):read "a"
    assert.equal(header:match 'MW_VERSION "([^"]*)"', package.version)
  end)

  it("runs in Deno", function()
    local app = server.start { path = "spec/client/app.lua" }
    local ok, output =
      run("node_modules/.bin/deno run --quiet --allow-net spec/client/deno.mjs " .. app.address)
    assert(ok, output)
    local line =
      '{"you":"%s","call":%d,"said":"hello","gaps":0,"states":["connecting","open","closed"]}'
    assert.equal(table.concat({
      "websocket " .. line:format("deno", 1),
      "sse " .. line:format("deno", 2),
      "poll " .. line:format("deno", 3),
    }, "\n") .. "\n", output)
    app:stop()
  end)

  it("is taken up by React, and by a store, as the recipes have it", function()
    local app = server.start { path = "spec/client/app.lua" }
    local seen = dkjson.decode(server.peer("client/recipes.mjs", app.address))
    assert.same({
      store = {
        before = "idle",
        after = { status = "joined", value = 6, gap = false },
        rises = true,
        left = "unsubscribed",
      },
      complaints = {},
    }, seen)
    app:stop()
  end)

  it("has a reference that is what its declarations say", function()
    local ok, output = run "node scripts/client-reference --check"
    assert(ok, output)
  end)

  -- The first block of a language in a page of the documentation whose text matches.
  local function block(path, language, pattern)
    for text in assert(io.open(path)):read("a"):gmatch("```" .. language .. "\n(.-)\n *```") do
      if text:find(pattern or "", 1, true) then
        return text
      end
    end
  end

  it("begins with a page that works", function()
    local html = block("docs/how-to/browser.md", "html")
    local app = server.start {
      script = block("docs/how-to/browser.md", "lua"),
      files = { ["page/index.html"] = html, ["page/favicon.ico"] = "" },
    }
    assert.is_true(select(2, html:gsub("\n", "")) <= 9, "ten lines")
    local seen = dkjson.decode(server.peer("client/pages.mjs", "browser", app.address))
    assert.matches("^hello", seen.text)
    assert.same({}, seen.complaints)
    app:stop()
  end)

  it("can be left out: what the page on bare readers says works", function()
    local app = server.start {
      script = [[
        local app = require("moonwire").app {}
        local n = 0
        app:channel("price:{symbol}", { history = { size = 100 } })
        app:channel("room:{room}", {})
        app:get("/page", function() return 200, "<!doctype html><title>page</title>", { ["Content-Type"] = "text/html" } end)
        app:get("/favicon.ico", function() return 204 end)
        app:post("/fill", function(request)
          for _ = 1, tonumber(request.query.count) do
            n = n + 1
            app:publish("price:BTC", "tick", { n = n })
          end
          return { published = n }
        end)
        app:post("/say", function()
          app:publish("room:1", "said", "hello")
          return 204
        end)
        return app
      ]],
    }
    local files = {}
    for i, pattern in ipairs { "let last = null", "new WebSocket" } do
      files[i] = os.tmpname()
      local file = assert(io.open(files[i], "w"))
      file:write(block("docs/how-to/bare.md", "js", pattern))
      file:close()
    end
    local seen =
      dkjson.decode(server.peer("client/pages.mjs", "bare", app.address, table.unpack(files)))
    assert.same({ inOrder = true, first = { "said", "hello" }, complaints = {} }, seen)
    for _, file in ipairs(files) do
      os.remove(file)
    end
    app:stop()
  end)
end)
