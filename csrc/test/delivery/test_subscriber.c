/* A subscriber whose sink is this test: what it is offered, what it holds, and what it is told. */
#include "delivery/subscriber.h"

#include "base/memory.h"
#include "base/rope.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct epoch epoch = {.text = {'e', 'p', 'o', 'c', 'h', '0', '0', '1'}};

enum { ANY = 1 << 30 };

struct peer {
  struct subscriber subscriber;
  size_t room; /* bytes that it still takes */
  bool later;  /* it holds nothing, and says when it takes more */
  bool gone;
  struct bytes held[SINK_SLICES_MAX];
  size_t held_count;
  size_t write_count, flushed_count, drained_count;
  size_t slice_count;    /* of the last write */
  uint16_t flags;        /* at the last flush */
  struct bytes identity; /* empty: nobody's */
  char text[65536];      /* everything that was written */
  char told[4096];       /* everything that it was told: "gap a. slow a. left a. " */
  size_t text_len;
};

static struct fixture {
  struct clock clock;
  struct store store;
  struct hub hub;
  struct mw_stats stats;
  struct delivery delivery;
  struct sink stream_sink, poll_sink, socket_sink;
  struct peer peers[5];
  uint64_t position;
} world;

/* ---- The sink ------------------------------------------------------------------------------------------------------------- */

static struct peer *peer_of(struct subscriber *subscriber) { return container_of(subscriber, struct peer, subscriber); }

static void keep(struct peer *peer, struct bytes bytes) {
  assert_true(peer->text_len + bytes.len < sizeof peer->text);
  memcpy(peer->text + peer->text_len, bytes.ptr, bytes.len);
  peer->text_len += bytes.len;
  peer->text[peer->text_len] = '\0';
}

static ptrdiff_t on_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct peer *peer = peer_of(subscriber);
  size_t written = 0;
  assert_int_equal(peer->held_count, 0);
  peer->write_count++;
  peer->slice_count = count;
  if (peer->gone) return -1;
  for (size_t i = 0; i < count && peer->room > 0; i++) {
    size_t len = slices[i].len < peer->room ? slices[i].len : peer->room;
    keep(peer, bytes_of(slices[i].ptr, len));
    peer->room -= len;
    written += len;
  }
  return (ptrdiff_t)written;
}

static int on_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct peer *peer = peer_of(subscriber);
  if (peer->later) return HOLD_LATER;
  for (size_t i = 0; i < count; i++) peer->held[i] = slices[i];
  peer->held_count = count;
  return 0;
}

static void tell(struct peer *peer, const char *what, struct bytes channel) {
  size_t len = strlen(peer->told);
  snprintf(peer->told + len, sizeof peer->told - len, "%s %.*s. ", what, (int)channel.len, channel.ptr);
}

static void on_drained(struct subscriber *subscriber) { peer_of(subscriber)->drained_count++; }
static void on_flushed(struct subscriber *subscriber) {
  peer_of(subscriber)->flushed_count++;
  peer_of(subscriber)->flags = subscriber->flags;
}
static void on_collect(struct subscriber *subscriber, struct message *message) {
  tell(peer_of(subscriber), "collect", message ? message->parts.data : BYTES("lost"));
}
static void on_collect_push(struct subscriber *subscriber, struct blob *blob, struct bytes part) {
  assert_true(part.ptr >= blob->data);
  tell(peer_of(subscriber), "push", part);
}
static size_t get_collected(const struct subscriber *subscriber) {
  (void)subscriber;
  return 17;
}
static void on_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  static const char *const names[] = {"gap", "end", "cursor"};
  tell(peer_of(subscriber), names[type], channel.len > 0 ? channel : id);
}
static void on_slow(struct subscriber *subscriber, const struct channel *channel) {
  tell(peer_of(subscriber), "slow", channel->name);
}
static void on_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  static const char *const names[] = {"left", "final", "over"};
  assert_ptr_equal(subscription_owner(subscription), subscriber);
  tell(peer_of(subscriber), names[reason], subscription->channel->name);
}
static void on_finish(struct subscriber *subscriber) { tell(peer_of(subscriber), "finish", BYTES("all")); }
static struct bytes get_identity(const struct subscriber *subscriber) {
  return container_of(subscriber, const struct peer, subscriber)->identity;
}
static size_t get_limit(const struct subscriber *subscriber) {
  (void)subscriber;
  return 1000;
}

