/* Commands to all nodes, in a stream that each node reads on from where it was; and leases. */
#include "broker/control.h"

#include "base/log_limit.h"
#include "broker/node/arguments.h"
#include "broker/node/leases.h"
#include "broker/node/node.h"

enum { READ_COUNT = 64, READ_AGAIN_MS = 1000 };

/* Commands that are sent and not answered, so that a burst of one node is not faster than the others
 * read. */
enum { SENT_MAX = READ_COUNT / 2 };

/* 30 days: an id so far ahead is that of another program. The next command removes it. */
#define AHEAD_MAX ((UINT64_C(30) * 24 * 3600 * 1000) << 11)

/* A command, or a lease that is wanted. */
struct controlling {
  struct link_command command;
  struct list link;   /* in one of broker->control */
  struct list expiry; /* in broker->control.expiry, until on_done was called */
  struct broker *broker;
  uint64_t seq; /* 0: never sent */
  uint64_t due_ms;
  bool is_lease; /* otherwise, it is a command */
  bool is_ended; /* of a lease */
  uint64_t holder, lease_ms;
  bool is_sent, is_unsure;
  int status;
  uint64_t left_ms; /* of a lease that another holder has */
  void (*on_done)(void *context, int status);
  void (*on_lease)(void *context, int status, uint64_t left_ms);
  void *context;
  bool is_done;
  struct bytes text; /* the command, or the name of the lease */
  char copy[];
};

void control_init(struct broker *broker) {
  struct control *control = &broker->control;
  struct list *lists[] = {&control->waiting, &control->sent, &control->expiry, &control->ended};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) list_init(lists[i]);
}

static struct controlling *first_of(const struct list *list) {
  return list_empty(list) ? NULL : container_of(list->next, struct controlling, link);
}

static void controlling_free(struct controlling *controlling) {
  list_remove(&controlling->link);
  list_remove(&controlling->expiry);
  controlling->broker->control.count--;
  controlling->broker->control.bytes -= controlling->text.len;
  memory_free(controlling);
}

static void tell(struct controlling *controlling, int status) {
  list_remove(&controlling->expiry);
  controlling->is_done = true;
  if (controlling->on_done) controlling->on_done(controlling->context, status);
  if (controlling->on_lease) controlling->on_lease(controlling->context, status, controlling->left_ms);
}

/* It is decided; on_done follows. */
static void end(struct controlling *controlling, int status) {
  controlling->status = status;
  list_remove(&controlling->expiry);
  list_remove(&controlling->link);
  list_append(&controlling->broker->control.ended, &controlling->link);
}

/* ---- Sending ---------------------------------------------------------------------------------- */

/* Sets left_ms if another holder has it. */
static int read_lease(struct controlling *controlling, const struct resp_value *reply) {
  const struct broker *broker = controlling->broker;
  uint64_t is_held;
  if (!resp_u64(resp_item(reply, 1), &is_held)) return MW_EUNAVAILABLE;
  if (is_held == 0 && !resp_u64(resp_item(reply, 2), &controlling->left_ms)) return MW_EUNAVAILABLE;
  if (is_held == 0) return controlling->left_ms > 0 ? 0 : MW_EUNAVAILABLE;
  /* The answer comes so late that another node may have the lease by now. */
  bool is_late =
      !controlling->is_ended && controlling->due_ms - broker->options.publish_ms + controlling->lease_ms <= broker->now_ms;
  return is_late ? MW_EUNAVAILABLE : 0;
}

static void note_lost(const struct controlling *controlling) {
  struct broker_lease lease = {.name = controlling->text, .holder = controlling->holder};
  leases_note(controlling->broker, &lease, false);
}

/* What must be sent again comes before those that wait, in order. */
static void put_back(struct controlling *controlling) {
  struct list *at = controlling->broker->control.waiting.next;
  while (at != &controlling->broker->control.waiting) {
    const struct controlling *other = container_of(at, struct controlling, link);
    if (other->seq == 0 || other->seq > controlling->seq) break;
    at = at->next;
  }
  list_remove(&controlling->link);
  list_append(at, &controlling->link);
}

