/* An event stream may be disconnected at any byte: a client that reconnects gets each message once,
 * and is notified of each gap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/event_stream.h"
#include "test/support/memory_peer.h"

enum { SEEN_MAX = 64, RETURNS_MAX = 64 };

static struct mw_server *server;

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  mw_request_accept(request, NULL, 0);
}

static void publish(const char *channel, unsigned number, bool is_volatile, bool is_final) {
  char data[16], id[MW_ID_MAX];
  int len = snprintf(data, sizeof data, is_volatile ? "\"v%u\"" : "%u", number);
  struct mw_publish what = {.channel = {channel, strlen(channel)},
                            .event = {"said", 4},
                            .data = {data, (size_t)len},
                            .is_volatile = is_volatile,
                            .is_final = is_final};
  assert_int_equal(mw_publish(server, &what, id, NULL), 0);
  server_settle(server);
}

static void begin(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options keep = {.history_size = 100};
  assert_true(mw_config_channel(config, "keep:{x}", &keep, NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
}

/* ---- What a client has ----------------------------------------------------------------------- */

struct view {
  struct event_stream stream;
  unsigned seen[SEEN_MAX]; /* numbers of messages, as they came */
  size_t count;
  unsigned gaps, empty; /* empty: blocks without data */
};

static void on_event(void *context, struct bytes type, struct bytes data, struct bytes last_id) {
  struct view *view = context;
  char text[256];
  (void)type;
  (void)last_id;
  snprintf(text, sizeof text, "%.*s", (int)data.len, data.ptr);
  bool is_gap = strstr(text, "moonwire:gap") || (bytes_equal(type, BYTES("moonwire:gap")));
  if (is_gap) view->gaps++;
  if (is_gap || strstr(text, "moonwire:") || bytes_starts_with(type, BYTES("moonwire:"))) return;
  const char *number = strstr(text, "\"data\":");
  number = number ? number + strlen("\"data\":") : text;
  if (*number == '"') return; /* volatile */
  assert_true(view->count < SEEN_MAX);
  view->seen[view->count++] = (unsigned)strtoul(number, NULL, 10);
}

static void view_init(struct view *view, bool is_hasty) {
  memset(view, 0, sizeof *view);
  event_stream_init(&view->stream);
  view->stream.on_event = on_event;
  view->stream.context = view;
  view->stream.is_hasty = is_hasty;
}

/* ---- Over HTTP ------------------------------------------------------------------------------- */

/* Takes the chunks off; the body is terminated. */
static char *body_of(const char *answer) {
  const char *at = strstr(answer, "\r\n\r\n");
  char *body = calloc(1, strlen(answer) + 1), *out = body;
  assert_non_null(at);
  for (at += 4; *at;) {
    char *end;
    size_t len = strtoul(at, &end, 16);
    if (len == 0) break;
    memcpy(out, end + 2, len);
    out += len;
    at = end + 2 + len + 2;
  }
  return body;
}

static void connect_stream(struct memory_peer *peer, const char *query, const char *last_id) {
  struct buffer request = {0};
  memory_peer_open(peer, server);
  buffer_append_format(&request, "GET /sse?channel=keep:a&channel=keep:b%s HTTP/1.1\r\nHost: t\r\n", query);
  if (last_id[0]) buffer_append_format(&request, "Last-Event-ID: %s\r\n", last_id);
  buffer_append_string(&request, "\r\n");
  memory_peer_send(peer, buffer_bytes(&request));
  buffer_deinit(&request);
}

/* What a client that reconnects with that id gets; remembered, since there are few ids. */
struct comeback {
  char id[64];
  struct view view;
};

static struct comeback returns[RETURNS_MAX];
static size_t return_count;

static const struct view *come_back(const char *query, const char *id) {
  for (size_t i = 0; i < return_count; i++) {
    if (strcmp(returns[i].id, id) == 0) return &returns[i].view;
  }
  assert_true(return_count < RETURNS_MAX);
  struct comeback *comeback = &returns[return_count++];
  struct memory_peer peer;
  connect_stream(&peer, query, id);
  snprintf(comeback->id, sizeof comeback->id, "%s", id);
  view_init(&comeback->view, false);
  const char *answer = memory_peer_take(&peer);
  if (strncmp(answer, "HTTP/1.1 204 ", 13) != 0) {
    char *body = body_of(answer);
    event_stream_feed(&comeback->view.stream, bytes_string(body));
    free(body);
  }
  memory_peer_close(&peer);
  event_stream_deinit(&comeback->view.stream);
  return &comeback->view;
}

/* ---- Cutting --------------------------------------------------------------------------------- */

/* A stream with a replay, what is live on both channels, volatile messages, heartbeats, and its
 * end. */