/* Forms of a protocol with little but data. */
static struct blob *encode_stream(const struct message *message, struct bytes id, size_t position_at[2]) {
  (void)position_at;
  char text[4096];
  int len = snprintf(text, sizeof text, "event: e\ndata: %.*s\nid: %.*s\n\n", (int)message->parts.data.len,
                     message->parts.data.ptr, (int)id.len, id.ptr);
  return form_chunk(bytes_of(text, (size_t)len));
}
static struct blob *encode_item(const struct message *message, struct bytes id, size_t position_at[2]) {
  (void)id;
  (void)position_at;
  return blob_new(message->parts.data);
}
static struct blob *encode_frame(const struct message *message, struct bytes id, size_t position_at[2]) {
  (void)id;
  (void)position_at;
  char text[4096];
  int len = snprintf(text, sizeof text, "{\"data\":%.*s}", (int)message->parts.data.len, message->parts.data.ptr);
  return form_frame(WS_OPCODE_TEXT, bytes_of(text, (size_t)len), bytes_of(NULL, 0));
}
static const struct form_class stream_form = {.carrier = &carrier_event_stream, .encode = encode_stream},
                               poll_form = {.carrier = &carrier_poll, .encode = encode_item},
                               socket_form = {.carrier = &carrier_websocket, .cursor_per_channel = true, .encode = encode_frame};

static const struct sink_ops ops = {.write = on_write,
                                    .hold = on_hold,
                                    .drained = on_drained,
                                    .flushed = on_flushed,
                                    .collect = on_collect,
                                    .collect_push = on_collect_push,
                                    .collected = get_collected,
                                    .event = on_event,
                                    .slow = on_slow,
                                    .left = on_left,
                                    .finish = on_finish,
                                    .identity = get_identity,
                                    .limit = get_limit};

/* The sink has written what it held. */
static void finish_held(struct peer *peer) {
  for (size_t i = 0; i < peer->held_count; i++) keep(peer, peer->held[i]);
  peer->held_count = 0;
  subscriber_written(&peer->subscriber, 0);
}

/* ---- The world ------------------------------------------------------------------------------------------------------------ */

static const struct channel_policy kept = {
    .history = {.size = 100, .bytes = 1 << 20}, .slow = SLOW_CATCHUP, .outbox = 500, .replay = 100};
static const struct channel_policy roomy = {
    .history = {.size = 1000, .bytes = 1 << 20}, .slow = SLOW_CATCHUP, .outbox = 1 << 20, .replay = 1000};
static const struct channel_policy closes = {.slow = SLOW_CLOSE, .outbox = 500};

static int begin(void **state) {
  if (support_setup(state) < 0) return -1;
  static const struct store_bounds bounds = {.channels = 10, .history = 1 << 20, .marks = 100};
  world = (struct fixture){.position = 0};
  clock_init(&world.clock);
  clock_advance(&world.clock, 1000000);
  store_init(&world.store, &world.clock, &bounds);
  hub_init(&world.hub, &world.store, subscriber_deliver);
  world.delivery = (struct delivery){.hub = &world.hub,
                                     .clock = &world.clock,
                                     .epoch = &epoch,
                                     .stats = &world.stats,
                                     .replay = {.messages = 1000, .bytes = 1 << 20},
                                     .deflate_min = 1 << 20,
                                     .turn_bytes = 1 << 20};
  sink_init(&world.stream_sink, &ops, &world.delivery, &stream_form, FRAMING_PAYLOAD);
  sink_init(&world.poll_sink, &ops, &world.delivery, &poll_form, FRAMING_WHOLE);
  sink_init(&world.socket_sink, &ops, &world.delivery, &socket_form, FRAMING_WHOLE);
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    world.peers[i].subscriber.sink = &world.stream_sink;
    world.peers[i].room = ANY;
  }
  return 0;
}

