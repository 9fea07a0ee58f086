/* Clients of every kind come, join, leave, and are kicked, each time failing one allocation more
 * than the time before. After each step the app must have been told what is so: who is subscribed,
 * who is present, which channels are open. What was lost cuts a client off, and nothing is written
 * to it behind the hole. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/agreement.h"
#include "test/support/host.h"
#include "test/support/memory_peer.h"

enum { HOLE_MESSAGES = 80, ALL_HOOKS = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE };

static struct mw_server *server;
static struct agreement agreement;
static unsigned keep; /* request types that are answered in the next step */
static struct mw_request *kept[64];
static size_t kept_count;

static void answer(struct mw_request *request) {
  struct agreement_entry noted;
  assert_true(agreement_accept(&agreement, request, &noted));
  const char *data = mw_request_type(request) == MW_REQUEST_JOIN ? "{\"n\":1}" : "";
  if (mw_request_accept(request, data, strlen(data)) < 0) agreement_take_back(&agreement, &noted);
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  if (keep & 1u << mw_request_type(request)) {
    assert_true(kept_count < COUNT_OF(kept));
    kept[kept_count++] = request;
  } else {
    answer(request);
  }
}

static int define(struct mw_config *config) {
  static const struct mw_channel_options hooked = {.hooks = ALL_HOOKS, .history_size = 100, .presence = MW_PRESENCE_FULL},
                                         counted = {.hooks = ALL_HOOKS, .presence = MW_PRESENCE_COUNTS},
                                         present = {.presence = MW_PRESENCE_FULL},
                                         asked = {.hooks = MW_HOOK_PRESENCE, .presence = MW_PRESENCE_FULL},
                                         plain = {.history_size = 100};
  int status = mw_config_channel(config, "hooked:{x}", &hooked, NULL);
  if (status >= 0) status = mw_config_channel(config, "counted:{x}", &counted, NULL);
  if (status >= 0) status = mw_config_channel(config, "present:{x}", &present, NULL);
  if (status >= 0) status = mw_config_channel(config, "asked:{x}", &asked, NULL);
  if (status >= 0) status = mw_config_channel(config, "plain:{x}", &plain, NULL);
  return status < 0 ? status : 0;
}

static int begin_server(void) {
  struct mw_config_options options;
  struct mw_config *config = NULL;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.authenticate = options.connects = options.disconnects = true;
  options.limits.answer_ms = 2000; /* an answer that is lost to memory is given up soon */
  options.limits.ping_ms = options.limits.heartbeat_ms = UINT32_MAX;
  int status = mw_config_new(&config, &options, NULL);
  if (status == 0) status = define(config);
  if (status >= 0) status = mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL);
  mw_config_unref(config);
  if (status >= 0) mw_server_advance(server, 1);
  return status < 0 ? status : 0;
}

/* Lets everything that is in progress come to its end, then looks. */
static void check_step(int line) {
  for (int round = 0; round < 40 && (round < 3 || kept_count > 0); round++) {
    for (size_t n = kept_count; n > 0; n--) {
      struct mw_request *request = kept[0];
      memmove(kept, kept + 1, --kept_count * sizeof *kept);
      answer(request);
    }
    server_settle(server);
  }
  const char *fault = agreement_fault(&agreement, server);
  if (!fault) return;
  print_error("line %d: %s\n", line, fault);
  _fail(__FILE__, line);
}
#define check() check_step(__LINE__)

/* ---- Peers ----------------------------------------------------------------------------------- */

/* False if it was out of memory. */
static bool try_send(struct mw_memory *memory, const char *text, size_t len) {
  bool fine = memory && mw_memory_write(memory, text, len) == 0;
  server_settle(server);
  return fine;
}

static struct mw_memory *open_peer(const char *request) {
  struct mw_memory *memory = NULL;
  if (mw_connect_memory(server, &memory) < 0) return NULL;
  try_send(memory, request, strlen(request));
  return memory;
}

static void say(struct mw_memory *memory, const char *text) {
  size_t len = strlen(text);
  char frame[140] = {(char)0x81, (char)(0x80 | len)};
  assert_true(len < 126);
  memcpy(frame + 6, text, len);
  try_send(memory, frame, len + 6);
}

