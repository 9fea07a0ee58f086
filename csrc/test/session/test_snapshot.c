/* Snapshots of presence: shared by all who come in the same state, bounded, and read in pages, on
 * every transport; the pages and the changes that come in between make up who is there. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "codec/ws/ws_deflate.h"
#include "dialect/native_members.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

/* A member takes about 240 bytes, so that half of the outbox has room for four. */
enum { OUTBOX = 2048, INFO = 200, LARGE_INFO = 20000 };

static struct mw_server *server;
static char info[LARGE_INFO + 3];
static struct memory_peer peers[40];
static size_t peer_count;
static bool takes_over; /* mw_deflate_options.server_takeover */

/* The user is named by the query: /ws?token=ann. */
static void on_request(void *context, struct mw_request *request) {
  (void)context;
  char user[64];
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    int len = snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr);
    mw_request_accept(request, user, (size_t)len);
  } else if (mw_request_type(request) == MW_REQUEST_PRESENCE) {
    mw_request_accept(request, info, strlen(info));
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {
      {"room:{x}", {.presence = MW_PRESENCE_FULL, .hooks = MW_HOOK_PRESENCE}},
      {"count:{x}", {.presence = MW_PRESENCE_COUNTS}},
      {"plain:{x}", {.presence = MW_PRESENCE_FULL}},
      {"slow:{x}", {.presence = MW_PRESENCE_FULL, .hooks = MW_HOOK_PRESENCE, .presence_interval_ms = 60000}},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    int status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
    if (status < 0) return status;
  }
  return 0;
}

static int make_server(size_t outbox) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.authenticate = true;
  options.on_request = on_request;
  options.deflate.server_takeover = takes_over;
  options.limits.outbox = outbox;
  options.limits.ping_ms = UINT32_MAX;
  int status = mw_config_new(&config, &options, NULL);
  if (status < 0) return status;
  status = define(config);
  if (status == 0) status = mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL);
  mw_config_unref(config);
  if (status == 0) mw_server_advance(server, 1);
  return status;
}

static void begin_with(size_t outbox) {
  assert_int_equal(make_server(outbox), 0);
  peer_count = 0;
}

static void set_info(size_t len) {
  memset(info, 'i', len + 1);
  info[0] = info[len + 1] = '"';
  info[len + 2] = '\0';
}

static int begin(void **state) {
  int status = support_setup(state);
  begin_with(OUTBOX);
  set_info(INFO);
  return status;
}

static int end(void **state) {
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  server_finish(server);
  return support_teardown(state);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static struct memory_peer *open_peer(void) {
  assert_true(peer_count < COUNT_OF(peers));
  struct memory_peer *peer = &peers[peer_count++];
  memory_peer_open(peer, server);
  return peer;
}

static void upgrade(struct memory_peer *peer, const char *token, const char *more_fields) {
  char text[400];
  snprintf(text, sizeof text,
           "GET /ws?token=%s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
           token, more_fields);
  memory_peer_send_text(peer, text);
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 101 ", 13);
}

static struct memory_peer *connect_as(const char *token) {
  struct memory_peer *peer = open_peer();
  upgrade(peer, token, "");
  return peer;
}

static void say(struct memory_peer *peer, const char *text) { memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text)); }

/* The next text; NULL: there is none. Holds until the next call for the peer. */
static const char *hear(struct memory_peer *peer) {
  enum ws_opcode opcode;
  struct bytes payload;
  if (!memory_peer_next_frame(peer, &opcode, &payload)) return NULL;
  assert_int_equal(opcode, WS_OPCODE_TEXT);
  return payload.ptr;
}

static void skip_all(struct memory_peer *peer) {
  while (hear(peer)) continue;
}

static const char *ask(struct memory_peer *peer, const char *text) {
  skip_all(peer);
  say(peer, text);
  return hear(peer);
}

static void fill(const char *channel, int count) {
  for (int i = 0; i < count; i++) {
    char token[16], text[100];
    snprintf(token, sizeof token, "u%d", i);
    snprintf(text, sizeof text, "{\"subscribe\":\"%s\"}", channel);
    say(connect_as(token), text);
  }
}

