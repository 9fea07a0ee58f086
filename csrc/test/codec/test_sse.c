#include "codec/sse.h"
#include "test/support.h"
#include "test/support/event_stream.h"

static const struct bytes none = {NULL, 0};

static void writes_blocks(void **state) {
  (void)state;
  const struct {
    struct sse_event event;
    const char *block;
  } cases[] = {
      {{none, none, none, -1}, "\n"},
      {{none, none, BYTES("{}"), -1}, "data: {}\n\n"},
      {{none, none, BYTES(""), -1}, "data: \n\n"},
      {{none, BYTES("message"), BYTES("x"), -1}, "data: x\n\n"},
      {{none, BYTES("said"), BYTES("x"), -1}, "event: said\ndata: x\n\n"},
      {{BYTES("1-2"), BYTES("said"), BYTES("x"), 0}, "retry: 0\nevent: said\ndata: x\nid: 1-2\n\n"},
      {{BYTES("1-2"), none, none, 1500}, "retry: 1500\nid: 1-2\n\n"},
      {{BYTES(""), none, none, -1}, "id: \n\n"},
      {{none, none, BYTES("a\nb\rc\r\nd"), -1}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
      {{none, none, BYTES("a\n\nb\n\rc"), -1}, "data: a\ndata: \ndata: b\ndata: \ndata: c\n\n"},
      {{none, none, BYTES("\n"), -1}, "data: \ndata: \n\n"},
      {{none, none, BYTES("\r\r\n\n"), -1}, "data: \ndata: \ndata: \ndata: \n\n"},
      {{none, none, BYTES(" x: y"), -1}, "data:  x: y\n\n"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    sse_write(&out, &cases[i].event);
    assert_bytes_string(buffer_bytes(&out), cases[i].block);
    buffer_deinit(&out);
  }
}

static void an_id_is_added_to_the_last_block(void **state) {
  (void)state;
  struct buffer out = {0};
  sse_write(&out, &(struct sse_event){none, none, BYTES("a"), -1});
  sse_write_retry(&out, 7);
  sse_write(&out, &(struct sse_event){none, BYTES("b"), BYTES("c"), -1});
  sse_add_id(&out, BYTES("1-2"));
  assert_bytes_string(buffer_bytes(&out), "data: a\n\nretry: 7\nevent: b\ndata: c\nid: 1-2\n\n");
  buffer_deinit(&out);
}

static void trace_event(void *context, struct bytes type, struct bytes data, struct bytes last_id) {
  struct buffer *out = context;
  buffer_append(out, type);
  buffer_append_char(out, '|');
  buffer_append(out, data);
  buffer_append_char(out, '|');
  buffer_append(out, last_id);
  buffer_append_char(out, ';');
}

/* Whole for `step` 0, else in pieces of that size. */
static void check_stream(struct bytes stream, size_t step, const char *trace) {
  struct buffer out = {0};
  struct event_stream parser;
  event_stream_init(&parser);
  parser.on_event = trace_event;
  parser.context = &out;
  if (step == 0) step = stream.len;
  for (size_t at = 0; at < stream.len; at += step) {
    size_t len = stream.len - at < step ? stream.len - at : step;
    event_stream_feed(&parser, bytes_of(stream.ptr + at, len));
  }
  assert_bytes_string(buffer_bytes(&out), trace);
  event_stream_deinit(&parser);
  buffer_deinit(&out);
}

/* The examples of the standard, so that the parser itself is not taken on trust. */
static void the_tests_parser_reads_the_examples_of_the_standard(void **state) {
  (void)state;
  static const struct {
    const char *stream, *trace;
  } cases[] = {
      {"data: YHOO\ndata: +2\ndata: 10\n\n", "message|YHOO\n+2\n10|;"},
      {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
       "message|first event|1;message|second event|;message| third event|;"},
      {"data\n\ndata\ndata\n\ndata:", "message||;message|\n|;"},
      {"data:test\n\ndata: test\n\n", "message|test|;message|test|;"},
      {"\xef\xbb\xbf"
       "data: a\r\revent: b\r\ndata: c\r\n\r\nretry: x\nfoo: bar\n\n",
       "message|a|;b|c|;"},
      {"id: 7\n\ndata: a\n\n", "message|a|7;"},
      {"event: x\n\ndata: a\n\n", "message|a|;"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (size_t step = 0; step < 3; step++) check_stream(bytes_string(cases[i].stream), step, cases[i].trace);
  }
}

static void a_browser_reads_what_was_written(void **state) {
  (void)state;
  struct buffer stream = {0};
  sse_write(&stream, &(struct sse_event){BYTES("0-9"), none, none, 1234});
  buffer_append_string(&stream, ":\n");
  sse_write(&stream, &(struct sse_event){none, BYTES("tick"), BYTES("a\r\nb\rc\n"), -1});
  sse_write(&stream, &(struct sse_event){BYTES("1-1"), none, BYTES(" :x"), -1});
  /* without data nothing is dispatched */
  sse_write(&stream, &(struct sse_event){none, BYTES("lost"), none, -1});
  sse_write(&stream, &(struct sse_event){none, none, BYTES("data: y"), -1});
  for (size_t step = 0; step < 3; step++) {
    check_stream(buffer_bytes(&stream), step, "tick|a\nb\nc\n|0-9;message| :x|1-1;message|data: y|1-1;");
  }
  buffer_deinit(&stream);
}

struct cut {
  struct event_stream stream;
  char newest[8]; /* data of the last event that came, which is its id */
};

static void note_event(void *context, struct bytes type, struct bytes data, struct bytes last_id) {
  struct cut *cut = context;
  (void)type;
  (void)last_id;
  snprintf(cut->newest, sizeof cut->newest, "%.*s", (int)bytes_find(data, '\n'), data.ptr);
}

/* Wherever a stream is cut, the id is that of the newest event that came; also for a client that
 * takes ids as they come, but for the one place between the two newlines behind an id. */
static void an_id_does_not_come_before_its_event(void **state) {
  (void)state;
  struct buffer out = {0};
  for (unsigned n = 1; n <= 9; n++) {
    char text[16];
    snprintf(text, sizeof text, "%u", n);
    struct bytes id = bytes_of(text, strlen(text));
    snprintf(text + id.len, sizeof text - id.len, "\nmore");
    sse_write(&out, &(struct sse_event){id, BYTES("tick"), bytes_string(text), n == 3 ? 1000 : -1});
    if (n == 5) buffer_append_string(&out, ":\n");
  }
  unsigned early = 0;
  for (size_t i = 0; i < 2 * (out.len + 1); i++) {
    struct cut cut = {.newest = ""};
    struct bytes input = bytes_of(out.data, i / 2);
    event_stream_init(&cut.stream);
    cut.stream.is_hasty = i % 2 == 1;
    cut.stream.on_event = note_event;
    cut.stream.context = &cut;
    event_stream_feed(&cut.stream, input);
    bool same = bytes_equal(buffer_bytes(&cut.stream.last_id), bytes_string(cut.newest));
    if (!same) {
      assert_true(cut.stream.is_hasty && out.data[input.len - 1] == '\n' && out.data[input.len] == '\n');
      early++;
    }
    event_stream_deinit(&cut.stream);
  }
  assert_int_equal(early, 9);
  buffer_deinit(&out);
}

static bool write_event(void *context) {
  (void)context;
  struct buffer out = {0};
  for (int i = 0; i < 20; i++) {
    sse_write(&out, &(struct sse_event){none, BYTES("tick"), BYTES("a\nb"), 5});
    sse_add_id(&out, BYTES("1-1"));
  }
  bool ok = !out.failed;
  buffer_deinit(&out);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(write_event, NULL) > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_blocks),
      TEST(an_id_is_added_to_the_last_block),
      TEST(the_tests_parser_reads_the_examples_of_the_standard),
      TEST(a_browser_reads_what_was_written),
      TEST(an_id_does_not_come_before_its_event),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
