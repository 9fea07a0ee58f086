/* The cases of spec/websocket against the parsers: each input whole, in its steps, cut in two, and
 * byte by byte. */
#include <stdlib.h>

#include "base/memory.h"
#include "codec/http/http_writer.h"
#include "codec/ws/ws_extension.h"
#include "codec/ws/ws_handshake.h"
#include "codec/ws/ws_reader.h"
#include "test/support.h"
#include "test/support/case_text.h"
#include "test/support/ws_case.h"

#define FOLDER "spec/websocket/"

/* ---- Frames ---------------------------------------------------------------------------------- */

struct player {
  const struct ws_case *test;
  struct ws_reader *reader;
  struct buffer trace;
  bool has_ended; /* after an error nothing is read */
};

static void renew(struct player *player) {
  ws_reader_free(player->reader);
  player->reader = ws_reader_new(&player->test->limits);
  ws_reader_set_terms(player->reader, player->test->terms);
}

/* One piece, in memory of its own which is gone afterwards. A reader that is idle is replaced by a
 * new one, as servers do. */
static void feed(struct player *player, struct bytes piece) {
  if (player->has_ended) return;
  char *copy = malloc(piece.len > 0 ? piece.len : 1), *at = copy;
  memcpy(copy, piece.ptr, piece.len);
  for (enum ws_event event = WS_PING; event != WS_MORE && event != WS_ERROR;) {
    size_t used = 0;
    event = ws_reader_next(player->reader, at, piece.len, &used);
    assert_true(used <= piece.len);
    at += used;
    piece.len -= used;
    ws_case_event(&player->trace, player->reader, event);
    if (event == WS_MORE) assert_int_equal(piece.len, 0);
    player->has_ended = event == WS_ERROR;
  }
  free(copy);
  if (ws_reader_idle(player->reader)) renew(player);
}

static void feed_in(struct player *player, struct bytes input, size_t first, size_t step) {
  for (size_t at = 0, size = first; at < input.len; at += size, size = step) {
    if (size > input.len - at) size = input.len - at;
    feed(player, bytes_of(input.ptr + at, size));
  }
}

static void begin(struct player *player, const struct ws_case *test) {
  *player = (struct player){.test = test};
  renew(player);
}

/* All that is expected up to that step has come, and nothing else. */
static void compare(const struct player *player, size_t step) {
  struct bytes came = buffer_bytes(&player->trace), expected = buffer_bytes(&player->test->steps[step].trace);
  if (!bytes_equal(came, expected)) print_error("%.*s\n", (int)player->test->title.len, player->test->title.ptr);
  assert_bytes(came, expected);
}

static void end(struct player *player) {
  const struct ws_case *test = player->test;
  compare(player, test->step_count - 1);
  if (ws_reader_idle(player->reader) != test->is_idle) fail_msg("%.*s: idle or not", (int)test->title.len, test->title.ptr);
  ws_reader_free(player->reader);
  buffer_deinit(&player->trace);
}

/* What comes of a step has come when it was sent. */
static void play_steps(const struct ws_case *test, bool bytewise) {
  struct player player;
  begin(&player, test);
  for (size_t i = 0; i < test->step_count; i++) {
    struct bytes sent = buffer_bytes(&test->steps[i].sent);
    feed_in(&player, sent, bytewise ? 1 : sent.len, bytewise ? 1 : sent.len);
    compare(&player, i);
  }
  end(&player);
}

static void play_cut(const struct ws_case *test, struct bytes input, size_t first, size_t step) {
  struct player player;
  begin(&player, test);
  feed_in(&player, input, first, step);
  end(&player);
}

/* At every byte; a long input at its ends, and here and there. */
static void play_cuts(const struct ws_case *test, struct bytes input) {
  enum { SHORT = 400, LONG = 8000 };
  size_t ends = input.len < LONG ? 20 : 3, between = input.len < LONG ? 20 : 2;
  for (size_t first = 1; first < input.len; first++) {
    play_cut(test, input, first, input.len);
    bool near_end = first < ends || first + ends > input.len;
    if (input.len > SHORT && !near_end) first += input.len / between;
  }
  for (size_t step = 2; step < 8 && input.len < LONG; step++) play_cut(test, input, step, step);
}

