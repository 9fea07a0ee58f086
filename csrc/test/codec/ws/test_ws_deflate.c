#include "codec/ws/ws_deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"
#include "test/support.h"

/* ---- An inflater that is not ours ------------------------------------------------------------ */

/* With a window of so many bits, and with output byte by byte, so that all that is referred to must
 * lie in the window. */
static void plain_inflate_init(z_stream *zlib, int bits) {
  *zlib = (z_stream){0};
  assert_int_equal(inflateInit2(zlib, -bits), Z_OK);
}

static void plain_inflate(z_stream *zlib, struct bytes payload, struct bytes expected) {
  struct buffer input = {0};
  buffer_append(&input, payload);
  buffer_append(&input, bytes_of("\0\0\xff\xff", 4));
  zlib->next_in = (Bytef *)input.data;
  zlib->avail_in = (uInt)input.len;
  for (size_t i = 0; i < expected.len; i++) {
    unsigned char c;
    zlib->next_out = &c;
    zlib->avail_out = 1;
    int status = inflate(zlib, Z_SYNC_FLUSH);
    if (status != Z_OK || zlib->avail_out != 0 || c != (unsigned char)expected.ptr[i]) fail_msg("byte %zu: %d", i, status);
  }
  unsigned char beyond;
  zlib->next_out = &beyond;
  zlib->avail_out = 1;
  inflate(zlib, Z_SYNC_FLUSH);
  assert_int_equal(zlib->avail_out, 1);
  assert_int_equal(zlib->avail_in, 0);
  buffer_deinit(&input);
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* What makes matches of all lengths at all distances, and what makes none: the kind picks. */
static void generate(struct buffer *out, size_t len, size_t kind) {
  uint32_t seed = 12345 + (uint32_t)kind;
  char *data = buffer_reserve(out, len);
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1664525 + 1013904223;
    unsigned random = seed >> 24;
    size_t period = kind == 3 ? 250 + i / 4000 % 14 : 1 + (seed >> 12) % (len > 40000 ? 40000 : i + 1);
    switch (kind) {
      case 0: data[i] = 'a'; break;
      case 1: data[i] = (char)random; break;
      case 2: data[i] = (char)("etaoin shrdlu"[random % 13]); break;
      case 3:
        data[i] = i >= period && random > 8 ? data[i - period] : (char)random;
        break;   /* around the reach of small windows */
      default: { /* runs copied from anywhere */
        size_t run = 3 + random;
        data[i] = (char)random;
        if (i < 300) break;
        if (period > i) period = i;
        for (; run > 0 && i + 1 < len; run--, i++) data[i + 1] = data[i + 1 - period];
      }
    }
  }
  out->len += len;
}

static const size_t lengths[] = {1, 2, 3, 100, 255, 256, 257, 511, 600, 5000, 70000, 200000};
enum { KINDS = 5 };

/* ---- Deflating ------------------------------------------------------------------------------- */

static void writes_what_the_standard_shows(void **state) {
  (void)state;
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, true);
  struct buffer out = {0};
  struct bytes hello = BYTES("Hello"), parts[] = {BYTES("H"), {NULL, 0}, BYTES("el"), BYTES("lo")};
  assert_true(ws_deflater_message(deflater, &hello, 1, &out));
  /* RFC 7692 section 7.2.3.1 */
  assert_bytes(buffer_bytes(&out), BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"));
  buffer_clear(&out);
  assert_true(ws_deflater_message(deflater, parts, COUNT_OF(parts), &out));
  assert_bytes(buffer_bytes(&out), BYTES("\xf2\x00\x11\x00\x00")); /* section 7.2.3.2 */
  ws_deflater_free(deflater);

  deflater = ws_deflater_new(WS_WINDOW_9, false);
  buffer_clear(&out);
  buffer_append_string(&out, "before");
  for (int i = 0; i < 3; i++) assert_true(ws_deflater_message(deflater, parts, COUNT_OF(parts), &out));
  assert_bytes(buffer_bytes(&out),
               BYTES("before\xf2\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"));
  buffer_clear(&out);
  for (int i = 0; i < 3; i++) assert_true(ws_deflater_message(deflater, parts + 1, i == 0, &out));
  assert_bytes(buffer_bytes(&out), BYTES("\x00\x00\x00")); /* empty messages, section 7.2.3.6 */
  ws_deflater_free(deflater);
  buffer_deinit(&out);
}