#define expect_in(text, part) assert_non_null(strstr((text), (part)))
#define expect_not_in(text, part) assert_null(strstr((text), (part)))

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void a_large_one_is_read_in_pages(void **state) {
  (void)state;
  fill("room:1", 9);
  struct memory_peer *eve = connect_as("u9");
  expect_in(ask(eve, "{\"subscribe\":\"room:1\",\"ref\":1}"), "\"presence\":{\"count\":10,\"more\":true}}}");
  char text[200], after[8] = "";
  int seen = 0, pages = 0;
  for (bool more = true; more; pages++) {
    snprintf(text, sizeof text, "{\"presence\":\"room:1\",\"after\":\"%s\",\"limit\":3,\"ref\":2}", after);
    const char *page = ask(eve, text);
    expect_in(page, "{\"ref\":2,\"ok\":{\"count\":10,\"members\":{");
    for (const char *at = page; (at = strstr(at, "{\"info\":")); at++) seen++;
    const char *next = strstr(page, "\"more\":true,\"after\":\"");
    more = next != NULL;
    if (more) snprintf(after, sizeof after, "%.2s", next + strlen("\"more\":true,\"after\":\""));
  }
  assert_int_equal(seen, 10);
  assert_int_equal(pages, 4);
}

/* An answer without a limit of its own has as much as there is room for. */
static void a_page_is_bounded_in_bytes(void **state) {
  (void)state;
  fill("room:1", 10);
  const char *page = ask(&peers[0], "{\"presence\":\"room:1\",\"ref\":2}");
  expect_in(page, "\"more\":true,\"after\":\"u3\"}}");
  assert_true(strlen(page) <= OUTBOX / 2 + 100);
}

static void a_page_needs_an_id_and_a_number(void **state) {
  (void)state;
  fill("plain:1", 1);
  expect_in(ask(&peers[0], "{\"presence\":\"plain:1\",\"after\":7,\"ref\":2}"), "\"code\":\"bad_request\"");
  expect_in(ask(&peers[0], "{\"presence\":\"plain:1\",\"limit\":0,\"ref\":2}"), "\"code\":\"bad_request\"");
  expect_in(ask(&peers[0], "{\"presence\":\"plain:1\",\"limit\":-1,\"ref\":2}"), "\"code\":\"bad_request\"");
  expect_in(ask(&peers[0], "{\"presence\":\"plain:1\",\"after\":\"\",\"limit\":4294967295,\"ref\":2}"), "\"u0\":");
  expect_in(ask(&peers[0], "{\"presence\":\"plain:1\",\"after\":\"u0\",\"ref\":2}"),
            "{\"count\":1,\"members\":{},\"more\":false}");
}

/* Ids that are escaped in JSON are found again as they are. */
static void a_page_begins_after_any_id(void **state) {
  (void)state;
  static const char *const tokens[] = {"a", "a%5C%22", "a%5C%5C", "b", "%C3%A4"};
  for (size_t i = 0; i < COUNT_OF(tokens); i++) say(connect_as(tokens[i]), "{\"subscribe\":\"plain:1\"}");
  char text[200], after[32] = "";
  for (size_t i = 0; i < COUNT_OF(tokens); i++) {
    snprintf(text, sizeof text, "{\"presence\":\"plain:1\",\"after\":\"%s\",\"limit\":1,\"ref\":2}", after);
    const char *page = ask(&peers[0], text), *next = strstr(page, "\"after\":\"");
    assert_int_equal(next != NULL, i + 1 < COUNT_OF(tokens));
    expect_in(page, "{\"info\":null,");
    if (next) snprintf(after, sizeof after, "%.*s", (int)(strstr(next, "\"}}") - next - 9), next + 9);
  }
  assert_string_equal(after, "b");
}

static void numbers_have_no_pages(void **state) {
  (void)state;
  fill("count:1", 2);
  assert_string_equal(ask(&peers[0], "{\"presence\":\"count:1\",\"after\":\"u0\",\"limit\":1,\"ref\":2}"),
                      "{\"ref\":2,\"ok\":{\"count\":2}}");
}

/* Sends until something waits for it that its window does not take. */
static void stop_reading(struct memory_peer *peer) {
  const struct conn *conn = container_of(server->workers[0].http.conns.prev, struct conn, link);
  while (!http1_exchange(conn)->subscriber.outbox) say(peer, "{\"ping\":true,\"ref\":1}");
}

/* Several at once are given until half of the outbox is full, so that none of them closes the
 * client. */
