#include "codec/http/http_reader.h"

/* llhttp has an HTTP_HEAD too: the method. */
#define HTTP_HEAD LLHTTP_METHOD_HEAD
#include "llhttp.h"
#undef HTTP_HEAD

#include <assert.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "codec/http/http_head.h"
#include "codec/http/http_line.h"

/* llhttp receives whole lines and bytes of the body, never a part of a line. So its results do not
 * depend on how the input is split, and it never has to pause: the end of its input is the end of a
 * head, of a chunk, or of a request. */

enum {
  CHUNK_LINE_MAX = 256, /* bytes of a line with the size of a chunk and its extensions, with CRLF */
  IDLE_TEXT_MAX = 1024, /* the most bytes and fields that an idle reader keeps */
  IDLE_FIELDS_MAX = 32,
};

enum read_state {
  READ_HEAD,       /* lines up to the empty one */
  READ_NO_BODY,    /* the head was returned, and the request is complete */
  READ_LENGTH,     /* `remaining` bytes of body */
  READ_CHUNK_SIZE, /* the line before a chunk */
  READ_CHUNK_DATA, /* `remaining` bytes of a chunk */
  READ_CHUNK_END,  /* the CRLF after them */
  READ_TRAILER,    /* the lines after the last chunk */
  READ_DONE,       /* the request was returned */
  READ_ENDED,      /* the last request of the connection was returned */
  READ_FAILED,
};

struct http_reader {
  const struct http_limits *limits;
  llhttp_t parser;
  enum read_state state;
  struct buffer text;        /* the head as sent */
  size_t line_start;         /* start of its last line, which may be incomplete */
  bool skipped_line;         /* an empty line before the request was skipped */
  struct http_head head;     /* slices of `text`, valid after the end of the head */
  struct http_field *fields; /* the fields of `head` */
  size_t field_capacity;
  struct buffer line; /* the size line of a chunk, its end, or the trailer */
  uint64_t remaining;
  size_t trailer_len, trailer_count;
  struct buffer body;
  bool head_complete, chunk_begun, complete; /* set by llhttp */
  struct http_error error;
};

static void become(struct http_reader *reader, enum read_state state) {
#define TO(name) 1U << (name)
  static const unsigned allowed[] = {
      [READ_HEAD] = TO(READ_NO_BODY) | TO(READ_LENGTH) | TO(READ_CHUNK_SIZE),
      [READ_NO_BODY] = TO(READ_DONE) | TO(READ_ENDED),
      [READ_LENGTH] = TO(READ_DONE) | TO(READ_ENDED),
      [READ_CHUNK_SIZE] = TO(READ_CHUNK_DATA) | TO(READ_TRAILER),
      [READ_CHUNK_DATA] = TO(READ_CHUNK_END),
      [READ_CHUNK_END] = TO(READ_CHUNK_SIZE),
      [READ_TRAILER] = TO(READ_DONE) | TO(READ_ENDED),
      [READ_DONE] = TO(READ_HEAD),
      [READ_ENDED] = 0,
      [READ_FAILED] = 0,
  };
#undef TO
  assert(state == READ_FAILED ? reader->state != READ_FAILED : (allowed[reader->state] >> state & 1) == 1);
  (void)allowed;
  reader->state = state;
}

static enum http_event http_reader_fail(struct http_reader *reader, int status, const char *reason) {
  become(reader, READ_FAILED);
  reader->error = (struct http_error){.status = status, .reason = reason};
  return HTTP_ERROR;
}

static enum http_event exceed(struct http_reader *reader, enum http_bound exceeded, int status, const char *reason) {
  http_reader_fail(reader, status, reason);
  reader->error.exceeded = exceeded;
  return HTTP_ERROR;
}

static enum http_event fail_memory(struct http_reader *reader) { return http_reader_fail(reader, 503, "out of memory"); }

/* ---- llhttp ---------------------------------------------------------------------------------- */

static int on_head_complete(llhttp_t *parser) {
  struct http_reader *reader = parser->data;
  reader->head_complete = true;
  return 0;
}

static int on_chunk_head(llhttp_t *parser) {
  struct http_reader *reader = parser->data;
  reader->chunk_begun = true;
  reader->remaining = parser->content_length;
  return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
  struct http_reader *reader = parser->data;
  buffer_append(&reader->body, bytes_of(at, len));
  return 0;
}

static int on_complete(llhttp_t *parser) {
  struct http_reader *reader = parser->data;
  reader->complete = true;
  return 0;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_head_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
    .on_chunk_header = on_chunk_head,
};

/* Returns true if llhttp accepted all of `text`. It stops after a request that offers an upgrade
 * and has no body. The reader continues, because it resets the parser for each request. */
