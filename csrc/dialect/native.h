/* The native protocol: JSON objects with one verb each (codec/verb.h), and its five faces. */
#ifndef MOONWIRE_DIALECT_NATIVE_H
#define MOONWIRE_DIALECT_NATIVE_H

#include "dialect/dialect.h"

VISIBILITY_PUSH

extern const struct dialect native_websocket;  /* without a subprotocol */
extern const struct dialect native_moonwire_1; /* with the subprotocol moonwire.1 */
extern const struct dialect native_stream;     /* plain event streams */
extern const struct dialect native_enveloped;  /* event streams with ?envelope=1 */
extern const struct dialect native_polls;      /* clients that poll, and the answers to POST /send */
/* What the query of a poll asks for: reads the name of a channel, and answers with what is told of it. */
extern const struct dialect native_query;

/* All of them. */
extern const struct dialect_table native_dialects;

/* Reads the one verb of a frame, or of the body of a POST /send. */
enum read_result native_next(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                             struct refusal *refusal);
void native_ok(struct rope *out, struct bytes ref, const struct outcome *outcome);
void native_error(struct rope *out, struct bytes ref, const struct refusal *refusal);
/* Appends what is told of a channel, as an object. */
void native_write_told(struct rope *out, const struct told *told);
/* Appends the member "recovered", after others, if the client has said what it has seen. */
void native_write_recovered(struct buffer *out, struct since since, size_t gap_count);
void native_event(const struct dialect *dialect, struct rope *out, const struct event *event);
void native_open(const struct dialect *dialect, struct rope *out, struct opening *opening);
unsigned native_close_code(const struct closing *closing);

VISIBILITY_POP

#endif