/* Also by a client whose window has 8 bits, if ours has 9: zlib does not refer further back than
 * 250 bytes then. */
static void others_can_inflate_it(void **state) {
  (void)state;
  static const struct {
    enum ws_window window;
    int bits;
  } windows[] = {{WS_WINDOW_15, 15}, {WS_WINDOW_12, 12}, {WS_WINDOW_9, 9}, {WS_WINDOW_9, 8}};
  for (size_t w = 0; w < COUNT_OF(windows); w++) {
    for (int takeover = 0; takeover <= 1; takeover++) {
      struct ws_deflater *deflater = ws_deflater_new(windows[w].window, takeover);
      z_stream zlib;
      plain_inflate_init(&zlib, windows[w].bits);
      for (size_t i = 0; i < COUNT_OF(lengths) * KINDS; i++) {
        struct buffer input = {0}, out = {0};
        generate(&input, lengths[i / KINDS], i % KINDS);
        struct bytes all = buffer_bytes(&input);
        struct bytes parts[] = {bytes_of(all.ptr, all.len / 3), bytes_of(all.ptr + all.len / 3, all.len - all.len / 3)};
        assert_true(ws_deflater_message(deflater, parts, 2, &out));
        if (!takeover) inflateReset(&zlib);
        plain_inflate(&zlib, buffer_bytes(&out), all);
        buffer_deinit(&input);
        buffer_deinit(&out);
      }
      inflateEnd(&zlib);
      ws_deflater_free(deflater);
    }
  }
}

/* Room that ends anywhere, also exactly behind the flush. */
static void any_room_will_do(void **state) {
  (void)state;
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
  struct buffer input = {0};
  generate(&input, 70000, 1);
  struct bytes all = buffer_bytes(&input);
  z_stream zlib;
  plain_inflate_init(&zlib, 15);
  for (size_t capacity = 69990; capacity < 70050; capacity++) {
    struct buffer out = {0};
    assert_non_null(buffer_reserve(&out, capacity));
    assert_true(ws_deflater_message(deflater, &all, 1, &out));
    inflateReset(&zlib);
    plain_inflate(&zlib, buffer_bytes(&out), all);
    buffer_deinit(&out);
  }
  inflateEnd(&zlib);
  buffer_deinit(&input);
  ws_deflater_free(deflater);
}

