#include "server/native_join.h"

#include "base/memory.h"
#include "codec/json_scan.h"
#include "server/conn.h"
#include "server/poll_client.h"
#include "server/presence.h"
#include "server/replay.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/session.h"

static bool write_acknowledgement(struct buffer *out, struct worker *worker, const struct errand *errand,
                                  const struct replay *replay) {
  const struct errand_channel *channel = &errand->channels[0];
  char id[ID_LEN];
  id_write(id, &worker->server->bus.epoch, replay->cursor);
  buffer_append_string(out, "{\"id\":");
  json_write_string(out, bytes_of(id, ID_LEN));
  if (errand->since.kind != SINCE_NONE)
    buffer_append_string(out, replay->gap_count > 0 ? ",\"recovered\":false" : ",\"recovered\":true");
  if (channel->data) {
    buffer_append_string(out, ",\"data\":");
    json_write_compact(out, blob_bytes(channel->data));
  }
  if (channel->kind->presence != MW_PRESENCE_NONE) {
    buffer_append_string(out, ",\"presence\":");
    if (!presence_write(worker, channel->kind, channel->name, out)) return false;
  }
  buffer_append_char(out, '}');
  return !out->failed;
}

void native_join(struct exchange *exchange, struct errand *errand, const struct reply_to *to, struct bytes ref) {
  struct worker *worker = exchange_worker(exchange);
  const struct errand_channel *channel = &errand->channels[0];
  struct replay replay = {0};
  struct buffer value;
  buffer_init(&value);
  bool is_new = !session_find(&exchange->session, channel->name);
  struct since from = errand->since;
  if (!wire_is_ws(exchange->wire)) from = (struct since){.kind = SINCE_POSITION, .position = worker->hub.position};
  int status = is_new ? session_subscribe(exchange, channel->name, &channel->kind->policy) : 0;
  struct subscription *subscription = session_find(&exchange->session, channel->name);
  if (status == 0) status = replay_init(&replay, exchange, from, subscription);
  if (status == 0 && write_acknowledgement(&value, worker, errand, &replay)) {
    native_keep(exchange, errand);
    if (to->is_poll) subscription->mark |= POLL_ASKED;
    reply_ok(exchange, to, ref, buffer_bytes(&value));
    worker->stats.gaps += replay.gap_count;
    if (exchange->wire != WIRE_POLL) {
      replay_start(&replay, exchange);
    } else if (!to->is_poll) {
      /* Polls read for themselves, and are told by that of what their queries ask for. */
      poll_client_subscribed(conn_of(exchange)->native->poll, channel->name);
    }
  } else {
    if (subscription && is_new) session_unsubscribe(exchange, subscription);
    reply_error(exchange, to, ref, channel->name, "unavailable", "no memory, or too many channels are live");
  }
  replay_deinit(&replay);
  buffer_deinit(&value);
}

void native_connected(struct exchange *exchange, struct errand *errand, const struct reply_to *to, struct bytes ref) {
  const struct mw_limits *limits = &exchange_worker(exchange)->server->config->options.limits;
  struct native *native = native_get(exchange);
  struct buffer value;
  buffer_init(&value);
  buffer_append_string(&value, "{\"client\":");
  json_write_string(&value, bytes_of(errand->client->id, CLIENT_ID_LEN));
  buffer_append_format(&value, ",\"ping\":%llu}", (unsigned long long)(limits->ping_ms / 1000));
  exchange->flags &= (uint16_t)~EXCHANGE_CONNECTING;
  native_keep(exchange, errand);
  /* A newer token is judged by what is left of the upgrade. */
  struct http_copy *essence = native && native->http && errand->connects ? http_copy_essence(native->http) : NULL;
  if (essence) {
    memory_free(native->http);
    native->http = essence;
  }
  if (value.failed || !native) {
    exchange_break(exchange);
  } else {
    conn_set_deadline(conn_of(exchange));
    reply_ok(exchange, to, ref, buffer_bytes(&value));
  }
  buffer_deinit(&value);
}
