#include "dialect/native.h"

#include <stdio.h>

#include "dialect/native_forms.h"

enum read_result native_next(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                             struct refusal *refusal) {
  if (!in->ptr) return READ_NOTHING;
  struct bytes frame = *in;
  *in = bytes_of(NULL, 0);
  struct verb_fault fault = is_binary ? verb_read_binary(frame, &reader->text, verb) : verb_read(frame, &reader->text, verb);
  if (!fault.code) return READ_VERB;
  verb_fault_text(&fault, reader->fault, sizeof reader->fault);
  *refusal = (struct refusal){.channel = verb->channel, .code = fault.code, .reason = reader->fault};
  return READ_FAULT;
}

unsigned native_close_code(const struct closing *closing) {
  enum { UNAUTHORIZED = 4401, UNCONNECTED = 4408 }; /* docs/reference/protocol.md */
  switch (closing->reason) {
    case CLOSE_SLOW:
    case CLOSE_BUSY: return WS_CLOSE_TRY_LATER;
    case CLOSE_EXPIRED:
    case CLOSE_UNAUTHORIZED: return UNAUTHORIZED;
    case CLOSE_UNCONNECTED: return UNCONNECTED;
    case CLOSE_UNFINISHED:
    case CLOSE_RATE: return WS_CLOSE_POLICY;
    case CLOSE_TOO_LARGE: return WS_CLOSE_TOO_BIG;
    case CLOSE_STOPPING:
    case CLOSE_BY_APP: break;
  }
  return closing->code;
}

static enum read_result next_of_query(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                                      struct refusal *refusal) {
  (void)reader;
  (void)is_binary;
  (void)refusal;
  if (!in->ptr) return READ_NOTHING;
  *verb = (struct verb){.type = VERB_SUBSCRIBE, .channel = *in};
  *in = bytes_of(NULL, 0);
  return READ_VERB;
}

static void ok_of_query(struct rope *out, struct bytes ref, const struct outcome *outcome) {
  (void)ref;
  native_write_told(out, &outcome->told);
}

#define NATIVE_WORDS                                                                                                             \
  .find_ref = verb_find_ref, .item = &native_poll, .error = native_error, .event = native_event, .open = native_open,            \
  .close_code = native_close_code
#define NATIVE_VERBS .next = native_next, .ok = native_ok
#define NATIVE_FRAMES .form = &native_ws, .compressed = native_ws_compressed, .own = &native_ws_own

const struct dialect native_websocket = {NATIVE_FRAMES, NATIVE_VERBS, NATIVE_WORDS};
const struct dialect native_moonwire_1 = {.subprotocol = "moonwire.1",
                                          .connects_first = true,
                                          .ping = {"{\"ping\":true}", 13},
                                          NATIVE_FRAMES,
                                          NATIVE_VERBS,
                                          NATIVE_WORDS};
const struct dialect native_stream = {.form = &native_sse, .ping = {":\n", 2}, NATIVE_VERBS, NATIVE_WORDS};
const struct dialect native_enveloped = {
    .form = &native_envelope, .ping = {"data: {\"event\":\"moonwire:ping\"}\n\n", 33}, NATIVE_VERBS, NATIVE_WORDS};
const struct dialect native_polls = {.form = &native_poll,
                                     .poll = native_write_poll,
                                     .poll_between = {",", 1},
                                     .poll_end = {"]}\n", 3},
                                     .poll_joined = native_write_poll_joined,
                                     NATIVE_VERBS,
                                     NATIVE_WORDS};
const struct dialect native_query = {.form = &native_poll, .next = next_of_query, .ok = ok_of_query, NATIVE_WORDS};

/* The app knows of the end of the channel, and says more of it if it likes. */
static void write_follow_event(const struct dialect *dialect, struct rope *out, const struct event *event) {
  if (event->type == EVENT_GAP) native_event(dialect, out, event);
}

const struct dialect native_follow = {.form = &native_sse,
                                      .ping = {":\n", 2},
                                      .item = &native_poll,
                                      NATIVE_VERBS,
                                      .find_ref = verb_find_ref,
                                      .error = native_error,
                                      .event = write_follow_event,
                                      .open = native_open,
                                      .close_code = native_close_code};

static const struct dialect *const websockets[] = {&native_websocket, &native_moonwire_1, NULL};

const struct dialect_table native_dialects = {.websockets = websockets,
                                              .stream = &native_stream,
                                              .envelope = &native_enveloped,
                                              .poll = &native_polls,
                                              .follow = &native_follow};
