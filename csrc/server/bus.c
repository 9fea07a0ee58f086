#include "server/bus.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "server/bus_entry.h"

/* Relaxed, because whoever encodes a message by it checks it again under the lock. */
struct epoch bus_epoch(struct bus *bus) {
  struct epoch epoch;
  uint_least64_t text = atomic_load_explicit(&bus->epoch, memory_order_relaxed);
  memcpy(epoch.text, &text, EPOCH_LEN);
  return epoch;
}

static void set_epoch(struct bus *bus, const struct epoch *epoch) {
  uint_least64_t text;
  memcpy(&text, epoch->text, EPOCH_LEN);
  atomic_store_explicit(&bus->epoch, text, memory_order_relaxed);
}

int bus_init(struct bus *bus, const struct epoch *epoch, uint64_t position) {
  struct epoch first;
  *bus = (struct bus){.position = position};
  if (epoch) first = *epoch;
  if (!epoch) epoch_init(&first);
  set_epoch(bus, &first);
  form_users_init(&bus->forms);
  atomic_init(&bus->published, 0);
  atomic_init(&bus->thread, NULL);
  return lock_init(&bus->lock);
}

void bus_deinit(struct bus *bus) { lock_deinit(&bus->lock); }

/* Relaxed, because a thread finds its own address there only if it stored it itself. */
static _Thread_local const char this_thread;
void bus_enter(struct bus *bus) { atomic_store_explicit(&bus->thread, &this_thread, memory_order_relaxed); }
static bool is_entered(struct bus *bus) { return atomic_load_explicit(&bus->thread, memory_order_relaxed) == &this_thread; }

/* Called without the lock: a sink of the log may take its time. */
static void tell_full(struct mw_server *server, const char *what, size_t worker) {
  limit_count(&server->app.limits, MW_LIMIT_QUEUE);
  log_limited(MW_LOG_WARNING, "refused %s: limits.queue reached (worker=%zu)", what, worker);
}

static void drop_message(struct mail *mail) { message_unref(message_of_mail(mail)); }

static void take_message(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct worker *worker = worker_of_room(room);
  struct message *message = message_of_mail(mail);
  hub_publish(&worker->hub, message, message->policy);
  message_unref(message);
}

static const struct mail_class message_class = {.take = take_message, .drop = drop_message};

static void drop_roster(struct mail *mail) { roster_batch_unref(roster_batch_of_mail(mail)); }

static void take_roster(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct worker *worker = worker_of_room(room);
  struct mw_server *server = worker->server;
  struct roster_batch *batch = roster_batch_of_mail(mail);
  bool is_kept = hub_update_roster(&worker->hub, batch, batch->policy);
  if (!is_kept) atomic_fetch_add(&server->script.rosters_lost, 1);
  roster_batch_unref(batch);
}

static const struct mail_class roster_class = {.take = take_roster, .drop = drop_roster};

/* Where a message is put. */
struct placing {
  bool keep;                 /* it has a position: the next one, or */
  uint64_t position, before; /* that of a broker, and that of the message before it in its channel; 0: none */
};

/* Called with the lock. */
static void place(struct mw_server *server, struct message *message, const struct placing *placing, uint64_t wall_ms) {
  struct bus *bus = &server->bus;
  message->after = bus->position;
  if (placing->keep) {
    bus->position = message->position = placing->position ? placing->position : position_next(bus->position, wall_ms);
    message->before = placing->before;
  }
  message->time_ms = position_time_ms(message->position);
}

