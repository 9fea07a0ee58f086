/* Connections and servers that end while something of theirs still waits: unread input, handlers,
 * what follows a handler, and many clients at once. Nothing is left behind, no one gets what was
 * meant for another, and a stop waits for handlers, but not for long. */
#include <stdlib.h>
#include <string.h>

#include "codec/ws/ws_frame.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { STASH = 2000, CLIENTS = 200, DRAIN_MS = 20000 };

static struct mw_server *server;
static struct memory_peer peer, other;
static char trace[2000];
static unsigned keep; /* bits of request types */
static bool yields;   /* a kept request that is cancelled is answered there and then */
static struct mw_request *kept[8];
static size_t kept_count;
static unsigned stops;

static const char *const words[] = {"authenticate", "authorize", "open",       "join",   "leave", "close",   "http",
                                    "message",      "connect",   "disconnect", "stream", "slow",  "presence"};

static void note(const char *prefix, struct mw_request *request) {
  size_t len = strlen(trace);
  snprintf(trace + len, sizeof trace - len, "%s%s; ", prefix, words[mw_request_type(request)]);
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  note("", request);
  if (!(keep & (1u << mw_request_type(request)))) {
    mw_request_accept(request, NULL, 0);
    return;
  }
  assert_true(kept_count < COUNT_OF(kept));
  kept[kept_count++] = request;
}

static void on_cancel(void *context, struct mw_request *request) {
  (void)context;
  note("cancel ", request);
  if (!yields) return;
  for (size_t i = 0; i < kept_count; i++) {
    if (kept[i] == request) kept[i] = kept[--kept_count];
  }
  mw_request_refuse(request, 500, "internal", "cancelled");
}

