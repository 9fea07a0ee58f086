/* A case of spec/websocket: what a client sends, step by step, and the events of a reader. */
#ifndef MOONWIRE_TEST_SUPPORT_WS_CASE_H
#define MOONWIRE_TEST_SUPPORT_WS_CASE_H

#include "base/buffer.h"
#include "codec/ws/ws_reader.h"

enum { WS_CASE_STEPS_MAX = 16 };

struct ws_case_step {
  struct buffer sent;
  struct buffer trace; /* all events of this and earlier steps, as text of ws_case_event */
};

struct ws_case {
  struct bytes title; /* borrowed from the text of the case */
  struct ws_limits limits;
  struct ws_deflate_terms terms;
  struct ws_case_step steps[WS_CASE_STEPS_MAX];
  size_t step_count;
  bool is_idle; /* the reader is idle at the end */
};

/* Reads a case from its text. Fails the test if it is invalid. */
void ws_case_init(struct ws_case *test, struct bytes text);
void ws_case_deinit(struct ws_case *test);

/* Appends one line for the last event of a reader: "text HEX", "close 1000 HEX", "error 1002", and
 * so on. */
void ws_case_event(struct buffer *out, const struct ws_reader *reader, enum ws_event event);

#endif
