/* Subscribers whose messages are in the broker only: they wait for pages. */
#include "delivery/fetching.h"

#include "base/status.h"
#include "delivery/collect.h"
#include "delivery/history_page.h"
#include "delivery/replay.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct epoch epoch = {.text = {'e', 'p', 'o', 'c', 'h', '0', '0', '1'}};
static const struct channel_policy kept = {.history = {.size = 1000}, .slow = SLOW_CATCHUP, .outbox = 1 << 16, .replay = 5};

struct peer {
  struct subscriber subscriber;
  char text[4096]; /* the positions that were written, and gaps: "3 4 gap-a 7 " */
  size_t room;     /* bytes that it still takes */
};

static struct fixture {
  struct clock clock;
  struct store store;
  struct hub hub;
  struct mw_stats stats;
  struct delivery delivery;
  struct sink stream_sink, socket_sink;
  struct peer peers[3];
  uint64_t position;
  /* what the broker has: messages after `gone` of each channel, at each position */
  uint64_t gone;
  /* what was asked for, and has not been answered */
  struct {
    char channel[8];
    uint64_t until;
  } asked[8];
  size_t asked_count, ask_count;
  int ask_status;
} world;

/* ---- The sink --------------------------------------------------------------------------------- */

static void tell(struct subscriber *subscriber, struct bytes text) {
  struct peer *peer = container_of(subscriber, struct peer, subscriber);
  size_t len = strlen(peer->text);
  assert_true(len + text.len < sizeof peer->text);
  memcpy(peer->text + len, text.ptr, text.len);
  peer->text[len + text.len] = '\0';
}

static ptrdiff_t on_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct peer *peer = container_of(subscriber, struct peer, subscriber);
  size_t written = 0;
  for (size_t i = 0; i < count && slices[i].len <= peer->room; i++) {
    tell(subscriber, slices[i]);
    peer->room -= slices[i].len;
    written += slices[i].len;
  }
  return (ptrdiff_t)written;
}
static int on_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  (void)subscriber;
  (void)slices;
  (void)count;
  return HOLD_LATER;
}
static void on_flushed(struct subscriber *subscriber) { (void)subscriber; }
static void on_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  (void)subscriber;
  (void)subscription;
  (void)reason;
}
static void on_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  char text[32];
  (void)id;
  snprintf(text, sizeof text, "%s-%.*s ", type == EVENT_GAP ? "gap" : "end", (int)channel.len, channel.ptr);
  tell(subscriber, bytes_string(text));
}

static const struct sink_ops ops = {.write = on_write,
                                    .hold = on_hold,
                                    .drained = collect_no_drained,
                                    .flushed = on_flushed,
                                    .event = on_event,
                                    .slow = collect_no_slow,
                                    .left = on_left,
                                    .finish = collect_no_finish,
                                    .identity = collect_no_identity,
                                    .limit = collect_no_limit,
                                    SINK_NEVER_COLLECTS};

static struct blob *encode(const struct message *message, struct bytes id, size_t position_at[2]) {
  char text[24];
  (void)id;
  (void)position_at;
  snprintf(text, sizeof text, "%llu ", (unsigned long long)message->position);
  return form_chunk(bytes_string(text));
}
static const struct form_class stream_form = {.carrier = &carrier_event_stream, .encode = encode},
                               socket_form = {.carrier = &carrier_event_stream, .cursor_per_channel = true, .encode = encode};

/* ---- The broker ------------------------------------------------------------------------------- */

static int ask(void *context, struct bytes channel, uint64_t until) {
  assert_ptr_equal(context, &world);
  world.ask_count++;
  if (world.ask_status < 0) return world.ask_status;
  assert_true(world.asked_count < COUNT_OF(world.asked));
  snprintf(world.asked[world.asked_count].channel, sizeof world.asked[0].channel, "%.*s", (int)channel.len, channel.ptr);
  world.asked[world.asked_count++].until = until;
  return 0;
}

