/* One peer that sends more than its share: of what it sends no more than its budget is done in a
 * turn, of any kind, a quiet peer is answered in the same turn, and in the end everything is
 * done. */
#include "http/budget.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "codec/ws/ws_deflate.h"
#include "net/stream_peer.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"
#include "test/support/memory_peer.h"

enum { TURNS_MAX = 20000, KEPT = 6000, PAGE = 20000 };

struct fixture {
  struct mw_server *server;
  struct memory_peer flooder, quiet;
  size_t asked[32]; /* by type of request */
};

static struct fixture fixture;

static void respond(struct mw_request *request) {
  static char page[PAGE];
  struct mw_bytes path = mw_request_http(request)->path;
  struct mw_response response = {.status = 200, .body = {"y", 1}};
  if (path.len == 7 && memcmp(path.ptr, "/x/page", 7) == 0) response.body = (struct mw_bytes){page, sizeof page};
  mw_request_respond(request, &response, NULL);
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  struct mw_socket *socket;
  fixture.asked[mw_request_type(request)]++;
  switch (mw_request_type(request)) {
    case MW_REQUEST_HTTP: respond(request); break;
    case MW_REQUEST_WEBSOCKET:
      mw_request_websocket(request, &socket);
      mw_socket_unref(socket);
      break;
    default: mw_request_accept(request, NULL, 0); break;
  }
}

static void publish(const char *channel, size_t count) {
  struct mw_publish message = {
      .channel = {channel, strlen(channel)}, .event = {"m", 1}, .data = {"\"12345678901234567890\"", 22}};
  for (size_t i = 0; i < count; i++) assert_int_equal(mw_publish(fixture.server, &message, NULL, NULL), 0);
}