static void what_waits_counts(void **state) {
  (void)state;
  fill("room:1", 2);
  fill("room:2", 3);
  struct memory_peer *eve = connect_as("eve");
  stop_reading(eve);
  say(eve, "{\"subscribe\":\"room:1\",\"ref\":2}");
  say(eve, "{\"subscribe\":\"room:2\",\"ref\":3}");
  say(eve, "{\"presence\":\"room:2\",\"limit\":10,\"ref\":4}");
  const char *text;
  while ((text = hear(eve)) && strncmp(text, "{\"ref\":1", 8) == 0) continue;
  expect_in(text, "\"presence\":{\"count\":3,\"members\":{");
  while ((text = hear(eve)) && strncmp(text, "{\"ref\":3", 8) != 0) continue;
  expect_in(text, "\"presence\":{\"count\":4,\"more\":true}");
  /* A page has at least one member. */
  while ((text = hear(eve)) && strncmp(text, "{\"ref\":4", 8) != 0) continue;
  expect_in(text, "\"members\":{\"eve\":");
  expect_in(text, "\"more\":true,\"after\":\"eve\"");
  assert_false(memory_peer_ended(eve));
}

/* ---- Sharing --------------------------------------------------------------------------------- */

/* Until all that has changed is announced, and heard by those who are there. */
static void pass_time(void) {
  for (int i = 0; i < 10; i++) {
    mw_server_advance(server, 20000);
    for (size_t k = 0; k < peer_count; k++) skip_all(&peers[k]);
  }
}

/* Begins again with outboxes as they are by default, and with 20 members of 20 KB in a channel
 * whose changes are announced once a minute. */
static void begin_large(void) {
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  server_finish(server);
  begin_with(1 << 20);
  set_info(LARGE_INFO);
  fill("slow:1", 20);
  pass_time();
}

static struct blob *current(void) { return native_members_snapshot(&server->workers[0].hub, BYTES("slow:1"), false, SIZE_MAX); }

/* Those who come in the same state hold one blob, however slowly they read, on each transport. */
static void many_who_do_not_read_hold_one(void **state) {
  (void)state;
  static const char *const targets[] = {"/sse?channel=slow:1&envelope=1&token=z", "/sse?channel=slow:1&token=z",
                                        "/poll?channel=slow:1&client=&wait=0&token=z"};
  begin_large();
  /* The first change after a quiet time is announced at once; the next ones wait. */
  say(connect_as("w"), "{\"subscribe\":\"slow:1\"}");
  struct blob *snapshot = current();
  assert_true(snapshot->len > 400000 && snapshot->len < 500000);
  assert_int_equal(atomic_load(&snapshot->refs), 2);
  char text[300];
  for (int i = 0; i < 6; i++) {
    struct memory_peer *reader = open_peer();
    if (i < 3) {
      snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", targets[i]);
      memory_peer_send_text(reader, text);
    } else {
      upgrade(reader, "z", i == 5 ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
      say(reader, "{\"subscribe\":\"slow:1\",\"ref\":1}");
    }
    if (i < 5) assert_int_equal(atomic_load(&snapshot->refs), 3 + i);
  }
  struct blob *again = current();
  assert_ptr_equal(again, snapshot);
  for (int i = 0; i < 3; i++) {
    const char *answer = memory_peer_take(&peers[21 + i]);
    expect_in(answer, "\"members\":{\"u0\":{\"info\":\"iiii");
    assert_true(strlen(answer) > snapshot->len);
  }
  for (int i = 3; i < 5; i++) expect_in(hear(&peers[21 + i]), "\"members\":{\"u0\":{\"info\":\"iiii");
  blob_unref(again);
  blob_unref(snapshot);
}

/* One stream of several channels gets what half of the outbox has room for. */
static void a_stream_has_room_for_all_its_channels_together(void **state) {
  (void)state;
  begin_large();
  fill("slow:2", 10);
  pass_time();
  struct memory_peer *peer = open_peer();
  memory_peer_send_text(peer, "GET /sse?channel=slow:1&channel=slow:2&envelope=1&token=z HTTP/1.1\r\nHost: t\r\n\r\n");
  const char *text = memory_peer_take(peer);
  expect_in(text, "\"slow:1\":{\"presence\":{\"count\":21,\"members\":{");
  expect_in(text, "\"slow:2\":{\"presence\":{\"count\":11,\"more\":true}}");
  memory_peer_close(peer);
  memory_peer_open(peer, server);
  memory_peer_send_text(peer, "GET /poll?channel=slow:2&channel=slow:1&client=&token=z HTTP/1.1\r\nHost: t\r\n\r\n");
  text = memory_peer_take(peer);
  expect_in(text, "\"slow:2\":{\"presence\":{\"count\":11,\"members\":{");
  expect_in(text, "\"slow:1\":{\"presence\":{\"count\":21,\"more\":true}}");
}

/* The text of a frame that is deflated; holds until the next call. */
static const char *hear_deflated(struct memory_peer *peer) {
  static char text[64 * 1024];
  struct bytes in = memory_peer_fetch(peer);
  assert_int_equal((unsigned char)in.ptr[0], 0xc1);
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(peer, &opcode, &payload));
  struct ws_inflater *inflater = ws_inflater_new();
  size_t len = sizeof text - 1, more;
  assert_int_equal(ws_inflater_feed(inflater, &payload, text, &len), WS_INFLATE_MORE);
  more = sizeof text - 1 - len;
  assert_int_equal(ws_inflater_finish(inflater, text + len, &more), WS_INFLATE_MORE);
  text[len + more] = '\0';
  ws_inflater_free(inflater);
  return text;
}

