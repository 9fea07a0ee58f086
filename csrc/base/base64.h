/* Base64 with padding (RFC 4648 section 4), and base64url without (section 5, as RFC 7515 uses
 * it). */
#ifndef MOONWIRE_BASE_BASE64_H
#define MOONWIRE_BASE_BASE64_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Appends `bytes` in base64 to `out`. */
void base64_write(struct buffer *out, struct bytes bytes);
/* Decodes `text` and appends the bytes. Returns false and appends nothing if `text` is not base64:
 * padding is required, and white space is not allowed. If out of memory, returns true with
 * out->failed set. */
bool base64_read(struct buffer *out, struct bytes text);

/* The same in base64url, whose digits may stand in URLs, cookies, and tokens. Padding is not
 * written, and not allowed. */
void base64url_write(struct buffer *out, struct bytes bytes);
bool base64url_read(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