static void on_answer(struct link_command *command, const struct resp_value *reply) {
  struct controlling *controlling = container_of(command, struct controlling, command);
  struct broker *broker = controlling->broker;
  enum answer answer = node_answer(broker, reply);
  int status = answer == ANSWER_OK && controlling->is_lease ? read_lease(controlling, reply) : 0;
  controlling->is_sent = false;
  broker->control.sent_count--;
  if (answer == ANSWER_LOST) controlling->is_unsure = true;
  if (controlling->left_ms > 0) note_lost(controlling);
  if (controlling->is_done) { /* too late */
    controlling_free(controlling);
  } else if (answer == ANSWER_OK) {
    end(controlling, status);
  } else if (answer == ANSWER_FAILED) {
    end(controlling, MW_EUNAVAILABLE);
  } else {
    put_back(controlling);
  }
  broker->on_event_end(broker);
}

static int send_lease(struct controlling *controlling) {
  struct broker *broker = controlling->broker;
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", bytes_of(NULL, 0));
  arguments_add_key(&arguments, broker, "o", controlling->text);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  leases_add_holder(&arguments, broker, controlling->holder);
  arguments_add_u64(&arguments, controlling->lease_ms);
  return arguments_run(&arguments, broker, SCRIPT_LEASE, &controlling->command);
}

static int send_command(struct controlling *controlling) {
  struct broker *broker = controlling->broker;
  struct bytes none = bytes_of(NULL, 0);
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", none);
  arguments_add_key(&arguments, broker, "n", broker->options.node);
  arguments_add_key(&arguments, broker, "x", none);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, broker->options.node);
  arguments_add_u64(&arguments, broker->generation);
  arguments_add_u64(&arguments, controlling->seq);
  arguments_add(&arguments, bytes_of(broker->all, broker->all_len));
  arguments_add(&arguments, controlling->text);
  arguments_add_u64(&arguments, BROKER_CONTROLS_MAX);
  arguments_add_u64(&arguments, BROKER_CONTROLS_MS);
  return arguments_run(&arguments, broker, SCRIPT_CONTROL, &controlling->command);
}

static bool send_first(struct broker *broker) {
  struct control *control = &broker->control;
  struct controlling *controlling = first_of(&control->waiting);
  if (!controlling || control->sent_count >= SENT_MAX) return false;
  bool is_new = controlling->seq == 0;
  if (is_new) controlling->seq = control->seq + 1;
  if ((controlling->is_lease ? send_lease(controlling) : send_command(controlling)) < 0) {
    if (is_new) controlling->seq = 0;
    return false;
  }
  if (is_new) control->seq++;
  controlling->is_sent = true;
  control->sent_count++;
  list_remove(&controlling->link);
  list_append(&control->sent, &controlling->link);
  return true;
}

/* ---- Reading ---------------------------------------------------------------------------------- */

static bool read_position(struct bytes id, uint64_t *position) {
  size_t len = bytes_find(id, '-');
  return bytes_to_u64(bytes_of(id.ptr, len), position) && *position <= POSITION_MAX;
}

/* Takes what follows the node's position: the id of an entry, and the fields b, o, and m. */
static bool take_entry(struct broker *broker, const struct resp_value *entry, bool is_first) {
  struct control *control = &broker->control;
  const struct resp_value *fields = resp_item(entry, 1);
  uint64_t position, before;
  if (!read_position(resp_text(resp_item(entry, 0)), &position) || position <= control->position) return false;
  if (position > broker->position && position - broker->position > AHEAD_MAX) return false;
  bool is_whole = fields && fields->count == 6 && resp_u64(resp_item(fields, 1), &before);
  bool has_missed = is_first && is_whole && before > control->position;
  control->position = position;
  node_see(broker, position);
  if (has_missed) {
    log_limited(MW_LOG_ERROR, "commands of other nodes were dropped before this node read them; disconnecting every client");
    broker->sink->miss_commands(broker->context);
  }
  if (!is_whole) {
    log_limited(MW_LOG_WARNING, "ignored an entry in redis that is not a command");
  } else if (!bytes_equal(resp_text(resp_item(fields, 3)), broker->options.node)) {
    broker->sink->command(broker->context, resp_text(resp_item(fields, 5)));
  }
  return true;
}

static void on_read(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, control.read);
  struct control *control = &broker->control;
  control->is_reading = false;
  if (reply && reply->type == RESP_ARRAY) {
    bool is_good = true;
    for (size_t i = 0; i < reply->count && is_good; i++) is_good = take_entry(broker, reply->items[i], i == 0);
    if (reply->count == READ_COUNT && is_good) control->must_read = true;
  } else if (reply) {
    log_limited(MW_LOG_WARNING, "redis did not read commands: %.*s", (int)reply->text.len, reply->text.ptr);
    control->read_due_ms = broker->now_ms + READ_AGAIN_MS;
    control->must_read = true;
  } else {
    control->must_read = true;
  }
  broker->on_event_end(broker);
}