/* Deflated once for each size of window, between what is of each client alone. */
static void a_snapshot_is_deflated_once(void **state) {
  (void)state;
  static const char *const extensions[] = {"permessage-deflate", "permessage-deflate; server_max_window_bits=9"};
  server_finish(server);
  begin_with(1 << 20);
  fill("slow:1", 20);
  pass_time();
  say(connect_as("w"), "{\"subscribe\":\"slow:1\"}");
  uint64_t before = server->workers[0].stats.deflated;
  struct blob *snapshot = current();
  for (int i = 0; i < 6; i++) {
    struct memory_peer *peer = open_peer();
    char field[100], expected[8000];
    snprintf(field, sizeof field, "Sec-WebSocket-Extensions: %s\r\n", extensions[i / 3]);
    upgrade(peer, "z", field);
    say(peer, "{\"subscribe\":\"slow:1\",\"ref\":\"one of its own\"}");
    assert_int_equal(server->workers[0].stats.deflated, before + 1 + (uint64_t)(i / 3));
    const char *text = hear_deflated(peer);
    expect_in(text, "{\"ref\":\"one of its own\",\"ok\":{\"id\":\"");
    snprintf(expected, sizeof expected, ",\"presence\":%s}}", snapshot->data);
    assert_string_equal(strstr(text, ",\"presence\":"), expected);
  }
  blob_unref(snapshot);
}

/* A client whose inflater remembers earlier messages gets its snapshot plain: the deflater of its
 * connection has not seen the shared bytes. */
