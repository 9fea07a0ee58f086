rockspec_format = "3.0"
package = "moonwire"
version = "scm-1"
-- "luarocks make" builds the current directory, and does not fetch anything
source = {
  url = "git+file://.",
}
description = {
  summary = "Real-time message server: WebSocket, Server-Sent Events, and long polling from one Lua script",
  detailed = [[
A C core on libuv and llhttp handles connections, HTTP, history, and fan-out. One Lua script defines the channels, decides
who may subscribe, and publishes. The command `moonwire app.lua` serves it.]],
  license = "MIT",
  labels = { "sse", "realtime", "http", "pubsub", "server" },
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.4",
}
-- The Makefile finds llhttp: libllhttp by pkg-config, or the sources in Debian's node-llhttp
external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  CRYPTO = { header = "openssl/crypto.h", library = "crypto" },
  ZLIB = { header = "zlib.h", library = "z" },
  JANSSON = { header = "jansson.h", library = "jansson" },
  HIREDIS = { header = "hiredis/hiredis.h", library = "hiredis" },
  -- its header is in a directory of the architecture on some systems, where LuaRocks does not look
  CURL = { library = "curl" },
}
build = {
  type = "make",
  build_target = "module",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
    CRYPTO_INCDIR = "$(CRYPTO_INCDIR)",
    CRYPTO_LIBDIR = "$(CRYPTO_LIBDIR)",
    ZLIB_INCDIR = "$(ZLIB_INCDIR)",
    ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
    JANSSON_INCDIR = "$(JANSSON_INCDIR)",
    JANSSON_LIBDIR = "$(JANSSON_LIBDIR)",
    HIREDIS_INCDIR = "$(HIREDIS_INCDIR)",
    HIREDIS_LIBDIR = "$(HIREDIS_LIBDIR)",
    CURL_LIBDIR = "$(CURL_LIBDIR)",
  },
  install_target = "install",
  install_variables = {
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_BINDIR = "$(BINDIR)",
  },
  copy_directories = { "docs", "examples" },
}
test = {
  type = "command",
  command = "./scripts/test",
}
