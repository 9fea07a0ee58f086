#include "server/native.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/ws_deflate.h"
#include "delivery/catchup.h"
#include "delivery/subscriber.h"
#include "server/native_join.h"
#include "server/native_verbs.h"
#include "server/reply.h"
#include "server/server.h"
#include "transport/ws_input.h"

static const char stopping[] = "the server is stopping";

/* What stands in the stash before the bytes of one message. */
struct input_head {
  size_t len;
  bool is_binary;
  struct reply_to reply_to;
};

/* ---- State --------------------------------------------------------------------------------------------------------------- */

struct native *native_get(struct exchange *exchange) {
  if (exchange->flags & EXCHANGE_NATIVE) return native_of(exchange);
  struct native *native = memory_calloc(1, sizeof *native);
  if (!native) return NULL;
  budget_init(&native->budget, exchange);
  holder_init(&native->holder, exchange, true);
  buffer_init(&native->stash);
  subscriber_adopt(&exchange->subscriber, &native->extra);
  exchange->flags |= EXCHANGE_NATIVE;
  return native;
}

int native_identify(struct exchange *exchange, struct mw_client *client) {
  struct worker *worker = exchange_worker(exchange);
  struct native *native = native_get(exchange);
  if (!native) return MW_ENOMEM;
  if (exchange_take_name(exchange) < 0) return MW_ENOMEM;
  client->session = exchange_address(exchange);
  /* One that says who it is by a verb is known when that is settled. */
  int status = exchange->flags & EXCHANGE_CONNECTING ? 0 : registry_add(&worker->server->app.registry, client);
  if (status < 0) return status;
  client->is_adopted = true;
  native->client = mw_client_ref(client);
  native->extra.identity = bytes_of(client->id, CLIENT_ID_LEN);
  return 0;
}

struct mw_client *native_client(struct exchange *exchange) {
  struct native *native = native_get(exchange);
  if (!native || native->client) return native ? native->client : NULL;
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  struct mw_client *client = client_new(form_is_ws(exchange_form(exchange)) ? BYTES("websocket") : BYTES("sse"), remote);
  if (client) native_identify(exchange, client);
  mw_client_unref(client);
  return native->client;
}

struct mw_socket *native_socket(struct exchange *exchange) {
  bool may_be = exchange->state == EXCHANGE_STREAMING && exchange->flags & EXCHANGE_NATIVE;
  return may_be ? native_of(exchange)->socket : NULL;
}

bool native_is_identified(struct exchange *exchange) { return exchange->flags & EXCHANGE_NATIVE && native_of(exchange)->client; }

/* Takes it out, and sends it to the script, to be undone. */
static void leave(struct exchange *exchange, struct membership **at) {
  struct membership *membership = *at;
  *at = membership->next;
  exchange_app(exchange)->script->leave(exchange_app(exchange), membership);
}

void native_keep(struct exchange *exchange, struct script_job *job) {
  struct membership *first = job_take_memberships(job), **end = &first;
  if (!first) return;
  struct native *native = native_get(exchange);
  if (!native) {
    while (first) leave(exchange, &first);
    exchange_break(exchange);
    return;
  }
  while (*end && (*end)->kind) end = &(*end)->next;
  /* The connecting one is left last. */
  struct membership *connection = *end;
  *end = native->memberships;
  native->memberships = first;
  for (end = &native->memberships; *end;) end = &(*end)->next;
  *end = connection;
}

/* Whoever waits for an answer on behalf of this session gets none any more. */
static void dismiss(struct exchange *exchange, struct native *native) {
  bool stops = app_stopping(exchange_app(exchange));
  const char *code = stops ? "unavailable" : "not_found", *reason = stops ? stopping : "the client has gone";
  if (native->asked_by.is_exchange) {
    reply_error(exchange, &native->asked_by, blob_bytes(native->asked_ref), bytes_of(NULL, 0), code, reason);
  }
  for (size_t at = native->stash_at; at < native->stash.len;) {
    struct input_head head;
    memcpy(&head, native->stash.data + at, sizeof head);
    if (head.reply_to.is_exchange) reply_error(exchange, &head.reply_to, bytes_of(NULL, 0), bytes_of(NULL, 0), code, reason);
    at += sizeof head + head.len;
  }
}

