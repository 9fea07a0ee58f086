-- `make`, as the README has it, on a compiler that knows more warnings than ours.

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo $?"))
  local output = pipe:read "a"
  pipe:close()
  return tonumber(output:match "(%d+)%s*$"), output
end

describe("make", function()
  local directory

  before_each(function()
    local pipe = assert(io.popen "mktemp -d")
    directory = pipe:read "l"
    pipe:close()
  end)

  after_each(function()
    os.execute(("rm -r '%s'"):format(directory))
  end)

  -- Compiles one file with a warning that it is known to cause.
  local function compile(options)
    local command = "env -u LD_PRELOAD make -s B='%s' CFLAGS=-Wpadded %s '%s/obj/base/log.o'"
    return run(command:format(directory, options, directory))
  end

  it("builds where a newer compiler warns", function()
    local code, output = compile ""
    assert.equal(0, code, output)
    assert.matches("warning: .*%[%-Wpadded%]", output)
  end)

  it("fails there in our own tests", function()
    local code, output = compile "WERROR=1"
    assert.equal(2, code)
    assert.matches("error: .*%[%-Werror=padded%]", output)
    local file = assert(io.open "scripts/test")
    assert.matches("\nmake=[^\n]*WERROR=1", file:read "a")
    file:close()
  end)
end)

it("scripts/demo refuses what is not a port", function()
  for _, args in ipairs { "--port", "--port=", "--port abc", "--prot 8080", "--listen" } do
    local pipe = io.popen("./scripts/demo " .. args .. " 2>&1; echo $?")
    assert.matches("scripts/demo.*\n2\n$", pipe:read "a")
    pipe:close()
  end
end)

describe("the README", function()
  it("says that the demo and the first app use one port", function()
    local function read(path)
      local file = assert(io.open(path))
      local text = file:read "a"
      file:close()
      return text
    end
    assert.matches("MOONWIRE_LISTEN:%-127%.0%.0%.1:8080", read "scripts/demo")
    assert.matches(
      "Stop the demo before you continue: the next app uses the same port",
      read "README.md"
    )
  end)
end)
