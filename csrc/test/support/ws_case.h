/* A case of spec/websocket: what a client sends, step by step, and what a reader makes of it. */
#ifndef MOONWIRE_TEST_SUPPORT_WS_CASE_H
#define MOONWIRE_TEST_SUPPORT_WS_CASE_H

#include "base/buffer.h"
#include "codec/ws_reader.h"

enum { WS_CASE_STEPS_MAX = 16 };

struct ws_case_step {
  struct buffer sent;
  struct buffer trace; /* of all that came of it, and of the steps before, in the words of ws_case_event */
};

struct ws_case {
  struct bytes title; /* borrowed from its text */
  struct ws_limits limits;
  struct ws_deflate_terms terms;
  struct ws_case_step steps[WS_CASE_STEPS_MAX];
  size_t step_count;
  bool is_idle; /* whether the reader is in the end */
};

/* Reads it from its text; fails the test if it is not understood. */
void ws_case_init(struct ws_case *test, struct bytes text);
void ws_case_deinit(struct ws_case *test);

/* Appends one line on what a reader returned last: "text HEX", "close 1000 HEX", "error 1002" and so on. */
void ws_case_event(struct buffer *out, const struct ws_reader *reader, enum ws_event event);

#endif