static void a_snapshot_is_plain_for_who_remembers(void **state) {
  (void)state;
  server_finish(server);
  takes_over = true;
  begin_with(1 << 20);
  takes_over = false;
  fill("slow:1", 20);
  pass_time();
  struct memory_peer *peer = open_peer();
  upgrade(peer, "z", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  say(peer, "{\"subscribe\":\"slow:1\",\"ref\":1}");
  assert_int_equal((unsigned char)memory_peer_fetch(peer).ptr[0], 0x81);
  expect_in(hear(peer), "\"members\":{\"u0\":{\"info\":\"iiii");
}

/* Whom the app subscribes hears of the others by an event, which is shared as well. */
static void what_the_app_subscribes_to_is_shared(void **state) {
  (void)state;
  begin_large();
  struct memory_peer *ws = connect_as("w"), *stream = open_peer();
  say(ws, "{\"subscribe\":\"slow:1\"}");
  say(ws, "{\"unsubscribe\":\"slow:1\"}");
  memory_peer_send_text(stream, "GET /sse?channel=plain:1&envelope=1&token=z HTTP/1.1\r\nHost: test\r\n\r\n");
  memory_peer_take(stream);
  struct blob *snapshot = current();
  unsigned refs = atomic_load(&snapshot->refs), expected = refs;
  for (struct mw_client *client = NULL; (client = mw_client_next(server, client));) {
    struct mw_bytes user = mw_client_user(client);
    bool is_of_us = user.len == 10 && (user.ptr[7] == 'w' || user.ptr[7] == 'z');
    if (!is_of_us) continue;
    assert_int_equal(mw_client_subscribe(server, client, "slow:1", 6), 0);
    server_settle(server);
    assert_int_equal(atomic_load(&snapshot->refs), ++expected);
  }
  assert_int_equal(expected, refs + 2);
  expect_in(memory_peer_take(stream),
            "{\"channel\":\"slow:1\",\"event\":\"moonwire:presence\",\"data\":{\"count\":21,\"members\":{");
  expect_in(hear(ws), "{\"channel\":\"slow:1\",\"event\":\"moonwire:presence\",\"data\":{\"count\":21,\"members\":{");
  blob_unref(snapshot);
}

/* ---- The app's own view ---------------------------------------------------------------------- */

static void note_name(void *context, const struct mw_member *member) {
  char *names = context;
  snprintf(names + strlen(names), 64, "%.*s ", (int)member->user_id.len, member->user_id.ptr);
}

static void the_app_reads_pages(void **state) {
  (void)state;
  static const char *const tokens[] = {"b", "a%5C%22", "a", "c"};
  struct mw_presence_query query = {.limit = 2};
  char names[256] = "";
  bool more;
  for (size_t i = 0; i < COUNT_OF(tokens); i++) say(connect_as(tokens[i]), "{\"subscribe\":\"plain:1\"}");
  assert_int_equal(mw_channel_presence(server, "plain:1", 7, &query, note_name, names, &more), 4);
  assert_string_equal(names, "a a\" ");
  assert_true(more);
  query.after = (struct mw_bytes){"a\"", 2};
  assert_int_equal(mw_channel_presence(server, "plain:1", 7, &query, note_name, names, &more), 4);
  assert_string_equal(names, "a a\" b c ");
  assert_false(more);
  query.after = (struct mw_bytes){"zz", 2};
  assert_int_equal(mw_channel_presence(server, "plain:1", 7, &query, note_name, names, &more), 4);
  assert_string_equal(names, "a a\" b c ");
  assert_int_equal(mw_channel_presence(server, "plain:2", 7, &query, note_name, names, &more), 0);
}

/* ---- If out of memory ------------------------------------------------------------------------ */

/* One by each transport comes to a channel whose snapshot is shared; what is said is right, and
 * nothing is left over. */
static bool come_by_all_ways(void *context) {
  (void)context;
  static const char *const requests[] = {"GET /sse?channel=room:1&envelope=1&token=u2 HTTP/1.1\r\nHost: t\r\n\r\n",
                                         "GET /sse?channel=room:1&token=u3 HTTP/1.1\r\nHost: t\r\n\r\n",
                                         "GET /poll?channel=room:1&client=&wait=0&token=u3 HTTP/1.1\r\nHost: t\r\n\r\n"};
  struct mw_memory *memories[COUNT_OF(requests)] = {NULL};
  static char text[20000];
  bool fine = true;
  set_info(600);
  if (make_server(1 << 20) < 0) return false;
  for (size_t i = 0; i < COUNT_OF(requests); i++) {
    if (mw_connect_memory(server, &memories[i]) < 0) memories[i] = NULL;
    fine = memories[i] && mw_memory_write(memories[i], requests[i], strlen(requests[i])) == 0 && fine;
    server_settle(server);
  }
  for (size_t i = 0; i < COUNT_OF(requests); i++) {
    size_t len = memories[i] ? mw_memory_read(memories[i], text, sizeof text - 1) : 0;
    text[len] = '\0';
    bool is_whole = strstr(text, "\"count\":") && strstr(text, i < 1 ? "\"members\":{\"u2\":" : "\"count\":2");
    fine = fine && is_whole;
    mw_memory_close(memories[i]);
  }
  server_settle(server);
  mw_server_advance(server, 40000);
  server_settle(server);
  mw_server_advance(server, 40000);
  assert_int_equal(mw_live("client"), 0);
  assert_int_equal(server->script.presences.count, 0);
  server_finish(server);
  return fine;
}

static void ignore_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text, (void)text_len;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  server_finish(server);
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
  assert_true(support_fail_each(come_by_all_ways, NULL) > 50);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  begin_with(OUTBOX);
}

/* ---- At random ------------------------------------------------------------------------------- */

enum { USERS = 9, SEATS = 12, ROUNDS = 6000 };

enum way { WAY_WS, WAY_SSE, WAY_POLL, WAY_COUNT };

/* A subscriber and whom it takes for present, by bits. It reads pages until it has seen the last
 * one. */
