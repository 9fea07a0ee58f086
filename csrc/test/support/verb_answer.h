/* Whole answers to verbs, of the pieces that codec/verb.h writes. */
#ifndef MOONWIRE_TEST_SUPPORT_VERB_ANSWER_H
#define MOONWIRE_TEST_SUPPORT_VERB_ANSWER_H

#include "codec/verb.h"

static inline void write_fault(struct buffer *out, const struct verb *verb, const struct verb_fault *fault) {
  char reason[128];
  verb_fault_text(fault, reason, sizeof reason);
  verb_write_error(out, verb->ref.raw, verb->channel, bytes_string(fault->code), bytes_string(reason));
}

static inline void write_ok(struct buffer *out, struct bytes ref, struct bytes value) {
  verb_write_ok_start(out, ref);
  buffer_append(out, value.len > 0 ? value : BYTES("true"));
  buffer_append_char(out, '}');
}

#endif
