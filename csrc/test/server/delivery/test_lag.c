/* Peers within the test that take less than there is: one that does not fetch is stalled once its
 * stream_peer holds 64 KiB. */
#include <stdlib.h>

#include "base/memory.h"
#include "delivery/catchup.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "session/session.h"
#include "test/support.h"
#include "test/support/event_stream.h"
#include "test/support/memory_peer.h"

enum { BIG = 10000, OUTBOX = 50000, FEED = 64 * 1024, WINDOW = 64 * 1024 };

struct fixture {
  struct mw_server *server;
  unsigned slow_asked;
  char slow_channel[16];
  struct mw_client *client; /* that became slow */
  int64_t memory;           /* when it was quiet */
};

static struct fixture fixture;

/* ---- The server ------------------------------------------------------------------------------ */

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  if (mw_request_type(request) == MW_REQUEST_SLOW) {
    struct mw_bytes channel = mw_request_channel(request);
    fixture.slow_asked++;
    snprintf(fixture.slow_channel, sizeof fixture.slow_channel, "%.*s", (int)channel.len, channel.ptr);
  }
  mw_request_accept(request, NULL, 0);
}

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {{"keep:{x}", {.history_size = 1000, .history_readable = true}},
               {"few:{x}", {.history_size = 5}},
               {"told:{x}", {.history_size = 1000, .hooks = MW_HOOK_SLOW}},
               {"aged:{x}", {.history_size = 1000, .age_ms = 2000}},
               {"close:{x}", {.slow = MW_SLOW_CLOSE}},
               {"kept-close:{x}", {.slow = MW_SLOW_CLOSE, .history_size = 1000}},
               {"tight:{x}", {.slow = MW_SLOW_CLOSE, .outbox = 30000}},
               {"drop:{x}", {.slow = MW_SLOW_DROP}},
               {"latest:{x}", {.slow = MW_SLOW_LATEST}}};
  int status = 0;
  for (size_t i = 0; status >= 0 && i < COUNT_OF(kinds); i++)
    status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
  return status;
}

static int begin_server(void) {
  struct mw_config_options options;
  struct mw_config *config;
  fixture = (struct fixture){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.limits.outbox = OUTBOX;
  options.limits.ping_ms = options.limits.heartbeat_ms = options.limits.progress_ms = 3600 * 1000;
  int status = mw_config_new(&config, &options, NULL);
  if (status < 0) return status;
  status = define(config);
  if (status >= 0) status = mw_server_new(&fixture.server, &(struct mw_server_options){.config = config}, NULL);
  mw_config_unref(config);
  if (status >= 0) mw_server_advance(fixture.server, 1);
  return status < 0 ? status : 0;
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(begin_server(), 0);
  return status;
}

static int end(void **state) {
  server_finish(fixture.server);
  return support_teardown(state);
}

static struct mw_stats stats_now(void) {
  struct mw_stats stats;
  mw_server_stats(fixture.server, &stats);
  return stats;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

struct what {
  const char *key;
  size_t size; /* 0: BIG */
  bool is_volatile, is_final;
};

/* Data is a string that begins with a number of four digits. Without a turn of the server. */
static int try_publish(const char *channel, unsigned number, struct what what) {
  static char data[BIG + 1];
  size_t size = what.size > 0 ? what.size : BIG;
  memset(data, 'x', size);
  data[0] = data[size - 1] = '"';
  char digits[8];
  snprintf(digits, sizeof digits, "%04u", number);
  memcpy(data + 1, digits, 4);
  struct mw_publish message = {
      .channel = {channel, strlen(channel)}, .data = {data, size}, .is_volatile = what.is_volatile, .is_final = what.is_final};
  if (what.key) message.key = (struct mw_bytes){what.key, strlen(what.key)};
  return mw_publish(fixture.server, &message, NULL, NULL);
}

static void publish_as(const char *channel, unsigned number, struct what what) {
  assert_int_equal(try_publish(channel, number, what), 0);
}
static void publish(const char *channel, unsigned number) { publish_as(channel, number, (struct what){.key = NULL}); }

static void check_bounds(void);

/* From `first` to `last`, each in a turn of its own. */
static void publish_many(const char *channel, unsigned first, unsigned last) {
  for (unsigned n = first; n <= last; n++) {
    publish(channel, n);
    mw_server_step(fixture.server);
    check_bounds();
  }
  server_settle(fixture.server);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

enum way { WEBSOCKET, SSE, SSE_PLAIN, ENVELOPE, TRANSPORTS };

/* What it was told, in short: "a1 a2 gap(few:a) b3 " for channel and number of messages, "ok3 " for
 * acknowledgements by their ref. */
struct reader {
  struct memory_peer peer;
  enum way transport;
  struct event_stream stream;
  bool has_head;
  char log[16384];
  char last_id[64]; /* of a stream, or of the newest message */
  uint64_t newest;  /* position */
  unsigned close_code;
  bool has_ended; /* the stream has ended as HTTP has it */
};

static void note(struct reader *reader, const char *text) {
  size_t len = strlen(reader->log);
  assert_true(len + strlen(text) < sizeof reader->log);
  snprintf(reader->log + len, sizeof reader->log - len, "%s", text);
}

static void copy_after(char *out, size_t size, const char *text, const char *name) {
  const char *at = strstr(text, name);
  out[0] = '\0';
  if (at) snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), "\""), at + strlen(name));
}

static void note_id(struct reader *reader, const char *id) {
  uint64_t position = strtoull(id + EPOCH_LEN + 1, NULL, 10);
  if (reader->transport != WEBSOCKET && reader->newest > 0) assert_true(position > reader->newest);
  reader->newest = position;
  snprintf(reader->last_id, sizeof reader->last_id, "%s", id);
}