static bool run_parser(struct http_reader *reader, struct bytes text) {
  llhttp_errno_t result = llhttp_execute(&reader->parser, text.ptr, text.len);
  return result == HPE_OK || (result == HPE_PAUSED_UPGRADE && reader->complete);
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct http_reader *http_reader_new(const struct http_limits *limits) {
  struct http_reader *reader = memory_calloc(1, sizeof(*reader));
  if (!reader) return NULL;
  reader->limits = limits;
  llhttp_init(&reader->parser, HTTP_REQUEST, &settings);
  reader->parser.data = reader;
  return reader;
}

void http_reader_free(struct http_reader *reader) {
  if (!reader) return;
  buffer_deinit(&reader->text);
  buffer_deinit(&reader->line);
  buffer_deinit(&reader->body);
  memory_free(reader->fields);
  memory_free(reader);
}

/* Releases the last request. Small buffers are kept for the next one. */
static void begin_request(struct http_reader *reader) {
  become(reader, READ_HEAD);
  llhttp_reset(&reader->parser);
  buffer_clear(&reader->text);
  if (reader->text.capacity > IDLE_TEXT_MAX) buffer_deinit(&reader->text);
  buffer_deinit(&reader->line);
  buffer_deinit(&reader->body);
  if (reader->field_capacity > IDLE_FIELDS_MAX) {
    memory_free(reader->fields);
    reader->fields = NULL;
    reader->field_capacity = 0;
  }
  reader->head = (struct http_head){0};
  reader->line_start = 0;
  reader->trailer_len = reader->trailer_count = 0;
  reader->skipped_line = reader->head_complete = reader->complete = false;
}

/* ---- Head ------------------------------------------------------------------------------------ */

/* Allocates exactly what is needed: the number of fields is known and within its limit. */
static bool reserve_fields(struct http_reader *reader) {
  if (reader->head.field_count <= reader->field_capacity) return true;
  struct http_field *fields = memory_realloc(reader->fields, reader->head.field_count * sizeof(*fields));
  if (!fields) return false;
  reader->fields = fields;
  reader->field_capacity = reader->head.field_count;
  return true;
}

static enum http_event refuse_parsed(struct http_reader *reader, size_t line_len) {
  const char *at = llhttp_get_error_pos(&reader->parser);
  bool in_line = at && at < reader->text.data + line_len;
  /* The form of the request line was already checked: llhttp refuses the target or the method. */
  if (in_line && llhttp_get_errno(&reader->parser) == HPE_INVALID_URL)
    return http_reader_fail(reader, 400, "malformed request target");
  if (in_line) return http_reader_fail(reader, 501, "unknown method");
  return http_reader_fail(reader, 400, "malformed request head");
}

static enum http_event finish_head(struct http_reader *reader) {
  struct http_head *head = &reader->head;
  struct bytes text = buffer_bytes(&reader->text);
  size_t line_len = bytes_find(text, '\n') + 1;
  if (!reserve_fields(reader)) return fail_memory(reader);

  struct http_framing framing = {0};
  struct http_error error = http_head_read_line(head, bytes_of(text.ptr, line_len - 2), reader->limits->target);
  if (!error.status) error = http_head_read_fields(head, bytes_of(text.ptr + line_len, text.len - line_len), reader->fields);
  if (!error.status) error = http_head_frame(head, &framing);
  if (error.status) return exceed(reader, error.exceeded, error.status, error.reason);
  /* "HTTP/1.7": llhttp does not accept a minor version above 1. */
  if (head->minor == 1) reader->text.data[line_len - 3] = '1';
  if (!run_parser(reader, text)) return refuse_parsed(reader, line_len);
  error = http_head_check(head, reader->fields, &framing, reader->text.data + (head->target.ptr - text.ptr));
  if (error.status) return exceed(reader, error.exceeded, error.status, error.reason);
  if (framing.length > reader->limits->body)
    return exceed(reader, HTTP_BOUND_BODY, 413, "the request body is larger than limits.body");

  bool has_body = framing.chunked || framing.length > 0;
  if (!reader->head_complete || reader->complete == has_body) return http_reader_fail(reader, 400, "ambiguous body length");
  reader->remaining = framing.length;
  become(reader, framing.chunked ? READ_CHUNK_SIZE : has_body ? READ_LENGTH : READ_NO_BODY);
  return HTTP_HEAD;
}

static enum http_event read_head_line(struct http_reader *reader, struct bytes line) {
  if (!http_line_ends_in_crlf(line)) return http_reader_fail(reader, 400, "a line of the request head must end in CRLF");
  line.len -= 2;
  bool is_first = reader->line_start == 0;
  if (is_first && line.len == 0) {
    /* Some clients send an extra CRLF after a body; one is ignored (RFC 9112 section 2.2). */
    if (reader->skipped_line) return http_reader_fail(reader, 400, "more than one empty line before the request");
    reader->skipped_line = true;
    buffer_clear(&reader->text);
    return HTTP_MORE;
  }
  if (is_first) {
    struct http_error error = http_head_read_line(&reader->head, line, reader->limits->target);
    if (error.status) return exceed(reader, error.exceeded, error.status, error.reason);
  } else if (line.len == 0) {
    return finish_head(reader);
  } else if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
    return http_reader_fail(reader, 400, "a header must not continue on the next line");
  } else if (++reader->head.field_count > reader->limits->fields) {
    return exceed(reader, HTTP_BOUND_FIELDS, 431, "more headers than limits.fields");
  }
  reader->line_start = reader->text.len;
  return HTTP_MORE;
}

