#include "transport/exchange_session.h"

#include "app/socket.h"
#include "base/memory.h"
#include "delivery/replay.h"
#include "session/input.h"
#include "transport/websocket/ws_input.h"

/* Returns the raw session, or NULL if the exchange has no session, or another one. */
static struct raw_session *raw_session_of(struct exchange *exchange) {
  struct session *session = session_of(&exchange->subscriber);
  return session && session->is_raw ? container_of(session, struct raw_session, session) : NULL;
}

bool exchange_session_set_socket(struct exchange *exchange, struct mw_socket *socket) {
  struct raw_session *raw = session_get(&exchange->subscriber) ? raw_session_of(exchange) : NULL;
  if (raw) raw->socket = socket_ref(socket);
  return raw != NULL;
}

struct mw_socket *exchange_session_socket(struct exchange *exchange) {
  const struct raw_session *raw = exchange->state == EXCHANGE_STREAMING ? raw_session_of(exchange) : NULL;
  return raw ? raw->socket : NULL;
}

/* Why it ends, if no one has said so. */
static enum departure exchange_session_departure(struct exchange *exchange) {
  if (exchange->subscriber.flags & SUBSCRIBER_BROKEN) return DEPARTURE_FAILED;
  return app_stopping(exchange_app(exchange)) ? DEPARTURE_STOPPING : DEPARTURE_CLOSED;
}

void exchange_session_end(struct exchange *exchange) {
  struct session *session = session_of(&exchange->subscriber);
  const struct raw_session *raw = raw_session_of(exchange);
  if (!session) return;
  ws_input_drop(exchange, ws_input_detach(exchange));
  session_dismiss(&exchange->subscriber);
  session_deinit(&exchange->subscriber, exchange_session_departure(exchange));
  if (raw && raw->socket) exchange_app(exchange)->script->leave_socket(exchange_app(exchange), raw->socket);
  memory_free(session);
}

bool exchange_session_finishes(struct exchange *exchange) {
  return exchange->state == EXCHANGE_STREAMING && session_finishes(&exchange->subscriber);
}

/* ---- Reading --------------------------------------------------------------------------------- */

void exchange_session_stop_reading(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_STOPPED)) exchange_read(exchange, false);
}

void exchange_session_resume_reading(struct exchange *exchange) {
  /* Nothing was heard because nothing was read. */
  exchange_note_heard(exchange);
  exchange->flags &= (uint16_t)~EXCHANGE_PINGED;
  exchange_read(exchange, true);
}

/* ---- What a session asks of it --------------------------------------------------------------- */

static struct exchange *exchange_session_here(struct subscriber *subscriber) {
  return container_of(subscriber, struct exchange, subscriber);
}

static struct session *exchange_session_on_make(struct subscriber *subscriber) {
  const struct role *role = exchange_session_here(subscriber)->role;
  bool is_raw = role && role->is_raw;
  struct session *session = memory_calloc(1, is_raw ? sizeof(struct raw_session) : sizeof(struct session));
  if (!session) return NULL;
  session->is_raw = is_raw;
  session_init(session, subscriber);
  return session;
}

static uint32_t *exchange_session_on_slot(struct subscriber *subscriber) { return &exchange_session_here(subscriber)->slot; }

static struct script_job **exchange_session_on_question(struct subscriber *subscriber) {
  return exchange_question(exchange_session_here(subscriber));
}

static bool exchange_session_is_open(struct subscriber *subscriber) {
  return exchange_session_here(subscriber)->state == EXCHANGE_STREAMING;
}

static bool exchange_session_is_connecting(struct subscriber *subscriber) {
  return exchange_session_here(subscriber)->flags & EXCHANGE_CONNECTING;
}

static void exchange_session_on_connected(struct subscriber *subscriber) {
  struct exchange *exchange = exchange_session_here(subscriber);
  exchange->flags &= (uint16_t)~EXCHANGE_CONNECTING;
  exchange_set_deadline(exchange);
}

static void exchange_session_on_remote(struct subscriber *subscriber, char *out, size_t size) {
  exchange_remote(exchange_session_here(subscriber), out, size);
}

/* Input that others send on behalf of the client of an event stream is not read here. */
static void exchange_session_on_read(struct subscriber *subscriber, bool on) {
  struct exchange *exchange = exchange_session_here(subscriber);
  if (!subscriber->sink->is_two_way) return;
  if (!on) {
    exchange_session_stop_reading(exchange);
  } else if (exchange->flags & EXCHANGE_STOPPED) {
    exchange_session_resume_reading(exchange);
  }
}

/* Continues with the input backlog, then with bytes that were not read. */
static void exchange_session_on_resume(struct subscriber *subscriber) {
  struct exchange *exchange = exchange_session_here(subscriber);
  if (exchange->state == EXCHANGE_STREAMING && session_of(subscriber)) session_resume(subscriber);
  if (!budget_is_put_off(subscriber)) exchange_resume(exchange);
}

static void exchange_session_on_answer(struct subscriber *subscriber, struct script_job *job) {
  struct exchange *exchange = exchange_session_here(subscriber);
  if (exchange->role) exchange->role->on_answer(exchange, job);
}

static void exchange_session_on_close(struct subscriber *subscriber, const struct closing *closing) {
  struct exchange *exchange = exchange_session_here(subscriber);
  if (exchange->state == EXCHANGE_STREAMING) exchange->role->close(exchange, closing);
}

static bool exchange_session_may_join(struct subscriber *subscriber) {
  (void)subscriber;
  return true;
}

static int exchange_session_on_charge(struct subscriber *subscriber) {
  (void)subscriber;
  return 0;
}

static void exchange_session_on_joined(struct subscriber *subscriber, struct bytes channel, struct replay *replay) {
  (void)channel;
  replay_start(replay, subscriber);
}

const struct session_ops exchange_session = {.make = exchange_session_on_make,
                                             .slot = exchange_session_on_slot,
                                             .question = exchange_session_on_question,
                                             .is_open = exchange_session_is_open,
                                             .is_connecting = exchange_session_is_connecting,
                                             .connected = exchange_session_on_connected,
                                             .remote = exchange_session_on_remote,
                                             .read = exchange_session_on_read,
                                             .resume = exchange_session_on_resume,
                                             .on_answer = exchange_session_on_answer,
                                             .close = exchange_session_on_close,
                                             .may_join = exchange_session_may_join,
                                             .charge = exchange_session_on_charge,
                                             .joined = exchange_session_on_joined};
