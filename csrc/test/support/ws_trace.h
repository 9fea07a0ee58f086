/* Feeds a reader in pieces and writes a trace of its events, so that two ways of splitting the same
 * input can be compared. Also writes the frames of a client, as input. */
#ifndef MOONWIRE_TEST_SUPPORT_WS_TRACE_H
#define MOONWIRE_TEST_SUPPORT_WS_TRACE_H

#include "base/buffer.h"
#include "codec/ws/ws_reader.h"

/* Appends a masked frame. `first` is FIN, the reserved bits, and the opcode. */
void ws_client_frame(struct buffer *out, unsigned first, struct bytes key, struct bytes payload);

/* Feeds `first` bytes, then pieces of `step` bytes. An idle reader is replaced by a new one or lent
 * again, as connections do. Writes one line for each event:
 *
 *   TEXT <payload> @offset after it   (also BINARY, PING, PONG)
 *   CLOSE 1000 reason
 *   ERROR 1002 reason
 *   IDLE                              at the end, if the reader is idle
 *
 * Returns false if out of memory. Aborts if the reader violates its contract. */
bool ws_trace(struct buffer *out, const struct ws_limits *limits, struct bytes input, size_t first, size_t step);
/* Does the same with negotiated terms. */
bool ws_trace_terms(struct buffer *out, const struct ws_limits *limits, struct ws_deflate_terms terms, struct bytes input,
                    size_t first, size_t step);

#endif