/* What came, terminated, without the zeros of frames; malloc is not the library's. */
static char *take(struct mw_memory *memory) {
  static char text[65536];
  size_t len = 0, read = 1;
  while (memory && read > 0 && len + 1 < sizeof text) {
    read = mw_memory_read(memory, text + len, sizeof text - len - 1);
    len += read;
    server_settle(server);
  }
  for (size_t i = 0; i < len; i++) {
    if (!text[i]) text[i] = ' ';
  }
  text[len] = '\0';
  return text;
}

#define WS_UPGRADE                                                                                                               \
  "GET /ws?token=ann HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"          \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void close_all(struct mw_memory **peers, size_t count) {
  for (size_t i = 0; i < count; i++) mw_memory_close(peers[i]);
  server_settle(server);
}

/* ---- The scenarios --------------------------------------------------------------------------- */

static bool begin_scenario(unsigned keeps) {
  agreement = (struct agreement){.count = 0};
  keep = keeps;
  kept_count = 0;
  server = NULL;
  return begin_server() == 0;
}

static void end_scenario(void) {
  mw_server_advance(server, 10000);
  check();
  keep = 0;
  server_finish(server);
  for (size_t i = 0; i < agreement.count; i++) assert_int_equal(agreement.entries[i].count, 0);
}

static void publish(const char *channel, const char *data, bool is_final) {
  struct mw_publish message = {.channel = {channel, strlen(channel)}, .data = {data, strlen(data)}, .is_final = is_final};
  mw_publish(server, &message, NULL, NULL);
  check();
}

static bool streams(void *context) {
  struct mw_memory *peers[2];
  if (!begin_scenario(*(unsigned *)context)) return false;
  peers[0] = open_peer("GET /sse?channel=hooked:1&channel=counted:1&channel=present:1 HTTP/1.1\r\nHost: t\r\n\r\n");
  check();
  peers[1] = open_peer("GET /sse?channel=hooked:1&channel=plain:1&envelope=1 HTTP/1.1\r\nHost: t\r\n\r\n");
  check();
  publish("hooked:1", "1", false);
  struct mw_client *client = mw_client_next(server, NULL);
  if (client) {
    mw_client_subscribe(server, client, "present:2", 9);
    mw_client_subscribe(server, client, "hooked:2", 8);
    check();
    mw_client_unsubscribe(server, client, "hooked:1", 8, "kicked", "");
    check();
    mw_client_unsubscribe(server, client, "present:2", 9, "kicked", "");
    check();
  }
  mw_client_unref(client);
  publish("hooked:1", "2", true);
  publish("hooked:1", "3", false);
  close_all(peers, 2);
  check();
  end_scenario();
  return true;
}

static bool sockets(void *context) {
  struct mw_memory *peers[2];
  if (!begin_scenario(*(unsigned *)context)) return false;
  peers[0] = open_peer(WS_UPGRADE "\r\n");
  check();
  peers[1] = open_peer(WS_UPGRADE "Sec-WebSocket-Protocol: moonwire.1\r\n\r\n");
  say(peers[1], "{\"connect\":{\"token\":\"bob\"},\"ref\":1}");
  check();
  for (size_t i = 0; i < 2; i++) {
    say(peers[i], "{\"subscribe\":\"hooked:1\",\"since\":\"0\",\"ref\":2}");
    say(peers[i], "{\"subscribe\":\"counted:1\",\"ref\":3}");
    say(peers[i], "{\"subscribe\":\"present:1\",\"ref\":4}");
    check();
  }
  publish("hooked:1", "1", false);
  say(peers[0], "{\"unsubscribe\":\"counted:1\",\"ref\":5}");
  check();
  publish("hooked:1", "2", true);
  say(peers[1], "{\"unsubscribe\":\"present:1\",\"ref\":6}");
  say(peers[1], "{\"subscribe\":\"present:1\",\"ref\":7}");
  check();
  close_all(peers, 2);
  check();
  end_scenario();
  return true;
}

