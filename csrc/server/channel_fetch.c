/* mw_channel_fetch, mw_channel_fetch_presence: what a broker keeps of a channel. The server follows the
 * channel until the app has read it; the broker follows it for a while longer. */
#include "app/app.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "script/presence/presence.h"
#include "server/server.h"

struct channel_fetch {
  struct completion completion;
  struct mw_server *server;
  struct mw_config *config; /* a reference */
  struct job_channel channel;
  bool has_history; /* it is to be fetched, too */
  void (*on_done)(void *context, int status);
  void *context;
  char name[CHANNEL_NAME_MAX];
};

static struct completion *keep_fetch(struct completion *completion) {
  struct channel_fetch *fetch = container_of(completion, struct channel_fetch, completion);
  return order_begin_waiting(&fetch->server->app) ? completion : NULL;
}

/* Follows the channel, and then has its history come. */
static int continue_fetch(struct channel_fetch *fetch) {
  struct orderer *orderer = fetch->server->app.orderer;
  if (!fetch->channel.is_followed) {
    int status = orderer->interest(orderer, &fetch->channel, 1, &fetch->completion);
    if (status != 0) return status;
    fetch->channel.is_followed = true;
  }
  return fetch->has_history ? orderer->fetch(orderer, &fetch->channel, 1, &fetch->completion) : 0;
}

static void end_fetch(struct channel_fetch *fetch) {
  struct orderer *orderer = fetch->server->app.orderer;
  if (fetch->channel.is_followed) orderer->end_interest(orderer, fetch->channel.name);
  mw_config_unref(fetch->config);
  memory_free(fetch);
}

static void on_fetched(struct completion *completion, int status) {
  struct channel_fetch *fetch = container_of(completion, struct channel_fetch, completion);
  order_end_waiting(&fetch->server->app);
  if (status == 0 && !fetch->channel.is_followed) {
    fetch->channel.is_followed = true;
    status = continue_fetch(fetch);
    if (status == MW_PENDING) return;
  }
  fetch->on_done(fetch->context, status);
  end_fetch(fetch);
}

/* Returns NULL if out of memory. */
static struct channel_fetch *fetch_new(struct mw_server *server, struct bytes name, void (*on_done)(void *context, int status),
                                       void *context) {
  struct channel_fetch *fetch = memory_calloc(1, sizeof *fetch);
  if (!fetch) return NULL;
  fetch->completion.keep = keep_fetch;
  fetch->completion.on_done = on_fetched;
  fetch->server = server;
  fetch->config = app_hold_config(&server->app);
  fetch->on_done = on_done;
  fetch->context = context;
  memcpy(fetch->name, name.ptr, name.len);
  fetch->channel.name = bytes_of(fetch->name, name.len);
  fetch->channel.kind = config_kind(fetch->config, name);
  return fetch;
}

int mw_channel_fetch(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                     void (*on_done)(void *context, int status), void *context) {
  struct bytes channel = bytes_of(name, name_len);
  if (!server->app.orderer->may_wait || channel_name_fault(channel)) return 0;
  struct channel_fetch *fetch = fetch_new(server, channel, on_done, context);
  if (!fetch) return MW_ENOMEM;
  struct epoch epoch = bus_epoch(&server->bus);
  fetch->channel.since = since_parse(bytes_string(query->since), &epoch);
  fetch->channel.before = since_parse(bytes_string(query->before), &epoch);
  fetch->channel.limit = query->limit;
  fetch->channel.reads_page = fetch->has_history = true;
  bool is_kept = fetch->channel.kind && fetch->channel.kind->policy.history.size > 0;
  int status = is_kept ? continue_fetch(fetch) : 0;
  if (status != MW_PENDING) end_fetch(fetch);
  return status;
}

bool mw_channel_has_presence(struct mw_server *server, const char *name, size_t name_len) {
  struct bytes channel = bytes_of(name, name_len);
  if (channel_name_fault(channel)) return false;
  struct mw_config *config = app_hold_config(&server->app);
  const struct kind *kind = config_kind(config, channel);
  bool has_presence = kind && kind->presence != MW_PRESENCE_NONE;
  mw_config_unref(config);
  return has_presence;
}

int mw_channel_fetch_presence(struct mw_server *server, const char *name, size_t name_len, bool counts_only,
                              void (*on_done)(void *context, int status), void *context) {
  struct bytes channel = bytes_of(name, name_len);
  if (!mw_channel_has_presence(server, name, name_len)) return 0;
  if (presence_is_known(&server->script, channel, !counts_only)) return 0;
  if (!on_done) return MW_PENDING;
  struct channel_fetch *fetch = fetch_new(server, channel, on_done, context);
  if (!fetch) return MW_ENOMEM;
  fetch->channel.reads_members = !counts_only;
  int status = continue_fetch(fetch);
  if (status != MW_PENDING) end_fetch(fetch);
  return status;
}
