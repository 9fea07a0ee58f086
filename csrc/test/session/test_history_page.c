#include "delivery/history_page.h"

#include "base/memory.h"
#include "dialect/native.h"
#include "dialect/native_forms.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/message.h"

static struct store store;
static struct hub hub;
static struct clock now;
static const struct epoch epoch = {"abcdefgh"};
static const struct channel_policy keeps_ten = {.history = {.size = 10}}, keeps_none = {.history = {.size = 0}},
                                   keeps_a_second = {.history = {.size = 10}, .history_ttl_ms = 1000};

static void publish(const char *channel, const struct channel_policy *policy, uint64_t position, size_t len) {
  static const char text[1000] = "";
  struct message *message = message_of(NULL, bytes_string(channel), BYTES("e"), len > 0 ? bytes_of(text, len) : BYTES("1"));
  message->position = position;
  message->time_ms = now.wall_ms;
  hub_publish(&hub, message, policy);
  message_unref(message);
}

static int begin(void **state) {
  int status = support_setup(state);
  clock_init(&now);
  clock_advance(&now, 1000000);
  store_init(&store, &now, &(struct store_bounds){.channels = 100, .history = UINT64_MAX, .marks = 10});
  hub_init(&hub, &store, NULL);
  /* The history of "a" holds 10, 12, … 28. */
  for (uint64_t n = 8; n <= 28; n += 2) publish("a", &keeps_ten, n, 0);
  publish("none", &keeps_none, 30, 0);
  return status;
}

static int end(void **state) {
  hub_deinit(&hub);
  store_deinit(&store);
  return support_teardown(state);
}

static struct since after(uint64_t position) { return (struct since){.kind = SINCE_POSITION, .position = position}; }

/* "10 12 more". */
static const char *look(const char *channel, struct history_query wish) {
  static char text[256];
  struct history_page page = history_page_of(&hub, bytes_string(channel), &wish);
  text[0] = '\0';
  for (uint32_t i = 0; i < page.count; i++) {
    snprintf(text + strlen(text), sizeof text - strlen(text), "%llu ",
             (unsigned long long)history_at(page.history, page.first + i)->position);
  }
  if (page.more) strcat(text, "more");
  return text;
}

static void gives_the_newest(void **state) {
  (void)state;
  assert_string_equal(look("a", (struct history_query){.limit = 0}), "10 12 14 16 18 20 22 24 26 28 ");
  assert_string_equal(look("a", (struct history_query){.limit = 10}), "10 12 14 16 18 20 22 24 26 28 ");
  assert_string_equal(look("a", (struct history_query){.limit = 3}), "24 26 28 more");
}

static void gives_what_comes_after(void **state) {
  (void)state;
  assert_string_equal(look("a", (struct history_query){.since = after(22)}), "24 26 28 ");
  assert_string_equal(look("a", (struct history_query){.since = after(21)}), "22 24 26 28 ");
  assert_string_equal(look("a", (struct history_query){.since = after(15), .limit = 2}), "16 18 more");
  assert_string_equal(look("a", (struct history_query){.since = after(28)}), "");
  assert_string_equal(look("a", (struct history_query){.since = after(900)}), "");
  assert_string_equal(look("a", (struct history_query){.since = {.kind = SINCE_ALL}, .limit = 2}), "10 12 more");
  assert_string_equal(look("a", (struct history_query){.since = {.kind = SINCE_FOREIGN}, .limit = 2}), "10 12 more");
}

static void gives_what_lies_before(void **state) {
  (void)state;
  assert_string_equal(look("a", (struct history_query){.before = after(14)}), "10 12 ");
  assert_string_equal(look("a", (struct history_query){.before = after(15)}), "10 12 14 ");
  assert_string_equal(look("a", (struct history_query){.before = after(20), .limit = 2}), "16 18 more");
  assert_string_equal(look("a", (struct history_query){.before = after(10)}), "");
  assert_string_equal(look("a", (struct history_query){.before = after(900), .limit = 1}), "28 more");
  /* What is no position of this history is before everything: nothing lies before that, and a
   * client that goes back comes to an end. */
  assert_string_equal(look("a", (struct history_query){.before = after(0)}), "");
  assert_string_equal(look("a", (struct history_query){.before = {.kind = SINCE_ALL}}), "");
  assert_string_equal(look("a", (struct history_query){.before = {.kind = SINCE_FOREIGN}}), "");
}

