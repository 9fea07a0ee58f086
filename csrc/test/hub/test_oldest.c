#include "hub/oldest.h"

#include "base/memory.h"
#include "base/status.h"
#include "hub/store.h"
#include "test/support.h"
#include "test/support/message.h"

enum { CHANNELS = 40 };

/* A heap against a look at every channel. */
struct fixture {
  struct oldest oldest;
  struct stored *channels[CHANNELS];
  uint64_t position;
  uint32_t random;
};

static const struct history_bounds roomy = {.size = 1000};

static uint32_t next_random(struct fixture *fixture, uint32_t count) {
  fixture->random = fixture->random * 1664525u + 1013904223u;
  return (fixture->random >> 8) % count;
}

static struct stored *stored_new(void) {
  struct stored *stored = memory_calloc(1, sizeof *stored);
  if (stored) history_init(&stored->history, 0, NULL);
  return stored;
}

static void stored_free(struct stored *stored) {
  history_deinit(&stored->history);
  memory_free(stored);
}

static void make(struct fixture *fixture, size_t i) {
  fixture->channels[i] = stored_new();
  assert_non_null(fixture->channels[i]);
}

static void begin(struct fixture *fixture, uint32_t seed) {
  *fixture = (struct fixture){.random = seed};
  oldest_init(&fixture->oldest);
  for (size_t i = 0; i < CHANNELS; i++) make(fixture, i);
}

static void drop(struct fixture *fixture, size_t i) {
  oldest_remove(&fixture->oldest, fixture->channels[i]);
  stored_free(fixture->channels[i]);
}

static void end(struct fixture *fixture) {
  for (size_t i = 0; i < CHANNELS; i++) drop(fixture, i);
  oldest_deinit(&fixture->oldest);
}

static int keep(struct fixture *fixture, size_t i) {
  struct message *message = message_of(NULL, BYTES("c"), BYTES("e"), BYTES("1"));
  if (!message) return MW_ENOMEM;
  message->position = ++fixture->position;
  int status = oldest_add(&fixture->oldest, fixture->channels[i], message->position);
  if (status == 0) history_push(&fixture->channels[i]->history, message, &roomy);
  message_unref(message);
  return status;
}

static struct stored *look_at_all(const struct fixture *fixture) {
  struct stored *found = NULL;
  uint64_t lowest = UINT64_MAX;
  for (size_t i = 0; i < CHANNELS; i++) {
    struct stored *stored = fixture->channels[i];
    if (stored->history.count == 0 || history_at(&stored->history, 0)->position > lowest) continue;
    lowest = history_at(&stored->history, 0)->position;
    found = stored;
  }
  return found;
}

static void has_none_at_first(void **state) {
  (void)state;
  struct fixture fixture;
  begin(&fixture, 1);
  assert_null(oldest_top(&fixture.oldest));
  oldest_remove(&fixture.oldest, fixture.channels[0]); /* is not in */
  assert_int_equal(keep(&fixture, 3), 0);
  assert_int_equal(keep(&fixture, 3), 0);
  assert_int_equal(fixture.oldest.count, 1);
  assert_ptr_equal(oldest_top(&fixture.oldest), fixture.channels[3]);
  oldest_remove(&fixture.oldest, fixture.channels[3]);
  assert_null(oldest_top(&fixture.oldest));
  end(&fixture);
}

static void finds_the_oldest_as_a_look_at_all_does(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 30; seed++) {
    struct fixture fixture;
    begin(&fixture, seed);
    for (unsigned n = 0; n < 2000; n++) {
      /* Few channels or many, and more that is kept or more that goes, by turns. */
      size_t i = next_random(&fixture, n % 400 < 200 ? 5 : CHANNELS);
      struct history *history = &fixture.channels[i]->history;
      switch (next_random(&fixture, 8)) {
        case 0:
          if (history->count > 0) history_evict(history);
          break;
        case 1: history_expire(history, UINT64_MAX); break;
        case 2:
          drop(&fixture, i);
          make(&fixture, i);
          break;
        case 3: {
          struct stored *oldest = oldest_top(&fixture.oldest);
          assert_ptr_equal(oldest, look_at_all(&fixture));
          if (oldest) history_evict(&oldest->history);
          break;
        }
        default: assert_int_equal(keep(&fixture, i), 0);
      }
      if (next_random(&fixture, 3) == 0) assert_ptr_equal(oldest_top(&fixture.oldest), look_at_all(&fixture));
    }
    /* To the last one, in order. */
    uint64_t before = 0;
    for (struct stored *stored; (stored = oldest_top(&fixture.oldest));) {
      assert_ptr_equal(stored, look_at_all(&fixture));
      assert_true(history_at(&stored->history, 0)->position > before);
      before = history_at(&stored->history, 0)->position;
      history_evict(&stored->history);
    }
    assert_null(look_at_all(&fixture));
    end(&fixture);
  }
}

static bool fill(void *context) {
  (void)context;
  struct oldest oldest;
  struct stored *channels[CHANNELS];
  bool ok = true;
  oldest_init(&oldest);
  for (size_t i = 0; i < CHANNELS; i++) {
    channels[i] = stored_new();
    ok = ok && channels[i] && oldest_add(&oldest, channels[i], i + 1) == 0;
  }
  for (size_t i = 0; i < CHANNELS; i++) {
    if (!channels[i]) continue;
    oldest_remove(&oldest, channels[i]);
    stored_free(channels[i]);
  }
  oldest_deinit(&oldest);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(fill, NULL) > CHANNELS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(has_none_at_first),
      TEST(finds_the_oldest_as_a_look_at_all_does),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
