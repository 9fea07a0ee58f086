-- bench/run: a smoke run, and what it writes.
-- (spec.support: this spec starts servers, and they run without sanitizers.)

local function run(command)
  local plain = "env -u LD_PRELOAD -u MOONWIRE_PRELOAD -u MOONWIRE_FLAVOUR "
  local pipe = assert(io.popen(plain .. command .. ' 2>&1; echo "status $?"'))
  local output = pipe:read "a"
  pipe:close()
  return tonumber(output:match "status (%d+)%s*$"), output
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then
    file:close()
  end
  return text
end

describe("bench/run", function()
  local directory

  before_each(function()
    directory = select(2, run "mktemp -d"):match "[^\n]+"
  end)

  after_each(function()
    run(("rm -r '%s'"):format(directory))
  end)

  it("measures every server that is installed, and names the others", function()
    local out = directory .. "/deep/smoke.md"
    local status, output = run("bench/run --quick --out " .. out)
    assert.equal(0, status, output)
    local text = assert(read(out))
    assert.matches("A smoke run", text)
    assert.matches("| Processor |", text, 1, true)
    assert.matches("Every subscriber received every message once, in order, and unchanged", text)
    for _, name in ipairs {
      "moonwire",
      "write loop",
      "joined write",
      "ws",
      "socket.io",
      "better-sse",
      "nchan",
      "lua-http",
    } do
      local is_measured = text:find("| " .. name .. " |", 1, true)
      local is_skipped = text:find("- " .. name .. ": ", 1, true)
      assert.is_truthy(is_measured or is_skipped, name)
      if is_skipped then
        assert.matches("skipped " .. name .. ": needs ", output, 1, true)
      end
    end
    assert.is_nil(text:find("- moonwire: ", 1, true))
    -- a row of moonwire without a figure that is missing
    local rows = 0
    for row in text:gmatch "\n(| moonwire |[^\n]*)" do
      rows = rows + 1
      assert.is_nil(row:find("| – ", 1, true), row)
    end
    assert.is_true(rows >= 8, text)
    assert.matches("\n| one POST at a time | [%d.]+ %(", text)
  end)

  it("draws what it has measured", function()
    local status, output =
      run(("bench/run --quick --only 'moonwire,joined write' --out %s/a.md"):format(directory))
    assert.equal(0, status, output)
    local text = read(directory .. "/a.md")
    local plots = 0
    for name in text:gmatch "%]%((a%-[%w-]+%.svg)%)" do
      plots = plots + 1
      local svg = assert(read(directory .. "/" .. name), name)
      assert.matches("^<svg ", svg)
      assert.matches("</svg>\n$", svg)
      assert.is_nil(svg:find "NaN" or svg:find "Infinity" or svg:find "undefined", name)
    end
    assert.is_true(plots >= 6, text)
    assert.is_truthy(read(directory .. "/a.json"))
    local has_workers = select(2, run "bin/moonwire --help"):find("--workers", 1, true)
    if has_workers then
      assert.matches("\n| 2 | [%d.]+ %(", text)
    else
      assert.matches("Not measured: this build of moonwire has no option", text)
    end
  end)

  it("puts the plot of a whole run into the README, in place of an earlier one", function()
    local marks = { "<!-- plot: written by bench/run -->", "<!-- end of plot -->" }
    local readme = read "README.md"
    for _, mark in ipairs(marks) do
      assert.matches(mark, readme, 1, true)
    end
    local path, plot = directory .. "/README.md", directory .. "/b-cpu-16.svg"
    for name, text in pairs { [path] = readme, [plot] = "<svg/>" } do
      local file = assert(io.open(name, "wb"))
      file:write(text)
      file:close()
    end
    local code =
      'import { updateReadme } from "%s/bench/support/results.mjs"; updateReadme("%s", "%s/b.md");'
    local tree = select(2, run "pwd"):match "[^\n]+"
    local update = "node --input-type=module -e '" .. code:format(tree, path, directory) .. "'"
    assert.equal(0, (run(update)))
    local once = read(path)
    assert.matches(marks[1] .. "\n\n![", once, 1, true)
    assert.matches("](" .. plot .. ")", once, 1, true)
    assert.equal(0, (run(update)))
    assert.equal(once, read(path))
  end)

  it("says what a server lacks", function()
    local status, output = run(
      ("LUA_PATH='/none/?.lua' bench/run --quick --only 'joined write,lua-http' --out %s/a.md"):format(
        directory
      )
    )
    assert.equal(0, status, output)
    local what = "lua-http for Lua 5.1 (scripts/install-deps --for bench)"
    assert.matches("skipped lua-http: needs " .. what, output, 1, true)
    assert.matches("- lua-http: " .. what, read(directory .. "/a.md"), 1, true)
  end)

  it("says what is wrong with its options", function()
    for options, message in pairs {
      ["--quik"] = "bench/run %-%-help lists the options",
      ["--only nothing"] = 'no server "nothing"; there are: moonwire, write loop',
      ["--rounds 0"] = '%-%-rounds is "0", and must be a whole number from 1',
    } do
      local status, output = run("bench/run " .. options)
      assert.equal(2, status, output)
      assert.matches(message, output)
    end
  end)
end)
