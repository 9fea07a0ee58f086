#define _XOPEN_SOURCE 700

#include "test/support/agreement.h"

#include <stdio.h>
#include <string.h>

#include "delivery/subscriber.h"
#include "http/http1/http1.h"
#include "script/open_channel.h"
#include "server/server.h"
#include "session/session.h"

static struct agreement_entry *find(struct agreement *agreement, const char *client, const char *channel) {
  for (size_t i = 0; i < agreement->count; i++) {
    struct agreement_entry *entry = &agreement->entries[i];
    if (strcmp(entry->client, client) == 0 && strcmp(entry->channel, channel) == 0) return entry;
  }
  return NULL;
}

/* Returns NULL if there is no room. Entries that are no longer used are reused. */
static struct agreement_entry *find_or_make(struct agreement *agreement, const char *client, const char *channel) {
  struct agreement_entry *entry = find(agreement, client, channel);
  for (size_t i = 0; !entry && i < agreement->count; i++) {
    if (agreement->entries[i].count == 0) entry = &agreement->entries[i];
  }
  if (!entry && agreement->count < AGREEMENT_MAX) entry = &agreement->entries[agreement->count++];
  if (!entry) return NULL;
  if (strcmp(entry->client, client) != 0 || strcmp(entry->channel, channel) != 0) {
    *entry = (struct agreement_entry){.count = 0};
    snprintf(entry->client, sizeof entry->client, "%s", client);
    snprintf(entry->channel, sizeof entry->channel, "%s", channel);
  }
  return entry;
}

static void copy_id(char *out, size_t size, const struct mw_client *client) {
  struct mw_bytes id = client ? mw_client_id(client) : (struct mw_bytes){"", 0};
  snprintf(out, size, "%.*s", (int)id.len, id.ptr);
}

bool agreement_accept(struct agreement *agreement, const struct mw_request *request, struct agreement_entry *noted) {
  enum mw_request_type type = mw_request_type(request);
  bool begins = type == MW_REQUEST_JOIN || type == MW_REQUEST_CONNECT || type == MW_REQUEST_OPEN;
  bool ends = type == MW_REQUEST_LEAVE || type == MW_REQUEST_DISCONNECT || type == MW_REQUEST_CLOSE;
  struct mw_bytes channel = mw_request_channel(request);
  *noted = (struct agreement_entry){.count = begins ? 1 : ends ? -1 : 0};
  if (noted->count == 0) return true;
  if (type != MW_REQUEST_OPEN && type != MW_REQUEST_CLOSE)
    copy_id(noted->client, sizeof noted->client, mw_request_client(request));
  snprintf(noted->channel, sizeof noted->channel, "%.*s", (int)channel.len, channel.ptr ? channel.ptr : "");
  struct agreement_entry *entry = find_or_make(agreement, noted->client, noted->channel);
  if (!entry) return false;
  entry->count += noted->count;
  return entry->count == 0 || entry->count == 1;
}

void agreement_take_back(struct agreement *agreement, const struct agreement_entry *noted) {
  struct agreement_entry *entry = find(agreement, noted->client, noted->channel);
  if (entry) entry->count -= noted->count;
}

/* ---- What is subscribed ---------------------------------------------------------------------- */

static char fault[200];

static const char *say(const char *what, const char *client, struct bytes channel) {
  snprintf(fault, sizeof fault, "%s: client '%s', channel '%.*s'", what, client, (int)channel.len,
           channel.ptr ? channel.ptr : "");
  return fault;
}

/* Returns the nth subscriber of a worker: connections first, then clients that poll. After the last:
 * NULL, and *n is less by their number. */
static struct subscriber *nth_of_worker(const struct worker *worker, size_t *n) {
  const struct list *lists[] = {&worker->http.conns, &worker->transport.polls.busy, &worker->transport.polls.idle};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    for (struct list *link = lists[i]->next; link != lists[i]; link = link->next) {
      struct conn *conn = i == 0 ? container_of(link, struct conn, link) : NULL;
      /* a request of another worker is no subscriber */
      if (conn && conn_class_of(conn)->protocol != &http1_protocol) continue;
      if ((*n)-- > 0) continue;
      return conn ? &http1_exchange(conn)->subscriber : &container_of(link, struct poll_client, link)->subscriber;
    }
  }
  return NULL;
}

/* Returns the nth subscriber of a server, or NULL after the last. */
static struct subscriber *nth_subscriber(const struct mw_server *server, size_t n) {
  struct subscriber *found = NULL;
  for (size_t i = 0; !found && i < server->worker_count; i++) found = nth_of_worker(&server->workers[i], &n);
  return found;
}

/* Returns true for a session that the app may know. *id receives its client id, or is empty if the
 * app never received the client. */
