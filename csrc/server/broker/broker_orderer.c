#include "server/broker/broker_orderer.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "broker/redis_link.h"
#include "broker/scripts.h"
#include "server/broker/broker_members.h"
#include "server/broker/broker_op.h"
#include "server/server.h"

enum {
  TICK_MS = 100,
  LINGER_MS = 10000,
  BELL_MS = 1000, /* or a quarter of the expiry */
  SILENCE_MS = 3000,
  RECOVER_MS = 2000,
  GATHER_MS = 100,
  LEAVE_MS = 1000
};
enum { MARK_TTL_S = 25 * 3600, HELD_MAX = 32 << 20 };

static struct broker_orderer *owner_of(struct orderer *orderer) {
  return container_of(orderer, struct mw_server, orderer)->broker;
}

/* ---- Calls of all threads -------------------------------------------------------------------- */

static struct broker_op *op_of(struct mail *mail) { return container_of(mail, struct broker_op, mail); }

/* Takes the op, and posts it. With a completion, it is kept, and the outcome is MW_PENDING. */
static int post(struct broker_orderer *owner, struct broker_op *op, struct completion *completion) {
  if (!op) return MW_ENOMEM;
  op->owner = owner;
  int status = mailbox_reserve(&owner->mailbox, op->mail.size);
  if (status == 0 && completion) {
    op->completion = completion->keep(completion);
    if (!op->completion) {
      mailbox_unreserve(&owner->mailbox, op->mail.size);
      status = MW_EWAITING;
    }
  }
  if (status < 0) {
    memory_free(op);
    return status;
  }
  mailbox_post_reserved(&owner->mailbox, &op->mail);
  return completion ? MW_PENDING : 0;
}

static int publish(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                   struct completion *completion) {
  struct broker_orderer *owner = owner_of(orderer);
  completion->id[0] = '\0';
  if (atomic_load(&owner->is_ended)) return MW_ECLOSED;
  int outage = atomic_load(&owner->outage);
  if (is_volatile && outage < 0) return outage;
  return post(owner, broker_op_publish(kind, parts, completion->once, is_volatile), is_volatile ? NULL : completion);
}

static int ask(struct orderer *orderer, enum broker_op_type type, const struct job_channel *channels, size_t count,
               struct completion *completion) {
  struct broker_orderer *owner = owner_of(orderer);
  if (atomic_load(&owner->is_ended)) return MW_ECLOSED;
  if (!completion) return MW_EUNAVAILABLE;
  return post(owner, broker_op_channels(type, channels, count), completion);
}

static int interest(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  return ask(orderer, BROKER_OP_INTEREST, channels, count, completion);
}

static int fetch(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  return ask(orderer, BROKER_OP_FETCH, channels, count, completion);
}

static int page(struct orderer *orderer, struct bytes channel, uint64_t until, struct completion *completion) {
  struct broker_orderer *owner = owner_of(orderer);
  struct job_channel wanted = {.name = channel};
  if (atomic_load(&owner->is_ended)) return MW_ECLOSED;
  struct broker_op *op = broker_op_channels(BROKER_OP_PAGE, &wanted, 1);
  if (op) op->until = until;
  return post(owner, op, completion);
}

static void end_interest(struct orderer *orderer, struct bytes channel) {
  struct job_channel ended = {.name = channel};
  struct broker_op *op = broker_op_channels(BROKER_OP_END_INTEREST, &ended, 1);
  if (op) op->mail.size = 0; /* never refused */
  if (post(owner_of(orderer), op, NULL) < 0)
    log_limited(MW_LOG_WARNING, "out of memory: still receiving a channel that has no subscribers (channel=%.*s)",
                (int)channel.len, channel.ptr);
}

/* ---- The server's thread --------------------------------------------------------------------- */

static void take_told(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  (void)subscriber;
  broker_op_tell(op_of(mail));
}

/* The worker takes no mail any more. */
static void drop_told(struct mail *mail) {
  op_of(mail)->status = MW_ECLOSED;
  broker_op_tell(op_of(mail));
}

static const struct mail_class told_class = {.take = take_told, .drop = drop_told};