/* An object as WebSocket clients and envelope streams get it. */
static void note_object(struct reader *reader, const char *text) {
  char channel[32], event[32], id[64], data[8], line[96];
  if (strncmp(text, "{\"ref\":", 7) == 0) {
    bool ok = strstr(text, ",\"ok\":") != NULL, recovered = strstr(text, "\"recovered\":true") != NULL;
    snprintf(line, sizeof line, "%s%d%s ", ok ? "ok" : "no", atoi(text + 7), recovered ? "(recovered)" : "");
    note(reader, line);
    return;
  }
  copy_after(channel, sizeof channel, text, "\"channel\":\"");
  copy_after(event, sizeof event, text, "\"event\":\"");
  copy_after(id, sizeof id, text, "\"id\":\"");
  copy_after(data, 5, text, "\"data\":\"");
  if (strcmp(event, "moonwire:open") == 0) return;
  if (strncmp(event, "moonwire:", 9) == 0) {
    snprintf(line, sizeof line, "%s(%s) ", event + 9, channel);
  } else {
    snprintf(line, sizeof line, "%.1s%d ", channel[0] ? channel : "-", atoi(data));
    if (id[0]) note_id(reader, id);
  }
  note(reader, line);
}

static void on_event(void *context, struct bytes type, struct bytes data, struct bytes last_id) {
  struct reader *reader = context;
  char text[256], id[64], line[96];
  snprintf(text, sizeof text, "%.*s", (int)(data.len < 250 ? data.len : 250), data.ptr);
  snprintf(id, sizeof id, "%.*s", (int)last_id.len, last_id.ptr);
  if (reader->transport == ENVELOPE) {
    note_object(reader, text);
  } else if (bytes_starts_with(type, BYTES("moonwire:"))) {
    char channel[32];
    copy_after(channel, sizeof channel, text, "\"channel\":\"");
    snprintf(line, sizeof line, "%.*s(%s) ", (int)type.len - 9, type.ptr + 9, channel);
    note(reader, line);
  } else {
    /* Of a plain stream the event says which channel it is of. */
    if (strcmp(id, reader->last_id) != 0) note_id(reader, id);
    snprintf(line, sizeof line, "%d ", atoi(text + 1));
    note(reader, line);
  }
}

static void read_stream(struct reader *reader) {
  struct buffer *in = &reader->peer.in;
  if (!reader->has_head) {
    buffer_append_char(in, '\0');
    in->len--;
    const char *end = in->len > 0 ? strstr(in->data, "\r\n\r\n") : NULL;
    if (!end) return;
    assert_memory_equal(in->data, "HTTP/1.1 200 ", 13);
    buffer_consume(in, (size_t)(end - in->data) + 4);
    reader->has_head = true;
  }
  if (reader->transport == SSE_PLAIN) {
    event_stream_feed(&reader->stream, buffer_bytes(in));
    buffer_clear(in);
    return;
  }
  for (;;) {
    const char *end = in->len > 0 ? memchr(in->data, '\n', in->len) : NULL;
    if (!end) return;
    size_t head = (size_t)(end - in->data) + 1, len = strtoul(in->data, NULL, 16);
    if (in->len < head + len + 2) return;
    reader->has_ended = len == 0;
    event_stream_feed(&reader->stream, bytes_of(in->data + head, len));
    buffer_consume(in, head + len + 2);
  }
}

/* Fetches all that there is. */
static const char *fetch(struct reader *reader) {
  if (reader->transport == WEBSOCKET) {
    enum ws_opcode opcode;
    struct bytes payload;
    while (memory_peer_next_frame(&reader->peer, &opcode, &payload)) {
      if (opcode == WS_OPCODE_CLOSE) {
        reader->close_code = (unsigned)(unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
      } else {
        note_object(reader, payload.ptr);
      }
    }
  } else {
    memory_peer_fetch(&reader->peer);
    read_stream(reader);
  }
  return reader->log;
}

/* Fetches so many bytes, as a peer that reads slowly. */
static void fetch_some(struct reader *reader, size_t size) {
  char chunk[1024];
  while (size > 0) {
    size_t len = mw_memory_read(reader->peer.memory, chunk, size < sizeof chunk ? size : sizeof chunk);
    if (len == 0) break;
    buffer_append(&reader->peer.in, bytes_of(chunk, len));
    size -= len;
  }
  server_settle(fixture.server);
  check_bounds();
}

static const char *taken(struct reader *reader) {
  static char text[sizeof reader->log];
  snprintf(text, sizeof text, "%s", fetch(reader));
  reader->log[0] = '\0';
  return text;
}

static void say(struct reader *reader, const char *text) { memory_peer_frame(&reader->peer, WS_OPCODE_TEXT, bytes_string(text)); }

/* Without looking at what it gets. */
static void open_stream(struct reader *reader, enum way transport, const char *query) {
  char text[300];
  *reader = (struct reader){.transport = transport};
  event_stream_init(&reader->stream);
  reader->stream.on_event = on_event;
  reader->stream.context = reader;
  memory_peer_open(&reader->peer, fixture.server);
  snprintf(text, sizeof text, "GET /sse?%s%s HTTP/1.%d\r\nHost: t\r\n\r\n", query, transport == ENVELOPE ? "&envelope=1" : "",
           transport != SSE_PLAIN);
  memory_peer_send_text(&reader->peer, text);
}

/* Subscribes to channels, divided by spaces; then looks at nothing. */
static void open_reader(struct reader *reader, enum way transport, const char *channels) {
  char text[300] = "", name[32];
  if (transport == WEBSOCKET) {
    *reader = (struct reader){.transport = transport};
    event_stream_init(&reader->stream);
    memory_peer_open(&reader->peer, fixture.server);
    memory_peer_upgrade(&reader->peer, NULL);
  }
  for (int len = 0, ref = 1; sscanf(channels, "%31s%n", name, &len) == 1; channels += len, ref++) {
    if (transport == WEBSOCKET) {
      snprintf(text, sizeof text, "{\"subscribe\":\"%s\"}", name);
      say(reader, text);
    } else {
      snprintf(text + strlen(text), sizeof text - strlen(text), "%schannel=%s", text[0] ? "&" : "", name);
    }
  }
  if (transport != WEBSOCKET) open_stream(reader, transport, text);
  fetch(reader);
  server_settle(fixture.server);
}

static void close_reader(struct reader *reader) {
  memory_peer_close(&reader->peer);
  event_stream_deinit(&reader->stream);
  server_settle(fixture.server);
}

static struct exchange *exchange_at(size_t n) {
  struct list *link = fixture.server->workers[0].http.conns.next;
  while (n-- > 0) link = link->next;
  return http1_exchange(container_of(link, struct conn, link));
}

/* What waits for one subscriber is bounded at any time. */
static void check_bounds(void) {
  struct worker *worker = &fixture.server->workers[0];
  for (struct list *link = worker->http.conns.next; link != &worker->http.conns; link = link->next) {
    const struct outbox *outbox = http1_exchange(container_of(link, struct conn, link))->subscriber.outbox;
    if (!outbox) continue;
    assert_true(outbox->message_bytes <= FEED + OUTBOX + 2 * BIG);
    assert_true(outbox->bytes - outbox->message_bytes <= OUTBOX + 2 * BIG);
  }
}

/* "a1 a2 … " from first to last, as `format` writes them. */
static const char *range(const char *format, unsigned first, unsigned last) {
  static char text[8000];
  text[0] = '\0';
  for (unsigned n = first; n <= last; n++) {
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, format, n);
  }
  return text;
}

