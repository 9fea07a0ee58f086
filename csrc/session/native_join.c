#include "session/native_join.h"

#include "base/memory.h"
#include "codec/verb.h"
#include "delivery/replay.h"
#include "delivery/subscriber.h"
#include "session/names.h"
#include "session/reply.h"
#include "session/snapshot.h"

/* Writes the result of joining, as members of an object that has others before them if `out` ends
 * with one. */
static void write_joined(struct rope *out, const struct hub *hub, const struct job_channel *channel, size_t room) {
  const char *before = out->text.len > 0 && out->text.data[out->text.len - 1] != '{' ? "," : "";
  if (channel->data) {
    buffer_append_format(&out->text, "%s\"data\":", before);
    json_write_compact(&out->text, blob_bytes(channel->data));
    before = ",";
  }
  if (channel->kind->presence == MW_PRESENCE_NONE) return;
  buffer_append_format(&out->text, "%s\"presence\":", before);
  snapshot_share(hub, channel->kind, channel->name, &room, out);
}

/* Writes the object that answers a subscribe. A poll states its own cursor and gaps. */
static void write_acknowledgement(struct rope *out, struct subscriber *subscriber, const struct script_job *job,
                                  const struct reply_to *to, const struct replay *replay) {
  const struct delivery *delivery = subscriber->sink->delivery;
  buffer_append_char(&out->text, '{');
  if (!to->is_poll) {
    char id[ID_LEN];
    id_write(id, delivery->epoch, replay->cursor);
    buffer_append_string(&out->text, "\"id\":");
    json_write_string(&out->text, bytes_of(id, ID_LEN));
    replay_write_recovered(&out->text, job->since, replay->gap_count);
  }
  write_joined(out, delivery->hub, &job->channels[0], reply_room(subscriber, to));
  buffer_append_char(&out->text, '}');
}

static void acknowledge(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct rope *value) {
  if (to->is_poll) {
    reply_joined(subscriber, to, value);
    return;
  }
  /* A request without a ref does not need an answer. */
  if (ref.len == 0 && !to->is_exchange) return;
  struct rope text;
  rope_init(&text);
  verb_write_ok_start(&text.text, ref);
  rope_append(&text, value);
  buffer_append_char(&text.text, '}');
  reply_rope(subscriber, to, &text);
  rope_deinit(&text);
}

void native_join(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref) {
  struct delivery *delivery = subscriber->sink->delivery;
  const struct job_channel *channel = &job->channels[0];
  struct replay replay = {0};
  struct rope value;
  rope_init(&value);
  bool is_new = !subscriber_find(subscriber, channel->name);
  struct since from = job->since;
  if (!subscriber->sink->form->cursor_per_channel) from = since_at(delivery->epoch, delivery->hub->position);
  int status = is_new ? subscriber_subscribe(subscriber, channel->name, &channel->kind->policy) : 0;
  struct subscription *subscription = subscriber_find(subscriber, channel->name);
  if (status == 0) status = session_ops(subscriber)->charge(subscriber);
  if (status == 0 && is_new && channel->is_new) status = names_charge(subscriber, job->client, subscription);
  if (status == 0) status = replay_init(&replay, subscriber, from, subscription);
  if (status == 0) write_acknowledgement(&value, subscriber, job, to, &replay);
  if (status == 0 && !value.text.failed) {
    session_keep(subscriber, job);
    if (to->is_poll) subscription->mark |= SUBSCRIPTION_QUERIED;
    acknowledge(subscriber, to, ref, &value);
    delivery->stats->gaps += replay.gap_count;
    if (!to->is_poll) session_ops(subscriber)->joined(subscriber, channel->name, &replay);
  } else {
    if (subscription && is_new) subscriber_unsubscribe(subscriber, subscription, LEAVE_ASKED);
    reply_error(subscriber, to, ref, channel->name, "unavailable", status == MW_ELIMIT ? names_refusal : "out of memory");
  }
  replay_deinit(&replay);
  rope_deinit(&value);
}

void native_connected(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref) {
  const struct mw_limits *limits = &http_of(subscriber)->app->config->options.limits;
  struct session *session = session_get(subscriber);
  struct buffer value;
  buffer_init(&value);
  buffer_append_string(&value, "{\"client\":");
  json_write_string(&value, bytes_of(job->client->id, CLIENT_ID_LEN));
  buffer_append_format(&value, ",\"ping\":%llu}", (unsigned long long)(limits->ping_ms / 1000));
  session_ops(subscriber)->connected(subscriber);
  if (registry_add(&http_of(subscriber)->app->registry, job->client) < 0) subscriber_break(subscriber);
  session_keep(subscriber, job);
  /* A newer token is checked with the rest of the upgrade request. */
  struct http_copy *essence = session && session->http && job->connects ? http_copy_essence(session->http) : NULL;
  if (essence) {
    memory_free(session->http);
    session->http = essence;
  }
  if (value.failed || !session) {
    subscriber_break(subscriber);
  } else {
    reply_ok(subscriber, to, ref, buffer_bytes(&value));
  }
  buffer_deinit(&value);
}
