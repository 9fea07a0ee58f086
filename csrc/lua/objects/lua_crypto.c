#include "lua/objects/lua_crypto.h"

#include "lua/base/wait.h"
#include "lua/objects/lua_password.h"

#include <time.h>

/* Pushes nil, a message, and a code. */
static int crypto_fail(lua_State *L, int status) {
  lua_pushnil(L);
  if (status == MW_EFORGED) {
    lua_pushliteral(L, "not made with this key for this purpose, or altered");
    lua_pushliteral(L, "invalid");
  } else if (status == MW_EEXPIRED) {
    lua_pushliteral(L, "expired");
    lua_pushliteral(L, "expired");
  } else {
    return luaL_error(L, "%s", mw_status_text(status));
  }
  return 3;
}

/* random(count) */
static int crypto_random(lua_State *L) {
  luaL_Buffer out;
  size_t count = (size_t)luaL_checkinteger(L, 1);
  char *bytes = luaL_buffinitsize(L, &out, count);
  mw_crypto_random(bytes, count);
  luaL_pushresultsize(&out, count);
  return 1;
}

static int push_hash(lua_State *L, int status, const unsigned char hash[MW_SHA256_SIZE]) {
  if (status < 0) return luaL_error(L, "%s", mw_status_text(status));
  lua_pushlstring(L, (const char *)hash, MW_SHA256_SIZE);
  return 1;
}

/* sha256(text) */
static int crypto_sha256(lua_State *L) {
  struct mw_bytes text = bytes_check(L, 1);
  unsigned char hash[MW_SHA256_SIZE];
  return push_hash(L, mw_crypto_sha256(text.ptr, text.len, hash), hash);
}

/* hmac(key, text) */
static int crypto_hmac(lua_State *L) {
  struct mw_bytes key = bytes_check(L, 1), text = bytes_check(L, 2);
  unsigned char hash[MW_SHA256_SIZE];
  return push_hash(L, mw_crypto_hmac(key.ptr, key.len, text.ptr, text.len, hash), hash);
}

static int push_old_digest(lua_State *L, enum mw_old_digest digest) {
  struct mw_bytes text = bytes_check(L, 1);
  unsigned char hash[MW_OLD_DIGEST_MAX];
  int len = mw_crypto_old_digest(digest, text.ptr, text.len, hash);
  if (len < 0) return luaL_error(L, "%s", mw_status_text(len));
  lua_pushlstring(L, (const char *)hash, (size_t)len);
  return 1;
}

/* md5(text), sha1(text): for the protocols of databases (moonwire.compat.ngx). */
static int crypto_md5(lua_State *L) { return push_old_digest(L, MW_DIGEST_MD5); }
static int crypto_sha1(lua_State *L) { return push_old_digest(L, MW_DIGEST_SHA1); }

/* pbkdf2(password, salt, rounds): likewise. */
static int crypto_pbkdf2(lua_State *L) {
  struct mw_bytes password = bytes_check(L, 1), salt = bytes_check(L, 2);
  lua_Integer rounds = luaL_checkinteger(L, 3);
  luaL_argcheck(L, rounds >= 1 && rounds <= MW_PBKDF2_ROUNDS_MAX, 3, "must be from 1 to 100000 rounds");
  unsigned char hash[MW_SHA256_SIZE];
  return push_hash(L, mw_crypto_pbkdf2(password.ptr, password.len, salt.ptr, salt.len, (uint32_t)rounds, hash), hash);
}

/* equal(a, b) */
static int crypto_equal(lua_State *L) {
  struct mw_bytes a = bytes_check(L, 1), b = bytes_check(L, 2);
  lua_pushboolean(L, mw_crypto_equal(a.ptr, a.len, b.ptr, b.len));
  return 1;
}

/* Returns the time in seconds: that of the server whose handler runs, which a test may move, else
 * the system's. */
static uint64_t now_s(lua_State *L) {
  const struct task *task = door_running(door_get(L));
  return task && task->group->server ? mw_server_time(task->group->server) / 1000 : (uint64_t)time(NULL);
}

typedef int64_t (*seal_fn)(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size);

/* (key, text, purpose, seconds or nil): returns the text that `make` makes. */
static int make_with(lua_State *L, seal_fn make) {
  struct mw_seal seal = {.key = bytes_check(L, 1), .purpose = bytes_check(L, 3)};
  struct mw_bytes text = bytes_check(L, 2);
  luaL_Buffer out;
  if (!lua_isnoneornil(L, 4)) seal.expires_s = now_s(L) + (uint64_t)luaL_checkinteger(L, 4);
  size_t size = mw_crypto_sealed_size(text.len);
  char *made = luaL_buffinitsize(L, &out, size);
  int64_t len = make(&seal, text.ptr, text.len, made, size);
  if (len < 0) return crypto_fail(L, (int)len);
  luaL_pushresultsize(&out, (size_t)len);
  return 1;
}

/* (key, text, purpose): returns the text that `read` reads; or nil, a message, a code. */
static int read_with(lua_State *L, seal_fn read) {
  struct mw_seal seal = {.key = bytes_check(L, 1), .purpose = bytes_check(L, 3)};
  struct mw_bytes text = bytes_check(L, 2);
  luaL_Buffer out;
  seal.now_s = now_s(L);
  char *back = luaL_buffinitsize(L, &out, text.len + 1);
  int64_t len = read(&seal, text.ptr, text.len, back, text.len + 1);
  if (len < 0) return crypto_fail(L, (int)len);
  luaL_pushresultsize(&out, (size_t)len);
  return 1;
}

static int crypto_seal(lua_State *L) { return make_with(L, mw_crypto_seal); }
static int crypto_sign(lua_State *L) { return make_with(L, mw_crypto_sign); }
static int crypto_open(lua_State *L) { return read_with(L, mw_crypto_open); }
static int crypto_verify(lua_State *L) { return read_with(L, mw_crypto_verify); }

void crypto_push(lua_State *L) {
  static const luaL_Reg functions[] = {{"random", crypto_random},
                                       {"sha256", crypto_sha256},
                                       {"hmac", crypto_hmac},
                                       {"md5", crypto_md5},
                                       {"sha1", crypto_sha1},
                                       {"pbkdf2", crypto_pbkdf2},
                                       {"equal", crypto_equal},
                                       {"seal", crypto_seal},
                                       {"open", crypto_open},
                                       {"sign", crypto_sign},
                                       {"verify", crypto_verify},
                                       {"password_hash", password_hash},
                                       {"password_verify", password_verify},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