static void gives_what_lies_between(void **state) {
  (void)state;
  assert_string_equal(look("a", (struct history_query){.since = after(12), .before = after(18)}), "14 16 ");
  assert_string_equal(look("a", (struct history_query){.since = after(12), .before = after(28), .limit = 3}), "14 16 18 more");
  assert_string_equal(look("a", (struct history_query){.since = after(18), .before = after(12)}), "");
  assert_string_equal(look("a", (struct history_query){.since = after(18), .before = after(18)}), "");
}

static void walks_all_in_either_direction(void **state) {
  (void)state;
  for (size_t limit = 1; limit < 12; limit++) {
    struct since from = {.kind = SINCE_ALL}, to = {.kind = SINCE_NONE};
    struct history_page page;
    size_t up = 0, down = 0;
    do {
      struct history_query wish = {.since = from, .limit = limit};
      page = history_page_of(&hub, BYTES("a"), &wish);
      up += page.count;
      from = after(history_at(page.history, page.first + page.count - 1)->position);
    } while (page.more);
    do {
      struct history_query wish = {.before = to, .limit = limit};
      page = history_page_of(&hub, BYTES("a"), &wish);
      down += page.count;
      to = after(history_at(page.history, page.first)->position);
    } while (page.more);
    assert_int_equal(up, 10);
    assert_int_equal(down, 10);
  }
}

static void is_bounded_in_bytes(void **state) {
  (void)state;
  for (uint64_t n = 1; n <= 10; n++) publish("b", &keeps_ten, 100 + n, 500);
  size_t one = form_of(&native_poll, history_at(&store_find(&store, BYTES("b"))->history, 9), &epoch)->len;
  for (size_t bytes = 1; bytes < 12 * one; bytes += one / 3) {
    struct history_page a = history_page_of(&hub, BYTES("b"), &(struct history_query){.limit = 100});
    struct history_page b = history_page_of(&hub, BYTES("b"), &(struct history_query){.since = {.kind = SINCE_ALL}});
    assert_int_equal(history_page_fit(&a, &native_poll, &epoch, bytes), 0);
    assert_int_equal(history_page_fit(&b, &native_poll, &epoch, bytes), 0);
    /* All that fits, from the right end; one in any case. */
    assert_int_equal(a.count, bytes < one ? 1 : bytes < 10 * one ? bytes / one : 10);
    assert_int_equal(a.bytes, a.count * one);
    assert_int_equal(a.first + a.count, 10);
    assert_int_equal(b.count, a.count);
    assert_int_equal(b.first, 0);
    assert_int_equal(a.more, a.count < 10);
    assert_int_equal(b.more, b.count < 10);
  }
}

static void of_nothing_there_is_nothing(void **state) {
  (void)state;
  assert_string_equal(look("nobody", (struct history_query){.limit = 5}), "");
  assert_string_equal(look("none", (struct history_query){.since = {.kind = SINCE_ALL}}), "");
  assert_null(history_page_of(&hub, BYTES("nobody"), &(struct history_query){.limit = 1}).history);
  publish("second", &keeps_a_second, 40, 0);
  assert_string_equal(look("second", (struct history_query){.limit = 5}), "40 ");
  clock_advance(&now, 1001);
  assert_string_equal(look("second", (struct history_query){.limit = 5}), "");
}

