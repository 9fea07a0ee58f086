/* Texts with places in braces: {c} is the number of the channel, {p} the payload, and {cursor} that of
 * a polling client. */
#ifndef MOONWIRE_BENCH_LOAD_TEMPLATE_H
#define MOONWIRE_BENCH_LOAD_TEMPLATE_H

#include "base/buffer.h"

struct template_values {
  uint32_t channel;
  struct bytes payload, cursor;
};

/* Appends the template with its values. */
void template_write(struct buffer *out, const char *template, const struct template_values *values);

#endif