static bool polls(void *context) {
  struct mw_memory *peers[3];
  char text[200], client[32] = "", id[32] = "";
  if (!begin_scenario(*(unsigned *)context)) return false;
  peers[0] = open_peer("GET /poll?channel=hooked:1&channel=present:1&client= HTTP/1.1\r\nHost: t\r\n\r\n");
  check();
  const char *body = take(peers[0]), *at = strstr(body, "\"client\":\""), *since = strstr(body, "{\"id\":\"");
  if (at) snprintf(client, sizeof client, "%.*s", (int)strcspn(at + 10, "\""), at + 10);
  if (since) snprintf(id, sizeof id, "%.*s", (int)strcspn(since + 7, "\""), since + 7);
  snprintf(text, sizeof text, "GET /poll?channel=hooked:1&channel=counted:1&client=%s&since=%s HTTP/1.1\r\nHost: t\r\n\r\n",
           client, id);
  peers[1] = open_peer(text);
  check();
  publish("hooked:1", "1", true);
  publish("hooked:1", "2", false);
  peers[2] = open_peer(text);
  check();
  if (client[0]) {
    snprintf(
        text, sizeof text,
        "POST /send HTTP/1.1\r\nHost: t\r\nX-Moonwire-Client: %s\r\nContent-Length: 25\r\n\r\n{\"subscribe\":\"hooked:2\"}  ",
        client);
    struct mw_memory *sender = open_peer(text);
    check();
    close_all(&sender, 1);
  }
  close_all(peers, 3);
  mw_server_advance(server, 60000);
  check();
  end_scenario();
  return true;
}

/* Publishes in two turns so many messages that the lists of a turn and of what waits grow in the
 * middle. Where that is out of memory, no one may get a later message without the one that was
 * lost. By real sockets: what a broken connection has written before its end is read there. */
static bool nothing_behind_a_hole(void *context) {
  (void)context;
  static const char *const targets[] = {"/sse?channel=plain:1", "/sse?channel=plain:1&channel=plain:2&envelope=1",
                                        "/sse?channel=plain:2&channel=plain:1"};
  struct host host;
  struct peer peers[COUNT_OF(targets)];
  unsigned numbers[HOLE_MESSAGES], count = 0;
  if (host_begin(&host, &(struct host_options){.define = define, .is_unix = true}) < 0) return false;
  for (size_t i = 0; i < COUNT_OF(targets); i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], targets[i], "");
  }
  host_settle(&host);
  for (unsigned n = 0; n < HOLE_MESSAGES; n++) {
    char data[16];
    snprintf(data, sizeof data, "\"~%03u\"", n);
    if (host_publish(&host, "plain:1", data) == 0) numbers[count++] = n;
    if (n == HOLE_MESSAGES / 2) host_settle(&host);
  }
  host_settle(&host);
  for (size_t i = 0; i < COUNT_OF(targets); i++) {
    unsigned at = 0;
    bool is_first = true;
    peer_read(&peers[i], SIZE_MAX);
    for (const char *text = peers[i].in; text && (text = strstr(text, "\"~")) && strnlen(text, 6) == 6; text += 2) {
      unsigned number = (unsigned)strtoul(text + 2, NULL, 10);
      while (is_first && at < count && numbers[at] < number) at++;
      is_first = false;
      assert_true(at < count);
      assert_int_equal(number, numbers[at]);
      at++;
    }
    peer_close(&peers[i]);
  }
  host_end(&host);
  return true;
}

/* One that is told of a gap, or of the end of its subscription, learns of which channel. */
static bool an_event_names_its_channel(void *context) {
  (void)context;
  if (!begin_scenario(0)) return false;
  publish("plain:1", "1", false);
  struct mw_memory *peer =
      open_peer("GET /sse?channel=plain:1&envelope=1&since=another1-0000000000000001 HTTP/1.1\r\nHost: t\r\n\r\n");
  check();
  const char *gap = strstr(take(peer), "\"moonwire:gap\"");
  if (gap) assert_non_null(strstr(gap, "\"data\":{\"channel\":\"plain:1\"}}"));
  struct mw_client *client = mw_client_next(server, NULL);
  if (client) mw_client_unsubscribe(server, client, "plain:1", 7, "kicked", "");
  mw_client_unref(client);
  check();
  const char *left = strstr(take(peer), "\"moonwire:unsubscribed\"");
  if (left) assert_non_null(strstr(left, "\"data\":{\"channel\":\"plain:1\",\"code\":\"kicked\",\"reason\":\"\"}}"));
  close_all(&peer, 1);
  end_scenario();
  return gap && left;
}

/* The last number of members that the peer was told of. */
static long told_count(struct mw_memory *memory) {
  long count = -1;
  for (const char *at = take(memory); (at = strstr(at, "\"count\":")); at++) count = strtol(at + 8, NULL, 10);
  return count;
}