/* What the owner of a subscriber does before it frees it. */
static void finish(struct subscriber *subscriber) {
  subscriber_end(subscriber);
  outbox_free(subscriber->outbox);
  subscriber->outbox = NULL;
  subscriber->flags |= SUBSCRIBER_OVER;
}

static int end(void **state) {
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    struct subscriber *subscriber = &world.peers[i].subscriber;
    finish(subscriber);
    assert_null(subscriber->extra);
  }
  delivery_flush(&world.delivery);
  hub_deinit(&world.hub);
  store_deinit(&world.store);
  delivery_deinit(&world.delivery);
  return support_teardown(state);
}

static void subscribe(size_t peer, const char *channel, const struct channel_policy *policy) {
  assert_int_equal(subscriber_subscribe(&world.peers[peer].subscriber, bytes_string(channel), policy), 0);
}

static void publish_parts(struct message_parts parts, const struct channel_policy *policy) {
  struct message *message = message_new(NULL, &parts);
  message->position = ++world.position;
  message->time_ms = world.clock.wall_ms;
  hub_publish(&world.hub, message, policy);
  message_unref(message);
}

static void publish(const char *channel, const char *data, const struct channel_policy *policy) {
  publish_parts((struct message_parts){.channel = bytes_string(channel), .event = BYTES("e"), .data = bytes_string(data)},
                policy);
}

/* Asserts that the numbers "data: N" of a peer's text are from..to, each once, in order. */
static void assert_numbers(const struct peer *peer, unsigned from, unsigned to) {
  const char *at = peer->text;
  for (unsigned n = from; n <= to; n++) {
    char expected[24];
    at = strstr(at, "data: ");
    snprintf(expected, sizeof expected, "data: %u\n", n);
    if (!at || strncmp(at, expected, strlen(expected)) != 0) fail_msg("not \"%s\" in %s", expected, peer->text);
    at += strlen(expected);
  }
  assert_null(strstr(at, "data: "));
}

/* Returns the numbers of all "data: N" or "data":N of a peer's text. */
static const char *numbers_of(const struct peer *peer) {
  static char numbers[2000];
  size_t len = 0;
  numbers[0] = '\0';
  for (const char *at = peer->text; (at = strstr(at, "data")); at++) {
    unsigned n;
    if (sscanf(at, "data: %u", &n) == 1 || sscanf(at, "data\":%u", &n) == 1)
      len += (size_t)snprintf(numbers + len, sizeof numbers - len, "%u ", n);
  }
  return numbers;
}

static void publish_numbers(const char *channel, unsigned from, unsigned to, const struct channel_policy *policy) {
  for (unsigned n = from; n <= to; n++) {
    char text[12];
    snprintf(text, sizeof text, "%u", n);
    publish(channel, text, policy);
  }
}

/* ---- Tests ---------------------------------------------------------------------------------------------------------------- */

static void writes_once_a_turn(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) subscribe(i, "a", &kept);
  /* In between, one with another form, for which the turn list looks different. */
  world.peers[1].subscriber.sink = &world.socket_sink;
  publish_numbers("a", 1, 3, &kept);
  assert_int_equal(world.peers[0].write_count, 0);
  assert_false(delivery_flush(&world.delivery));
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(world.peers[i].write_count, 1);
    assert_int_equal(world.peers[i].flushed_count, 1);
    assert_null(world.peers[i].subscriber.outbox);
  }
  assert_numbers(&world.peers[0], 1, 3);
  assert_string_equal(world.peers[2].text, world.peers[0].text);
  assert_non_null(strstr(world.peers[1].text, "\"data\":3}"));
  assert_false(delivery_flush(&world.delivery));
  assert_int_equal(world.peers[0].flushed_count, 1);
}

static void clear_text(void) {
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) world.peers[i].text_len = 0;
}

/* What several subscribers receive in a turn is written as one piece, and what a peer does not take of
 * that follows as if it had not been. */
