/* Answers of the native protocol: to the session, or to the HTTP exchange that waits for it. */
#ifndef MOONWIRE_SESSION_REPLY_H
#define MOONWIRE_SESSION_REPLY_H

#include "base/buffer.h"
#include "session/session.h"

VISIBILITY_PUSH

/* {"ref":…,"ok":…}; `value` is JSON, or empty. */
void reply_ok(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes value);
/* The same for what may be large: it is not compressed, which would take longer than anything else that a client can ask for. */
void reply_page(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes value);
/* {"ref":…,"error":…}; the code decides the status of an HTTP answer. */
void reply_error(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes channel,
                 const char *code, const char *reason);
/* A good answer that is written already, and may be shared in part. */
void reply_rope(struct subscriber *subscriber, const struct reply_to *to, const struct rope *text);
/* To a poll: its client has joined a channel; an object says what is told of it. */
void reply_joined(struct subscriber *subscriber, const struct reply_to *to, const struct rope *told);
/* An answer that is written already; `code` NULL: a good one. */
void reply_text(struct subscriber *subscriber, const struct reply_to *to, const char *code, struct buffer *text);
/* Returns how many bytes of snapshots the answer may have. */
size_t reply_room(struct subscriber *subscriber, const struct reply_to *to);
/* One event of the server's own, in the session's format; `data` is JSON. */
void reply_event(struct subscriber *subscriber, struct bytes event, struct bytes data);
/* The same with data that may be shared, of a channel. */
void reply_event_rope(struct subscriber *subscriber, struct bytes channel, struct bytes event, const struct rope *data);
/* The same with {"channel":…}; on an event stream with that id, if it is not empty. */
void reply_channel_event(struct subscriber *subscriber, struct bytes event, struct bytes channel, struct bytes id);
void reply_unsubscribed(struct subscriber *subscriber, struct bytes channel, const char *code, const char *reason);

/* The HTTP status that goes with a code of the protocol. */
int reply_status(const char *code);

VISIBILITY_POP

#endif
