rockspec_format = "3.0"
package = "lua-resty-moonwire"
version = "scm-1"
-- "luarocks make" builds the current directory, and does not fetch anything
source = {
  url = "git+file://.",
}
description = {
  summary = "Publish to moonwire, and sign its tokens, from OpenResty, LuaJIT, and Lua 5.1 to 5.4",
  detailed = [[
Two files in pure Lua. moonwire.publisher sends messages to a moonwire server over HTTP: with cosockets in OpenResty, else with
LuaSocket. moonwire.token signs and verifies JSON Web Tokens with HS256: by the FFI in OpenResty, else with luaossl. Outside
OpenResty, a JSON library is required, too: cjson or dkjson.]],
  license = "MIT",
  labels = { "openresty", "realtime", "sse", "websocket" },
}
dependencies = {
  "lua >= 5.1",
}
build = {
  -- "builtin" would install all of lua/
  type = "none",
  install = {
    lua = {
      ["moonwire.publisher"] = "lua/moonwire/publisher.lua",
      ["moonwire.token"] = "lua/moonwire/token.lua",
    },
  },
}