static int begin(void **state) {
  static const struct mw_event_rule events[] = {{.event = "say"}};
  int status = support_setup(state);
  struct mw_config_options options;
  struct mw_config *config;
  trace[0] = '\0';
  keep = stops = 0;
  kept_count = 0;
  yields = false;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.on_cancel = on_cancel;
  options.connects = options.disconnects = true;
  options.limits.input_backlog = STASH;
  options.limits.drain_ms = DRAIN_MS;
  options.limits.answer_ms = options.limits.head_ms = options.limits.body_ms = 3600 * 1000;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {
      .history_size = 10, .events = events, .event_count = 1, .hooks = MW_HOOK_OPEN | MW_HOOK_LEAVE | MW_HOOK_CLOSE};
  assert_int_equal(mw_config_channel(config, "room:{x}", &room, NULL), 0);
  assert_true(mw_config_route(config, "GET", "/app", NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  memory_peer_open(&peer, server);
  memory_peer_open(&other, server);
  return status;
}

static int end(void **state) {
  memory_peer_close(&peer);
  memory_peer_close(&other);
  server_settle(server);
  while (kept_count > 0) mw_request_accept(kept[--kept_count], NULL, 0);
  server_finish(server);
  return support_teardown(state);
}

static void say(const char *text) { memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(text)); }

static void enter(void) {
  memory_peer_upgrade(&peer, NULL);
  say("{\"subscribe\":\"room:1\",\"ref\":0}");
  assert_non_null(strstr(memory_peer_take(&peer), "{\"ref\":0,\"ok\":"));
}

/* `count` sends, with refs from 1 if they are to be answered, in one write, so that the server has
 * read them all when it stops reading. */
static void send_many(unsigned count, bool is_answered) {
  struct buffer out = {0};
  for (unsigned n = 1; n <= count; n++) {
    char text[200], ref[30] = "", header[WS_HEADER_MAX];
    if (is_answered) snprintf(ref, sizeof ref, ",\"ref\":%u", n);
    int len = snprintf(text, sizeof text, "{\"send\":\"room:1\",\"event\":\"say\",\"data\":\"%090u\"%s}", n, ref);
    size_t header_len = ws_frame_header(header, WS_OPCODE_TEXT, (size_t)len);
    header[1] = (char)(header[1] | 0x80);
    buffer_append(&out, bytes_of(header, header_len));
    buffer_append(&out, BYTES("\0\0\0\0"));
    buffer_append(&out, bytes_of(text, (size_t)len));
  }
  memory_peer_send(&peer, buffer_bytes(&out));
  buffer_deinit(&out);
}

static unsigned count_of(const char *text, const char *part) {
  unsigned count = 0;
  for (; (text = strstr(text, part)); text += strlen(part)) count++;
  return count;
}

/* ---- Input that waits ------------------------------------------------------------------------ */

static void unread_input_is_handled_in_order(void **state) {
  (void)state;
  enter();
  keep = 1u << MW_REQUEST_MESSAGE;
  send_many(60, true);
  assert_int_equal(kept_count, 1);
  keep = 0;
  mw_request_accept(kept[--kept_count], NULL, 0);
  server_settle(server);
  const char *at = memory_peer_take(&peer);
  for (unsigned n = 1; n <= 60; n++) {
    char text[40];
    snprintf(text, sizeof text, "{\"ref\":%u,\"ok\":", n);
    at = strstr(at, text);
    assert_non_null(at);
  }
  assert_int_equal(count_of(trace, "message; "), 60);
}

/* Reading stops while a handler runs. A client that was not heard in that time is not silent: it is
 * pinged as long after as ever. */
static void a_client_that_was_not_read_is_not_silent(void **state) {
  (void)state;
  enter();
  keep = 1u << MW_REQUEST_MESSAGE;
  send_many(60, false);
  mw_server_advance(server, 60000);
  assert_string_equal(memory_peer_take(&peer), "");
  assert_false(memory_peer_ended(&peer));
  keep = 0;
  mw_request_accept(kept[--kept_count], NULL, 0);
  server_settle(server);
  mw_server_advance(server, 20000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(server, 7000);
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(&peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_PING);
}

/* ---- Handlers -------------------------------------------------------------------------------- */

/* Sends of others for it wait as well, up to limits.input_backlog. */
static void what_waits_for_a_client_is_refused_when_it_goes(void **state) {
  (void)state;
  enter();
  struct mw_client *client = mw_client_next(server, NULL);
  keep = 1u << MW_REQUEST_MESSAGE;
  send_many(1, true);
  struct mw_bytes id = mw_client_id(client);
  char text[400];
  const char *verb = "{\"send\":\"room:1\",\"event\":\"say\"}";
  snprintf(text, sizeof text, "POST /send HTTP/1.1\r\nHost: t\r\nX-Moonwire-Client: %.*s\r\nContent-Length: %zu\r\n\r\n%s",
           (int)id.len, id.ptr, strlen(verb), verb);
  memory_peer_send_text(&other, text);
  assert_string_equal(memory_peer_take(&other), "");
  mw_memory_close(peer.memory);
  peer.memory = NULL;
  server_settle(server);
  assert_memory_equal(memory_peer_take(&other), "HTTP/1.1 404 ", 13);
  mw_client_unref(client);
}

/* What the app does with a client while that joins takes effect with the answer, before what the
 * client has sent after it. */
static void the_app_comes_before_what_was_sent_later(void **state) {
  (void)state;
  memory_peer_upgrade(&peer, NULL);
  keep = 1u << MW_REQUEST_OPEN;
  say("{\"subscribe\":\"room:1\",\"ref\":1}");
  say("{\"ping\":true,\"ref\":2}");
  say("{\"subscribe\":\"room:1\",\"ref\":3}");
  assert_int_equal(kept_count, 1);
  struct mw_client *client = mw_client_next(server, NULL);
  assert_int_equal(mw_client_unsubscribe(server, client, "room:1", 6, NULL, NULL), 0);
  server_settle(server);
  assert_string_equal(memory_peer_take(&peer), "");
  keep = 0;
  mw_request_accept(kept[--kept_count], NULL, 0);
  server_settle(server);
  const char *text = memory_peer_take(&peer);
  const char *joined = strstr(text, "{\"ref\":1,\"ok\":"), *left = strstr(text, "moonwire:unsubscribed");
  const char *sent = strstr(text, "{\"ref\":2,"), *again = strstr(text, "{\"ref\":3,\"ok\":");
  assert_true(joined && left && sent && again);
  assert_true(joined < left && left < sent && sent < again);
  /* the app gave none */
  assert_non_null(strstr(left, "\"code\":\"unsubscribed\",\"reason\":\"\""));
  assert_int_equal(mw_channel_count(server, "room:1", 6, NULL), 1);
  mw_client_unref(client);
}

/* Frees the server, answers what it asked, and begins with another. */
static void replace_server(void **state) {
  memory_peer_close(&peer);
  memory_peer_close(&other);
  peer.memory = other.memory = NULL;
  mw_server_free(server);
  while (kept_count > 0) mw_request_accept(kept[--kept_count], NULL, 0);
  assert_int_equal(support_teardown(state), 0);
  begin(state);
}

static void a_server_is_freed_with_handlers_that_run(void **state) {
  /* Input that was not read, and some that was and waits. */
  enter();
  keep = 1u << MW_REQUEST_MESSAGE;
  send_many(60, true);
  assert_int_equal(kept_count, 1);
  replace_server(state);
  /* The leave of a client that has gone is queued while its handler runs. */
  enter();
  keep = 1u << MW_REQUEST_MESSAGE;
  send_many(3, true);
  mw_memory_close(peer.memory);
  peer.memory = NULL;
  server_settle(server);
  assert_int_equal(kept_count, 1);
  assert_null(strstr(trace, "leave; "));
  replace_server(state);
}

static void on_stopped(void *context) {
  (void)context;
  stops++;
}

/* What runs when the server is stopped. */
struct running {
  unsigned type;
  const char *cancelled; /* what the trace says then */
};
static const struct running running[] = {{MW_REQUEST_LEAVE, "cancel leave; "},
                                         {MW_REQUEST_CLOSE, "cancel close; "},
                                         {MW_REQUEST_DISCONNECT, "cancel disconnect; "},
                                         {MW_REQUEST_MESSAGE, "cancel message; "},
                                         {MW_REQUEST_HTTP, "cancel http; "}};

static void run_handler(const struct running *handler) {
  yields = true;
  keep = 1u << handler->type;
  memory_peer_upgrade(&peer, NULL);
  say("{\"subscribe\":\"room:1\",\"ref\":0}");
  if (handler->type == MW_REQUEST_MESSAGE) send_many(2, true);
  if (handler->type == MW_REQUEST_HTTP) memory_peer_send_text(&other, "GET /app HTTP/1.1\r\nHost: t\r\n\r\n");
  if (handler->type == MW_REQUEST_LEAVE || handler->type == MW_REQUEST_CLOSE || handler->type == MW_REQUEST_DISCONNECT) {
    mw_memory_close(peer.memory);
    peer.memory = NULL;
    server_settle(server);
  }
  if (kept_count != 1) print_error("%s%s\n", handler->cancelled, trace);
  assert_int_equal(kept_count, 1);
}

static bool was_cancelled(const struct running *handler) { return strstr(trace, handler->cancelled); }

/* A peer that does not close its side is waited for a moment. */
static void see_the_end(void) {
  server_settle(server);
  mw_server_advance(server, 10000);
  server_settle(server);
  assert_int_equal(stops, 1);
}

/* Each kind of handler may finish, and the client that waits for it gets its answer. The stop waits
 * for that alone. */
static void a_stop_lets_handlers_finish(void **state) {
  for (size_t i = 0; i < COUNT_OF(running); i++) {
    run_handler(&running[i]);
    mw_server_stop(server, on_stopped, NULL);
    mw_server_advance(server, DRAIN_MS / 2);
    server_settle(server);
    if (was_cancelled(&running[i])) print_error("%s%s\n", running[i].cancelled, trace);
    assert_false(was_cancelled(&running[i]));
    assert_int_equal(stops, 0);
    keep = 0;
    struct mw_response response = {.status = 200, .body = {"done", 4}};
    if (running[i].type == MW_REQUEST_HTTP) {
      assert_int_equal(mw_request_respond(kept[--kept_count], &response, NULL), 0);
    } else {
      mw_request_accept(kept[--kept_count], "\"done\"", 6);
    }
    server_settle(server);
    if (running[i].type == MW_REQUEST_HTTP) assert_non_null(strstr(memory_peer_take(&other), "\r\n\r\ndone"));
    if (running[i].type == MW_REQUEST_MESSAGE) {
      const char *told = memory_peer_take(&peer);
      assert_non_null(strstr(told, "{\"ref\":1,\"ok\":\"done\"}"));
      /* then 1001; the message after it was not begun */
      assert_non_null(strstr(told, "\x88\x02\x03\xe9"));
      assert_null(strstr(told, "\"ref\":2"));
    }
    see_the_end();
    end(state);
    begin(state);
  }
}

/* When limits.drain_ms has passed, they are cancelled, and a client that waits is told that the
 * server stops. */
static void a_stop_ends_handlers_in_the_end(void **state) {
  for (size_t i = 0; i < COUNT_OF(running); i++) {
    run_handler(&running[i]);
    mw_server_stop(server, on_stopped, NULL);
    mw_server_advance(server, DRAIN_MS - 1);
    server_settle(server);
    assert_false(was_cancelled(&running[i]));
    mw_server_advance(server, 1);
    server_settle(server);
    if (!was_cancelled(&running[i])) print_error("%s%s\n", running[i].cancelled, trace);
    assert_true(was_cancelled(&running[i]));
    assert_int_equal(kept_count, 0);
    if (running[i].type == MW_REQUEST_HTTP) {
      const char *answer = memory_peer_take(&other);
      assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
      assert_non_null(strstr(answer, "the server is stopping"));
    }
    see_the_end();
    end(state);
    begin(state);
  }
}

/* Who wants to come in is sent away at once, and its handler with it. */
static void a_stop_cancels_joins(void **state) {
  (void)state;
  const struct running open = {MW_REQUEST_OPEN, "cancel open; "};
  run_handler(&open);
  mw_server_stop(server, on_stopped, NULL);
  server_settle(server);
  assert_true(was_cancelled(&open));
  assert_int_equal(kept_count, 0);
  see_the_end();
}

/* A request that has begun to arrive is answered like any other; one that does not go on is refused
 * in the end. */
static void a_stop_reads_what_has_begun(void **state) {
  static const char head[] = "POST /send HTTP/1.1\r\nHost: t\r\nContent-Length: 31\r\n\r\n";
  static const char body[] = "{\"send\":\"room:1\",\"event\":\"say\"}";
  for (unsigned cut = 0; cut < 4; cut++) {
    size_t head_sent = cut % 2 == 0 ? 20 : sizeof head - 1 + 10;
    char request[200];
    int len = snprintf(request, sizeof request, "%s%s", head, body);
    memory_peer_send(&other, bytes_of(request, head_sent));
    mw_server_stop(server, on_stopped, NULL);
    server_settle(server);
    assert_false(memory_peer_ended(&other));
    assert_true(memory_peer_ended(&peer)); /* which has sent nothing */
    if (cut < 2) {
      memory_peer_send(&other, bytes_of(request + head_sent, (size_t)len - head_sent));
      const char *answer = memory_peer_take(&other);
      assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
      assert_non_null(strstr(answer, "Connection: close"));
      assert_true(memory_peer_ended(&other));
    } else {
      mw_server_advance(server, DRAIN_MS);
      server_settle(server);
      const char *answer = memory_peer_take(&other);
      assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
      assert_non_null(strstr(answer, "the server is stopping"));
    }
    see_the_end();
    end(state);
    begin(state);
  }
}

/* Whoever balances the load sees by the status that there will be no more answers. */
static void health_tells_of_a_stop(void **state) {
  (void)state;
  memory_peer_send_text(&other, "GET /hea");
  mw_server_stop(server, on_stopped, NULL);
  server_settle(server);
  memory_peer_send_text(&other, "lth HTTP/1.1\r\nHost: t\r\n\r\n");
  assert_memory_equal(memory_peer_take(&other), "HTTP/1.1 503 ", 13);
  assert_true(memory_peer_ended(&other));
  see_the_end();
}

/* ---- Many at once ---------------------------------------------------------------------------- */

static struct memory_peer crowd[CLIENTS];

/* Every client is sent its own id, and none gets another's. */
static void tell_each_its_id(void) {
  unsigned count = 0;
  for (struct mw_client *client = mw_client_next(server, NULL); client; client = mw_client_next(server, client)) {
    char text[100];
    struct mw_bytes id = mw_client_id(client);
    int len = snprintf(text, sizeof text, "\"%.*s\"", (int)id.len, id.ptr);
    struct mw_publish push = {.event = {"id", 2}, .data = {text, (size_t)len}};
    assert_int_equal(mw_client_send(server, client, &push, NULL), 0);
    count++;
  }
  assert_int_equal(count, CLIENTS);
  server_settle(server);
}

static void many_clients_have_each_a_name(void **state) {
  (void)state;
  static char ids[CLIENTS][64];
  for (size_t i = 0; i < CLIENTS; i++) {
    memory_peer_open(&crowd[i], server);
    memory_peer_upgrade(&crowd[i], NULL);
  }
  for (unsigned round = 0; round < 2; round++) {
    tell_each_its_id();
    for (size_t i = 0; i < CLIENTS; i++) {
      const char *text = memory_peer_take(&crowd[i]), *at = strstr(text, "\"data\":\"");
      assert_non_null(at);
      assert_int_equal(count_of(text, "\"data\":\""), 1);
      snprintf(ids[i], sizeof ids[i], "%.*s", (int)strcspn(at + 8, "\""), at + 8);
      for (size_t before = 0; before < i; before++) assert_string_not_equal(ids[before], ids[i]);
    }
    /* Every third goes, and others take their places. */
    for (size_t i = 0; round == 0 && i < CLIENTS; i += 3) memory_peer_close(&crowd[i]);
    server_settle(server);
    for (size_t i = 0; round == 0 && i < CLIENTS; i += 3) {
      memory_peer_open(&crowd[i], server);
      memory_peer_upgrade(&crowd[i], NULL);
    }
  }
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_close(&crowd[i]);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define ENDS(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      ENDS(unread_input_is_handled_in_order),
      ENDS(a_client_that_was_not_read_is_not_silent),
      ENDS(what_waits_for_a_client_is_refused_when_it_goes),
      ENDS(the_app_comes_before_what_was_sent_later),
      ENDS(a_server_is_freed_with_handlers_that_run),
      ENDS(a_stop_lets_handlers_finish),
      ENDS(a_stop_ends_handlers_in_the_end),
      ENDS(a_stop_cancels_joins),
      ENDS(a_stop_reads_what_has_begun),
      ENDS(health_tells_of_a_stop),
      ENDS(many_clients_have_each_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
