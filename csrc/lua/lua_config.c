/* Defines an app from the tables that lua/moonwire/app.lua has checked. */
#include "lua/lua_config.h"

#include <stdlib.h>
#include <string.h>

#include "lua/lua_broker.h"
#include "lua/objects/lua_token.h"
#include "lua/request/lua_http.h"
#include "lua/request/lua_request.h"

enum limit_type {
  LIMIT_SIZE,
  LIMIT_TIME, /* seconds in Lua, milliseconds in C */
  LIMIT_RATE
};

struct limit {
  const char *name;
  size_t offset;
  enum limit_type type;
};

#define BYTES_LIMIT(field)                                                                                                       \
  { #field, offsetof(struct mw_limits, field), LIMIT_SIZE }
#define TIME_LIMIT(field)                                                                                                        \
  { #field "_seconds", offsetof(struct mw_limits, field##_ms), LIMIT_TIME }
#define RATE_LIMIT(field, burst_name)                                                                                            \
  {#field, offsetof(struct mw_limits, field.per_second), LIMIT_RATE}, {                                                          \
    burst_name, offsetof(struct mw_limits, field.burst), LIMIT_SIZE                                                              \
  }

static const struct limit limits[] = {
    BYTES_LIMIT(target),
    BYTES_LIMIT(head),
    BYTES_LIMIT(fields),
    BYTES_LIMIT(body),
    BYTES_LIMIT(message_size),
    BYTES_LIMIT(outbox),
    BYTES_LIMIT(replay),
    BYTES_LIMIT(replay_bytes),
    BYTES_LIMIT(history),
    BYTES_LIMIT(ws_message_size),
    BYTES_LIMIT(input_backlog),
    BYTES_LIMIT(queue),
    BYTES_LIMIT(channels),
    BYTES_LIMIT(connections),
    BYTES_LIMIT(client_channels),
    BYTES_LIMIT(client_names),
    BYTES_LIMIT(address_names),
    BYTES_LIMIT(address_polls),
    BYTES_LIMIT(address_connections),
    BYTES_LIMIT(user_connections),
    RATE_LIMIT(address_handshakes, "address_handshakes_burst"),
    RATE_LIMIT(rate, "burst"),
    RATE_LIMIT(verb_rate, "verb_burst"),
    BYTES_LIMIT(marks),
    BYTES_LIMIT(waiting),
    TIME_LIMIT(head),
    TIME_LIMIT(message),
    TIME_LIMIT(body),
    TIME_LIMIT(idle),
    TIME_LIMIT(answer),
    TIME_LIMIT(heartbeat),
    TIME_LIMIT(connect),
    TIME_LIMIT(ping),
    TIME_LIMIT(pong),
    TIME_LIMIT(progress),
    TIME_LIMIT(drain),
    TIME_LIMIT(poll),
    TIME_LIMIT(poll_client),
};

static uint64_t to_ms(lua_Number seconds) { return (uint64_t)(seconds * 1000 + 0.5); }

/* A burst that is not set belongs to the default rate; with another rate, it follows from that. */
static void forget_burst(lua_State *L, int index, const char *name, struct mw_rate *rate) {
  if (lua_getfield(L, index, name) != LUA_TNIL) rate->burst = 0;
  lua_pop(L, 1);
}

static void read_limits(lua_State *L, int index, struct mw_limits *out) {
  forget_burst(L, index, "rate", &out->rate);
  forget_burst(L, index, "verb_rate", &out->verb_rate);
  forget_burst(L, index, "address_handshakes", &out->address_handshakes);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    char *field = (char *)out + limits[i].offset;
    if (lua_getfield(L, index, limits[i].name) == LUA_TNIL) {
      lua_pop(L, 1);
      continue;
    }
    if (limits[i].type == LIMIT_RATE) {
      double rate = luaL_checknumber(L, -1);
      memcpy(field, &rate, sizeof rate);
    } else if (limits[i].type == LIMIT_TIME) {
      uint64_t ms = to_ms(luaL_checknumber(L, -1));
      memcpy(field, &ms, sizeof ms);
    } else {
      size_t size = (size_t)luaL_checkinteger(L, -1);
      memcpy(field, &size, sizeof size);
    }
    lua_pop(L, 1);
  }
}

/* Returns the string in that field, or NULL. It lives as long as the table. */
static const char *read_string(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *string = luaL_optstring(L, -1, NULL);
  lua_pop(L, 1);
  return string;
}

/* A NUL would end the key for the core, but not for the sender. */
static const char *read_key(lua_State *L, int index) {
  const char *key = read_string(L, index, "publish_key");
  lua_getfield(L, index, "publish_key");
  if (key && strlen(key) != lua_rawlen(L, -1)) luaL_error(L, "publish_key: has a NUL");
  lua_pop(L, 1);
  return key;
}

static lua_Number read_number(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  lua_Number number = luaL_optnumber(L, -1, 0);
  lua_pop(L, 1);
  return number;
}

static bool read_boolean(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* The table in field "deflate": { off=, min=, server_takeover=, client_takeover= }, as
 * lua/moonwire/options.lua makes it. */
static void read_deflate(lua_State *L, int index, struct mw_deflate_options *out) {
  if (lua_getfield(L, index, "deflate") == LUA_TTABLE) {
    int table = lua_gettop(L);
    out->is_off = read_boolean(L, table, "off");
    out->server_takeover = read_boolean(L, table, "server_context_takeover");
    out->client_takeover = read_boolean(L, table, "client_context_takeover");
    out->min = (size_t)read_number(L, table, "min");
  }
  lua_pop(L, 1);
}

struct mw_config *config_read(lua_State *L, int index, struct host *host) {
  struct mw_config_options options;
  int top = lua_gettop(L);
  mw_config_options_init(&options);
  if (lua_getfield(L, index, "limits") == LUA_TTABLE) read_limits(L, lua_gettop(L), &options.limits);
  lua_pop(L, 1);
  read_deflate(L, index, &options.deflate);
  if (lua_getfield(L, index, "broker") == LUA_TTABLE) broker_read(L, lua_gettop(L), &options.broker);
  options.proxy_headers = (enum mw_proxy_headers)read_number(L, index, "proxy_headers");
  options.rate_closes = read_boolean(L, index, "rate_closes");
  options.authenticate = read_boolean(L, index, "authenticate");
  options.token = token_field(L, index, "token");
  options.connects = read_boolean(L, index, "connects");
  options.disconnects = read_boolean(L, index, "disconnects");
  options.publish_key = read_key(L, index);
  options.path_sse = read_string(L, index, "sse");
  options.path_ws = read_string(L, index, "ws");
  options.path_send = read_string(L, index, "send");
  options.path_publish = read_string(L, index, "publish");
  options.path_health = read_string(L, index, "health");
  options.path_ready = read_string(L, index, "ready");
  options.path_poll = read_string(L, index, "poll");
  options.path_client = read_string(L, index, "client");
  options.on_request = request_start;
  options.on_cancel = request_cancel;
  options.context = host;
  host->answer_ms = options.limits.answer_ms;
  struct mw_config *config = NULL;
  struct mw_error error = {""};
  if (mw_config_new(&config, &options, &error) != 0) luaL_error(L, "%s", error.text);
  lua_settop(L, top); /* without the sentinels */
  return config;
}

static struct host *check_defining(lua_State *L) {
  struct host *host = host_check(L, 1);
  if (host->server || host->closed) luaL_error(L, "the app is running");
  return host;
}

/* Returns the number that the core assigned; or nil and what is wrong. */
static int push_defined(lua_State *L, int status, const struct mw_error *error) {
  if (status >= 0) {
    lua_pushinteger(L, status);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error->text[0] ? error->text : mw_status_text(status));
  return 2;
}

static unsigned read_hooks(lua_State *L, int index) {
  static const struct {
    const char *name;
    unsigned hook;
  } hooks[] = {
      {"authorize", MW_HOOK_AUTHORIZE}, {"open", MW_HOOK_OPEN},    {"join", MW_HOOK_JOIN},     {"leave", MW_HOOK_LEAVE},
      {"close", MW_HOOK_CLOSE},         {"on_slow", MW_HOOK_SLOW}, {"info", MW_HOOK_PRESENCE},
  };
  unsigned found = 0;
  for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
    if (read_boolean(L, index, hooks[i].name)) found |= hooks[i].hook;
  }
  return found;
}

static struct mw_rate read_rate(lua_State *L, int index, const char *rate, const char *burst) {
  return (struct mw_rate){.per_second = read_number(L, index, rate), .burst = (size_t)read_number(L, index, burst)};
}

/* Reads the list of { event =, relay =, keep =, rate =, burst = } in field "events", and pushes one value that owns
 * the rules. The names live as long as the list. */
static void read_events(lua_State *L, int index, struct mw_channel_options *out) {
  lua_getfield(L, index, "events");
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  int list = lua_gettop(L);
  struct mw_event_rule *rules = lua_newuserdatauv(L, (count + 1) * sizeof *rules, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    int rule = lua_gettop(L);
    rules[i] = (struct mw_event_rule){.event = read_string(L, rule, "event"),
                                      .relay = read_boolean(L, rule, "relay"),
                                      .keep = read_boolean(L, rule, "keep"),
                                      .rate = read_rate(L, rule, "rate", "burst")};
    lua_pop(L, 1);
  }
  lua_remove(L, list);
  out->events = rules;
  out->event_count = count;
}

static enum mw_slow read_slow(lua_State *L, int index) {
  static const char *const words[] = {"close", "catchup", "drop", "latest", NULL};
  static const enum mw_slow values[] = {MW_SLOW_CLOSE, MW_SLOW_CATCHUP, MW_SLOW_DROP, MW_SLOW_LATEST};
  enum mw_slow slow = MW_SLOW_DEFAULT;
  if (lua_getfield(L, index, "slow") != LUA_TNIL) slow = values[luaL_checkoption(L, -1, NULL, words)];
  lua_pop(L, 1);
  return slow;
}

static enum mw_presence read_presence(lua_State *L, int index) {
  const char *mode = read_string(L, index, "presence");
  if (!mode) return MW_PRESENCE_NONE;
  return strcmp(mode, "counts") == 0 ? MW_PRESENCE_COUNTS : MW_PRESENCE_FULL;
}

/* server:channel(pattern, options), as server:websocket, with the options that are read below */
static int define_channel(lua_State *L) {
  struct host *host = check_defining(L);
  const char *pattern = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  struct mw_channel_options options = {
      .hooks = read_hooks(L, 3),
      .history_size = (uint32_t)read_number(L, 3, "size"),
      .history_ttl_ms = to_ms(read_number(L, 3, "ttl")),
      .history_bytes = (uint64_t)read_number(L, 3, "bytes"),
      .history_replay = (uint32_t)read_number(L, 3, "replay"),
      .history_readable = read_boolean(L, 3, "readable"),
      .token_channels = read_boolean(L, 3, "token_channels"),
      .slow = read_slow(L, 3),
      .outbox = (size_t)read_number(L, 3, "outbox"),
      .age_ms = to_ms(read_number(L, 3, "age")),
      .linger_ms = to_ms(read_number(L, 3, "linger")),
      .presence = read_presence(L, 3),
      .presence_linger_ms = to_ms(read_number(L, 3, "presence_linger")),
      .presence_interval_ms = to_ms(read_number(L, 3, "presence_interval")),
      .members = (size_t)read_number(L, 3, "members"),
      .channels = (size_t)read_number(L, 3, "channels"),
      .rate = read_rate(L, 3, "rate", "burst"),
      .total_rate = read_rate(L, 3, "total_rate", "total_burst"),
      .rate_closes = read_boolean(L, 3, "rate_closes"),
      .message_size = (size_t)read_number(L, 3, "message_size"),
  };
  read_events(L, 3, &options);
  struct mw_error error = {""};
  return push_defined(L, mw_config_channel(host->config, pattern, &options, &error), &error);
}

/* server:route(method, pattern) */
static int define_route(lua_State *L) {
  struct host *host = check_defining(L);
  struct mw_error error = {""};
  return push_defined(L, mw_config_route(host->config, luaL_checkstring(L, 2), luaL_checkstring(L, 3), &error), &error);
}

/* server:event_stream(method, pattern) */
static int define_stream(lua_State *L) {
  struct host *host = check_defining(L);
  struct mw_error error = {""};
  return push_defined(L, mw_config_stream(host->config, luaL_checkstring(L, 2), luaL_checkstring(L, 3), &error), &error);
}

/* Returns the list of strings in that field. Pushes one value that owns the pointers. The strings
 * live as long as the list. */
static size_t read_strings(lua_State *L, int index, const char *name, const char *const **out) {
  lua_getfield(L, index, name);
  int list = lua_gettop(L);
  size_t count = lua_istable(L, list) ? lua_rawlen(L, list) : 0;
  const char **strings = lua_newuserdatauv(L, (count + 1) * sizeof *strings, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    strings[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  lua_remove(L, list);
  *out = strings;
  return count;
}

static int define_websocket(lua_State *L) {
  struct host *host = check_defining(L);
  const char *pattern = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  struct mw_websocket_options options;
  mw_websocket_options_init(&options);
  options.message_size = (size_t)read_number(L, 3, "message_size");
  options.frame_size = (size_t)read_number(L, 3, "frame_size");
  options.outbox = (size_t)read_number(L, 3, "outbox");
  options.ping_ms = to_ms(read_number(L, 3, "ping_seconds"));
  options.pong_ms = to_ms(read_number(L, 3, "pong_seconds"));
  options.rate = read_rate(L, 3, "rate", "burst");
  options.has_no_rate = read_boolean(L, 3, "has_no_rate");
  read_deflate(L, 3, &options.deflate);
  options.protocol_count = read_strings(L, 3, "protocols", &options.protocols);
  options.origin_count = read_strings(L, 3, "origins", &options.origins);
  struct mw_error error = {""};
  return push_defined(L, mw_config_websocket(host->config, pattern, &options, &error), &error);
}

/* server:static(path, directory, { fallback=, cache=, immutable=, fields= }) */
static int define_static(lua_State *L) {
  struct host *host = check_defining(L);
  const char *path = luaL_checkstring(L, 2), *directory = luaL_checkstring(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  struct mw_static_options options = {.fallback = read_string(L, 4, "fallback"),
                                      .cache_s = (uint64_t)read_number(L, 4, "cache"),
                                      .is_immutable = read_boolean(L, 4, "immutable")};
  if (lua_getfield(L, 4, "fields") == LUA_TTABLE) options.fields = http_read_fields(L, lua_gettop(L), &options.field_count);
  struct mw_error error = {""};
  return push_defined(L, mw_config_static(host->config, path, directory, &options, &error), &error);
}

/* server:not_found() */
static int define_not_found(lua_State *L) {
  struct host *host = check_defining(L);
  struct mw_error error = {""};
  return push_defined(L, mw_config_not_found(host->config, &error), &error);
}

/* server:open_to(route, "cross_site" or "own_origins") */
static int define_open_to(lua_State *L) {
  struct host *host = check_defining(L);
  bool is_own = strcmp(luaL_checkstring(L, 3), "own_origins") == 0;
  int (*set)(struct mw_config *, int) = is_own ? mw_config_own_origins : mw_config_cross_site;
  return push_defined(L, set(host->config, (int)luaL_checkinteger(L, 2)), &(struct mw_error){""});
}

/* server:origin(origin) and server:trust(proxy) */
static int define_text(lua_State *L, int (*set)(struct mw_config *, const char *, struct mw_error *)) {
  struct host *host = check_defining(L);
  struct mw_error error = {""};
  return push_defined(L, set(host->config, luaL_checkstring(L, 2), &error), &error);
}
static int define_origin(lua_State *L) { return define_text(L, mw_config_origin); }
static int define_trust(lua_State *L) { return define_text(L, mw_config_trust); }

static int define_place(lua_State *L) { return places_define(L, &check_defining(L)->places, 2); }

const luaL_Reg config_methods[] = {
    {"channel", define_channel},
    {"route", define_route},
    {"event_stream", define_stream},
    {"websocket", define_websocket},
    {"static", define_static},
    {"origin", define_origin},
    {"trust", define_trust},
    {"place", define_place},
    {"not_found", define_not_found},
    {"open_to", define_open_to},
    {NULL, NULL},
};