void broker_orderer_finish(struct broker_orderer *orderer, struct broker_op *op, int status) {
  struct completion *completion = op->completion;
  op->status = status;
  if (completion && completion->http) {
    struct worker *worker = worker_of_room(completion->http);
    op->mail = (struct mail){.class = &told_class, .to = {.worker = worker->index}};
    mailbox_post(&worker->mailbox, &op->mail);
  } else if (completion) {
    list_append(&orderer->done, &op->link);
    loop_wake(&orderer->server->loop);
  } else {
    broker_op_tell(op);
  }
}

static void tell_done(struct broker_orderer *orderer) {
  while (!list_empty(&orderer->done)) {
    struct broker_op *op = container_of(orderer->done.next, struct broker_op, link);
    list_remove(&op->link);
    broker_op_tell(op);
  }
}

static void run_ops(struct broker_orderer *orderer) {
  struct mail *mail;
  while ((mail = mailbox_take(&orderer->mailbox)) != NULL) broker_op_run(op_of(mail));
}

/* What failed before is tried again. */
static void retry(struct broker_orderer *orderer) {
  struct mw_server *server = orderer->server;
  uint64_t position = broker_position(orderer->broker);
  if (orderer->must_restart && bus_begin_epoch(server, &orderer->epoch, position) == 0) {
    orderer->must_restart = orderer->is_unreached = false;
  }
  if (orderer->is_unreached) orderer->is_unreached = bus_reach(server, position) < 0;
}

/* Tells other threads whether messages can be published. Volatile ones can, even if Redis refuses all
 * others. */
static void tell_outage(struct broker_orderer *orderer, bool is_up) {
  int refusal = broker_refusal(orderer->broker);
  int outage = refusal < 0 ? refusal : is_up ? 0 : MW_EBROKER_LOST;
  atomic_store(&orderer->outage, is_up ? 0 : outage);
  atomic_store(&orderer->server->app.unready, outage < 0 ? order_refusal(outage).reason : NULL);
}

/* The loss is logged by the broker, with its cause; this is the line for its end. */
static void watch_state(struct broker_orderer *orderer) {
  uint64_t now_ms = orderer->server->loop.clock.now_ms;
  bool is_up = broker_state(orderer->broker) == BROKER_UP;
  tell_outage(orderer, is_up);
  if (is_up == orderer->is_up) return;
  orderer->is_up = is_up;
  if (!is_up) {
    orderer->lost_ms = now_ms;
    orderer->losses++;
  } else if (orderer->losses > 0) {
    log_line(MW_LOG_INFO, "connected to redis again (lost for %llu ms)", (unsigned long long)(now_ms - orderer->lost_ms));
  }
}

static void on_tick(void *context) {
  struct broker_orderer *orderer = context;
  broker_tick(orderer->broker, orderer->server->loop.clock.now_ms);
}

void broker_orderer_begin_turn(struct broker_orderer *orderer) {
  retry(orderer);
  run_ops(orderer);
  watch_state(orderer);
  tell_done(orderer);
}

void broker_orderer_end_turn(struct broker_orderer *orderer) {
  run_ops(orderer);
  if (orderer->link) redis_link_turn(orderer->link);
  watch_state(orderer);
  if (!list_empty(&orderer->done)) loop_wake(&orderer->server->loop);
}

static void end_pending(struct orderer *orderer) {
  struct broker_orderer *owner = owner_of(orderer);
  atomic_store(&owner->is_ended, true);
  broker_stop(owner->broker);
  run_ops(owner);
  tell_done(owner);
}

static void on_left(void *context) {
  struct broker_orderer *orderer = context;
  orderer->has_left = true;
}

