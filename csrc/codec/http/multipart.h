/* Reads multipart/form-data (RFC 7578, RFC 2046 section 5.1), the body of a form with files.
 *
 * It is strict: lines end in CRLF, the last boundary must be there, and every part must have one
 * Content-Disposition with a name. Transfer encodings, which RFC 7578 deprecates, are refused. */
#ifndef MOONWIRE_CODEC_MULTIPART_H
#define MOONWIRE_CODEC_MULTIPART_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Bytes of a boundary; of the headers of one part. */
enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEAD_MAX = 8192 };

/* Finds the boundary in a Content-Type, and appends it to `out`. Returns false if the type is not
 * multipart/form-data, or has no valid boundary. If out of memory, out->failed is set. */
bool multipart_boundary(struct bytes content_type, struct buffer *out);

struct multipart {
  struct bytes rest;     /* of the body */
  struct bytes boundary; /* borrowed, like the body */
  bool has_begun, has_ended;
};

struct multipart_part {
  struct buffer name, filename; /* without quotes and escapes; the bytes may be other than UTF-8 */
  bool is_file;                 /* has a filename, which may be empty */
  struct bytes type;            /* its Content-Type; may be empty */
  struct bytes content;         /* in the body */
};

void multipart_part_init(struct multipart_part *part);
void multipart_part_deinit(struct multipart_part *part);

/* Reads the next part. Returns 1; 0 after the last; -1 if the body is malformed: *fault then states
 * what is wrong, a constant. If out of memory, returns 1 with part->name or filename failed. */
int multipart_next(struct multipart *multipart, struct multipart_part *part, const char **fault);

VISIBILITY_POP

#endif