static void play_frames(struct bytes text, void *context) {
  (void)context;
  struct ws_case test;
  struct buffer input = {0};
  ws_case_init(&test, text);
  for (size_t i = 0; i < test.step_count; i++) buffer_append(&input, buffer_bytes(&test.steps[i].sent));
  play_steps(&test, false);
  play_steps(&test, true);
  play_cut(&test, buffer_bytes(&input), input.len, input.len);
  play_cuts(&test, buffer_bytes(&input));
  buffer_deinit(&input);
  ws_case_deinit(&test);
}

static void check_frames(const char *path) { assert_true(case_text_run(path, false, play_frames, NULL) > 10); }

static void framing(void **state) {
  (void)state;
  check_frames(FOLDER "framing.txt");
}

static void fragments(void **state) {
  (void)state;
  check_frames(FOLDER "fragments.txt");
}

static void control(void **state) {
  (void)state;
  check_frames(FOLDER "control.txt");
}

static void closing(void **state) {
  (void)state;
  check_frames(FOLDER "closing.txt");
}

static void text(void **state) {
  (void)state;
  check_frames(FOLDER "text.txt");
}

static void limits(void **state) {
  (void)state;
  check_frames(FOLDER "limits.txt");
}

static void deflate(void **state) {
  (void)state;
  check_frames(FOLDER "deflate.txt");
}

/* ---- Handshakes ------------------------------------------------------------------------------ */

static const char *const good_request = "GET /echo HTTP/1.1";
static const char *const good_fields[] = {"Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"};

/* True if a line of the case takes the field away. */
static bool is_without(struct bytes text, const char *field) {
  struct bytes name = bytes_of(field, bytes_find(bytes_string(field), ':'));
  for (struct bytes line; case_text_line(&text, &line);) {
    if (case_text_take(&line, "without") && bytes_equal_nocase(bytes_trim(line), name)) return true;
  }
  return false;
}

static void append_request_line(struct buffer *out, struct bytes line) {
  buffer_append(out, line);
  buffer_append_string(out, "\r\n");
}

static void write_request(struct buffer *out, struct bytes text) {
  struct bytes request = bytes_string(good_request), rest = text, line;
  while (case_text_line(&rest, &line)) {
    if (case_text_take(&line, "request")) request = bytes_trim(line);
  }
  append_request_line(out, request);
  for (size_t i = 0; i < COUNT_OF(good_fields); i++) {
    if (!is_without(text, good_fields[i])) append_request_line(out, bytes_string(good_fields[i]));
  }
  for (rest = text; case_text_line(&rest, &line);) {
    if (case_text_take(&line, "with")) append_request_line(out, bytes_of(line.ptr + 1, line.len - 1));
  }
  append_request_line(out, bytes_of(NULL, 0));
}

struct answer {
  int status;
  struct buffer fields; /* lines, with those of a refusal */
  struct bytes agreed;
  char extension[WS_EXTENSION_MAX];
};

static void check(struct answer *answer, struct bytes request, const struct ws_deflate_policy *policy) {
  static const struct http_limits http_limits = {.target = 1000, .head = 4000, .fields = 30, .body = 100};
  struct http_reader *reader = http_reader_new(&http_limits);
  size_t used;
  *answer = (struct answer){0};
  if (http_reader_next(reader, request, &used) != HTTP_HEAD) {
    answer->status = http_reader_error(reader).status;
  } else {
    struct bytes key;
    const struct http_head *head = http_reader_head(reader);
    answer->status = ws_handshake_check(head, &key).status;
    const struct http_field *fields;
    size_t count = ws_handshake_fields(answer->status, &fields);
    for (size_t i = 0; i < count; i++) http_write_field(&answer->fields, fields[i].name, fields[i].value);
    if (answer->status == 0) {
      struct ws_deflate_terms terms;
      answer->status = 101;
      answer->agreed = ws_extension_agree(head, policy, &terms, answer->extension);
      char accept[WS_ACCEPT_LEN + 1];
      assert_true(ws_handshake_accept(accept, key));
      http_write_field(&answer->fields, BYTES("Upgrade"), BYTES("websocket"));
      http_write_field(&answer->fields, BYTES("Connection"), BYTES("Upgrade"));
      http_write_field(&answer->fields, BYTES("Sec-WebSocket-Accept"), bytes_string(accept));
      if (answer->agreed.len > 0) http_write_field(&answer->fields, BYTES("Sec-WebSocket-Extensions"), answer->agreed);
    }
  }
  http_reader_free(reader);
}