/* Why it ends, for the app. */
static enum departure departure_of(struct exchange *exchange) {
  if (exchange->subscriber.flags & SUBSCRIBER_SLOW) return DEPARTURE_SLOW;
  if (exchange->flags & EXCHANGE_PINGED) return DEPARTURE_TIMEOUT;
  return app_stopping(exchange_app(exchange)) ? DEPARTURE_STOPPING : DEPARTURE_CLOSED;
}

bool native_finishes(struct exchange *exchange) {
  const struct script_job *job = exchange->state == EXCHANGE_STREAMING ? exchange_job(exchange) : NULL;
  return job && job->type == JOB_MESSAGE;
}

void native_end(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_NATIVE)) return;
  struct native *native = native_of(exchange);
  ws_input_drop(exchange, ws_input_detach(exchange));
  dismiss(exchange, native);
  exchange->flags &= (uint16_t)~EXCHANGE_NATIVE;
  subscriber_disown(&exchange->subscriber);
  budget_deinit(&native->budget);
  struct app *app = exchange_app(exchange);
  for (struct membership *each = native->memberships; each; each = each->next) each->departure = departure_of(exchange);
  while (native->memberships) leave(exchange, &native->memberships);
  if (native->socket) app->script->leave_socket(app, native->socket);
  if (native->client) registry_remove(&app->registry, native->client);
  mw_client_unref(native->client);
  memory_free(native->http);
  blob_unref(native->asked_ref);
  buffer_deinit(&native->stash);
  memory_free(native);
}

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

static size_t stashed(const struct native *native) { return native->stash.len - native->stash_at; }

static size_t stash_limit(struct exchange *exchange) { return exchange_config(exchange)->options.limits.input_backlog; }

/* What a peer sends is bounded by not reading on; what others send for it is refused. */
static void stash(struct exchange *exchange, struct native *native, const struct input *input) {
  struct input_head head = {.len = input->bytes.len, .is_binary = input->is_binary, .reply_to = input->reply_to};
  bool full = stashed(native) >= stash_limit(exchange);
  if (input->reply_to.is_exchange && full) {
    reply_error(exchange, &input->reply_to, bytes_of(NULL, 0), bytes_of(NULL, 0), "unavailable",
                "too much waits for this client");
    return;
  }
  buffer_append(&native->stash, bytes_of((const char *)&head, sizeof head));
  buffer_append(&native->stash, input->bytes);
  if (native->stash.failed) {
    exchange_break(exchange);
  } else if (form_is_ws(exchange_form(exchange)) && stashed(native) >= stash_limit(exchange)) {
    native_stop_reading(exchange);
  }
}

void native_stop_reading(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_STOPPED)) exchange_read(exchange, false);
}

void native_resume_reading(struct exchange *exchange) {
  /* It was not heard because nobody listened. */
  exchange_note_heard(exchange);
  exchange->flags &= (uint16_t)~EXCHANGE_PINGED;
  exchange_read(exchange, true);
}

/* Takes the first message out; NULL without memory. What was taken is moved away only now and then, not for each. */
static struct blob *unstash(struct native *native, struct input_head *head) {
  memcpy(head, native->stash.data + native->stash_at, sizeof *head);
  struct blob *bytes = blob_new(bytes_of(native->stash.data + native->stash_at + sizeof *head, head->len));
  if (!bytes) return NULL;
  native->stash_at += sizeof *head + head->len;
  if (native->stash_at == native->stash.len) {
    buffer_deinit(&native->stash);
    native->stash_at = 0;
  } else if (native->stash_at > native->stash.len / 2) {
    buffer_consume(&native->stash, native->stash_at);
    native->stash_at = 0;
  }
  return bytes;
}

void native_receive(struct exchange *exchange, const struct input *input) {
  /* One that is to be closed, or cut, at the end of the turn asks for nothing any more. */
  if (!input->reply_to.is_exchange && exchange->subscriber.flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN)) return;
  struct native *native = exchange->flags & EXCHANGE_NATIVE ? native_of(exchange) : NULL;
  bool waits = native && (exchange_job(exchange) || stashed(native) > 0);
  if (waits) {
    stash(exchange, native, input);
  } else if (native && input->reply_to.is_exchange && budget_left(exchange) == 0) {
    stash(exchange, native, input);
    budget_put_off(exchange);
  } else {
    native_handle(exchange, input);
  }
}

