#include "transport/poll/poll_fetch.h"

#include "app/order.h"
#include "base/memory.h"
#include "http/exchange.h"
#include "http/request.h"
#include "session/session.h"
#include "transport/poll/poll_client.h"

/* Pages that one poll waits for: more than an answer has room for. */
enum { PAGES_MAX = 64 };

struct poll_fetch {
  struct completion completion;
  struct http *http;
  struct exchange *exchange; /* while it is asked for; a kept one finds it by `asker` */
  struct address asker;
  const struct role *role;
  void (*go_on)(struct poll *poll);
};

static struct poll_fetch *fetch_of(struct completion *completion) {
  return container_of(completion, struct poll_fetch, completion);
}

static void refuse(struct exchange *exchange, int status) {
  struct order_refusal refusal = order_refusal(status);
  exchange_refuse(exchange, refusal.status, refusal.code, refusal.reason, bytes_of(NULL, 0));
}

static void on_fetched(struct completion *completion, int status) {
  struct poll_fetch *fetch = fetch_of(completion);
  struct exchange *exchange = exchange_find(fetch->http, fetch->asker);
  bool is_awaited = exchange && exchange->role == fetch->role && exchange->state == EXCHANGE_ASKING;
  order_end_waiting(fetch->http->app);
  if (is_awaited && status < 0) refuse(exchange, status);
  if (is_awaited && status >= 0) fetch->go_on(exchange_request(exchange)->of_role);
  memory_free(fetch);
}

static struct completion *keep_fetch(struct completion *completion) {
  struct poll_fetch *fetch = fetch_of(completion);
  struct subscriber *subscriber = &fetch->exchange->subscriber;
  struct poll_fetch *kept = session_take_name(subscriber) == 0 ? memory_alloc(sizeof *kept) : NULL;
  if (!kept || !order_begin_waiting(fetch->http->app)) {
    memory_free(kept);
    return NULL;
  }
  *kept = *fetch;
  kept->asker = session_address(subscriber);
  kept->exchange = NULL;
  return &kept->completion;
}

static struct poll_fetch begin_fetch(const struct poll *poll, void (*go_on)(struct poll *poll)) {
  struct http *http = exchange_http(poll->exchange);
  return (struct poll_fetch){.completion = {.http = http, .keep = keep_fetch, .on_done = on_fetched},
                             .http = http,
                             .exchange = poll->exchange,
                             .role = poll->exchange->role,
                             .go_on = go_on};
}

/* Waits, or is refused. Returns false if it has not to wait. */
static bool end_fetch(struct poll *poll, int status) {
  struct exchange *exchange = poll->exchange;
  if (status == 0) return false;
  if (status < 0) {
    refuse(exchange, status);
  } else {
    if (poll->due_ms == 0) poll->due_ms = exchange_http(exchange)->loop->clock.now_ms + poll->query.wait_ms;
    if (exchange->state != EXCHANGE_ASKING) exchange_set_state(exchange, EXCHANGE_ASKING);
  }
  return true;
}

/* A position that was never given out belongs to no history. One that this worker has not seen yet
 * is on its way. */
static void judge(struct poll *poll, struct orderer *orderer) {
  since_judge(&poll->since, exchange_delivery(poll->exchange)->epoch, orderer->position(orderer));
}

/* A poll without a client has waited when it was admitted (session/admission.h). */
bool poll_fetch_cursor(struct poll *poll, void (*go_on)(struct poll *poll)) {
  struct orderer *orderer = exchange_app(poll->exchange)->orderer;
  struct subscriber *subscriber = poll->client ? &poll->client->subscriber : NULL;
  const struct subscription *subscription = subscriber ? subscriber_next(subscriber, NULL) : NULL;
  judge(poll, orderer);
  bool is_unknown = poll->since.kind == SINCE_FOREIGN && poll->since.epoch.text[0] != '\0';
  if (!orderer->may_wait || poll->fetches > 0 || !is_unknown || !subscription) return false;
  struct mw_config *config = app_hold_config(exchange_app(poll->exchange));
  struct bytes name = subscription->channel->name;
  struct job_channel channel = {.name = name, .kind = config_kind(config, name), .since = poll->since};
  struct poll_fetch fetch = begin_fetch(poll, go_on);
  poll->fetches++;
  int status = orderer->fetch(orderer, &channel, 1, &fetch.completion);
  mw_config_unref(config);
  bool waits = end_fetch(poll, status);
  if (!waits) judge(poll, orderer);
  return waits;
}

void poll_fetch_page(struct poll *poll, struct bytes channel, uint64_t until, void (*go_on)(struct poll *poll)) {
  struct orderer *orderer = exchange_app(poll->exchange)->orderer;
  struct poll_fetch fetch = begin_fetch(poll, go_on);
  bool may_ask = poll->fetches++ < PAGES_MAX;
  int status = may_ask ? orderer->page(orderer, channel, until, &fetch.completion) : MW_EBROKER_LATE;
  if (!end_fetch(poll, status)) go_on(poll);
}
