/* The channel that a raw stream follows (script/follow.h), on the worker of the stream. */
#ifndef MOONWIRE_TRANSPORT_FOLLOW_H
#define MOONWIRE_TRANSPORT_FOLLOW_H

#include "base/bytes.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct exchange;

/* Mail that brings a follow with its join job; and mail with which the app ends it. */
extern const struct mail_class follow_class, follow_cancel_class;

/* Every channel of the stream has ended, and its client has what there is. */
void follow_finish(struct exchange *exchange);
/* The stream is about to end. */
void follow_close(struct exchange *exchange);

VISIBILITY_POP

#endif
