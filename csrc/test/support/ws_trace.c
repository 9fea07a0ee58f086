#include "test/support/ws_trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static void must(bool condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "ws_reader: %s\n", what);
  abort();
}

void ws_client_frame(struct buffer *out, unsigned first, struct bytes key, struct bytes payload) {
  size_t len = payload.len, size = len < 126 ? 0 : len < 65536 ? 2 : 8;
  buffer_append_char(out, (char)first);
  buffer_append_char(out, (char)(0x80 | (size == 0 ? len : size == 2 ? 126 : 127)));
  for (size_t i = size; i > 0; i--) buffer_append_char(out, (char)(len >> (8 * (i - 1))));
  buffer_append(out, key);
  for (size_t i = 0; i < len; i++) buffer_append_char(out, (char)(payload.ptr[i] ^ key.ptr[i % 4]));
}

static void trace_payload(struct buffer *out, const struct ws_reader *reader, const struct ws_limits *limits, enum ws_event event,
                          size_t offset) {
  struct bytes payload = ws_reader_payload(reader);
  bool is_binary = ws_reader_is_binary(reader);
  if (event == WS_MESSAGE) {
    must(payload.len <= limits->message, "a message over its limit");
    must(is_binary || utf8_valid(payload), "a text that is not UTF-8");
    buffer_append_string(out, is_binary ? "BINARY " : "TEXT ");
  } else {
    must(payload.len <= WS_CONTROL_MAX, "a control frame over its limit");
    buffer_append_string(out, event == WS_PING ? "PING " : "PONG ");
  }
  buffer_append(out, payload);
  buffer_append_format(out, " @%zu\n", offset);
}

static void trace_close_info(struct buffer *out, const struct ws_reader *reader, const char *what) {
  struct ws_close_info info = ws_reader_close_info(reader);
  must(info.reason.len <= WS_CONTROL_MAX - 2 && utf8_valid(info.reason), "a reason that no close frame can have");
  must(info.code == WS_CLOSE_ABSENT || ws_close_code_valid(info.code), "a code that no close frame can have");
  buffer_append_format(out, "%s %u ", what, info.code);
  buffer_append(out, info.reason);
  buffer_append_char(out, '\n');
}

/* Bytes that are inflated at a time. The pauses must not change the events. */
enum { ALLOWED = 200 };

/* Feeds one piece. Returns false after an error. */
static bool trace_piece(struct buffer *out, struct ws_reader *reader, const struct ws_limits *limits, char *data, size_t len,
                        size_t offset) {
  ws_reader_allow(reader, ALLOWED);
  for (;;) {
    size_t used = 0;
    enum ws_event event = ws_reader_next(reader, data, len, &used);
    must(used <= len, "more used than was there");
    must(event != WS_MORE || used == len, "asks for more with input left");
    data += used;
    len -= used;
    offset += used;
    if (event == WS_MORE) return true;
    if (event == WS_PAUSED) {
      must(len > 0, "paused with nothing left");
      must(ws_reader_allow(reader, ALLOWED) >= ALLOWED, "paused before its time");
      continue;
    }
    if (event == WS_ERROR) {
      trace_close_info(out, reader, "ERROR");
      must(ws_reader_next(reader, data, len, &used) == WS_ERROR && used == 0, "continues after an error");
      must(!ws_reader_idle(reader), "idle after an error");
      return false;
    }
    if (event == WS_CLOSE) {
      trace_close_info(out, reader, "CLOSE");
      must(!ws_reader_idle(reader), "idle after a close frame");
    } else {
      trace_payload(out, reader, limits, event, offset);
    }
  }
}

/* Lends a reader to a connection with these terms. */
static struct ws_reader *lend(struct ws_reader *reader, const struct ws_limits *limits, struct ws_deflate_terms terms) {
  if (!reader) reader = ws_reader_new(limits);
  if (reader) ws_reader_set_terms(reader, terms);
  return reader;
}

bool ws_trace_terms(struct buffer *out, const struct ws_limits *limits, struct ws_deflate_terms terms, struct bytes input,
                    size_t first, size_t step) {
  struct ws_reader *reader = lend(NULL, limits, terms);
  size_t size = first;
  bool going = reader != NULL;
  for (size_t at = 0; going && at < input.len; at += size, size = step) {
    if (size > input.len - at) size = input.len - at;
    /* A copy that is freed after the call: a sanitizer finds reads beyond its end, and pointers
     * into it that are used later. */
    char *copy = malloc(size > 0 ? size : 1);
    must(copy, "out of memory in the test");
    if (size > 0) memcpy(copy, input.ptr + at, size);
    going = trace_piece(out, reader, limits, copy, size, at);
    free(copy);
    if (!ws_reader_idle(reader)) continue;
    if (at % 3 != 0) {
      ws_reader_free(reader);
      reader = NULL;
    }
    reader = lend(reader, limits, terms);
    going = reader != NULL;
  }
  if (!reader) return false;
  if (ws_reader_idle(reader)) buffer_append_string(out, "IDLE\n");
  ws_reader_free(reader);
  return !out->failed;
}

bool ws_trace(struct buffer *out, const struct ws_limits *limits, struct bytes input, size_t first, size_t step) {
  return ws_trace_terms(out, limits, (struct ws_deflate_terms){0}, input, first, step);
}
