/* Publishes of this node: numbered, sent in their order, and sent again after a connection was
 * lost. */
#include "base/log_limit.h"
#include "broker/node/arguments.h"
#include "broker/node/node.h"

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

void publishing_init(struct publishing *publishing) {
  struct list *lists[] = {&publishing->waiting, &publishing->again, &publishing->sent,
                          &publishing->ordered, &publishing->done,  &publishing->expiry};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) list_init(lists[i]);
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
static void on_ordered(struct sending *sending, uint64_t position) {
  struct broker *broker = sending->broker;
  const struct channel_link *channel = channels_find(broker, sending->channel);
  sending->position = position;
  sending->epoch = broker->epoch;
  node_see(broker, position);
  if (channel && channel->users > 0 && position > broker->position) {
    move(sending, &broker->publishing.ordered);
  } else {
    end(sending, 0);
  }
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
    on_ordered(sending, position);
  } else if (answer == ANSWER_FAILED) {
    end(sending, MW_EUNAVAILABLE);
  } else {
    move(sending, &broker->publishing.again);
  }
  broker->on_event_end(broker);
}

/* ---- Sending ---------------------------------------------------------------------------------- */

static int send_one(struct sending *sending) {
  struct broker *broker = sending->broker;
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

/* The script remembers the latest PUBLISHES_MAX of this node. */
static bool has_room(const struct publishing *publishing) {
  const struct sending *oldest = first_of(&publishing->sent);
  return !oldest || publishing->seq - oldest->seq < PUBLISHES_MAX - 1;
}

void publishing_step(struct broker *broker) {
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

int broker_publish(struct broker *broker, const struct broker_publish *publish) {
  struct publishing *publishing = &broker->publishing;
  struct bytes channel = publish->channel, record = publish->record, key = publish->key;
  if (broker->is_stopped) return MW_ECLOSED;
  if (record.len > BROKER_RECORD_BYTES_MAX) return MW_ETOOLARGE;
  if (publishing->count >= broker->options.waiting_max) return MW_EUNAVAILABLE;
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
    if (sending->is_unsure) end(sending, MW_EUNAVAILABLE);
  }
}

void publishing_complete_all(struct broker *broker) {
  while (!list_empty(&broker->publishing.ordered)) end(first_of(&broker->publishing.ordered), 0);
}

/* The time of one is over. */
static void expire(struct sending *sending, int status) {
  if (sending->position > 0) status = 0; /* it was published */
  tell(sending, status);
  if (!sending->is_sent) sending_free(sending);
}

/* All wait for the same time, so they are in the order of their deadlines. */
void publishing_expire(struct broker *broker) {
  struct list *expiry = &broker->publishing.expiry;
  while (!list_empty(expiry)) {
    struct sending *sending = container_of(expiry->next, struct sending, expiry);
    if (sending->due_ms > broker->now_ms) return;
    expire(sending, MW_EUNAVAILABLE);
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
  if (!node_is_up(broker)) return MW_EUNAVAILABLE;
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
  return status == MW_ECLOSED ? MW_EUNAVAILABLE : status;
}