/* Of a channel with a message at each position. Returns NULL if out of memory. */
static struct message *message_at(const char *channel, uint64_t position) {
  struct message *message = message_of(&kept, bytes_string(channel), BYTES("e"), BYTES("1"));
  if (!message) return NULL;
  message->position = position;
  message->before = position - 1;
  message->time_ms = world.clock.wall_ms;
  return message;
}

/* Hands in the newest `count` messages up to a position. */
static int restore(const char *channel, uint64_t count, uint64_t to, uint64_t until) {
  struct message *messages[16];
  uint64_t after = to > world.gone + count ? to - count : world.gone;
  struct store_page page = {.messages = messages, .after = after, .until = until, .gone = world.gone};
  bool failed = false;
  assert_true(count <= COUNT_OF(messages));
  for (uint64_t position = after + 1; position <= to; position++) {
    messages[page.count] = message_at(channel, position);
    if (messages[page.count]) page.count++;
    failed = failed || page.count < position - after;
  }
  int status = failed ? MW_ENOMEM : store_restore(&world.store, bytes_string(channel), &kept, &page);
  for (size_t i = 0; i < page.count; i++) message_unref(messages[i]);
  return status;
}

/* Answers the oldest question with a page of that many messages. */
static void answer(uint64_t count) {
  assert_true(world.asked_count > 0);
  char channel[8];
  memcpy(channel, world.asked[0].channel, sizeof channel);
  uint64_t until = world.asked[0].until;
  memmove(&world.asked[0], &world.asked[1], --world.asked_count * sizeof world.asked[0]);
  delivery_fetched(&world.delivery, bytes_string(channel), restore(channel, count, until, until));
  delivery_flush(&world.delivery);
}

static void publish(const char *channel) {
  struct message *message = message_at(channel, ++world.position);
  assert_non_null(message);
  store_put(&world.store, NULL, message, &kept);
  hub_publish(&world.hub, message, &kept);
  message_unref(message);
}

/* ---- The world -------------------------------------------------------------------------------- */

static void begin_with(uint64_t history_max) {
  world = (struct fixture){.position = 10};
  clock_init(&world.clock);
  clock_advance(&world.clock, 1000000);
  store_init(&world.store, &world.clock,
             &(struct store_bounds){.channels = 10, .history = history_max, .marks = 10, .position = 10, .is_cache = true});
  hub_init(&world.hub, &world.store, subscriber_deliver);
  world.delivery = (struct delivery){.hub = &world.hub,
                                     .clock = &world.clock,
                                     .epoch = &epoch,
                                     .stats = &world.stats,
                                     .fetch = ask,
                                     .fetch_context = &world,
                                     .replay = {.messages = 100, .bytes = 1 << 20},
                                     .deflate_min = 1 << 20,
                                     .turn_bytes = 1 << 20};
  sink_init(&world.stream_sink, &ops, &world.delivery, &stream_form, FRAMING_PAYLOAD);
  sink_init(&world.socket_sink, &ops, &world.delivery, &socket_form, FRAMING_PAYLOAD);
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    world.peers[i].subscriber.sink = &world.stream_sink;
    world.peers[i].room = SIZE_MAX / 2;
  }
}

static void begin(void) { begin_with(UINT64_MAX); }

static void end(void) {
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    struct subscriber *subscriber = &world.peers[i].subscriber;
    subscriber_end(subscriber);
    outbox_free(subscriber->outbox);
    subscriber->outbox = NULL;
    subscriber->flags |= SUBSCRIBER_OVER;
  }
  delivery_flush(&world.delivery);
  hub_deinit(&world.hub);
  store_deinit(&world.store);
  delivery_deinit(&world.delivery);
}

