#include "server/broker/broker_op.h"

#include "base/memory.h"
#include "broker/record.h"
#include "delivery/history_page.h"
#include "delivery/replay.h"
#include "server/broker/broker_orderer.h"
#include "server/server.h"

/* How often the channels of a fetch may be disconnected while it waits. */
enum { ROUNDS_MAX = 8 };

/* How many pages may have no room in the store, until a client receives a gap. */
enum { TRIES_MAX = 4 };

static struct broker_op *op_new(enum broker_op_type type, size_t count, size_t text_len) {
  struct broker_op *op = memory_calloc(1, sizeof *op + count * sizeof op->interests[0] + text_len + 1);
  if (!op) return NULL;
  op->type = type;
  op->count = count;
  op->mail.size = mail_size(sizeof *op + count * sizeof op->interests[0] + text_len);
  list_init(&op->link);
  return op;
}

static char *text_of(struct broker_op *op) { return (char *)(op->interests + op->count); }

static struct bytes copy_to(char **text, struct bytes from) {
  struct bytes copy = bytes_of(*text, from.len);
  if (from.len > 0) memcpy(*text, from.ptr, from.len);
  *text += from.len;
  return copy;
}

static struct broker_history history_of(const struct kind *kind) {
  return (struct broker_history){.size = kind->policy.history.size, .ttl_ms = kind->policy.history_ttl_ms};
}

struct broker_op *broker_op_publish(const struct kind *kind, const struct message_parts *parts, struct bytes once,
                                    bool is_volatile) {
  struct buffer record;
  buffer_init(&record);
  record_write(&record, parts);
  struct broker_op *op = record.failed ? NULL : op_new(BROKER_OP_PUBLISH, 0, parts->channel.len + record.len + once.len);
  if (op) {
    char *text = text_of(op);
    op->channel = copy_to(&text, parts->channel);
    op->record = copy_to(&text, buffer_bytes(&record));
    op->once = copy_to(&text, once);
    op->history = history_of(kind);
    op->is_final = parts->is_final;
    op->is_volatile = is_volatile;
  }
  buffer_deinit(&record);
  return op;
}

static enum broker_roster roster_of(const struct job_channel *channel) {
  enum mw_presence presence = channel->kind ? channel->kind->presence : MW_PRESENCE_NONE;
  if (presence == MW_PRESENCE_NONE) return BROKER_ROSTER_NONE;
  return presence == MW_PRESENCE_FULL || channel->reads_members ? BROKER_ROSTER_LIST : BROKER_ROSTER_COUNT;
}

struct broker_op *broker_op_channels(enum broker_op_type type, const struct job_channel *channels, size_t count) {
  size_t text_len = 0;
  for (size_t i = 0; i < count; i++) text_len += channels[i].name.len;
  struct broker_op *op = op_new(type, count, text_len);
  if (!op) return NULL;
  char *text = text_of(op);
  for (size_t i = 0; i < count; i++) {
    op->interests[i].channel = copy_to(&text, channels[i].name);
    if (channels[i].kind) op->interests[i].history = history_of(channels[i].kind);
    op->interests[i].roster = roster_of(&channels[i]);
  }
  /* Those of one call have one cursor. */
  op->since = channels[0].since;
  op->before = channels[0].before;
  op->limit = channels[0].limit;
  op->reads_page = channels[0].reads_page;
  return op;
}

/* ---- On the server's thread ------------------------------------------------------------------ */

static void finish(struct broker_op *op, int status) { broker_orderer_finish(op->owner, op, status); }

static void on_published(void *context, int status, const struct epoch *epoch, uint64_t position) {
  struct broker_op *op = context;
  if (status == 0 && op->completion) {
    id_write(op->completion->id, epoch, position);
    op->completion->id[ID_LEN] = '\0';
  }
  finish(op, status);
}

static void run_publish(struct broker_op *op) {
  struct broker *broker = op->owner->broker;
  if (op->is_volatile) {
    finish(op, broker_publish_volatile(broker, op->channel, op->record));
    return;
  }
  struct broker_publish publish = {.channel = op->channel,
                                   .record = op->record,
                                   .key = op->once,
                                   .history = op->history,
                                   .is_final = op->is_final,
                                   .on_done = on_published,
                                   .context = op};
  int status = broker_publish(broker, &publish);
  if (status < 0) finish(op, status);
}

static void end_interests(struct broker_op *op) {
  for (size_t i = 0; i < op->count; i++) broker_end_interest(op->owner->broker, op->interests[i].channel);
}

static void on_interest(void *context, int status) {
  struct broker_op *op = context;
  /* Nothing here can be trusted before the histories have begun again. */
  bool must_refuse = status == 0 && op->owner->must_restart;
  if (must_refuse) end_interests(op);
  finish(op, must_refuse ? MW_EUNAVAILABLE : status);
}