static bool is_session(struct subscriber *subscriber, char *id, size_t size) {
  const struct session *session = session_of(subscriber);
  id[0] = '\0';
  if (!session_ops(subscriber)->is_open(subscriber) || (session && session->is_raw)) return false;
  if (session) copy_id(id, size, session->client);
  return true;
}

static const char *check_session(struct agreement *agreement, struct subscriber *subscriber, const struct mw_config *config) {
  char id[32], name[256];
  if (!is_session(subscriber, id, sizeof id)) return NULL;
  const struct agreement_entry *connected = find(agreement, id, "");
  if (config->options.connects && id[0] && !session_ops(subscriber)->is_connecting(subscriber) &&
      (!connected || connected->count != 1))
    return say("there, but not connected for the app", id, bytes_of(NULL, 0));
  uint32_t count = 0;
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    struct bytes channel = subscription->channel->name;
    count++;
    if (!(config->kinds[subscription->channel->policy->kind].hooks & MW_HOOK_JOIN)) continue;
    snprintf(name, sizeof name, "%.*s", (int)channel.len, channel.ptr);
    const struct agreement_entry *entry = find(agreement, id, name);
    if (!entry || entry->count != 1) return say("subscribed, but left for the app", id, channel);
  }
  return count == subscriber->subscription_count ? NULL : say("wrong count of subscriptions", id, bytes_of(NULL, 0));
}

static struct subscriber *find_session(struct mw_server *server, const char *client) {
  char id[32];
  struct subscriber *subscriber;
  for (size_t i = 0; (subscriber = nth_subscriber(server, i)); i++) {
    if (is_session(subscriber, id, sizeof id) && strcmp(id, client) == 0) return subscriber;
  }
  return NULL;
}

/* Returns the number of sessions that are subscribed to a channel. */
static size_t count_sessions(struct mw_server *server, struct bytes channel) {
  size_t count = 0;
  char id[32];
  struct subscriber *subscriber;
  for (size_t i = 0; (subscriber = nth_subscriber(server, i)); i++) {
    if (is_session(subscriber, id, sizeof id) && subscriber_find(subscriber, channel)) count++;
  }
  return count;
}

static void add_connections(void *context, const struct mw_member *member) { *(size_t *)context += member->connections; }

static size_t count_present(struct mw_server *server, struct bytes channel) {
  size_t connections = 0;
  mw_channel_presence(server, channel.ptr, channel.len, NULL, add_connections, &connections, NULL);
  return connections;
}

static const char *check_entry(struct mw_server *server, const struct agreement_entry *entry) {
  struct bytes channel = bytes_string(entry->channel);
  if (entry->count == 0) return NULL;
  if (!entry->client[0]) {
    const struct open_channel *open_channel = table_get(&server->script.open_channels, channel);
    bool lingers = open_channel && open_channel->state == OPEN_CHANNEL_LINGERING;
    return lingers || count_sessions(server, channel) > 0 ? NULL : say("open, but without clients", "", channel);
  }
  struct subscriber *subscriber = find_session(server, entry->client);
  if (!subscriber) return say("there for the app, but gone", entry->client, channel);
  if (channel.len > 0 && !subscriber_find(subscriber, channel))
    return say("joined for the app, but not subscribed", entry->client, channel);
  return NULL;
}

static const char *check_channel(struct agreement *agreement, struct mw_server *server, const struct channel *channel) {
  const struct kind *kind = &server->app.config->kinds[channel->policy->kind];
  char name[256];
  snprintf(name, sizeof name, "%.*s", (int)channel->name.len, channel->name.ptr);
  const struct agreement_entry *open = find(agreement, "", name);
  size_t sessions = count_sessions(server, channel->name);
  if (kind->presence != MW_PRESENCE_NONE && count_present(server, channel->name) != sessions)
    return say("presence counts others than are subscribed", "", channel->name);
  if (kind->hooks & MW_HOOK_OPEN && sessions > 0 && (!open || open->count != 1))
    return say("subscribed, but closed for the app", "", channel->name);
  return NULL;
}

const char *agreement_fault(struct agreement *agreement, struct mw_server *server) {
  const char *found = NULL;
  struct subscriber *subscriber;
  for (size_t i = 0; !found && (subscriber = nth_subscriber(server, i)); i++)
    found = check_session(agreement, subscriber, server->app.config);
  for (size_t i = 0; !found && i < agreement->count; i++) found = check_entry(server, &agreement->entries[i]);
  for (size_t i = 0; i < server->worker_count; i++) {
    const struct hub *hub = &server->workers[i].hub;
    for (struct list *link = hub->all.next; !found && link != &hub->all; link = link->next)
      found = check_channel(agreement, server, container_of(link, struct channel, link));
  }
  if (!found && atomic_load(&server->app.job_count) > 0) found = "requests are counted that are not in progress";
  if (!found && atomic_load(&server->app.job_bytes) > 0) found = "bytes of requests are counted that are not in progress";
  return found;
}
