/* The first line is the boundary, the rest the body. Parts lie in the body, in order, and apart; what
 * is read is the same if the form is written again. A Content-Type never yields a boundary that the
 * standard does not allow. */
#include "codec/http/multipart.h"
#include "fuzz/fuzz.h"

enum { PARTS_MAX = 20 };

static void append_quoted(struct buffer *out, struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '"' || text.ptr[i] == '\\') buffer_append_char(out, '\\');
    buffer_append_char(out, text.ptr[i]);
  }
}

static void write_part(struct buffer *out, struct bytes boundary, const struct multipart_part *part) {
  buffer_append_string(out, "--");
  buffer_append(out, boundary);
  buffer_append_string(out, "\r\nContent-Disposition: form-data; name=\"");
  append_quoted(out, buffer_bytes(&part->name));
  if (part->is_file) buffer_append_string(out, "\"; filename=\"");
  if (part->is_file) append_quoted(out, buffer_bytes(&part->filename));
  buffer_append_string(out, "\"\r\n");
  if (part->type.len > 0) buffer_append_string(out, "Content-Type: ");
  if (part->type.len > 0) buffer_append(out, part->type);
  if (part->type.len > 0) buffer_append_string(out, "\r\n");
  buffer_append_string(out, "\r\n");
  buffer_append(out, part->content);
  buffer_append_string(out, "\r\n");
}

static void check_again(struct bytes written, struct bytes boundary, const struct multipart_part *part) {
  struct multipart multipart = {.rest = written, .boundary = boundary};
  struct multipart_part again;
  const char *fault = NULL;
  multipart_part_init(&again);
  must(multipart_next(&multipart, &again, &fault) == 1);
  must(bytes_equal(buffer_bytes(&again.name), buffer_bytes(&part->name)));
  must(bytes_equal(buffer_bytes(&again.filename), buffer_bytes(&part->filename)));
  must(again.is_file == part->is_file && bytes_equal(again.content, part->content) && bytes_equal(again.type, part->type));
  must(multipart_next(&multipart, &again, &fault) == 0);
  multipart_part_deinit(&again);
}

static void check_body(struct bytes body, struct bytes boundary) {
  struct multipart multipart = {.rest = body, .boundary = boundary};
  struct multipart_part part;
  struct buffer written = {0};
  const char *fault = NULL, *end = body.ptr;
  int next;
  multipart_part_init(&part);
  for (size_t i = 0; (next = multipart_next(&multipart, &part, &fault)) == 1; i++) {
    must(part.content.ptr >= end && part.content.ptr + part.content.len <= body.ptr + body.len);
    end = part.content.ptr + part.content.len;
    if (i >= PARTS_MAX) continue;
    buffer_clear(&written);
    write_part(&written, boundary, &part);
    buffer_append_string(&written, "--");
    buffer_append(&written, boundary);
    buffer_append_string(&written, "--");
    if (written.len < MULTIPART_HEAD_MAX) check_again(buffer_bytes(&written), boundary, &part);
  }
  must(next == 0 || fault);
  multipart_part_deinit(&part);
  buffer_deinit(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  struct buffer boundary = {0};
  if (multipart_boundary(input, &boundary)) must(boundary.len >= 1 && boundary.len <= MULTIPART_BOUNDARY_MAX);
  buffer_clear(&boundary);
  buffer_append_string(&boundary, "multipart/form-data; boundary=\"");
  size_t line = bytes_find(input, '\n');
  buffer_append(&boundary, bytes_of(input.ptr, line));
  buffer_append_string(&boundary, "\"");
  struct buffer valid = {0};
  if (line < input.len && multipart_boundary(buffer_bytes(&boundary), &valid)) {
    check_body(bytes_of(input.ptr + line + 1, input.len - line - 1), buffer_bytes(&valid));
  }
  buffer_deinit(&boundary);
  buffer_deinit(&valid);
  return 0;
}
