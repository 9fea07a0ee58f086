#include "session/join.h"

#include "app/grants.h"
#include "base/memory.h"
#include "session/admission.h"
#include "session/expiry.h"
#include "session/names.h"

/* Writes the answer to a subscribe, or, for the query of a poll, what the client receives about the
 * channel. */
static void write_acknowledgement(struct rope *out, struct subscriber *subscriber, const struct script_job *job,
                                  const struct reply *reply, struct bytes ref, const struct replay *replay) {
  const struct delivery *delivery = subscriber->sink->delivery;
  size_t room = reply_room(subscriber, reply);
  char id[ID_LEN];
  id_write(id, delivery->epoch, replay->cursor);
  struct outcome outcome = {.type = OUTCOME_JOINED,
                            .id = bytes_of(id, ID_LEN),
                            .since = job->since,
                            .gap_count = replay->gap_count,
                            .told = {.hub = delivery->hub, .channel = &job->channels[0], .room = &room}};
  reply_dialect(subscriber, reply)->ok(out, ref, &outcome);
}

void session_join(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref) {
  struct delivery *delivery = subscriber->sink->delivery;
  struct job_channel *channel = &job->channels[0];
  struct replay replay = {0};
  struct rope text;
  rope_init(&text);
  bool is_new = !subscriber_find(subscriber, channel->name);
  struct since from = job->since;
  if (!subscriber->sink->form->cursor_per_channel) from = since_at(delivery->epoch, delivery->hub->position);
  int status = is_new ? admission_follow(http_of(subscriber), channel) : 0;
  if (status == 0 && is_new) status = subscriber_subscribe(subscriber, channel->name, &channel->kind->policy);
  if (status == 0 && is_new) admission_move(channel);
  struct subscription *subscription = subscriber_find(subscriber, channel->name);
  if (status == 0) status = session_ops(subscriber)->charge(subscriber);
  if (status == 0 && is_new && channel->is_new) status = names_charge(subscriber, job->client, subscription);
  if (status == 0) status = replay_init(&replay, subscriber, from, subscription);
  if (status == 0) write_acknowledgement(&text, subscriber, job, reply, ref, &replay);
  if (status == 0 && !text.text.failed) {
    session_keep(subscriber, job);
    if (reply->class->is_query) subscription->mark |= SUBSCRIPTION_QUERIED;
    if (reply_is_wanted(reply, ref)) reply_text(subscriber, reply, &text);
    delivery->stats->gaps += replay.gap_count;
    if (!reply->class->is_query) session_ops(subscriber)->joined(subscriber, channel->name, &replay);
  } else {
    if (subscription && is_new) subscriber_unsubscribe(subscriber, subscription, LEAVE_ASKED);
    reply_error(subscriber, reply, ref,
                &(struct refusal){.channel = channel->name,
                                  .code = "unavailable",
                                  .reason = status == MW_ELIMIT ? names_refusal : "out of memory"});
  }
  replay_deinit(&replay);
  rope_deinit(&text);
}

/* A newer token may grant fewer channels. */
static void leave_what_is_lost(struct subscriber *subscriber, const struct script_job *job) {
  struct subscription *subscription = NULL;
  if (!job->is_identified || job->connects) return;
  while ((subscription = subscriber_next(subscriber, subscription)) != NULL) {
    struct bytes name = subscription->channel->name;
    if (!config_kind_of(subscription->channel->policy)->by_token || subscription->mark & SUBSCRIPTION_BY_APP) continue;
    if (grants_channel(blob_bytes(job->client->user), name)) continue;
    session_unsubscribe(subscriber, name, "forbidden", grants_refusal);
    subscription = NULL; /* it was freed: from the beginning */
  }
}

/* A newer token is checked with the parts of the upgrade request that are kept; by a verifier,
 * without them. If out of memory, all of the request stays. */
static void keep_essence(struct session *session, const struct script_job *job) {
  if (!session_http(session) || !job->connects) return;
  bool needs_none = job->config->options.token != NULL;
  struct http_copy *essence = needs_none ? NULL : http_copy_essence(session->http);
  if (!essence && !needs_none) return;
  memory_free(session->http);
  session->http = essence;
}

void session_connected(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref) {
  struct http *http = http_of(subscriber);
  struct session *session = session_get(subscriber);
  struct outcome outcome = {.type = OUTCOME_CONNECTED,
                            .client = bytes_of(job->client->id, CLIENT_ID_LEN),
                            .ping_ms = http->app->config->options.limits.ping_ms,
                            .expires_s = expiry_seconds(http, job)};
  session_ops(subscriber)->connected(subscriber);
  if (registry_add(&http->app->registry, job->client, 0) < 0) subscriber_break(subscriber);
  session_keep(subscriber, job);
  expiry_set(subscriber, job);
  if (session) keep_essence(session, job);
  leave_what_is_lost(subscriber, job);
  if (session) reply_ok(subscriber, reply, ref, &outcome);
  if (!session) subscriber_break(subscriber);
}
