#include "test/support/http_trace.h"

#include <stdio.h>
#include <stdlib.h>

static void must(bool condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "http_reader: %s\n", what);
  abort();
}

static void trace_head(struct buffer *out, const struct http_head *head, size_t offset) {
  buffer_append_format(out, "HEAD 1.%d ", head->minor);
  buffer_append(out, head->method);
  buffer_append_char(out, ' ');
  buffer_append(out, head->path);
  if (head->query.len > 0) buffer_append_char(out, '?');
  buffer_append(out, head->query);
  if (head->keep_alive) buffer_append_string(out, " keep-alive");
  if (head->has_length) buffer_append_string(out, " length");
  if (head->expect_continue) buffer_append_string(out, " continue");
  if (head->upgrade) buffer_append_string(out, " upgrade");
  for (size_t i = 0; i < head->field_count; i++) {
    buffer_append_string(out, " [");
    buffer_append(out, head->fields[i].name);
    buffer_append_string(out, ": ");
    buffer_append(out, head->fields[i].value);
    buffer_append_char(out, ']');
  }
  buffer_append_format(out, " @%zu\n", offset);
}

static void check_limits(const struct http_reader *reader, const struct http_limits *limits) {
  const struct http_head *head = http_reader_head(reader);
  must(head->target.len <= limits->target, "a target over its limit");
  must(head->field_count <= limits->fields, "fields over their limit");
  must(http_reader_body(reader).len <= limits->body, "a body over its limit");
}

/* After a malformed head, the valid parts must still be slices of the input. */
static void check_salvage(struct http_reader *reader, const struct http_limits *limits) {
  http_reader_salvage(reader);
  const struct http_head *head = http_reader_head(reader);
  check_limits(reader, limits);
  must(head->path.len <= head->target.len && head->path.len <= bytes_find(head->path, '?'), "a path that is not one");
  for (size_t i = 0; i < head->field_count; i++) {
    must(bytes_find(head->fields[i].name, '\n') == head->fields[i].name.len, "a name of two lines");
    must(bytes_find(head->fields[i].value, '\n') == head->fields[i].value.len, "a value of two lines");
  }
}

/* Feeds one piece. Returns false after an error. */
static bool trace_piece(struct buffer *out, struct http_reader *reader, const struct http_limits *limits, struct bytes piece,
                        size_t offset) {
  for (;;) {
    size_t used = 0;
    enum http_event event = http_reader_next(reader, piece, &used);
    must(used <= piece.len, "more used than was there");
    must(event != HTTP_MORE || used == piece.len, "asks for more with input left");
    piece = bytes_of(piece.ptr + used, piece.len - used);
    offset += used;
    if (event == HTTP_MORE) return true;
    if (event == HTTP_ERROR) {
      struct http_error error = http_reader_error(reader);
      buffer_append_format(out, "ERROR %d %s\n", error.status, error.reason);
      must(http_reader_next(reader, piece, &used) == HTTP_ERROR && used == 0, "continues after an error");
      check_salvage(reader, limits);
      return false;
    }
    check_limits(reader, limits);
    if (event == HTTP_HEAD) {
      trace_head(out, http_reader_head(reader), offset);
    } else {
      buffer_append_string(out, "DONE ");
      buffer_append(out, http_reader_body(reader));
      buffer_append_format(out, " @%zu\n", offset);
      must(http_reader_idle(reader), "not idle after a request");
    }
  }
}

bool http_trace(struct buffer *out, const struct http_limits *limits, struct bytes input, size_t first, size_t step) {
  struct http_reader *reader = http_reader_new(limits);
  if (!reader) return false;
  must(http_reader_idle(reader), "not idle at first");
  size_t size = first;
  bool going = true;
  for (size_t at = 0; going && at < input.len; at += size, size = step) {
    if (size > input.len - at) size = input.len - at;
    /* A copy that is freed after the call: a sanitizer finds reads beyond its end, and pointers
     * into it that are used later. */
    char *copy = malloc(size > 0 ? size : 1);
    must(copy, "out of memory in the test");
    if (size > 0) memcpy(copy, input.ptr + at, size);
    going = trace_piece(out, reader, limits, bytes_of(copy, size), at);
    free(copy);
  }
  http_reader_free(reader);
  return !out->failed;
}