static void read_some(struct broker *broker) {
  struct control *control = &broker->control;
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add(&arguments, BYTES("XRANGE"));
  arguments_add_key(&arguments, broker, "x", bytes_of(NULL, 0));
  buffer_append_char(&arguments.texts, '(');
  buffer_append_u64(&arguments.texts, control->position);
  arguments_add(&arguments, BYTES("-0"));
  arguments_add(&arguments, BYTES("+"));
  arguments_add(&arguments, BYTES("COUNT"));
  arguments_add_u64(&arguments, READ_COUNT);
  control->read.on_reply = on_read;
  if (arguments_send(&arguments, broker, &control->read) < 0) return;
  control->is_reading = true;
  control->must_read = false;
}

void control_begin(struct broker *broker, uint64_t position) {
  if (broker->control.position == 0) broker->control.position = position;
}

void control_step(struct broker *broker) {
  struct control *control = &broker->control;
  while (node_is_up(broker) && send_first(broker)) continue;
  bool may_read = control->is_subscribed && !control->is_reading && control->read_due_ms <= broker->now_ms;
  if (node_is_up(broker) && may_read && control->must_read) read_some(broker);
}

/* ---- Ends ------------------------------------------------------------------------------------- */

void control_give_up(struct broker *broker) {
  struct list *waiting = &broker->control.waiting;
  for (struct list *link = waiting->next, *next; link != waiting; link = next) {
    next = link->next;
    struct controlling *controlling = container_of(link, struct controlling, link);
    if (controlling->is_unsure && !controlling->is_lease) end(controlling, MW_EUNAVAILABLE);
  }
}

static void expire_first(struct broker *broker, int status) {
  struct controlling *controlling = container_of(broker->control.expiry.next, struct controlling, expiry);
  tell(controlling, status);
  if (!controlling->is_sent) controlling_free(controlling);
}

void control_expire(struct broker *broker) {
  struct list *expiry = &broker->control.expiry;
  while (!list_empty(expiry) && container_of(expiry->next, struct controlling, expiry)->due_ms <= broker->now_ms)
    expire_first(broker, MW_EUNAVAILABLE);
}

void control_settle(struct broker *broker) {
  struct list *ended = &broker->control.ended;
  while (!list_empty(ended)) {
    struct controlling *controlling = first_of(ended);
    list_remove(&controlling->link);
    tell(controlling, controlling->status);
    controlling_free(controlling);
  }
}

void control_stop(struct broker *broker) {
  control_settle(broker);
  while (!list_empty(&broker->control.expiry)) expire_first(broker, MW_ECLOSED);
}

/* ---- The public functions --------------------------------------------------------------------- */

/* Takes the rest from `how`. */
static int put(struct broker *broker, struct bytes text, const struct controlling *how) {
  struct control *control = &broker->control;
  if (broker->is_stopped || broker->is_leaving) return MW_ECLOSED;
  if (control->count >= broker->options.waiting_max) return MW_EUNAVAILABLE;
  if (control->bytes + text.len > BROKER_CONTROL_WAITING) return MW_EUNAVAILABLE;
  struct controlling *controlling = memory_calloc(1, sizeof *controlling + text.len + 1);
  if (!controlling) return MW_ENOMEM;
  *controlling = *how;
  controlling->command.on_reply = on_answer;
  controlling->broker = broker;
  controlling->due_ms = broker->now_ms + broker->options.publish_ms;
  if (text.len > 0) memcpy(controlling->copy, text.ptr, text.len);
  controlling->text = bytes_of(controlling->copy, text.len);
  list_append(&control->waiting, &controlling->link);
  list_append(&control->expiry, &controlling->expiry);
  control->count++;
  control->bytes += text.len;
  control_step(broker);
  return 0;
}

int broker_control(struct broker *broker, struct bytes command, void (*on_done)(void *context, int status), void *context) {
  struct controlling how = {.on_done = on_done, .context = context};
  return command.len > BROKER_CONTROL_BYTES_MAX ? MW_ETOOLARGE : put(broker, command, &how);
}

int broker_lease(struct broker *broker, const struct broker_lease *lease,
                 void (*on_done)(void *context, int status, uint64_t left_ms), void *context) {
  struct controlling how = {.is_lease = true,
                            .is_ended = lease->is_ended,
                            .holder = lease->holder,
                            .lease_ms = lease->ms,
                            .on_lease = on_done,
                            .context = context};
  int status = put(broker, lease->name, &how);
  leases_note(broker, lease, status == 0 && !lease->is_ended);
  return status;
}