static void joins_what_many_receive(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) subscribe(i, "a", &kept);
  publish_numbers("a", 1, 3, &kept);
  size_t len = 0;
  for (size_t room = 0; room == 0 || room <= len; room++) {
    clear_text();
    if (room > 0) publish_numbers("a", 1, 3, &kept);
    struct peer *cut = &world.peers[0]; /* the last to be flushed */
    if (room > 0) cut->room = room;
    delivery_flush(&world.delivery);
    if (room == 0) {
      len = world.peers[1].text_len;
      assert_in_range(len, 1, 300);
      for (size_t i = 0; i < COUNT_OF(world.peers); i++) assert_int_equal(world.peers[i].slice_count, i < 3 ? 1 : 3);
    }
    cut->room = ANY;
    if (cut->held_count > 0) finish_held(cut);
    for (size_t i = 0; i < COUNT_OF(world.peers); i++) assert_numbers(&world.peers[i], 1, 3);
  }
  publish_numbers("a", 1, 1, &kept);
  delivery_flush(&world.delivery);
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) assert_int_equal(world.peers[i].slice_count, 1);
}

/* Publishes 1 to 7, now here and now there. */
static void publish_around(void) {
  static const char *const channels[] = {"a", "b", "b", "a", "b", "a", "a"};
  for (unsigned n = 0; n < COUNT_OF(channels); n++) publish_numbers(channels[n], n + 1, n + 1, &roomy);
}

static void joins_what_comes_by_several_channels(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    subscribe(i, i % 2 == 0 ? "a" : "b", &roomy);
    subscribe(i, i % 2 == 0 ? "b" : "a", &roomy);
  }
  publish_around();
  delivery_flush(&world.delivery);
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    assert_int_equal(world.peers[i].slice_count, i < 3 ? 1 : 7);
    assert_numbers(&world.peers[i], 1, 7);
  }
  size_t len = world.peers[0].text_len;
  struct peer *cut = &world.peers[0];
  for (size_t room = 1; room <= len; room++) {
    clear_text();
    cut->room = room;
    publish_around();
    delivery_flush(&world.delivery);
    cut->room = ANY;
    if (cut->held_count > 0) finish_held(cut);
    for (size_t i = 0; i < COUNT_OF(world.peers); i++) assert_numbers(&world.peers[i], 1, 7);
  }
}

static void whoever_differs_gets_what_is_its_own(void **state) {
  (void)state;
  struct peer *leaver = &world.peers[0], *author = &world.peers[1], *stranger = &world.peers[2];
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    subscribe(i, "a", &kept);
    if (i != 2) subscribe(i, "b", &kept);
  }
  subscribe(2, "c", &kept);
  author->identity = BYTES("author");
  publish_numbers("a", 1, 1, &kept);
  publish_numbers("b", 2, 2, &kept);
  struct subscription *left = subscriber_find(&leaver->subscriber, BYTES("b"));
  subscriber_unsubscribe(&leaver->subscriber, left, LEAVE_ASKED);
  publish_numbers("a", 3, 3, &kept);
  publish_numbers("c", 4, 4, &kept);
  publish_parts((struct message_parts){.channel = BYTES("b"), .event = BYTES("e"), .data = BYTES("5"), .except = BYTES("author")},
                &kept);
  publish_numbers("a", 6, 6, &kept);
  delivery_flush(&world.delivery);
  assert_string_equal(numbers_of(leaver), "1 2 3 6 ");
  assert_string_equal(numbers_of(author), "1 2 3 6 ");
  assert_string_equal(numbers_of(stranger), "1 3 4 6 ");
  for (size_t i = 3; i < COUNT_OF(world.peers); i++) assert_string_equal(numbers_of(&world.peers[i]), "1 2 3 5 6 ");
}

/* More parts, and more messages, than fit into a view. */
static void a_long_mixture_is_complete(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    world.peers[i].subscriber.sink = &world.socket_sink;
    subscribe(i, "a", &kept);
    subscribe(i, "b", &kept);
  }
  for (unsigned round = 0; round < 5; round++) {
    clear_text();
    char expected[2000] = "";
    for (unsigned n = 1; n <= 60 + 20 * round; n++) {
      publish_numbers(n % (2 + round) == 0 ? "b" : "a", n, n, &roomy);
      snprintf(expected + strlen(expected), 8, "%u ", n);
    }
    delivery_flush(&world.delivery);
    for (size_t i = 0; i < COUNT_OF(world.peers); i++) assert_string_equal(numbers_of(&world.peers[i]), expected);
  }
}