static const char *format_of(enum way transport, char letter) {
  static char format[8];
  if (transport == WEBSOCKET || transport == ENVELOPE) {
    snprintf(format, sizeof format, "%c%%u ", letter);
  } else {
    snprintf(format, sizeof format, "%%u ");
  }
  return format;
}

/* The log begins with first…k, of which the stream_peer and one write had room, then says `then`,
 * as a format, and the rest. Returns k. */
static unsigned assert_prefix(const char *log, const char *format, unsigned first) {
  char part[16];
  for (unsigned n = first;; n++) {
    int len = snprintf(part, sizeof part, format, n);
    if (strncmp(log, part, (size_t)len) != 0) return n - 1;
    log += len;
  }
}

/* ---- Each policy ----------------------------------------------------------------------------- */

static void catches_up_without_a_hole(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    struct mw_stats before = stats_now();
    open_reader(&reader, transport, "keep:a");
    publish_many("keep:a", 1, 60);
    assert_int_equal(stats_now().slow, before.slow + 1);
    assert_true(exchange_at(0)->subscriber.flags & SUBSCRIBER_BEHIND);
    assert_string_equal(taken(&reader), range(format_of(transport, 'k'), 1, 60));
    assert_false(exchange_at(0)->subscriber.flags & SUBSCRIBER_BEHIND);
    assert_null(exchange_at(0)->subscriber.outbox);
    /* it was lent */
    if (transport != ENVELOPE) assert_null(session_of(&exchange_at(0)->subscriber));
    publish_many("keep:a", 61, 61);
    assert_string_equal(taken(&reader), range(format_of(transport, 'k'), 61, 61));
    assert_int_equal(stats_now().slow_closed, before.slow_closed);
    assert_int_equal(stats_now().gaps, before.gaps);
    close_reader(&reader);
  }
}

static void is_told_when_the_history_has_moved_on(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    char expected[400];
    const char *format = format_of(transport, 'f');
    open_reader(&reader, transport, "few:a");
    publish_many("few:a", 1, 60);
    const char *log = taken(&reader);
    unsigned last = assert_prefix(log, format, 1);
    assert_in_range(last, 6, 12);
    snprintf(expected, sizeof expected, "%s", range(format, 1, last));
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "gap(few:a) %s", range(format, 56, 60));
    assert_string_equal(log, expected);
    close_reader(&reader);
  }
  assert_int_equal(stats_now().gaps, TRANSPORTS);
}

/* What a lag needs is released, regardless of what it was for. */
static void leaves_nothing_behind(void **state) {
  (void)state;
  struct reader reader;
  int64_t memory = 0;
  open_reader(&reader, WEBSOCKET, "few:a latest:b drop:c");
  for (unsigned round = 0; round < 5; round++) {
    publish_many("few:a", 1, 20);
    publish_many("latest:b", 1, 20);
    publish_many("drop:c", 1, 20);
    assert_true(exchange_at(0)->subscriber.flags & SUBSCRIBER_BEHIND);
    taken(&reader);
    buffer_deinit(&reader.peer.in);
    if (round > 0) assert_int_equal(mw_live("memory"), memory);
    memory = mw_live("memory");
  }
  assert_int_equal(stats_now().slow, 5);
  close_reader(&reader);
}