/* True if the answer has the field, with that value if one is given. */
static bool has_field(const struct answer *answer, struct bytes field) {
  struct bytes lines = buffer_bytes(&answer->fields), line;
  size_t colon = bytes_find(field, ':');
  while (case_text_line(&lines, &line)) {
    if (line.len > 0) line.len--; /* the CR */
    bool same =
        line.len > colon && line.ptr[colon] == ':' && bytes_equal_nocase(bytes_of(line.ptr, colon), bytes_of(field.ptr, colon));
    if (same && (colon == field.len || bytes_equal(line, field))) return true;
  }
  return false;
}

/* What is agreed is the same, in any order. */
static bool is_agreed(const struct answer *answer, struct bytes expected) {
  if (bytes_equal(bytes_trim(expected), BYTES("nothing"))) return answer->agreed.len == 0;
  struct bytes rest = answer->agreed;
  size_t count = 0, expected_count = 0;
  for (size_t len; rest.len > 0; rest = bytes_of(rest.ptr + len, rest.len - len)) {
    len = bytes_find(rest, ';');
    struct bytes part = bytes_trim(bytes_of(rest.ptr, len)), words = expected, word;
    bool found = count == 0 && bytes_equal(part, BYTES("permessage-deflate"));
    while ((word = case_text_word(&words)).len > 0) found = found || bytes_equal(word, part);
    if (!found) return false;
    count++;
    len += len < rest.len;
  }
  while (case_text_word(&expected).len > 0) expected_count++;
  return count == expected_count + 1;
}

static void check_answer(const struct answer *answer, struct bytes text, struct bytes line) {
  struct bytes whole = line;
  bool fine;
  if (case_text_take(&line, "status")) {
    char status[16];
    snprintf(status, sizeof status, "%d", answer->status);
    fine = bytes_equal(bytes_trim(line), bytes_string(status));
  } else if (case_text_take(&line, "agreed")) {
    fine = is_agreed(answer, line);
  } else if (case_text_take(&line, "no")) {
    case_text_take(&line, "field");
    fine = !has_field(answer, bytes_trim(line));
  } else {
    if (!case_text_take(&line, "field")) case_text_refuse(text, whole);
    fine = has_field(answer, bytes_trim(line));
  }
  if (!fine) {
    fail_msg("%.*sis answered %d %.*s%.*s", (int)text.len, text.ptr, answer->status, (int)answer->fields.len,
             answer->fields.data ? answer->fields.data : "", (int)answer->agreed.len, answer->agreed.ptr);
  }
}

static void play_handshake(struct bytes text, void *context) {
  (void)context;
  struct ws_deflate_policy policy = {0};
  struct buffer request = {0};
  struct answer answer;
  struct bytes rest = text, line;
  while (case_text_line(&rest, &line)) {
    /* how a server is set up, nothing of the parsers */
    if (case_text_take(&line, "server")) return;
    if (case_text_take(&line, "policy")) policy = (struct ws_deflate_policy){.server_takeover = true, .client_takeover = true};
  }
  write_request(&request, text);
  check(&answer, buffer_bytes(&request), &policy);
  for (rest = text; case_text_line(&rest, &line);) {
    if (case_text_take(&line, "<")) check_answer(&answer, text, line);
  }
  buffer_deinit(&answer.fields);
  buffer_deinit(&request);
}

static void handshake(void **state) {
  (void)state;
  assert_true(case_text_run(FOLDER "handshake.txt", true, play_handshake, NULL) > 50);
}

static void extensions(void **state) {
  (void)state;
  assert_true(case_text_run(FOLDER "extensions.txt", true, play_handshake, NULL) > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(framing), TEST(fragments), TEST(control),   TEST(closing),    TEST(text),
      TEST(limits),  TEST(deflate),   TEST(handshake), TEST(extensions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
