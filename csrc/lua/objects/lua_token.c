#include "lua/objects/lua_token.h"

#include <time.h>

#include "lua/base/enter.h"

static const char type_name[] = "moonwire.verifier";

static struct mw_token *check_token(lua_State *L, int index) { return *(struct mw_token **)luaL_checkudata(L, index, type_name); }

struct mw_token *token_field(lua_State *L, int index, const char *name) {
  struct mw_token *token = lua_getfield(L, index, name) == LUA_TNIL ? NULL : check_token(L, -1);
  lua_pop(L, 1);
  return token;
}

static const char *text_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = luaL_optstring(L, -1, NULL);
  lua_pop(L, 1); /* the table holds it */
  return text;
}

static struct mw_bytes bytes_field(lua_State *L, const char *name) {
  struct mw_bytes bytes = {NULL, 0};
  lua_getfield(L, 1, name);
  if (!lua_isnil(L, -1)) bytes = bytes_check(L, -1);
  lua_pop(L, 1);
  return bytes;
}

static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

/* Pushes a value that owns the list. */
static void read_algorithms(lua_State *L, struct mw_token_options *options) {
  lua_getfield(L, 1, "algorithms");
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    names[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  options->algorithms = names;
  options->algorithm_count = count;
}

/* new(options): returns a verifier; or nil and what is wrong. */
static int token_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct mw_error error = {""};
  struct mw_token_options options = {.key = bytes_field(L, "key"),
                                     .public_key = text_field(L, "public_key"),
                                     .jwks_file = text_field(L, "jwks_file"),
                                     .issuer = text_field(L, "issuer"),
                                     .audience = text_field(L, "audience"),
                                     .cookie = text_field(L, "cookie"),
                                     .exp_optional = flag_field(L, "exp_optional")};
  lua_getfield(L, 1, "leeway");
  options.leeway_ms = (uint64_t)(luaL_optnumber(L, -1, 0) * 1000);
  lua_pop(L, 1);
  read_algorithms(L, &options);
  struct mw_token **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, type_name);
  if (mw_token_new(box, &options, &error) == 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, error.text);
  return 2;
}

static int token_collect(lua_State *L) {
  struct mw_token **box = luaL_checkudata(L, 1, type_name);
  mw_token_unref(*box);
  *box = NULL;
  return 0;
}

/* now(): returns milliseconds since 1970: the time of the server whose handler runs, which a test
 * may move, else the system's. */
static int token_now(lua_State *L) {
  const struct task *task = door_running(door_get(L));
  struct timespec now;
  if (task && task->group->server) {
    lua_pushinteger(L, (lua_Integer)mw_server_time(task->group->server));
    return 1;
  }
  timespec_get(&now, TIME_UTC);
  lua_pushinteger(L, (lua_Integer)now.tv_sec * 1000 + now.tv_nsec / 1000000);
  return 1;
}

/* verify(verifier, text, now): returns the claims in JSON; or nil, why, and a code. */
static int token_verify(lua_State *L) {
  struct mw_token *token = check_token(L, 1);
  struct mw_bytes text = bytes_check(L, 2);
  struct mw_error error = {""};
  luaL_Buffer out;
  char *claims = luaL_buffinitsize(L, &out, MW_TOKEN_MAX);
  int len = mw_token_verify(token, text.ptr, text.len, (uint64_t)luaL_checkinteger(L, 3), claims, NULL, &error);
  if (len >= 0) {
    luaL_pushresultsize(&out, (size_t)len);
    return 1;
  }
  return failure_push(L, error.text, len == MW_EEXPIRED ? "token_expired" : len == MW_ENOMEM ? "unavailable" : "unauthorized");
}

/* sign(signer, claims): returns a token; or nil and what is wrong. */
static int token_sign(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct mw_bytes claims = bytes_check(L, 2);
  struct mw_error error = {""};
  struct mw_token_signer signer = {.key = bytes_field(L, "key"),
                                   .private_key = text_field(L, "private_key"),
                                   .algorithm = text_field(L, "algorithm"),
                                   .kid = text_field(L, "kid")};
  luaL_Buffer out;
  char *text = luaL_buffinitsize(L, &out, MW_TOKEN_MAX);
  int len = mw_token_sign(&signer, claims.ptr, claims.len, text, &error);
  if (len >= 0) {
    luaL_pushresultsize(&out, (size_t)len);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error.text);
  return 2;
}

void token_open(lua_State *L) {
  luaL_newmetatable(L, type_name);
  lua_pushcfunction(L, token_collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void token_push(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", token_new}, {"verify", token_verify}, {"sign", token_sign}, {"now", token_now}, {NULL, NULL}};
  luaL_newlib(L, functions);
}

/* ---- Methods of a server --------------------------------------------------------------------- */

/* server:ticket(user, seconds): returns a ticket for a user in JSON; or nil, why, and a code. */
static int make_ticket(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes user = bytes_check(L, 2);
  struct mw_error error = {""};
  char text[MW_TICKET_LEN];
  uint64_t valid_ms = (uint64_t)(luaL_checknumber(L, 3) * 1000);
  int status = mw_server_ticket(host->server, user.ptr, user.len, valid_ms, text, &error);
  if (status == 0) {
    lua_pushlstring(L, text, sizeof text);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error.text);
  lua_pushstring(L, status == MW_EINVAL ? "misuse" : status == MW_ETOOLARGE ? "too_large" : "unavailable");
  return 3;
}

const luaL_Reg token_methods[] = {{"ticket", make_ticket}, {NULL, NULL}};