/* Subscribes a peer to channels that are named by one letter each, with a cursor. */
static int join(size_t peer, const char *channels, struct since since) {
  struct subscriber *subscriber = &world.peers[peer].subscriber;
  struct replay replay;
  int status = 0;
  for (; *channels && status == 0; channels++) status = subscriber_subscribe(subscriber, bytes_of(channels, 1), &kept);
  if (status == 0) status = replay_init(&replay, subscriber, since, NULL);
  if (status < 0) return status;
  for (size_t i = 0; i < replay.count; i++)
    if (replay.sources[i].gap) on_event(subscriber, EVENT_GAP, replay.sources[i].subscription->channel->name, BYTES(""));
  replay_start(&replay, subscriber);
  replay_deinit(&replay);
  delivery_flush(&world.delivery);
  return 0;
}

static void resume(size_t peer, const char *channels, uint64_t position) {
  assert_int_equal(join(peer, channels, since_at(&epoch, position)), 0);
}

static void assert_text(size_t peer, const char *text) { assert_string_equal(world.peers[peer].text, text); }
static bool is_broken(size_t peer) { return world.peers[peer].subscriber.flags & SUBSCRIBER_BROKEN; }

/* ---- Tests ------------------------------------------------------------------------------------ */

static void waits_for_what_is_not_here(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  assert_text(0, "");
  assert_null(world.peers[0].subscriber.outbox);
  assert_int_equal(world.asked_count, 1);
  assert_int_equal(world.asked[0].until, 7);
  publish("a"); /* what comes in the meantime follows */
  delivery_flush(&world.delivery);
  assert_text(0, "");
  assert_null(world.peers[0].subscriber.outbox);
  answer(3);
  assert_int_equal(world.asked[0].until, 4);
  assert_text(0, "");
  answer(3);
  assert_text(0, "3 4 5 6 7 8 9 10 11 ");
  assert_false(world.peers[0].subscriber.flags & SUBSCRIBER_BEHIND);
  assert_int_equal(world.ask_count, 2);
  publish("a");
  delivery_flush(&world.delivery);
  assert_text(0, "3 4 5 6 7 8 9 10 11 12 ");
  assert_int_equal(world.stats.gaps, 0);
  end();
}

static void asks_once_for_all(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  for (size_t i = 0; i < 3; i++) resume(i, "a", 6 - i);
  assert_int_equal(world.ask_count, 1);
  answer(2);
  assert_text(0, "7 8 9 10 ");
  assert_text(1, "6 7 8 9 10 ");
  assert_text(2, "");
  assert_int_equal(world.ask_count, 2);
  answer(10);
  assert_text(2, "5 6 7 8 9 10 ");
  end();
}

static void a_failure_disconnects_and_is_no_gap(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  resume(1, "a", 8);
  assert_text(1, "9 10 ");
  delivery_fetched(&world.delivery, BYTES("a"), MW_EUNAVAILABLE);
  delivery_flush(&world.delivery);
  assert_true(is_broken(0));
  assert_false(is_broken(1));
  assert_text(0, "");
  /* The question itself fails. */
  world.ask_status = MW_EUNAVAILABLE;
  resume(2, "a", 2);
  assert_true(is_broken(2));
  assert_text(2, "");
  assert_int_equal(world.stats.gaps, 0);
  end();
}

static void what_is_nowhere_is_a_gap_and_the_rest_is_fetched(void **state) {
  (void)state;
  begin();
  world.gone = 4;
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  assert_text(0, "gap-a ");
  answer(10);
  assert_text(0, "gap-a 5 6 7 8 9 10 ");
  assert_int_equal(join(1, "a", (struct since){.kind = SINCE_ALL}), 0);
  assert_text(1, "5 6 7 8 9 10 ");
  end();
}

/* All that is kept, for a client that begins with "0". A page can show that something is gone. */
static void a_page_shows_a_gap(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  assert_int_equal(join(0, "a", (struct since){.kind = SINCE_ALL}), 0);
  resume(1, "a", 3);
  assert_int_equal(world.ask_count, 1);
  world.gone = 5;
  answer(10);
  assert_text(0, "gap-a 6 7 8 9 10 ");
  assert_text(1, "gap-a 6 7 8 9 10 ");
  end();
}