static size_t taken;
static void *count_resize(void *context, void *ptr, size_t size) {
  (void)context;
  taken += size;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

/* What the headers say of memory. */
static void memory_is_what_is_documented(void **state) {
  (void)state;
  static const struct {
    enum ws_window window;
    size_t kib;
  } deflaters[] = {{WS_WINDOW_15, 166}, {WS_WINDOW_12, 38}, {WS_WINDOW_9, 24}};
  memory_set_allocator(count_resize, NULL);
  for (size_t i = 0; i < COUNT_OF(deflaters); i++) {
    taken = 0;
    struct ws_deflater *deflater = ws_deflater_new(deflaters[i].window, true);
    assert_in_range(taken, deflaters[i].kib * 1024 - 1024, deflaters[i].kib * 1024 + 1024);
    ws_deflater_free(deflater);
  }
  taken = 0;
  struct ws_inflater *inflater = ws_inflater_new();
  assert_in_range(taken, 6000, 8 * 1024);
  struct bytes input = BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00");
  char out[10];
  size_t len = sizeof out;
  assert_int_equal(ws_inflater_feed(inflater, &input, out, &len), WS_INFLATE_MORE);
  assert_bytes(bytes_of(out, len), BYTES("Hello"));
  assert_in_range(taken, 38 * 1024, 40 * 1024);
  ws_inflater_free(inflater);
  memory_set_allocator(NULL, NULL);
}

/* ---- There and back -------------------------------------------------------------------------- */

/* Input in pieces of `in` bytes, output in pieces of `room`. */
static enum ws_inflate inflate_message(struct ws_inflater *inflater, struct bytes payload, size_t in, size_t room,
                                       struct buffer *out) {
  bool finishing = false;
  struct bytes piece = {NULL, 0};
  for (;;) {
    size_t len = room;
    char *end = buffer_reserve(out, room);
    if (!end) return WS_INFLATE_MEMORY;
    if (!finishing && piece.len == 0) {
      piece = bytes_of(payload.ptr, payload.len < in ? payload.len : in);
      payload = bytes_of(payload.ptr + piece.len, payload.len - piece.len);
    }
    enum ws_inflate status = finishing ? ws_inflater_finish(inflater, end, &len) : ws_inflater_feed(inflater, &piece, end, &len);
    out->len += len;
    if (status == WS_INFLATE_FULL) {
      assert_int_equal(len, room);
      continue;
    }
    if (status != WS_INFLATE_MORE || finishing) return status;
    assert_int_equal(piece.len, 0);
    finishing = payload.len == 0;
  }
}

static void what_was_deflated_comes_back(void **state) {
  (void)state;
  static const size_t cuts[][2] = {{1000000, 1000000}, {1, 1000}, {1000, 1}, {7, 13}, {4096, 1024}};
  for (unsigned window = 0; window < WS_WINDOW_COUNT; window++) {
    for (size_t c = 0; c < COUNT_OF(cuts); c++) {
      struct ws_deflater *deflater = ws_deflater_new((enum ws_window)window, true);
      struct ws_inflater *inflater = ws_inflater_new();
      for (size_t i = 0; i < COUNT_OF(lengths) * KINDS; i++) {
        if (lengths[i / KINDS] > 6000 && c > 0) continue;
        struct buffer input = {0}, out = {0}, back = {0};
        generate(&input, lengths[i / KINDS], i % KINDS);
        struct bytes all = buffer_bytes(&input);
        assert_true(ws_deflater_message(deflater, &all, 1, &out));
        assert_int_equal(inflate_message(inflater, buffer_bytes(&out), cuts[c][0], cuts[c][1], &back), WS_INFLATE_MORE);
        assert_true(bytes_equal(buffer_bytes(&back), all));
        buffer_deinit(&input);
        buffer_deinit(&out);
        buffer_deinit(&back);
      }
      ws_inflater_free(inflater);
      ws_deflater_free(deflater);
    }
  }
}

/* What a message lacks may come of its tail: here, the data of a stored block. */
static void the_tail_is_fed_once(void **state) {
  (void)state;
  for (size_t room = 1; room <= 5; room++) {
    struct ws_inflater *inflater = ws_inflater_new();
    for (int i = 0; i < 2; i++) {
      struct buffer out = {0};
      assert_int_equal(inflate_message(inflater, BYTES("\x00\x04\x00\xfb\xff"), 100, room, &out), WS_INFLATE_MORE);
      assert_bytes(buffer_bytes(&out), BYTES("\x00\x00\xff\xff"));
      buffer_deinit(&out);
    }
    ws_inflater_free(inflater);
  }
}

static bool go_there_and_back(void *context) {
  (void)context;
  struct bytes parts[] = {BYTES("Hello, "), BYTES("Hello")};
  struct buffer out = {0}, back = {0};
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_9, false);
  struct ws_inflater *inflater = deflater ? ws_inflater_new() : NULL;
  bool ok = inflater && ws_deflater_message(deflater, parts, 2, &out);
  if (ok) {
    ok = inflate_message(inflater, buffer_bytes(&out), 100, 100, &back) == WS_INFLATE_MORE;
    if (ok) assert_bytes_string(buffer_bytes(&back), "Hello, Hello");
  } else if (inflater) {
    assert_true(out.failed);
  }
  ws_inflater_free(inflater);
  ws_deflater_free(deflater);
  buffer_deinit(&out);
  buffer_deinit(&back);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(go_there_and_back, NULL) >= 9);
}

/* One that ran out of memory in the middle of a message forgets that message, if it takes nothing
 * over. */
static void goes_on_after_failing_memory(void **state) {
  (void)state;
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
  struct buffer input = {0}, out = {0};
  generate(&input, 200000, 1);
  struct bytes all = buffer_bytes(&input), hello = BYTES("Hello");
  memory_fail_after(2);
  assert_false(ws_deflater_message(deflater, &all, 1, &out));
  assert_true(out.failed);
  memory_fail_after(0);
  buffer_clear(&out);
  assert_true(ws_deflater_message(deflater, &hello, 1, &out));
  assert_bytes(buffer_bytes(&out), BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"));
  buffer_deinit(&input);
  buffer_deinit(&out);
  ws_deflater_free(deflater);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_what_the_standard_shows), TEST(others_can_inflate_it),        TEST(any_room_will_do),
      TEST(memory_is_what_is_documented),   TEST(what_was_deflated_comes_back), TEST(the_tail_is_fed_once),
      TEST(stands_failing_memory),          TEST(goes_on_after_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
