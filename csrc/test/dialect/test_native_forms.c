#include "base/memory.h"
#include "dialect/native.h"
#include "dialect/native_forms.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct epoch epoch = {.text = {'e', 'p', 'o', 'c', 'h', '0', '0', '1'}};

static const struct form_class *const classes[] = {&native_sse, &native_envelope, &native_poll, &native_ws};

static struct message *make(const char *channel, const char *event, const char *data, uint64_t position) {
  struct message *message = message_of(NULL, bytes_string(channel), bytes_string(event), bytes_string(data));
  if (message) message->position = position;
  return message;
}

/* The blob is one chunk as HTTP frames it, and what is inside is `text`. */
static void assert_chunk_of(const struct blob *blob, const char *text) {
  char framed[1024];
  snprintf(framed, sizeof framed, "%zx\r\n%s\r\n", strlen(text), text);
  assert_bytes_string(form_slice(blob, FRAMING_CHUNK), framed);
  assert_bytes_string(form_slice(blob, FRAMING_PAYLOAD), text);
}

static void encodes_messages(void **state) {
  (void)state;
  static const struct {
    const char *channel, *event, *data;
    uint64_t position;
    const char *sse, *envelope;
  } cases[] = {
      {"room:1", "said", "{\"a\":1}", 7, "event: said\ndata: {\"a\":1}\nid: epoch001-0000000000000007\n\n",
       "data: {\"channel\":\"room:1\",\"event\":\"said\",\"id\":\"epoch001-0000000000000007\",\"data\":{\"a\":1}}\n"
       "id: epoch001-0000000000000007\n\n"},
      {"room:1", "message", "null", 1, "data: null\nid: epoch001-0000000000000001\n\n",
       "data: {\"channel\":\"room:1\",\"event\":\"message\",\"id\":\"epoch001-0000000000000001\",\"data\":null}\n"
       "id: epoch001-0000000000000001\n\n"},
      {"room:1", "tick", "7", 0, "event: tick\ndata: 7\n\n", "data: {\"channel\":\"room:1\",\"event\":\"tick\",\"data\":7}\n\n"},
      {"a", "message", "[1,\r\n2]", 0, "data: [1,\ndata: 2]\n\n",
       "data: {\"channel\":\"a\",\"event\":\"message\",\"data\":[1,\ndata: 2]}\n\n"},
      /* A name that looks like the member in which the position stands. */
      {"x\",\"id\":\"y", "message", "\",\\\"id\\\":\\\"\"", 3, "data: \",\\\"id\\\":\\\"\"\nid: epoch001-0000000000000003\n\n",
       "data: {\"channel\":\"x\\\",\\\"id\\\":\\\"y\",\"event\":\"message\",\"id\":\"epoch001-0000000000000003\","
       "\"data\":\",\\\"id\\\":\\\"\"}\nid: epoch001-0000000000000003\n\n"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct message *message = make(cases[i].channel, cases[i].event, cases[i].data, cases[i].position);
    assert_chunk_of(form_of(&native_sse, message, &epoch), cases[i].sse);
    assert_chunk_of(form_of(&native_envelope, message, &epoch), cases[i].envelope);
    assert_ptr_equal(form_of(&native_sse, message, &epoch), message_form(message, &native_sse)); /* once */
    message_unref(message);
  }
}

/* Encoding before the position is known, and writing it in then, gives the same bytes. */
static void a_draft_becomes_the_same(void **state) {
  (void)state;
  static const struct {
    const char *channel, *event, *data;
  } cases[] = {
      {"room:1", "said", "{\"a\":1}"},      {"a", "message", "null"},
      {"id: ", "id", "\"id: \""},           {"x\",\"id\":\"y", "message", "{\"channel\":\"a\",\"id\":\"b\"}"},
      {"\xc3\xa4", "message", "[\n\n1\r]"},
  };
  static const uint64_t positions[] = {1, 42, 9999999999999999};
  for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(positions) * COUNT_OF(classes); i++) {
    size_t c = i / COUNT_OF(positions) / COUNT_OF(classes);
    uint64_t position = positions[i / COUNT_OF(classes) % COUNT_OF(positions)];
    const struct form_class *class = classes[i % COUNT_OF(classes)];
    struct message *drafted = make(cases[c].channel, cases[c].event, cases[c].data, 0);
    struct message *known = make(cases[c].channel, cases[c].event, cases[c].data, position);
    struct form_draft draft = form_draft(class, drafted, &epoch, true);
    form_draft_place(&draft, position);
    assert_bytes(blob_bytes(draft.form->blob), blob_bytes(form_of(class, known, &epoch)));
    form_free(draft.form);
    message_unref(drafted);
    message_unref(known);
  }
}