static void writes_the_pieces_if_memory_fails(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) subscribe(i, "a", &closes);
  publish_numbers("a", 1, 3, &closes);
  /* their forms are there already, so that this is the first that the flush allocates */
  struct subscriber *subscriber = &world.peers[0].subscriber;
  for (size_t i = 0; i < 3; i++) blob_unref(compress_message(subscriber, subscriber->turn->channel->turn[i]));
  memory_fail_after(1);
  delivery_flush(&world.delivery);
  memory_fail_after(0);
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    assert_int_equal(world.peers[i].slice_count, 3);
    assert_numbers(&world.peers[i], 1, 3);
  }
}

/* A turn that has written enough leaves the rest, and what comes for it, to the next ones. */
static void writes_so_much_in_a_turn(void **state) {
  (void)state;
  world.delivery.turn_bytes = 1;
  for (size_t i = 0; i < 3; i++) subscribe(i, "a", &kept);
  publish_numbers("a", 1, 2, &kept);
  assert_true(delivery_flush(&world.delivery));
  assert_true(delivery_flush(&world.delivery)); /* still the same turn */
  size_t written = 0;
  for (size_t i = 0; i < 3; i++) written += world.peers[i].write_count;
  assert_int_equal(written, 1);
  publish_numbers("a", 3, 3, &kept);
  for (int turn = 0; turn < 6; turn++) {
    delivery_begin_turn(&world.delivery);
    delivery_flush(&world.delivery);
  }
  for (size_t i = 0; i < 3; i++) assert_numbers(&world.peers[i], 1, 3);
  delivery_begin_turn(&world.delivery);
  assert_false(delivery_flush(&world.delivery));
}

/* What fills a turn exactly is enough for it. */
static void a_turn_that_is_full_is_over(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) subscribe(i, "a", &kept);
  publish_numbers("a", 1, 1, &kept);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  world.delivery.turn_bytes = world.peers[0].text_len;
  delivery_begin_turn(&world.delivery);
  publish_numbers("a", 2, 2, &kept);
  assert_true(delivery_flush(&world.delivery));
  size_t written = 0;
  for (size_t i = 0; i < 3; i++) written += world.peers[i].write_count;
  assert_int_equal(written, 3 + 1);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  for (size_t i = 0; i < 3; i++) assert_numbers(&world.peers[i], 1, 2);
}

static size_t count_outboxes(void) {
  size_t count = 0;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) count += world.peers[i].subscriber.outbox != NULL;
  return count;
}

/* Those that were put off are written the same, with what has come since, before those that were not. */
static void puts_off_without_an_outbox(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    subscribe(i, i % 2 == 0 ? "a" : "b", &roomy);
    subscribe(i, i % 2 == 0 ? "b" : "a", &roomy);
  }
  publish_around();
  world.delivery.turn_bytes = 1;
  assert_true(delivery_flush(&world.delivery));
  assert_int_equal(count_outboxes(), 0);
  delivery_begin_turn(&world.delivery);
  publish_numbers("a", 8, 8, &roomy);
  world.delivery.turn_bytes = 1 << 20;
  assert_false(delivery_flush(&world.delivery));
  size_t joined = 0;
  for (size_t i = 0; i < COUNT_OF(world.peers); i++) {
    assert_numbers(&world.peers[i], 1, 8);
    joined += world.peers[i].slice_count == 1;
  }
  assert_true(joined > 1);
  assert_null(world.hub.in_turn);
}

/* What turn lists keep is bounded: then outboxes have it, and their limits. */
static void puts_off_at_most_so_much(void **state) {
  (void)state;
  static const struct channel_policy wide = {.slow = SLOW_CLOSE, .outbox = 4 << 20};
  static const char key[100000];
  struct message_parts parts = {.channel = BYTES("a"), .event = BYTES("e"), .data = BYTES("1"), .key = bytes_of(key, sizeof key)};
  world.delivery.turn_bytes = 0;
  for (size_t i = 0; i < 3; i++) subscribe(i, "a", &wide);
  for (size_t i = 1; i <= 11; i++) {
    publish_parts(parts, &wide);
    assert_true(delivery_flush(&world.delivery));
    assert_int_equal(count_outboxes(), i < 11 ? 0 : 3);
    assert_true((world.hub.in_turn != NULL) == (i < 11));
    delivery_begin_turn(&world.delivery);
  }
}

