#include "load/http_answer.h"

#include <llhttp.h>
#include <stdlib.h>

#include "net/poller.h"

static int answer_begin(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  buffer_clear(&answer->fields);
  return 0;
}

static int answer_field_text(llhttp_t *parser, const char *at, size_t len) {
  struct http_answer *answer = parser->data;
  buffer_append(&answer->fields, bytes_of(at, len));
  return 0;
}

static int answer_name_end(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  buffer_append_char(&answer->fields, ':');
  return 0;
}

static int answer_value_end(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  buffer_append_char(&answer->fields, '\n');
  return 0;
}

static int answer_head_end(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  answer->status = parser->status_code;
  if (answer->on_head) answer->on_head(answer->owner, answer->status);
  return 0;
}

static int answer_body(llhttp_t *parser, const char *at, size_t len) {
  struct http_answer *answer = parser->data;
  if (answer->on_body) answer->on_body(answer->owner, bytes_of(at, len));
  return 0;
}

static int answer_end(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  if (answer->on_done) answer->on_done(answer->owner, answer->status);
  return 0;
}

static const llhttp_settings_t settings = {
    .on_message_begin = answer_begin,
    .on_header_field = answer_field_text,
    .on_header_field_complete = answer_name_end,
    .on_header_value = answer_field_text,
    .on_header_value_complete = answer_value_end,
    .on_headers_complete = answer_head_end,
    .on_body = answer_body,
    .on_message_complete = answer_end,
};

void http_answer_init(struct http_answer *answer) {
  llhttp_t *parser = malloc(sizeof(*parser));
  if (!parser) die("out of memory");
  llhttp_init(parser, HTTP_RESPONSE, &settings);
  parser->data = answer;
  answer->parser = parser;
  buffer_init(&answer->fields);
}

void http_answer_deinit(struct http_answer *answer) {
  buffer_deinit(&answer->fields);
  free(answer->parser);
}

size_t http_answer_feed(struct http_answer *answer, const char *data, size_t len, const char **fault) {
  llhttp_errno_t error = llhttp_execute(answer->parser, data, len);
  *fault = NULL;
  if (error == HPE_OK) return len;
  size_t used = (size_t)(llhttp_get_error_pos(answer->parser) - data);
  if (error != HPE_PAUSED_UPGRADE) *fault = llhttp_get_error_reason(answer->parser);
  return used;
}

struct bytes http_answer_field(const struct http_answer *answer, struct bytes name) {
  struct bytes rest = buffer_bytes(&answer->fields);
  while (rest.len > 0) {
    size_t end = bytes_find(rest, '\n');
    if (end >= name.len && bytes_equal_nocase(bytes_of(rest.ptr, name.len), name))
      return bytes_trim(bytes_of(rest.ptr + name.len, end - name.len));
    size_t used = end < rest.len ? end + 1 : end;
    rest = bytes_of(rest.ptr + used, rest.len - used);
  }
  return bytes_of("", 0);
}
