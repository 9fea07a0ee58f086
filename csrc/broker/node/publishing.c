/* Publishes of this node: numbered, sent in their order, and sent again after a connection was
 * lost. */
#include "base/log_limit.h"
#include "broker/node/arguments.h"
#include "broker/node/node.h"

/* How long one WAIT may block the connection for commands, and until the next one after a failure. */
enum { WAIT_MS = 200, WAIT_AGAIN_MS = 100 };

struct sending {
  struct link_command command;
  struct list link;   /* in one of broker->publishing */
  struct list expiry; /* in broker->publishing.expiry */
  struct broker *broker;
  uint64_t seq; /* 0: never sent */
  uint64_t due_ms;
  uint64_t position;
  struct epoch epoch;
  int status;
  bool is_sent;   /* it is on the way */
  bool is_unsure; /* it was sent, and a connection was lost before the answer */
  bool is_final;
  bool is_covered;    /* a WAIT was sent after it */
  bool is_replicated; /* enough replicas have it */
  struct broker_history history;
  void (*on_done)(void *context, int status, const struct epoch *epoch, uint64_t position); /* NULL: it was called */
  void *context;
  struct bytes channel, record, key;
  char text[];
};

static struct sending *first_of(const struct list *list) {
  return list_empty(list) ? NULL : container_of(list->next, struct sending, link);
}

static void move(struct sending *sending, struct list *to) {
  list_remove(&sending->link);
  list_append(to, &sending->link);
}

static void on_waited(struct link_command *command, const struct resp_value *reply);

void publishing_init(struct publishing *publishing) {
  struct list *lists[] = {&publishing->waiting, &publishing->again, &publishing->sent,  &publishing->unreplicated,
                          &publishing->ordered, &publishing->done,  &publishing->expiry};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) list_init(lists[i]);
  publishing->wait.on_reply = on_waited;
}

static void sending_free(struct sending *sending) {
  list_remove(&sending->link);
  list_remove(&sending->expiry);
  sending->broker->publishing.count--;
  memory_free(sending);
}

/* Calls on_done, unless it was. The answer may still come. */
static void tell(struct sending *sending, int status) {
  void (*on_done)(void *, int, const struct epoch *, uint64_t) = sending->on_done;
  sending->on_done = NULL;
  list_remove(&sending->expiry);
  if (on_done) on_done(sending->context, status, &sending->epoch, sending->position);
}

/* It is decided; on_done follows. */
static void end(struct sending *sending, int status) {
  sending->status = status;
  list_remove(&sending->expiry);
  move(sending, &sending->broker->publishing.done);
}

/* ---- Answers ---------------------------------------------------------------------------------- */

/* A subscriber of this node receives it before its publisher is told. */
static void await_delivery(struct sending *sending) {
  struct broker *broker = sending->broker;
  const struct channel_link *channel = channels_find(broker, sending->channel);
  if (channel && channel->users > 0 && sending->position > broker->position) {
    move(sending, &broker->publishing.ordered);
  } else {
    end(sending, 0);
  }
}

static void on_ordered(struct sending *sending, uint64_t position) {
  struct broker *broker = sending->broker;
  sending->position = position;
  sending->epoch = broker->epoch;
  node_see(broker, position);
  if (broker->options.replicas > 0)
    move(sending, &broker->publishing.unreplicated);
  else
    await_delivery(sending);
}

/* Returns why it was refused. */
static int failure_of(const struct resp_value *reply) {
  bool is_lost;
  return reply->type == RESP_ERROR ? refusal_read(reply->text, &is_lost) : MW_EBROKER_FAILED;
}

static void on_answer(struct link_command *command, const struct resp_value *reply) {
  struct sending *sending = container_of(command, struct sending, command);
  struct broker *broker = sending->broker;
  enum answer answer = node_answer(broker, reply);
  uint64_t position = 0;
  sending->is_sent = false;
  if (answer == ANSWER_LOST) sending->is_unsure = true;
  if (answer == ANSWER_OK && !resp_u64(resp_item(reply, 1), &position)) answer = ANSWER_FAILED;
  if (!sending->on_done) { /* too late */
    sending_free(sending);
  } else if (answer == ANSWER_OK) {
    refusal_end(broker);
    on_ordered(sending, position);
  } else if (answer == ANSWER_FAILED) {
    end(sending, failure_of(reply));
  } else {
    move(sending, &broker->publishing.again);
  }
  broker->on_event_end(broker);
}

/* ---- Sending ---------------------------------------------------------------------------------- */

