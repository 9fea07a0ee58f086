/* Feeds a reader in pieces and writes down what came of it, so that two ways of cutting the same input can be compared. */
#ifndef MOONWIRE_TEST_SUPPORT_HTTP_TRACE_H
#define MOONWIRE_TEST_SUPPORT_HTTP_TRACE_H

#include "base/buffer.h"
#include "codec/http_reader.h"

/* Feeds `first` bytes, then pieces of `step` bytes. One line an event:
 *   HEAD 1.1 GET /path ?query keep-alive length continue upgrade [name: value] … @offset behind it
 *   DONE <body> @offset
 *   ERROR 400 reason
 * False without memory. Aborts if the reader breaks its contract. */
bool http_trace(struct buffer *out, const struct http_limits *limits, struct bytes input, size_t first, size_t step);

#endif