static void closes_who_is_to_be_closed(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    struct mw_stats before = stats_now();
    open_reader(&reader, transport, "close:a");
    publish_many("close:a", 1, 60);
    assert_int_equal(stats_now().slow_closed, before.slow_closed + 1);
    assert_int_equal(stats_now().subscriptions, 0);
    const char *log = taken(&reader), *format = format_of(transport, 'c');
    unsigned last = assert_prefix(log, format, 1);
    assert_in_range(last, 6, 12);
    assert_string_equal(log, range(format, 1, last));
    if (transport == WEBSOCKET) assert_int_equal(reader.close_code, 1013);
    if (transport == SSE || transport == ENVELOPE) assert_true(reader.has_ended);
    /* A WebSocket's peer still has to send its close frame. */
    if (transport != WEBSOCKET) assert_true(memory_peer_ended(&reader.peer));
    close_reader(&reader);
  }
}

static void who_was_closed_returns_without_loss(void **state) {
  (void)state;
  struct reader reader;
  char query[128];
  open_reader(&reader, SSE, "kept-close:a");
  publish_many("kept-close:a", 1, 60);
  unsigned last = assert_prefix(taken(&reader), "%u ", 1);
  assert_true(reader.has_ended);
  snprintf(query, sizeof query, "channel=kept-close:a&since=%s", reader.last_id);
  close_reader(&reader);
  open_stream(&reader, SSE, query);
  assert_string_equal(taken(&reader), range("%u ", last + 1, 60));
  close_reader(&reader);
}

static void drops_and_says_so(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    struct mw_stats before = stats_now();
    char expected[400];
    const char *format = format_of(transport, 'd');
    open_reader(&reader, transport, "drop:a");
    publish_many("drop:a", 1, 60);
    const char *log = taken(&reader);
    unsigned last = assert_prefix(log, format, 1);
    snprintf(expected, sizeof expected, "%sgap(drop:a) ", range(format, 1, last));
    assert_string_equal(log, expected);
    assert_int_equal(stats_now().slow_dropped - before.slow_dropped, 60 - last);
    publish_many("drop:a", 61, 62);
    assert_string_equal(taken(&reader), range(format, 61, 62));
    close_reader(&reader);
  }
}

static void keeps_the_newest_by_key(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    char expected[400], key[8];
    const char *format = format_of(transport, 'l');
    struct mw_stats before = stats_now();
    open_reader(&reader, transport, "latest:a");
    for (unsigned n = 1; n <= 60; n++) {
      snprintf(key, sizeof key, "k%u", n % 4);
      /* The volatile ones count as well. */
      publish_as("latest:a", n, (struct what){.key = key, .is_volatile = n == 59});
      mw_server_step(fixture.server);
      check_bounds();
    }
    const char *log = taken(&reader);
    unsigned last = assert_prefix(log, format, 1);
    snprintf(expected, sizeof expected, "%s", range(format, 1, last));
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s", range(format, 57, 60));
    assert_string_equal(log, expected);
    assert_int_equal(stats_now().slow_replaced - before.slow_replaced, 60 - last - 4);
    assert_int_equal(stats_now().gaps, before.gaps);
    publish_many("latest:a", 61, 61);
    assert_string_equal(taken(&reader), range(format, 61, 61));
    close_reader(&reader);
  }
}

static void too_many_keys_are_too_slow(void **state) {
  (void)state;
  struct reader reader;
  char key[8];
  open_reader(&reader, WEBSOCKET, "latest:a");
  for (unsigned n = 1; n <= 60; n++) {
    snprintf(key, sizeof key, "k%u", n);
    publish_as("latest:a", n, (struct what){.key = key});
    mw_server_step(fixture.server);
  }
  assert_int_equal(stats_now().slow_closed, 1);
  taken(&reader);
  assert_int_equal(reader.close_code, 1013);
  close_reader(&reader);
}

/* ---- Several channels ------------------------------------------------------------------------ */

/* All of one session leaves in order, regardless of its channels. */
static void merges_channels_by_position(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    open_reader(&reader, transport, "keep:a keep:b few:c");
    for (unsigned n = 1; n <= 60; n++) publish_many(n % 3 == 0 ? "few:c" : n % 3 == 1 ? "keep:a" : "keep:b", n, n);
    const char *at = taken(&reader);
    unsigned last = 0;
    bool gap = false;
    for (; *at; at = strchr(at, ' ') + 1) {
      if (strncmp(at, "gap(few:c) ", 11) == 0) {
        gap = true;
        continue;
      }
      unsigned n = (unsigned)strtoul(at + strcspn(at, "0123456789"), NULL, 10);
      for (unsigned missing = last + 1; missing < n; missing++) assert_true(missing % 3 == 0 && missing < 48 && gap);
      assert_true(n > last);
      last = n;
    }
    assert_int_equal(last, 60);
    assert_true(gap);
    close_reader(&reader);
  }
}

static void each_channel_by_its_policy(void **state) {
  (void)state;
  static const char *const channels[] = {"drop:d", "keep:k", "latest:l"};
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    /* they do not say which channel it is */
    if (transport == SSE || transport == SSE_PLAIN) continue;
    struct reader reader;
    open_reader(&reader, transport, "drop:d keep:k latest:l");
    for (unsigned n = 1; n <= 60; n++) publish_many(channels[n % 3], n, n);
    const char *log = taken(&reader);
    for (unsigned n = 1; n <= 60; n += 3) {
      char part[8];
      snprintf(part, sizeof part, "k%u ", n);
      assert_non_null(strstr(log, part));
    }
    assert_non_null(strstr(log, "gap(drop:d) "));
    assert_null(strstr(log, "d57 "));
    assert_null(strstr(log, "l53 "));
    assert_non_null(strstr(log, "k58 l59 "));
    publish_many("drop:d", 61, 61);
    assert_string_equal(taken(&reader), "d61 ");
    close_reader(&reader);
  }
}

