/* A whole server behind a stream that changes lengths, as encryption does: on the way each byte is
 * there twice. Code that takes the bytes that were offered for those that were handed on loses or
 * repeats some here. */
#include <string.h>

#include "http/conn.h"
#include "net/stream_peer.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

/* ---- The toy --------------------------------------------------------------------------------- */

static struct mw_server *server;
static bool owes;  /* the second half of a byte that was taken has not been handed on */
static char owed;  /* that byte */
static char *held; /* of a write in progress, doubled */
static size_t held_len;
static bool half_read;     /* the first half of a byte has come */
static size_t short_takes; /* how often less was taken than was offered */

static size_t count_bytes(const struct bytes *slices, size_t count) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++) len += slices[i].len;
  return len;
}

/* The bytes that are handed on for these, in memory of the test. */
static char *double_bytes(const struct bytes *slices, size_t count, size_t *len) {
  char *out = test_malloc(2 * count_bytes(slices, count) + 1), *at = out;
  if (owes) *at++ = owed;
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < slices[i].len; k++) {
      *at++ = slices[i].ptr[k];
      *at++ = slices[i].ptr[k];
    }
  }
  *len = (size_t)(at - out);
  return out;
}

static ptrdiff_t toy_try_write(struct stream *stream, const struct bytes *slices, size_t count) {
  size_t len, owed_len = owes;
  char *text = double_bytes(slices, count, &len);
  ptrdiff_t handed = memory_stream_ops.try_write(stream, &(struct bytes){text, len}, 1);
  if (handed > 0) {
    size_t doubled = (size_t)handed - owed_len, taken = (doubled + 1) / 2;
    owes = doubled % 2 == 1;
    if (owes) owed = text[(size_t)handed - 1];
    short_takes += taken < count_bytes(slices, count);
    handed = (ptrdiff_t)taken;
  }
  test_free(text);
  return handed;
}

static int toy_write(struct stream *stream, const struct bytes *slices, size_t count) {
  assert_null(held);
  held = double_bytes(slices, count, &held_len);
  owes = false;
  return memory_stream_ops.write(stream, &(struct bytes){held, held_len}, 1);
}

static size_t toy_unwritten(const struct stream *stream) { return (memory_stream_ops.unwritten(stream) + 1) / 2; }

/* What the worker is told of the stream below it. */
static void toy_on_written(struct stream *stream, int status) {
  test_free(held);
  held = NULL;
  conn_on_written(stream, status);
}

static void toy_on_read(struct stream *stream, struct bytes bytes) {
  char *out = (char *)(uintptr_t)bytes.ptr;
  size_t len = 0;
  for (size_t i = 0; i < bytes.len; i++) {
    if (!half_read) out[len++] = bytes.ptr[i];
    half_read = !half_read;
  }
  if (len > 0) conn_on_read(stream, bytes_of(out, len));
}

static struct stream_ops toy_ops;

static void begin(struct mw_memory **memory) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.limits.outbox = 4 << 20;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options news = {.history_size = 500, .history_bytes = 32 << 20};
  assert_true(mw_config_channel(config, "news", &news, NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
  owes = half_read = false;
  short_takes = 0;
  assert_int_equal(mw_connect_memory(server, memory), 0);
  struct worker *worker = &server->workers[0];
  worker->http.accepted.streams.on_read = toy_on_read;
  worker->http.accepted.streams.on_written = toy_on_written;
  toy_ops = memory_stream_ops;
  toy_ops.try_write = toy_try_write;
  toy_ops.write = toy_write;
  toy_ops.unwritten = toy_unwritten;
  container_of(worker->http.conns.next, struct conn, link)->stream.uv.own.ops = &toy_ops;
}

/* ---- Its peer -------------------------------------------------------------------------------- */

static void send_doubled(struct mw_memory *memory, const char *text) {
  struct bytes bytes = bytes_string(text);
  for (size_t i = 0; i < bytes.len; i++) {
    /* In halves, some of which come alone. */
    assert_int_equal(mw_memory_write(memory, &bytes.ptr[i], 1), 0);
    if (i % 7 == 0) server_settle(server);
    assert_int_equal(mw_memory_write(memory, &bytes.ptr[i], 1), 0);
  }
  server_settle(server);
}

/* Appends what came, halved; `most` bytes of the wire at once, which may be odd. */
static size_t take_halved(struct mw_memory *memory, struct buffer *out, size_t most, bool *odd) {
  char text[8192];
  size_t len = mw_memory_read(memory, text, most);
  for (size_t i = 0; i < len; i++) {
    if (!*odd) {
      buffer_append_char(out, text[i]);
    } else {
      assert_int_equal(text[i], out->data[out->len - 1]);
    }
    *odd = !*odd;
  }
  return len;
}

static size_t count_text(const struct buffer *in, const char *text) {
  size_t count = 0, len = strlen(text);
  for (size_t i = 0; i + len <= in->len; i++) count += memcmp(in->data + i, text, len) == 0;
  return count;
}

static void answers_are_whole(void **state) {
  (void)state;
  struct mw_memory *memory;
  struct buffer in = {0};
  bool odd = false;
  begin(&memory);
  send_doubled(memory, "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  while (take_halved(memory, &in, 5, &odd) > 0) continue;
  assert_false(odd);
  assert_int_equal(count_text(&in, "HTTP/1.1 200 OK\r\n"), 1);
  assert_int_equal(count_text(&in, "{\"status\":\"ok\"}\n"), 1);
  assert_int_equal(count_text(&in, "HTTP/1.1 404 Not Found\r\n"), 1);
  server_settle(server);
  assert_true(mw_memory_ended(memory));
  mw_memory_close(memory);
  buffer_deinit(&in);
  server_finish(server);
}

/* More is published than the wire takes: writes are taken in part, in odd parts, and by the write
 * that waits. */
static void a_stream_loses_and_repeats_nothing(void **state) {
  (void)state;
  enum { MESSAGES = 200, SIZE = 3001 };
  static char data[SIZE + 1];
  struct mw_memory *memory;
  struct buffer in = {0};
  bool odd = false;
  begin(&memory);
  send_doubled(memory, "GET /sse?channel=news HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < MESSAGES; i++) {
    memset(data, 'a' + i % 26, SIZE);
    data[0] = data[SIZE - 1] = '"';
    struct mw_publish message = {.channel = {"news", 4}, .data = {data, SIZE}};
    char id[MW_ID_MAX];
    assert_int_equal(mw_publish(server, &message, id, NULL), 0);
    if (i % 3 == 0) server_settle(server);
    if (i % 2 == 0) take_halved(memory, &in, 1501, &odd);
  }
  for (size_t idle = 0; idle < 3;) {
    server_settle(server);
    idle = take_halved(memory, &in, 4097, &odd) > 0 ? 0 : idle + 1;
  }
  assert_false(odd);
  assert_true(short_takes > 0);
  assert_int_equal(count_text(&in, "data: \""), MESSAGES);
  const char *at = in.data;
  buffer_append_char(&in, '\0');
  at = in.data;
  for (int i = 0; i < MESSAGES; i++) {
    at = strstr(at, "data: \"");
    assert_non_null(at);
    at += 6;
    memset(data, 'a' + i % 26, SIZE);
    data[0] = data[SIZE - 1] = '"';
    assert_memory_equal(at, data, SIZE);
    assert_int_equal(at[SIZE], '\n');
  }
  mw_memory_close(memory);
  buffer_deinit(&in);
  server_settle(server);
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(answers_are_whole),
      TEST(a_stream_loses_and_repeats_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
