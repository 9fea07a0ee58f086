/* Compressed messages, through the reader that they come to. */
#include "codec/ws/ws_message.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"
#include "codec/ws/ws_deflate.h"
#include "codec/ws/ws_reader.h"
#include "test/support.h"
#include "test/support/ws_trace.h"

/* Small ones, so that a table can show what happens at each. */
static const struct ws_limits limits = {.frame = 130, .message = 140};
static const struct ws_deflate_terms alone = {.agreed = true};
static const struct ws_deflate_terms takeover = {.agreed = true, .client_takeover = true};

enum {
  TEXT = 0xc1, /* the first bytes of compressed frames */
  BINARY = 0xc2,
  BEGIN_TEXT = 0x41,
  BEGIN_BINARY = 0x42,
  PLAIN = 0x81, /* and of others */
  GO_ON = 0x00,
  FINISH = 0x80,
  PING = 0x89,
};

struct frame {
  unsigned first;
  struct bytes payload;
};
#define FRAME(first, payload)                                                                                                    \
  {                                                                                                                              \
    (first), { payload, sizeof(payload) - 1 }                                                                                    \
  }

struct message_case {
  const char *trace;
  const struct ws_deflate_terms *terms;
  struct frame frames[6]; /* up to the first without a payload */
};

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"
#define HELLO_FINAL "\xf3\x48\xcd\xc9\xc9\x07\x00"
#define HELLO_AGAIN "\xf2\x00\x11\x00\x00" /* refers to it */
#define STORED(len, rest, text) "\x00" len "\x00" rest "\xff" text
#define FAULT(code, reason) "ERROR " #code " " reason "\n"
#define BROKEN FAULT(1007, "invalid compressed data")
#define NOT_UTF8 FAULT(1007, "invalid UTF-8 in a text message")
#define CUT FAULT(1007, "incomplete UTF-8 at the end of a text message")
#define TOO_LONG FAULT(1009, "the message is larger than the limit")
#define FIRST_ONLY FAULT(1002, "RSV1 is allowed only on the first frame of a message")
#define RESERVED FAULT(1002, "reserved bit set")
#define A10 "aaaaaaaaaa"
#define A140 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10
#define DEFLATED_140 "\x4a\x4c\x1c\x3c\x00\x00" /* 140 times an a */
#define DEFLATED_141 "\x4a\x4c\x1c\x44\x00\x00"