/* One that was put off can go. */
static void forgets_who_was_put_off(void **state) {
  (void)state;
  world.delivery.turn_bytes = 1;
  for (size_t i = 0; i < 3; i++) subscribe(i, "a", &kept);
  publish_numbers("a", 1, 1, &kept);
  assert_true(delivery_flush(&world.delivery));
  for (size_t i = 0; i < 3; i++) {
    struct subscriber *subscriber = &world.peers[i].subscriber;
    finish(subscriber);
    delivery_forget(&world.delivery, subscriber);
    assert_false(subscriber->flags & SUBSCRIBER_DIRTY);
  }
  assert_null(world.delivery.next);
  assert_null(world.delivery.dirty);
}

/* What was offered is not what was taken, wherever the border lies. */
static void holds_the_rest(void **state) {
  struct peer *peer = &world.peers[0];
  for (size_t room = 0; room < 80; room++) {
    subscribe(0, "a", &kept);
    subscribe(0, "b", &kept);
    peer->room = room;
    publish_numbers("a", 1, 2, &kept);
    delivery_flush(&world.delivery);
    assert_int_equal(peer->text_len, room);
    assert_true(peer->held_count > 0);
    /* What comes in the meantime follows. */
    publish_numbers("b", 3, 3, &kept);
    publish_numbers("a", 4, 4, &kept);
    delivery_flush(&world.delivery);
    assert_int_equal(peer->text_len, room);
    peer->room = ANY;
    finish_held(peer);
    delivery_flush(&world.delivery);
    assert_numbers(peer, 1, 4);
    assert_int_equal(peer->drained_count, 1);
    end(state);
    begin(state);
  }
}

static void waits_until_its_sink_is_ready(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  peer->later = true;
  peer->room = 10;
  publish_numbers("a", 1, 2, &kept);
  delivery_flush(&world.delivery);
  size_t write_count = peer->write_count;
  publish_numbers("a", 3, 3, &kept);
  delivery_flush(&world.delivery);
  assert_int_equal(peer->write_count, write_count);
  peer->room = ANY;
  subscriber_ready(&peer->subscriber);
  delivery_flush(&world.delivery);
  assert_numbers(peer, 1, 3);
}

static void reads_histories_when_it_was_slow(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  peer->later = true;
  peer->room = 0;
  for (unsigned n = 1; n <= 60; n++) {
    publish_numbers("a", n, n, &kept);
    delivery_flush(&world.delivery);
  }
  assert_string_equal(peer->told, "slow a. ");
  assert_true(!peer->subscriber.outbox || peer->subscriber.outbox->bytes <= kept.outbox);
  peer->room = ANY;
  subscriber_ready(&peer->subscriber);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  assert_numbers(peer, 1, 60);
  assert_false(peer->subscriber.flags & SUBSCRIBER_BEHIND);
  assert_null(peer->subscriber.extra);
  publish_numbers("a", 61, 61, &kept);
  delivery_flush(&world.delivery);
  assert_numbers(peer, 1, 61);
  assert_string_equal(peer->told, "slow a. ");
}

static void is_told_of_what_histories_have_lost(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  peer->later = true;
  peer->room = 0;
  for (unsigned n = 1; n <= 300; n++) {
    publish_numbers("a", n, n, &kept);
    delivery_flush(&world.delivery);
  }
  peer->room = ANY;
  subscriber_ready(&peer->subscriber);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  assert_string_equal(peer->told, "slow a. gap a. ");
  assert_int_equal(world.stats.gaps, 1);
  assert_numbers(peer, 201, 300);
}