static enum http_event read_head(struct http_reader *reader, struct bytes *rest) {
  /* A client of another protocol, usually TLS, sends no newline and would wait for an answer. */
  bool is_first = reader->text.len == 0 && rest->len > 0;
  if (is_first && rest->ptr[0] != '\r' && !http_token_valid(bytes_of(rest->ptr, 1))) {
    return http_reader_fail(reader, 400, "the request line must begin with a method, such as GET");
  }
  bool has_line = http_line_take(&reader->text, reader->limits->head, rest);
  if (reader->text.failed) return fail_memory(reader);
  size_t start = reader->line_start;
  enum http_event event = HTTP_MORE;
  if (has_line) event = read_head_line(reader, bytes_of(reader->text.data + start, reader->text.len - start));
  if (event != HTTP_MORE || reader->text.len < reader->limits->head) return event;
  if (reader->line_start == 0) return exceed(reader, HTTP_BOUND_HEAD, 414, "the request line is longer than limits.head");
  return exceed(reader, HTTP_BOUND_HEAD, 431, "the request head is larger than limits.head");
}

/* ---- Body ------------------------------------------------------------------------------------ */

static enum http_event finish(struct http_reader *reader) {
  if (reader->state != READ_NO_BODY && !reader->complete) return http_reader_fail(reader, 400, "ambiguous end of the body");
  become(reader, reader->head.keep_alive ? READ_DONE : READ_ENDED);
  return HTTP_DONE;
}

/* Reads bytes of a known number, from a body with Content-Length or from a chunk. */
static enum http_event http_reader_read_data(struct http_reader *reader, struct bytes *rest) {
  struct bytes part = bytes_of(rest->ptr, rest->len < reader->remaining ? rest->len : (size_t)reader->remaining);
  if (part.len == 0) return HTTP_MORE;
  reader->remaining -= part.len;
  *rest = bytes_of(rest->ptr + part.len, rest->len - part.len);
  if (!run_parser(reader, part)) return http_reader_fail(reader, 400, "malformed body");
  if (reader->body.failed) return fail_memory(reader);
  if (reader->remaining > 0) return HTTP_MORE;
  if (reader->state == READ_LENGTH) return finish(reader);
  become(reader, READ_CHUNK_END);
  return HTTP_MORE;
}

static enum http_event read_chunk_size(struct http_reader *reader, struct bytes line) {
  uint64_t room = reader->limits->body - reader->body.len;
  /* Extensions are not used, and the versions of llhttp parse them differently, so it gets none. */
  struct bytes size = bytes_of(line.ptr, bytes_find(line, ';'));
  struct bytes extension = bytes_of(line.ptr + size.len, line.len - size.len);
  if (size.len == line.len) {
    size.len -= 2;
  } else if (!http_value_valid(bytes_of(extension.ptr, extension.len - 2))) {
    return http_reader_fail(reader, 400, "malformed chunk extension");
  }
  reader->chunk_begun = false;
  bool ok = size.len > 0 && run_parser(reader, size) && run_parser(reader, BYTES("\r\n"));
  if (!ok || !reader->chunk_begun) return http_reader_fail(reader, 400, "malformed chunk size");
  if (reader->remaining > room) return exceed(reader, HTTP_BOUND_BODY, 413, "the request body is larger than limits.body");
  become(reader, reader->remaining > 0 ? READ_CHUNK_DATA : READ_TRAILER);
  return HTTP_MORE;
}

static enum http_event read_chunk_end(struct http_reader *reader, struct bytes line) {
  if (!run_parser(reader, line)) return http_reader_fail(reader, 400, "a chunk is longer than its size");
  become(reader, READ_CHUNK_SIZE);
  return HTTP_MORE;
}