static void one_channel_that_closes_closes_all(void **state) {
  (void)state;
  struct reader reader, quick;
  open_reader(&reader, WEBSOCKET, "keep:a close:b");
  open_reader(&quick, WEBSOCKET, "keep:a close:b");
  for (unsigned n = 1; n <= 30; n++) {
    publish_many("keep:a", n, n);
    fetch(&quick);
  }
  assert_int_equal(stats_now().slow_closed, 1);
  assert_string_equal(taken(&quick), range("k%u ", 1, 30));
  fetch(&reader);
  assert_int_equal(reader.close_code, 1013);
  close_reader(&reader);
  close_reader(&quick);
}

/* ---- What comes in one turn ------------------------------------------------------------------ */

/* The message with which it becomes slow has no position, and what follows it on the shared list of
 * the turn was published before. */
static void nothing_is_lost_behind_a_volatile_message(void **state) {
  (void)state;
  for (unsigned kept = 4; kept < 8; kept++) {
    struct reader reader;
    char expected[400];
    open_reader(&reader, WEBSOCKET, "keep:a");
    publish_many("keep:a", 1, 6); /* the far end has room for a part of one more */
    for (unsigned n = 7; n <= 6 + kept; n++) publish("keep:a", n);
    publish_as("keep:a", 90, (struct what){.is_volatile = true});
    publish("keep:a", 7 + kept);
    publish("keep:a", 8 + kept);
    server_settle(fixture.server);
    snprintf(expected, sizeof expected, "%s", range("k%u ", 1, 8 + kept));
    /* It may have found room. */
    const char *log = taken(&reader), *passing = strstr(log, "k90 ");
    char *at = strstr(expected, range("k%u ", 7 + kept, 7 + kept));
    if (passing) memmove(at + 4, at, strlen(at) + 1);
    if (passing) memcpy(at, "k90 ", 4);
    assert_string_equal(log, expected);
    close_reader(&reader);
  }
}

/* It becomes slow by what waits of one channel while a message of another is delivered. */
static void nothing_overtakes_what_made_it_slow(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    open_reader(&reader, transport, "keep:a keep:b");
    publish_many("keep:a", 1, 6);
    for (unsigned n = 7; n <= 14; n++) publish("keep:a", n);
    publish("keep:b", 15);
    publish("keep:a", 16);
    publish("keep:b", 17);
    server_settle(fixture.server);
    const char *at = taken(&reader);
    for (unsigned n = 1; n <= 17; n++, at = strchr(at, ' ') + 1)
      assert_int_equal(strtoul(at + strcspn(at, "0123456789"), NULL, 10), n);
    assert_string_equal(at, "");
    close_reader(&reader);
  }
}

/* ---- Replays --------------------------------------------------------------------------------- */

static void a_replay_is_fed_as_it_is_read(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    struct mw_stats before = stats_now();
    publish_many("keep:r", 1, 300);
    if (transport == WEBSOCKET) {
      open_reader(&reader, transport, "");
      say(&reader, "{\"subscribe\":\"keep:r\",\"since\":\"0\"}");
    } else {
      open_stream(&reader, transport, "channel=keep:r&since=0");
    }
    for (unsigned n = 1; n <= 60; n++) {
      const struct outbox *outbox = exchange_at(0)->subscriber.outbox;
      if (outbox) assert_true(outbox->bytes < FEED + BIG + 1000);
      fetch_some(&reader, 20000);
      publish("keep:r", 300 + n);
    }
    server_settle(fixture.server);
    assert_string_equal(taken(&reader), range(format_of(transport, 'k'), 1, 360));
    assert_int_equal(stats_now().slow, before.slow);
    close_reader(&reader);
    server_finish(fixture.server);
    assert_int_equal(begin_server(), 0);
  }
}

/* Nor for a channel that allows less than is fed at a time. */
static void a_replay_is_no_slowness(void **state) {
  (void)state;
  struct reader reader;
  publish_many("keep:r", 1, 40);
  open_reader(&reader, WEBSOCKET, "tight:a keep:b");
  publish_many("keep:b", 1, 6); /* the far end is nearly full */
  say(&reader, "{\"subscribe\":\"keep:r\",\"since\":\"0\"}");
  publish_as("tight:a", 41, (struct what){.size = 100});
  publish_as("tight:a", 42, (struct what){.size = 100, .is_volatile = true});
  server_settle(fixture.server);
  assert_int_equal(stats_now().slow, 0);
  const char *log = taken(&reader);
  assert_int_equal(reader.close_code, 0);
  assert_non_null(strstr(log, "t41 t42 "));
  assert_non_null(strstr(log, "k40 "));
  close_reader(&reader);
}

/* An event stream returns with one id: what is published to another of its channels must not come
 * before what is replayed. */
static void a_stream_keeps_its_order_in_a_replay(void **state) {
  (void)state;
  static const char *const others[] = {"keep:b", "few:b", "close:b", "drop:b", "latest:b", "kept-close:b"};
  for (size_t i = 0; i < COUNT_OF(others); i++) {
    struct reader reader;
    char query[64];
    publish_many("keep:a", 1, 30);
    snprintf(query, sizeof query, "channel=keep:a&channel=%s&since=0", others[i]);
    open_stream(&reader, SSE, query);
    for (unsigned n = 31; n <= 33; n++) {
      publish_as(n == 32 ? "keep:a" : others[i], n, (struct what){.key = n == 31 ? "x" : "y"});
      mw_server_step(fixture.server);
    }
    assert_string_equal(taken(&reader), range("%u ", 1, 33));
    close_reader(&reader);
    server_finish(fixture.server);
    assert_int_equal(begin_server(), 0);
  }
}

