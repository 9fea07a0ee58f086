/* What the query of an event stream or of a poll asks for: channels, and where to go on. */
#ifndef MOONWIRE_SERVER_WISH_H
#define MOONWIRE_SERVER_WISH_H

#include "base/buffer.h"
#include "server/errand.h"

VISIBILITY_PUSH

struct wish {
  struct buffer names;    /* one behind the other */
  struct buffer channels; /* of struct errand_channel */
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
void wish_init(struct wish *wish, const struct mw_config *config, struct bytes query);
void wish_deinit(struct wish *wish);
/* Refuses it, unless it is refused already. */
void wish_refuse(struct wish *wish, int status, const char *reason);
/* The name that the refusal is about; ptr NULL: it is about the whole query. */
static inline struct bytes wish_refused(const struct wish *wish) {
  if (!wish->names_refused) return bytes_of(NULL, 0);
  return wish->refused.len > 0 ? buffer_bytes(&wish->refused) : bytes_of("", 0);
}
static inline struct errand_channel *wish_channels(struct wish *wish) {
  return (struct errand_channel *)(void *)wish->channels.data;
}

VISIBILITY_POP

#endif
