#include "load/subscriber.h"

#include <inttypes.h>

void subscriber_opened(struct subscriber *subscriber) {
  if (subscriber->is_open) return;
  subscriber->is_open = true;
  subscriber->crowd->open++;
}

void subscriber_take(struct subscriber *subscriber, struct bytes text) {
  deliveries_take(subscriber->crowd->deliveries, &subscriber->ledger, subscriber->number, subscriber->channel, text);
}

void subscriber_ended(struct subscriber *subscriber, const char *reason, bool is_invalid) {
  struct faults *faults = &subscriber->crowd->deliveries->faults;
  faults_state(faults, "subscriber %" PRIu32 ": %s", subscriber->number, reason);
  if (is_invalid)
    faults->invalid++;
  else
    faults->closed++;
  if (!subscriber->is_open) subscriber->crowd->failed++;
}

static void on_open(void *owner) { subscriber_opened(owner); }

static void on_read(void *owner) {
  struct subscriber *subscriber = owner;
  subscriber->crowd->deliveries->now_ns = now_ns();
}

static void on_message(void *owner, struct bytes text) { subscriber_take(owner, text); }

static void on_closed(void *owner, const char *reason, bool is_invalid) { subscriber_ended(owner, reason, is_invalid); }

void subscriber_open(struct subscriber *subscriber, struct crowd *crowd, uint32_t number, uint32_t channel) {
  *subscriber = (struct subscriber){.crowd = crowd, .number = number, .channel = channel};
  if (crowd->transport != TRANSPORT_WS) {
    http_subscriber_open(subscriber);
    return;
  }
  struct ws_client *ws = &subscriber->ws;
  ws->target = &crowd->target;
  ws->greetings = &crowd->greetings;
  ws->channel = channel;
  ws->owner = subscriber;
  ws->on_open = on_open;
  ws->on_read = on_read;
  ws->on_message = on_message;
  ws->on_closed = on_closed;
  ws_client_open(ws, crowd->poller);
}

void subscriber_close(struct subscriber *subscriber) {
  conn_close(&subscriber->ws.conn);
  buffer_deinit(&subscriber->ws.message);
  http_answer_deinit(&subscriber->ws.answer);
  buffer_deinit(&subscriber->text);
  buffer_deinit(&subscriber->cursor);
}