static void is_closed_after_what_was_begun(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "v", &closes);
  peer->room = 5;
  publish_numbers("v", 1, 1, &closes);
  delivery_flush(&world.delivery);
  for (unsigned n = 2; n < 40; n++) {
    publish_numbers("v", n, n, &closes);
    delivery_flush(&world.delivery);
    if (peer->flags & SUBSCRIBER_SLOW) break;
  }
  assert_true(peer->flags & SUBSCRIBER_SLOW);
  assert_int_equal(world.stats.slow_closed, 1);
  subscriber_end(&peer->subscriber);
  finish_held(peer);
  assert_numbers(peer, 1, 1);
  assert_int_equal(peer->subscriber.outbox->bytes, 0);
}

static void breaks_when_its_peer_is_gone(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  peer->gone = true;
  publish_numbers("a", 1, 1, &kept);
  delivery_flush(&world.delivery);
  assert_true(peer->flags & SUBSCRIBER_BROKEN);
  assert_int_equal(peer->write_count, 1);
}

static void leaves_out_its_own_messages(void **state) {
  (void)state;
  subscribe(0, "a", &kept);
  subscribe(1, "a", &kept);
  world.peers[0].identity = BYTES("me");
  publish_numbers("a", 1, 1, &kept);
  publish_parts((struct message_parts){.channel = BYTES("a"), .event = BYTES("e"), .data = BYTES("2"), .except = BYTES("me")},
                &kept);
  publish_numbers("a", 3, 3, &kept);
  delivery_flush(&world.delivery);
  assert_numbers(&world.peers[1], 1, 3);
  assert_null(strstr(world.peers[0].text, "data: 2"));
  assert_non_null(strstr(world.peers[0].text, "data: 1"));
  assert_non_null(strstr(world.peers[0].text, "data: 3"));
}

static void collects(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  peer->subscriber.flags |= SUBSCRIBER_COLLECTS;
  publish_numbers("a", 1, 2, &kept);
  delivery_flush(&world.delivery);
  assert_string_equal(peer->told, "collect 1. collect 2. ");
  assert_int_equal(peer->write_count, 0);
}

/* A rope with a part that is shared: {"a":<2000 times x>}. */
static void share(struct rope *rope) {
  static char many[2000];
  memset(many, 'x', sizeof many);
  struct blob *blob = blob_new(bytes_of(many, sizeof many));
  rope_init(rope);
  buffer_append_string(&rope->text, "{\"a\":");
  rope_share(rope, blob);
  buffer_append_char(&rope->text, '}');
  blob_unref(blob);
  assert_int_equal(rope->joint_count, 1);
}

static void collects_what_is_pushed(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  struct subscriber *subscriber = &peer->subscriber;
  struct rope rope;
  subscriber->sink = &world.poll_sink;
  subscriber->flags |= SUBSCRIBER_COLLECTS;
  subscriber_push_text(subscriber, BYTES("one"));
  assert_string_equal(peer->told, "push one. ");
  share(&rope);
  assert_int_equal(subscriber_push_text_rope(subscriber, &rope), 0);
  rope_deinit(&rope);
  assert_non_null(strstr(peer->told, "push one. push {\"a\":xxx"));
  assert_non_null(strstr(peer->told, "xxx}. "));
  assert_int_equal(subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN), 0);
  assert_null(subscriber->outbox);
  assert_int_equal(subscriber_own_size(subscriber), 17);
}

static void frames_what_is_pushed(void **state) {
  (void)state;
  struct subscriber *stream = &world.peers[0].subscriber, *socket = &world.peers[1].subscriber;
  struct sink chunked;
  struct rope rope;
  sink_init(&chunked, &ops, &world.delivery, &stream_form, FRAMING_CHUNK);
  stream->sink = &chunked;
  socket->sink = &world.socket_sink;
  subscriber_push_text(stream, BYTES("data: 1\n\n"));
  subscriber_push_text(socket, BYTES("one"));
  delivery_flush(&world.delivery);
  assert_string_equal(world.peers[0].text, "9\r\ndata: 1\n\n\r\n");
  assert_int_equal(world.peers[1].text_len, 5);
  assert_memory_equal(world.peers[1].text, "\x81\x03one", 5);
  world.peers[0].text_len = world.peers[1].text_len = 0;
  share(&rope);
  subscriber_push_text_rope(stream, &rope);
  subscriber_push_text_rope(socket, &rope);
  rope_deinit(&rope);
  delivery_flush(&world.delivery);
  assert_int_equal(world.peers[0].text_len, 5 + 2006 + 2);
  assert_memory_equal(world.peers[0].text, "7d6\r\n{\"a\":xx", 12);
  assert_memory_equal(world.peers[1].text, "\x81\x7e\x07\xd6{\"a\":xx", 11);
  assert_int_equal(world.peers[1].text_len, 4 + 2006);
  rope_init(&rope);
  rope.text.failed = true;
  subscriber_push_text_rope(stream, &rope);
  subscriber_push_text_rope(socket, &rope);
  rope_deinit(&rope);
  assert_true(stream->flags & SUBSCRIBER_BROKEN && socket->flags & SUBSCRIBER_BROKEN);
  stream->sink = &world.stream_sink;
}