struct seat {
  struct memory_peer peer, post; /* post: by which an event stream or a poll asks for pages */
  enum way way;
  bool open;
  char user[4], client[32], after[4];
  unsigned known;
  bool is_paging, asked; /* asked: a page is in progress */
  unsigned touched;      /* whom changes have named since it was requested */
};

static struct seat seats[SEATS];

static unsigned read_names(const char *from, const char *until) {
  unsigned names = 0;
  for (const char *at = from; (at = strstr(at, "\"u")) != NULL && at < until; at += 4) {
    if (at[2] >= '0' && at[2] <= '9' && at[3] == '"') names |= 1u << (at[2] - '0');
  }
  return names;
}

static unsigned bits(unsigned set) {
  unsigned count = 0;
  for (; set; set &= set - 1) count++;
  return count;
}

/* Every change in the text, in order. */
static void take_changes(struct seat *seat, const char *text) {
  for (const char *joined = text; (joined = strstr(joined, "{\"joined\":"));) {
    const char *left = strstr(joined, ",\"left\":["), *count = strstr(left, "],\"count\":");
    unsigned in = read_names(joined, left), out = read_names(left, count);
    if (!seat->is_paging) {
      assert_int_equal(in & seat->known, 0);
      assert_int_equal(out & seat->known, out);
    }
    seat->known = (seat->known | in) & ~out;
    seat->touched |= in | out;
    if (!seat->is_paging) assert_int_equal(atoi(count + 10), bits(seat->known));
    joined = count;
  }
}

/* A snapshot, or the word that pages are to be read. */
static void take_snapshot(struct seat *seat, const char *text) {
  const char *at = strstr(text, "\"presence\":{\"count\":");
  assert_non_null(at);
  const char *members = strstr(at, "\"members\":{");
  seat->is_paging = !members;
  seat->after[0] = '\0';
  seat->asked = false;
  seat->known = members ? read_names(members, members + strlen(members)) : 0;
  if (members) assert_int_equal(atoi(at + 20), bits(seat->known));
}

static void take_page(struct seat *seat, const char *text) {
  const char *members = strstr(text, "\"members\":{"), *more = strstr(text, "},\"more\":");
  assert_true(members && more && seat->asked);
  unsigned listed = read_names(members, more);
  /* What has changed since the page was requested is newer than the page. */
  seat->known |= listed & ~seat->touched;
  seat->asked = false;
  const char *after = strstr(more, "\"after\":\"");
  if (after) snprintf(seat->after, sizeof seat->after, "%.2s", after + 9);
  seat->is_paging = after != NULL;
}

static void write_ask(const struct seat *seat, char *text, size_t size) {
  snprintf(text, size, "{\"presence\":\"room:1\",\"after\":\"%s\",\"limit\":%d,\"ref\":2}", seat->after, 1 + rand() % 3);
}

static void ask_for_page(struct seat *seat) {
  char text[200], fields[100], target[40];
  write_ask(seat, text, sizeof text);
  seat->asked = true;
  seat->touched = 0;
  if (seat->way == WAY_WS) {
    say(&seat->peer, text);
    return;
  }
  snprintf(fields, sizeof fields, "X-Moonwire-Client: %s\r\n", seat->client);
  snprintf(target, sizeof target, "/send?token=%s", seat->user);
  struct buffer out;
  buffer_init(&out);
  buffer_append_format(&out, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n%s\r\n%s", target, strlen(text), fields,
                       text);
  memory_peer_send(&seat->post, buffer_bytes(&out));
  buffer_deinit(&out);
}

static void poll(struct seat *seat) {
  char text[200];
  snprintf(text, sizeof text, "GET /poll?channel=room:1&client=%s&wait=0&token=%s HTTP/1.1\r\nHost: t\r\n\r\n", seat->client,
           seat->user);
  memory_peer_send_text(&seat->peer, text);
}

static void note_client(struct seat *seat, const char *text) {
  const char *at = strstr(text, "\"client\":\"");
  assert_non_null(at);
  snprintf(seat->client, sizeof seat->client, "%.28s", at + 10);
}

