-- Finds out on which worker a connection is (Linux). Each worker has an event loop, so each has a descriptor of epoll, and the
-- connections of a worker are watched by that one.

local http = require "spec.support.http"
local server = require "spec.support.server"

local workers = {}

local function read_lines(path)
  local file = io.open(path)
  return file and file:lines() or function() end
end

-- The inodes of the server's ends of all connections to this port, by the port of the client.
local function read_inodes(port)
  local inodes, own = {}, (":%04X$"):format(port)
  for line in read_lines "/proc/net/tcp" do
    local here, there, inode =
      line:match "^%s*%d+: (%S+) %x+:(%x+) %x+ %S+ %S+ %x+%s+%d+%s+%d+ (%d+)"
    if here and here:find(own) then
      inodes[tonumber(there, 16)] = inode
    end
  end
  return inodes
end

-- What the server's descriptors are: the number of each socket by inode, and a list of those of epoll.
local function read_descriptors(pid)
  local sockets, polls = {}, {}
  for line in server.run(("ls -l /proc/%d/fd"):format(pid)):gmatch "[^\n]+" do
    local number, target = line:match "(%d+) %-> (.*)$"
    if target and target:match "eventpoll" then
      polls[#polls + 1] = number
    elseif target and target:match "^socket:" then
      sockets[target:match "%d+"] = number
    end
  end
  return sockets, polls
end

-- Which descriptor of epoll watches each descriptor.
local function read_watchers(pid, polls)
  local watchers = {}
  for _, poll in ipairs(polls) do
    for line in read_lines(("/proc/%d/fdinfo/%s"):format(pid, poll)) do
      local number = line:match "^tfd:%s*(%d+)"
      if number then
        watchers[number] = poll
      end
    end
  end
  return watchers
end

-- Returns the name of the worker of each connection of spec.support.http, over TCP. Each worker has one name, which means
-- nothing.
function workers.of(app, connections)
  local inodes = read_inodes(app.port)
  local sockets, polls = read_descriptors(app.pid)
  local watchers, names = read_watchers(app.pid, polls), {}
  for i, connection in ipairs(connections) do
    local _, port = connection.socket:getsockname()
    local inode = inodes[tonumber(port)]
    local name = inode and watchers[sockets[inode]]
    names[i] = assert(name, "no worker watches the connection")
  end
  return names
end

-- Opens `count` things, each with its connection on a worker of its own. `open(i)` returns one that has a `connection`. All
-- workers must have the same number of connections before.
function workers.open(app, count, open)
  local list, connections, is_taken = {}, {}, {}
  for i = 1, count do
    list[i] = open(i)
    connections[i] = list[i].connection
  end
  for _, name in ipairs(workers.of(app, connections)) do
    assert(not is_taken[name], "two connections are on one worker")
    is_taken[name] = true
  end
  return list
end

local sender = {}
sender.__index = sender

-- Opens a connection on each worker, for requests one after the other: `:start` sends one, `:read` reads its answer, and
-- `:request` does both.
function workers.connect(app, count, timeout)
  return workers.open(app, count, function()
    local self = setmetatable({ connection = http.connect(app, timeout) }, sender)
    assert(self:request("GET", "/health").status == 200)
    return self
  end)
end

function sender:start(method, target, options)
  self.method = method
  assert(self.connection:send(http.format(method, target, options)))
end

function sender:read()
  return self.connection:read_response(self.method)
end

function sender:request(method, target, options)
  self:start(method, target, options)
  return self:read()
end

return workers