static const struct message_case accepted[] = {
    /* the examples of RFC 7692 section 7.2.3 */
    {"TEXT Hello @13\nIDLE\n", &alone, {FRAME(TEXT, HELLO)}},
    {"TEXT Hello @19\nIDLE\n", &alone, {FRAME(BEGIN_TEXT, "\xf2\x48\xcd"), FRAME(FINISH, "\xc9\xc9\x07\x00")}},
    {"TEXT Hello @13\nTEXT Hello @24\n", &takeover, {FRAME(TEXT, HELLO), FRAME(TEXT, HELLO_AGAIN)}},
    {"TEXT Hello @17\nIDLE\n", &alone, {FRAME(TEXT, STORED("\x05", "\xfa", "Hello") "\x00")}},
    {"TEXT Hello @14\nIDLE\n", &alone, {FRAME(TEXT, HELLO_FINAL "\x00")}},
    {"TEXT Hello @19\nIDLE\n", &alone, {FRAME(TEXT, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")}},
    {"TEXT  @7\nIDLE\n", &alone, {FRAME(TEXT, "\x00")}},
    /* blocks */
    {"TEXT HelloHello @20\nIDLE\n", &alone, {FRAME(TEXT, HELLO_FINAL HELLO)}},
    {"TEXT HelloHello @18\nIDLE\n", &alone, {FRAME(TEXT, HELLO_FINAL HELLO_AGAIN)}},
    /* without the empty block behind it */
    {"TEXT Hello @13\nIDLE\n", &alone, {FRAME(TEXT, HELLO_FINAL)}},
    {"TEXT Hello @17\nIDLE\n", &alone, {FRAME(TEXT, HELLO "\x00\x00\xff\xff")}}, /* with its tail */
    {"TEXT  @8\nIDLE\n", &alone, {FRAME(TEXT, "\x03\x00")}},
    {"TEXT  @13\nIDLE\n", &alone, {FRAME(TEXT, "\x03\x00\x03\x00\x03\x00\x00")}},
    {"TEXT  @17\nIDLE\n", &alone, {FRAME(TEXT, "\x00\x00\x00\xff\xff\x00\x00\x00\xff\xff\x00")}},
    {"BINARY ab @24\nIDLE\n",
     &alone,
     {FRAME(BINARY, STORED("\x01", "\xfe", "a") "\x00\x00\x00\xff\xff" STORED("\x01", "\xfe", "b") "\x00")}},
    {"TEXT  @6\nIDLE\n", &alone, {FRAME(TEXT, "")}},
    /* fragments, and what comes between them */
    {"TEXT Hello @25\nIDLE\n", &alone, {FRAME(BEGIN_TEXT, ""), FRAME(GO_ON, HELLO), FRAME(FINISH, "")}},
    {"PING p @16\nTEXT Hello @26\nIDLE\n",
     &alone,
     {FRAME(BEGIN_TEXT, "\xf2\x48\xcd"), FRAME(PING, "p"), FRAME(FINISH, "\xc9\xc9\x07\x00")}},
    {"TEXT Hello @37\nIDLE\n",
     &alone,
     {FRAME(BEGIN_TEXT, "\xf2"), FRAME(GO_ON, "\x48\xcd"), FRAME(GO_ON, "\xc9\xc9"), FRAME(GO_ON, "\x07"),
      FRAME(FINISH, "\x00")}},
    {"TEXT \xe2\x82\xac @30\nIDLE\n",
     &alone,
     {FRAME(BEGIN_TEXT, STORED("\x02", "\xfd", "\xe2\x82")),
      FRAME(FINISH, STORED("\x01", "\xfe", "\xac") "\x00\x00\x00\xff\xff")}},
    /* plain messages may be among them */
    {"TEXT Hello @11\nTEXT Hello @24\nTEXT Hello @35\nIDLE\n",
     &alone,
     {FRAME(PLAIN, "Hello"), FRAME(TEXT, HELLO), FRAME(PLAIN, "Hello")}},
    {"TEXT HelloHello @22\nIDLE\n", &alone, {FRAME(1, "Hello"), FRAME(FINISH, "Hello")}},
    {"TEXT Hello @11\nIDLE\n", &takeover, {FRAME(PLAIN, "Hello")}},
    /* the window */
    {"TEXT Hello @13\nTEXT x @20\nTEXT Hello @31\n",
     &takeover,
     {FRAME(TEXT, HELLO), FRAME(PLAIN, "x"), FRAME(TEXT, HELLO_AGAIN)}},
    {"TEXT Hello @14\nTEXT Hello @25\n", &takeover, {FRAME(TEXT, HELLO_FINAL "\x00"), FRAME(TEXT, HELLO_AGAIN)}},
    {"TEXT Hello @13\nTEXT  @20\nTEXT  @26\nTEXT Hello @37\n",
     &takeover,
     {FRAME(TEXT, HELLO), FRAME(TEXT, "\x00"), FRAME(TEXT, ""), FRAME(TEXT, HELLO_AGAIN)}},
    {"TEXT Hello @17\nTEXT Hello @28\n", &takeover, {FRAME(TEXT, HELLO "\x00\x00\xff\xff"), FRAME(TEXT, HELLO_AGAIN)}},
    /* limits */
    {"TEXT " A140 " @12\nIDLE\n", &alone, {FRAME(TEXT, DEFLATED_140)}},
    {"BINARY " A140 " @12\nIDLE\n", &alone, {FRAME(BINARY, DEFLATED_140)}},
    {"TEXT " A140 " @24\nIDLE\n", &alone, {FRAME(BEGIN_TEXT, "\x4a\x4c\x1c\x3c"), FRAME(GO_ON, "\x00"), FRAME(FINISH, "\x00")}},
};

static const struct message_case refused[] = {
    {BROKEN, &alone, {FRAME(TEXT, "\x07")}},                      /* no kind of block */
    {BROKEN, &alone, {FRAME(TEXT, "\x00\x05\x00\x00\x00Hello")}}, /* length and complement */
    {BROKEN, &alone, {FRAME(TEXT, HELLO_AGAIN)}},                 /* refers to nothing */
    {BROKEN, &takeover, {FRAME(TEXT, HELLO_AGAIN)}},              /* the same */
    {"TEXT Hello @13\n" BROKEN, &alone, {FRAME(TEXT, HELLO), FRAME(TEXT, HELLO_AGAIN)}},
    {"TEXT Hello @14\n" BROKEN, &alone, {FRAME(TEXT, HELLO_FINAL "\x00"), FRAME(TEXT, HELLO_AGAIN)}},
    {BROKEN, &alone, {FRAME(TEXT, "\xf2\x48\xcd")}}, /* cut */
    {BROKEN, &alone, {FRAME(BEGIN_TEXT, "\xf2\x48\xcd"), FRAME(FINISH, "\xc9")}},
    {BROKEN, &alone, {FRAME(TEXT, "\x00\x05\x00\xfa\xffHell")}},
    {BROKEN, &alone, {FRAME(TEXT, "\x00\x05\x00")}},
    {BROKEN, &alone, {FRAME(TEXT, HELLO_FINAL "\x07")}},
    {BROKEN, &alone, {FRAME(TEXT, HELLO "\x00")}},
    {BROKEN, &alone, {FRAME(BINARY, "Hello")}},
    {BROKEN, &alone, {FRAME(BINARY, "\xfa\xff\xff\xff\x7f\x00")}}, /* a block, and two bits */
    {NOT_UTF8, &alone, {FRAME(TEXT, STORED("\x01", "\xfe", "\xff") "\x00")}},
    /* before what is broken */
    {NOT_UTF8, &alone, {FRAME(TEXT, STORED("\x02", "\xfd", "a\xff") "\x07")}},
    {NOT_UTF8, &alone, {FRAME(BEGIN_TEXT, STORED("\x01", "\xfe", "\xed")), FRAME(GO_ON, STORED("\x01", "\xfe", "\xa0"))}},
    {BROKEN, &alone, {FRAME(TEXT, STORED("\x01", "\xfe", "a") "\x07")}},
    {CUT, &alone, {FRAME(TEXT, STORED("\x02", "\xfd", "\xe2\x82") "\x00")}},
    {CUT, &alone, {FRAME(BEGIN_TEXT, STORED("\x02", "\xfd", "\xe2\x82")), FRAME(FINISH, "\x00")}},
    {TOO_LONG, &alone, {FRAME(TEXT, DEFLATED_141)}},
    {TOO_LONG, &alone, {FRAME(BINARY, DEFLATED_141)}},
    {TOO_LONG, &alone, {FRAME(BEGIN_TEXT, DEFLATED_140 "\x00\xff\xff"), FRAME(FINISH, STORED("\x01", "\xfe", "a") "\x00")}},
    {TOO_LONG, &alone, {FRAME(BEGIN_BINARY, DEFLATED_140 "\x00\xff\xff"), FRAME(FINISH, STORED("\x01", "\xfe", "\xff") "\x00")}},
    {BROKEN, &alone, {FRAME(BEGIN_TEXT, DEFLATED_140 "\x00\xff\xff"), FRAME(FINISH, "\x07")}},
    {FAULT(1009, "the frame is larger than the limit"), &alone, {FRAME(TEXT, A140)}},
    {FIRST_ONLY, &alone, {FRAME(BEGIN_TEXT, HELLO), FRAME(0xc0, "\x00")}},
    {FIRST_ONLY, &alone, {FRAME(0x01, "Hello"), FRAME(0xc0, "\x00")}},
    {FIRST_ONLY, &alone, {FRAME(0xc0, "")}},
    {FIRST_ONLY, &alone, {FRAME(0xc9, "")}},
    {FIRST_ONLY, &alone, {FRAME(0xca, "")}},
    {FIRST_ONLY, &alone, {FRAME(0xc8, "")}},
    {RESERVED, &alone, {FRAME(0xe1, "")}},
    {RESERVED, &alone, {FRAME(0xd1, "")}},
    {RESERVED, &alone, {FRAME(0xa1, "")}},
    {FAULT(1002, "reserved opcode"), &alone, {FRAME(0xc3, "")}},
    {FAULT(1002, "new message before the end of a fragmented one"), &alone, {FRAME(BEGIN_TEXT, ""), FRAME(TEXT, HELLO)}},
};

static void write_frames(struct buffer *out, const struct frame *frames, size_t count) {
  for (size_t i = 0; i < count && frames[i].payload.ptr; i++) {
    ws_client_frame(out, frames[i].first, BYTES("\x37\xfa\x21\x3d"), frames[i].payload);
  }
}

/* Whole, byte by byte, and cut in two at every byte. */
static void check_case(const struct message_case *test) {
  struct buffer input = {0};
  write_frames(&input, test->frames, COUNT_OF(test->frames));
  for (size_t first = 0; first <= input.len + 1; first++) {
    struct buffer trace = {0};
    bool bytewise = first == input.len + 1;
    assert_true(
        ws_trace_terms(&trace, &limits, *test->terms, buffer_bytes(&input), bytewise ? 1 : first, bytewise ? 1 : input.len));
    if (!bytes_equal(buffer_bytes(&trace), bytes_string(test->trace))) print_error("cut at %zu\n", first);
    assert_bytes_string(buffer_bytes(&trace), test->trace);
    buffer_deinit(&trace);
  }
  buffer_deinit(&input);
}

static void reads_what_is_right(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) check_case(&accepted[i]);
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused); i++) check_case(&refused[i]);
}

