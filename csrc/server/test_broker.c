/* An orderer for tests of apps: like a broker, it answers later, so that what cannot wait is found
 * without Redis. What it completes travels as mail to the script, and is then ordered by the bus. */
#include "base/memory.h"
#include "server/server.h"

/* A publish, an interest, or a fetch that is pending. */
struct test_wait {
  struct mail mail;
  struct list link; /* of the server, until it is completed */
  struct mw_server *server;
  const struct kind *kind;
  struct message *copy; /* of the parts of a publish, which keeps the kind; NULL: not a publish */
  struct completion *completion;
};

static struct mw_server *server_of(struct orderer *orderer) { return container_of(orderer, struct mw_server, orderer); }
static struct test_wait *wait_of(struct mail *mail) { return container_of(mail, struct test_wait, mail); }

/* The bus answers immediately. */
static struct completion *keep_nothing(struct completion *completion) {
  (void)completion;
  return NULL;
}

static void complete(struct test_wait *wait, int status) {
  list_remove(&wait->link);
  message_unref(wait->copy);
  wait->copy = NULL;
  struct completion *completion = wait->completion;
  wait->completion = NULL;
  completion->on_done(completion, status);
}

static void take_wait(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  (void)subscriber;
  struct test_wait *wait = wait_of(mail);
  if (wait->completion) {
    int status = 0;
    struct completion now = {.keep = keep_nothing};
    if (wait->copy) status = bus_orderer.publish(&wait->server->orderer, wait->kind, &wait->copy->parts, false, &now);
    if (wait->copy && status == 0) memcpy(wait->completion->id, now.id, sizeof now.id);
    complete(wait, status);
  }
  memory_free(wait);
}

static void drop_wait(struct mail *mail) {
  struct test_wait *wait = wait_of(mail);
  if (wait->completion) complete(wait, MW_ECLOSED);
  memory_free(wait);
}

static const struct mail_class wait_class = {.take = take_wait, .drop = drop_wait};

/* Begins a wait, which takes the copy. */
static int begin_wait(struct mw_server *server, const struct kind *kind, struct message *copy, struct completion *completion) {
  struct test_wait *wait = memory_alloc(sizeof *wait);
  if (!wait) {
    message_unref(copy);
    return MW_ENOMEM;
  }
  *wait = (struct test_wait){.mail = {.class = &wait_class}, .server = server, .kind = kind, .copy = copy};
  wait->completion = completion->keep(completion);
  if (!wait->completion) {
    message_unref(copy);
    memory_free(wait);
    return MW_EWAITING;
  }
  list_append(&server->test_waits, &wait->link);
  mailbox_post(&server->script.queue, &wait->mail); /* without a size, it always has room */
  return MW_PENDING;
}

static int publish(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                   struct completion *completion) {
  if (is_volatile) return bus_orderer.publish(orderer, kind, parts, true, completion);
  struct message *copy = message_new(&kind->policy, parts);
  return copy ? begin_wait(server_of(orderer), kind, copy, completion) : MW_ENOMEM;
}

static int interest(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  if (!completion) return bus_orderer.interest(orderer, channels, count, NULL);
  return begin_wait(server_of(orderer), NULL, NULL, completion);
}

static void end_pending(struct orderer *orderer) {
  struct list *waits = &server_of(orderer)->test_waits;
  while (!list_empty(waits)) complete(container_of(waits->next, struct test_wait, link), MW_ECLOSED);
}

int mw_server_test_broker(struct mw_server *server) {
  if (server->is_threaded || server->app.orderer->may_wait) return MW_EINVAL;
  server->orderer.publish = publish;
  server->orderer.interest = server->orderer.fetch = interest;
  server->orderer.end_pending = end_pending;
  server->orderer.may_wait = true;
  return 0;
}
