-- moonwire.token without the core, in the interpreters that a back end may have: what the core refuses, it refuses with the same
-- words. The rows are those of csrc/test/auth/hostile_tokens.h, which the tests of the core run, too.

local core = require("moonwire.core").token
local mime = require "mime"
local moonwire = require "moonwire"
local server = require "spec.support.server"

local KEY = "\3\x23\x35\x4b\x2b\x0f\xa5\xbc\x83\x7e\6\x65\x77\x7b\xa6\x8f" .. ("k"):rep(32)

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- The value of adjacent string literals and macros of C; nil for NULL.
local function value_of(text, macros)
  local parts = {}
  while text ~= "" do
    local literal, rest = text:match '^"(.-[^\\])"%s*(.*)$'
    if text:find '^""' then
      literal, rest = "", text:match '^""%s*(.*)$'
    end
    if literal then
      parts[#parts + 1] = assert(load('return "' .. literal .. '"'))()
    else
      local name
      name, rest = text:match "^([%u_]+)%s*(.*)$"
      if name == "NULL" then
        return nil
      end
      parts[#parts + 1] = assert(macros[name], text)
    end
    text = rest
  end
  return table.concat(parts)
end

-- Splits at the comma that is outside literals.
local function split(row)
  local at, inside = 1, false
  while at <= #row do
    local char = row:sub(at, at)
    if char == "\\" then
      at = at + 1
    elseif char == '"' then
      inside = not inside
    elseif char == "," and not inside then
      return row:sub(1, at - 1), row:sub(at + 1):match "^%s*(.*)$"
    end
    at = at + 1
  end
end

-- The rows of all tables: { token, fault }.
local function read_rows()
  local header, macros, tables, current = read "csrc/test/auth/hostile_tokens.h", {}, {}, nil
  for line in header:gmatch "[^\n]+" do
    local name, value = line:match "^#define ([%u_]+) (.*)$"
    current = line:match "^} (%w+)_rows" or current
    if name then
      macros[name] = value_of(value, macros)
    elseif line:find "^    {" then
      local text, fault = split(line:match "^    {(.*)},")
      tables[current] = tables[current] or {}
      table.insert(tables[current], { value_of(text, macros), value_of(fault, macros) })
    end
  end
  return tables
end

local function base64url(text)
  return (mime.b64(text):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

local function sign(header, claims)
  local text = base64url(header) .. "." .. base64url(claims)
  return text .. "." .. moonwire.crypto.hmac(KEY, text, "base64url")
end

local function rows_of(tables)
  local rows = {}
  for _, row in ipairs(tables.raw) do
    rows[#rows + 1] = row
  end
  for _, row in ipairs(tables.header) do
    rows[#rows + 1] = { sign(row[1], '{"exp":2000}'), row[2] }
  end
  for _, row in ipairs(tables.claim) do
    rows[#rows + 1] = { sign('{"alg":"HS256"}', row[1]), row[2] }
  end
  rows[#rows + 1] = { ("A"):rep(8193), "the token is larger than 8192 bytes" }
  rows[#rows + 1] = {
    sign('{"alg":"HS256","x":' .. ("["):rep(5000), '{"exp":2000}'),
    "malformed header of the token",
  }
  rows[#rows + 1] = {
    sign('{"alg":"HS256","kid":"' .. ("k"):rep(257) .. '"}', '{"exp":2000}'),
    'the "kid" of the token is too long',
  }
  return rows
end

describe("moonwire.token without the core", function()
  local rows, directory

  setup(function()
    rows = rows_of(read_rows())
    directory = server.run "mktemp -d"
    server.run(
      ("mkdir %s/moonwire && cp lua/moonwire/token.lua %s/moonwire"):format(directory, directory)
    )
    local file = assert(io.open(directory .. "/rows.lua", "wb"))
    file:write(("local rows = { key = %q }\n"):format(KEY))
    file:write(
      ("rows.of_core = %q\n"):format(
        moonwire.token.sign(
          { sub = "ä", channels = { "a", 'nn\n"b' } },
          { key = KEY, expires_in = 60 }
        )
      )
    )
    for _, row in ipairs(rows) do
      file:write(("rows[#rows + 1] = { %q, %q }\n"):format(row[1], row[2]))
    end
    file:write "return rows\n"
    file:close()
  end)

  teardown(function()
    server.run("rm -r " .. directory)
  end)

  it("has rows that the core answers as they say", function()
    local verifier = core.new { key = KEY }
    for _, row in ipairs(rows) do
      local claims, why = core.verify(verifier, row[1], 1000 * 1000)
      assert.equal(row[2], why, row[1])
      assert.equal(row[2] == nil, claims ~= nil)
    end
    assert.is_true(#rows > 150)
  end)

  for _, interpreter in ipairs { "luajit", "lua5.1", "lua5.4" } do
    it("answers the same under " .. interpreter, function()
      local command = "env -u LUA_PATH -u LUA_CPATH %s spec/support/portable_tokens.lua %s 2>&1"
      local output = server.run(command:format(interpreter, directory))
      local text, count = output:match "^token (%S+)\nrows (%d+)$"
      assert(text, output)
      assert.equal(#rows, tonumber(count))
      local claims = assert(moonwire.token.verify(text, { key = KEY }))
      assert.equal("änn\n", claims.sub)
      assert.same({ "a", '"b' }, claims.channels)
    end)
  end
end)