/* ---- Coming and going while behind ----------------------------------------------------------- */

static void a_channel_that_is_joined_meanwhile_is_read_as_well(void **state) {
  (void)state;
  struct reader reader;
  open_reader(&reader, WEBSOCKET, "keep:a");
  publish_many("keep:a", 1, 30);
  say(&reader, "{\"subscribe\":\"keep:b\",\"ref\":1}");
  publish_many("keep:b", 31, 60);
  const char *log = taken(&reader);
  assert_null(strstr(log, "gap"));
  char *ok = strstr(log, "ok1 ");
  assert_non_null(ok);
  memmove(ok, ok + 4, strlen(ok + 4) + 1);
  for (unsigned n = 1; n <= 60; n++, log = strchr(log, ' ') + 1) assert_int_equal(strtoul(log + 1, NULL, 10), n);
  assert_string_equal(log, "");
  close_reader(&reader);
}

static void nothing_follows_an_unsubscribe(void **state) {
  (void)state;
  static const char *const channels[] = {"keep:z", "few:z", "drop:z", "latest:z"};
  for (size_t i = 0; i < COUNT_OF(channels); i++) {
    struct reader reader;
    char text[64];
    snprintf(text, sizeof text, "keep:a %s", channels[i]);
    open_reader(&reader, WEBSOCKET, text);
    for (unsigned n = 1; n <= 40; n++) publish_many(n % 2 ? "keep:a" : channels[i], n, n);
    snprintf(text, sizeof text, "{\"unsubscribe\":\"%s\",\"ref\":1}", channels[i]);
    say(&reader, text);
    publish_many("keep:a", 41, 41);
    const char *log = taken(&reader), *ok = strstr(log, "ok1 ");
    snprintf(text, sizeof text, " %c", channels[i][0]);
    assert_non_null(ok);
    if (channels[i][0] != 'k') assert_null(strstr(ok, text));
    assert_null(strstr(ok, "gap"));
    /* The other one lacks nothing. */
    for (unsigned n = 1; n <= 41; n += 2) {
      snprintf(text, sizeof text, "k%u ", n);
      assert_non_null(strstr(log, text));
    }
    close_reader(&reader);
  }
}

static void one_that_is_kicked_gets_the_rest_of_the_others(void **state) {
  (void)state;
  struct reader reader;
  open_reader(&reader, ENVELOPE, "latest:z told:a");
  for (unsigned n = 1; n <= 40; n++) publish_many(n % 2 ? "told:a" : "latest:z", n, n);
  struct mw_client *client = mw_client_next(fixture.server, NULL);
  assert_int_equal(mw_client_unsubscribe(fixture.server, client, "latest:z", 8, "kicked", ""), 0);
  server_settle(fixture.server);
  const char *log = taken(&reader), *kicked = strstr(log, "unsubscribed(latest:z) ");
  assert_non_null(kicked);
  assert_null(strstr(kicked, " l"));
  for (unsigned n = 1; n <= 40; n += 2) {
    char part[8];
    snprintf(part, sizeof part, "t%u ", n);
    assert_non_null(strstr(log, part));
  }
  mw_client_unref(client);
  close_reader(&reader);
}

/* ---- The end of a channel -------------------------------------------------------------------- */

static void the_end_is_told_behind_the_last_message(void **state) {
  (void)state;
  for (enum way transport = 0; transport < TRANSPORTS; transport++) {
    struct reader reader;
    char expected[800], query[128];
    open_reader(&reader, transport, "keep:a");
    publish_many("keep:a", 1, 40);
    publish_as("keep:a", 41, (struct what){.is_final = true});
    server_settle(fixture.server);
    snprintf(expected, sizeof expected, "%send(keep:a) ", range(format_of(transport, 'k'), 1, 41));
    assert_string_equal(taken(&reader), expected);
    if (transport == WEBSOCKET) {
      say(&reader, "{\"ping\":true,\"ref\":1}");
      publish_many("keep:a", 1, 1); /* restarts, for others */
      assert_string_equal(taken(&reader), "ok1 ");
      close_reader(&reader);
      publish_as("keep:a", 2, (struct what){.is_final = true});
      server_settle(fixture.server);
      server_finish(fixture.server);
      assert_int_equal(begin_server(), 0);
      continue;
    }
    if (transport != SSE_PLAIN) assert_true(reader.has_ended);
    assert_true(memory_peer_ended(&reader.peer));
    snprintf(query, sizeof query, "GET /sse?channel=keep:a&since=%s HTTP/1.1\r\nHost: t\r\n\r\n", reader.last_id);
    close_reader(&reader);
    memory_peer_open(&reader.peer, fixture.server);
    memory_peer_send_text(&reader.peer, query);
    assert_memory_equal(memory_peer_take(&reader.peer), "HTTP/1.1 204 ", 13);
    memory_peer_close(&reader.peer);
    server_finish(fixture.server);
    assert_int_equal(begin_server(), 0);
  }
}

/* Also to the one whose own doing it was. */
static void the_end_is_told_to_whom_it_is_excepted_from(void **state) {
  (void)state;
  struct reader reader;
  open_reader(&reader, ENVELOPE, "keep:a keep:b");
  struct mw_client *client = mw_client_next(fixture.server, NULL);
  struct mw_publish message = {.channel = {"keep:a", 6}, .data = {"\"0001\"", 6}, .is_final = true, .except = client};
  assert_int_equal(mw_publish(fixture.server, &message, NULL, NULL), 0);
  server_settle(fixture.server);
  assert_string_equal(taken(&reader), "end(keep:a) ");
  publish_many("keep:a", 2, 2);
  assert_string_equal(taken(&reader), "k2 ");
  mw_client_unref(client);
  close_reader(&reader);
}

