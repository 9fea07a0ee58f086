-- Starts examples/openresty: moonwire, a second one for /members/, and nginx.

local nginx = require "spec.openresty.nginx"
local server = require "spec.support.server"

local example = {}
example.__index = example

local KEY = ("k"):rep(40)

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- Starts a server at {dir}/NAME.sock; {dir}/NAME_private.sock publishes.
function example:start_app(name, env)
  local dir = self.nginx.directory
  local args = "--listen unix:%s/%s.sock --private unix:%s/%s.sock --unix-mode 0666"
  local app = server.start {
    path = "examples/openresty/app.lua",
    args = args:format(dir, name, dir, name == "app" and "private" or name .. "_private"),
    env = "PUBLISH_KEY=secret " .. (env or "TOKEN_KEY=" .. KEY),
    setup = "umask 022;",
  }
  return app
end

function example.start()
  local self = setmetatable({}, example)
  self.nginx = nginx.prepare(read "examples/openresty/moonwire.conf", {
    { "/usr/local/share/lua/5.1", "{dir}/rock" },
    { "/etc/nginx/moonwire", "{dir}/site" },
    { "/etc/moonwire", "{dir}/keys" },
    { "/run/moonwire", "{dir}" },
  })
  local dir = self.nginx.directory
  server.run(
    ("mkdir %s/keys; cp -r examples/openresty %s/site; chmod -R a+rX %s/site"):format(dir, dir, dir)
  )
  server.run(
    ("echo %s > %s/keys/token_key; echo secret > %s/keys/publish_key"):format(KEY, dir, dir)
  )
  self.app = self:start_app "app"
  self.members = self:start_app("members", "MEMBERS=1")
  self.nginx:run()
  return self
end

function example:stop()
  self.nginx:finish()
  self.app:stop()
  self.members:stop()
  self.nginx:stop()
end

return example