static void start(void) {
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  struct mw_config_options options;
  struct mw_config *config;
  fixture = (struct fixture){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.publish_key = "key";
  options.limits.input_backlog = 1 << 20;
  options.limits.rate = (struct mw_rate){0, 0};
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {
      .events = events, .event_count = 2, .history_size = 10000, .history_readable = true, .presence = MW_PRESENCE_FULL};
  assert_int_equal(mw_config_channel(config, "room:{n}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "asks:{n}", &(struct mw_channel_options){.hooks = MW_HOOK_AUTHORIZE}, NULL), 1);
  assert_true(mw_config_route(config, "GET", "/x/{y}", NULL) >= 0);
  assert_true(mw_config_route(config, "POST", "/x", NULL) >= 0);
  assert_true(mw_config_websocket(config, "/raw", &(struct mw_websocket_options){NULL}, NULL) >= 0);
  assert_int_equal(mw_server_new(&fixture.server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(fixture.server, 0);
  memory_peer_open(&fixture.flooder, fixture.server);
  memory_peer_open(&fixture.quiet, fixture.server);
  server_settle(fixture.server);
}

static void finish(void) {
  memory_peer_close(&fixture.flooder);
  memory_peer_close(&fixture.quiet);
  server_finish(fixture.server);
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static void append_frame(struct buffer *out, unsigned first_byte, struct bytes payload) {
  char header[WS_HEADER_MAX];
  size_t header_len = ws_frame_header(header, WS_OPCODE_TEXT, payload.len);
  header[0] = (char)first_byte;
  header[1] = (char)(header[1] | 0x80);
  buffer_append(out, bytes_of(header, header_len));
  buffer_append(out, bytes_of("\0\0\0", 4));
  buffer_append(out, payload);
}

/* A megabyte of a verb, in a kilobyte. */
static void append_bomb(struct buffer *out) {
  struct buffer text = {0}, deflated = {0};
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
  buffer_append_string(&text, "{\"ping\":true,\"ref\":1,\"x\":\"");
  memset(buffer_reserve(&text, 1000000), 'a', 1000000);
  text.len += 1000000;
  buffer_append_string(&text, "\"}");
  struct bytes part = buffer_bytes(&text);
  assert_true(ws_deflater_message(deflater, &part, 1, &deflated));
  append_frame(out, 0xc1, buffer_bytes(&deflated));
  ws_deflater_free(deflater);
  buffer_deinit(&text);
  buffer_deinit(&deflated);
}

static void append_request(struct buffer *out, const char *request, const char *body) {
  buffer_append_format(out, "%s HTTP/1.1\r\nHost: a\r\n", request);
  if (body)
    buffer_append_format(out, "Authorization: Bearer key\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
                         strlen(body));
  buffer_append_format(out, "\r\n%s", body ? body : "");
}

static void append_array(struct buffer *out) {
  struct buffer body = {0};
  for (int i = 0; i < 200; i++) buffer_append_string(&body, i > 0 ? ",{\"channel\":\"room:2\"}" : "[{\"channel\":\"room:2\"}");
  buffer_append_string(&body, "]");
  buffer_append_char(&body, '\0');
  append_request(out, "POST /publish", body.data);
  buffer_deinit(&body);
}

/* ---- What is done ---------------------------------------------------------------------------- */

/* Takes what came, without a turn. */
static void take(struct memory_peer *peer) {
  char chunk[4096];
  for (size_t len = 1; len > 0;) {
    len = mw_memory_read(peer->memory, chunk, sizeof chunk);
    buffer_append(&peer->in, bytes_of(chunk, len));
  }
}

static size_t take_answers(struct memory_peer *peer) {
  size_t count = 0;
  take(peer);
  for (;;) {
    struct bytes in = buffer_bytes(&peer->in);
    size_t head = 0;
    while (head + 4 <= in.len && memcmp(in.ptr + head, "\r\n\r\n", 4) != 0) head++;
    if (head + 4 > in.len) return count;
    in.ptr = memcpy(calloc(1, head + 1), in.ptr, head);
    const char *length = strstr(in.ptr, "Content-Length: ");
    size_t len = head + 4 + (size_t)atol(length + strlen("Content-Length: "));
    assert_memory_equal(in.ptr, "HTTP/1.1 ", 9);
    free((void *)(uintptr_t)in.ptr);
    if (in.len < len) return count;
    buffer_consume(&peer->in, len);
    count++;
  }
}

static size_t take_frames(struct memory_peer *peer) {
  size_t count = 0, at = 0;
  take(peer);
  const unsigned char *in = (const unsigned char *)peer->in.data;
  for (;; count++) {
    if (at + 10 > peer->in.len && at + 2 > peer->in.len) break;
    size_t len = in[at + 1] & 0x7f, header = len == 127 ? 10 : len == 126 ? 4 : 2;
    if (at + header > peer->in.len) break;
    if (header > 2) len = 0;
    for (size_t i = 2; i < header; i++) len = len << 8 | in[at + i];
    if (at + header + len > peer->in.len) break;
    at += header + len;
  }
  buffer_consume(&peer->in, at);
  return count;
}

static size_t unread(void) { return ((struct stream_peer *)(void *)fixture.flooder.memory)->up.len; }

enum measure { ANSWERS, FRAMES, ASKED, READ };

struct flood {
  const char *name;
  const char *endpoint; /* NULL: HTTP; else the path of a WebSocket */
  const char *first;    /* what it sends before, or NULL */
  /* a request line, or the payload of a text frame; NULL: what `append` appends */
  const char *item;
  const char *body;
  void (*append)(struct buffer *out);
  size_t count; /* of items */
  enum measure measure;
  enum mw_request_type asked;
  size_t per_item; /* what is measured of each; 0: 1 */
  size_t most;     /* in one turn */
  bool waits;      /* the first is complete in a later turn */
};

static void append_item(struct buffer *out, const struct flood *flood) {
  if (flood->append) {
    flood->append(out);
  } else if (flood->endpoint) {
    append_frame(out, 0x81, bytes_string(flood->item));
  } else {
    append_request(out, flood->item, flood->body);
  }
}

static void append_pings(struct buffer *out) {
  for (int i = 0; i < 50; i++) append_frame(out, 0x89, BYTES("x"));
}

static void append_fragments(struct buffer *out) {
  append_frame(out, 0x01, BYTES("{\"ping\":true,"));
  for (int i = 0; i < 5000; i++) append_frame(out, 0x00, BYTES(""));
  append_frame(out, 0x80, BYTES("\"ref\":1}"));
}

static void append_chunks(struct buffer *out) {
  buffer_append_string(out, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100000; i++) buffer_append_string(out, "1\r\na\r\n");
  buffer_append_string(out, "0\r\n\r\n");
}

static void append_garbage(struct buffer *out) {
  for (int i = 0; i < 20000; i++) buffer_append_string(out, "what nobody reads of a peer that gets a stream\n");
}

static void append_unheard(struct buffer *out) {
  append_frame(out, 0x81, BYTES("{\"subscribe\":\"room:3\"}"));
  append_frame(out, 0x81, BYTES("{\"unsubscribe\":\"room:3\",\"ref\":1}"));
}

#define SUBSCRIBE "{\"subscribe\":\"room:1\",\"ref\":1}"
static const struct flood floods[] = {
    {.name = "requests", .item = "GET /health", .count = 1000, .most = 64},
    {.name = "requests for nothing", .item = "GET /nothing", .count = 1000, .most = 64},
    {.name = "polls", .item = "GET /poll?channel=room:1&since=0", .count = 60, .most = 1, .waits = true},
    {.name = "polls of nothing", .item = "GET /poll?channel=room:9&since=0&wait=0", .count = 500, .most = 64},
    {.name = "polls that ask", .item = "GET /poll?channel=asks:1&since=0&wait=0", .count = 200, .most = 4},
    {.name = "routes", .item = "GET /x/1", .count = 300, .most = 4},
    {.name = "large answers", .item = "GET /x/page", .count = 60, .measure = ASKED, .asked = MW_REQUEST_HTTP, .most = 3},
    {.name = "messages by POST /send",
     .item = "POST /send",
     .body = "{\"send\":\"room:1\",\"event\":\"say\"}",
     .count = 200,
     .most = 4},
    {.name = "publishes", .item = "POST /publish", .body = "{\"channel\":\"room:2\"}", .count = 400, .most = 64},
    {.name = "arrays of publishes", .append = append_array, .count = 30, .most = 1},
    {.name = "chunks of one byte", .append = append_chunks, .count = 1, .measure = READ, .most = 2 << 16},
    {.name = "input of a stream",
     .first = "GET /sse?channel=room:1",
     .append = append_garbage,
     .count = 1,
     .measure = READ,
     .most = 2 << 16},
    {.name = "pings", .endpoint = "/ws", .append = append_pings, .count = 60, .per_item = 50, .measure = FRAMES, .most = 512},
    {.name = "verbs", .endpoint = "/ws", .item = "{\"ping\":true,\"ref\":1}", .count = 3000, .measure = FRAMES, .most = 512},
    {.name = "no verbs", .endpoint = "/ws", .item = "", .count = 3000, .measure = FRAMES, .most = 512},
    {.name = "fragments", .endpoint = "/ws", .append = append_fragments, .count = 30, .measure = FRAMES, .most = 8},
    {.name = "inflated", .endpoint = "/ws", .append = append_bomb, .count = 20, .measure = FRAMES, .most = 1, .waits = true},
    {.name = "history",
     .endpoint = "/ws",
     .first = SUBSCRIBE,
     .item = "{\"history\":\"room:1\",\"limit\":10000,\"ref\":1}",
     .count = 3,
     .measure = FRAMES,
     .most = 1,
     .waits = true},
    {.name = "presence",
     .endpoint = "/ws",
     .first = SUBSCRIBE,
     .item = "{\"presence\":\"room:1\",\"ref\":1}",
     .count = 2000,
     .measure = FRAMES,
     .most = 512},
    {.name = "subscriptions", .endpoint = "/ws", .append = append_unheard, .count = 300, .measure = FRAMES, .most = 8},
    {.name = "relayed",
     .endpoint = "/ws",
     .first = SUBSCRIBE,
     .item = "{\"send\":\"room:1\",\"event\":\"typing\",\"ref\":1}",
     .count = 2000,
     .measure = FRAMES,
     .most = 512},
    {.name = "messages",
     .endpoint = "/ws",
     .first = SUBSCRIBE,
     .item = "{\"send\":\"room:1\",\"event\":\"say\"}",
     .count = 500,
     .measure = ASKED,
     .asked = MW_REQUEST_MESSAGE,
     .most = 4},
    {.name = "raw messages",
     .endpoint = "/raw",
     .item = "x",
     .count = 500,
     .measure = ASKED,
     .asked = MW_REQUEST_SOCKET_MESSAGE,
     .most = 4},
};

static void upgrade(const char *endpoint) {
  struct buffer out = {0};
  buffer_append_format(&out,
                       "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                       endpoint);
  memory_peer_send(&fixture.flooder, buffer_bytes(&out));
  assert_memory_equal(memory_peer_take(&fixture.flooder), "HTTP/1.1 101 ", 13);
  buffer_deinit(&out);
}

static void prepare(const struct flood *flood) {
  struct buffer out = {0};
  publish("room:1", KEPT);
  server_settle(fixture.server);
  if (flood->endpoint) upgrade(flood->endpoint);
  if (flood->first && flood->endpoint) append_frame(&out, 0x81, bytes_string(flood->first));
  if (flood->first && !flood->endpoint) append_request(&out, flood->first, NULL);
  if (flood->first) memory_peer_send(&fixture.flooder, buffer_bytes(&out));
  memory_peer_take(&fixture.flooder);
  buffer_deinit(&out);
}

/* What was done since the last look. */
static size_t look(const struct flood *flood, size_t *before) {
  size_t now, was = *before;
  switch (flood->measure) {
    case ANSWERS: return take_answers(&fixture.flooder);
    case FRAMES: return take_frames(&fixture.flooder);
    case ASKED:
      take(&fixture.flooder);
      now = fixture.asked[flood->asked];
      break;
    default:
      take(&fixture.flooder);
      now = SIZE_MAX - unread();
      break;
  }
  *before = now;
  return now - was;
}

static void assert_quiet_is_answered(const struct flood *flood, size_t turn) {
  struct memory_peer *quiet = &fixture.quiet;
  size_t count = take_answers(quiet);
  if (count != 1) fail_msg("%s: turn %zu: %zu answers for the quiet peer", flood->name, turn, count);
}

static void run(const struct flood *flood) {
  struct buffer out = {0};
  start();
  prepare(flood);
  for (size_t i = 0; i < flood->count; i++) append_item(&out, flood);
  assert_int_equal(mw_memory_write(fixture.flooder.memory, out.data, out.len), 0);
  size_t before = flood->measure == ASKED ? fixture.asked[flood->asked] : SIZE_MAX - unread();
  size_t all = flood->measure == READ ? out.len : flood->count * (flood->per_item ? flood->per_item : 1), done = 0, turn = 0;
  while (done < all && turn < TURNS_MAX) {
    struct bytes request = BYTES("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(mw_memory_write(fixture.quiet.memory, request.ptr, request.len), 0);
    mw_server_step(fixture.server);
    assert_quiet_is_answered(flood, ++turn);
    size_t some = look(flood, &before);
    if (some > flood->most || (turn == 1 && some == 0 && !flood->waits)) fail_msg("%s: %zu in turn %zu", flood->name, some, turn);
    done += some;
  }
  if (done != all) fail_msg("%s: %zu of %zu after %zu turns", flood->name, done, all, turn);
  if (turn < 3) fail_msg("%s: only %zu turns", flood->name, turn);
  buffer_deinit(&out);
  finish();
}

static void is_spread_over_turns(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(floods); i++) run(&floods[i]);
}

/* The same by a socket of the system, which is otherwise read up to 32 times in a row. What is sent by
 * one end may reach the other one some turns later, so the server counts what it does in a turn. */
static void holds_for_sockets(void **state) {
  (void)state;
  enum { REQUESTS = 20000, MOST = 64 };
  struct host host;
  struct peer flooder, quiet;
  struct buffer out = {0};
  assert_int_equal(host_begin(&host, &(struct host_options){.workers = 1}), 0);
  peer_connect(&flooder, &host);
  peer_connect(&quiet, &host);
  host_settle(&host);
  for (int i = 0; i < REQUESTS; i++) buffer_append_string(&out, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  struct mw_stats before, after;
  size_t sent = 0, answered = 0;
  bool asks = true; /* the quiet peer has its answer */
  while (peer_count(&flooder, "HTTP/1.1 200") < REQUESTS) {
    ssize_t some = send(flooder.fd, out.data + sent, out.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (some > 0) sent += (size_t)some;
    if (asks) peer_get(&quiet, "/health", "");
    mw_server_stats(host.server, &before);
    mw_server_step(host.server);
    mw_server_stats(host.server, &after);
    assert_true(after.requests - before.requests <= MOST + 1);
    peer_read(&flooder, SIZE_MAX);
    asks = peer_has(&quiet, "HTTP/1.1 200");
    if (!asks) continue;
    answered++;
    quiet.len = 0;
  }
  /* The quiet peer does not wait for the other one. */
  assert_true(answered >= REQUESTS / MOST / 8);
  buffer_deinit(&out);
  peer_close(&flooder);
  peer_close(&quiet);
  host_end(&host);
}

/* Many that want more than their share have one share together, so that a turn stays short. */
static void is_shared_by_many(void **state) {
  (void)state;
  enum { FLOODERS = 40, ITEMS = 600, MOST = BUDGET_LEFTOVERS / BUDGET_REQUEST + 64 };
  struct memory_peer flooders[FLOODERS];
  struct buffer out = {0};
  start();
  for (int i = 0; i < ITEMS; i++) append_request(&out, "GET /health", NULL);
  for (size_t i = 0; i < FLOODERS; i++) memory_peer_open(&flooders[i], fixture.server);
  for (size_t i = 0; i < FLOODERS; i++) mw_memory_write(flooders[i].memory, out.data, out.len);
  mw_server_step(fixture.server); /* everyone's first share */
  size_t done[FLOODERS] = {0}, all = 0;
  for (size_t i = 0; i < FLOODERS; i++) all += done[i] = take_answers(&flooders[i]);
  for (int turn = 0; all < FLOODERS * ITEMS && turn < TURNS_MAX; turn++) {
    size_t some = 0;
    mw_server_step(fixture.server);
    for (size_t i = 0; i < FLOODERS; i++) {
      size_t own = take_answers(&flooders[i]);
      some += own;
      done[i] += own;
      assert_true(own <= 64);
    }
    assert_true(some <= MOST);
    all += some;
    /* No one is left behind. */
    for (size_t i = 1; turn < 20 && i < FLOODERS; i++) assert_true(done[i] + 2 * 64 > done[0] && done[i] < done[0] + 2 * 64);
  }
  assert_int_equal(all, FLOODERS * ITEMS);
  for (size_t i = 0; i < FLOODERS; i++) memory_peer_close(&flooders[i]);
  buffer_deinit(&out);
  finish();
}

/* Verbs that come by POST /send for a client with an event stream are charged to that client, and
 * wait in its backlog. */
static void holds_for_those_who_send_for_a_stream(void **state) {
  (void)state;
  enum { SENDERS = 30 };
  struct memory_peer senders[SENDERS];
  struct buffer out = {0};
  char id[64] = "";
  start();
  publish("room:1", KEPT);
  server_settle(fixture.server);
  memory_peer_send_text(&fixture.flooder, "GET /sse?channel=room:1&envelope=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  const char *at = strstr(memory_peer_take(&fixture.flooder), "\"client\":\"");
  assert_non_null(at);
  snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 10, "\""), at + 10);
  const char *body = "{\"history\":\"room:1\",\"limit\":10000,\"ref\":1}";
  buffer_append_format(&out, "POST /send HTTP/1.1\r\nHost: a\r\nX-Moonwire-Client: %s\r\nContent-Length: %zu\r\n\r\n%s", id,
                       strlen(body), body);
  for (size_t i = 0; i < SENDERS; i++) memory_peer_open(&senders[i], fixture.server);
  for (size_t i = 0; i < SENDERS; i++) mw_memory_write(senders[i].memory, out.data, out.len);
  size_t begun = 0, turns = 0;
  for (; begun < SENDERS && turns < TURNS_MAX; turns++) {
    size_t before = begun;
    mw_server_step(fixture.server);
    begun = 0;
    for (size_t i = 0; i < SENDERS; i++) {
      take(&senders[i]);
      begun += senders[i].in.len > 0;
    }
    assert_true(begun - before <= 1);
  }
  assert_int_equal(begun, SENDERS);
  for (size_t i = 0; i < SENDERS; i++) memory_peer_close(&senders[i]);
  buffer_deinit(&out);
  finish();
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(is_spread_over_turns), TEST(is_shared_by_many),
                                     TEST(holds_for_those_who_send_for_a_stream), TEST(holds_for_sockets)};
  return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
