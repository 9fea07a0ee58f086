#include "codec/ws/ws_extension.h"

#include "test/support.h"

#define GET "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define FIELD "Sec-WebSocket-Extensions: "
#define PMD "permessage-deflate"
#define S_NO "; server_no_context_takeover"
#define C_NO "; client_no_context_takeover"
#define S_BITS "; server_max_window_bits"
#define C_BITS "; client_max_window_bits"

static const struct http_limits limits = {.target = 1000, .head = 4000, .fields = 30, .body = 100};

static const struct ws_deflate_policy by_default = {0};
static const struct ws_deflate_policy takeover = {.server_takeover = true, .client_takeover = true};
static const struct ws_deflate_policy small = {.window = WS_WINDOW_12};
static const struct ws_deflate_policy smallest = {.client_takeover = true, .window = WS_WINDOW_9};

static struct http_reader *read_head(const char *fields) {
  char text[2000];
  size_t used;
  int len = snprintf(text, sizeof text, GET "%s\r\n", fields);
  struct http_reader *reader = http_reader_new(&limits);
  if (http_reader_next(reader, bytes_of(text, (size_t)len), &used) != HTTP_HEAD) fail_msg("no request: %s", text);
  return reader;
}

static const struct {
  const char *fields;
  const struct ws_deflate_policy *policy;
  const char *answer;
  bool server_takeover, client_takeover;
  enum ws_window window;
} answers[] = {
    /* by default nothing is taken over, regardless of what the client would like */
    {FIELD PMD "\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    {FIELD PMD S_NO "\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    {FIELD PMD C_NO "\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    {FIELD PMD C_BITS "\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    {FIELD PMD C_BITS "=8\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    {FIELD PMD C_BITS "=\"15\"\r\n", &by_default, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    /* the app allows it, and the client does not mind */
    {FIELD PMD "\r\n", &takeover, PMD, 1, 1, WS_WINDOW_15},
    {FIELD PMD S_NO "\r\n", &takeover, PMD S_NO, 0, 1, WS_WINDOW_15},
    {FIELD PMD C_NO "\r\n", &takeover, PMD C_NO, 1, 0, WS_WINDOW_15},
    {FIELD PMD C_NO C_BITS S_NO "\r\n", &takeover, PMD S_NO C_NO, 0, 0, WS_WINDOW_15},
    /* windows: the largest of ours that the client's holds */
    {FIELD PMD S_BITS "=15\r\n", &takeover, PMD S_BITS "=15", 1, 1, WS_WINDOW_15},
    {FIELD PMD S_BITS "=14\r\n", &takeover, PMD S_BITS "=12", 1, 1, WS_WINDOW_12},
    {FIELD PMD S_BITS "=13\r\n", &takeover, PMD S_BITS "=12", 1, 1, WS_WINDOW_12},
    {FIELD PMD S_BITS "=12\r\n", &takeover, PMD S_BITS "=12", 1, 1, WS_WINDOW_12},
    {FIELD PMD S_BITS "=11\r\n", &takeover, PMD S_BITS "=9", 1, 1, WS_WINDOW_9},
    {FIELD PMD S_BITS "=10\r\n", &takeover, PMD S_BITS "=9", 1, 1, WS_WINDOW_9},
    {FIELD PMD S_BITS "=9\r\n", &takeover, PMD S_BITS "=9", 1, 1, WS_WINDOW_9},
    {FIELD PMD S_BITS "=8\r\n", &takeover, PMD S_BITS "=8", 1, 1, WS_WINDOW_9},
    {FIELD PMD "\r\n", &small, PMD S_NO C_NO S_BITS "=12", 0, 0, WS_WINDOW_12},
    {FIELD PMD S_BITS "=15\r\n", &small, PMD S_NO C_NO S_BITS "=12", 0, 0, WS_WINDOW_12},
    {FIELD PMD S_BITS "=9\r\n", &small, PMD S_NO C_NO S_BITS "=9", 0, 0, WS_WINDOW_9},
    {FIELD PMD "\r\n", &smallest, PMD S_NO S_BITS "=9", 0, 1, WS_WINDOW_9},
    {FIELD PMD S_BITS "=8\r\n", &smallest, PMD S_NO S_BITS "=8", 0, 1, WS_WINDOW_9},
    /* order, white space, quotes, fields */
    {FIELD PMD S_BITS "=10" C_BITS "=10" C_NO S_NO "\r\n", &takeover, PMD S_NO C_NO S_BITS "=9", 0, 0, WS_WINDOW_9},
    {FIELD "permessage-deflate\t;server_max_window_bits = \"1\\2\" ;client_no_context_takeover \r\n", &takeover,
     PMD C_NO S_BITS "=12", 1, 0, WS_WINDOW_12},
    {FIELD ", ," PMD ",\r\n", &takeover, PMD, 1, 1, WS_WINDOW_15},
    {"sec-websocket-EXTENSIONS: x-other; a=b\r\nX: y\r\n" FIELD "\r\n" FIELD PMD "\r\n", &takeover, PMD, 1, 1, WS_WINDOW_15},
    /* the first that is any good */
    {FIELD PMD S_BITS "=9, " PMD "\r\n", &takeover, PMD S_BITS "=9", 1, 1, WS_WINDOW_9},
    {FIELD PMD S_BITS "=7, " PMD S_BITS "=16, " PMD S_BITS "=012, " PMD S_BITS ", " PMD C_NO "\r\n", &takeover, PMD C_NO, 1, 0,
     WS_WINDOW_15},
    {FIELD PMD "; unknown, " PMD "; server_no_context_takeover=1, " PMD "; client_no_context_takeover=\"x\", " PMD C_BITS
               "=16, " PMD C_BITS "=\"08\", permessage-bzip2, " PMD S_NO "\r\n",
     &takeover, PMD S_NO, 0, 1, WS_WINDOW_15},
    {FIELD PMD S_NO S_NO ", " PMD C_NO C_NO ", " PMD C_BITS C_BITS "=9, " PMD S_BITS "=9" S_BITS "=9\r\n" FIELD PMD S_BITS
                         "=12\r\n",
     &takeover, PMD S_BITS "=12", 1, 1, WS_WINDOW_12},
    /* nothing is agreed */
    {"", &takeover, "", 0, 0, 0},
    {FIELD ",\r\n", &takeover, "", 0, 0, 0},
    {FIELD "x-webkit-deflate-frame\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD "-2\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD "; unknown\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD S_BITS "=1x\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD S_BITS "=115\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD S_BITS "=0\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD C_BITS "=7\r\n", &takeover, "", 0, 0, 0},
    {FIELD PMD "\r\n", NULL, "", 0, 0, 0},
};

static void answers_the_first_good_offer(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(answers); i++) {
    struct http_reader *reader = read_head(answers[i].fields);
    const struct http_head *head = http_reader_head(reader);
    struct ws_deflate_terms terms = {.window = 99};
    char out[WS_EXTENSION_MAX];
    struct bytes answer = ws_extension_agree(head, answers[i].policy, &terms, out);
    if (!bytes_equal(answer, bytes_string(answers[i].answer))) print_error("%s", answers[i].fields);
    assert_true(ws_extension_valid(head));
    assert_bytes_string(answer, answers[i].answer);
    assert_int_equal(terms.agreed, answer.len > 0);
    assert_int_equal(terms.server_takeover, answers[i].server_takeover);
    assert_int_equal(terms.client_takeover, answers[i].client_takeover);
    assert_int_equal(terms.window, answers[i].window);
    http_reader_free(reader);
  }
}

static void malformed_fields_are_known(void **state) {
  (void)state;
  static const char *const values[] = {
      ";",        "a;",          "a; ;b",        "a b",           "a; b c",     "a; b=",        "a; =b",       "a=b",
      "a; b=c=d", "a; b=\"\"",   "a; b=\"c d\"", "a; b=\"c",      "a; b=\"c\\", "a; b=\"c\\\"", "a; b=\"c\"d", "\"a\"",
      "a; \"b\"", "a; b=\"c,\"", "(a)",          "a; b=\xc3\xa9", "a/b",        "a; b=,",       "a, b;",
  };
  for (size_t i = 0; i < COUNT_OF(values); i++) {
    char fields[200];
    struct ws_deflate_terms terms;
    char out[WS_EXTENSION_MAX];
    snprintf(fields, sizeof fields, FIELD PMD "\r\n" FIELD "%s\r\n", values[i]);
    struct http_reader *reader = read_head(fields);
    if (ws_extension_valid(http_reader_head(reader))) fail_msg("not refused: %s", values[i]);
    assert_int_equal(ws_extension_agree(http_reader_head(reader), &by_default, &terms, out).len, 0);
    assert_false(terms.agreed);
    http_reader_free(reader);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(answers_the_first_good_offer),
      TEST(malformed_fields_are_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