static void run_interest(struct broker_op *op) {
  int status = broker_interest(op->owner->broker, op->interests, op->count, on_interest, op);
  if (status != MW_PENDING) on_interest(op, status);
}

/* The highest position that the node must reach before it is known whether the cursor was ever given
 * out. */
static uint64_t position_to_reach(const struct broker_op *op) {
  const struct since *since = &op->since;
  bool is_id = since->kind == SINCE_POSITION || (since->kind == SINCE_FOREIGN && since->epoch.text[0] != '\0');
  if (!is_id) return 0;
  bool is_own = memcmp(&since->epoch, &op->owner->epoch, sizeof since->epoch) == 0;
  return is_own ? since->position : UINT64_MAX;
}

static void take_fetch_step(struct broker_op *op);

static void on_reached(void *context, int status) {
  struct broker_op *op = context;
  op->has_reached = true;
  if (status == 0) take_fetch_step(op);
  if (status < 0) finish(op, status);
}

/* A channel may have been disconnected in the meantime. */
static void on_followed(void *context, int status) {
  struct broker_op *op = context;
  if (status == 0) end_interests(op);
  if (status == 0) take_fetch_step(op);
  if (status < 0) finish(op, status);
}

/* A page has come. */
static void on_older(void *context, int status) {
  struct broker_op *op = context;
  op->rounds = 0;
  if (status == 0) take_fetch_step(op);
  if (status < 0) finish(op, status);
}

static bool lacks_older(const struct broker_op *op, struct bytes channel, uint64_t *until) {
  struct broker_orderer *orderer = op->owner;
  struct store *store = &orderer->server->store;
  const struct mw_limits *limits = &orderer->server->app.config->options.limits;
  struct replay_limits replay = {.messages = limits->replay, .bytes = limits->replay_bytes};
  struct history_query query = {.since = op->since, .before = op->before, .limit = op->limit};
  since_judge(&query.since, &orderer->epoch, broker_position(orderer->broker));
  since_judge(&query.before, &orderer->epoch, broker_position(orderer->broker));
  if (op->reads_page) return history_page_must_fetch(store, channel, &query, until);
  return replay_must_fetch(store, &replay, channel, query.since, until);
}

/* Fetches what the store lacks, channel by channel, and page by page. 0: it lacks nothing, or has no
 * room for more. */
static int fetch_older(struct broker_op *op) {
  for (; op->at < op->count; op->at++, op->until = 0, op->tries = 0) {
    struct bytes channel = op->interests[op->at].channel;
    uint64_t until;
    if (!lacks_older(op, channel, &until)) continue;
    if (op->until > 0 && until >= op->until && ++op->tries == TRIES_MAX) continue;
    op->until = until;
    return broker_page(op->owner->broker, channel, until, on_older, op);
  }
  return 0;
}

/* A client that joins a channel which is complete here, and in order with what follows, misses
 * nothing. So it is told only while all of its channels are. */
static void take_fetch_step(struct broker_op *op) {
  struct broker_orderer *orderer = op->owner;
  int status = 0;
  if (!op->has_reached) status = broker_reach(orderer->broker, position_to_reach(op), on_reached, op);
  if (status == MW_PENDING) return;
  op->has_reached = true;
  if (status == 0 && op->rounds++ == ROUNDS_MAX) status = MW_EBROKER_LATE;
  if (status == 0) status = broker_interest(orderer->broker, op->interests, op->count, on_followed, op);
  if (status == MW_PENDING) return;
  if (status == 0) end_interests(op);
  if (status == 0 && (orderer->must_restart || orderer->is_unreached)) status = MW_EUNAVAILABLE;
  if (status == 0) status = fetch_older(op);
  if (status != MW_PENDING) finish(op, status);
}

static void on_page(void *context, int status) {
  struct broker_op *op = context;
  finish(op, status == 0 && op->owner->must_restart ? MW_EUNAVAILABLE : status);
}

static void run_page(struct broker_op *op) {
  int status = broker_page(op->owner->broker, op->interests[0].channel, op->until, on_page, op);
  if (status != MW_PENDING) finish(op, status);
}

void broker_op_run(struct broker_op *op) {
  if (atomic_load(&op->owner->is_ended)) {
    finish(op, MW_ECLOSED);
    return;
  }
  switch (op->type) {
    case BROKER_OP_PUBLISH: run_publish(op); break;
    case BROKER_OP_INTEREST: run_interest(op); break;
    case BROKER_OP_FETCH: take_fetch_step(op); break;
    case BROKER_OP_PAGE: run_page(op); break;
    case BROKER_OP_END_INTEREST:
      end_interests(op);
      finish(op, 0);
      break;
  }
}

void broker_op_tell(struct broker_op *op) {
  struct completion *completion = op->completion;
  if (completion) completion->on_done(completion, op->status);
  memory_free(op);
}
