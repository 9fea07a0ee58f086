#include "transport/follow.h"

#include "delivery/replay.h"
#include "http/exchange.h"
#include "script/follow.h"
#include "session/admission.h"
#include "session/reply.h"
#include "session/session.h"

/* Returns what the stream follows, or NULL. */
static struct mw_follow *follow_here(struct exchange *exchange) {
  struct script_job *job = exchange && exchange->state == EXCHANGE_STREAMING ? exchange_job(exchange) : NULL;
  return job && job->type == JOB_STREAM ? job->follow : NULL;
}

/* Ends it, and releases the reference of the stream. */
static void leave_followed(struct exchange *exchange, struct mw_follow *follow, int status) {
  exchange_job(exchange)->follow = NULL;
  if (exchange->flags & EXCHANGE_COUNTED) {
    exchange->flags &= (uint16_t)~EXCHANGE_COUNTED;
    form_users_remove(exchange_delivery(exchange)->form_users, exchange_form(exchange));
  }
  follow_end(follow, status);
  follow_unref(follow);
}

static void unsubscribe_followed(struct exchange *exchange, const struct mw_follow *follow) {
  struct subscription *subscription = subscriber_find(&exchange->subscriber, follow->join->channels[0].name);
  if (subscription) subscriber_unsubscribe(&exchange->subscriber, subscription, LEAVE_ASKED);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int subscribe_followed(struct exchange *exchange, struct job_channel *channel) {
  int status = admission_follow(exchange_http(exchange), channel);
  if (status == 0) status = subscriber_subscribe(&exchange->subscriber, channel->name, &channel->kind->policy);
  if (status == 0) admission_move(channel);
  return status;
}

/* A gap precedes the replay, so that a client that is disconnected then returns with its earlier
 * cursor. */
static void tell_followed_gap(struct exchange *exchange, const struct replay *replay, struct bytes channel) {
  if (replay->gap_count == 0) return;
  exchange_http(exchange)->stats->gaps++;
  session_tell(&exchange->subscriber, &(struct event){.type = EVENT_GAP, .channel = channel});
}

/* Subscribes and replays in one step, as join_stream of transport/sse.c. */
static void start_following(struct exchange *exchange, struct mw_follow *follow) {
  struct job_channel *channel = &follow->join->channels[0];
  struct subscriber *subscriber = &exchange->subscriber;
  struct replay replay = {0};
  int status = subscribe_followed(exchange, channel);
  if (status < 0) {
    follow_end(follow, status);
    return;
  }
  status = replay_init(&replay, subscriber, follow->join->since, subscriber_find(subscriber, channel->name));
  exchange_job(exchange)->follow = follow_ref(follow);
  form_users_add(exchange_delivery(exchange)->form_users, exchange_form(exchange));
  exchange->flags |= EXCHANGE_COUNTED;
  if (status == 0) {
    tell_followed_gap(exchange, &replay, channel->name);
    replay_start(&replay, subscriber);
  } else {
    exchange_break(exchange);
  }
  replay_deinit(&replay);
}

static void drop_follow_join(struct mail *mail) {
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct mw_follow *follow = job->follow;
  job_unref(job);
  follow_unref(follow);
}

static void take_follow_join(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct http *http = room;
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct mw_follow *follow = job->follow;
  struct exchange *exchange = exchange_of(subscriber);
  mail->size = 0; /* it counts no longer, and must not fail when it is posted again */
  bool is_open = exchange && exchange->state == EXCHANGE_STREAMING && exchange_job(exchange) == follow->stream;
  job->since = since_parse(bytes_of(follow->since, follow->since_len), http->delivery->epoch);
  if (is_open && !follow->has_ended) {
    /* Taken again when this worker, and the store, have what the client may have seen. */
    if (session_is_ahead(http, &job->since)) {
      http->app->workers->post(http->app, mail);
      return;
    }
    if (admission_enter(http, job) == MW_PENDING) return;
  }
  if (!is_open || follow->stream->follow) {
    follow_end(follow, MW_ECLOSED);
  } else if (job->status != 200) {
    follow_end(follow, MW_EUNAVAILABLE);
  } else if (!follow->has_ended) {
    start_following(exchange, follow);
  }
  admission_return(http, job->channels, job->channel_count);
  drop_follow_join(mail);
}

const struct mail_class follow_class = {.take = take_follow_join, .drop = drop_follow_join};

/* ---- The end --------------------------------------------------------------------------------- */

static void take_follow_cancel(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  struct mw_follow *follow = container_of(mail, struct mw_follow, cancel);
  struct exchange *exchange = exchange_of(subscriber);
  if (follow_here(exchange) == follow) {
    unsubscribe_followed(exchange, follow);
    leave_followed(exchange, follow, MW_ECLOSED);
  }
  follow->has_ended = true; /* also if it is still to begin */
  follow_unref(follow);
}

static void drop_follow_cancel(struct mail *mail) { follow_unref(container_of(mail, struct mw_follow, cancel)); }

const struct mail_class follow_cancel_class = {.take = take_follow_cancel, .drop = drop_follow_cancel};

void follow_finish(struct exchange *exchange) {
  struct mw_follow *follow = follow_here(exchange);
  if (!follow || !follow->until_final) return;
  unsubscribe_followed(exchange, follow);
  leave_followed(exchange, follow, 0);
}

void follow_close(struct exchange *exchange) {
  struct mw_follow *follow = follow_here(exchange);
  if (follow) leave_followed(exchange, follow, MW_ECLOSED);
}
