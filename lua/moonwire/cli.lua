--- The moonwire command: reads its arguments and hands over to a state of its own for the script.
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local Redis = require "moonwire.redis"
local options = require "moonwire.options"

local cli = {}

local usage = [[
Usage: moonwire [options] app.lua       serve the app that the script returns
       moonwire check [options] app.lua  run the script and print what it defines, without serving
       moonwire hash-password            read a password from standard input and print its hash

Options:
  --listen ADDRESS      HOST:PORT, [::1]:PORT, or unix:PATH (default 127.0.0.1:8080); repeatable
  --private ADDRESS     an address for operators; /publish is then served only there; repeatable
  --unix-mode MODE      permissions of unix sockets (default 0660)
  --workers N           event loops: 1 to 64, or auto, one for each core (default auto)
  --broker URL          a Redis that orders the messages of several servers
  --log-level LEVEL     debug, info (default), warning, or error
  -h, --help            print this text
  -v, --version         print the version

SIGINT and SIGTERM stop the server. A second signal ends the process immediately.
]]

-- By the words for them.
local levels = {
  debug = "debug",
  info = "info",
  warn = "warning",
  warning = "warning",
  error = "error",
}

-- Adds an address. Returns what is wrong with it.
local function add_address(list, name, value)
  table.insert(list, value)
  local fault = core.check_address(value)
  return fault and ("%s: %s"):format(name, fault)
end

-- Flags by name: what reads the value into the settings. A wrong value is returned as a message.
local flags = {
  ["--listen"] = function(settings, value)
    return add_address(settings.listen, "--listen", value)
  end,
  ["--private"] = function(settings, value)
    return add_address(settings.private, "--private", value)
  end,
  ["--unix-mode"] = function(settings, value)
    settings.unix_mode = value
    return not value:find "^0?[0-7][0-7][0-7]$"
        and "--unix-mode must be octal digits like 0660, got " .. value
      or nil
  end,
  ["--workers"] = function(settings, value)
    local number = value:find "^%d+$" and math.tointeger(tonumber(value))
    settings.workers = value == "auto" and value or number
    local is_fine = value == "auto" or number and number >= 1 and number <= 64
    return not is_fine and "--workers must be a number from 1 to 64, or auto, got " .. value or nil
  end,
  ["--broker"] = function(settings, value)
    settings.broker = value
    local _, fault = Redis._of_url(value)
    return fault and "--broker: " .. fault or nil
  end,
  ["--log-level"] = function(settings, value)
    settings.log_level = levels[value]
    return not levels[value] and "--log-level must be debug, info, warning, or error, got " .. value
      or nil
  end,
}

-- Those without a value.
local words = {
  ["--help"] = "help",
  ["-h"] = "help",
  ["--version"] = "version",
  ["-v"] = "version",
}

-- What other servers call --listen.
local foreign = { ["--port"] = true, ["-p"] = true, ["--host"] = true, ["--bind"] = true }

local function unknown(flag)
  if foreign[flag] then
    return ("unknown option %s (use --listen HOST:PORT)"):format(flag)
  end
  local known = { "--help", "--version" }
  for name in pairs(flags) do
    table.insert(known, name)
  end
  return ("unknown option %s%s"):format(flag, options.hint(flag, known, ""))
end

local function add_operand(settings, operand)
  if settings.command == "hash-password" then
    return "hash-password takes no argument; it reads the password from standard input"
  elseif operand == "hash-password" and not settings.script and not settings.check then
    settings.command = settings.command or "hash-password"
  elseif operand == "check" and not settings.script and not settings.check then
    settings.check = true
  elseif operand == "help" and not settings.script and not settings.check then
    settings.command = settings.command or "help"
  elseif settings.script then
    return ("expected one script, got %s and %s"):format(settings.script, operand)
  else
    settings.script = operand
  end
end

-- Reads one argument and returns the index of the next, or nil and a message.
local function read_argument(settings, args, i)
  local argument = args[i]
  local name, value = argument:match "^(%-%-[^=]+)=(.*)$"
  name = name or argument
  if words[name] and not value then
    settings.command = settings.command or words[name]
    return i + 1
  elseif not flags[name] then
    local fault = argument:sub(1, 1) == "-" and unknown(name) or add_operand(settings, argument)
    return not fault and i + 1 or nil, fault
  end
  local next_index = value and i + 1 or i + 2
  value = value or args[i + 1]
  local fault = value and value ~= "" and flags[name](settings, value)
    or (not value or value == "") and name .. " requires a value"
  return not fault and next_index or nil, fault or nil
end

local function read(args)
  local settings =
    { listen = {}, private = {}, workers = "auto", log_level = "info", check = false }
  local i, fault = 1, nil
  while i and i <= #args do
    i, fault = read_argument(settings, args, i)
  end
  if not fault and not settings.command and not settings.script then
    fault = "no script given"
  end
  if #settings.listen == 0 then
    settings.listen[1] = "127.0.0.1:8080"
  end
  return settings, fault
end

-- The shell shows what is typed again, also if it is interrupted.
local read_hidden = "trap 'stty echo' EXIT INT TERM; stty -echo; IFS= read -r line; "
  .. "printf '%s' \"$line\""

-- Reads a line, which a terminal does not show, and prints the hash for a file of users.
local function hash_password()
  local password
  if os.execute "test -t 0" then
    io.stderr:write "Password: "
    local pipe = assert(io.popen(read_hidden))
    password = pipe:read "a"
    pipe:close()
    io.stderr:write "\n"
  else
    password = io.read "l" or ""
  end
  if #password == 0 or #password > 1024 then
    io.stderr:write(("moonwire: a password must have 1 to 1024 bytes, got %d\n"):format(#password))
    return 1
  end
  io.stdout:write(assert(crypto.password_hash(password)), "\n")
  return 0
end

--- The command.
---@param args string[]
---@return integer exit_code 0, 1 (the app cannot run) or 2 (the arguments)
function cli.main(args)
  local settings, fault = read(args)
  if fault then
    io.stderr:write("moonwire: ", fault, "\nTry 'moonwire --help'.\n")
    return 2
  elseif settings.command == "help" then
    io.stdout:write(usage)
    return 0
  elseif settings.command == "version" then
    io.stdout:write("moonwire ", core.version, "\n")
    return 0
  elseif settings.command == "hash-password" then
    return hash_password()
  end
  return core.serve(settings)
end

return cli
