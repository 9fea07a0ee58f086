/* What the query of an event stream or of a poll asks for: channels, and where to go on. */
#ifndef MOONWIRE_APP_SUBSCRIBE_QUERY_H
#define MOONWIRE_APP_SUBSCRIBE_QUERY_H

#include "app/config.h"
#include "app/job_channel.h"
#include "base/buffer.h"

VISIBILITY_PUSH

struct subscribe_query {
  struct buffer names;    /* one behind the other */
  struct buffer channels; /* of struct job_channel */
  size_t channel_count;
  struct buffer since, client;
  bool has_last_id; /* since is what lastEventId said, which wins: a page's URL is repeated on each return */
  bool has_client, envelope;
  bool bad_wait;    /* which only a poll minds */
  uint64_t wait_ms; /* as long as may be, if nothing was said */
  int status;       /* a refusal; 0: none */
  const char *reason;
  struct buffer refused; /* the name that it is about */
  bool names_refused;    /* it is about one */
};

/* Reads the query of a request. Names are checked, and their kinds found; whether there are any is the caller's to judge. */
void subscribe_query_init(struct subscribe_query *query, const struct mw_config *config, struct bytes encoded);
void subscribe_query_deinit(struct subscribe_query *query);
/* Refuses it, unless it is refused already. */
void subscribe_query_refuse(struct subscribe_query *query, int status, const char *reason);
/* The name that the refusal is about; ptr NULL: it is about the whole query. */
static inline struct bytes subscribe_query_refused(const struct subscribe_query *query) {
  if (!query->names_refused) return bytes_of(NULL, 0);
  return query->refused.len > 0 ? buffer_bytes(&query->refused) : bytes_of("", 0);
}
static inline struct job_channel *subscribe_query_channels(struct subscribe_query *query) {
  return (struct job_channel *)(void *)query->channels.data;
}

VISIBILITY_POP

#endif
