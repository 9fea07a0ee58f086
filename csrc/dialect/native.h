/* The native protocol: JSON objects with one verb each (codec/verb.h). It has one dialect for each
 * transport and form. */
#ifndef MOONWIRE_DIALECT_NATIVE_H
#define MOONWIRE_DIALECT_NATIVE_H

#include "dialect/dialect.h"

VISIBILITY_PUSH

extern const struct dialect native_websocket;  /* without a subprotocol */
extern const struct dialect native_moonwire_1; /* with the subprotocol moonwire.1 */
extern const struct dialect native_stream;     /* plain event streams */
extern const struct dialect native_follow;     /* raw streams, as plain ones, without their ends */
extern const struct dialect native_enveloped;  /* event streams with ?envelope=1 */
extern const struct dialect native_polls;      /* polling clients, and answers to POST /send */
/* The query of a poll: reads the name of a channel as a subscribe, and answers as
 * native_write_told. */
extern const struct dialect native_query;

/* All dialects of the native protocol, by use. */
extern const struct dialect_table native_dialects;

/* Reads the verb of a frame, or of the body of a POST /send. */
enum read_result native_next(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                             struct refusal *refusal);
void native_ok(struct rope *out, struct bytes ref, const struct outcome *outcome);
void native_error(struct rope *out, struct bytes ref, const struct refusal *refusal);
/* Appends an object with what a client receives about a channel when it joins. */
void native_write_told(struct rope *out, const struct told *told);
/* Appends the member "recovered", after other members, if the client has sent a cursor. */
/* Appends ,"expires":<seconds>, unless they are 0. */
void native_write_expires(struct buffer *out, uint64_t expires_s);
void native_write_recovered(struct buffer *out, struct since since, size_t gap_count);
/* Appends the answer to a poll, up to its messages. */
void native_write_poll(struct rope *out, const struct polled *polled);
/* Appends a member of "channels" in that answer. */
void native_write_poll_joined(struct rope *joined, struct bytes channel, const struct rope *ok);
void native_event(const struct dialect *dialect, struct rope *out, const struct event *event);
void native_open(const struct dialect *dialect, struct rope *out, struct opening *opening);
unsigned native_close_code(const struct closing *closing);

VISIBILITY_POP

#endif