static int send_one(struct sending *sending) {
  struct broker *broker = sending->broker;
  sending->is_covered = false;
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", bytes_of(NULL, 0));
  arguments_add_key(&arguments, broker, "s", sending->channel);
  arguments_add_key(&arguments, broker, "c", sending->channel);
  arguments_add_key(&arguments, broker, "n", broker->options.node);
  if (sending->key.len > 0) arguments_add_key(&arguments, broker, "i", sending->key);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add_u64(&arguments, broker->generation);
  arguments_add_u64(&arguments, sending->seq);
  arguments_add_key(&arguments, broker, "m", sending->channel);
  arguments_add(&arguments, sending->record);
  arguments_add_u64(&arguments, sending->history.size);
  arguments_add_u64(&arguments, sending->history.ttl_ms);
  arguments_add_u64(&arguments, broker->options.mark_ttl_s);
  arguments_add(&arguments, sending->is_final ? BYTES("1") : BYTES("0"));
  return arguments_run(&arguments, broker, SCRIPT_PUBLISH, &sending->command);
}

/* ---- Replicas --------------------------------------------------------------------------------- */

static void cover(struct list *list, bool is_covered) {
  for (struct list *link = list->next; link != list; link = link->next)
    container_of(link, struct sending, link)->is_covered = is_covered;
}

/* Enough replicas have what was written before the WAIT. */
static void note_replicated(struct broker *broker) {
  struct publishing *publishing = &broker->publishing;
  for (struct list *link = publishing->unreplicated.next, *next; link != &publishing->unreplicated; link = next) {
    struct sending *sending = container_of(link, struct sending, link);
    next = link->next;
    sending->is_replicated = sending->is_covered;
    if (sending->is_replicated) await_delivery(sending);
  }
  if (publishing->lacks_replicas) log_line(MW_LOG_INFO, "the replicas of redis confirm messages again");
  publishing->lacks_replicas = false;
}

/* Those that it covered were answered before it. */
static void on_waited(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, publishing.wait);
  struct publishing *publishing = &broker->publishing;
  uint64_t count;
  bool is_lost;
  publishing->wait_is_sent = false;
  if (reply && reply->type == RESP_ERROR) {
    refusal_note(broker, reply->text, &is_lost);
    publishing->wait_due_ms = broker->now_ms + WAIT_AGAIN_MS;
  } else if (resp_u64(reply, &count) && count >= broker->options.replicas) {
    note_replicated(broker);
  }
  cover(&publishing->unreplicated, false);
  cover(&publishing->sent, false);
  broker->on_event_end(broker);
}

/* One WAIT after the publishes that were sent. It returns soon, so that what follows on the connection
 * does not wait for a replica, and is sent again until the publishes expire. A connection
 * that is new has written `hello`, so WAIT is about what was published before, too. */
static void ask_replicas(struct broker *broker) {
  struct publishing *publishing = &broker->publishing;
  bool is_needed = !list_empty(&publishing->sent) || !list_empty(&publishing->unreplicated);
  if (broker->options.replicas == 0 || !is_needed || publishing->wait_is_sent) return;
  if (!node_is_up(broker) || publishing->wait_due_ms > broker->now_ms) return;
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add(&arguments, BYTES("WAIT"));
  arguments_add_u64(&arguments, broker->options.replicas);
  arguments_add_u64(&arguments, WAIT_MS);
  if (arguments_send(&arguments, broker, &publishing->wait) < 0) return;
  publishing->wait_is_sent = true;
  cover(&publishing->unreplicated, true);
  cover(&publishing->sent, true);
}

/* ---- Sending more ------------------------------------------------------------------------------ */

/* The script remembers the latest PUBLISHES_MAX of this node. */
static bool has_room(const struct publishing *publishing) {
  const struct sending *oldest = first_of(&publishing->sent);
  return !oldest || publishing->seq - oldest->seq < PUBLISHES_MAX - 1;
}

static void send_publishes(struct broker *broker) {
  struct publishing *publishing = &broker->publishing;
  while (node_is_up(broker)) {
    struct sending *sending = first_of(&publishing->again);
    bool is_new = !sending;
    if (is_new) sending = has_room(publishing) ? first_of(&publishing->waiting) : NULL;
    if (!sending) return;
    if (is_new) sending->seq = publishing->seq + 1;
    if (send_one(sending) < 0) return; /* later */
    if (is_new) publishing->seq++;
    sending->is_sent = true;
    move(sending, &publishing->sent);
  }
}

void publishing_step(struct broker *broker) {
  send_publishes(broker);
  ask_replicas(broker);
}

