#include "test/support/token/token_app.h"

#include <stdlib.h>

#include "test/support.h"

static void on_request(void *context, struct mw_request *request) {
  struct token_app *app = context;
  enum mw_request_type type = mw_request_type(request);
  app->asked[type]++;
  if (type == MW_REQUEST_DISCONNECT) {
    struct mw_bytes reason = mw_request_reason(request);
    size_t len = strlen(app->reasons);
    snprintf(app->reasons + len, sizeof app->reasons - len, "%.*s; ", (int)reason.len, reason.ptr);
  }
  if (app->keep & 1U << type) {
    assert_null(app->kept);
    app->kept = request;
    return;
  }
  struct mw_socket *socket;
  if (type == MW_REQUEST_WEBSOCKET) {
    if (mw_request_websocket(request, &socket) == 0) mw_socket_unref(socket);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void define(struct mw_config *config) {
  struct mw_channel_options room = {.token_channels = true, .history_size = 20000};
  struct mw_channel_options open = {.history_size = 20000};
  struct mw_channel_options hall = {.presence = MW_PRESENCE_FULL, .presence_linger_ms = 5000, .presence_interval_ms = 1000};
  assert_true(mw_config_channel(config, "room:{id}", &room, NULL) >= 0);
  assert_true(mw_config_channel(config, "open:{id}", &open, NULL) >= 0);
  assert_true(mw_config_channel(config, "hall:{id}", &hall, NULL) >= 0);
  struct mw_websocket_options raw;
  mw_websocket_options_init(&raw);
  raw.ping_ms = 3600 * 1000;
  assert_true(mw_config_websocket(config, "/raw", &raw, NULL) >= 0);
}

void token_app_start(struct token_app *app) {
  struct mw_config_options options;
  struct mw_config *config;
  *app = (struct token_app){.server = NULL};
  mw_config_options_init(&options);
  struct mw_token_options rules = {.key = secret_key, .cookie = "session"};
  assert_int_equal(mw_token_new(&options.token, &rules, NULL), 0);
  options.on_request = on_request;
  options.context = app;
  options.disconnects = true;
  options.limits.ping_ms = options.limits.heartbeat_ms = options.limits.idle_ms = 3600 * 1000;
  options.limits.poll_client_ms = options.limits.poll_ms = 600 * 1000;
  options.limits.progress_ms = 3600 * 1000;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  mw_token_unref(options.token);
  define(config);
  assert_int_equal(mw_server_new(&app->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(app->server, 0);
  /* A whole second, so that the seconds that are left are known. */
  mw_server_advance(app->server, 1000 - mw_server_time(app->server) % 1000);
}

void token_app_finish(struct token_app *app) {
  server_finish(app->server);
  assert_int_equal(app->asked[MW_REQUEST_AUTHENTICATE], 0);
}

void token_app_pass(struct token_app *app, unsigned seconds) {
  mw_server_advance(app->server, (uint64_t)seconds * 1000);
  server_settle(app->server);
}

const char *token_of(struct token_app *app, const char *sub, int seconds, const char *more) {
  char claims[2048];
  long long now_s = (long long)(mw_server_time(app->server) / 1000);
  snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"exp\":%lld%s}", sub, now_s + seconds, more);
  return sign_secret(claims);
}

void token_app_publish(struct token_app *app, const char *channel, int n) {
  char data[32];
  int len = snprintf(data, sizeof data, "{\"n\":%d}", n);
  struct mw_publish publish = {.channel = {channel, strlen(channel)}, .data = {data, (size_t)len}};
  assert_int_equal(mw_publish(app->server, &publish, NULL, NULL), 0);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static int request(struct token_app *app, struct memory_peer *peer, const char *target, const char *token, const char *fields) {
  struct buffer out;
  buffer_init(&out);
  memory_peer_open(peer, app->server);
  buffer_append_format(&out, "GET %s HTTP/1.1\r\nHost: test\r\n", target);
  if (token) buffer_append_format(&out, "Authorization: Bearer %s\r\n", token);
  buffer_append_format(&out, "%s\r\n", fields);
  memory_peer_send(peer, buffer_bytes(&out));
  buffer_deinit(&out);
  struct bytes in = memory_peer_fetch(peer);
  return in.len > 12 ? atoi(in.ptr + 9) : 0;
}

int token_get(struct token_app *app, struct memory_peer *peer, const char *target, const char *token, const char *fields) {
  return request(app, peer, target, token, fields);
}

int token_upgrade(struct token_app *app, struct memory_peer *peer, const char *target, const char *token, const char *fields) {
  char all[1024];
  snprintf(all, sizeof all,
           "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s",
           fields);
  int status = request(app, peer, target, token, all);
  if (status == 101) {
    const char *end = strstr(peer->in.data, "\r\n\r\n");
    buffer_consume(&peer->in, (size_t)(end + 4 - peer->in.data));
  }
  return status;
}

const char *token_next(struct memory_peer *peer) {
  enum ws_opcode opcode;
  struct bytes payload;
  return memory_peer_next_frame(peer, &opcode, &payload) && opcode == WS_OPCODE_TEXT ? payload.ptr : "";
}

const char *token_ask(struct memory_peer *peer, const char *text) {
  memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text));
  return token_next(peer);
}

const char *token_connect(struct token_app *app, struct memory_peer *peer, const char *token) {
  char text[MW_TOKEN_MAX + 64];
  assert_int_equal(token_upgrade(app, peer, "/ws", NULL, "Sec-WebSocket-Protocol: moonwire.1\r\n"), 101);
  snprintf(text, sizeof text, "{\"connect\":{\"token\":\"%s\"},\"ref\":0}", token);
  return token_ask(peer, text);
}

int token_send(struct token_app *app, const char *client, const char *token, const char *body, char answer[1024]) {
  struct memory_peer peer;
  char fields[MW_TOKEN_MAX + 256];
  const char *text;
  memory_peer_open(&peer, app->server);
  snprintf(fields, sizeof fields, "Authorization: Bearer %s\r\nX-Moonwire-Client: %s\r\n", token, client);
  int status = memory_peer_post(&peer, "/send", fields, bytes_string(body), &text);
  snprintf(answer, 1024, "%s", text);
  memory_peer_close(&peer);
  return status;
}

bool token_got(struct memory_peer *peer, const char *text) {
  struct bytes in = memory_peer_fetch(peer);
  size_t len = strlen(text);
  for (size_t i = 0; i + len <= in.len; i++) {
    if (memcmp(in.ptr + i, text, len) == 0) return true;
  }
  return false;
}

void token_find(const char *text, const char *before, char out[64]) {
  const char *at = strstr(text, before);
  assert_non_null(at);
  at += strlen(before);
  size_t len = strcspn(at, "\"\r\n");
  assert_true(len < 64);
  memcpy(out, at, len);
  out[len] = '\0';
}