/* ---- At once --------------------------------------------------------------------------------- */

static struct ws_reader *new_reader(const struct ws_limits *of, struct ws_deflate_terms terms) {
  struct ws_reader *reader = ws_reader_new(of);
  ws_reader_set_terms(reader, terms);
  return reader;
}

static enum ws_event feed(struct ws_reader *reader, struct bytes input) {
  struct buffer copy = {0};
  size_t used;
  buffer_append(&copy, input);
  enum ws_event event = ws_reader_next(reader, copy.data, copy.len, &used);
  if (event == WS_MESSAGE) assert_int_equal(used, input.len);
  buffer_deinit(&copy);
  return event;
}

#define ZERO "\0\0\0\0"

/* More of the frame, and of the message, is to come when the first wrong byte is inflated. */
static void fails_at_the_first_wrong_byte(void **state) {
  (void)state;
  struct ws_reader *reader = new_reader(&limits, alone);
  assert_int_equal(feed(reader, BYTES("\x41\x90" ZERO "\x00\x05\x00\xfa\xff"
                                      "ab\xe2\x82")),
                   WS_MORE);
  assert_int_equal(feed(reader, BYTES("\x28")), WS_ERROR);
  assert_int_equal(ws_reader_close_info(reader).code, WS_CLOSE_BAD_DATA);
  ws_reader_free(reader);

  reader = new_reader(&limits, alone);
  assert_int_equal(feed(reader, BYTES("\x41\x90" ZERO "\x00\x05\x00\xfa")), WS_MORE);
  assert_int_equal(feed(reader, BYTES("\x00")), WS_ERROR);
  assert_bytes_string(ws_reader_close_info(reader).reason, "invalid compressed data");
  ws_reader_free(reader);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static size_t largest;
static void *count_resize(void *context, void *ptr, size_t size) {
  (void)context;
  if (size > largest) largest = size;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

/* `len` times the same byte, deflated: a thousandth of it. */
static void write_bomb(struct buffer *out, size_t len) {
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
  struct bytes part = bytes_of(calloc(1, len), len);
  assert_true(ws_deflater_message(deflater, &part, 1, out));
  free((char *)(uintptr_t)part.ptr);
  ws_deflater_free(deflater);
}

static void a_bomb_stays_small(void **state) {
  (void)state;
  static const struct ws_limits wide = {.frame = 1 << 20, .message = 100000};
  static const size_t pieces[] = {SIZE_MAX, 1000, 1};
  struct buffer bomb = {0}, input = {0};
  write_bomb(&bomb, 50000000);
  ws_client_frame(&input, BINARY, BYTES(ZERO), buffer_bytes(&bomb));
  memory_set_allocator(count_resize, NULL);
  for (size_t i = 0; i < COUNT_OF(pieces); i++) {
    struct ws_reader *reader = new_reader(&wide, alone);
    int64_t before = memory_live();
    enum ws_event event = WS_MORE;
    struct buffer copy = {0};
    buffer_append(&copy, buffer_bytes(&input));
    largest = 0;
    for (size_t at = 0, used; event == WS_MORE; at += used) {
      size_t len = copy.len - at < pieces[i] ? copy.len - at : pieces[i];
      assert_true(len > 0);
      event = ws_reader_next(reader, copy.data + at, len, &used);
    }
    assert_int_equal(event, WS_ERROR);
    assert_int_equal(ws_reader_close_info(reader).code, WS_CLOSE_TOO_BIG);
    assert_in_range(largest, 90000, 100000); /* the limit, and not a byte more */
    buffer_deinit(&copy);
    assert_int_equal(memory_live(), before);
    ws_reader_free(reader);
  }
  memory_set_allocator(NULL, NULL);
  buffer_deinit(&bomb);
  buffer_deinit(&input);
}

static void memory_comes_with_the_first_compressed_frame(void **state) {
  (void)state;
  struct ws_reader *reader = new_reader(&limits, takeover);
  int64_t empty = memory_live();
  assert_int_equal(feed(reader, BYTES("\x81\x81" ZERO "a")), WS_MESSAGE);
  assert_true(ws_reader_idle(reader));
  assert_int_equal(memory_live(), empty);
  assert_int_equal(feed(reader, BYTES("\xc1\x87" ZERO HELLO)), WS_MESSAGE);
  assert_true(memory_live() > empty);
  assert_int_equal(feed(reader, BYTES("")), WS_MORE);
  assert_false(ws_reader_idle(reader)); /* it holds the window */
  assert_int_equal(feed(reader, BYTES("\xc1\x85" ZERO HELLO_AGAIN)), WS_MESSAGE);
  assert_bytes_string(ws_reader_payload(reader), "Hello");
  assert_int_equal(feed(reader, BYTES("\x88\x80" ZERO)), WS_CLOSE);
  assert_int_equal(memory_live(), empty);
  ws_reader_free(reader);
}

/* One reader serves clients of all terms, one after the other; no one's window is seen by the
 * next. */
static void an_idle_reader_is_lent_anew(void **state) {
  (void)state;
  struct ws_reader *reader = new_reader(&limits, alone);
  assert_int_equal(feed(reader, BYTES("\xc1\x87" ZERO HELLO)), WS_MESSAGE);
  assert_int_equal(feed(reader, BYTES("")), WS_MORE);
  assert_true(ws_reader_idle(reader));
  int64_t live = memory_live();

  ws_reader_set_terms(reader, (struct ws_deflate_terms){0});
  assert_int_equal(feed(reader, BYTES("\x81\x81" ZERO "a")), WS_MESSAGE);
  assert_int_equal(memory_live(), live);
  ws_reader_set_terms(reader, alone);
  assert_int_equal(feed(reader, BYTES("\xc1\x87" ZERO HELLO)), WS_MESSAGE);
  assert_int_equal(feed(reader, BYTES("")), WS_MORE);
  assert_int_equal(memory_live(), live); /* the inflater was there */
  ws_reader_set_terms(reader, takeover);
  assert_int_equal(feed(reader, BYTES("\xc1\x85" ZERO HELLO_AGAIN)), WS_ERROR);
  assert_bytes_string(ws_reader_close_info(reader).reason, "invalid compressed data");
  ws_reader_free(reader);

  reader = new_reader(&limits, (struct ws_deflate_terms){0});
  assert_int_equal(feed(reader, BYTES("\xc1\x87" ZERO HELLO)), WS_ERROR);
  assert_int_equal(ws_reader_close_info(reader).code, WS_CLOSE_PROTOCOL_ERROR);
  ws_reader_free(reader);
}

/* If out of memory there is no reader, or the error says so, and never a message that lacks
 * something. */
static bool trace_bytewise(void *context) {
  const struct message_case *test = context;
  struct buffer input = {0}, trace = {0};
  write_frames(&input, test->frames, COUNT_OF(test->frames));
  bool ok = !input.failed && ws_trace_terms(&trace, &limits, *test->terms, buffer_bytes(&input), 1, 1);
  struct bytes out = buffer_bytes(&trace), error = BYTES("ERROR 1011 out of memory\n");
  if (ok && !bytes_equal(out, bytes_string(test->trace))) {
    ok = false;
    assert_true(out.len >= error.len);
    assert_bytes(bytes_of(out.ptr + out.len - error.len, error.len), error);
  }
  buffer_deinit(&input);
  buffer_deinit(&trace);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct message_case test = accepted[i];
    support_fail_each(trace_bytewise, &test);
  }
}

/* ---- A message as a million fragments -------------------------------------------------------- */

enum { MILLION = 1000000 };
static const struct ws_limits large = {.frame = 1000, .message = MILLION};

/* Bytes of the payload one by one, then the end. Counts what is asked of the allocator, so that
 * growth is seen to be linear. */
static struct bytes feed_fragments(struct ws_reader *reader, unsigned first, struct bytes payload) {
  enum ws_event event = WS_MORE;
  for (size_t i = 0; i < payload.len; i++) {
    char frame[7] = {(char)(i == 0 ? first : GO_ON), (char)0x81, 0, 0, 0, 0, payload.ptr[i]};
    size_t used;
    event = ws_reader_next(reader, frame, sizeof frame, &used);
    assert_int_equal(event, WS_MORE);
  }
  assert_int_equal(feed(reader, BYTES("\x80\x80" ZERO)), WS_MESSAGE);
  return ws_reader_payload(reader);
}

static size_t asked;
static void *sum_resize(void *context, void *ptr, size_t size) {
  (void)context;
  asked += size;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

static void a_million_fragments_cost_a_million(void **state) {
  (void)state;
  struct buffer text = {0}, deflated = {0};
  struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
  uint32_t seed = 1;
  for (size_t i = 0; i < MILLION; i++) {
    seed = seed * 1664525 + 1013904223;
    buffer_append_char(&text, (char)(seed >> 25)); /* ASCII, hard to compress */
  }
  struct bytes all = buffer_bytes(&text);
  assert_true(ws_deflater_message(deflater, &all, 1, &deflated));
  memory_set_allocator(sum_resize, NULL);
  struct ws_reader *reader = new_reader(&large, alone);
  asked = 0;
  assert_true(bytes_equal(feed_fragments(reader, 0x01, all), all));
  assert_true(asked < 4 * MILLION);
  asked = 0;
  assert_true(bytes_equal(feed_fragments(reader, BEGIN_TEXT, buffer_bytes(&deflated)), all));
  assert_true(asked < 4 * MILLION);
  ws_reader_free(reader);
  memory_set_allocator(NULL, NULL);
  ws_deflater_free(deflater);
  buffer_deinit(&text);
  buffer_deinit(&deflated);
}

/* Nothing, again and again: fragments without payload, blocks without data. */
static void endless_nothing_costs_nothing(void **state) {
  (void)state;
  static const struct bytes nothings[] = {
      {"\x00\x80" ZERO, 6},
      {"\x00\x85" ZERO "\x00\x00\x00\xff\xff", 11}, /* an empty block that was stored */
      {"\x00\x82" ZERO "\x03\x00", 8},              /* one that calls itself the last */
      {"\x00\x8a" ZERO "\x03\x00\x03\x00\x03\x00\x03\x00\x03\x00", 16},
  };
  memory_set_allocator(sum_resize, NULL);
  for (size_t i = 0; i < COUNT_OF(nothings); i++) {
    struct ws_reader *reader = new_reader(&limits, alone);
    assert_int_equal(feed(reader, BYTES("\x41\x80" ZERO)), WS_MORE);
    assert_int_equal(feed(reader, BYTES("\x00\x87" ZERO HELLO_FINAL)), WS_MORE);
    asked = 0;
    for (size_t n = 0; n < MILLION; n++) {
      char frame[16];
      size_t used;
      memcpy(frame, nothings[i].ptr, nothings[i].len);
      if (ws_reader_next(reader, frame, nothings[i].len, &used) != WS_MORE) fail_msg("%zu: the %zuth", i, n);
    }
    assert_int_equal(asked, 0);
    assert_int_equal(feed(reader, BYTES("\x80\x80" ZERO)), WS_MESSAGE);
    assert_bytes_string(ws_reader_payload(reader), "Hello");
    ws_reader_free(reader);
  }
  memory_set_allocator(NULL, NULL);
}

/* ---- Whatever zlib may write ----------------------------------------------------------------- */

/* Any level, strategy and way of flushing, in any fragments: the message comes back. */
static void any_deflater_is_understood(void **state) {
  (void)state;
  static const struct ws_limits wide = {.frame = 100000, .message = 100000};
  struct buffer text = {0};
  for (int i = 0; i < 600; i++) buffer_append_format(&text, "%d: %x,", i, (unsigned)i * 2654435761U);
  struct ws_reader *reader = new_reader(&wide, takeover);
  for (int n = 0; n < 10 * 5 * 5; n++) {
    static const int flushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK};
    int flush = flushes[n % 5], strategy = n / 5 % 5, level = n / 25;
    unsigned char payload[20000];
    z_stream zlib = {.next_out = payload, .avail_out = sizeof payload};
    assert_int_equal(deflateInit2(&zlib, level, Z_DEFLATED, -(9 + n % 7), 1 + n % 9, strategy), Z_OK);
    zlib.next_in = (Bytef *)text.data;
    while (zlib.next_in < (Bytef *)text.data + text.len) {
      size_t left = text.len - (size_t)(zlib.next_in - (Bytef *)text.data);
      zlib.avail_in = (uInt)(left < 700 ? left : 700);
      deflate(&zlib, flush);
      assert_int_equal(zlib.avail_in, 0);
    }
    bool finishes = n % 3 == 0; /* by a block that is the last, then an empty one */
    deflate(&zlib, finishes ? Z_FINISH : Z_SYNC_FLUSH);
    size_t len = (size_t)(zlib.next_out - payload);
    if (finishes) payload[len++] = 0;
    if (!finishes && flush != Z_SYNC_FLUSH && flush != Z_FULL_FLUSH) len -= 4;
    deflateEnd(&zlib);

    struct buffer input = {0};
    struct bytes rest = bytes_of((const char *)payload, len);
    for (size_t size = 1 + (size_t)n, i = 0; rest.len > 0; i++) {
      size_t taken = rest.len < size ? rest.len : size;
      unsigned first = (i == 0 ? (unsigned)BEGIN_TEXT : 0) | (taken == rest.len ? 0x80 : 0);
      ws_client_frame(&input, first, BYTES("abcd"), bytes_of(rest.ptr, taken));
      rest = bytes_of(rest.ptr + taken, rest.len - taken);
    }
    if (feed(reader, buffer_bytes(&input)) != WS_MESSAGE) fail_msg("%d: %s", n, ws_reader_close_info(reader).reason.ptr);
    assert_true(bytes_equal(ws_reader_payload(reader), buffer_bytes(&text)));
    buffer_deinit(&input);
  }
  ws_reader_free(reader);
  buffer_deinit(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_what_is_right),
      TEST(refuses_what_is_wrong),
      TEST(fails_at_the_first_wrong_byte),
      TEST(a_bomb_stays_small),
      TEST(memory_comes_with_the_first_compressed_frame),
      TEST(an_idle_reader_is_lent_anew),
      TEST(stands_failing_memory),
      TEST(a_million_fragments_cost_a_million),
      TEST(endless_nothing_costs_nothing),
      TEST(any_deflater_is_understood),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
