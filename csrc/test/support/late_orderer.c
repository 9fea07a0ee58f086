#define _XOPEN_SOURCE 700 /* libuv's header needs POSIX */
#include "test/support/late_orderer.h"

#include "server/server.h"
#include "test/support.h"

static struct late_orderer *late_of(struct orderer *orderer) { return container_of(orderer, struct late_orderer, orderer); }

static int publish(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                   struct completion *completion) {
  struct late_orderer *late = late_of(orderer);
  if (late->is_over) return MW_ECLOSED;
  if (late->count == LATE_MAX) return MW_EUNAVAILABLE;
  struct late_publish *pending = &late->pending[late->count];
  *pending = (struct late_publish){.kind = kind, .is_volatile = is_volatile};
  pending->copy = message_new(&kind->policy, parts) /* keeps the kind */;
  if (!pending->copy) return MW_ENOMEM;
  pending->completion = completion->keep(completion);
  if (!pending->completion) {
    message_unref(pending->copy);
    return MW_EWAITING;
  }
  late->count++;
  return MW_PENDING;
}

static struct late_publish take(struct late_orderer *late, size_t i) {
  assert_true(i < late->count);
  struct late_publish pending = late->pending[i];
  memmove(&late->pending[i], &late->pending[i + 1], (late->count - i - 1) * sizeof pending);
  late->count--;
  return pending;
}

static void complete(struct late_publish *pending, int status) {
  message_unref(pending->copy);
  pending->completion->on_done(pending->completion, status);
}

/* The bus answers immediately. */
static struct completion *keep_nothing(struct completion *completion) {
  (void)completion;
  return NULL;
}

void late_orderer_publish(struct late_orderer *late, size_t i) {
  struct late_publish pending = take(late, i);
  struct completion now = {.keep = keep_nothing};
  int status = late->bus->publish(late->bus, pending.kind, &pending.copy->parts, pending.is_volatile, &now);
  if (status == 0) memcpy(pending.completion->id, now.id, sizeof now.id);
  complete(&pending, status);
}

void late_orderer_refuse(struct late_orderer *late, size_t i, int status) {
  struct late_publish pending = take(late, i);
  complete(&pending, status);
}

/* ---- Interests and histories ----------------------------------------------------------------- */

static int wait_for(struct late_orderer *late, bool is_fetch, const struct job_channel *channels, size_t count,
                    struct completion *completion) {
  if (late->is_over) return MW_ECLOSED;
  struct late_wait wait = {.count = count, .is_fetch = is_fetch, .kind = channels[0].kind};
  bool waits = late->orderer.may_wait;
  if (waits && !completion) return MW_EUNAVAILABLE;
  if (waits && !(wait.completion = completion->keep(completion))) return MW_EWAITING;
  if (!is_fetch && !waits) late->interest_count += count;
  if (!waits) return 0;
  assert_true(late->wait_count < LATE_MAX);
  snprintf(wait.channel, sizeof wait.channel, "%.*s", (int)channels[0].name.len, channels[0].name.ptr);
  late->waits[late->wait_count++] = wait;
  return MW_PENDING;
}

static int interest(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  return wait_for(late_of(orderer), false, channels, count, completion);
}

static void end_interest(struct orderer *orderer, struct bytes channel) {
  (void)channel;
  assert_true(late_of(orderer)->interest_count > 0);
  late_of(orderer)->interest_count--;
}

static int fetch(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  return wait_for(late_of(orderer), true, channels, count, completion);
}

static int page(struct orderer *orderer, struct bytes channel, uint64_t until, struct completion *completion) {
  (void)orderer, (void)channel, (void)until, (void)completion;
  return MW_EUNAVAILABLE;
}

void late_orderer_wait(struct late_orderer *late) { late->orderer.may_wait = true; }

void late_orderer_confirm(struct late_orderer *late, int status) {
  assert_true(late->wait_count > 0);
  struct late_wait wait = late->waits[0];
  memmove(&late->waits[0], &late->waits[1], --late->wait_count * sizeof wait);
  if (status == 0 && !wait.is_fetch) late->interest_count += wait.count;
  wait.completion->on_done(wait.completion, status);
}

void late_orderer_hand_page(struct late_orderer *late, const uint64_t *positions, size_t count, uint64_t after) {
  struct message *messages[8];
  const struct late_wait *wait = &late->waits[0];
  assert_true(late->wait_count > 0 && wait->is_fetch && count <= 8);
  for (size_t i = 0; i < count; i++) {
    char data[24];
    snprintf(data, sizeof data, "%llu", (unsigned long long)positions[i]);
    struct message_parts parts = {.channel = bytes_string(wait->channel), .event = BYTES("message"), .data = bytes_string(data)};
    messages[i] = message_new(&wait->kind->policy, &parts);
    assert_non_null(messages[i]);
    messages[i]->position = positions[i];
    messages[i]->time_ms = position_time_ms(positions[i]);
  }
  struct store_page page = {.messages = messages, .count = count, .after = after, .until = UINT64_MAX, .gone = after};
  assert_int_equal(store_restore(&late->server->store, bytes_string(wait->channel), &wait->kind->policy, &page), 0);
  for (size_t i = 0; i < count; i++) message_unref(messages[i]);
  late_orderer_confirm(late, 0);
}

void late_orderer_begin_epoch(struct late_orderer *late, const char *epoch, uint64_t position) {
  struct epoch begun;
  assert_true(epoch_read(&begun, bytes_string(epoch)));
  assert_int_equal(bus_begin_epoch(late->server, &begun, position), 0);
}

static void end_pending(struct orderer *orderer) {
  struct late_orderer *late = late_of(orderer);
  late->is_over = true;
  while (late->count > 0) late_orderer_refuse(late, 0, MW_ECLOSED);
  while (late->wait_count > 0) late_orderer_confirm(late, MW_ECLOSED);
}

static int update_roster(struct orderer *orderer, struct roster_batch *batch) {
  return late_of(orderer)->bus->update_roster(late_of(orderer)->bus, batch);
}
static size_t worker_count(struct orderer *orderer) { return late_of(orderer)->bus->worker_count(late_of(orderer)->bus); }
static uint64_t position(struct orderer *orderer) { return late_of(orderer)->bus->position(late_of(orderer)->bus); }

void late_orderer_begin(struct late_orderer *late, struct mw_server *server) {
  *late = (struct late_orderer){.bus = server->app.orderer, .server = server};
  late->orderer = (struct orderer){.publish = publish,
                                   .interest = interest,
                                   .end_interest = end_interest,
                                   .fetch = fetch,
                                   .page = page,
                                   .end_pending = end_pending,
                                   .update_roster = update_roster,
                                   .worker_count = worker_count,
                                   .position = position};
  server->app.orderer = &late->orderer;
}
