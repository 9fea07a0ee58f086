/* The query of an event stream or of a poll: channels, and the id to resume from. */
#ifndef MOONWIRE_APP_SUBSCRIBE_QUERY_H
#define MOONWIRE_APP_SUBSCRIBE_QUERY_H

#include "app/config.h"
#include "app/job_channel.h"
#include "app/limits/limits.h"
#include "base/buffer.h"

VISIBILITY_PUSH

struct subscribe_query {
  struct buffer names;    /* one after the other */
  struct buffer channels; /* of struct job_channel */
  size_t channel_count;
  struct buffer since, client;
  /* since is from lastEventId, which takes precedence: a page repeats its URL on each reconnect */
  bool has_last_id;
  bool has_client, envelope;
  bool exceeds_channels; /* limits.client_channels */
  bool bad_wait;         /* an error only for a poll */
  uint64_t wait_ms;      /* the limit by default */
  int status;            /* of a refusal; 0: none */
  const char *reason;
  struct buffer refused; /* the name that it is about */
  bool names_refused;    /* it is about a name */
};

/* Reads the query of a request. Checks the names and finds their kinds. The caller checks whether
 * there are any. `counts` receives a refusal because of a limit. */
void subscribe_query_init(struct subscribe_query *query, const struct mw_config *config, struct limit_counts *counts,
                          struct bytes encoded);
void subscribe_query_deinit(struct subscribe_query *query);
/* Refuses it, unless it is already refused. */
void subscribe_query_refuse(struct subscribe_query *query, int status, const char *reason);
/* Returns the name that the refusal is about; ptr is NULL if it is about the whole query. */
static inline struct bytes subscribe_query_refused(const struct subscribe_query *query) {
  if (!query->names_refused) return bytes_of(NULL, 0);
  return query->refused.len > 0 ? buffer_bytes(&query->refused) : bytes_of("", 0);
}
static inline struct job_channel *subscribe_query_channels(struct subscribe_query *query) {
  return (struct job_channel *)(void *)query->channels.data;
}

VISIBILITY_POP

#endif
