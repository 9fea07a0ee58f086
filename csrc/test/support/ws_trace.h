/* Feeds a reader in pieces and writes down what came of it, so that two ways of cutting the same input can be compared; and
 * writes what a client would send, to have something to feed. */
#ifndef MOONWIRE_TEST_SUPPORT_WS_TRACE_H
#define MOONWIRE_TEST_SUPPORT_WS_TRACE_H

#include "base/buffer.h"
#include "codec/ws_reader.h"

/* Appends a masked frame. `first` is FIN, reserved bits and opcode. */
void ws_client_frame(struct buffer *out, unsigned first, struct bytes key, struct bytes payload);

/* Feeds `first` bytes, then pieces of `step` bytes. A reader that is idle is replaced by a new one or lent anew, as connections do.
 * One line an event:
 *   TEXT <payload> @offset behind it   (likewise BINARY, PING, PONG)
 *   CLOSE 1000 reason
 *   ERROR 1002 reason
 *   IDLE                               at the end, if the reader is
 * False without memory. Aborts if the reader breaks its contract. */
bool ws_trace(struct buffer *out, const struct ws_limits *limits, struct bytes input, size_t first, size_t step);
/* Likewise, by the terms that were agreed. */
bool ws_trace_terms(struct buffer *out, const struct ws_limits *limits, struct ws_deflate_terms terms, struct bytes input,
                    size_t first, size_t step);

#endif