static void ends_with_its_last_channel(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  subscribe(0, "a", &kept);
  subscribe(0, "b", &kept);
  publish_parts((struct message_parts){.channel = BYTES("a"), .event = BYTES("e"), .data = BYTES("1"), .is_final = true}, &kept);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  assert_string_equal(peer->told, "end a. ");
  publish_parts((struct message_parts){.channel = BYTES("b"), .event = BYTES("e"), .data = BYTES("2"), .is_final = true}, &kept);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  assert_string_equal(peer->told, "end a. end b. finish all. ");
  assert_numbers(peer, 1, 2);
}

static void a_websocket_leaves_a_channel_that_ends(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  peer->subscriber.sink = &world.socket_sink;
  subscribe(0, "a", &kept);
  subscribe(0, "b", &kept);
  publish_parts((struct message_parts){.channel = BYTES("b"), .event = BYTES("e"), .data = BYTES("1"), .is_final = true}, &kept);
  while (delivery_flush(&world.delivery)) delivery_begin_turn(&world.delivery);
  assert_string_equal(peer->told, "end b. final b. ");
  assert_int_equal(peer->subscriber.subscription_count, 1);
  assert_null(subscriber_find(&peer->subscriber, BYTES("b")));
}

/* Private bytes are bounded by the sink, besides the messages of channels. */
static void is_slow_over_the_limit_of_its_sink(void **state) {
  (void)state;
  struct peer *peer = &world.peers[0];
  struct blob *blob = blob_new(BYTES("0123456789"));
  peer->room = 0;
  size_t count = 0;
  while (!(peer->subscriber.flags & SUBSCRIBER_SLOW) && count < 100) {
    subscriber_push(&peer->subscriber, blob, blob_bytes(blob));
    count++;
  }
  assert_int_equal(count, 1000 / (10 + OUTBOX_OWN) + 2);
  blob_unref(blob);
  delivery_flush(&world.delivery);
  assert_true(peer->flags & SUBSCRIBER_SLOW);
}

#define DELIVERS(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      DELIVERS(writes_once_a_turn),
      DELIVERS(joins_what_many_receive),
      DELIVERS(joins_what_comes_by_several_channels),
      DELIVERS(whoever_differs_gets_what_is_its_own),
      DELIVERS(a_long_mixture_is_complete),
      DELIVERS(writes_the_pieces_if_memory_fails),
      DELIVERS(writes_so_much_in_a_turn),
      DELIVERS(a_turn_that_is_full_is_over),
      DELIVERS(puts_off_without_an_outbox),
      DELIVERS(puts_off_at_most_so_much),
      DELIVERS(forgets_who_was_put_off),
      DELIVERS(holds_the_rest),
      DELIVERS(waits_until_its_sink_is_ready),
      DELIVERS(reads_histories_when_it_was_slow),
      DELIVERS(is_told_of_what_histories_have_lost),
      DELIVERS(is_closed_after_what_was_begun),
      DELIVERS(breaks_when_its_peer_is_gone),
      DELIVERS(leaves_out_its_own_messages),
      DELIVERS(collects),
      DELIVERS(collects_what_is_pushed),
      DELIVERS(frames_what_is_pushed),
      DELIVERS(ends_with_its_last_channel),
      DELIVERS(a_websocket_leaves_a_channel_that_ends),
      DELIVERS(is_slow_over_the_limit_of_its_sink),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
