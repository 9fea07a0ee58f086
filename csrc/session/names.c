#include "session/names.h"

#include "session/session.h"

/* Indexes of stored->charged. */
enum { TO_ADDRESS, TO_CLIENT };

static const struct mw_limits *names_limits(const struct app *app) { return &app->config->options.limits; }

/* The bound if the channel is held in any case. */
static size_t any_number(size_t limit) { return limit > 0 ? SIZE_MAX : 0; }

/* The client of the subscriber, if it has been made. */
static struct mw_client *names_client(const struct subscriber *subscriber) {
  const struct session *session = session_of(subscriber);
  return session ? session->client : NULL;
}

static struct party_key address_of(struct subscriber *subscriber) {
  char remote[REMOTE_MAX];
  session_ops(subscriber)->remote(subscriber, remote, sizeof remote);
  return party_key_of_address(remote);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

bool names_allow(struct subscriber *subscriber, const struct mw_client *client, struct job_channel *channels, size_t count) {
  struct app *app = http_of(subscriber)->app;
  struct store *store = http_of(subscriber)->delivery->hub->store;
  size_t max = names_limits(app)->address_names, new_count = 0;
  store_lock(store);
  for (size_t i = 0; i < count; i++) {
    channels[i].is_new = !store_find(store, channels[i].name);
    new_count += channels[i].is_new;
  }
  store_unlock(store);
  if (new_count == 0) return true;
  struct party_key address = address_of(subscriber);
  if (!party_has_room(&app->parties, &address, PARTY_NAMES, new_count, max)) {
    name_hold_note_refusal(app, MW_LIMIT_ADDRESS_NAMES, max);
    return false;
  }
  return name_hold_allows(app, client ? client : names_client(subscriber), new_count);
}

/* ---- Charging -------------------------------------------------------------------------------- */

/* Returns a negative status if it is not charged, or may not be. Called with the lock of the
 * store. */
static int charge_name(struct app *app, struct stored *stored, int to, const struct party_key *key, size_t max) {
  struct party *party;
  if (stored->charged[to]) return 0;
  int status = party_take(&app->parties, key, PARTY_NAMES, 1, max, &party);
  stored->charged[to] = party;
  return status;
}

static int charge_address(struct subscriber *subscriber, const struct mw_client *client, struct subscription *subscription) {
  struct app *app = http_of(subscriber)->app;
  struct channel *channel = subscription->channel;
  /* Another client has named it in the meantime. */
  if (channel->stored->charged[TO_ADDRESS] || channel->inventor) return 0;
  if (!name_hold_allows(app, client ? client : names_client(subscriber), 1)) return MW_ELIMIT;
  struct party_key address = address_of(subscriber);
  int status = charge_name(app, channel->stored, TO_ADDRESS, &address, names_limits(app)->address_names);
  if (status == MW_ELIMIT) name_hold_note_refusal(app, MW_LIMIT_ADDRESS_NAMES, names_limits(app)->address_names);
  if (status == 0) channel->inventor = subscription;
  return status;
}

int names_charge(struct subscriber *subscriber, const struct mw_client *client, struct subscription *subscription) {
  struct store *store = http_of(subscriber)->delivery->hub->store;
  store_lock(store);
  int status = charge_address(subscriber, client, subscription);
  store_unlock(store);
  return status;
}

/* If out of memory, nothing is charged: the message was accepted, and can no longer be refused. */
static void charge_client(struct app *app, struct stored *stored, const struct mw_client *client) {
  struct party_key key = party_key_of_client(client);
  charge_name(app, stored, TO_CLIENT, &key, any_number(names_limits(app)->client_names));
}

static void charge_sender(struct subscriber *subscriber, const struct script_job *job) {
  struct app *app = http_of(subscriber)->app;
  struct hub *hub = http_of(subscriber)->delivery->hub;
  struct bytes name = job->channels[0].name;
  struct stored *stored = store_find(hub->store, name);
  const struct channel *channel = hub_find(hub, name);
  if (!job->channels[0].is_new || !stored || (channel && channel->inventor)) return;
  struct party_key address = address_of(subscriber);
  charge_name(app, stored, TO_ADDRESS, &address, any_number(names_limits(app)->address_names));
  /* An anonymous sender no longer exists when its message is sent. */
  if (job->client->user_id) charge_client(app, stored, job->client);
}

void names_charge_sender(struct subscriber *subscriber, const struct script_job *job) {
  struct store *store = http_of(subscriber)->delivery->hub->store;
  store_lock(store);
  charge_sender(subscriber, job);
  store_unlock(store);
}

/* True if it outlives the subscription: here, in the store, or on another worker. */
static bool lives_on(const struct channel *channel) {
  const struct stored *stored = channel->stored;
  return channel->subscription_count > 1 || channel->roster || stored->history.count > 0 || stored->users > 1;
}

void names_leave(struct subscriber *subscriber, struct subscription *subscription, bool stays) {
  struct channel *channel = subscription->channel;
  if (!channel || channel->inventor != subscription) return;
  struct store *store = http_of(subscriber)->delivery->hub->store;
  channel->inventor = NULL;
  store_lock(store);
  bool stays_charged = lives_on(channel);
  store_unlock(store);
  if (!stays_charged) return;
  bool has_identity = stays && session_ops(subscriber)->is_open(subscriber);
  struct mw_client *client = has_identity ? session_client(subscriber) : names_client(subscriber);
  /* Anonymous clients are charged by connection, which ends. */
  if (!client || (!stays && !client->user_id)) return;
  store_lock(store);
  charge_client(http_of(subscriber)->app, channel->stored, client);
  store_unlock(store);
}

void names_forget(struct app *app, struct stored *stored) {
  for (size_t i = 0; i < 2; i++) party_release(&app->parties, stored->charged[i], PARTY_NAMES, 1);
}
