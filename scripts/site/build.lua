-- The filter with which pandoc builds the site of the documents (scripts/site/build). One run of pandoc makes all pages: starting
-- it takes longer than a page.
--
-- A page of docs/ keeps its place, and what a page links to outside docs/ is below source/. README.md becomes index.html, unless
-- there is an index.md. A link to a directory leads to its README.md, or else to a list of its files.

local root, out = os.getenv "MOONWIRE_ROOT", os.getenv "MOONWIRE_SITE"

local TEMPLATE = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<link rel="stylesheet" href="%s">
</head>
<body>
<header><a href="%s">moonwire</a></header>
<main>
%s
</main>
</body>
</html>
]]

-- What browsers show as it is.
local COPIED = { png = true, svg = true }

-- The text of a file; nil if there is none, and true for a directory.
local function read(path)
  local file = io.open(root .. "/" .. path, "rb")
  if not file then
    return nil
  end
  local text = file:read "a"
  file:close()
  return text or true
end

local function is_directory(path)
  return read(path) == true
end

local function quote(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

-- The names in a directory of the tree.
local function list_directory(path)
  local names = {}
  local list = io.popen("LC_ALL=C ls " .. quote(root .. "/" .. path))
  for name in list:lines() do
    names[#names + 1] = name
  end
  list:close()
  return names
end

local function directory_of(path)
  return path:match "^(.*)/[^/]*$" or ""
end

-- "a/b/../c" is "a/c"; nil if it leaves the tree.
local function normalize(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      if #parts == 0 then
        return nil
      end
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

-- The place of a file of the tree in the site.
local function place_of(path)
  local place = path:match "^docs/(.*)$" or "source/" .. path
  if place:match "%.(%w+)$" == "md" then
    if place:find "README%.md$" and not read(directory_of(path) .. "/index.md") then
      place = place:gsub("README%.md$", "index.md")
    end
    return (place:gsub("%.md$", ".html"))
  elseif COPIED[place:match "%.(%w+)$"] then
    return place
  elseif is_directory(path) then
    return place .. "/index.html"
  end
  return place .. ".html"
end

-- The link from one place of the site to another.
local function relative(from, to)
  return ("../"):rep(select(2, from:gsub("/", ""))) .. to
end

local made = {}

local function write(place, text)
  local directory = out .. "/" .. directory_of(place)
  if not made[directory] then
    made[directory] = os.execute("mkdir -p " .. quote(directory))
  end
  local file = assert(io.open(out .. "/" .. place, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function escape(text)
  return (text:gsub("[&<]", { ["&"] = "&amp;", ["<"] = "&lt;" }))
end

local function write_page(place, title, body)
  local style, home = relative(place, "style.css"), relative(place, "index.html")
  write(place, TEMPLATE:format(escape(title), style, home, body))
end

local function to_html(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "html"))
end

local known, queue, broken = {}, {}, {}

local function enqueue(path)
  if not known[path] then
    known[path] = true
    queue[#queue + 1] = path
  end
end

-- A link of a page as a link of the site. What it leads to becomes a page, too.
local function translate(path, target)
  if target:find "^%a[%w+.-]*:" or target:find "^#" or target == "" then
    return target
  end
  local name, anchor = target:match "^([^#]*)(#?.*)$"
  local to = normalize(directory_of(path) .. "/" .. name)
  if to and is_directory(to) and read(to .. "/README.md") then
    to = to .. "/README.md"
  end
  if not to or not read(to) then
    broken[#broken + 1] = ("%s: the link %s leads nowhere"):format(path, target)
    return target
  end
  enqueue(to)
  return relative(place_of(path), place_of(to)) .. anchor
end

local function title_of(document, path)
  for _, block in ipairs(document.blocks) do
    if block.t == "Header" then
      return pandoc.utils.stringify(block.content) .. " · moonwire"
    end
  end
  return path
end

local function build_markdown(path)
  local document = pandoc.read(read(path), "gfm")
  local translated = document:walk {
    Link = function(link)
      link.target = translate(path, link.target)
      return link
    end,
    Image = function(image)
      image.src = translate(path, image.src)
      return image
    end,
    -- a wide table scrolls, and not the page
    Table = function(element)
      return pandoc.Div({ element }, { class = "table" })
    end,
  }
  write_page(place_of(path), title_of(document, path), to_html(translated.blocks))
end

local function build_directory(path)
  local items = {}
  for _, name in ipairs(list_directory(path)) do
    items[#items + 1] = pandoc.Plain { pandoc.Link(name, translate(path .. "/x", name)) }
  end
  write_page(place_of(path), path, to_html { pandoc.Header(1, path), pandoc.BulletList(items) })
end

-- A file of the tree, without colors: that takes pandoc seconds for the larger ones.
local function build_file(path)
  if COPIED[path:match "%.(%w+)$"] then
    return write(place_of(path), read(path))
  end
  local body = "<h1>%s</h1>\n<pre><code>%s</code></pre>"
  write_page(place_of(path), path, body:format(escape(path), escape(read(path))))
end

local function build(path)
  if is_directory(path) then
    build_directory(path)
  elseif path:find "%.md$" then
    build_markdown(path)
  else
    build_file(path)
  end
end

-- The input is a list of the pages.
function Pandoc(document)
  for path in pandoc.utils.stringify(document):gmatch "%S+" do
    enqueue(path)
  end
  local i = 0
  while i < #queue do
    i = i + 1
    build(queue[i])
  end
  for _, line in ipairs(broken) do
    io.stderr:write(line, "\n")
  end
  print(("%d pages and files in %s"):format(#queue, out))
  os.exit(#broken == 0)
end