int broker_publish(struct broker *broker, const struct broker_publish *publish) {
  struct publishing *publishing = &broker->publishing;
  struct bytes channel = publish->channel, record = publish->record, key = publish->key;
  if (broker->is_stopped) return MW_ECLOSED;
  if (record.len > BROKER_RECORD_BYTES_MAX) return MW_ETOOLARGE;
  if (publishing->count >= broker->options.waiting_max) return MW_EWAITING;
  struct sending *sending = memory_calloc(1, sizeof *sending + channel.len + record.len + key.len + 1);
  if (!sending) return MW_ENOMEM;
  *sending = (struct sending){.command.on_reply = on_answer,
                              .broker = broker,
                              .due_ms = broker->now_ms + broker->options.publish_ms,
                              .is_final = publish->is_final,
                              .history = publish->history,
                              .on_done = publish->on_done,
                              .context = publish->context};
  memcpy(sending->text, channel.ptr, channel.len);
  if (record.len > 0) memcpy(sending->text + channel.len, record.ptr, record.len);
  if (key.len > 0) memcpy(sending->text + channel.len + record.len, key.ptr, key.len);
  sending->channel = bytes_of(sending->text, channel.len);
  sending->record = bytes_of(sending->text + channel.len, record.len);
  sending->key = bytes_of(sending->text + channel.len + record.len, key.len);
  list_init(&sending->link);
  list_init(&sending->expiry);
  list_append(&publishing->waiting, &sending->link);
  list_append(&publishing->expiry, &sending->expiry);
  publishing->count++;
  publishing_step(broker);
  return 0;
}

/* ---- The end ---------------------------------------------------------------------------------- */

void publishing_give_up(struct broker *broker) {
  struct list *again = &broker->publishing.again;
  for (struct list *link = again->next, *next; link != again; link = next) {
    next = link->next;
    struct sending *sending = container_of(link, struct sending, link);
    if (sending->is_unsure) end(sending, MW_EBROKER_UNSURE);
  }
}

void publishing_complete_all(struct broker *broker) {
  while (!list_empty(&broker->publishing.unreplicated)) end(first_of(&broker->publishing.unreplicated), MW_EBROKER_UNREPLICATED);
  while (!list_empty(&broker->publishing.ordered)) end(first_of(&broker->publishing.ordered), 0);
}

static void log_lack(struct broker *broker) {
  if (!broker->publishing.lacks_replicas)
    log_line(MW_LOG_WARNING, "too few replicas of redis confirm messages, which may be lost (wait_replicas=%u)",
             broker->options.replicas);
  broker->publishing.lacks_replicas = true;
}

/* A publish has taken too long. */
static void expire(struct sending *sending, int status) {
  bool lacks_replicas = sending->broker->options.replicas > 0 && !sending->is_replicated;
  if (sending->position > 0) status = lacks_replicas ? MW_EBROKER_UNREPLICATED : 0;
  if (status == MW_EBROKER_UNREPLICATED) log_lack(sending->broker);
  tell(sending, status);
  if (!sending->is_sent) sending_free(sending);
}

/* All wait for the same time, so they are in the order of their deadlines. */
void publishing_expire(struct broker *broker) {
  struct list *expiry = &broker->publishing.expiry;
  while (!list_empty(expiry)) {
    struct sending *sending = container_of(expiry->next, struct sending, expiry);
    if (sending->due_ms > broker->now_ms) return;
    expire(sending, sending->is_sent || sending->is_unsure ? MW_EBROKER_UNSURE : node_outage(broker));
  }
}

void publishing_settle(struct broker *broker) {
  struct publishing *publishing = &broker->publishing;
  for (;;) {
    struct sending *sending = first_of(&publishing->ordered);
    if (!sending || sending->position > broker->position) break;
    end(sending, 0);
  }
  while (!list_empty(&publishing->done)) {
    struct sending *sending = first_of(&publishing->done);
    list_remove(&sending->link);
    tell(sending, sending->status);
    sending_free(sending);
  }
}

void publishing_stop(struct broker *broker) {
  struct list *expiry = &broker->publishing.expiry;
  publishing_settle(broker);
  while (!list_empty(expiry)) expire(container_of(expiry->next, struct sending, expiry), MW_ECLOSED);
}

/* ---- Volatile messages ------------------------------------------------------------------------ */

static void on_volatile(struct link_command *command, const struct resp_value *reply) {
  (void)reply;
  memory_free(command);
}

int broker_publish_volatile(struct broker *broker, struct bytes channel, struct bytes record) {
  if (record.len > BROKER_RECORD_BYTES_MAX) return MW_ETOOLARGE;
  if (!node_is_up(broker)) return node_outage(broker);
  struct link_command *command = memory_calloc(1, sizeof *command);
  if (!command) return MW_ENOMEM;
  command->on_reply = on_volatile;
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add(&arguments, BYTES("PUBLISH"));
  arguments_add_key(&arguments, broker, "m", channel);
  buffer_append(&arguments.texts, bytes_of(broker->epoch.text, EPOCH_LEN));
  buffer_append_string(&arguments.texts, " 0 0\n");
  arguments_add(&arguments, record);
  int status = arguments_send(&arguments, broker, command);
  if (status < 0) memory_free(command);
  if (status == MW_ECLOSED) return MW_EBROKER_LOST;
  return status == MW_EUNAVAILABLE ? MW_EBROKER_LATE : status;
}
