-- The fenced code blocks of README.md and docs/, by the rules that docs/README.md states.

local server = require "spec.support.server"

local blocks = {}

-- Decisions are letters to contributors; the rest is for users.
function blocks.pages()
  local list = { "README.md" }
  local found = server.run "find docs -name '*.md' -not -path 'docs/decisions/*' | sort"
  for path in found:gmatch "[^\n]+" do
    list[#list + 1] = path
  end
  return list
end

local function read_lines(path)
  local file = assert(io.open(path))
  local lines = {}
  for line in file:lines() do
    lines[#lines + 1] = line
  end
  file:close()
  return lines
end

local APP = 'local moonwire = require "moonwire"; local app = moonwire.app {}; %s '

-- What stands in the last line before a block that is not empty: a comment that says how it runs, or a file's name.
local function describe(block, lines, at)
  while at > 0 and lines[at]:find "^%s*$" do
    at = at - 1
  end
  local line = lines[at] or ""
  block.not_run = line:match "^%s*<!%-%- not run: (.-) %-%->$"
  block.any_app = line:find "^%s*<!%-%- any app %-%->$" ~= nil
  block.name = line:match "^`([%w_./-]+)`:$"
  block.before = line:match "^%s*<!%-%- with: (.-) %-%->$" or ""
  local in_app = line:match "^%s*<!%-%- in an app:? ?(.-) ?%-%->$"
  if in_app then
    block.before, block.after = APP:format(in_app), "\nreturn app\n"
  end
end

-- All blocks of a page, in order: page, line (of its first line), language, text, and, if the page says so, name (of a file),
-- not_run (why it cannot run); code is the text with what a comment puts around it.
function blocks.of(page)
  local lines, list, open = read_lines(page), {}, nil
  for i, line in ipairs(lines) do
    local indent, language = line:match "^(%s*)```(.*)$"
    if open and indent and language == "" then
      open.text = table.concat(open, "\n") .. "\n"
      open.code = (open.before or "") .. open.text .. (open.after or "")
      list[#list + 1], open = open, nil
    elseif open then
      local own = line:sub(1, #open.indent)
      table.insert(open, own == open.indent and line:sub(#open.indent + 1) or line)
    elseif indent then
      open = { page = page, line = i + 1, language = language, indent = indent }
      describe(open, lines, i - 1)
    end
  end
  assert(not open, page .. ": a block has no end")
  return list
end

-- The blocks of all pages that have one of the languages.
function blocks.all(...)
  local wanted, list = {}, {}
  for _, language in ipairs { ... } do
    wanted[language] = true
  end
  for _, page in ipairs(blocks.pages()) do
    for _, block in ipairs(blocks.of(page)) do
      if wanted[block.language] then
        list[#list + 1] = block
      end
    end
  end
  return list
end

-- "docs/guide.md:17", for the names of tests.
function blocks.place(block)
  return ("%s:%d"):format(block.page, block.line)
end

-- A script that returns its app.
function blocks.is_script(block)
  return block.language == "lua" and block.code:find "\nreturn app\n$" ~= nil
end

function blocks.write(path, text)
  server.run("mkdir -p '" .. path:match "^(.*)/" .. "'")
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- The command from any directory; a flavour with sanitizers would need their runtime.
function blocks.command()
  return ("env -u MOONWIRE_FLAVOUR lua5.4 %s/bin/moonwire"):format(server.run "pwd")
end

-- Where modules of moonwire are, for programs that run in another directory.
function blocks.lua_environment()
  local root = server.run "pwd"
  local cpath = package.cpath:match "[^;]*build/[^;]*"
  if cpath:sub(1, 1) ~= "/" then
    cpath = root .. "/" .. cpath
  end
  local path = ("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(root, root)
  return ("LUA_PATH='%s' LUA_CPATH='%s;;'"):format(path, cpath)
end

return blocks