/* Takes the message. */
static int send_message(struct mw_server *server, struct message *message, const struct placing *placing, struct since *placed) {
  struct bus *bus = &server->bus;
  struct form_draft drafts[FORM_USERS_MAX];
  size_t full = 0;
  bool is_shared = server->store.lock.is_shared;
  /* Encoded before the lock is taken. */
  struct epoch epoch = bus_epoch(bus), now;
  size_t draft_count = form_users_draft(&bus->forms, message, &epoch, placing->keep, drafts);
  uint32_t size = mail_size(message_size(message));
  bus_entry_address(message->mails, message->mail_count, &message_class, size);
  uint64_t wall_ms = server->store.clock->wall_ms;
  lock_take(&bus->lock);
  int status = bus_reserve(server->workers, server->worker_count, size, &full);
  now = bus_epoch(bus);
  if (memcmp(&epoch, &now, sizeof epoch) != 0) { /* encoded in vain */
    while (draft_count > 0) form_free(drafts[--draft_count].form);
  }
  if (status == 0) {
    place(server, message, placing, wall_ms);
    *placed = since_at(&now, message->position);
    for (size_t i = 0; i < draft_count; i++) {
      if (!drafts[i].form) continue;
      form_draft_place(&drafts[i], message->position);
      message_add_form(message, drafts[i].form);
    }
    /* Before any worker has it: then all read the same, and the script reads what it has
     * published. */
    if (placing->keep && is_shared) store_put(&server->store, NULL, message, message->policy);
    for (size_t i = 0; i < server->worker_count; i++) message_ref(message);
    bus_post_reserved(server->workers, message->mails, server->worker_count);
  }
  lock_release(&bus->lock);
  if (status < 0) {
    tell_full(server, placing->position ? "a message of the broker" : "a publish", full);
    for (size_t i = 0; i < draft_count; i++) form_free(drafts[i].form);
    store_break_promise(&server->store, message);
  } else {
    /* Relaxed, because only statistics read it. */
    atomic_fetch_add_explicit(&bus->published, 1, memory_order_relaxed);
  }
  message_unref(message);
  return status;
}

int bus_publish(struct mw_server *server, struct message *message, bool keep, struct since *placed) {
  int status = 0;
  /* A store that is not shared belongs to that thread: no other can ask it for room. */
  if (keep && (server->store.lock.is_shared || is_entered(&server->bus)))
    status = store_promise(&server->store, message, message->policy);
  if (status == 0) return send_message(server, message, &(struct placing){.keep = keep}, placed);
  message_unref(message);
  return status;
}

int bus_deliver(struct mw_server *server, const struct message_parts *parts, uint64_t position, uint64_t before) {
  struct placing placing = {.keep = position > 0, .position = position, .before = before};
  struct mw_config *config = app_hold_config(&server->app);
  const struct kind *kind = config_kind(config, parts->channel);
  struct message *message = kind ? message_new_mailed(&kind->policy, parts, server->worker_count) : NULL;
  mw_config_unref(config);
  /* No client can be in a channel of an earlier configuration that the present one does not have. */
  if (!kind) return position > 0 ? bus_reach(server, position) : 0;
  if (!message) return MW_ENOMEM;
  if (!server->is_threaded) bus_make_room(server, message_size(message));
  struct since placed;
  return send_message(server, message, &placing, &placed);
}

int bus_update_roster(struct mw_server *server, struct roster_batch *batch) {
  uint32_t size = mail_size(roster_batch_size(batch));
  bus_entry_address(batch->mails, batch->mail_count, &roster_class, size);
  size_t full = 0;
  lock_take(&server->bus.lock);
  int status = bus_reserve(server->workers, server->worker_count, size, &full);
  if (status == 0) {
    for (size_t i = 0; i < server->worker_count; i++) roster_batch_ref(batch);
    bus_post_reserved(server->workers, batch->mails, server->worker_count);
  }
  lock_release(&server->bus.lock);
  if (status < 0) tell_full(server, "changes of members", full);
  return status;
}

/* ---- What every worker takes once ------------------------------------------------------------ */

static void take_retired(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  (void)subscriber;
  bus_entry_drop(mail);
}

static const struct mail_class retired_class = {.take = take_retired, .drop = bus_entry_drop};

