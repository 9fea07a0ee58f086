-- The end of a process in every state (spec/support/life.lua): with one worker and with two, under
-- AddressSanitizer; and some of them in valgrind.

local server = require "spec.support.server"

local function environment(flavour)
  local cpath = package.cpath:gsub("%./build/%w+/", "./build/" .. flavour .. "/")
  return ("LUA_PATH=%s LUA_CPATH=%s"):format(server.quote(package.path), server.quote(cpath))
end

local function run(flavour, command, name, workers)
  local line = 'out=$(%s timeout 300 %s lua5.4 spec/support/life.lua %s %d 2>&1) || echo "$? $out"'
  return server.run(line:format(environment(flavour), command, name, workers))
end

local function names()
  local output = server.run(environment "release" .. " lua5.4 spec/support/life.lua list")
  return output:gmatch "%S+"
end

describe("the end of a process", function()
  setup(function()
    assert.is_true(os.execute "make -s FLAVOUR=asan module")
  end)

  local sanitized = "env LD_PRELOAD=$(cc -print-file-name=libasan.so):$(cc -print-file-name=libubsan.so)"
    .. " ASAN_OPTIONS=detect_leaks=1:intercept_tls_get_addr=0"
  local checked = "valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite"
    .. " --fair-sched=yes"

  for name in names() do
    for workers = 1, 2 do
      it(("%s, with %d workers"):format(name, workers), function()
        assert.equal("", run("asan", sanitized, name, workers))
      end)
    end
  end

  for _, name in ipairs {
    "listening",
    "full",
    "stopping",
    "exit_closing",
    "stopped",
    "luv",
    "cqueues",
  } do
    it(("%s, in valgrind"):format(name), function()
      assert.equal("", run("release", checked, name, 1))
      assert.equal("", run("release", checked, name, 2))
    end)
  end
end)