/* limits.history has no room for a page. */
static void a_page_without_room_is_a_gap(void **state) {
  (void)state;
  begin_with(1);
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  for (int i = 0; i < 4; i++) answer(3);
  assert_int_equal(world.asked_count, 0);
  assert_text(0, "gap-a ");
  assert_false(world.peers[0].subscriber.flags & SUBSCRIBER_BEHIND);
  end();
}

static void a_replay_over_its_limits_is_not_fetched(void **state) {
  (void)state;
  uint64_t until = 0;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  struct replay_limits few = {.messages = 3, .bytes = 1 << 20}, many = {.messages = 4, .bytes = 1 << 20};
  assert_false(replay_must_fetch(&world.store, &few, BYTES("a"), since_at(&epoch, 2), &until));
  assert_false(replay_must_fetch(&world.store, &many, BYTES("a"), since_at(&epoch, 7), &until));
  assert_false(replay_must_fetch(&world.store, &many, BYTES("b"), since_at(&epoch, 7), &until));
  assert_true(replay_must_fetch(&world.store, &many, BYTES("a"), since_at(&epoch, 6), &until));
  assert_int_equal(until, 7);
  assert_true(replay_must_fetch(&world.store, &many, BYTES("a"), (struct since){.kind = SINCE_NONE}, &until));
  assert_int_equal(restore("a", 2, 7, 7), 0);
  many.messages = 10;
  assert_false(replay_must_fetch(&world.store, &many, BYTES("a"), (struct since){.kind = SINCE_NONE}, &until));
  assert_true(replay_must_fetch(&world.store, &many, BYTES("a"), (struct since){.kind = SINCE_ALL}, &until));
  world.delivery.replay = few;
  resume(0, "a", 2);
  assert_int_equal(world.ask_count, 0);
  assert_text(0, "gap-a 8 9 10 ");
  end();
}

/* A stream with one cursor waits for all of its channels; others do not wait for it. */
static void keeps_the_order_of_several_channels(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  assert_int_equal(restore("b", 5, 10, UINT64_MAX), 0);
  resume(0, "ab", 6);
  assert_text(0, "");
  publish("b");
  delivery_flush(&world.delivery);
  answer(1);
  assert_text(0, "7 7 8 8 9 9 10 10 11 ");
  world.peers[1].subscriber.sink = &world.socket_sink;
  resume(1, "b", 8);
  assert_text(1, "9 10 11 ");
  end();
}

static void leaves_while_it_waits(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  struct subscriber *subscriber = &world.peers[0].subscriber;
  subscriber_unsubscribe(subscriber, subscriber_find(subscriber, BYTES("a")), LEAVE_ASKED);
  answer(3);
  assert_text(0, "");
  resume(1, "a", 3); /* which has asked already when the first answer comes */
  answer(1);
  assert_text(1, "4 5 6 7 8 9 10 ");
  delivery_fetched(&world.delivery, BYTES("a"), 0);
  delivery_fetched(&world.delivery, BYTES("b"), MW_EUNAVAILABLE);
  end();
}

/* A slow subscriber needs messages that its node has evicted. */
static void a_slow_one_reads_on_from_the_broker(void **state) {
  (void)state;
  begin();
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  resume(0, "a", 2);
  world.peers[0].room = 4;
  answer(5);
  assert_text(0, "3 4 ");
  /* What it has not read is evicted, and some of it is in its outbox. */
  store_set_bounds(&world.store, &(struct store_bounds){.channels = 10, .marks = 10});
  store_bound(&world.store);
  store_set_bounds(&world.store, &(struct store_bounds){.channels = 10, .history = UINT64_MAX, .marks = 10});
  publish("a");
  world.peers[0].room = SIZE_MAX / 2;
  subscriber_ready(&world.peers[0].subscriber);
  delivery_flush(&world.delivery);
  while (world.asked_count > 0) answer(3);
  assert_text(0, "3 4 5 6 7 8 9 10 11 ");
  end();
}

