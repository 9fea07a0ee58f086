/* Base64 with padding (RFC 4648 section 4). */
#ifndef MOONWIRE_BASE_BASE64_H
#define MOONWIRE_BASE_BASE64_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Appends `bytes` encoded. */
void base64_write(struct buffer *out, struct bytes bytes);

VISIBILITY_POP

#endif