/* Trailer fields are checked and dropped. */
static enum http_event read_trailer_line(struct http_reader *reader, struct bytes line) {
  bool is_empty = line.len == 2;
  if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
    return http_reader_fail(reader, 400, "a header must not continue on the next line");
  if (!is_empty && ++reader->trailer_count > reader->limits->fields)
    return exceed(reader, HTTP_BOUND_FIELDS, 431, "more trailer fields than limits.fields");
  reader->trailer_len += line.len;
  if (!run_parser(reader, line)) return http_reader_fail(reader, 400, "malformed trailer");
  return is_empty ? finish(reader) : HTTP_MORE;
}

/* Refuses a line that is longer than its limit. */
static enum http_event refuse_body_line(struct http_reader *reader) {
  if (reader->state == READ_TRAILER) return exceed(reader, HTTP_BOUND_HEAD, 431, "the trailer is larger than limits.head");
  if (reader->state == READ_CHUNK_END) return http_reader_fail(reader, 400, "a chunk is longer than its size");
  return http_reader_fail(reader, 400, "the size line of a chunk is too long");
}

static enum http_event read_body_line(struct http_reader *reader, struct bytes *rest) {
  size_t max = CHUNK_LINE_MAX;
  if (reader->state == READ_CHUNK_END) max = 2;
  if (reader->state == READ_TRAILER) max = reader->limits->head - reader->trailer_len;
  bool has_line = http_line_take(&reader->line, max, rest);
  if (reader->line.failed) return fail_memory(reader);
  struct bytes line = buffer_bytes(&reader->line);
  if (!has_line) return line.len < max ? HTTP_MORE : refuse_body_line(reader);
  if (!http_line_ends_in_crlf(line)) return http_reader_fail(reader, 400, "a line of a chunked body must end in CRLF");
  buffer_clear(&reader->line);
  if (reader->state == READ_CHUNK_SIZE) return read_chunk_size(reader, line);
  return reader->state == READ_CHUNK_END ? read_chunk_end(reader, line) : read_trailer_line(reader, line);
}

/* ---- Interface ------------------------------------------------------------------------------- */

static enum http_event read_some(struct http_reader *reader, struct bytes *rest) {
  switch (reader->state) {
    case READ_HEAD: return read_head(reader, rest);
    case READ_NO_BODY: return finish(reader);
    case READ_LENGTH:
    case READ_CHUNK_DATA: return http_reader_read_data(reader, rest);
    case READ_CHUNK_SIZE:
    case READ_CHUNK_END:
    case READ_TRAILER: return read_body_line(reader, rest);
    case READ_DONE: begin_request(reader); return HTTP_MORE;
    case READ_ENDED: *rest = bytes_of(NULL, 0); return HTTP_MORE;
    case READ_FAILED: break;
  }
  return HTTP_ERROR;
}

enum http_event http_reader_next(struct http_reader *reader, struct bytes input, size_t *used) {
  struct bytes rest = input;
  enum http_event event;
  do {
    event = read_some(reader, &rest);
  } while (event == HTTP_MORE && rest.len > 0);
  *used = input.len - rest.len;
  return event;
}

void http_reader_salvage(struct http_reader *reader) {
  if (reader->head.path.ptr) return;
  struct bytes text = buffer_bytes(&reader->text);
  size_t count = http_head_count_lines(text), most = reader->limits->fields;
  reader->head.field_count = count < most ? count : most;
  if (!reserve_fields(reader)) reader->head.field_count = 0;
  http_head_salvage(&reader->head, text, reader->fields, reader->head.field_count, reader->limits->target);
}

const struct http_head *http_reader_head(const struct http_reader *reader) { return &reader->head; }

struct bytes http_reader_body(const struct http_reader *reader) {
  return buffer_bytes(&reader->body);
}

struct http_error http_reader_error(const struct http_reader *reader) {
  return reader->error;
}

void http_reader_drop_body(struct http_reader *reader) { buffer_deinit(&reader->body); }

void http_reader_shed(struct http_reader *reader, const struct bytes *names, size_t name_count) {
  buffer_deinit(&reader->body);
  http_head_shed(&reader->head, &reader->text, reader->fields, names, name_count);
  struct http_field *fields = memory_realloc(reader->fields, (reader->head.field_count + 1) * sizeof *fields);
  if (!fields) return;
  reader->head.fields = reader->fields = fields;
  reader->field_capacity = reader->head.field_count + 1;
}

bool http_reader_idle(const struct http_reader *reader) {
  return reader->state == READ_DONE || reader->state == READ_ENDED || (reader->state == READ_HEAD && reader->text.len == 0);
}