bool broker_orderer_leave(struct broker_orderer *orderer) {
  uint64_t now_ms = orderer->server->loop.clock.now_ms;
  if (!orderer->is_leaving) {
    orderer->is_leaving = true;
    orderer->leaving_ms = now_ms;
    if (broker_say_goodbye(orderer->broker, on_left, orderer) < 0) orderer->has_left = true;
  }
  return orderer->has_left || now_ms - orderer->leaving_ms >= LEAVE_MS;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int begin_link(struct broker_orderer *orderer, const struct mw_config *config) {
  struct redis_link_options *options = memory_calloc(1, sizeof *options);
  if (!options) return MW_ENOMEM;
  const struct broker_config *from = config->broker;
  options->url = from->url;
  memcpy(options->sentinels, from->sentinels, sizeof options->sentinels);
  options->sentinel_count = from->sentinel_count;
  options->ca_file = from->ca_file;
  options->is_unverified = from->is_unverified;
  options->scripts = broker_scripts;
  options->script_count = SCRIPT_COUNT;
  int status = redis_link_new(&orderer->link, options, &orderer->server->connections);
  memory_free(options);
  return status;
}

static int begin_broker(struct broker_orderer *orderer, const struct mw_config *config) {
  struct mw_server *server = orderer->server;
  uint32_t expiry_ms = config->broker->expiry_ms;
  struct epoch name[2]; /* another one after each start */
  epoch_init(&name[0]);
  epoch_init(&name[1]);
  struct broker_options options = {.prefix = bytes_string(config->broker->prefix),
                                   .node = bytes_of(name[0].text, sizeof name),
                                   .publish_ms = config->broker->publish_ms,
                                   .linger_ms = LINGER_MS,
                                   .bell_ms = expiry_ms / 4 < BELL_MS ? expiry_ms / 4 : BELL_MS,
                                   .silence_ms = SILENCE_MS,
                                   .expiry_ms = expiry_ms,
                                   .recover_ms = RECOVER_MS,
                                   .gather_ms = GATHER_MS,
                                   .mark_ttl_s = MARK_TTL_S,
                                   .held_max = HELD_MAX,
                                   .waiting_max = config->options.limits.waiting,
                                   .replicas = config->broker->wait_replicas};
  orderer->broker = broker_new(&options, orderer->link, &broker_orderer_sink, orderer, server->loop.clock.now_ms);
  orderer->alarm = orderer->broker ? alarm_new(&server->loop, TICK_MS, TICK_MS, on_tick, orderer) : NULL;
  return orderer->alarm ? 0 : MW_ENOMEM;
}

int broker_orderer_begin(struct mw_server *server) {
  const struct mw_config *config = server->app.config;
  struct broker_orderer *orderer = memory_calloc(1, sizeof *orderer);
  if (!orderer) return MW_ENOMEM;
  orderer->server = server;
  orderer->lost_ms = server->loop.clock.now_ms;
  list_init(&orderer->done);
  int status = mailbox_init(&orderer->mailbox, &server->loop, config->options.limits.queue);
  if (status < 0) {
    memory_free(orderer);
    return status;
  }
  atomic_store(&orderer->outage, MW_EBROKER_LOST);
  atomic_store(&server->app.unready, order_refusal(MW_EBROKER_LOST).reason);
  server->broker = orderer;
  server->orderer = broker_orderer;
  status = begin_link(orderer, config);
  if (status == 0) status = begin_broker(orderer, config);
  return status;
}

void broker_orderer_stop(struct broker_orderer *orderer) {
  if (!orderer) return;
  atomic_store(&orderer->is_ended, true);
  run_ops(orderer);
  tell_done(orderer);
  alarm_free(orderer->alarm);
  redis_link_free(orderer->link);
  broker_free(orderer->broker);
  orderer->alarm = NULL;
  orderer->link = NULL;
  orderer->broker = NULL;
}

void broker_orderer_free(struct broker_orderer *orderer) {
  if (!orderer) return;
  mailbox_deinit(&orderer->mailbox);
  memory_free(orderer);
}

static int update_roster(struct orderer *orderer, struct roster_batch *batch) {
  return bus_orderer.update_roster(orderer, batch);
}
static size_t worker_count(struct orderer *orderer) { return bus_orderer.worker_count(orderer); }
static uint64_t position(struct orderer *orderer) { return bus_orderer.position(orderer); }
static int join(struct orderer *orderer, const struct order_join *join) { return broker_members_join(owner_of(orderer), join); }
static void leave(struct orderer *orderer, struct bytes channel, struct bytes user_id) {
  broker_members_leave(owner_of(orderer), channel, user_id);
}

const struct orderer broker_orderer = {.publish = publish,
                                       .interest = interest,
                                       .end_interest = end_interest,
                                       .fetch = fetch,
                                       .page = page,
                                       .may_wait = true,
                                       .end_pending = end_pending,
                                       .update_roster = update_roster,
                                       .worker_count = worker_count,
                                       .join = join,
                                       .leave = leave,
                                       .position = position};