/* A subscriber that is still there after some seconds knows that it is a member. */
static bool one_member(void *context) {
  const char *subscribe = context;
  if (!begin_scenario(0)) return false;
  struct mw_memory *peer = open_peer(WS_UPGRADE "\r\n");
  check();
  say(peer, subscribe);
  long told = told_count(peer);
  for (int i = 0; i < 4; i++) {
    mw_server_advance(server, 1000);
    long later = told_count(peer);
    if (later >= 0) told = later;
  }
  check();
  bool is_there = peer && mw_live("subscription") > 0;
  if (is_there) assert_int_equal(told, 1);
  close_all(&peer, 1);
  end_scenario();
  return is_there;
}

/* Answers what is kept while nothing that is counted fits into the queue of the worker and the nth
 * allocation fails. */
static void answer_without_room(size_t nth) {
  struct mailbox *mailbox = &server->workers[0].mailbox;
  size_t limit = mailbox->limit;
  assert_int_equal(kept_count, 1);
  kept_count = 0;
  mailbox->limit = 0;
  memory_fail_after(nth);
  answer(kept[0]);
  memory_fail_after(0);
  mailbox->limit = limit;
}

static struct mw_memory *ask_to_join(void) {
  assert_true(begin_scenario(1u << MW_REQUEST_AUTHORIZE | 1u << MW_REQUEST_PRESENCE));
  return open_peer("GET /sse?channel=hooked:1 HTTP/1.1\r\nHost: t\r\n\r\n");
}

/* What the app is asked when a client joins, or when it has subscribed it, is answered: an answer
 * needs neither room nor memory on its way. */
static void join_without_room(bool by_app, size_t nth) {
  struct mw_memory *peer = ask_to_join();
  if (by_app) {
    check();
    assert_non_null(strstr(take(peer), "HTTP/1.1 200 OK\r\n"));
    struct mw_client *client = mw_client_next(server, NULL);
    assert_int_equal(mw_client_subscribe(server, client, "asked:1", 7), 0);
    mw_client_unref(client);
    server_settle(server);
  }
  answer_without_room(nth);
  check();
  /* One that was subscribed, but could not be added, is disconnected. */
  if (!by_app) assert_non_null(strstr(take(peer), "HTTP/1.1 200 OK\r\n"));
  close_all(&peer, 1);
  end_scenario();
}

static void of_answers_without_room(void **state) {
  (void)state;
  for (int by_app = 0; by_app < 2; by_app++) {
    for (size_t nth = 1; nth < 30; nth++) join_without_room(by_app, nth);
  }
}

/* The server stops, or is freed, before the answer has come to its worker. */
static void of_answers_that_are_under_way_at_the_end(void **state) {
  (void)state;
  for (size_t i = 2; i < 60; i++) {
    struct mw_memory *peer = ask_to_join();
    answer_without_room(i / 2);
    assert_false(mailbox_empty(&server->workers[0].mailbox));
    mw_memory_close(peer);
    if (i % 2 == 0) {
      keep = 0;
      server_finish(server);
    } else {
      mw_server_free(server);
    }
    assert_int_equal(memory_live(), 0);
  }
}

/* ---- The tests ------------------------------------------------------------------------------- */

static void run(bool (*scenario)(void *context), unsigned keeps) { assert_true(support_fail_each(scenario, &keeps) > 100); }

static void of_streams(void **state) {
  (void)state;
  run(streams, 0);
  run(streams, 0xffff);
}

static void of_sockets(void **state) {
  (void)state;
  run(sockets, 0);
  run(sockets, 0xffff);
}

static void of_polls(void **state) {
  (void)state;
  run(polls, 0);
  run(polls, 0xffff);
}

static void of_members(void **state) {
  (void)state;
  static char *const verbs[] = {"{\"subscribe\":\"counted:1\",\"ref\":1}", "{\"subscribe\":\"present:1\",\"ref\":1}"};
  for (size_t i = 0; i < COUNT_OF(verbs); i++) assert_true(support_fail_each(one_member, verbs[i]) > 50);
}

static void of_events(void **state) {
  (void)state;
  assert_true(support_fail_each(an_event_names_its_channel, NULL) > 50);
}

static void of_what_is_written(void **state) {
  (void)state;
  run(nothing_behind_a_hole, 0);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {TEST(of_streams),
                                     TEST(of_sockets),
                                     TEST(of_polls),
                                     TEST(of_members),
                                     TEST(of_events),
                                     TEST(of_what_is_written),
                                     TEST(of_answers_without_room),
                                     TEST(of_answers_that_are_under_way_at_the_end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
