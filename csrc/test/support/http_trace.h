/* Feeds a reader in pieces and writes a trace of its events, so that two ways of splitting the same
 * input can be compared. */
#ifndef MOONWIRE_TEST_SUPPORT_HTTP_TRACE_H
#define MOONWIRE_TEST_SUPPORT_HTTP_TRACE_H

#include "base/buffer.h"
#include "codec/http/http_reader.h"

/* Feeds `first` bytes, then pieces of `step` bytes. Writes one line for each event:
 *
 *   HEAD 1.1 GET /path ?query keep-alive length continue upgrade [name: value] … @offset after it
 *   DONE <body> @offset
 *   ERROR 400 reason
 *
 * Returns false if out of memory. Aborts if the reader violates its contract. */
bool http_trace(struct buffer *out, const struct http_limits *limits, struct bytes input, size_t first, size_t step);

#endif