/* ---- What is for one alone ------------------------------------------------------------------- */

static void acknowledgements_are_not_let_go(void **state) {
  (void)state;
  struct reader reader;
  char text[64], expected[800] = "";
  open_reader(&reader, WEBSOCKET, "drop:a");
  for (unsigned n = 1; n <= 40; n++) {
    publish_many("drop:a", n, n);
    snprintf(text, sizeof text, "{\"ping\":true,\"ref\":%u}", n);
    say(&reader, text);
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "ok%u ", n);
  }
  char acknowledged[800] = "";
  for (const char *at = taken(&reader); *at; at = strchr(at, ' ') + 1) {
    if (at[0] == 'o') strncat(acknowledged, at, strcspn(at, " ") + 1);
  }
  assert_string_equal(acknowledged, expected);
  close_reader(&reader);
}

static void private_sends_have_a_limit_of_their_own(void **state) {
  (void)state;
  for (unsigned count = 3; count <= 20; count += 17) {
    struct reader reader;
    static char data[BIG];
    memset(data, '7', sizeof data);
    data[0] = data[sizeof data - 1] = '"';
    open_reader(&reader, WEBSOCKET, "told:a");
    publish_many("told:a", 1, 30);
    struct mw_client *client = mw_client_next(fixture.server, NULL);
    assert_non_null(client);
    for (unsigned n = 0; n < count; n++) {
      mw_client_send(fixture.server, client, &(struct mw_publish){.data = {data, sizeof data}}, NULL);
      server_settle(fixture.server);
      check_bounds();
    }
    mw_client_unref(client);
    const char *log = taken(&reader);
    if (count == 3) {
      assert_int_equal(reader.close_code, 0);
      assert_non_null(strstr(log, "-7777 -7777 -7777 "));
      assert_non_null(strstr(log, "t30 "));
    } else {
      assert_int_equal(reader.close_code, 1013);
    }
    close_reader(&reader);
  }
}

/* ---- Slowness -------------------------------------------------------------------------------- */

static void what_waits_for_too_long_is_too_slow(void **state) {
  (void)state;
  struct reader reader;
  open_reader(&reader, WEBSOCKET, "aged:a");
  publish_many("aged:a", 1, 8);
  mw_server_advance(fixture.server, 1900);
  publish_many("aged:a", 9, 9);
  assert_int_equal(stats_now().slow, 0);
  mw_server_advance(fixture.server, 200);
  publish_many("aged:a", 10, 10);
  assert_int_equal(stats_now().slow, 1);
  assert_string_equal(taken(&reader), range("a%u ", 1, 10));
  close_reader(&reader);
}

static void the_app_is_told_once_each_time(void **state) {
  (void)state;
  struct reader reader;
  open_reader(&reader, WEBSOCKET, "keep:a told:b");
  for (unsigned round = 1; round <= 3; round++) {
    publish_many("told:b", 1, 40);
    assert_int_equal(fixture.slow_asked, round);
    assert_string_equal(fixture.slow_channel, "told:b");
    taken(&reader);
    assert_int_equal(fixture.slow_asked, round);
  }
  /* Another channel was too much, whose kind does not want to know. */
  publish_many("keep:a", 1, 40);
  assert_int_equal(fixture.slow_asked, 3);
  assert_int_equal(stats_now().slow, 4);
  close_reader(&reader);
}

static void others_are_not_held_up(void **state) {
  (void)state;
  static const char channels[] = "keep:a few:b drop:c latest:d";
  struct reader slow[2], quick;
  open_reader(&slow[0], WEBSOCKET, channels);
  open_reader(&slow[1], SSE, channels);
  open_reader(&quick, ENVELOPE, channels);
  for (unsigned n = 1; n <= 60; n++) {
    publish_many(n % 2 ? "few:b" : "drop:c", n, n);
    char part[8];
    snprintf(part, sizeof part, "%c%u ", n % 2 ? 'f' : 'd', n);
    assert_string_equal(taken(&quick), part);
  }
  close_reader(&quick);
  close_reader(&slow[0]);
  close_reader(&slow[1]);
}

/* ---- The end of the server ------------------------------------------------------------------- */

static void the_server_stops_while_some_are_behind(void **state) {
  (void)state;
  struct reader readers[TRANSPORTS + 1];
  publish_many("keep:a", 1, 40);
  for (enum way transport = 0; transport < TRANSPORTS; transport++)
    open_reader(&readers[transport], transport, "keep:a latest:b drop:c");
  open_stream(&readers[TRANSPORTS], SSE, "channel=keep:a&since=0");
  publish_many("keep:a", 41, 80);
  publish_many("latest:b", 1, 40);
  publish_many("drop:c", 1, 40);
  mw_server_stop(fixture.server, NULL, NULL);
  for (unsigned i = 0; i <= TRANSPORTS; i++) {
    fetch(&readers[i]);
    if (i == WEBSOCKET) assert_int_equal(readers[i].close_code, 1001);
    if (i != WEBSOCKET) assert_true(memory_peer_ended(&readers[i].peer));
    close_reader(&readers[i]);
  }
  server_settle(fixture.server);
  assert_int_equal(mw_live("conn"), 0);
  assert_int_equal(mw_live("subscription"), 0);
}

/* ---- Failing memory -------------------------------------------------------------------------- */

/* What one raw peer got; a peer whose memory is not the library's. */
struct raw {
  struct mw_memory *memory;
  char in[1000000];
  size_t len;
};