static void a_volatile_draft_has_no_place(void **state) {
  (void)state;
  struct message *message = make("a", "message", "1", 0);
  for (size_t i = 0; i < COUNT_OF(classes); i++) {
    struct form_draft draft = form_draft(classes[i], message, &epoch, false);
    struct blob *before = blob_new(blob_bytes(draft.form->blob));
    form_draft_place(&draft, 7);
    assert_bytes(blob_bytes(draft.form->blob), blob_bytes(before));
    blob_unref(before);
    form_free(draft.form);
  }
  message_unref(message);
}

static void frames_text_of_any_length(void **state) {
  (void)state;
  static char text[70000];
  memset(text, '\n', sizeof text); /* as the newline of the chunk's head */
  for (size_t len = 1; len < sizeof text; len = len * 3 + 1) {
    struct blob *blob = form_chunk(bytes_of(text, len));
    assert_bytes(form_slice(blob, FRAMING_PAYLOAD), bytes_of(text, len));
    char head[20];
    size_t head_len = (size_t)snprintf(head, sizeof head, "%zx\r\n", len);
    struct bytes chunk = form_slice(blob, FRAMING_CHUNK);
    assert_int_equal(chunk.len, head_len + len + 2);
    assert_memory_equal(chunk.ptr, head, head_len);
    assert_memory_equal(chunk.ptr + head_len, text, len);
    assert_memory_equal(chunk.ptr + head_len + len, "\r\n", 2);
    assert_bytes(form_slice(blob, FRAMING_WHOLE), blob_bytes(blob));
    blob_unref(blob);
  }
}

static void expect_event(const struct dialect *dialect, const struct event *event, const char *expected) {
  struct rope out;
  rope_init(&out);
  dialect->event(dialect, &out, event);
  assert_int_equal(out.joint_count, 0);
  assert_bytes_string(buffer_bytes(&out.text), expected);
  rope_deinit(&out);
}

static void writes_events_of_the_servers_own(void **state) {
  (void)state;
  struct event gap = {.type = EVENT_GAP, .channel = BYTES("a\"b")}, cursor = {.type = EVENT_CURSOR, .id = BYTES("the-id")};
  struct event end = {.type = EVENT_END, .channel = BYTES("a"), .id = BYTES("the-id")};
  struct event kicked = {.type = EVENT_UNSUBSCRIBED, .channel = BYTES("a"), .code = "kicked", .reason = "cut \xc3"};
  expect_event(&native_stream, &gap, "event: moonwire:gap\ndata: {\"channel\":\"a\\\"b\"}\n\n");
  expect_event(&native_enveloped, &gap, "data: {\"event\":\"moonwire:gap\",\"data\":{\"channel\":\"a\\\"b\"}}\n\n");
  expect_event(&native_websocket, &gap, "{\"event\":\"moonwire:gap\",\"data\":{\"channel\":\"a\\\"b\"}}");
  expect_event(&native_stream, &end, "event: moonwire:end\ndata: {\"channel\":\"a\"}\nid: the-id\n\n");
  expect_event(&native_polls, &end, "{\"event\":\"moonwire:end\",\"data\":{\"channel\":\"a\"}}");
  expect_event(&native_stream, &cursor, "id: the-id\n\n");
  expect_event(&native_enveloped, &cursor, "data: {\"event\":\"moonwire:ping\"}\nid: the-id\n\n");
  expect_event(&native_moonwire_1, &kicked,
               "{\"event\":\"moonwire:unsubscribed\",\"data\":{\"channel\":\"a\",\"code\":\"kicked\",\"reason\":\"cut \"}}");
}

static bool encode(void *context) {
  (void)context;
  bool ok = true;
  struct message *message = make("room:1", "said", "{\"a\":1}", 7);
  for (size_t i = 0; message && i < COUNT_OF(classes); i++) {
    struct blob *blob = form_of(classes[i], message, &epoch);
    assert_ptr_equal(blob, message_form(message, classes[i]));
    ok = ok && blob;
  }
  ok = ok && message;
  message_unref(message);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(encode, NULL) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(encodes_messages),          TEST(a_draft_becomes_the_same),         TEST(a_volatile_draft_has_no_place),
      TEST(frames_text_of_any_length), TEST(writes_events_of_the_servers_own), TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
