/* Lines of a head or a chunked body, gathered in a buffer from input in pieces. */
#ifndef MOONWIRE_CODEC_HTTP_LINE_H
#define MOONWIRE_CODEC_HTTP_LINE_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Moves bytes from `rest` to the buffer, up to and including the next newline, and at most until
 * the buffer holds `max`. Returns true if the line is complete; false otherwise, and if the buffer
 * failed. */
bool http_line_take(struct buffer *buffer, size_t max, struct bytes *rest);

/* `line` is complete. */
bool http_line_ends_in_crlf(struct bytes line);

VISIBILITY_POP

#endif