static void fetch_raw(struct raw *raw, size_t max) {
  while (raw->memory && max > 0 && raw->len < sizeof raw->in - 1) {
    size_t room = sizeof raw->in - 1 - raw->len, len = mw_memory_read(raw->memory, raw->in + raw->len, room < max ? room : max);
    if (len == 0) break;
    raw->len += len;
    max -= len;
    raw->in[raw->len] = '\0';
  }
}

/* Every message of the channel from `first` on, or a gap before the one that follows; and all of
 * it, if it is still there. Numbers are shared by all channels, which take turns. */
static bool has_all(const struct raw *raw, char letter, unsigned count, const unsigned *published, bool may_skip) {
  static const char gap[] = "moonwire:gap\ndata: {\"channel\":\"";
  unsigned next = 0;
  bool told = false;
  for (const char *at = raw->in; at < raw->in + raw->len; at++) {
    if (*at == 'm' && strncmp(at, gap, strlen(gap)) == 0 && at[strlen(gap)] == letter) told = true;
    if (*at != '"' || at[1] < '0' || at[1] > '9' || at[5] != letter) continue;
    unsigned number = (unsigned)atoi(at + 1);
    while (next < count && published[next] < number) {
      assert_true(told || may_skip);
      next++;
    }
    assert_true(next < count && published[next] == number);
    next++;
    told = false;
  }
  return next == count || told || may_skip;
}

static bool try_letter(const char *channel, unsigned number, const char *key) {
  static char data[BIG];
  char digits[8];
  memset(data, channel[0], sizeof data);
  snprintf(digits, sizeof digits, "\"%04u", number);
  memcpy(data, digits, 5);
  data[BIG - 1] = '"';
  struct mw_publish message = {.channel = {channel, strlen(channel)}, .data = {data, BIG}, .key = {key, 1}};
  return mw_publish(fixture.server, &message, NULL, NULL) == 0;
}

static bool live(void *context) {
  static const char *const requests[2] = {
      "GET /sse?channel=keep:a&channel=few:b&channel=drop:c&channel=latest:d&channel=told:e HTTP/1.0\r\n\r\n",
      "GET /sse?channel=told:e&channel=keep:a HTTP/1.0\r\n\r\n"};
  static const char *const channels[] = {"keep:a", "few:b", "drop:c", "latest:d", "told:e"};
  static struct raw raws[2];
  unsigned published[5][40], counts[5] = {0};
  bool complete = true;
  (void)context;
  if (begin_server() < 0) return false;
  for (size_t i = 0; i < 2; i++) {
    raws[i].len = 0;
    raws[i].in[0] = '\0';
    raws[i].memory = NULL;
    if (mw_connect_memory(fixture.server, &raws[i].memory) < 0) {
      raws[i].memory = NULL;
      complete = false;
      continue;
    }
    complete = mw_memory_write(raws[i].memory, requests[i], strlen(requests[i])) == 0 && complete;
    server_settle(fixture.server);
  }
  for (unsigned n = 1; n <= 60; n++) {
    unsigned channel = n % 5;
    if (try_letter(channels[channel], n, n % 2 ? "x" : "y")) {
      published[channel][counts[channel]++] = n;
    } else {
      complete = false;
    }
    if (n % 3 == 0) server_settle(fixture.server);
    if (n % 20 == 0) fetch_raw(&raws[0], 30000);
  }
  for (unsigned round = 0; round < 30; round++) {
    server_settle(fixture.server);
    for (size_t i = 0; i < 2; i++) fetch_raw(&raws[i], SIZE_MAX);
  }
  for (size_t i = 0; i < 2; i++) {
    if (!raws[i].memory) continue;
    bool lives = !mw_memory_ended(raws[i].memory) && strstr(raws[i].in, "\nid: ");
    complete = complete && lives;
    for (unsigned channel = 0; channel < 5; channel++) {
      if (i == 1 && channel > 0 && channel < 4) continue;
      bool all = has_all(&raws[i], channels[channel][0], counts[channel], published[channel], channel == 3);
      if (lives) assert_true(all);
    }
    mw_memory_close(raws[i].memory);
  }
  server_settle(fixture.server);
  mw_server_free(fixture.server);
  return complete;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(live, NULL) > 200);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define LAG(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      LAG(catches_up_without_a_hole),
      LAG(is_told_when_the_history_has_moved_on),
      LAG(leaves_nothing_behind),
      LAG(closes_who_is_to_be_closed),
      LAG(who_was_closed_returns_without_loss),
      LAG(drops_and_says_so),
      LAG(keeps_the_newest_by_key),
      LAG(too_many_keys_are_too_slow),
      LAG(merges_channels_by_position),
      LAG(each_channel_by_its_policy),
      LAG(one_channel_that_closes_closes_all),
      LAG(nothing_is_lost_behind_a_volatile_message),
      LAG(nothing_overtakes_what_made_it_slow),
      LAG(a_replay_is_fed_as_it_is_read),
      LAG(a_replay_is_no_slowness),
      LAG(a_stream_keeps_its_order_in_a_replay),
      LAG(a_channel_that_is_joined_meanwhile_is_read_as_well),
      LAG(nothing_follows_an_unsubscribe),
      LAG(one_that_is_kicked_gets_the_rest_of_the_others),
      LAG(the_end_is_told_behind_the_last_message),
      LAG(the_end_is_told_to_whom_it_is_excepted_from),
      LAG(acknowledgements_are_not_let_go),
      LAG(private_sends_have_a_limit_of_their_own),
      LAG(what_waits_for_too_long_is_too_slow),
      LAG(the_app_is_told_once_each_time),
      LAG(others_are_not_held_up),
      LAG(the_server_stops_while_some_are_behind),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
