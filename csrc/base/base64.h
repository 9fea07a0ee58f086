/* Base64 with padding (RFC 4648 section 4). */
#ifndef MOONWIRE_BASE_BASE64_H
#define MOONWIRE_BASE_BASE64_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Appends `bytes` encoded. */
void base64_write(struct buffer *out, struct bytes bytes);
/* Appends what `text` encodes. False, with nothing appended, if it is not base64: padding is needed, and white space is not allowed. Without
 * memory true, and the buffer has failed. */
bool base64_read(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