static char *record(const char *query, unsigned *last) {
  struct memory_peer peer;
  unsigned n = 0;
  for (unsigned i = 0; i < 3; i++) {
    publish("keep:a", ++n, false, false);
    publish("keep:b", ++n, false, false);
  }
  connect_stream(&peer, query, "");
  for (unsigned i = 0; i < 3; i++) {
    publish("keep:b", ++n, false, false);
    publish("keep:a", 0, true, false);
    mw_server_advance(server, 40000);
    publish("keep:a", ++n, false, false);
  }
  publish("keep:a", ++n, false, true);
  publish("keep:b", ++n, false, true);
  *last = n;
  char *body = body_of(memory_peer_take(&peer));
  assert_true(memory_peer_ended(&peer));
  memory_peer_close(&peer);
  return body;
}

/* True if the cut is between the two newlines behind an id, where a hasty client has the id and not
 * the event. */
static bool is_between(const char *body, size_t cut) {
  if (cut == 0 || body[cut - 1] != '\n' || body[cut] != '\n') return false;
  size_t start = cut - 1;
  while (start > 0 && body[start - 1] != '\n') start--;
  return strncmp(body + start, "id: ", 4) == 0;
}

/* Cuts the stream there, comes back, and adds up. */
static void check_cut(const char *query, const char *body, size_t cut, bool is_hasty, unsigned last) {
  struct view view;
  char id[64];
  bool told_gap = strstr(query, "since=rubbish") != NULL;
  view_init(&view, is_hasty);
  event_stream_feed(&view.stream, bytes_of(body, cut));
  snprintf(id, sizeof id, "%.*s", (int)view.stream.last_id.len, view.stream.last_id.len > 0 ? view.stream.last_id.data : "");
  const struct view *rest = come_back(query, id);
  bool misses_one = is_hasty && is_between(body, cut) && view.count + rest->count == last - 1;
  unsigned expected = 0;
  for (size_t i = 0; i < view.count; i++) assert_int_equal(view.seen[i], ++expected);
  if (misses_one) expected++;
  for (size_t i = 0; i < rest->count; i++) assert_int_equal(rest->seen[i], ++expected);
  if (expected != last) print_error("cut at %zu of\n%s\n", cut, body);
  assert_int_equal(expected, last);
  if (told_gap && !(is_hasty && is_between(body, cut))) assert_true(view.gaps + rest->gaps >= 2);
  if (!told_gap) assert_int_equal(view.gaps + rest->gaps, 0);
  event_stream_deinit(&view.stream);
}

static void cut_everywhere(const char *query) {
  unsigned last;
  begin();
  return_count = 0;
  char *body = record(query, &last);
  size_t len = strlen(body);
  for (size_t cut = 0; cut <= len; cut++) {
    check_cut(query, body, cut, false, last);
    check_cut(query, body, cut, true, last);
  }
  free(body);
  server_finish(server);
}

static void a_plain_stream_may_be_cut_anywhere(void **state) {
  (void)state;
  cut_everywhere("&since=0");
}

static void with_envelopes_too(void **state) {
  (void)state;
  cut_everywhere("&since=0&envelope=1");
}

static void gaps_are_told_again(void **state) {
  (void)state;
  cut_everywhere("&since=rubbish");
}

static void with_envelopes_as_well(void **state) {
  (void)state;
  cut_everywhere("&since=rubbish&envelope=1");
}

/* ---- Blocks without data --------------------------------------------------------------------- */

static size_t count_empty(const char *body) {
  size_t count = 0;
  for (const char *at = body, *end; (end = strstr(at, "\n\n")); at = end + 2) {
    const char *data = strstr(at, "data:");
    if (!data || data > end) count++;
  }
  return count;
}

static void no_block_is_without_data_but_the_first(void **state) {
  (void)state;
  static const struct {
    const char *query;
    size_t empty;
  } cases[] = {{"&since=0", 1}, {"&since=0&envelope=1", 0}, {"&since=rubbish", 0}, {"&since=rubbish&envelope=1", 0}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    unsigned last;
    begin();
    char *body = record(cases[i].query, &last);
    assert_int_equal(count_empty(body), cases[i].empty);
    assert_memory_equal(body, "retry: ", 7);
    bool is_envelope = strstr(cases[i].query, "envelope") != NULL;
    assert_int_equal(strstr(body, "\n:\n") != NULL, !is_envelope);
    assert_int_equal(strstr(body, "moonwire:ping") != NULL, is_envelope);
    free(body);
    server_finish(server);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_plain_stream_may_be_cut_anywhere),
      TEST(with_envelopes_too),
      TEST(gaps_are_told_again),
      TEST(with_envelopes_as_well),
      TEST(no_block_is_without_data_but_the_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