/* Releases a configuration when every worker has taken this entry once more: until then, one may
 * still use what it has read of it. */
static void retire_config(struct mw_server *server, struct bus_entry *entry, struct mw_config *config) {
  size_t count = entry->worker_count;
  struct mail *mails = entry->mails;
  mw_config_unref(entry->config);
  entry->config = config;
  bus_entry_address(mails, count, &retired_class, 0);
  atomic_store(&entry->left, count);
  for (size_t i = 0; i < count; i++) mailbox_post(&server->workers[i].mailbox, &mails[i]);
}

/* Puts a configuration in place. Returns the earlier one, as app_set_config does. */
static struct mw_config *use_config(struct mw_server *server, struct mw_config *config) {
  struct mw_config *before = app_set_config(&server->app, config);
  struct store_bounds bounds = server_bounds(server);
  store_set_bounds(&server->store, &bounds);
  mailbox_set_limit(&server->script.queue, config->options.limits.queue);
  return before;
}

/* Each worker takes over the limits that it keeps itself. The last one puts the configuration in
 * place. */
static void take_config(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct worker *worker = worker_of_room(room);
  struct bus_entry *entry = bus_entry_of(mail);
  worker_use_config(worker, entry->config);
  if (bus_entry_leave(entry) > 1) return;
  retire_config(worker->server, entry, use_config(worker->server, entry->config));
}

static const struct mail_class config_class = {.take = take_config, .drop = bus_entry_drop};

/* The server keeps the connections that it began with. */
static bool has_other_broker(struct mw_server *server, const struct mw_config *config) {
  struct mw_config *now = app_hold_config(&server->app);
  bool is_other = !broker_config_equal(now->broker, config->broker);
  mw_config_unref(now);
  return is_other;
}

int bus_set_config(struct mw_server *server, struct mw_config *config) {
  if (has_other_broker(server, config)) {
    log_line(MW_LOG_ERROR, "refused a new configuration: it has another broker; restart the server to change it");
    return MW_EINVAL;
  }
  struct bus_entry *entry = bus_entry_new(server->worker_count, &config_class, bytes_of(NULL, 0));
  if (!entry) return MW_ENOMEM;
  entry->config = config_ref(config);
  size_t full = 0;
  lock_take(&server->bus.lock);
  int status = bus_entry_post(server, entry, &full);
  lock_release(&server->bus.lock);
  if (status < 0) tell_full(server, "a configuration", full);
  if (status < 0) bus_entry_free(entry);
  return status;
}

/* The first worker restarts the store, which there is once. */
static void take_epoch(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct worker *worker = worker_of_room(room);
  struct bus_entry *entry = bus_entry_of(mail);
  worker->epoch = entry->epoch;
  uint64_t position = entry->position;
  size_t worker_count = entry->worker_count, left = bus_entry_leave(entry);
  if (left == worker_count && !worker->hub.store->lock.is_shared) store_restart(worker->hub.store, position);
  if (left == 1) bus_entry_free(entry);
  hub_restart(&worker->hub, position);
}

static const struct mail_class epoch_class = {.take = take_epoch, .drop = bus_entry_drop};

int bus_begin_epoch(struct mw_server *server, const struct epoch *epoch, uint64_t position) {
  struct bus_entry *entry = bus_entry_new(server->worker_count, &epoch_class, bytes_of(NULL, 0));
  if (!entry) return MW_ENOMEM;
  entry->epoch = *epoch;
  entry->position = position;
  size_t full = 0;
  lock_take(&server->bus.lock);
  int status = bus_entry_post(server, entry, &full);
  if (status == 0) {
    set_epoch(&server->bus, epoch);
    server->bus.position = position;
    if (server->store.lock.is_shared) store_restart(&server->store, position);
  }
  lock_release(&server->bus.lock);
  if (status < 0) tell_full(server, "an epoch", full);
  if (status < 0) bus_entry_free(entry);
  return status;
}