/* "6 7 8 more" */
static const char *look(struct history_query query) {
  static char text[256];
  store_lock(&world.store);
  struct history_page page = history_page_of(&world.hub, BYTES("a"), &query);
  text[0] = '\0';
  for (uint32_t i = 0; i < page.count; i++) {
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, "%llu ", (unsigned long long)history_at(page.history, page.first + i)->position);
  }
  store_unlock(&world.store);
  if (page.more) strcat(text, "more");
  return text;
}

static uint64_t lacks(struct history_query query) {
  uint64_t until = 0;
  return history_page_must_fetch(&world.store, BYTES("a"), &query, &until) ? until : 0;
}

static void history_pages_are_fetched(void **state) {
  (void)state;
  const struct since all = {.kind = SINCE_ALL};
  begin();
  world.gone = 2;
  assert_int_equal(lacks((struct history_query){.limit = 1}), 0); /* it is not followed */
  assert_int_equal(restore("a", 3, 10, UINT64_MAX), 0);
  /* The newest: more than is asked for must be here, or it is not known whether there is more. */
  assert_int_equal(lacks((struct history_query){.limit = 2}), 0);
  assert_int_equal(lacks((struct history_query){.limit = 3}), 7);
  assert_string_equal(look((struct history_query){.limit = 3}), "8 9 10 more");
  assert_int_equal(lacks((struct history_query){.before = since_at(&epoch, 10), .limit = 1}), 0);
  assert_int_equal(lacks((struct history_query){.before = since_at(&epoch, 8), .limit = 1}), 7);
  assert_int_equal(lacks((struct history_query){.before = since_at(&epoch, 3), .limit = 1}), 0); /* nowhere */
  assert_int_equal(lacks((struct history_query){.before = all, .limit = 1}), 0);
  /* After a cursor: all from there. */
  assert_int_equal(lacks((struct history_query){.since = since_at(&epoch, 7), .limit = 1}), 0);
  assert_int_equal(lacks((struct history_query){.since = since_at(&epoch, 5), .limit = 1}), 7);
  assert_int_equal(lacks((struct history_query){.since = all, .limit = 1}), 7);
  assert_int_equal(restore("a", 3, 7, 7), 0);
  assert_int_equal(lacks((struct history_query){.since = since_at(&epoch, 4), .limit = 1}), 0);
  assert_int_equal(lacks((struct history_query){.since = since_at(&epoch, 1), .limit = 1}), 4);
  assert_int_equal(restore("a", 3, 4, 4), 0);
  assert_int_equal(lacks((struct history_query){.since = since_at(&epoch, 1), .limit = 1}), 0);
  assert_string_equal(look((struct history_query){.since = all, .limit = 3}), "3 4 5 more");
  assert_string_equal(look((struct history_query){.limit = 100}), "3 4 5 6 7 8 9 10 ");
  assert_int_equal(lacks((struct history_query){.limit = 100}), 0);
  end();
}

static bool resume_once(void *context) {
  (void)context;
  begin();
  bool ok = restore("a", 3, 10, UINT64_MAX) == 0 && restore("b", 3, 10, UINT64_MAX) == 0;
  ok = ok && join(0, "ab", since_at(&epoch, 2)) == 0;
  while (world.asked_count > 0 && !is_broken(0)) answer(3);
  ok = ok && !is_broken(0);
  if (ok) assert_text(0, "3 3 4 4 5 5 6 6 7 7 8 8 9 9 10 10 ");
  assert_int_equal(world.stats.gaps, 0);
  end();
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(resume_once, NULL) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(waits_for_what_is_not_here),
      TEST(asks_once_for_all),
      TEST(a_failure_disconnects_and_is_no_gap),
      TEST(what_is_nowhere_is_a_gap_and_the_rest_is_fetched),
      TEST(a_page_shows_a_gap),
      TEST(a_page_without_room_is_a_gap),
      TEST(a_replay_over_its_limits_is_not_fetched),
      TEST(keeps_the_order_of_several_channels),
      TEST(leaves_while_it_waits),
      TEST(a_slow_one_reads_on_from_the_broker),
      TEST(history_pages_are_fetched),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