static void sit_down(struct seat *seat) {
  char text[200];
  *seat = (struct seat){.way = (enum way)(rand() % WAY_COUNT), .open = true};
  snprintf(seat->user, sizeof seat->user, "u%d", rand() % USERS);
  memory_peer_open(&seat->peer, server);
  memory_peer_open(&seat->post, server);
  if (seat->way == WAY_WS) {
    upgrade(&seat->peer, seat->user, "");
    say(&seat->peer, "{\"subscribe\":\"room:1\",\"ref\":1}");
    take_snapshot(seat, hear(&seat->peer));
    return;
  }
  if (seat->way == WAY_SSE) {
    snprintf(text, sizeof text, "GET /sse?channel=room:1&envelope=1&token=%s HTTP/1.1\r\nHost: t\r\n\r\n", seat->user);
    memory_peer_send_text(&seat->peer, text);
  } else {
    poll(seat);
  }
  const char *answer = memory_peer_take(&seat->peer);
  note_client(seat, answer);
  take_snapshot(seat, answer);
}

/* One that takes no page of what has come by another connection, so that changes overtake it. */
static void follow(struct seat *seat, bool takes_page) {
  if (!seat->open) return;
  if (seat->way == WAY_WS) {
    for (const char *text; (text = hear(&seat->peer));) {
      if (strncmp(text, "{\"ref\":2", 8) == 0) {
        take_page(seat, text);
      } else {
        take_changes(seat, text);
      }
    }
    return;
  }
  if (seat->way == WAY_POLL) poll(seat);
  take_changes(seat, memory_peer_take(&seat->peer));
  if (!takes_page || !seat->asked) return;
  const char *page = memory_peer_take(&seat->post);
  if (*page) take_page(seat, page);
}

static void stand_up(struct seat *seat) {
  memory_peer_close(&seat->peer);
  memory_peer_close(&seat->post);
  seat->open = false;
  server_settle(server);
}

static void note_member(void *context, const struct mw_member *member) {
  if (member->connections > 0) *(unsigned *)context |= 1u << (member->user_id.ptr[1] - '0');
}

/* Everyone reads to the last page: all know who is there. */
static void expect_agreement(void) {
  unsigned there = 0;
  for (size_t i = 0; i < SEATS; i++) {
    struct seat *seat = &seats[i];
    follow(seat, true);
    while (seat->open && seat->is_paging) {
      if (!seat->asked) ask_for_page(seat);
      follow(seat, true);
    }
  }
  mw_channel_presence(server, "room:1", 6, NULL, note_member, &there, NULL);
  for (size_t i = 0; i < SEATS; i++) {
    follow(&seats[i], true);
    if (seats[i].open) assert_int_equal(seats[i].known, there);
  }
}

static void pages_and_changes_make_up_who_is_there(void **state) {
  (void)state;
  memset(seats, 0, sizeof seats);
  srand(11);
  unsigned paged = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct seat *seat = &seats[rand() % SEATS];
    int what = rand() % 4;
    if (!seat->open) {
      sit_down(seat);
    } else if (what == 0 || (seat->way == WAY_POLL && rand() % 2)) {
      /* A client that polls has gone when its app says so, not when a poll ends. */
      struct mw_client *client = seat->way == WAY_POLL ? mw_client_find(server, seat->client, strlen(seat->client)) : NULL;
      if (client) mw_client_close(server, client, 1000, NULL);
      mw_client_unref(client);
      stand_up(seat);
    } else if (seat->is_paging && !seat->asked) {
      ask_for_page(seat);
      paged++;
    }
    for (size_t i = 0; i < SEATS; i++) follow(&seats[i], rand() % 3 == 0);
    if (round % 30 == 0) expect_agreement();
  }
  expect_agreement();
  assert_true(paged > 300);
  for (size_t i = 0; i < SEATS; i++) {
    if (seats[i].open) stand_up(&seats[i]);
  }
  mw_server_advance(server, 40000);
  assert_int_equal(server->script.presences.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_large_one_is_read_in_pages),
      CASE(a_page_is_bounded_in_bytes),
      CASE(a_page_needs_an_id_and_a_number),
      CASE(a_page_begins_after_any_id),
      CASE(numbers_have_no_pages),
      CASE(what_waits_counts),
      CASE(many_who_do_not_read_hold_one),
      CASE(a_stream_has_room_for_all_its_channels_together),
      CASE(a_snapshot_is_deflated_once),
      CASE(a_snapshot_is_plain_for_who_remembers),
      CASE(what_the_app_subscribes_to_is_shared),
      CASE(the_app_reads_pages),
      CASE(stands_a_lack_of_memory),
      CASE(pages_and_changes_make_up_who_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
