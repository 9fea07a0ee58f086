std = "lua54"
-- StyLua breaks code at 100; what it cannot break may be somewhat longer
max_line_length = 130
max_string_line_length = false
exclude_files = { "build", "node_modules", "lua_modules", ".luarocks" }
-- annotations for editors: declarations without bodies
files["lua/moonwire/core.d.lua"] = { ignore = { "2" } }
-- these run in OpenResty, too
files["lua/moonwire/token.lua"] = { std = "luajit", read_globals = { "ngx" } }
files["lua/moonwire/publisher.lua"] = { std = "luajit", read_globals = { "ngx" } }
-- these run in Redis
files["csrc/broker/scripts"] = { std = "lua51", read_globals = { "redis", "KEYS", "ARGV" } }
files["examples/openresty/lua"] = { std = "ngx_lua" }
-- these run in Redis
files["csrc/broker/scripts"] = { std = "lua51", read_globals = { "redis", "KEYS", "ARGV" } }
-- a filter of pandoc
files["scripts/site/build.lua"] = { std = "lua53", read_globals = { "pandoc" }, globals = { "Pandoc" } }
files["spec"] = { std = "+busted" }
files[".busted"] = { std = "lua54" }
files["*.rockspec"] = { std = "rockspec" }
