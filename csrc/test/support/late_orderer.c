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
    return MW_EUNAVAILABLE;
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

void late_orderer_begin_epoch(struct late_orderer *late, const char *epoch, uint64_t position) {
  struct epoch begun;
  assert_true(epoch_read(&begun, bytes_string(epoch)));
  assert_int_equal(bus_begin_epoch(late->server, &begun, position), 0);
}

static void end_pending(struct orderer *orderer) {
  struct late_orderer *late = late_of(orderer);
  late->is_over = true;
  while (late->count > 0) late_orderer_refuse(late, 0, MW_ECLOSED);
}

static int update_roster(struct orderer *orderer, struct roster_batch *batch) {
  return late_of(orderer)->bus->update_roster(late_of(orderer)->bus, batch);
}
static size_t worker_count(struct orderer *orderer) { return late_of(orderer)->bus->worker_count(late_of(orderer)->bus); }
static uint64_t position(struct orderer *orderer) { return late_of(orderer)->bus->position(late_of(orderer)->bus); }

void late_orderer_begin(struct late_orderer *late, struct mw_server *server) {
  *late = (struct late_orderer){.bus = server->app.orderer, .server = server};
  late->orderer = (struct orderer){.publish = publish,
                                   .end_pending = end_pending,
                                   .update_roster = update_roster,
                                   .worker_count = worker_count,
                                   .position = position};
  server->app.orderer = &late->orderer;
}