/* Handles what waited, until something is with the script again. */
void native_resume(struct exchange *exchange) {
  while (exchange->state == EXCHANGE_STREAMING && !exchange_job(exchange) && exchange->flags & EXCHANGE_NATIVE) {
    struct native *native = native_of(exchange);
    struct input_head head;
    if (stashed(native) == 0) break;
    if (budget_left(exchange) == 0) {
      budget_put_off(exchange);
      return;
    }
    /* Taken out first: handling may put something in, or end the session. */
    struct blob *bytes = unstash(native, &head);
    if (!bytes) {
      exchange_break(exchange);
      return;
    }
    native_handle(exchange, &(struct input){.bytes = blob_bytes(bytes), .is_binary = head.is_binary, .reply_to = head.reply_to});
    blob_unref(bytes);
  }
  struct native *native = exchange->flags & EXCHANGE_NATIVE ? native_of(exchange) : NULL;
  if (native && exchange->flags & EXCHANGE_STOPPED && stashed(native) < stash_limit(exchange)) native_resume_reading(exchange);
}

void native_on_answer(struct exchange *exchange, struct script_job *job) {
  struct native *native = native_of(exchange);
  struct blob *ref = native->asked_ref;
  struct reply_to to = native->asked_by;
  native->asked_ref = NULL;
  native->asked_by.is_exchange = false;
  struct bytes channel = job->channel_count > 0 ? job->channels[0].name : bytes_of(NULL, 0);
  if (job->status != 200) {
    if (to.is_exchange) to.status = job->status;
    reply_error(exchange, &to, blob_bytes(ref), channel, job->status ? job->code : "unavailable", job->reason);
    enum close_reason why = exchange_is_temporary(job->status) ? CLOSE_BUSY : CLOSE_UNAUTHORIZED;
    if (exchange->flags & EXCHANGE_CONNECTING) exchange_close(exchange, why, job->reason);
  } else if (job->type == JOB_MESSAGE) {
    reply_ok(exchange, &to, blob_bytes(ref), blob_bytes(job->body));
  } else if (job->channel_count > 0) {
    native_join(exchange, job, &to, blob_bytes(ref));
  } else {
    native_connected(exchange, job, &to, blob_bytes(ref));
  }
  blob_unref(ref);
  exchange_release_held(exchange_http(exchange), job);
  if (app_stopping(exchange_app(exchange))) {
    exchange_close(exchange, CLOSE_STOPPING, "");
  } else {
    native_resume(exchange);
  }
}

/* ---- Commands of the app --------------------------------------------------------------------------------------------------- */

/* Where the membership of the channel is listed; NULL: the script does not know of it. */
static struct membership **find_membership(struct exchange *exchange, struct bytes channel) {
  if (!(exchange->flags & EXCHANGE_NATIVE)) return NULL;
  struct membership **at = &native_of(exchange)->memberships;
  while (*at && !((*at)->kind && bytes_equal(membership_name(*at), channel))) at = &(*at)->next;
  return *at ? at : NULL;
}

bool native_is_member(struct exchange *exchange, struct bytes channel) { return find_membership(exchange, channel) != NULL; }

void native_leave(struct exchange *exchange, struct bytes channel) {
  struct membership **at = find_membership(exchange, channel);
  if (at) leave(exchange, at);
}

void native_unsubscribe(struct exchange *exchange, struct bytes channel, const char *code, const char *reason) {
  struct subscription *subscription = subscriber_find(&exchange->subscriber, channel);
  if (!subscription) return;
  /* The name may be the channel's own, which goes with its last subscriber. */
  char name[CHANNEL_NAME_MAX];
  memcpy(name, channel.ptr, channel.len);
  channel = bytes_of(name, channel.len);
  subscriber_unsubscribe(&exchange->subscriber, subscription, LEAVE_ASKED);
  native_leave(exchange, channel);
  if (code) reply_unsubscribed(exchange, channel, code, reason);
}