static void writes_an_object(void **state) {
  (void)state;
  struct rope out;
  struct history_query wish = {.since = after(24), .limit = 1};
  struct history_page page = history_page_of(&hub, BYTES("a"), &wish);
  struct outcome outcome = {.type = OUTCOME_HISTORY, .page = &page, .epoch = &epoch};
  rope_init(&out);
  native_ok(&out, BYTES("1"), &outcome);
  assert_bytes_string(buffer_bytes(&out.text),
                      "{\"ref\":1,\"ok\":{\"messages\":[{\"channel\":\"a\",\"event\":\"e\",\"id\":\"abcdefgh-0000000000000026\","
                      "\"data\":1}],\"more\":true}}");
  buffer_clear(&out.text);
  page = history_page_of(&hub, BYTES("nobody"), &wish);
  native_ok(&out, BYTES("1"), &outcome);
  assert_bytes_string(buffer_bytes(&out.text), "{\"ref\":1,\"ok\":{\"messages\":[],\"more\":false}}");
  rope_deinit(&out);
}

/* ---- The app's call -------------------------------------------------------------------------- */

static char seen[256];

static void on_message(void *context, const struct mw_kept *kept) {
  assert_ptr_equal(context, seen);
  assert_int_equal(kept->id.len, ID_LEN);
  snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s=%.*s/%.*s@%llu ", (int)kept->event.len, kept->event.ptr,
           (int)kept->data.len, kept->data.ptr, (int)kept->key.len, kept->key.ptr, (unsigned long long)kept->age_ms);
}

static int ask(struct mw_server *server, const char *since, const char *before, size_t limit, bool *more) {
  struct mw_error error = {""};
  seen[0] = '\0';
  int status = mw_channel_history(server, "a", 1, &(struct mw_history_query){.since = since, .before = before, .limit = limit},
                                  on_message, seen, more, &error);
  assert_true((status < 0) == (error.text[0] != '\0'));
  return status;
}

static void answers_the_app(void **state) {
  (void)state;
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_server *server;
  char ids[3][MW_ID_MAX];
  bool more = true;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  mw_config_channel(config, "{x}", &(struct mw_channel_options){.history_size = 10}, NULL);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  assert_int_equal(ask(server, NULL, NULL, 0, &more), 0);
  assert_string_equal(seen, "");
  assert_false(more);
  for (unsigned n = 0; n < 3; n++) {
    char data[2] = {(char)('1' + n), '\0'};
    struct mw_publish message = {.channel = {"a", 1}, .event = {"e", 1}, .data = {data, 1}, .key = {"k", n % 2}};
    assert_int_equal(mw_publish(server, &message, ids[n], NULL), 0);
    /* What was just published is there, without a turn. */
    assert_int_equal(ask(server, NULL, NULL, 1, &more), 0);
    assert_int_equal(seen[2], data[0]);
    assert_int_equal(more, n > 0);
    mw_server_advance(server, 10);
  }
  assert_int_equal(ask(server, ids[0], NULL, 0, NULL), 0);
  assert_string_equal(seen, "e=2/k@20 e=3/@10 ");
  assert_int_equal(ask(server, NULL, ids[2], 0, &more), 0);
  assert_string_equal(seen, "e=1/@30 e=2/k@20 ");
  assert_int_equal(ask(server, "0", ids[1], 0, &more), 0);
  assert_string_equal(seen, "e=1/@30 ");
  /* Of another life of the server: before everything. */
  assert_int_equal(ask(server, "ABCDEFGH-0000000000000002", NULL, 0, &more), 0);
  assert_string_equal(seen, "e=1/@30 e=2/k@20 e=3/@10 ");
  assert_int_equal(ask(server, NULL, "ABCDEFGH-0000000000000002", 0, &more), 0);
  assert_string_equal(seen, "");
  assert_int_equal(ask(server, "rubbish", NULL, 0, &more), MW_EINVAL);
  assert_int_equal(ask(server, NULL, "rubbish", 0, &more), MW_EINVAL);
  mw_server_free(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define EXCERPT(name) cmocka_unit_test_setup_teardown(name, begin, end)
      EXCERPT(gives_the_newest),
      EXCERPT(gives_what_comes_after),
      EXCERPT(gives_what_lies_before),
      EXCERPT(gives_what_lies_between),
      EXCERPT(walks_all_in_either_direction),
      EXCERPT(is_bounded_in_bytes),
      EXCERPT(of_nothing_there_is_nothing),
      EXCERPT(writes_an_object),
      TEST(answers_the_app),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
