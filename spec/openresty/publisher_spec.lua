-- moonwire.publisher in the interpreters that back ends have, against a real server, and against one that answers badly.

local dkjson = require "dkjson"
local http = require "spec.support.http"
local server = require "spec.support.server"
local unreliable = require "spec.openresty.unreliable"

local script = [[
local app = require("moonwire").app { publish_key = "k" }
app:channel("room:{room}", { history = { size = 5000, bytes = 10000000, readable = true } })
app:get("/numbers", function()
  local list = {}
  for i, message in ipairs(app:find("room:1"):history { limit = 1000 }) do
    list[i] = message.data
  end
  return list
end)
return app
]]

local function read(path)
  local file = io.open(path)
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

-- The numbers of the history, in order.
local function numbers_of(app)
  return dkjson.decode(http.get(app, "/numbers").body)
end

local function expect_numbers(app, count)
  local wanted = {}
  for i = 1, count do
    wanted[i] = i
  end
  assert.same(wanted, numbers_of(app))
end

for _, interpreter in ipairs { "luajit", "lua5.1", "lua5.4" } do
  describe("moonwire.publisher under " .. interpreter, function()
    local rock, app

    setup(function()
      rock = server.run "mktemp -d"
      server.run(
        ("mkdir %s/moonwire && cp lua/moonwire/publisher.lua %s/moonwire"):format(rock, rock)
      )
    end)

    teardown(function()
      server.run("rm -r " .. rock)
    end)

    before_each(function()
      app = server.start {
        script = script,
        args = "--listen 127.0.0.1:0 --listen unix:{folder}/app.sock",
      }
    end)

    after_each(function()
      app:stop()
    end)

    local function start(address, plan)
      local command =
        "env -u LUA_PATH -u LUA_CPATH timeout 200 %s spec/openresty/publish_plan.lua %s %s %s > %s/out 2>&1 &"
      server.run("rm -f " .. rock .. "/out")
      os.execute(command:format(interpreter, rock, address, plan, rock))
      return function()
        return read(rock .. "/out")
      end
    end

    local function run(address, plan)
      local output = start(address, plan)
      server.run(
        ("timeout 200 sh -c 'until grep -q -e ^done -e traceback %s/out; do sleep 0.01; done'"):format(
          rock
        )
      )
      return output()
    end

    local function run_before(list, plan)
      local front = unreliable.new(app, list)
      return front:serve_until_done(start(front.address, plan)), front
    end

    it("publishes, and says what is wrong", function()
      local expected = [[
publish: id
nothing: id
volatile: true
raw: id
once: true
not found: nil no pattern matches the channel "nowhere" (status 404) not_found
]]
      for _, address in ipairs { "unix:" .. app.folder .. "/app.sock", app.address } do
        local output = run(address, "everything")
        assert.equal(expected, output:sub(1, #expected), output)
        assert.matches("\nno event: nil .* bad_request\n", output)
        assert.matches("\nnot JSON: nil .* bad_request\n", output)
        assert.matches("\ntoo large: nil .* too_large\n", output)
        assert.matches(
          "\nnot data: nil the data cannot be encoded in JSON: .* bad_request\n",
          output
        )
        local batch = "batch: 3\n1: id\n2: not_found\n3: bad_request\n4: bad_request\n5: {}\n"
        assert.is_truthy(output:find(batch .. "many: 2500 0 true\n", 1, true), output)
        assert.matches("the channel must be a string, got number\n", output)
        assert.matches("unknown option 'kye'\ndone\n$", output)
      end
    end)

    it("loses nothing and repeats nothing when answers are cut at each byte", function()
      local output, front = run_before(function(n)
        -- each answer is cut after n bytes, and then passed
        return n % 2 == 1 and (n - 1) / 2 or "pass"
      end, "numbers,260")
      assert.equal("done\n", output)
      assert.is_true(front.answer_length < 260, "the answers were cut everywhere")
      expect_numbers(app, 260)
    end)

    it("does so with batches, too", function()
      local output = run_before(function(n)
        return n % 2 == 1 and (n * 3) or "pass"
      end, "batches,100")
      assert.equal("done\n", output)
      expect_numbers(app, 300)
    end)

    it("bears a server that is slow, refuses for a while, or closes connections", function()
      local list = {
        "pass",
        "close",
        "pass",
        "close",
        "close",
        "refuse",
        "refuse",
        "refuse",
        "pass",
        "hang",
        "pass",
        "drip",
        "drip",
        "chunks",
        "old",
        "refuse",
        "close",
        "hang",
        "hang",
        "chunks",
        0,
        0,
        0,
        20,
        "old",
      }
      local output = run_before(function(n)
        return list[n] or "pass"
      end, "numbers,40,timeout=0.15")
      assert.equal("done\n", output)
      expect_numbers(app, 40)
    end)

    it("gives up at its deadline", function()
      local output = run_before(function()
        return "refuse"
      end, "fails,deadline=1")
      local said = "no reason was given %(status 503%) unavailable\n"
      assert.matches("^publish: nil " .. said .. "batch: nil " .. said, output)
      output = run_before(function()
        return "hang"
      end, "fails,deadline=0.6,timeout=0.2")
      said = "127.0.0.1:%d+ did not answer in time timeout\n"
      assert.matches("^publish: nil " .. said .. "batch: nil " .. said, output)
      output = run_before(function()
        return "rubbish"
      end, "fails")
      said = "127.0.0.1:%d+ does not answer in HTTP/1.1 bad_response\n"
      assert.matches("^publish: nil " .. said .. "batch: nil " .. said, output)
      output = run("unix:/nowhere/at.sock", "fails,deadline=0.05")
      assert.matches(
        "^publish: nil cannot connect to unix:/nowhere/at.sock: [^\n]+ unavailable\n",
        output
      )
    end)
  end)
end
